package sqldb

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Unlimited is the number of a credit that never runs out.
const Unlimited = -1

// CreditKind is a column of credits.
type CreditKind string

// The credits that are spent.
const (
	CreditBuilds     CreditKind = "builds"
	CreditInsights   CreditKind = "insights"
	CreditExpansions CreditKind = "expansions"
)

// column guards the text that goes into the SQL.
func (k CreditKind) column() (string, error) {
	switch k {
	case CreditBuilds, CreditInsights, CreditExpansions:
		return string(k), nil
	}
	return "", fmt.Errorf("unknown credit %q", string(k))
}

// Caller is one user of the APIs.
type Caller struct {
	ID                  int64
	Name                string
	TokenHash           string // of the bearer token, which is stored nowhere
	TokenID             string // the beginning of the token, for people to tell tokens apart
	AccessKey           string
	APIKeySealed        string
	WebhookSecretSealed string

	CanGenerate, CanView, CanDownload []string // output types
	Grants                            []string

	Builds, Insights, Expansions int64 // credits left; Unlimited
	ConcurrentBuilds             int64 // 0 is no limit
	CallerLimits

	CreatedAt time.Time
	RevokedAt time.Time // zero while valid
}

const callerColumns = `id, name, token_hash, token_id, access_key, api_key_sealed, webhook_secret_sealed,
	can_generate, can_view, can_download, grants, builds, insights, expansions, concurrent_builds, requests_per_second, waiting_builds,
	stored_mib, created_at, revoked_at`

func scanCaller(row scanner) (c Caller, err error) {
	err = row.Scan(&c.ID, &c.Name, &c.TokenHash, &c.TokenID, &c.AccessKey, &c.APIKeySealed, &c.WebhookSecretSealed,
		listColumn{&c.CanGenerate}, listColumn{&c.CanView}, listColumn{&c.CanDownload}, listColumn{&c.Grants},
		&c.Builds, &c.Insights, &c.Expansions, &c.ConcurrentBuilds, &c.RequestsPerSecond, &c.WaitingBuilds, &c.StoredMiB,
		instant{&c.CreatedAt}, instant{&c.RevokedAt})
	return c, err
}

// CreateCaller stores a new caller and returns its id; the ID given is not
// used. [ErrExists] when the name, the token's hash or the access key is taken,
// also by a revoked caller.
func (q Queries) CreateCaller(ctx context.Context, c Caller) (id int64, err error) {
	err = q.h.write(ctx, func(x conn) error {
		row := x.queryRow(ctx, `INSERT INTO callers (name, token_hash, token_id, access_key, api_key_sealed,
			webhook_secret_sealed, can_generate, can_view, can_download, grants, builds, insights, expansions,
			concurrent_builds, requests_per_second, waiting_builds, stored_mib, created_at, revoked_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING id`,
			c.Name, c.TokenHash, c.TokenID, c.AccessKey, c.APIKeySealed, c.WebhookSecretSealed,
			list(c.CanGenerate), list(c.CanView), list(c.CanDownload), list(c.Grants),
			c.Builds, c.Insights, c.Expansions, c.ConcurrentBuilds, c.RequestsPerSecond, c.WaitingBuilds, c.StoredMiB,
			micros(c.CreatedAt), micros(c.RevokedAt))
		id, err = scanID(row)
		return err
	})
	if err = wrap("create caller", err); errors.Is(err, ErrNotFound) { // no row came back: it conflicts
		err = fmt.Errorf("create caller: %w", ErrExists)
	}
	return id, err
}

func (q Queries) caller(ctx context.Context, column string, value any) (Caller, error) {
	return readRow(ctx, q, "read caller", scanCaller, `SELECT `+callerColumns+` FROM callers WHERE `+column+` = ?`, value)
}

// CallerByID returns a caller, revoked or not, or [ErrNotFound].
func (q Queries) CallerByID(ctx context.Context, id int64) (Caller, error) {
	return q.caller(ctx, "id", id)
}

// CallerByName returns a caller, revoked or not, or [ErrNotFound].
func (q Queries) CallerByName(ctx context.Context, name string) (Caller, error) {
	return q.callerBy(ctx, "name", name)
}

// CallerByTokenHash returns a caller, revoked or not, or [ErrNotFound]. The
// database compares hashes of secrets, so its timing tells nothing of a token.
func (q Queries) CallerByTokenHash(ctx context.Context, hash string) (Caller, error) {
	return q.callerBy(ctx, "token_hash", hash)
}

// CallerByAccessKey returns a caller, revoked or not, or [ErrNotFound].
func (q Queries) CallerByAccessKey(ctx context.Context, key string) (Caller, error) {
	return q.callerBy(ctx, "access_key", key)
}

// callerBy finds a caller by a text that anybody may have sent.
func (q Queries) callerBy(ctx context.Context, column, text string) (Caller, error) {
	if !storable(text) {
		return Caller{}, wrap("read caller", ErrNotFound)
	}
	return q.caller(ctx, column, text)
}

