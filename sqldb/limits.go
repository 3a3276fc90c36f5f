package sqldb

import "context"

// CallerLimits are what a caller may take; 0 is no limit.
type CallerLimits struct {
	RequestsPerSecond int64
	WaitingBuilds     int64 // builds that wait for others
	StoredMiB         int64 // of files, in MiB
}

// Stored is how many bytes of files are kept for a caller.
type Stored struct {
	Uploads  int64
	Outputs  int64 // the files of audiences that were built
	Devices  int64 // the files of device audiences
	Incoming int64 // files that were sent to addresses, and not swept yet
}

// Total is the sum.
func (s Stored) Total() int64 { return s.Uploads + s.Outputs + s.Devices + s.Incoming }

// StoredBytes counts what is kept for a caller, from the rows of the files
// themselves, so that it is never out of step with them.
func (q Queries) StoredBytes(ctx context.Context, callerID int64) (s Stored, err error) {
	err = q.h.read(ctx, func(x conn) error {
		return x.queryRow(ctx, `SELECT
			(SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM uploads WHERE caller_id = ?),
			(SELECT CAST(COALESCE(SUM(o.bytes), 0) AS BIGINT) FROM audiences a JOIN outputs o ON o.audience_id = a.id
				WHERE a.caller_id = ? AND a.deleted_at IS NULL),
			(SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM audiences WHERE caller_id = ? AND deleted_at IS NULL),
			(SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM incoming WHERE caller_id = ?)`,
			callerID, callerID, callerID, callerID).Scan(&s.Uploads, &s.Outputs, &s.Devices, &s.Incoming)
	})
	return s, wrap("count stored bytes", err)
}
