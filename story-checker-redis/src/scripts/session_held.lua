-- ARGV: what (renew, release), how long, then id and fence of each. Answers: h held or s stale, one
-- byte each.
insist()
local answers = {}
for n = 3, #argv, 2 do
    local it = held(argv[n], argv[n + 1])
    if it then
        if argv[1] == 'renew' then
            it.lease = later(argv[2])
        else
            it.lease, it.used = 0, now
        end
        save(it)
        place(it)
    end
    answers[#answers + 1] = it and 'h' or 's'
end
close()
return table.concat(answers)