// ListCallers returns all callers by name, the revoked too.
func (q Queries) ListCallers(ctx context.Context) ([]Caller, error) {
	return readRows(ctx, q, "list callers", scanCaller, `SELECT `+callerColumns+` FROM callers ORDER BY name`)
}

// CallerUpdate changes what is not nil.
type CallerUpdate struct {
	CanGenerate, CanView, CanDownload *[]string
	Grants                            *[]string
	Builds, Insights, Expansions      *int64
	ConcurrentBuilds                  *int64
	RequestsPerSecond                 *int64
	WaitingBuilds, StoredMiB          *int64

	TokenHash, TokenID, APIKeySealed, WebhookSecretSealed *string
}

// UpdateCaller changes a caller, or returns [ErrNotFound].
func (q Queries) UpdateCaller(ctx context.Context, id int64, u CallerUpdate) error {
	var a assign
	setIf(&a, "can_generate", u.CanGenerate, list)
	setIf(&a, "can_view", u.CanView, list)
	setIf(&a, "can_download", u.CanDownload, list)
	setIf(&a, "grants", u.Grants, list)
	setIf(&a, "builds", u.Builds, same)
	setIf(&a, "insights", u.Insights, same)
	setIf(&a, "expansions", u.Expansions, same)
	setIf(&a, "concurrent_builds", u.ConcurrentBuilds, same)
	setIf(&a, "requests_per_second", u.RequestsPerSecond, same)
	setIf(&a, "waiting_builds", u.WaitingBuilds, same)
	setIf(&a, "stored_mib", u.StoredMiB, same)
	setIf(&a, "token_hash", u.TokenHash, same)
	setIf(&a, "token_id", u.TokenID, same)
	setIf(&a, "api_key_sealed", u.APIKeySealed, same)
	setIf(&a, "webhook_secret_sealed", u.WebhookSecretSealed, same)
	return wrap("update caller", q.update(ctx, "callers", a, `id = ?`, id))
}

// update changes columns of the rows that satisfy the condition; [ErrNotFound]
// where none does. Without any column it only looks for a row.
func (q Queries) update(ctx context.Context, table string, a assign, condition string, args ...any) error {
	if len(a.columns) == 0 {
		return q.h.read(ctx, func(x conn) error {
			var one int
			return x.queryRow(ctx, `SELECT 1 FROM `+table+` WHERE `+condition+` LIMIT 1`, args...).Scan(&one)
		})
	}
	query := `UPDATE ` + table + ` SET ` + join(a.columns) + ` WHERE ` + condition
	return q.h.write(ctx, func(x conn) error { return x.change(ctx, query, append(a.args, args...)...) })
}

// RevokeCaller ends a caller's access for good, its old secrets and its web sessions. A second
// time it changes nothing. [ErrNotFound] when there is no such caller.
func (q Queries) RevokeCaller(ctx context.Context, id int64, at time.Time) error {
	err := q.h.write(ctx, func(x conn) error {
		err := x.change(ctx, `UPDATE callers SET revoked_at = COALESCE(revoked_at, ?) WHERE id = ?`, micros(at), id)
		if err != nil {
			return err
		}
		if _, err = x.exec(ctx, `DELETE FROM sessions WHERE caller_id = ?`, id); err != nil {
			return err
		}
		_, err = x.exec(ctx, `DELETE FROM old_secrets WHERE caller_id = ?`, id)
		return err
	})
	return wrap("revoke caller", err)
}

// SpendCredit takes one credit, or returns [ErrExhausted], or [ErrNotFound]
// when there is no such caller. It costs nothing where credits are unlimited.
func (q Queries) SpendCredit(ctx context.Context, callerID int64, kind CreditKind) error {
	column, err := kind.column()
	if err != nil {
		return wrap("spend credit", err)
	}
	err = q.h.write(ctx, func(x conn) error {
		var left int64
		err := x.queryRow(ctx, `SELECT `+column+` FROM callers WHERE id = ?`, callerID).Scan(&left)
		switch {
		case err != nil || left == Unlimited:
			return err
		case left <= 0:
			return ErrExhausted
		}
		return x.change(ctx, `UPDATE callers SET `+column+` = `+column+` - 1 WHERE id = ?`, callerID)
	})
	return wrap("spend credit", err)
}

// ReturnCredit gives one credit back; unlimited stays unlimited. It does not
// know what was spent: call it once for each credit spent, in the transaction
// that records why. A caller made unlimited or limited in between keeps what
// it was given.
func (q Queries) ReturnCredit(ctx context.Context, callerID int64, kind CreditKind) error {
	column, err := kind.column()
	if err != nil {
		return wrap("return credit", err)
	}
	err = q.h.write(ctx, func(x conn) error {
		return x.change(ctx, `UPDATE callers SET `+column+` = CASE WHEN `+column+` = -1 THEN -1 ELSE `+column+` + 1 END
			WHERE id = ?`, callerID)
	})
	return wrap("return credit", err)
}
