-- What a job was added for, as it is passed on between programs (W3C traceparent).
ALTER TABLE jobs ADD COLUMN trace TEXT NOT NULL DEFAULT '';
