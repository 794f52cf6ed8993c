-- Part of the scripts that claim. From ARGV[first]: worker, lease, hopeless within ('-1': what is
-- due), then name and number of each want.
-- Answers: when the next job is due ('' unknown), groups (want, number, flag, batch), the ids, then
-- each job as stored before it was leased.
local ROOM = 512
-- Jobs that a claim makes ready beyond what it wants, so that those of a higher priority get there.
local ASIDE = 32

-- Lets jobs that have become due into their lines.
local function promote(queue, most)
    local key = P .. 's' .. queue
    local due = call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', 0, most)
    if #due == 0 then return end
    call('ZREMRANGEBYRANK', key, 0, #due - 1)
    local lists, ended = {}, {}
    for n = 1, #due do
        local line = sub(due[n], 23)
        local number = sub(line, 3, 6)
        local id = sub(due[n], 1, 16)
        if batch_of(number).cancelled then
            ended[#ended + 1] = id
            count(line, 'c', -1)
            add(of_batch, number, queue .. 'S', -1)
        else
            push(lists, line, (cut('>I6', due[n], 17)), id)
            count(line, 's', -1)
            count(line, 'r', 1)
        end
    end
    for line, list in pairs(lists) do
        many('ZADD', P .. 'k' .. line, list, 2)
        open(line)
    end
    if #ended > 0 then
        local values = jobs_of(ended)
        for n = 1, #ended do
            if values[n] then
                local job = parse(values[n])
                if job.deadline > 0 then call('ZREM', P .. 'e' .. queue, ended[n]) end
                finish(ended[n], job, 'C')
                store(ended[n], job)
            end
        end
        flush()
    end
end

-- Joins what was taken from a line's list with who came back, in the order of their enqueuing.
local function merge(line, want, ids, values, popped, candidates, found, fresh, returned)
    local chosen, gone, a, b = {}, {}, 1, 1
    while #chosen < want and (fresh[a] or returned[b]) do
        local sequence = fresh[a] and cut('>I6', popped[fresh[a]], 17)
        if sequence and (not returned[b] or sequence < tonumber(returned[b + 1])) then
            chosen[#chosen + 1] = { candidates[fresh[a]], found[fresh[a]] }
            a = a + 1
        else
            gone[#gone + 1] = returned[b]
            chosen[#chosen + 1] = { returned[b] }
            b = b + 2
        end
    end
    local rest = {}
    for n = #fresh, a, -1 do rest[#rest + 1] = popped[fresh[n]] end
    many('LPUSH', P .. 'f' .. line, rest)
    local back = {}
    if #gone > 0 then
        many('ZREM', P .. 'k' .. line, gone)
        back = jobs_of(gone)
    end
    local filled = 0
    for n = 1, #chosen do
        local value = chosen[n][2]
        if not value then
            filled = filled + 1
            value = back[filled]
        end
        if value then
            ids[#ids + 1], values[#values + 1] = chosen[n][1], value
        end
    end
end

-- How many places of jobs that are elsewhere by now one claim may pass over.
local patience = 4096

-- Takes up to `most` jobs from the front of a line: ids and values. Also says whether the line may
-- hold more.
local function take(line, most)
    local list, back = P .. 'f' .. line, P .. 'k' .. line
    local ids, values = {}, {}
    for _ = 1, 16 do
        local want = min(128, most - #ids)
        local returned = call('ZRANGE', back, 0, want - 1, 'WITHSCORES')
        local popped = call('LPOP', list, want) or {}
        if #popped == 0 and #returned == 0 then return ids, values, false end
        local candidates = {}
        for n = 1, #popped do candidates[n] = sub(popped[n], 1, 16) end
        local found = #popped > 0 and jobs_of(candidates) or {}
        local fresh = {}
        for n = 1, #popped do
            local value = found[n]
            -- Places of jobs that are elsewhere by now, or gone, end here.
            if value and byte(value, 1) == 76 and sub(value, 29, 34) == sub(popped[n], 17, 22) then
                fresh[#fresh + 1] = n
            end
        end
        patience = patience - (#popped - #fresh)
        if #returned == 0 then
            for n = 1, #fresh do
                ids[#ids + 1] = candidates[fresh[n]]
                values[#values + 1] = found[fresh[n]]
            end
        else
            merge(line, want, ids, values, popped, candidates, found, fresh, returned)
        end
        if #ids >= most or patience <= 0 then return ids, values, true end
    end
    return ids, values, true
end

local function claim(first)
    local worker, lease, within = argv[first], tonumber(argv[first + 1]), tonumber(argv[first + 2])
    local left, next_at = ROOM, nil
    local groups, all, out, wants = {}, {}, {}, 0
    -- As text: Redis would write each number with 17 digits.
    local until_ = string.format('%d', later(lease))
    local leases, times = {}, {}

    -- Leases jobs that were just taken out of their order.
    local function grant(ids, values, want)
        local from = 1
        while from <= #ids do
            local number = sub(values[from], 5, 8)
            local to = from
            while ids[to + 1] and sub(values[to + 1], 5, 8) == number do to = to + 1 end
            local batch = batch_of(number).id
            groups[#groups + 1] = pack('>I2I2B', want, to - from + 1, batch and 1 or 0) .. (batch or '')
            from = to + 1
        end
        local with_deadline = {}
        for n = 1, #ids do
            local id, value = ids[n], values[n]
            all[#all + 1], out[#out + 1] = id, value
            local fence = cut('>I6', value, 23) + 1
            leases[#leases + 1] = id
            leases[#leases + 1] = '0' .. pack('>I6', fence) .. sub(value, 2, 9) .. worker
            times[#times + 1] = until_
            times[#times + 1] = id
            if byte(value, 2) % 2 == 1 then with_deadline[#with_deadline + 1] = id end
        end
        if #with_deadline > 0 then many('ZREM', P .. 'e' .. sub(values[1], 3, 4), with_deadline) end
    end

    local function claim_ready(queue, want, index)
        local lines = P .. 'L' .. queue
        local rounds = 0
        while want > 0 and rounds < 64 do
            rounds = rounds + 1
            local head = call('ZRANGE', lines, 0, 63, 'WITHSCORES')
            if #head == 0 then return end
            local turns = {}
            local priority = floor(head[2] / TURN)
            for n = 1, #head, 2 do
                if floor(head[n + 1] / TURN) == priority then turns[#turns + 1] = head[n] end
            end
            local served, empty, passed = {}, {}, {}
            while want > 0 and #turns > 0 and patience > 0 do
                -- As many from each; what is left over, from the first ones.
                local share, again = max(1, floor(want / #turns)), {}
                passed = {}
                for n = 1, #turns do
                    local line = turns[n]
                    if want == 0 then
                        passed[#passed + 1] = line
                    else
                        local ids, values, more = take(line, min(share, want))
                        if #ids > 0 then
                            count(line, 'r', -#ids)
                            count(line, 'l', #ids)
                            grant(ids, values, index)
                            want = want - #ids
                        end
                        served[line] = true
                        local list = more and again or empty
                        list[#list + 1] = line
                    end
                end
                turns = again
            end
            for n = 1, #empty do
                local number = sub(empty[n], 3, 6)
                if number ~= NONE then call('SREM', P .. 'g' .. number, empty[n]) end
            end
            many('ZREM', lines, empty)
            -- Lines that were served go to the end; those passed over in the last round come first.
            for n = 1, #turns do passed[#passed + 1] = turns[n] end
            if #passed > 1 or #head > 2 then
                local turn, scores = call('HINCRBY', P .. 'q' .. queue, 't', #passed) - #passed, {}
                for n = 1, #passed do
                    if served[passed[n]] then
                        scores[#scores + 1] = priority * TURN + turn + n
                        scores[#scores + 1] = passed[n]
                    end
                end
                many('ZADD', lines, scores, 2)
            end
            if patience <= 0 then return end
        end
    end

    local function claim_hopeless(queue, want, index)
        local key = P .. 'e' .. queue
        for _ = 1, 8 do
            if want <= 0 then return end
            local due = call('ZRANGEBYSCORE', key, '-inf', later(within), 'LIMIT', 0, min(128, want))
            if #due == 0 then return end
            call('ZREMRANGEBYRANK', key, 0, #due - 1)
            local found, ids, values = jobs_of(due), {}, {}
            for n = 1, #due do
                if found[n] then
                    local job = parse(found[n])
                    leave(due[n], job)
                    if batch_of(sub(job.line, 3, 6)).cancelled then
                        finish(due[n], job, 'C')
                    else
                        job.state = 'X'
                        count(job.line, 'l', 1)
                        ids[#ids + 1], values[#values + 1] = due[n], found[n]
                    end
                    store(due[n], job)
                end
            end
            grant(ids, values, index)
            want = want - #ids
        end
    end

    for n = first + 3, #argv, 2 do
        wants = wants + 1
        local queue, want = queue_number(argv[n]), min(tonumber(argv[n + 1]), left)
        local before = #all
        if within >= 0 then
            claim_hopeless(queue, want, wants)
            flush()
        elseif call('HGET', P .. 'q' .. queue, 'p') ~= '1' then
            promote(queue, want + ASIDE)
            if want > 0 then claim_ready(queue, want, wants) end
        end
        left = left - (#all - before)
        local soon = call('ZRANGE', P .. 's' .. queue, 0, 0, 'WITHSCORES')[2]
        soon = soon and tonumber(soon)
        if soon and soon > now and (not next_at or soon < next_at) then next_at = soon end
    end
    if #leases > 0 and call('EXISTS', P .. 'l') == 0 then
        -- A long value makes Redis look up the fields of a hash, however few, instead of searching.
        call('HSET', P .. 'l', '', string.rep(' ', 128))
    end
    many('HSET', P .. 'l', leases, 2)
    many('ZADD', P .. 't', times, 2)
    if #all > 0 then holders[worker] = (holders[worker] or 0) + #all end
    call('ZADD', P .. 'w', now, worker)
    return next_at and string.format('%d', next_at) or '', table.concat(groups), table.concat(all), out
end
