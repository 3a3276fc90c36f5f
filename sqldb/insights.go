package sqldb

import (
	"context"
	"encoding/json"
	"time"
)

// Insight is the report of an audience; its contents are a blob.
type Insight struct {
	AudienceID  int64
	Status      string // running, done, failed
	Hash        string
	Generation  string
	BlobKey     string
	Error       json.RawMessage
	CallbackURL string
	Details     json.RawMessage
	CreatedAt   time.Time
	FinishedAt  time.Time
}

// PutInsight stores an audience's report, in place of an older one.
func (q Queries) PutInsight(ctx context.Context, i Insight) error {
	err := q.h.write(ctx, func(x conn) error {
		_, err := x.exec(ctx, `INSERT INTO insights (audience_id, status, hash, generation, blob_key, error, callback_url,
			details, created_at, finished_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (audience_id) DO UPDATE SET status = excluded.status, hash = excluded.hash,
			generation = excluded.generation, blob_key = excluded.blob_key, error = excluded.error,
			callback_url = excluded.callback_url, details = excluded.details, created_at = excluded.created_at,
			finished_at = excluded.finished_at`,
			i.AudienceID, i.Status, i.Hash, i.Generation, i.BlobKey, raw(i.Error), i.CallbackURL,
			raw(i.Details), micros(i.CreatedAt), micros(i.FinishedAt))
		return err
	})
	return wrap("put insight", err)
}

const insightColumns = `audience_id, status, hash, generation, blob_key, error, callback_url, details, created_at, finished_at`

func scanInsight(row scanner) (i Insight, err error) {
	err = row.Scan(&i.AudienceID, &i.Status, &i.Hash, &i.Generation, &i.BlobKey, rawColumn{&i.Error}, &i.CallbackURL,
		rawColumn{&i.Details}, instant{&i.CreatedAt}, instant{&i.FinishedAt})
	return i, err
}

// Insight returns an audience's report, or [ErrNotFound].
func (q Queries) Insight(ctx context.Context, audienceID int64) (Insight, error) {
	return readRow(ctx, q, "read insight", scanInsight, `SELECT `+insightColumns+` FROM insights WHERE audience_id = ?`, audienceID)
}

// Insights returns the reports of those audiences that have one, by audience.
func (q Queries) Insights(ctx context.Context, audienceIDs ...int64) (map[int64]Insight, error) {
	w := where{}
	w.addIDs(`audience_id`, audienceIDs)
	all, err := readRows(ctx, q, "read insights", scanInsight, `SELECT `+insightColumns+` FROM insights`+w.String(), w.args...)
	byAudience := make(map[int64]Insight, len(all))
	for _, i := range all {
		byAudience[i.AudienceID] = i
	}
	return byAudience, err
}

// DeleteInsight removes an audience's report and its public link, if they are
// there.
func (q Queries) DeleteInsight(ctx context.Context, audienceID int64) error {
	err := q.h.write(ctx, func(x conn) error {
		if _, err := x.exec(ctx, `DELETE FROM public_links WHERE audience_id = ?`, audienceID); err != nil {
			return err
		}
		_, err := x.exec(ctx, `DELETE FROM insights WHERE audience_id = ?`, audienceID)
		return err
	})
	return wrap("delete insight", err)
}

// PublicLink is the page of a report that needs no token. Its own token is made
// from the audience, the counter and the secret key.
type PublicLink struct {
	AudienceID int64
	Baseline   string
	Counter    int64     // grows with each replacement, so that the old token stops
	ExpiresAt  time.Time // zero is never
	CreatedAt  time.Time
}

// PutPublicLink makes or replaces an audience's link and returns it with its
// counter, which is 1 for the first; the Counter given is not used.
func (q Queries) PutPublicLink(ctx context.Context, l PublicLink) (PublicLink, error) {
	err := q.h.write(ctx, func(x conn) error {
		return x.queryRow(ctx, `INSERT INTO public_links (audience_id, baseline, counter, expires_at, created_at)
			VALUES (?, ?, 1, ?, ?) ON CONFLICT (audience_id) DO UPDATE SET baseline = excluded.baseline,
			counter = public_links.counter + 1, expires_at = excluded.expires_at, created_at = excluded.created_at
			RETURNING counter`, l.AudienceID, l.Baseline, micros(l.ExpiresAt), micros(l.CreatedAt)).Scan(&l.Counter)
	})
	return l, wrap("put public link", err)
}

// PublicLink returns an audience's link, expired or not, or [ErrNotFound].
func (q Queries) PublicLink(ctx context.Context, audienceID int64) (l PublicLink, err error) {
	err = q.h.read(ctx, func(x conn) error {
		return x.queryRow(ctx, `SELECT audience_id, baseline, counter, expires_at, created_at FROM public_links
			WHERE audience_id = ?`, audienceID).
			Scan(&l.AudienceID, &l.Baseline, &l.Counter, instant{&l.ExpiresAt}, instant{&l.CreatedAt})
	})
	return l, wrap("read public link", err)
}
