// Package export writes the identifiers of members, of all types in one pass over
// them, and reads them back as pairs of person and identifier, in the formats
// that callers download. What it has written it reads without the generation.
package export

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"

	"golang.org/x/sync/errgroup"

	"throng/blob"
	"throng/engine"
	"throng/identifier"
	"throng/query"
)

// TextKey is the file of a type's identifiers, one a line, below a prefix.
func TextKey(prefix string, t identifier.Type) string { return prefix + "/text-" + string(t) }

// membersKey is the file that tells whose each line of a text is.
func membersKey(prefix string, t identifier.Type) string { return prefix + "/members-" + string(t) }

// File is what was written of one type.
type File struct {
	Type   identifier.Type
	People uint64 // who have any
	Rows   uint64
	Bytes  int64
	SHA256 string // of the text, in hex
}

// outputFile is one type's text and, beside it, whose each line is: for every
// line a uvarint, how many members further on than the line before it its
// member is. With it and the ss_id text, in which line n is member n, the pairs
// of person and identifier are known without the generation.
type outputFile struct {
	typ           identifier.Type
	text, members *blob.Sink // members is nil for ss_id
	sum           hash.Hash
	people, rows  uint64
	last          uint32
	scratch       []byte
}

// Write streams the identifiers of rows into files below a prefix, all types in
// one pass, and tells of them in the order of types. progress is told how much
// of the rows is done, 0 to 1. The files are durable when it returns nil; after
// an error some may be there.
func Write(
	ctx context.Context, to blob.Store, g engine.Generation, rows query.RowSet, prefix string, types []identifier.Type, progress func(share float64),
) ([]File, error) {
	open := map[identifier.Type]*outputFile{}
	defer func() {
		for _, f := range open {
			f.abort()
		}
	}()
	for _, t := range types {
		f, err := createOutput(ctx, to, prefix, t)
		if err != nil {
			return nil, err
		}
		open[t] = f
	}
	total := float64(max(rows.Len(), 1))
	err := g.Stream(ctx, rows, types, func(b *engine.Batch) error {
		f := open[b.Type]
		if f == nil {
			return fmt.Errorf("engine streams type %s, which was not asked for", b.Type)
		}
		if b.Type == identifier.SSID && len(b.Members) > 0 {
			progress(float64(b.Members[len(b.Members)-1]) / total)
		}
		return f.add(b)
	})
	if err != nil {
		return nil, err
	}
	if f := open[identifier.SSID]; f != nil && f.rows != rows.Len() {
		return nil, fmt.Errorf("engine streams %d person keys for %d members: %w", f.rows, rows.Len(), engine.ErrCorrupt)
	}
	if err := commit(open); err != nil {
		return nil, err
	}
	files := make([]File, 0, len(types))
	for _, t := range types {
		f := open[t]
		files = append(files, File{
			Type: t, People: f.people, Rows: f.rows, Bytes: f.text.Size(), SHA256: hex.EncodeToString(f.sum.Sum(nil)),
		})
	}
	return files, nil
}

// commit makes all files visible, all at once: a bucket needs three answers for
// each, one after the other, and a disk carries out many syncs with one.
func commit(open map[identifier.Type]*outputFile) error {
	var commits errgroup.Group
	for _, f := range open {
		commits.Go(f.text.Commit)
		if f.members != nil {
			commits.Go(f.members.Commit)
		}
	}
	return commits.Wait()
}

func createOutput(ctx context.Context, to blob.Store, prefix string, t identifier.Type) (*outputFile, error) {
	text, err := to.Create(ctx, TextKey(prefix, t))
	if err != nil {
		return nil, err
	}
	f := newOutputFile(t, text)
	if t == identifier.SSID {
		return f, nil
	}
	members, err := to.Create(ctx, membersKey(prefix, t))
	if err != nil {
		f.abort()
		return nil, err
	}
	f.members = blob.NewSink(members, nil)
	return f, nil
}

func newOutputFile(t identifier.Type, text blob.Writer) *outputFile {
	f := &outputFile{typ: t, sum: sha256.New()}
	f.text = blob.NewSink(text, f.sum)
	return f
}

func (f *outputFile) add(b *engine.Batch) error {
	if len(b.Ends) != len(b.Members) {
		return fmt.Errorf("engine streams %d values of %d members: %w", len(b.Ends), len(b.Members), engine.ErrCorrupt)
	}
	if _, err := f.text.Write(b.Lines); err != nil {
		return err
	}
	if f.members == nil {
		return f.addPeople(b.Members)
	}
	f.scratch = slices.Grow(f.scratch[:0], len(b.Members)*binary.MaxVarintLen32)
	for i, m := range b.Members {
		if m < f.last {
			return fmt.Errorf("engine streams members out of order: %w", engine.ErrCorrupt)
		}
		step := m - f.last
		f.last = m
		if step != 0 || f.rows == 0 && i == 0 {
			f.people++
		}
		if step < 0x80 {
			f.scratch = append(f.scratch, byte(step))
		} else {
			f.scratch = binary.AppendUvarint(f.scratch, uint64(step))
		}
	}
	f.rows += uint64(len(b.Members))
	_, err := f.members.Write(f.scratch)
	return err
}

// addPeople notes the members of a batch of person keys: every member has one.
func (f *outputFile) addPeople(members []uint32) error {
	for i, m := range members {
		if uint64(m) != f.rows+uint64(i) {
			return fmt.Errorf("engine streams a person key too few or too many: %w", engine.ErrCorrupt)
		}
	}
	f.rows += uint64(len(members))
	f.people = f.rows
	return nil
}

// abort drops what was not committed.
func (f *outputFile) abort() {
	f.text.Abort()
	if f.members != nil {
		f.members.Abort()
	}
}
