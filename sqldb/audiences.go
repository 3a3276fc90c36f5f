package sqldb

import (
	"context"
	"encoding/json"
	"time"
)

// The states of audiences. An audience leaves running once and never returns.
const (
	StatusRunning  = "running"
	StatusDone     = "done"
	StatusFailed   = "failed"
	StatusCanceled = "canceled"
)

// Audience is one row of audiences. JSON columns hold what the service puts
// there and are not looked into.
type Audience struct {
	ID          int64
	CallerID    int64
	Kind        string // built or device
	Name        string
	Description string

	Status      string
	Step        string
	Progress    float64 // 0 to 1
	HeartbeatAt time.Time
	Size        *int64 // people; nil while unknown
	Generation  string
	AsOf        time.Time
	CreatedAt   time.Time
	UpdatedAt   time.Time // when it was made or given new files
	FinishedAt  time.Time

	Definition     json.RawMessage // the parameters as sent
	ParameterSizes json.RawMessage
	Warnings       []string
	Error          json.RawMessage // nil without one

	CallbackURL        string
	InsightCallbackURL string
	AutoInsight        bool
	Outputs            []string // the types to make
	SourceID           *int64   // what it was made from: regenerated, expanded, a cluster
	Platform           int64    // of device audiences
	Details            json.RawMessage
	Bytes              int64     // of the files of a list of devices; 0 of others
	DeletedAt          time.Time // the row stays, so that ids are never used again
}

const audienceColumns = `id, caller_id, kind, name, description, status, step, progress, heartbeat_at, size, generation,
	as_of, created_at, updated_at, finished_at, definition, parameter_sizes, warnings, error, callback_url,
	insight_callback_url, auto_insight, outputs, source_id, platform, details, bytes, deleted_at`

func scanAudience(row scanner) (a Audience, err error) {
	err = row.Scan(&a.ID, &a.CallerID, &a.Kind, &a.Name, &a.Description, &a.Status, &a.Step, &a.Progress,
		instant{&a.HeartbeatAt}, optionalColumn{&a.Size}, &a.Generation, instant{&a.AsOf}, instant{&a.CreatedAt},
		instant{&a.UpdatedAt}, instant{&a.FinishedAt}, rawColumn{&a.Definition}, rawColumn{&a.ParameterSizes},
		listColumn{&a.Warnings}, rawColumn{&a.Error}, &a.CallbackURL, &a.InsightCallbackURL, &a.AutoInsight,
		listColumn{&a.Outputs}, optionalColumn{&a.SourceID}, &a.Platform, rawColumn{&a.Details}, &a.Bytes,
		instant{&a.DeletedAt})
	return a, err
}

