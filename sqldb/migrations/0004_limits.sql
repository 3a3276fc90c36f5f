-- What a caller may take: 0 is no limit. A build that waits takes a row and
-- nothing else, so a thousand of them are a bound that few ever meet.
ALTER TABLE callers ADD COLUMN requests_per_second BIGINT NOT NULL DEFAULT 0;

ALTER TABLE callers ADD COLUMN waiting_builds BIGINT NOT NULL DEFAULT 1000;

ALTER TABLE callers ADD COLUMN stored_mib BIGINT NOT NULL DEFAULT 0;

-- The files that are kept of an upload or a list of devices. Those of audiences
-- that were built are the sum of their outputs.
ALTER TABLE uploads ADD COLUMN bytes BIGINT NOT NULL DEFAULT 0;

ALTER TABLE audiences ADD COLUMN bytes BIGINT NOT NULL DEFAULT 0;

CREATE INDEX incoming_by_caller ON incoming (caller_id);
