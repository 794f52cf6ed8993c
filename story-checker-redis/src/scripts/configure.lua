-- ARGV: queue, paused ('' as it is, 0, 1), the most live jobs ('' as it is, '-' no limit).
local queue = queue_number(argv[1])
local key = P .. 'q' .. queue
if argv[2] ~= '' then
    call('HSET', key, 'p', argv[2])
    if argv[2] == '0' then woken[queue] = true end
end
if argv[3] == '-' then
    call('HDEL', key, 'm')
elseif argv[3] ~= '' then
    call('HSET', key, 'm', argv[3])
end
close()
return 1
