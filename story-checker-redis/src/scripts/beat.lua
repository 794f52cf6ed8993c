-- ARGV: worker, lease, then id and fence (16 + 6) of each. Answers: one byte per lease (h held, c
-- cancel, s stale).
insist()
local ids, answers, times = {}, {}, {}
for n = 3, #argv do ids[n - 2] = sub(argv[n], 1, 16) end
local records = #ids > 0 and leases_of(ids) or {}
local until_ = string.format('%d', later(argv[2]))
for n = 1, #ids do
    local record = records[n]
    if record and sub(record, 2, 7) == sub(argv[n + 2], 17, 22) then
        times[#times + 1], times[#times + 2] = until_, ids[n]
        answers[n] = is_cancelled(record) and 'c' or 'h'
    else
        answers[n] = 's'
    end
end
many('ZADD', P .. 't', times, 2)
call('ZADD', P .. 'w', now, argv[1])
close()
return table.concat(answers)
