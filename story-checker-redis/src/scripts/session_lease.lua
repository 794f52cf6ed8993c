-- ARGV: kind, how long, how many, whether an account is named, that account. Answers: when one more
-- may be leased (0 unknown), then the sessions.
insist()
local kind, ttl, most = argv[1], tonumber(argv[2]), tonumber(argv[3])
local ready, later = P .. 'Yr' .. kind, P .. 'Yl' .. kind

for _, id in ipairs(call('ZRANGEBYSCORE', P .. 'Ye' .. kind, '-inf', now, 'LIMIT', 0, 512)) do
    local it = session(id)
    it.state, it.at, it.version = EXPIRED, -1, it.version + 1
    save(it)
    place(it)
end
for _, id in ipairs(call('ZRANGEBYSCORE', later, '-inf', now, 'LIMIT', 0, 512)) do place(session(id)) end

local chosen, next_at = {}, nil
if argv[4] == '1' then
    for _, id in ipairs(call('SMEMBERS', P .. 'Ya' .. kind .. '\0' .. argv[5])) do
        local it = session(id)
        local at = it and leasable(it)
        if at and at <= now then
            chosen[#chosen + 1] = it
        elseif at and (not next_at or at < next_at) then
            next_at = at
        end
    end
    table.sort(chosen, function(a, b)
        if a.used ~= b.used then return a.used < b.used end
        return a.id < b.id
    end)
    for n = #chosen, most + 1, -1 do chosen[n] = nil end
elseif most > 0 then
    for _, id in ipairs(call('ZRANGE', ready, 0, most - 1)) do chosen[#chosen + 1] = session(id) end
end
if argv[4] ~= '1' then
    local soon = call('ZRANGE', later, 0, 0, 'WITHSCORES')[2]
    next_at = soon and tonumber(soon)
end

local out = { next_at or 0 }
for _, it in ipairs(chosen) do
    if it.state ~= VALID then
        -- Its rest is over.
        it.state, it.at, it.version = VALID, 0, it.version + 1
    end
    it.fence, it.lease, it.used = it.fence + 1, min(now + ttl, 253402300799999), now
    save(it)
    place(it)
    out[#out + 1] = shown(it)
end
close()
return out
