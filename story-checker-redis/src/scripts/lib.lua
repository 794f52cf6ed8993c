-- What every script begins with. KEYS[1] is the namespace with its hash tag: all keys begin with it.
-- The layout of keys and values is told in docs/decisions/0013-redis-layout.md.
local P, call, argv = KEYS[1], redis.call, ARGV
local pack, cut = struct.pack, struct.unpack
local sub, byte, floor, min, max = string.sub, string.byte, math.floor, math.min, math.max
local NONE = '\0\0\0\0' -- the number of no batch
local TURN = 17592186044416 -- 2^44: a line's score is priority * TURN + its turn

-- The store's time: the server's, but never back. After a step back it runs on from where it was,
-- and a fiftieth slower, while the store is in steady use, until the server's clock has caught up.
local clock = call('HMGET', P .. 'c', 'r', 'd', 'o')
local now, tick
do
    local time = call('TIME')
    local raw = time[1] * 1000 + floor(time[2] / 1000) + (clock[3] or 0)
    local last, ahead = tonumber(clock[1] or 0), tonumber(clock[2] or 0)
    if raw < last then
        ahead = ahead + last - raw
        tick = { raw, ahead }
    elseif raw - last > 100 then
        if raw - last < 1000 then ahead = max(0, ahead - floor((raw - last) / 50)) end
        tick = { raw, ahead }
    end
    now = raw + ahead
end

-- A span from now on, at most to the end of the year 9999.
local function later(span)
    return min(now + span, 253402300799999)
end

-- A first write that needs no memory: after it Redis refuses none of this script for want of
-- memory, so that a full server can still be drained.
local function insist()
    call('DEL', P .. '!')
end

