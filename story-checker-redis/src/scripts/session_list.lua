-- ARGV: after, how many. Answers: the sessions.
local ids = call('ZRANGEBYLEX', P .. 'Y', argv[1] == '' and '-' or '(' .. argv[1], '+', 'LIMIT', 0, argv[2])
local out = {}
for n = 1, #ids do out[n] = shown(session(ids[n])) end
return out
