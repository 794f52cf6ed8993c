-- ARGV: queues; or workers; or batches and ids; or after, an id ('' from the first) and how many.
-- Answers: queues: name, paused, limit, counts; workers: name, seen at, leases; batches: id, paused,
-- cancelled, created, changed, counts. Counts: ready, scheduled, leased, done, dead, cancelled.
local what, rows = argv[1], {}
if what == 'queues' then
    local all = call('HGETALL', P .. 'Q')
    for n = 1, #all, 2 do
        local row = call('HMGET', P .. 'q' .. all[n + 1], 'p', 'm', 'r', 's', 'l', 'd', 'f', 'c')
        rows[#rows + 1] = { all[n], unpack(row, 1, 8) }
    end
elseif what == 'workers' then
    local all = call('ZRANGE', P .. 'w', 0, -1, 'WITHSCORES')
    for n = 1, #all, 2 do
        rows[#rows + 1] = { all[n], all[n + 1], call('HGET', P .. 'W', all[n]) or '0' }
    end
else
    local ids = {}
    if what == 'after' then
        ids = call('ZRANGEBYLEX', P .. 'B', argv[2] == '' and '-' or '(' .. argv[2], '+', 'LIMIT', 0, argv[3])
    else
        for n = 2, #argv do ids[n - 1] = argv[n] end
    end
    for n = 1, #ids do
        local number = call('HGET', P .. 'N', ids[n])
        if number then
            local fields, sums, plain = call('HGETALL', P .. 'b' .. number), {}, {}
            for i = 1, #fields, 2 do
                local name = fields[i]
                if #name == 3 then
                    local state = sub(name, 3)
                    sums[state] = (sums[state] or 0) + fields[i + 1]
                else
                    plain[name] = fields[i + 1]
                end
            end
            local row = { ids[n], plain.p or '0', plain.x or '0', plain.c or '0', plain.m or '0' }
            for _, state in ipairs({ 'r', 's', 'l', 'd', 'f', 'c' }) do
                row[#row + 1] = string.format('%d', sums[state] or 0)
            end
            rows[#rows + 1] = row
        end
    end
end
return rows
