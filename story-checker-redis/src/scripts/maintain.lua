-- ARGV: the retention, the budget, how long a worker is remembered. Answers: reaped, pruned,
-- and how many jobs were looked at.
insist()
local retention, budget = argv[1], tonumber(argv[2])

-- Leases that are over: each job waits again, with one more crash and another fence.
local ids = call('ZRANGEBYSCORE', P .. 't', '-inf', now, 'LIMIT', 0, budget)
local reaped = #ids
if reaped > 0 then
    local records, values = leases_of(ids), jobs_of(ids)
    local over, over_records = {}, {}
    for n = 1, reaped do
        local id, record, value = ids[n], records[n], values[n]
        if record then
            over[#over + 1], over_records[#over_records + 1] = id, record
            if value then
                local job = parse(value)
                job.crashes = job.crashes + 1
                job.fence = cut('>I6', record, 2) + 1
                if is_cancelled(record) then
                    finish(id, job, 'C')
                else
                    enter(id, job, now)
                end
                store(id, job)
            end
        else
            call('ZREM', P .. 't', id)
        end
    end
    unlease(over, over_records)
    flush()
end

-- Waiting jobs of cancelled batches, which were counted as cancelled all along.
local swept = 0
local function sweep(line, number)
    local list, back = P .. 'f' .. line, P .. 'k' .. line
    while swept < budget - reaped do
        local step = min(64, budget - reaped - swept)
        local popped = call('LPOP', list, step) or {}
        local names = call('ZRANGE', back, 0, step - 1)
        if #names > 0 then call('ZREMRANGEBYRANK', back, 0, #names - 1) end
        local fresh = #names
        for n = 1, #popped do names[#names + 1] = sub(popped[n], 1, 16) end
        if #names == 0 then
            call('SREM', P .. 'g' .. number, line)
            return
        end
        local values = jobs_of(names)
        for n = 1, #names do
            local value = values[n]
            if value and (n <= fresh
                or byte(value, 1) == 76 and sub(value, 29, 34) == sub(popped[n - fresh], 17, 22)) then
                local job = parse(value)
                leave(names[n], job)
                finish(names[n], job, 'C')
                store(names[n], job)
            end
        end
        swept = swept + #names
    end
end
while swept < budget - reaped do
    local number = call('LINDEX', P .. 'z', 0)
    if not number then break end
    if batch_of(number).cancelled then
        -- Scheduled jobs follow when they become due.
        local lines = call('SMEMBERS', P .. 'g' .. number)
        for n = 1, #lines do sweep(lines[n], number) end
        if call('EXISTS', P .. 'g' .. number) == 0 then call('LPOP', P .. 'z') end
    else
        call('LPOP', P .. 'z')
    end
end
flush()

local pruned, looked = prune(retention, budget - reaped - swept)

-- Batches without a job are remembered as long as their jobs would be.
local _, _, done_for, dead_for = cut('>I6I6I6I6', retention)
local old = call('ZRANGEBYSCORE', P .. 'o', '-inf', now - max(done_for, dead_for), 'LIMIT', 0, 64)
for n = 1, #old do
    local number = old[n]
    local row = call('HMGET', P .. 'b' .. number, 'i', 'n')
    call('ZREM', P .. 'o', number)
    if row[1] and tonumber(row[2]) <= 0 then
        call('UNLINK', P .. 'b' .. number, P .. 'g' .. number)
        call('HDEL', P .. 'N', row[1])
        call('ZREM', P .. 'B', row[1])
        of_batch[number], changed[number] = nil, nil
    end
end

call('ZREMRANGEBYSCORE', P .. 'w', '-inf', now - argv[3])
close()
return { reaped, pruned, reaped + swept + looked }