-- `cmd key list…` in calls of at most 128 items; `width` strings make an item.
local function many(cmd, key, list, width)
    local size = 128 * (width or 1)
    for i = 1, #list, size do
        call(cmd, key, unpack(list, i, min(i + size - 1, #list)))
    end
end

local function job_keys(ids)
    local keys = {}
    for i = 1, #ids do keys[i] = P .. 'j' .. ids[i] end
    return keys
end

local function drop_keys(keys)
    for i = 1, #keys, 128 do
        call('UNLINK', unpack(keys, i, min(i + 127, #keys)))
    end
end

-- All values in order, false for what is missing.
local function gather(cmd, key, list)
    if #list <= 128 and #list > 0 then
        if key then return call(cmd, key, unpack(list)) end
        return call(cmd, unpack(list))
    end
    local all = {}
    for i = 1, #list, 128 do
        local some
        local last = min(i + 127, #list)
        if key then
            some = call(cmd, key, unpack(list, i, last))
        else
            some = call(cmd, unpack(list, i, last))
        end
        for j = 1, last - i + 1 do all[i + j - 1] = some[j] end
    end
    return all
end

local function jobs_of(ids) return gather('MGET', nil, job_keys(ids)) end

local function leases_of(ids) return gather('HMGET', P .. 'l', ids) end

local changed = {} -- batches whose last job was enqueued or ended now

-- Counters change once per script: line → state → change, then queue → state → change, and batch →
-- queue and state → change.
local of_line, of_queue, of_batch = {}, {}, {}

local function add(of, key, field, by)
    local fields = of[key]
    if not fields then
        fields = {}
        of[key] = fields
    end
    fields[field] = (fields[field] or 0) + by
end

-- A line is seven bytes: queue (2), batch (4), priority (1).
local function count(line, state, by) add(of_line, line, state, by) end

-- Adds up what was counted per line.
local function tally()
    for line, states in pairs(of_line) do
        local queue, batch = sub(line, 1, 2), sub(line, 3, 6)
        for state, by in pairs(states) do
            add(of_queue, queue, state, by)
            if batch ~= NONE then add(of_batch, batch, queue .. state, by) end
        end
        if (states.d or 0) > 0 then changed[batch] = true end
    end
    of_line = {}
end

local batches = {}
local function batch_of(number)
    local batch = batches[number]
    if not batch then
        batch = { number = number }
        if number ~= NONE then
            local row = call('HMGET', P .. 'b' .. number, 'p', 'x', 'i')
            batch.paused, batch.cancelled, batch.id = row[1] == '1', row[2] == '1', row[3]
        end
        batches[number] = batch
    end
    return batch
end

local woken = {} -- queues that somebody may wait for
local holders = {} -- worker → change of the number of its leases

-- A job as a table, and as bytes.
local function parse(value)
    local job = { state = sub(value, 1, 1), line = sub(value, 3, 9), deadline = 0, unique = '', note = '' }
    local flags = byte(value, 2)
    job.reason, job.attempt, job.crashes, job.deferrals, job.fence, job.sequence, job.enqueued, job.at =
        cut('>BI4I4I4I6I6I6I6', value, 10)
    if flags >= 4 then
        local deadline, payload, unique, note = cut('>I6I4I4I4', value, 47)
        local at = 65
        job.deadline = deadline
        job.payload = sub(value, at, at + payload - 1)
        at = at + payload
        job.unique = sub(value, at, at + unique - 1)
        at = at + unique
        job.note = sub(value, at, at + note - 1)
        job.result = sub(value, at + note)
    else
        job.payload, job.result = sub(value, 47), ''
    end
    return job
end

local function format(job)
    local flags, tail = 0, ''
    if job.deadline > 0 then flags = 1 end
    if job.unique ~= '' then flags = flags + 2 end
    if flags > 0 or job.note ~= '' or job.result ~= '' then
        flags = flags + 4
        tail = pack('>I6I4I4I4', job.deadline, #job.payload, #job.unique, #job.note)
    end
    local head = pack('>BI4I4I4I6I6I6I6', job.reason, job.attempt, job.crashes, job.deferrals, job.fence,
        job.sequence, job.enqueued, job.at)
    return table.concat({
        job.state, string.char(flags), job.line, head, tail, job.payload, job.unique, job.note, job.result,
    })
end

local function scheduled_as(id, job) return id .. pack('>I6', job.sequence) .. job.line end

-- Lets a line take part in its queue's turns, if its batch may go.
local function open(line)
    local queue, number = sub(line, 1, 2), sub(line, 3, 6)
    if number ~= NONE then
        call('SADD', P .. 'g' .. number, line)
        local batch = batch_of(number)
        if batch.paused or batch.cancelled then return end
    end
    local lines = P .. 'L' .. queue
    if not call('ZSCORE', lines, line) then
        local turn = call('HINCRBY', P .. 'q' .. queue, 't', 1)
        call('ZADD', lines, byte(line, 7) * TURN + turn, line)
        woken[queue] = true
    end
end

-- Jobs that enter or leave the orders, written by `flush`.
local backs, plans, deadlines, stored = {}, {}, {}, {}

local function push(lists, key, a, b)
    local list = lists[key]
    if not list then
        list = {}
        lists[key] = list
    end
    list[#list + 1] = a
    if b then list[#list + 1] = b end
end

-- Lets a job wait until `at`; it must stand in no order.
local function enter(id, job, at)
    local queue = sub(job.line, 1, 2)
    job.at = at
    if at <= now then
        job.state = 'B'
        push(backs, job.line, job.sequence, id)
        count(job.line, 'r', 1)
    else
        job.state = 'S'
        push(plans, queue, at, scheduled_as(id, job))
        count(job.line, 's', 1)
    end
    if job.deadline > 0 then push(deadlines, queue, job.deadline, id) end
end

-- Takes a waiting job out of the orders. Its place in a list stays: who takes it from there sees
-- that the job is elsewhere.
local function leave(id, job)
    local queue, state = sub(job.line, 1, 2), 'r'
    if job.state == 'B' then
        call('ZREM', P .. 'k' .. job.line, id)
    elseif job.state == 'S' then
        if call('ZREM', P .. 's' .. queue, scheduled_as(id, job)) == 1 then
            state = 's'
        else
            call('ZREM', P .. 'k' .. job.line, id)
        end
    end
    if job.deadline > 0 then call('ZREM', P .. 'e' .. queue, id) end
    local number = sub(job.line, 3, 6)
    if batch_of(number).cancelled then
        count(job.line, 'c', -1)
        add(of_batch, number, queue .. (state == 'r' and 'R' or 'S'), -1)
    else
        count(job.line, state, -1)
    end
end

local logs = { d = {}, x = {} }

-- Ends a job that stands in no order: state D (done), F (dead) or C (cancelled).
local function finish(id, job, state)
    job.state, job.at = state, now
    local queue, number = sub(job.line, 1, 2), sub(job.line, 3, 6)
    if job.unique ~= '' then
        local key = P .. 'u' .. queue
        if call('HGET', key, job.unique) == id then call('HDEL', key, job.unique) end
    end
    local log = state == 'D' and logs.d or logs.x
    log[#log + 1] = pack('>I6', now) .. id
    count(job.line, state == 'D' and 'd' or state == 'F' and 'f' or 'c', 1)
    changed[number] = true
end

-- Ends a leased job as done, without a table of everything: the usual way.
local freed, at_now = {}, pack('>I6', now)
local function finish_done(id, value, fence, result)
    local line, flags, lengths, tail = sub(value, 3, 9), byte(value, 2), '', nil
    if flags >= 4 then
        local _, payload, unique, note = cut('>I6I4I4I4', value, 47)
        if unique > 0 then push(freed, sub(line, 1, 2), sub(value, 65 + payload, 64 + payload + unique)) end
        tail = sub(value, 47, 64 + payload + unique + note)
    else
        tail = sub(value, 47)
        if result ~= '' then
            flags = flags + 4
            lengths = pack('>I6I4I4I4', 0, #tail, 0, 0)
        end
    end
    stored[#stored + 1] = P .. 'j' .. id
    stored[#stored + 1] = 'D' .. string.char(flags) .. sub(value, 3, 22) .. fence .. sub(value, 29, 40) .. at_now
        .. lengths .. tail .. result
    logs.d[#logs.d + 1] = at_now .. id
    count(line, 'd', 1)
end

local function store(id, job)
    stored[#stored + 1] = P .. 'j' .. id
    stored[#stored + 1] = format(job)
end

local function flush()
    tally()
    for i = 1, #stored, 256 do
        call('MSET', unpack(stored, i, min(i + 255, #stored)))
    end
    for line, list in pairs(backs) do
        many('ZADD', P .. 'k' .. line, list, 2)
        open(line)
    end
    for queue, list in pairs(plans) do
        local key = P .. 's' .. queue
        local before = call('ZRANGE', key, 0, 0)[1]
        many('ZADD', key, list, 2)
        if call('ZRANGE', key, 0, 0)[1] ~= before then woken[queue] = true end
    end
    for queue, list in pairs(deadlines) do many('ZADD', P .. 'e' .. queue, list, 2) end
    for log, list in pairs(logs) do many('RPUSH', P .. log, list) end
    for queue, list in pairs(freed) do many('HDEL', P .. 'u' .. queue, list) end
    freed = {}
    backs, plans, deadlines, stored, logs = {}, {}, {}, {}, { d = {}, x = {} }
end

-- The index of ids: leaves of at most 64 ids, one string each, and one order of the leaves by the
-- first id that each may hold. (Ids are compared as numbers: a comparison of strings in Lua asks the
-- locale.)
local LEAF, ZERO = 64, string.rep('\0', 16)

local function leaf_of(id)
    return call('ZREVRANGEBYLEX', P .. 'i', '[' .. id, '-', 'LIMIT', 0, 1)[1]
end

local function is_before(id, other)
    local a, b, c = cut('>I6I6I4', id)
    local x, y, z = cut('>I6I6I4', other)
    if a ~= x then return a < x end
    if b ~= y then return b < y end
    return c < z
end

-- The largest id there is; nil if there is none.
local function last_id()
    local start = call('ZRANGE', P .. 'i', -1, -1)[1]
    return start and call('GETRANGE', P .. 'i' .. start, -16, -1)
end

-- The ids of a leaf in their order.
local function ids_in(leaf)
    local ids = {}
    for at = 1, #leaf, 16 do ids[#ids + 1] = sub(leaf, at, at + 15) end
    return ids
end

-- Appends ids in their order, larger than all there are.
local function index_append(ids)
    -- No leaf is empty: its last id is looked for.
    if #ids == 0 then return end
    local start, at = call('ZRANGE', P .. 'i', -1, -1)[1], 1
    if not start then
        start = ZERO
        call('ZADD', P .. 'i', 0, ZERO)
    end
    local size = call('STRLEN', P .. 'i' .. start) / 16
    while at <= #ids do
        if size >= LEAF then
            start, size = ids[at], 0
            call('ZADD', P .. 'i', 0, start)
        end
        local key, to = P .. 'i' .. start, min(at + LEAF - size - 1, #ids)
        local more = table.concat(ids, '', at, to)
        if size == 0 then
            call('SET', key, more)
        else
            call('APPEND', key, more)
            -- A string that grew has room to spare; one written whole has none.
            if size + to - at + 1 == LEAF then call('SET', key, call('GET', key)) end
        end
        size, at = size + to - at + 1, to + 1
    end
end

-- Puts one id where it belongs; a leaf that is too long is cut in two.
local function index_insert(id)
    local start = leaf_of(id)
    if not start then
        start = ZERO
        call('ZADD', P .. 'i', 0, ZERO)
    end
    local key = P .. 'i' .. start
    local leaf = call('GET', key) or ''
    local low, high = 0, #leaf / 16
    while low < high do
        local middle = floor((low + high) / 2)
        if is_before(sub(leaf, middle * 16 + 1, middle * 16 + 16), id) then
            low = middle + 1
        else
            high = middle
        end
    end
    leaf = sub(leaf, 1, low * 16) .. id .. sub(leaf, low * 16 + 1)
    if #leaf > LEAF * 16 then
        local half = LEAF / 2 * 16
        local second = sub(leaf, half + 1, half + 16)
        call('SET', P .. 'i' .. second, sub(leaf, half + 1))
        call('ZADD', P .. 'i', 0, second)
        leaf = sub(leaf, 1, half)
    end
    call('SET', key, leaf)
end

-- Removes ids: each leaf that holds some of them is read and written once.
local function index_drop(ids)
    local gone = {}
    for n = 1, #ids do gone[ids[n]] = true end
    for n = 1, #ids do
        local start = gone[ids[n]] and leaf_of(ids[n])
        if start then
            local key, left = P .. 'i' .. start, {}
            local leaf = call('GET', key) or ''
            for at = 1, #leaf, 16 do
                local id = sub(leaf, at, at + 15)
                if gone[id] then gone[id] = nil else left[#left + 1] = id end
            end
            gone[ids[n]] = nil
            if #left == 0 then
                call('UNLINK', key)
                call('ZREM', P .. 'i', start)
            elseif #left * 16 < #leaf then
                call('SET', key, table.concat(left))
            end
        end
    end
end

-- Drops jobs that stand in no order; `rows`: batch → how many of them are its.
local function drop(ids, rows)
    if #ids == 0 then return end
    drop_keys(job_keys(ids))
    index_drop(ids)
    for number, gone in pairs(rows) do
        if number ~= NONE and call('HINCRBY', P .. 'b' .. number, 'n', -gone) <= 0 then
            call('ZADD', P .. 'o', now, number)
        end
    end
end

-- Drops what the retention (done, dead, age of done, age of dead) does not keep, after a look at no
-- more than `budget` jobs. Answers: how many it dropped, and looked at.
local function prune(retention, budget)
    local done, dead, done_for, dead_for = cut('>I6I6I6I6', retention)
    local pruned, looked = 0, 0
    for _, log in ipairs({ { 'd', done, done_for }, { 'x', dead, dead_for } }) do
        local key, keep, age = P .. log[1], log[2], log[3]
        local length = call('LLEN', key)
        while looked < budget and length > 0 do
            local step = min(128, budget - looked, length)
            local entries = call('LRANGE', key, 0, step - 1)
            local ids, take = {}, 0
            for n = 1, #entries do
                if length - take <= keep and cut('>I6', entries[n]) + age > now then break end
                take = n
                ids[n] = sub(entries[n], 7)
            end
            if take == 0 then break end
            call('LTRIM', key, take, -1)
            local values, gone, rows = jobs_of(ids), {}, {}
            for n = 1, take do
                local value = values[n]
                -- One that lives again, or has ended once more since, has another entry.
                if value and sub(value, 41, 46) == sub(entries[n], 1, 6) then
                    local state = byte(value, 1)
                    if state == 67 or state == 68 or state == 70 then
                        gone[#gone + 1] = ids[n]
                        local number = sub(value, 5, 8)
                        rows[number] = (rows[number] or 0) + 1
                    end
                end
            end
            drop(gone, rows)
            pruned, looked, length = pruned + #gone, looked + take, length - take
            if take < step then break end
        end
    end
    return pruned, looked
end

-- Ends leases: their records go, and the counts of their holders and states.
local function unlease(ids, records)
    if #ids == 0 then return end
    many('HDEL', P .. 'l', ids)
    many('ZREM', P .. 't', ids)
    local ends = {} -- line and worker → how many
    for n = 1, #ids do
        local tail = sub(records[n], 9)
        ends[tail] = (ends[tail] or 0) + 1
    end
    for tail, ended in pairs(ends) do
        local worker = sub(tail, 8)
        holders[worker] = (holders[worker] or 0) - ended
        count(sub(tail, 1, 7), 'l', -ended)
    end
end

local function is_cancelled(record)
    return byte(record, 1) == 49 or batch_of(sub(record, 11, 14)).cancelled
end

-- Writes what was only noted so far; every script that changes something ends with it.
local function close()
    flush()
    for queue, fields in pairs(of_queue) do
        for field, by in pairs(fields) do
            if by ~= 0 then call('HINCRBY', P .. 'q' .. queue, field, by) end
        end
    end
    for number, fields in pairs(of_batch) do
        for field, by in pairs(fields) do
            if by ~= 0 then call('HINCRBY', P .. 'b' .. number, field, by) end
        end
    end
    for number in pairs(changed) do
        if number ~= NONE then call('HSET', P .. 'b' .. number, 'm', now) end
    end
    for worker, by in pairs(holders) do
        if by ~= 0 and call('HINCRBY', P .. 'W', worker, by) <= 0 then call('HDEL', P .. 'W', worker) end
    end
    if tick then call('HSET', P .. 'c', 'r', tick[1], 'd', tick[2]) end
    local names = {}
    for queue in pairs(woken) do names[#names + 1] = call('HGET', P .. 'q' .. queue, 'n') end
    -- Without the permission for the channel the waiters of other processes only come later.
    if #names > 0 then redis.pcall('PUBLISH', P .. 'wake', table.concat(names, '\n')) end
end

-- The number of a queue, made when its name is new.
local function queue_number(name)
    local number = call('HGET', P .. 'Q', name)
    if not number then
        number = pack('>I2', call('HINCRBY', P .. 'c', 'nq', 1))
        call('HSET', P .. 'Q', name, number)
        call('HSET', P .. 'q' .. number, 'n', name)
    end
    return number
end

local function batch_number(id)
    local number = call('HGET', P .. 'N', id)
    if not number then
        number = pack('>I4', call('HINCRBY', P .. 'c', 'nb', 1))
        call('HSET', P .. 'N', id, number)
        call('ZADD', P .. 'B', 0, id)
        call('HSET', P .. 'b' .. number, 'i', id, 'c', now, 'm', now, 'n', 0)
    end
    return number
end
