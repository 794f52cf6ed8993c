-- The number of the last grant of any session: a session that is removed and put again must not
-- begin anew.
CREATE TABLE session_fence(id INTEGER PRIMARY KEY CHECK (id = 1), last INTEGER NOT NULL) STRICT;
INSERT INTO session_fence VALUES (1, 0);

-- state: JSON. ready_at: when its state lets it be leased; NULL: not without the operator.
-- leased_until: the end of the lease; 0: it is not leased. expires_at: of its credentials.
CREATE TABLE session(
    id INTEGER PRIMARY KEY, label TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, account TEXT,
    state TEXT NOT NULL, ready_at INTEGER, sealed BLOB NOT NULL, expires_at INTEGER, home TEXT,
    version INTEGER NOT NULL, fence INTEGER NOT NULL, leased_until INTEGER NOT NULL,
    last_used INTEGER NOT NULL
) STRICT;
CREATE INDEX session_line ON session(kind, last_used, id) WHERE ready_at IS NOT NULL;

CREATE TABLE proxy(id TEXT NOT NULL PRIMARY KEY, state TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- Entries that were written later have larger numbers.
CREATE TABLE cache(
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, value BLOB NOT NULL, until INTEGER
) STRICT;
