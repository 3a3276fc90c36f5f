-- Secrets of callers that others have replaced, and that go on for a while.
-- hash is that of a token; sealed is what the caller had of the other kinds.
CREATE TABLE old_secrets (
    id        {id},
    caller_id BIGINT NOT NULL REFERENCES callers (id),
    kind      TEXT NOT NULL,
    hash      TEXT NOT NULL,
    sealed    TEXT NOT NULL,
    ends_at   BIGINT NOT NULL
);

CREATE INDEX old_secrets_by_caller ON old_secrets (caller_id, kind, ends_at);

CREATE INDEX old_secrets_by_hash ON old_secrets (hash);

-- What was deleted is looked for every hour.
CREATE INDEX audiences_by_deletion ON audiences (deleted_at);

CREATE INDEX callbacks_by_audience ON callbacks (audience_id);
