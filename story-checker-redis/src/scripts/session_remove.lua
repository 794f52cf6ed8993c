-- ARGV: ids. Answers: 1 or 0 for each.
local answers = {}
for n = 1, #argv do
    local it = session(argv[n])
    if it then forget(it) end
    answers[n] = it and '1' or '0'
end
close()
return table.concat(answers)
