-- ARGV: the capacity, then key, value and span ('' for ever) of each. `K` orders the keys by when they
-- were stored: beyond the capacity the oldest go.
local order = {}
for n = 2, #argv, 3 do
    local key = P .. 'C' .. argv[n]
    if argv[n + 2] == '' then
        call('SET', key, argv[n + 1])
    else
        call('SET', key, argv[n + 1], 'PX', argv[n + 2])
    end
    order[#order + 1], order[#order + 2] = now, argv[n]
end
many('ZADD', P .. 'K', order, 2)
local over = call('ZCARD', P .. 'K') - argv[1]
while over > 0 do
    local old = call('ZPOPMIN', P .. 'K', min(over, 128))
    local keys = {}
    for n = 1, #old, 2 do keys[#keys + 1] = P .. 'C' .. old[n] end
    call('UNLINK', unpack(keys))
    over = over - 128
end
close()
return 1
