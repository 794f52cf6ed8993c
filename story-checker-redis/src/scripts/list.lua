-- ARGV: after ('' from the first), how many ids to look at, how many jobs to find, queue, batch, state,
-- worker ('' any). Answers: where to go on ('' at the end), then the views.
local after, looks, most = argv[1], tonumber(argv[2]), tonumber(argv[3])
local queue, number, state, worker = argv[4], argv[5], argv[6], argv[7]
if queue ~= '' then
    queue = call('HGET', P .. 'Q', queue)
    if not queue then return { '' } end
end
if number ~= '' then
    number = call('HGET', P .. 'N', number)
    if not number then return { '' } end
end
local views = {}
local start = after ~= '' and leaf_of(after) or call('ZRANGE', P .. 'i', 0, 0)[1]
while start do
    local ids = ids_in(call('GET', P .. 'i' .. start) or '')
    while after ~= '' and #ids > 0 and not is_before(after, ids[1]) do table.remove(ids, 1) end
    if #ids > 0 then
        local records = leases_of(ids)
        for n = 1, #ids do
            local id, record = ids[n], records[n]
            local head = call('GETRANGE', P .. 'j' .. id, 0, 45)
            if head ~= '' and (queue == '' or sub(head, 3, 4) == queue)
                and (number == '' or sub(head, 5, 8) == number)
                and (worker == '' or record and sub(record, 16) == worker)
                and (state == '' or state_of(id, head, record) == state) then
                views[#views + 1] = view(id, call('GET', P .. 'j' .. id), record)
            end
            after = id
            looks = looks - 1
            if #views >= most or looks <= 0 then return { after, unpack(views) } end
        end
    end
    start = call('ZRANGEBYLEX', P .. 'i', '(' .. start, '+', 'LIMIT', 0, 1)[1]
end
return { '', unpack(views) }
