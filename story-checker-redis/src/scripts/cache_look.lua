-- ARGV: keys. Answers: their values.
local keys = {}
for n = 1, #argv do keys[n] = P .. 'C' .. argv[n] end
return call('MGET', unpack(keys))
