-- ARGV: what (cancel, delete, replay, deadline), the deadline's span ('' none), the ids.
-- Answers: how many were changed.
local what, span = argv[1], argv[2]
local ids = {}
for n = 3, #argv do ids[n - 2] = argv[n] end
local acts = {}

function acts.cancel(id, job, record)
    if record then
        call('HSET', P .. 'l', id, '1' .. sub(record, 2))
        return true
    end
    local state = job.state
    if state == 'D' or state == 'F' or state == 'C' or batch_of(sub(job.line, 3, 6)).cancelled then return false end
    leave(id, job)
    finish(id, job, 'C')
    store(id, job)
    return true
end

function acts.delete(id, job, record)
    local state, number = job.state, sub(job.line, 3, 6)
    if record then return false end
    if state ~= 'D' and state ~= 'F' and state ~= 'C' then
        if not batch_of(number).cancelled then return false end
        -- Its batch was cancelled, and maintenance has not come to it yet.
        leave(id, job)
        finish(id, job, 'C')
    end
    drop({ id }, { [number] = 1 })
    return true
end

function acts.replay(id, job, record)
    local state, queue = job.state, sub(job.line, 1, 2)
    if record or (state ~= 'F' and state ~= 'C') or batch_of(sub(job.line, 3, 6)).cancelled then return false end
    if job.unique ~= '' and call('HSETNX', P .. 'u' .. queue, job.unique, id) == 0 then return false end
    count(job.line, state == 'F' and 'f' or 'c', -1)
    job.attempt, job.crashes, job.deferrals, job.deadline, job.reason = 0, 0, 0, 0, 0
    job.note, job.result = '', ''
    enter(id, job, now)
    store(id, job)
    return true
end

function acts.deadline(id, job, record)
    local state = job.state
    if not record then
        if state == 'D' or state == 'F' or state == 'C' or batch_of(sub(job.line, 3, 6)).cancelled then
            return false
        end
        local key = P .. 'e' .. sub(job.line, 1, 2)
        if span == '' then
            call('ZREM', key, id)
        else
            call('ZADD', key, later(span), id)
        end
    end
    job.deadline = span == '' and 0 or later(span)
    store(id, job)
    return true
end

local done = 0
for n = 1, #ids do
    local id = ids[n]
    local value = call('GET', P .. 'j' .. id)
    if value and acts[what](id, parse(value), call('HGET', P .. 'l', id)) then
        done = done + 1
        -- The same id may be named twice.
        flush()
    end
end
close()
return done
