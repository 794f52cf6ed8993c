-- ARGV: what (cancel, pause, resume, replay), the batch. Answers: jobs changed, or -1 if there is no
-- such batch. Its lines leave or join their queues: a few steps, however many jobs wait in them.
local what, id = argv[1], argv[2]
local number = call('HGET', P .. 'N', id)
if not number then return -1 end
local key = P .. 'b' .. number
local batch = batch_of(number)
local fields = call('HGETALL', key)
local counts = {}
for n = 1, #fields, 2 do counts[fields[n]] = tonumber(fields[n + 1]) end

local function hide_lines()
    for _, line in ipairs(call('SMEMBERS', P .. 'g' .. number)) do
        call('ZREM', P .. 'L' .. sub(line, 1, 2), line)
    end
end

local function show_lines()
    for _, line in ipairs(call('SMEMBERS', P .. 'g' .. number)) do open(line) end
end

local function each_queue(act)
    local seen = {}
    for field in pairs(counts) do
        local queue = sub(field, 1, 2)
        if #field == 3 and not seen[queue] then
            seen[queue] = true
            act(queue)
        end
    end
end

local done = 0
if what == 'cancel' then
    if not batch.cancelled then
        batch.cancelled = true
        call('HSET', key, 'x', 1)
        each_queue(function(queue)
            local ready, scheduled = counts[queue .. 'r'] or 0, counts[queue .. 's'] or 0
            done = done + ready + scheduled + (counts[queue .. 'l'] or 0)
            call('HSET', key, queue .. 'R', ready, queue .. 'S', scheduled)
            local line = queue .. number
            count(line, 'r', -ready)
            count(line, 's', -scheduled)
            count(line, 'c', ready + scheduled)
        end)
        hide_lines()
        call('RPUSH', P .. 'z', number)
    end
elseif what == 'replay' then
    batch.cancelled = false
    call('HSET', key, 'x', 0)
    each_queue(function(queue)
        local ready, scheduled = counts[queue .. 'R'] or 0, counts[queue .. 'S'] or 0
        done = done + ready + scheduled
        call('HSET', key, queue .. 'R', 0, queue .. 'S', 0)
        local line = queue .. number
        count(line, 'r', ready)
        count(line, 's', scheduled)
        count(line, 'c', -ready - scheduled)
        if scheduled > 0 then woken[queue] = true end
    end)
    show_lines()
else
    each_queue(function(queue)
        done = done + (counts[queue .. 'r'] or 0) + (counts[queue .. 's'] or 0) + (counts[queue .. 'l'] or 0)
    end)
    batch.paused = what == 'pause'
    call('HSET', key, 'p', batch.paused and 1 or 0)
    if batch.paused then hide_lines() else show_lines() end
end
close()
return done
