-- Files that callers may send to a place of their own, which the slot names.
-- md5 is what the caller said, or nothing, until the file is received.
CREATE TABLE incoming (
    id         {id},
    caller_id  BIGINT NOT NULL REFERENCES callers (id),
    slot       TEXT NOT NULL UNIQUE,
    path       TEXT NOT NULL UNIQUE,
    name       TEXT NOT NULL,
    md5        TEXT NOT NULL,
    status     TEXT NOT NULL,
    bytes      BIGINT NOT NULL,
    blob_key   TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    used_at    BIGINT NOT NULL
);

CREATE INDEX incoming_by_use ON incoming (used_at);

-- Device ids of audiences on their way to where they are used.
CREATE TABLE deliveries (
    id              {id},
    audience_id     BIGINT NOT NULL REFERENCES audiences (id),
    caller_id       BIGINT NOT NULL REFERENCES callers (id),
    destination     TEXT NOT NULL,
    name            TEXT NOT NULL,
    status          TEXT NOT NULL,
    step            TEXT NOT NULL,
    settings        TEXT NOT NULL,
    secret_sealed   TEXT NOT NULL,
    state           TEXT,
    report          TEXT,
    warnings        TEXT NOT NULL,
    failures        BIGINT NOT NULL,
    error           TEXT,
    next_attempt_at BIGINT,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    finished_at     BIGINT
);

CREATE INDEX deliveries_by_audience ON deliveries (audience_id, id);

-- What callers are known by where they deliver to.
CREATE TABLE credentials (
    caller_id     BIGINT NOT NULL REFERENCES callers (id),
    name          TEXT NOT NULL,
    destination   TEXT NOT NULL,
    endpoint      TEXT NOT NULL,
    secret_sealed TEXT NOT NULL,
    updated_at    BIGINT NOT NULL,
    PRIMARY KEY (caller_id, name)
);
