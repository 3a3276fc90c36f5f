package service

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"throng"
	"throng/blob"
	"throng/engine"
	"throng/identifier"
	"throng/query"
	"throng/service/export"
	"throng/sqldb"
)

// uploadRows finds who owns any identifier of an upload on a generation. What
// was found before is kept beside the upload's lines, for the last generation
// that asked.
func (s *Service) uploadRows(ctx context.Context, g engine.Generation, u sqldb.Upload) (query.RowSet, error) {
	return s.rows(ctx, g, u.BlobKey, func() (query.RowSet, error) {
		return s.matchLines(ctx, g, identifier.Type(u.Type), linesKey(u.BlobKey), u.Matched+u.Unmatched)
	})
}

// finished tells whether an audience has members. A list of devices has, once
// it was read, also while other files are read in their place.
func finished(a sqldb.Audience) bool {
	if a.Kind == string(throng.Device) {
		_, err := usedPrefix(a)
		return err == nil
	}
	return a.Status == sqldb.StatusDone
}

// memberRows finds the members of a finished audience on a generation, and how
// many of them are gone. Those of a list of devices are whoever owns any.
func (s *Service) memberRows(ctx context.Context, g engine.Generation, a sqldb.Audience) (rows query.RowSet, gone uint64, err error) {
	if a.Kind == string(throng.Device) {
		rows, err = s.deviceOwners(ctx, g, a)
		return rows, 0, err
	}
	d, err := readDetails(a)
	if err != nil {
		return nil, 0, err
	}
	if a.Size == nil {
		return nil, 0, nil
	}
	rows, err = s.rows(ctx, g, d.Files, func() (query.RowSet, error) {
		return s.matchLines(ctx, g, identifier.SSID, export.TextKey(d.Files, identifier.SSID), *a.Size)
	})
	if err != nil {
		return nil, 0, err
	}
	return rows, uint64(*a.Size) - rows.Len(), nil
}

// rowsPrefix begins the names of kept sets of rows; a generation's id follows.
const rowsPrefix = "rows-"

func rowsKey(prefix, generation string) string { return prefix + "/" + rowsPrefix + generation }

// rows gives the set kept under a prefix for a generation, from memory where it
// was used a short time ago, or finds and keeps it. A kept set that cannot be
// read is found anew.
func (s *Service) rows(ctx context.Context, g engine.Generation, prefix string, find func() (query.RowSet, error)) (query.RowSet, error) {
	info := g.Info()
	cacheKey := newRowCacheKey(prefix, info)
	if rows, ok := s.kept.get(cacheKey); ok {
		return rows, nil
	}
	rows, err := s.readOrFind(ctx, g, rowsKey(prefix, info.ID), find)
	if err != nil {
		return nil, err
	}
	s.kept.putRows(cacheKey, rows, info.People)
	return rows, nil
}

func (s *Service) readOrFind(ctx context.Context, g engine.Generation, key string, find func() (query.RowSet, error)) (query.RowSet, error) {
	rows, err := s.readRows(ctx, g, key)
	if err == nil {
		return rows, nil
	}
	if !errors.Is(err, blob.ErrNotFound) {
		s.cfg.Logger.WarnContext(ctx, "read kept rows", "key", key, "err", err)
	}
	if rows, err = find(); err != nil {
		return nil, err
	}
	// They are found again where they cannot be kept, as on a full disk.
	if err := s.writeRows(ctx, g, key, rows); err != nil && ctx.Err() == nil {
		s.cfg.Logger.WarnContext(ctx, "keep rows", "key", key, "err", err)
	}
	return rows, nil
}

func (s *Service) readRows(ctx context.Context, g engine.Generation, key string) (query.RowSet, error) {
	r, err := s.cfg.Blobs.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return g.ReadRows(r)
}

func (s *Service) writeRows(ctx context.Context, g engine.Generation, key string, rows query.RowSet) error {
	w, err := s.cfg.Blobs.Create(ctx, key)
	if err != nil {
		return err
	}
	defer w.Abort() //nolint:errcheck // of no effect after Commit
	if err := g.WriteRows(w, rows); err != nil {
		return err
	}
	return w.Commit()
}

// anyNumber is that of the lines of a list of which only the list tells.
const anyNumber = -1

// matchLines matches the lines of a blob, normalised and distinct already. It is
// blob.ErrDamaged where it has another number of them than was written: what fewer
// lines match would look like a result.
func (s *Service) matchLines(ctx context.Context, g engine.Generation, t identifier.Type, key string, written int64) (query.RowSet, error) {
	rows, _, err := s.countLines(ctx, g, t, key, written)
	return rows, err
}

// countLines is matchLines that tells how many lines matched, too.
func (s *Service) countLines(ctx context.Context, g engine.Generation, t identifier.Type, key string, written int64) (_ query.RowSet, matched uint64, _ error) {
	r, err := s.cfg.Blobs.Open(ctx, key)
	if err != nil {
		return nil, 0, err
	}
	defer r.Close()
	var readErr error
	var read int64
	all := linesOf(r, &readErr)
	rows, matched, err := g.Match(ctx, t, func(yield func([]byte) bool) {
		for line := range all {
			if read++; !yield(line) {
				return
			}
		}
	})
	if err = errors.Join(err, readErr); err != nil {
		return nil, 0, fmt.Errorf("match lines of %s: %w", key, err)
	}
	if written != anyNumber && read != written {
		return nil, 0, fmt.Errorf("%w: %s has %d lines, %d were written", blob.ErrDamaged, key, read, written)
	}
	return rows, matched, nil
}

// linesOf yields the lines of a file without their ends, of which the last one
// has one, too. A line is valid until the next one is asked for. An error ends it
// and is in *failure.
func linesOf(r io.Reader, failure *error) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		b := bufio.NewReaderSize(r, 256<<10)
		for {
			line, err := b.ReadSlice('\n')
			switch {
			case errors.Is(err, io.EOF) && len(line) == 0:
				return
			case errors.Is(err, io.EOF), errors.Is(err, bufio.ErrBufferFull):
				*failure = fmt.Errorf("%w: a line has no end", blob.ErrDamaged)
				return
			case err != nil:
				*failure = err
				return
			}
			if !yield(line[:len(line)-1]) {
				return
			}
		}
	}
}
