package sqldb

import (
	"context"
	"encoding/json"
	"time"
)

// Delivery is the way of one audience's device ids to where they are used. Its
// Status is one of those of audiences. JSON columns are not looked into.
type Delivery struct {
	ID            int64
	AudienceID    int64
	CallerID      int64
	Destination   string
	Name          string
	Status        string
	Step          string          // what is being done, for people
	Settings      json.RawMessage // as ordered
	SecretSealed  string          // "" once it has ended
	State         json.RawMessage // how far it is; nil at first
	Report        json.RawMessage // what was sent; nil at first
	Warnings      []string
	Failures      int64           // attempts in a row that failed
	Error         json.RawMessage // of the last attempt; nil without one
	NextAttemptAt time.Time       // zero while one is under way, and at the end
	CreatedAt     time.Time
	UpdatedAt     time.Time
	FinishedAt    time.Time
}

const deliveryColumns = `id, audience_id, caller_id, destination, name, status, step, settings, secret_sealed, state, report,
	warnings, failures, error, next_attempt_at, created_at, updated_at, finished_at`

func scanDelivery(row scanner) (d Delivery, err error) {
	err = row.Scan(&d.ID, &d.AudienceID, &d.CallerID, &d.Destination, &d.Name, &d.Status, &d.Step, rawColumn{&d.Settings},
		&d.SecretSealed, rawColumn{&d.State}, rawColumn{&d.Report}, listColumn{&d.Warnings}, &d.Failures, rawColumn{&d.Error},
		instant{&d.NextAttemptAt}, instant{&d.CreatedAt}, instant{&d.UpdatedAt}, instant{&d.FinishedAt})
	return d, err
}

// InsertDelivery stores a delivery and returns its id; the ID given is not used.
func (q Queries) InsertDelivery(ctx context.Context, d Delivery) (id int64, err error) {
	err = q.h.write(ctx, func(x conn) error {
		id, err = scanID(x.queryRow(ctx, `INSERT INTO deliveries (audience_id, caller_id, destination, name, status, step,
			settings, secret_sealed, state, report, warnings, failures, error, next_attempt_at, created_at, updated_at, finished_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
			d.AudienceID, d.CallerID, d.Destination, d.Name, d.Status, d.Step, raw(d.Settings), d.SecretSealed, raw(d.State),
			raw(d.Report), list(d.Warnings), d.Failures, raw(d.Error), micros(d.NextAttemptAt), micros(d.CreatedAt),
			micros(d.UpdatedAt), micros(d.FinishedAt)))
		return err
	})
	return id, wrap("insert delivery", err)
}

// Delivery returns a caller's delivery (callerID 0: of any), or [ErrNotFound].
func (q Queries) Delivery(ctx context.Context, callerID, id int64) (Delivery, error) {
	w := where{}
	w.add(`id = ?`, id)
	addSet(&w, "caller_id", callerID)
	return readRow(ctx, q, "read delivery", scanDelivery, `SELECT `+deliveryColumns+` FROM deliveries`+w.String(), w.args...)
}

// DeliveryFilter says which deliveries are listed. What is zero does not limit.
type DeliveryFilter struct {
	AudienceID int64
	Status     string
	BeforeID   int64
	Limit      int // 0 is 50
}

// ListDeliveries returns deliveries, newest first, and whether there are more.
func (q Queries) ListDeliveries(ctx context.Context, f DeliveryFilter) (all []Delivery, more bool, err error) {
	w := where{}
	addSet(&w, "audience_id", f.AudienceID)
	addSet(&w, "status", f.Status)
	w.addBefore(f.BeforeID)
	return readPage(ctx, q, "list deliveries", scanDelivery, deliveryColumns, "deliveries", w, f.Limit, 0)
}

// DeliveryUpdate changes what is not nil. A zero time and nil JSON within are
// stored as none.
type DeliveryUpdate struct {
	Status        *string
	Step          *string
	SecretSealed  *string
	State         *json.RawMessage
	Report        *json.RawMessage
	Warnings      *[]string
	Failures      *int64
	Error         *json.RawMessage
	NextAttemptAt *time.Time
	UpdatedAt     time.Time // always set
	FinishedAt    *time.Time
}

// UpdateDelivery changes a delivery that is running, or returns [ErrNotFound].
func (q Queries) UpdateDelivery(ctx context.Context, id int64, u DeliveryUpdate) error {
	var a assign
	setIf(&a, "status", u.Status, same)
	setIf(&a, "step", u.Step, same)
	setIf(&a, "secret_sealed", u.SecretSealed, same)
	setIf(&a, "state", u.State, raw)
	setIf(&a, "report", u.Report, raw)
	setIf(&a, "warnings", u.Warnings, list)
	setIf(&a, "failures", u.Failures, same)
	setIf(&a, "error", u.Error, raw)
	setIf(&a, "next_attempt_at", u.NextAttemptAt, micros)
	a.set("updated_at", micros(u.UpdatedAt))
	setIf(&a, "finished_at", u.FinishedAt, micros)
	return wrap("update delivery", q.update(ctx, "deliveries", a, `status = ? AND id = ?`, StatusRunning, id))
}

// Credentials are what a caller is known by at a destination, under a name of
// the caller's own.
type Credentials struct {
	CallerID     int64
	Name         string
	Destination  string
	Endpoint     string
	SecretSealed string
	UpdatedAt    time.Time
}

const credentialsColumns = `caller_id, name, destination, endpoint, secret_sealed, updated_at`

func scanCredentials(row scanner) (c Credentials, err error) {
	err = row.Scan(&c.CallerID, &c.Name, &c.Destination, &c.Endpoint, &c.SecretSealed, instant{&c.UpdatedAt})
	return c, err
}

// PutCredentials stores credentials, in place of those of the name.
func (q Queries) PutCredentials(ctx context.Context, c Credentials) error {
	err := q.h.write(ctx, func(x conn) error {
		_, err := x.exec(ctx, `INSERT INTO credentials (`+credentialsColumns+`) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (caller_id, name) DO UPDATE SET destination = excluded.destination, endpoint = excluded.endpoint,
			secret_sealed = excluded.secret_sealed, updated_at = excluded.updated_at`,
			c.CallerID, c.Name, c.Destination, c.Endpoint, c.SecretSealed, micros(c.UpdatedAt))
		return err
	})
	return wrap("put credentials", err)
}

// Credentials returns a caller's credentials of a name, or [ErrNotFound].
func (q Queries) Credentials(ctx context.Context, callerID int64, name string) (Credentials, error) {
	w := where{}
	w.add(`caller_id = ?`, callerID)
	w.addText(`name = ?`, name, name)
	return readRow(ctx, q, "read credentials", scanCredentials, `SELECT `+credentialsColumns+` FROM credentials`+w.String(), w.args...)
}

// ListCredentials returns a caller's credentials by name.
func (q Queries) ListCredentials(ctx context.Context, callerID int64) ([]Credentials, error) {
	return readRows(ctx, q, "list credentials", scanCredentials, `SELECT `+credentialsColumns+` FROM credentials WHERE caller_id = ? ORDER BY name`, callerID)
}

// DeleteCredentials removes a caller's credentials of a name, or returns
// [ErrNotFound].
func (q Queries) DeleteCredentials(ctx context.Context, callerID int64, name string) error {
	w := where{}
	w.add(`caller_id = ?`, callerID)
	w.addText(`name = ?`, name, name)
	err := q.h.write(ctx, func(x conn) error {
		return x.change(ctx, `DELETE FROM credentials`+w.String(), w.args...)
	})
	return wrap("delete credentials", err)
}
