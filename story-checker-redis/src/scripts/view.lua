-- Part of the scripts that show jobs.
local names = {}
local function name_of(queue)
    if not names[queue] then names[queue] = call('HGET', P .. 'q' .. queue, 'n') or '' end
    return names[queue]
end

-- Where a job stands, by the start of its value: what waits in a cancelled batch is cancelled.
local function state_of(id, start, record)
    local state = sub(start, 1, 1)
    if record then return 'X' end
    if state == 'D' or state == 'F' or state == 'C' then return state end
    if batch_of(sub(start, 5, 8)).cancelled then return 'C' end
    if state == 'S' and call('ZSCORE', P .. 's' .. sub(start, 3, 4), id .. sub(start, 29, 34) .. sub(start, 3, 9)) then
        return 'S'
    end
    return 'R'
end

-- Id, state, the job as stored, its lease, when that ends, queue, batch.
local function view(id, value, record)
    local until_ = record and call('ZSCORE', P .. 't', id)
    local batch = batch_of(sub(value, 5, 8)).id
    return {
        id, state_of(id, value, record), value, record or '', until_ or '', name_of(sub(value, 3, 4)), batch or '',
    }
end