// InsertAudience stores a new audience and returns its id; the ID given is not
// used. Ids of all kinds are of one sequence and are never used again. An
// UpdatedAt of zero becomes CreatedAt.
func (q Queries) InsertAudience(ctx context.Context, a Audience) (id int64, err error) {
	if a.UpdatedAt.IsZero() {
		a.UpdatedAt = a.CreatedAt
	}
	err = q.h.write(ctx, func(x conn) error {
		row := x.queryRow(ctx, `INSERT INTO audiences (caller_id, kind, name, name_folded, description, status, step,
			progress, heartbeat_at, size, generation, as_of, created_at, updated_at, finished_at, definition,
			parameter_sizes, warnings, error, callback_url, insight_callback_url, auto_insight, outputs, source_id,
			platform, details, bytes, deleted_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
			a.CallerID, a.Kind, a.Name, fold(a.Name), a.Description, a.Status, a.Step,
			a.Progress, micros(a.HeartbeatAt), optional(a.Size), a.Generation, micros(a.AsOf), micros(a.CreatedAt),
			micros(a.UpdatedAt), micros(a.FinishedAt), raw(a.Definition),
			raw(a.ParameterSizes), list(a.Warnings), raw(a.Error), a.CallbackURL, a.InsightCallbackURL,
			flag(a.AutoInsight), list(a.Outputs), optional(a.SourceID), a.Platform, raw(a.Details), a.Bytes, micros(a.DeletedAt))
		id, err = scanID(row)
		return err
	})
	return id, wrap("insert audience", err)
}

// Audience returns an audience that is not deleted, or [ErrNotFound]. A
// callerID of 0 is any; else one of another caller is not found.
func (q Queries) Audience(ctx context.Context, callerID, id int64) (Audience, error) {
	w := where{}
	w.add(`id = ?`, id)
	w.add(`deleted_at IS NULL`)
	addSet(&w, "caller_id", callerID)
	return readRow(ctx, q, "read audience", scanAudience, `SELECT `+audienceColumns+` FROM audiences`+w.String(), w.args...)
}

// AudienceFilter says which audiences are listed. What is zero does not limit.
type AudienceFilter struct {
	CallerID int64
	IDs      []int64
	Query    string // the name contains it, case ignored
	Status   string
	Kind     string
	Platform int64
	BeforeID int64 // ids below, for the next page
	Offset   int64 // rows left out, for pages by number
	Limit    int   // at most so many; 0 is 50
}

func (f AudienceFilter) where() where {
	w := where{}
	w.add(`deleted_at IS NULL`)
	addSet(&w, "caller_id", f.CallerID)
	if f.IDs != nil {
		w.addIDs(`id`, f.IDs)
	}
	if f.Query != "" {
		w.addText(`name_folded LIKE ? ESCAPE '\'`, f.Query, contains(fold(f.Query)))
	}
	addSet(&w, "status", f.Status)
	addSet(&w, "kind", f.Kind)
	addSet(&w, "platform", f.Platform)
	w.addBefore(f.BeforeID)
	return w
}

// ListAudiences returns audiences that are not deleted, newest first, and
// whether there are more.
func (q Queries) ListAudiences(ctx context.Context, f AudienceFilter) (all []Audience, more bool, err error) {
	return readPage(ctx, q, "list audiences", scanAudience, audienceColumns, "audiences", f.where(), f.Limit, f.Offset)
}

// CountAudiences returns how many audiences the filter finds, its Limit and
// Offset not considered.
func (q Queries) CountAudiences(ctx context.Context, f AudienceFilter) (n int64, err error) {
	w := f.where()
	err = q.h.read(ctx, func(x conn) error {
		return x.queryRow(ctx, `SELECT COUNT(*) FROM audiences`+w.String(), w.args...).Scan(&n)
	})
	return n, wrap("count audiences", err)
}

// AudienceUpdate changes what is not nil. A zero time, nil JSON and a nil
// *int64 within are stored as none.
type AudienceUpdate struct {
	// IfStatus, when not empty, makes the change only while the audience is in
	// that state; else [ErrConflict].
	IfStatus string

	Name, Description  *string
	Status             *string
	Step               *string
	Progress           *float64
	HeartbeatAt        *time.Time
	Size               **int64
	Generation         *string
	AsOf               *time.Time
	UpdatedAt          *time.Time
	FinishedAt         *time.Time
	ParameterSizes     *json.RawMessage
	Warnings           *[]string
	Error              *json.RawMessage
	CallbackURL        *string
	InsightCallbackURL *string
	Outputs            *[]string
	Platform           *int64
	Details            *json.RawMessage
	Bytes              *int64
	DeletedAt          *time.Time
}

// UpdateAudience changes an audience, deleted or not. [ErrNotFound] when there
// is none, [ErrConflict] when it is not in u.IfStatus.
func (q Queries) UpdateAudience(ctx context.Context, id int64, u AudienceUpdate) error {
	err := q.h.write(ctx, func(x conn) error {
		if u.IfStatus != "" {
			var status string
			if err := x.queryRow(ctx, `SELECT status FROM audiences WHERE id = ?`, id).Scan(&status); err != nil {
				return err
			}
			if status != u.IfStatus {
				return ErrConflict
			}
		}
		a := u.assign()
		if len(a.columns) == 0 {
			return nil
		}
		return x.change(ctx, `UPDATE audiences SET `+join(a.columns)+` WHERE id = ?`, append(a.args, id)...)
	})
	return wrap("update audience", err)
}

func (u AudienceUpdate) assign() assign {
	var a assign
	setIf(&a, "name", u.Name, same)
	setIf(&a, "name_folded", u.Name, func(s string) any { return fold(s) })
	setIf(&a, "description", u.Description, same)
	setIf(&a, "status", u.Status, same)
	setIf(&a, "step", u.Step, same)
	setIf(&a, "progress", u.Progress, same)
	setIf(&a, "heartbeat_at", u.HeartbeatAt, micros)
	setIf(&a, "size", u.Size, optional)
	setIf(&a, "generation", u.Generation, same)
	setIf(&a, "as_of", u.AsOf, micros)
	setIf(&a, "updated_at", u.UpdatedAt, micros)
	setIf(&a, "finished_at", u.FinishedAt, micros)
	setIf(&a, "parameter_sizes", u.ParameterSizes, raw)
	setIf(&a, "warnings", u.Warnings, list)
	setIf(&a, "error", u.Error, raw)
	setIf(&a, "callback_url", u.CallbackURL, same)
	setIf(&a, "insight_callback_url", u.InsightCallbackURL, same)
	setIf(&a, "outputs", u.Outputs, list)
	setIf(&a, "platform", u.Platform, same)
	setIf(&a, "details", u.Details, raw)
	setIf(&a, "bytes", u.Bytes, same)
	setIf(&a, "deleted_at", u.DeletedAt, micros)
	return a
}

// CountRunning returns how many audiences of a caller (0: of all) are being
// built.
func (q Queries) CountRunning(ctx context.Context, callerID int64) (int64, error) {
	return q.CountAudiences(ctx, AudienceFilter{CallerID: callerID, Status: StatusRunning})
}

// RunningGenerations returns the generations that running builds began with, and
// reports wait for, each once, in no order. They must be kept.
func (q Queries) RunningGenerations(ctx context.Context) ([]string, error) {
	return readRows(ctx, q, "read running generations", scanText, `SELECT DISTINCT generation FROM audiences
		WHERE status = ? AND generation <> '' AND deleted_at IS NULL
		UNION SELECT generation FROM insights WHERE status = ? AND generation <> ''`, StatusRunning, StatusRunning)
}

// Output is one file of an audience.
type Output struct {
	AudienceID int64
	Type       string
	People     int64 // members with at least one line
	Rows       int64
	Bytes      int64
	SHA256     string // lower-case hex, of the file
	BlobKey    string
}

// PutOutputs replaces all outputs of an audience.
func (q Queries) PutOutputs(ctx context.Context, audienceID int64, outputs []Output) error {
	err := q.h.write(ctx, func(x conn) error {
		if _, err := x.exec(ctx, `DELETE FROM outputs WHERE audience_id = ?`, audienceID); err != nil {
			return err
		}
		for _, o := range outputs {
			if _, err := x.exec(ctx, `INSERT INTO outputs (audience_id, type, people, rows, bytes, sha256, blob_key)
				VALUES (?, ?, ?, ?, ?, ?, ?)`, audienceID, o.Type, o.People, o.Rows, o.Bytes, o.SHA256, o.BlobKey); err != nil {
				return err
			}
		}
		return nil
	})
	return wrap("put outputs", err)
}

// Outputs returns an audience's outputs by type.
func (q Queries) Outputs(ctx context.Context, audienceID int64) ([]Output, error) {
	return readRows(ctx, q, "read outputs", scanOutput, `SELECT audience_id, type, people, rows, bytes, sha256, blob_key FROM outputs
		WHERE audience_id = ? ORDER BY type`, audienceID)
}

func scanOutput(row scanner) (o Output, err error) {
	err = row.Scan(&o.AudienceID, &o.Type, &o.People, &o.Rows, &o.Bytes, &o.SHA256, &o.BlobKey)
	return o, err
}
