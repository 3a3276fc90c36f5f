package sqldb

import (
	"context"
	"encoding/json"
	"time"
)

// The states of callbacks.
const (
	CallbackPending   = "pending"
	CallbackDelivered = "delivered"
	CallbackFailed    = "failed"
	CallbackRefused   = "refused" // the address is none that may be called
)

// Callback is one message to a caller's URL, with the attempts to deliver it.
type Callback struct {
	ID            int64
	AudienceID    int64
	CallerID      int64
	Event         string // audience or insight
	URL           string
	Body          json.RawMessage // nil: made when it is sent
	Status        string
	Attempts      int64     // made so far
	NextAttemptAt time.Time // zero when there will be none
	CreatedAt     time.Time
	FinishedAt    time.Time
}

const callbackColumns = `id, audience_id, caller_id, event, url, body, status, attempts, next_attempt_at, created_at, finished_at`

func scanCallback(row scanner) (c Callback, err error) {
	err = row.Scan(&c.ID, &c.AudienceID, &c.CallerID, &c.Event, &c.URL, rawColumn{&c.Body}, &c.Status, &c.Attempts,
		instant{&c.NextAttemptAt}, instant{&c.CreatedAt}, instant{&c.FinishedAt})
	return c, err
}

// InsertCallback stores a callback and returns its id; the ID and the Attempts
// given are not used.
func (q Queries) InsertCallback(ctx context.Context, c Callback) (id int64, err error) {
	err = q.h.write(ctx, func(x conn) error {
		id, err = scanID(x.queryRow(ctx, `INSERT INTO callbacks (audience_id, caller_id, event, url, body, status,
			attempts, next_attempt_at, created_at, finished_at) VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, ?) RETURNING id`,
			c.AudienceID, c.CallerID, c.Event, c.URL, raw(c.Body), c.Status,
			micros(c.NextAttemptAt), micros(c.CreatedAt), micros(c.FinishedAt)))
		return err
	})
	return id, wrap("insert callback", err)
}

// Callback returns a caller's callback (callerID 0: of any), or [ErrNotFound].
func (q Queries) Callback(ctx context.Context, callerID, id int64) (Callback, error) {
	w := where{}
	w.add(`id = ?`, id)
	addSet(&w, "caller_id", callerID)
	return readRow(ctx, q, "read callback", scanCallback, `SELECT `+callbackColumns+` FROM callbacks`+w.String(), w.args...)
}

// CallbackFilter says which callbacks are listed. What is zero does not limit.
type CallbackFilter struct {
	CallerID   int64
	AudienceID int64
	Status     string
	BeforeID   int64
	Limit      int // 0 is 50
}

// ListCallbacks returns callbacks, newest first, and whether there are more.
func (q Queries) ListCallbacks(ctx context.Context, f CallbackFilter) (all []Callback, more bool, err error) {
	w := where{}
	addSet(&w, "caller_id", f.CallerID)
	addSet(&w, "audience_id", f.AudienceID)
	addSet(&w, "status", f.Status)
	w.addBefore(f.BeforeID)
	return readPage(ctx, q, "list callbacks", scanCallback, callbackColumns, "callbacks", w, f.Limit, 0)
}

// CallbackUpdate changes what is not nil.
type CallbackUpdate struct {
	Status        *string
	Body          *json.RawMessage
	NextAttemptAt *time.Time
	FinishedAt    *time.Time
}

// UpdateCallback changes a callback, or returns [ErrNotFound].
func (q Queries) UpdateCallback(ctx context.Context, id int64, u CallbackUpdate) error {
	var a assign
	setIf(&a, "status", u.Status, same)
	setIf(&a, "body", u.Body, raw)
	setIf(&a, "next_attempt_at", u.NextAttemptAt, micros)
	setIf(&a, "finished_at", u.FinishedAt, micros)
	return wrap("update callback", q.update(ctx, "callbacks", a, `id = ?`, id))
}

// Attempt is one try to deliver a callback.
type Attempt struct {
	CallbackID int64
	N          int64 // from 1
	At         time.Time
	HTTPStatus *int64 // nil when no answer came
	Error      string // "" after a success
	MS         int64  // how long it took
}

// AddAttempt records a try and returns its number; the N given is not used.
func (q Queries) AddAttempt(ctx context.Context, a Attempt) (n int64, err error) {
	err = q.h.write(ctx, func(x conn) error {
		err := x.queryRow(ctx, `UPDATE callbacks SET attempts = attempts + 1 WHERE id = ? RETURNING attempts`,
			a.CallbackID).Scan(&n)
		if err != nil {
			return err
		}
		_, err = x.exec(ctx, `INSERT INTO callback_attempts (callback_id, n, at, http_status, error, ms)
			VALUES (?, ?, ?, ?, ?, ?)`, a.CallbackID, n, micros(a.At), optional(a.HTTPStatus), a.Error, a.MS)
		return err
	})
	return n, wrap("add attempt", err)
}

// Attempts returns the tries of callbacks, each callback's in their order.
func (q Queries) Attempts(ctx context.Context, callbackIDs ...int64) (map[int64][]Attempt, error) {
	w := where{}
	w.addIDs(`callback_id`, callbackIDs)
	all, err := readRows(ctx, q, "read attempts", scanAttempt,
		`SELECT callback_id, n, at, http_status, error, ms FROM callback_attempts`+w.String()+` ORDER BY callback_id, n`, w.args...)
	if err != nil {
		return nil, err
	}
	byCallback := make(map[int64][]Attempt, len(callbackIDs))
	for _, a := range all {
		byCallback[a.CallbackID] = append(byCallback[a.CallbackID], a)
	}
	return byCallback, nil
}

func scanAttempt(row scanner) (a Attempt, err error) {
	err = row.Scan(&a.CallbackID, &a.N, instant{&a.At}, optionalColumn{&a.HTTPStatus}, &a.Error, &a.MS)
	return a, err
}
