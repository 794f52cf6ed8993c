-- ARGV: ids. Answers: a view or nothing for each.
local ids, views = {}, {}
for n = 1, #argv do ids[n] = argv[n] end
local values, records = jobs_of(ids), leases_of(ids)
for n = 1, #ids do views[n] = values[n] and view(ids[n], values[n], records[n]) or {} end
return views
