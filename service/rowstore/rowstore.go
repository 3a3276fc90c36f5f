// Package rowstore keeps the rows of a generation that uploads, audiences and
// clusters are: in memory while they are used, and in a file beside the files of
// what they are of, one for each generation that was asked.
package rowstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"throng/blob"
	"throng/engine"
	"throng/query"
)

// Prefix begins the names of the files; a generation's id follows.
const Prefix = "rows-"

func fileKey(prefix, generation string) string { return prefix + "/" + Prefix + generation }

// Stale tells whether a file is a kept set of rows of a generation that is gone.
func Stale(key string, all []engine.Info) bool {
	_, id, ok := strings.Cut(key[strings.LastIndexByte(key, '/')+1:], Prefix)
	return ok && !slices.ContainsFunc(all, func(g engine.Info) bool { return g.ID == id })
}

// Store keeps sets of rows. It is safe for concurrent use.
type Store struct {
	blobs  blob.Store
	kept   memory
	logger *slog.Logger
}

// New makes a store of files in blobs, with so many bytes of memory. The logger
// takes what is no trouble but slow: files that cannot be read or written.
func New(blobs blob.Store, bytes int64, logger *slog.Logger) *Store {
	return &Store{blobs: blobs, kept: newMemory(bytes), logger: logger}
}

// Find gives the set kept under a prefix for a generation, from memory where it
// was used a short time ago, or finds and keeps it. A kept set that cannot be
// read is found anew.
func (s *Store) Find(ctx context.Context, g engine.Generation, prefix string, find func() (query.RowSet, error)) (query.RowSet, error) {
	info := g.Info()
	at := newKey(prefix, info)
	if rows, ok := s.kept.Get(at); ok {
		return rows, nil
	}
	rows, err := s.readOrFind(ctx, g, fileKey(prefix, info.ID), find)
	if err != nil {
		return nil, err
	}
	s.kept.put(at, rows, info.People)
	return rows, nil
}

// Write keeps a set of rows under a prefix for their generation, durably.
func (s *Store) Write(ctx context.Context, g engine.Generation, prefix string, rows query.RowSet) error {
	return s.write(ctx, g, fileKey(prefix, g.Info().ID), rows)
}

// Forget drops from memory what is kept under the prefixes that are gone.
func (s *Store) Forget(gone func(prefix string) bool) {
	s.kept.Drop(func(k key) bool { return gone(k.prefix) })
}

func (s *Store) readOrFind(ctx context.Context, g engine.Generation, key string, find func() (query.RowSet, error)) (query.RowSet, error) {
	rows, err := s.read(ctx, g, key)
	if err == nil {
		return rows, nil
	}
	if !errors.Is(err, blob.ErrNotFound) {
		s.logger.WarnContext(ctx, "read kept rows", "key", key, "err", err)
	}
	if rows, err = find(); err != nil {
		return nil, err
	}
	// They are found again where they cannot be kept, as on a full disk.
	if err := s.write(ctx, g, key, rows); err != nil && ctx.Err() == nil {
		s.logger.WarnContext(ctx, "keep rows", "key", key, "err", err)
	}
	return rows, nil
}

func (s *Store) read(ctx context.Context, g engine.Generation, key string) (query.RowSet, error) {
	r, err := s.blobs.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return g.ReadRows(r)
}

func (s *Store) write(ctx context.Context, g engine.Generation, key string, rows query.RowSet) error {
	w, err := s.blobs.Create(ctx, key)
	if err != nil {
		return err
	}
	defer w.Abort() //nolint:errcheck // of no effect after Commit
	if err := g.WriteRows(w, rows); err != nil {
		return err
	}
	return w.Commit()
}

// Union is whoever is in any of the sets.
func Union(ctx context.Context, g engine.Generation, sets []query.RowSet) (query.RowSet, error) {
	var or query.Or
	for _, rows := range sets {
		if rows != nil && rows.Len() > 0 {
			or.Nodes = append(or.Nodes, query.Rows{Set: rows})
		}
	}
	rows, _, err := g.Select(ctx, query.Definition{Steps: []query.Step{{Op: query.Include, Node: or}}}, 0)
	if err != nil {
		return nil, fmt.Errorf("unite owners: %w", err)
	}
	return rows, nil
}
