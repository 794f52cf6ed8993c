-- ARGV: per session nine: id, expected version, kind, account, state, leasable at, end, sealed, home.
-- Answers: per session the stored version and 1, or 0 for a conflict.
local answers = {}
for n = 1, #argv, 9 do
    local id, expected = argv[n], tonumber(argv[n + 1])
    local old = session(id)
    local version = old and old.version or 0
    if version ~= expected then
        answers[#answers + 1] = { version, 0 }
    else
        local it = {
            id = id, version = version + 1, fence = 0, kind = argv[n + 2], account = argv[n + 3], state = argv[n + 4],
            at = tonumber(argv[n + 5]), ends = tonumber(argv[n + 6]), lease = 0, used = 0, sealed = argv[n + 7],
            home = argv[n + 8],
        }
        if old then
            -- The holder has seen another record: its next call is stale.
            it.fence, it.lease, it.used = old.fence + 1, old.lease, old.used
            forget(old)
        end
        save(it)
        call('ZADD', P .. 'Y', 0, id)
        call('SADD', account_key(it), id)
        place(it)
        answers[#answers + 1] = { it.version, 1 }
    end
end
close()
return answers
