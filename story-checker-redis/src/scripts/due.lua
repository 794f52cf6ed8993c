-- ARGV: queues. Answers: in how many milliseconds one of them has a due job, -1 if that is unknown.
local soonest = -1
for n = 1, #argv do
    local queue = call('HGET', P .. 'Q', argv[n])
    if queue and call('HGET', P .. 'q' .. queue, 'p') ~= '1' then
        if call('EXISTS', P .. 'L' .. queue) == 1 then return 0 end
        local soon = call('ZRANGE', P .. 's' .. queue, 0, 0, 'WITHSCORES')[2]
        if soon then
            local span = max(0, soon - now)
            if soonest < 0 or span < soonest then soonest = span end
        end
    end
end
return soonest
