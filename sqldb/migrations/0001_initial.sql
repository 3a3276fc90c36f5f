-- Instants are microseconds since 1970 (UTC), truth values 0 or 1, JSON is TEXT.
-- {id} is a BIGINT primary key that the database gives out, never twice.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE callers (
    id                    {id},
    name                  TEXT NOT NULL UNIQUE,
    token_hash            TEXT NOT NULL UNIQUE,
    token_id              TEXT NOT NULL,
    access_key            TEXT NOT NULL UNIQUE,
    api_key_sealed        TEXT NOT NULL,
    webhook_secret_sealed TEXT NOT NULL,
    can_generate          TEXT NOT NULL,
    can_view              TEXT NOT NULL,
    can_download          TEXT NOT NULL,
    grants                TEXT NOT NULL,
    builds                BIGINT NOT NULL,
    insights              BIGINT NOT NULL,
    expansions            BIGINT NOT NULL,
    concurrent_builds     BIGINT NOT NULL,
    created_at            BIGINT NOT NULL,
    revoked_at            BIGINT
);

CREATE TABLE audiences (
    id                   {id},
    caller_id            BIGINT NOT NULL REFERENCES callers (id),
    kind                 TEXT NOT NULL,
    name                 TEXT NOT NULL,
    name_folded          TEXT NOT NULL,
    description          TEXT NOT NULL,
    status               TEXT NOT NULL,
    step                 TEXT NOT NULL,
    progress             DOUBLE PRECISION NOT NULL,
    heartbeat_at         BIGINT,
    size                 BIGINT,
    generation           TEXT NOT NULL,
    as_of                BIGINT,
    created_at           BIGINT NOT NULL,
    updated_at           BIGINT NOT NULL,
    finished_at          BIGINT,
    definition           TEXT,
    parameter_sizes      TEXT,
    warnings             TEXT NOT NULL,
    error                TEXT,
    callback_url         TEXT NOT NULL,
    insight_callback_url TEXT NOT NULL,
    auto_insight         BIGINT NOT NULL,
    outputs              TEXT NOT NULL,
    source_id            BIGINT,
    platform             BIGINT NOT NULL,
    details              TEXT,
    deleted_at           BIGINT
);

CREATE INDEX audiences_by_caller ON audiences (caller_id, kind, id);

CREATE INDEX audiences_by_status ON audiences (status);

CREATE TABLE outputs (
    audience_id BIGINT NOT NULL REFERENCES audiences (id),
    type        TEXT NOT NULL,
    people      BIGINT NOT NULL,
    rows        BIGINT NOT NULL,
    bytes       BIGINT NOT NULL,
    sha256      TEXT NOT NULL,
    blob_key    TEXT NOT NULL,
    PRIMARY KEY (audience_id, type)
);

CREATE TABLE uploads (
    id            {id},
    caller_id     BIGINT NOT NULL REFERENCES callers (id),
    key           TEXT NOT NULL,
    type          TEXT NOT NULL,
    name          TEXT NOT NULL,
    md5           TEXT NOT NULL,
    status        TEXT NOT NULL,
    rows          BIGINT NOT NULL,
    invalid       BIGINT NOT NULL,
    duplicate     BIGINT NOT NULL,
    matched       BIGINT NOT NULL,
    unmatched     BIGINT NOT NULL,
    generation    TEXT NOT NULL,
    blob_key      TEXT NOT NULL,
    invalid_lines TEXT,
    details       TEXT,
    created_at    BIGINT NOT NULL,
    UNIQUE (caller_id, key)
);

CREATE TABLE uses (
    audience_id BIGINT NOT NULL REFERENCES audiences (id),
    kind        TEXT NOT NULL,
    used_id     BIGINT NOT NULL,
    PRIMARY KEY (audience_id, kind, used_id)
);

CREATE INDEX uses_by_used ON uses (kind, used_id);

CREATE TABLE idempotency (
    caller_id  BIGINT NOT NULL,
    method     TEXT NOT NULL,
    path       TEXT NOT NULL,
    key        TEXT NOT NULL,
    body_hash  TEXT NOT NULL,
    status     BIGINT NOT NULL,
    response   TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (caller_id, method, path, key)
);

