-- Times are milliseconds: of the store's clock, or since the machine's boot where named so.
CREATE TABLE clock(
    id INTEGER PRIMARY KEY CHECK (id = 1),
    boot BLOB NOT NULL, since_boot INTEGER NOT NULL, store INTEGER NOT NULL,
    slew INTEGER NOT NULL, tick INTEGER NOT NULL
) STRICT;

-- How many ended rows there are: done, and dead or cancelled.
CREATE TABLE kept(
    id INTEGER PRIMARY KEY CHECK (id = 1),
    done INTEGER NOT NULL, rest INTEGER NOT NULL
) STRICT;
INSERT INTO kept VALUES (1, 0, 0);

CREATE TABLE queue(
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
    paused INTEGER NOT NULL DEFAULT 0, max_len INTEGER,
    ready INTEGER NOT NULL DEFAULT 0, scheduled INTEGER NOT NULL DEFAULT 0,
    leased INTEGER NOT NULL DEFAULT 0, done INTEGER NOT NULL DEFAULT 0,
    dead INTEGER NOT NULL DEFAULT 0, cancelled INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE batch(
    id INTEGER PRIMARY KEY, uid BLOB NOT NULL UNIQUE,
    paused INTEGER NOT NULL DEFAULT 0, cancelled INTEGER NOT NULL DEFAULT 0,
    sweep INTEGER NOT NULL DEFAULT 0, created_at INTEGER NOT NULL
) STRICT;
-- Cancelled batches of which rows may still wait.
CREATE INDEX batch_sweep ON batch(id) WHERE sweep = 1;
CREATE INDEX batch_cancelled ON batch(id) WHERE cancelled = 1;

-- What a batch has in a queue. The hidden wait although the batch is cancelled; they count as
-- cancelled.
CREATE TABLE share(
    batch INTEGER NOT NULL, queue INTEGER NOT NULL,
    ready INTEGER NOT NULL DEFAULT 0, scheduled INTEGER NOT NULL DEFAULT 0,
    leased INTEGER NOT NULL DEFAULT 0, done INTEGER NOT NULL DEFAULT 0,
    dead INTEGER NOT NULL DEFAULT 0, cancelled INTEGER NOT NULL DEFAULT 0,
    hidden_ready INTEGER NOT NULL DEFAULT 0, hidden_scheduled INTEGER NOT NULL DEFAULT 0,
    stored INTEGER NOT NULL DEFAULT 0, changed_at INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (batch, queue)
) STRICT, WITHOUT ROWID;

CREATE TABLE worker(
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, seen_at INTEGER NOT NULL
) STRICT;
CREATE INDEX worker_seen ON worker(seen_at);

-- Whose turn it is: one row per queue, priority and batch that may have ready jobs. Closed lines
-- belong to paused or cancelled batches; a claim does not see them.
CREATE TABLE line(
    queue INTEGER NOT NULL, prio INTEGER NOT NULL, batch INTEGER NOT NULL,
    turn INTEGER NOT NULL, open INTEGER NOT NULL,
    PRIMARY KEY (queue, prio, batch)
) STRICT, WITHOUT ROWID;
CREATE INDEX line_turn ON line(queue, open, prio, turn);
CREATE INDEX line_batch ON line(batch);

-- The hot part of a job. batch and worker: 0 for none. state: 0 ready, 1 scheduled, 2 leased,
-- 3 done, 4 dead, 5 cancelled. at: due, end of the lease, or end.
CREATE TABLE job(
    id INTEGER PRIMARY KEY, uid BLOB NOT NULL,
    queue INTEGER NOT NULL, batch INTEGER NOT NULL, prio INTEGER NOT NULL,
    state INTEGER NOT NULL, at INTEGER NOT NULL, fence INTEGER NOT NULL, worker INTEGER NOT NULL,
    attempt INTEGER NOT NULL, crashes INTEGER NOT NULL, deferrals INTEGER NOT NULL,
    cancel INTEGER NOT NULL, enqueued_at INTEGER NOT NULL, deadline INTEGER, ukey BLOB
) STRICT;
CREATE UNIQUE INDEX job_uid ON job(uid);
CREATE UNIQUE INDEX job_unique ON job(queue, ukey) WHERE ukey IS NOT NULL AND state < 3;
CREATE INDEX job_ready ON job(queue, batch, prio, id) WHERE state = 0;
CREATE INDEX job_due ON job(queue, at) WHERE state = 1;
CREATE INDEX job_deadline ON job(queue, deadline) WHERE deadline IS NOT NULL AND state < 2;
CREATE INDEX job_lease ON job(at, worker) WHERE state = 2;
CREATE INDEX job_done ON job(at) WHERE state = 3;
CREATE INDEX job_rest ON job(at) WHERE state >= 4;
CREATE INDEX job_batch ON job(batch, uid) WHERE batch <> 0;
CREATE INDEX job_rest_state ON job(state, uid) WHERE state >= 4;
CREATE INDEX job_rest_batch ON job(batch, state, uid) WHERE state >= 4;

-- The cold parts: not written again when a job changes its state.
CREATE TABLE job_body(id INTEGER PRIMARY KEY, payload BLOB NOT NULL) STRICT;
CREATE TABLE job_note(id INTEGER PRIMARY KEY, reason INTEGER, result BLOB, note TEXT NOT NULL) STRICT;
