-- Servers of this database that live, by the name of their data folder.
CREATE TABLE servers (
    node       TEXT PRIMARY KEY,
    role       TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL
);

-- Generations in the store that the servers share: one that is being loaded by
-- a server that was seen lately, and those that are published. The current one
-- is the last of these. The numbers that were given out are in meta.
CREATE TABLE generations (
    number       BIGINT PRIMARY KEY,
    id           TEXT NOT NULL UNIQUE,
    status       TEXT NOT NULL,
    node         TEXT NOT NULL,
    stamp        TEXT NOT NULL,
    info         TEXT,
    seen_at      BIGINT NOT NULL,
    published_at BIGINT
);
