-- ARGV: keys, none to count what is there.
if #argv > 0 then
    local keys = {}
    for n = 1, #argv do keys[n] = P .. 'C' .. argv[n] end
    call('UNLINK', unpack(keys))
    call('ZREM', P .. 'K', unpack(argv))
end
return call('ZCARD', P .. 'K')
