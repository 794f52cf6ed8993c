-- ARGV: number of queues, their names; number of batches, their ids; then two per job: head and body.
-- The head: id (16), queue (2, counted from 1), batch (4, 0 none), priority, flags, delay (6),
-- deadline span (6), lengths of payload and key (4, 4). Flags: 1 deadline, 2 key, 8 larger than all
-- ids before, 16 has a past. The past: state, reason, attempt, crashes, deferrals (4 each), fence,
-- enqueued_at, at, deadline (6 each), length of the note (4); note and result then end the body.
-- Answers: one byte per job (i inserted, d duplicate, f full), then the twins' ids.
local at, queues, batch_ids = 1, {}, {}
for _ = 1, tonumber(argv[at]) do
    at = at + 1
    queues[#queues + 1] = queue_number(argv[at])
end
at = at + 1
for _ = 1, tonumber(argv[at]) do
    at = at + 1
    batch_ids[#batch_ids + 1] = argv[at]
end
local first = at + 1
local total = (#argv - at) / 2
local ids = {}
for n = 1, total do ids[n] = sub(argv[first + 2 * n - 2], 1, 16) end

local keys, doubtful, known = job_keys(ids), {}, 0
do
    -- Whatever is larger than the largest id there is, is new.
    local last = last_id()
    local beyond = not last or is_before(last, ids[1])
    local asked = {}
    for n = 1, total do
        if not (beyond and floor(byte(argv[first + 2 * n - 2], 24) / 8) % 2 == 1) then
            doubtful[n] = true
            asked[#asked + 1] = keys[n]
        end
    end
    for i = 1, #asked, 128 do
        known = known + call('EXISTS', unpack(asked, i, min(i + 127, #asked)))
    end
end

local rooms, numbers = {}, {}
local function room_of(queue)
    if rooms[queue] == nil then
        local row = call('HMGET', P .. 'q' .. queue, 'm', 'r', 's', 'l')
        rooms[queue] = row[1] and row[1] - (row[2] or 0) - (row[3] or 0) - (row[4] or 0) or false
    end
    return rooms[queue]
end

local UNTRIED = string.rep('\0', 19) -- reason, attempt, crashes, deferrals, fence
local answers, twins, taken = {}, {}, {}
local new, between = {}, {}
local lists, uniques, sizes, spans = {}, {}, {}, {}
local sequence = call('HINCRBY', P .. 'c', 'q', total) - total
for n = 1, total do
    local head, body = argv[first + 2 * n - 2], argv[first + 2 * n - 1]
    local id = ids[n]
    local q, b, priority, flags, delay, span, payload, unique = cut('>I2I4BBI6I6I4I4', head, 17)
    local queue = queues[q]
    local past = flags >= 16
    local state = past and sub(head, 45, 45) or ''
    local ended = state == 'D' or state == 'F' or state == 'C'
    local answer, key = 'i', nil
    if known > 0 and doubtful[n] and call('EXISTS', keys[n]) == 1 then
        answer = 'd'
        twins[#twins + 1] = id
    else
        local loser
        if unique > 0 and not ended then
            key = sub(body, payload + 1, payload + unique)
            local twin = taken[queue .. key] or call('HGET', P .. 'u' .. queue, key)
            if twin then
                local value = not taken[queue .. key] and call('GET', P .. 'j' .. twin)
                local free = not taken[queue .. key] and not value
                if value and batch_of(sub(value, 5, 8)).cancelled and call('HEXISTS', P .. 'l', twin) == 0 then
                    -- Its batch was cancelled: it ends now, for its key is needed.
                    loser = { twin, value }
                elseif not free then
                    answer = 'd'
                    twins[#twins + 1] = twin
                end
            end
        end
        if answer == 'i' and not ended then
            local room = room_of(queue)
            if room and room <= 0 then
                answer = 'f'
            elseif room then
                rooms[queue] = room - 1
            end
        end
        if answer == 'i' and loser then
            local job = parse(loser[2])
            leave(loser[1], job)
            finish(loser[1], job, 'C')
            store(loser[1], job)
        end
    end
    answers[n] = answer
    if answer == 'i' then
        local number = NONE
        if b > 0 then
            number = numbers[b]
            if not number then
                number = batch_number(batch_ids[b])
                numbers[b] = number
            end
            sizes[number] = (sizes[number] or 0) + 1
            changed[number] = true
        end
        local line = queue .. number .. string.char(priority)
        local deadline = flags % 2 == 1 and later(span) or 0
        local cancelled = batch_of(number).cancelled
        if not past and not cancelled and delay == 0 then
            -- The usual way, without a table of everything: into the list of its line.
            local tail, order = '', pack('>I6', sequence + n)
            if flags % 4 > 0 then tail = pack('>I6I4I4I4', deadline, payload, unique, 0) end
            stored[#stored + 1] = keys[n]
            stored[#stored + 1] = 'L' .. string.char(flags % 4 > 0 and flags % 4 + 4 or 0) .. line .. UNTRIED .. order
                .. at_now .. at_now .. tail .. body
            push(lists, line, id .. order)
            count(line, 'r', 1)
            if deadline > 0 then push(deadlines, queue, deadline, id) end
        else
            local job = {
                line = line, reason = 0, attempt = 0, crashes = 0, deferrals = 0, fence = 0, sequence = sequence + n,
                enqueued = now, at = later(delay), deadline = deadline,
                unique = unique > 0 and sub(body, payload + 1, payload + unique) or '', note = '', result = '',
            }
            job.payload = sub(body, 1, payload)
            if past then
                local note
                job.reason, job.attempt, job.crashes, job.deferrals, job.fence, job.enqueued, job.at, job.deadline, note =
                    cut('>BI4I4I4I6I6I6I6I4', head, 46)
                job.note = sub(body, payload + unique + 1, payload + unique + note)
                job.result = sub(body, payload + unique + note + 1)
            end
            if ended then
                -- It shows when it did end.
                local ended_at = job.at
                finish(id, job, state)
                job.at = ended_at
                local log = state == 'D' and logs.d or logs.x
                log[#log] = pack('>I6', ended_at) .. id
            elseif cancelled then
                finish(id, job, 'C')
            elseif state == 'S' or not past then
                enter(id, job, job.at)
            else
                enter(id, job, now)
            end
            store(id, job)
        end
        if key then
            taken[queue .. key] = id
            push(uniques, queue, key, id)
        end
        local list = doubtful[n] and between or new
        list[#list + 1] = id
    end
end
flush()
for line, list in pairs(lists) do
    many('RPUSH', P .. 'f' .. line, list)
    open(line)
end
for queue, list in pairs(uniques) do many('HSET', P .. 'u' .. queue, list, 2) end
for number, size in pairs(sizes) do call('HINCRBY', P .. 'b' .. number, 'n', size) end
index_append(new)
for n = 1, #between do index_insert(between[n]) end
close()
return { table.concat(answers), table.concat(twins) }
