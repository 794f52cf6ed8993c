-- ARGV: per session seven: id, fence, state, leasable at, end, sealed, home. Answers as for renewals.
insist()
local answers = {}
for n = 1, #argv, 7 do
    local it = held(argv[n], argv[n + 1])
    if it then
        it.state, it.at, it.ends = argv[n + 2], tonumber(argv[n + 3]), tonumber(argv[n + 4])
        it.sealed, it.home, it.version = argv[n + 5], argv[n + 6], it.version + 1
        save(it)
        place(it)
    end
    answers[#answers + 1] = it and 'h' or 's'
end
close()
return table.concat(answers)
