package deviceset

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"throng/blob"
	"throng/device"
	"throng/engine"
	"throng/internal/hexkey"
	"throng/internal/lines"
	"throng/query"
	"throng/service/rowstore"
)

// keepDevices writes the set of all devices, and finds on their way who owns
// any.
func (r *reader) keepDevices(ctx context.Context, g engine.Generation, c *device.Collector) error {
	found := r.found
	w, err := r.Blobs.Create(ctx, Key(found.Prefix))
	if err != nil {
		return fmt.Errorf("store devices: %w", err)
	}
	defer w.Abort() //nolint:errcheck // of no effect after Commit
	set := device.NewSetWriter(counting{w, &found.Bytes})
	var owners []query.RowSet
	for _, f := range device.Families() {
		if c.Taken(f) == 0 {
			continue
		}
		if err := set.Begin(f, c.Taken(f)); err != nil {
			return err
		}
		rows, err := r.keepFamily(ctx, g, c, f, set, &found.Counts.Devices)
		if err != nil {
			return err
		}
		owners = append(owners, rows)
	}
	if err := set.Close(); err != nil {
		return err
	}
	if err := w.Commit(); err != nil {
		return fmt.Errorf("store devices: %w", err)
	}
	if c.HasMA() {
		rows, err := r.keepMA(ctx, g, c, linesKey(found.Prefix), &found.Bytes)
		if err != nil {
			return err
		}
		owners = append(owners, rows)
	}
	found.Counts.Duplicate = found.Counts.Rows - found.Counts.Invalid - found.Counts.Devices
	if g == nil {
		return nil
	}
	people, err := rowstore.Union(ctx, g, owners)
	if err != nil {
		return err
	}
	found.Counts.People = people.Len()
	return r.Rows.Write(ctx, g, found.Prefix, people)
}

// keepFamily writes the devices of a family and counts them.
func (r *reader) keepFamily(
	ctx context.Context, g engine.Generation, c *device.Collector, f device.Family, set *device.SetWriter, n *uint64,
) (query.RowSet, error) {
	var digits [hexkey.SumLen]byte
	return passing(ctx, g, f.MD5(), func(yield func([]byte) bool) error {
		var writeErr error
		err := c.Each(ctx, f, func(k hexkey.Key) bool {
			*n++
			writeErr = set.Add(k)
			return writeErr == nil && yield(k.Append(digits[:0]))
		})
		return errors.Join(err, writeErr)
	})
}

// keepMA writes raw advertising ids one a line, for later generations: those
// that the dataset has as ma_id alone are of no family, and found by nothing
// else.
func (r *reader) keepMA(ctx context.Context, g engine.Generation, c *device.Collector, key string, size *int64) (query.RowSet, error) {
	w, err := r.Blobs.Create(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("store devices: %w", err)
	}
	defer w.Abort() //nolint:errcheck // of no effect after Commit
	out := bufio.NewWriterSize(counting{w, size}, writeBuffer)
	rows, err := passing(ctx, g, maType, func(yield func([]byte) bool) error {
		var writeErr error
		err := c.EachMA(ctx, func(text []byte) bool {
			writeErr = lines.Write(out, text)
			return writeErr == nil && yield(text)
		})
		return errors.Join(err, writeErr)
	})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(out.Flush(), w.Commit()); err != nil {
		return nil, fmt.Errorf("store devices: %w", err)
	}
	return rows, nil
}

// counting is a writer that counts what is kept.
type counting struct {
	blob.Writer
	n *int64
}

// Write implements io.Writer.
func (c counting) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	*c.n += int64(n)
	return n, err
}

// writeJSON stores a small thing.
func (r *reader) writeJSON(ctx context.Context, key string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w, err := r.Blobs.Create(ctx, key)
	if err != nil {
		return fmt.Errorf("store %T: %w", v, err)
	}
	defer w.Abort() //nolint:errcheck // of no effect after Commit
	if _, err := w.Write(raw); err != nil {
		return fmt.Errorf("store %T: %w", v, err)
	}
	return w.Commit()
}