CREATE INDEX idempotency_by_age ON idempotency (created_at);

CREATE TABLE sessions (
    id_hash    TEXT PRIMARY KEY,
    caller_id  BIGINT NOT NULL REFERENCES callers (id),
    expires_at BIGINT NOT NULL
);

CREATE TABLE insights (
    audience_id  BIGINT PRIMARY KEY REFERENCES audiences (id),
    status       TEXT NOT NULL,
    hash         TEXT NOT NULL,
    generation   TEXT NOT NULL,
    blob_key     TEXT NOT NULL,
    error        TEXT,
    callback_url TEXT NOT NULL,
    details      TEXT,
    created_at   BIGINT NOT NULL,
    finished_at  BIGINT
);

CREATE TABLE public_links (
    audience_id BIGINT PRIMARY KEY REFERENCES audiences (id),
    baseline    TEXT NOT NULL,
    counter     BIGINT NOT NULL,
    expires_at  BIGINT,
    created_at  BIGINT NOT NULL
);

CREATE TABLE offers (
    caller_id  BIGINT NOT NULL REFERENCES callers (id),
    offer_id   BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (caller_id, offer_id)
);

CREATE TABLE offer_audiences (
    caller_id   BIGINT NOT NULL,
    offer_id    BIGINT NOT NULL,
    audience_id BIGINT NOT NULL REFERENCES audiences (id),
    excluded    BIGINT NOT NULL,
    PRIMARY KEY (caller_id, offer_id, audience_id, excluded),
    FOREIGN KEY (caller_id, offer_id) REFERENCES offers (caller_id, offer_id)
);

CREATE INDEX offer_audiences_by_audience ON offer_audiences (audience_id);

CREATE TABLE callbacks (
    id              {id},
    audience_id     BIGINT NOT NULL REFERENCES audiences (id),
    caller_id       BIGINT NOT NULL REFERENCES callers (id),
    event           TEXT NOT NULL,
    url             TEXT NOT NULL,
    body            TEXT,
    status          TEXT NOT NULL,
    attempts        BIGINT NOT NULL,
    next_attempt_at BIGINT,
    created_at      BIGINT NOT NULL,
    finished_at     BIGINT
);

CREATE INDEX callbacks_by_caller ON callbacks (caller_id, id);

CREATE TABLE callback_attempts (
    callback_id BIGINT NOT NULL REFERENCES callbacks (id),
    n           BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    http_status BIGINT,
    error       TEXT NOT NULL,
    ms          BIGINT NOT NULL,
    PRIMARY KEY (callback_id, n)
);

-- jobs belong to package job.
CREATE TABLE jobs (
    id           {id},
    kind         TEXT NOT NULL,
    key          TEXT NOT NULL,
    owner_ref    BIGINT NOT NULL,
    payload      TEXT NOT NULL,
    priority     BIGINT NOT NULL,
    group_key    TEXT NOT NULL,
    concurrency  BIGINT NOT NULL,
    state        TEXT NOT NULL,
    run_at       BIGINT NOT NULL,
    attempts     BIGINT NOT NULL,
    deaths       BIGINT NOT NULL,
    max_attempts BIGINT NOT NULL,
    claim        BIGINT NOT NULL,
    lease_owner  TEXT NOT NULL,
    lease_until  BIGINT,
    heartbeat_at BIGINT,
    created_at   BIGINT NOT NULL,
    finished_at  BIGINT,
    last_error   TEXT NOT NULL
);

-- In the order in which the next job is looked for, and with all that this reads.
CREATE INDEX jobs_by_turn ON jobs (state, kind, group_key, priority, concurrency, run_at, id);

CREATE INDEX jobs_by_key ON jobs (kind, key);

CREATE INDEX jobs_by_age ON jobs (finished_at);

-- When each group of a kind was last given a worker: the larger, the later.
CREATE TABLE job_groups (
    kind      TEXT NOT NULL,
    group_key TEXT NOT NULL,
    served    BIGINT NOT NULL,
    PRIMARY KEY (kind, group_key)
);
