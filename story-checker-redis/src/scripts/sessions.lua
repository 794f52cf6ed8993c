-- Part of the scripts of sessions. A session is a hash `y<id>`: v version, f fence, k kind, a account
-- ('' any), s state as JSON, t when it may be leased by its state (-1 never), e end of its
-- credentials (0 none), c sealed credentials, h home proxy, l end of the lease (0 none), w last used.
-- `Y` orders the labels. Of each kind: `Yr` those that may be leased now, by their last use; `Yl` the
-- others, by when they may; `Ye` the valid ones, by the end of their credentials. `Ya`, kind and
-- account: the sessions of that account.
local EXPIRED, VALID = '{"state":"expired"}', '{"state":"valid"}'

local function session(id)
    local row = call('HMGET', P .. 'y' .. id, 'v', 'f', 'k', 'a', 's', 't', 'e', 'l', 'w', 'c', 'h')
    if not row[1] then return nil end
    return {
        id = id, version = tonumber(row[1]), fence = tonumber(row[2]), kind = row[3], account = row[4], state = row[5],
        at = tonumber(row[6]), ends = tonumber(row[7]), lease = tonumber(row[8]), used = tonumber(row[9]),
        sealed = row[10], home = row[11],
    }
end

local function save(it)
    call('HSET', P .. 'y' .. it.id, 'v', it.version, 'f', it.fence, 'k', it.kind, 'a', it.account, 's', it.state,
        't', it.at, 'e', it.ends, 'l', it.lease, 'w', it.used, 'c', it.sealed, 'h', it.home)
end

-- When it may be leased; nil: not without the operator.
local function leasable(it)
    if it.at < 0 then return nil end
    return max(it.at, it.lease)
end

-- Puts it where `lease` looks for it.
local function place(it)
    local at = leasable(it)
    local ready, later, ends = P .. 'Yr' .. it.kind, P .. 'Yl' .. it.kind, P .. 'Ye' .. it.kind
    if at and at <= now then
        call('ZADD', ready, it.used, it.id)
        call('ZREM', later, it.id)
    else
        call('ZREM', ready, it.id)
        if at then call('ZADD', later, at, it.id) else call('ZREM', later, it.id) end
    end
    if it.ends > 0 and it.state == VALID then
        call('ZADD', ends, it.ends, it.id)
    else
        call('ZREM', ends, it.id)
    end
end

local function account_key(it) return P .. 'Ya' .. it.kind .. '\0' .. it.account end

local function forget(it)
    call('UNLINK', P .. 'y' .. it.id)
    call('ZREM', P .. 'Y', it.id)
    call('ZREM', P .. 'Yr' .. it.kind, it.id)
    call('ZREM', P .. 'Yl' .. it.kind, it.id)
    call('ZREM', P .. 'Ye' .. it.kind, it.id)
    call('SREM', account_key(it), it.id)
end

-- The session of a lease that holds: one whose time is over does so while nobody else was granted it.
local function held(id, fence)
    local it = session(id)
    if it and it.fence == tonumber(fence) and it.lease > 0 then return it end
    return nil
end

local function shown(it)
    return { it.id, it.version, it.fence, it.kind, it.account, it.state, it.sealed, it.home, it.used }
end
