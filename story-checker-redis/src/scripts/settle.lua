-- ARGV: the retention; the number of settlements; two of each: head and body; then a claim, or
-- nothing. The head: id (16), fence (6), outcome, reason, after (6); the body: result or note.
-- Answers: one byte per settlement (a applied, d already done, g gone, s stale), then the claim's.
insist()
local retention, total = argv[1], tonumber(argv[2])
local ids = {}
for n = 1, total do ids[n] = sub(argv[2 * n + 1], 1, 16) end
local records = leases_of(ids)
local keep_done = sub(retention, 1, 6) ~= '\0\0\0\0\0\0' and sub(retention, 13, 18) ~= '\0\0\0\0\0\0'
local answers, ended, ended_records = {}, {}, {}
local gone, rows, rest = {}, {}, {}
for n = 1, total do
    local head, record = argv[2 * n + 1], records[n]
    if record and sub(record, 2, 7) == sub(head, 17, 22) then
        answers[n] = 'a'
        ended[#ended + 1], ended_records[#ended_records + 1] = ids[n], record
        -- Done, nothing of it is kept, and no key to free: its record says all that counts.
        if byte(head, 23) == 68 and not keep_done and floor(byte(record, 8) / 2) % 2 == 0 then
            local line = sub(record, 9, 15)
            local number = sub(line, 3, 6)
            gone[#gone + 1] = ids[n]
            rows[number] = (rows[number] or 0) + 1
            count(line, 'd', 1)
        else
            rest[#rest + 1] = n
        end
    elseif record then
        answers[n] = 's'
    else
        local fence = call('GETRANGE', P .. 'j' .. ids[n], 22, 27)
        answers[n] = fence == '' and 'g' or fence == sub(head, 17, 22) and 'd' or 's'
    end
end
unlease(ended, ended_records)
drop(gone, rows)
if #rest > 0 then
    local names = {}
    for n = 1, #rest do names[n] = ids[rest[n]] end
    local values = jobs_of(names)
    for n = 1, #rest do
        local id, value = names[n], values[n]
        local head, text = argv[2 * rest[n] + 1], argv[2 * rest[n] + 2]
        if not value then
            answers[rest[n]] = 'g'
        elseif byte(head, 23) == 68 then
            -- A result of an earlier end goes with a replay, so there is none to replace.
            finish_done(id, value, sub(head, 17, 22), text)
        else
            local job, record = parse(value), records[rest[n]]
            local reason, after = cut('>BI6', head, 24)
            local outcome = sub(head, 23, 23)
            job.fence = cut('>I6', record, 2)
            if outcome == 'F' then
                job.result, job.reason = text, reason
                finish(id, job, 'F')
            elseif outcome == 'C' or is_cancelled(record) then
                finish(id, job, 'C')
            else
                if outcome == 'P' then
                    job.deferrals, job.note = job.deferrals + 1, text
                elseif outcome == 'T' then
                    job.attempt, job.note = job.attempt + 1, text
                end
                enter(id, job, later(after))
            end
            store(id, job)
        end
    end
end
flush()
prune(retention, total * 2)
local next_at, groups, claimed, jobs = '', '', '', {}
if #argv > 2 * total + 2 then
    next_at, groups, claimed, jobs = claim(2 * total + 3)
end
close()
return { table.concat(answers), next_at, groups, claimed, unpack(jobs) }
