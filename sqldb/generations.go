package sqldb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// What a generation of the shared store is.
const (
	GenerationLoading   = "loading"
	GenerationPublished = "published"
)

// generationNumber is the meta key of the last number that was given out.
const generationNumber = "generation_number"

// Generation is one generation of the store that servers share.
type Generation struct {
	Number      int64
	ID          string
	Status      string
	Node        string          // that loads or loaded it
	Stamp       string          // what it is, whatever its id; "" while it is loaded
	Info        json.RawMessage // what the engine says of it; nil while it is loaded
	SeenAt      time.Time       // when its loader was last seen
	PublishedAt time.Time
}

// BeginGeneration gives a node the next number, greater than last and than all
// that were ever given out, and notes that it loads. id makes an id of the
// number. [ErrConflict] while another node loads, that was seen after dead, and not
// as long after now, which only one can be whose clock was ahead; what was loaded by
// one that was not is forgotten, and so is what the node itself was loading.
func (q Queries) BeginGeneration(ctx context.Context, node string, last int64, now, dead time.Time, id func(int64) string) (number int64, err error) {
	err = q.h.write(ctx, func(x conn) error {
		var others int
		err := x.queryRow(ctx, `SELECT COUNT(*) FROM generations WHERE status = ? AND node <> ? AND seen_at > ? AND seen_at <= ?`,
			GenerationLoading, node, micros(dead), micros(now.Add(now.Sub(dead)))).Scan(&others)
		if err != nil {
			return err
		}
		if others > 0 {
			return ErrConflict
		}
		if _, err := x.exec(ctx, `DELETE FROM generations WHERE status = ?`, GenerationLoading); err != nil {
			return err
		}
		number, err = x.nextGeneration(ctx, last)
		if err != nil {
			return err
		}
		_, err = x.exec(ctx, `INSERT INTO generations (number, id, status, node, stamp, seen_at) VALUES (?, ?, ?, ?, '', ?)`,
			number, id(number), GenerationLoading, node, micros(now))
		return err
	})
	return number, wrap("begin generation", err)
}

// nextGeneration counts up.
func (c conn) nextGeneration(ctx context.Context, last int64) (int64, error) {
	var given int64
	rows, err := c.query(ctx, `SELECT value FROM meta WHERE key = ?`, generationNumber)
	values, err := collect(rows, err, scanText)
	if err != nil {
		return 0, err
	}
	for _, v := range values {
		if given, err = strconv.ParseInt(v, 10, 64); err != nil {
			return 0, fmt.Errorf("meta %s: %w", generationNumber, err)
		}
	}
	next := max(given, last) + 1
	_, err = c.exec(ctx, `INSERT INTO meta (key, value) VALUES (?, ?)
		ON CONFLICT (key) DO UPDATE SET value = excluded.value`, generationNumber, strconv.FormatInt(next, 10))
	return next, err
}

// KeepGeneration notes that the node that loads a generation lives.
// [ErrNotFound] where it does not load it any more: another began.
func (q Queries) KeepGeneration(ctx context.Context, node string, number int64, now time.Time) error {
	return wrap("keep generation", q.h.write(ctx, func(x conn) error {
		return x.change(ctx, `UPDATE generations SET seen_at = ? WHERE number = ? AND node = ? AND status = ?`,
			micros(now), number, node, GenerationLoading)
	}))
}

// PublishGeneration makes what a node has loaded the current generation of all
// servers. [ErrNotFound] where it does not load it any more.
func (q Queries) PublishGeneration(ctx context.Context, node string, number int64, stamp string, info json.RawMessage, now time.Time) error {
	return wrap("publish generation", q.h.write(ctx, func(x conn) error {
		return x.change(ctx, `UPDATE generations SET status = ?, stamp = ?, info = ?, seen_at = ?, published_at = ?
			WHERE number = ? AND node = ? AND status = ?`,
			GenerationPublished, stamp, raw(info), micros(now), micros(now), number, node, GenerationLoading)
	}))
}

// AbandonGeneration forgets what a node was loading. [ErrNotFound] where it was
// published, or is forgotten already.
func (q Queries) AbandonGeneration(ctx context.Context, node string, number int64) error {
	return wrap("abandon generation", q.h.write(ctx, func(x conn) error {
		return x.change(ctx, `DELETE FROM generations WHERE number = ? AND node = ? AND status = ?`, number, node, GenerationLoading)
	}))
}

const generationColumns = `number, id, status, node, stamp, info, seen_at, published_at`

func scanGeneration(row scanner) (g Generation, err error) {
	err = row.Scan(&g.Number, &g.ID, &g.Status, &g.Node, &g.Stamp, rawColumn{&g.Info}, instant{&g.SeenAt}, instant{&g.PublishedAt})
	return g, err
}

// Generations lists all, newest first.
func (q Queries) Generations(ctx context.Context) ([]Generation, error) {
	return readRows(ctx, q, "list generations", scanGeneration, `SELECT `+generationColumns+` FROM generations ORDER BY number DESC`)
}

// Generation finds one by its id, or returns [ErrNotFound].
func (q Queries) Generation(ctx context.Context, id string) (Generation, error) {
	return readRow(ctx, q, "read generation", scanGeneration, `SELECT `+generationColumns+` FROM generations WHERE id = ?`, id)
}

// CurrentGeneration is the one published last; [ErrNotFound] where none was.
func (q Queries) CurrentGeneration(ctx context.Context) (Generation, error) {
	return readRow(ctx, q, "read current generation", scanGeneration, `SELECT `+generationColumns+` FROM generations
		WHERE status = ? ORDER BY number DESC LIMIT 1`, GenerationPublished)
}

// RemoveGeneration forgets a published generation. [ErrConflict] where it is the
// current one, or a build that runs began on it; [ErrNotFound] where there is none.
func (q Queries) RemoveGeneration(ctx context.Context, id string) error {
	return wrap("remove generation", q.h.write(ctx, func(x conn) error {
		err := x.change(ctx, `DELETE FROM generations WHERE id = ? AND status = ?
			AND number < (SELECT MAX(number) FROM generations WHERE status = ?)
			AND NOT EXISTS (SELECT 1 FROM audiences WHERE status = ? AND generation = ? AND deleted_at IS NULL)`,
			id, GenerationPublished, GenerationPublished, StatusRunning, id)
		if !errors.Is(err, ErrNotFound) {
			return err
		}
		var there int
		if err := x.queryRow(ctx, `SELECT COUNT(*) FROM generations WHERE id = ?`, id).Scan(&there); err != nil {
			return err
		}
		if there > 0 {
			return ErrConflict
		}
		return ErrNotFound
	}))
}
