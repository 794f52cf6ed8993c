insist()
local next_at, groups, ids, jobs = claim(1)
close()
return { next_at, groups, ids, unpack(jobs) }
