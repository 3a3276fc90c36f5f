// Package reportstore keeps what reports are made of: the counts of each in a file,
// which is read once for many questions, and those of the named baselines of a
// generation in memory.
package reportstore

import (
	"context"
	"crypto/sha1" //nolint:gosec // a name for contents, which the contract wants; nothing is proved by it
	"encoding/hex"
	"fmt"

	"throng/blob"
	"throng/engine"
	"throng/identifier"
	"throng/insight"
	"throng/internal/cache"
	"throng/query"
)

// Bytes is how much memory the counts of the reports that were read last may
// take: those of some five reports on half a million members, each of which
// takes 25 MB, or of a hundred on ten thousand.
const Bytes = 128 << 20

// Store keeps counts. It is safe for concurrent use. What it gives is shared and
// must not be changed.
type Store struct {
	blobs  blob.Store
	kept   *cache.Sized[string, *insight.Counts] // by the key of their file
	groups baselines
}

// New makes a store of files in blobs, with so many bytes of memory for reports.
func New(blobs blob.Store, bytes int64) *Store {
	return &Store{blobs: blobs, kept: cache.NewSized[string, *insight.Counts](bytes), groups: baselines{limit: baselineBytes}}
}

// Kept is how many reports are in memory, and how many bytes they take.
func (s *Store) Kept() (reports int, bytes int64) { return s.kept.Len(), s.kept.Bytes() }

// Forget drops from memory the reports whose files are gone.
func (s *Store) Forget(gone func(key string) bool) { s.kept.Drop(gone) }

// MembersHash names members and their generation: the SHA-1 of the generation's
// id and the members' keys, a line each.
func MembersHash(ctx context.Context, g engine.Generation, rows query.RowSet) (string, error) {
	sum := sha1.New() //nolint:gosec // as above
	fmt.Fprintln(sum, g.Info().ID)
	err := g.Stream(ctx, rows, []identifier.Type{identifier.SSID}, func(b *engine.Batch) error {
		sum.Write(b.Lines)
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("sum members: %w", err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// Write keeps the counts of a report in a file, durably.
func (s *Store) Write(ctx context.Context, key string, counts *insight.Counts) error {
	w, err := s.blobs.Create(ctx, key)
	if err != nil {
		return err
	}
	defer w.Abort() //nolint:errcheck // of no effect after Commit
	if err := counts.Write(w); err != nil {
		return err
	}
	return w.Commit()
}

// Counts reads a file of counts unless it was a short time ago. A file's key
// is of one attempt to make a report, and nothing is ever written under it again.
func (s *Store) Counts(ctx context.Context, key string) (*insight.Counts, error) {
	if counts, ok := s.kept.Get(key); ok {
		return counts, nil
	}
	counts, err := s.Read(ctx, key)
	if err != nil {
		return nil, err
	}
	s.kept.Put(key, counts, counts.Bytes())
	return counts, nil
}

// Read reads a file of counts as it is now.
func (s *Store) Read(ctx context.Context, key string) (*insight.Counts, error) {
	r, err := s.blobs.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return insight.Read(r)
}
