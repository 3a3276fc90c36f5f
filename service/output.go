package service

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"slices"

	"throng"
	"throng/blob"
	"throng/engine"
	"throng/identifier"
	"throng/query"
	"throng/sqldb"
)

// Keys of the files of a build, below its prefix.
func textKey(files string, t identifier.Type) string    { return files + "/text-" + string(t) }
func membersKey(files string, t identifier.Type) string { return files + "/members-" + string(t) }

// writeBuffer is a compromise between fourteen open files and few writes.
const writeBuffer = 128 << 10

// outputFile is one type's text and, beside it, whose each line is: for every
// line a uvarint, how many members further on than the line before it its
// member is. With it and the ss_id text, in which line n is member n, the pairs
// of person and identifier are known without the generation.
type outputFile struct {
	typ           identifier.Type
	text, members *sink // members is nil for ss_id
	sum           hash.Hash
	people, rows  uint64
	last          uint32
	scratch       []byte
}

// writeOutputs streams the identifiers of rows into files below a prefix, all
// types in one pass. The files are durable when it returns nil; after an error
// some may be there.
func (s *Service) writeOutputs(
	ctx context.Context, g engine.Generation, rows query.RowSet, files string, types []identifier.Type, progress func(share float64),
) ([]sqldb.Output, error) {
	open := map[identifier.Type]*outputFile{}
	defer func() {
		for _, f := range open {
			f.abort()
		}
	}()
	for _, t := range types {
		f, err := s.createOutput(ctx, files, t)
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
	outputs := make([]sqldb.Output, 0, len(types))
	for _, t := range types {
		f := open[t]
		if t == identifier.SSID && f.rows != rows.Len() {
			return nil, fmt.Errorf("engine streams %d person keys for %d members: %w", f.rows, rows.Len(), engine.ErrCorrupt)
		}
		if err := f.commit(); err != nil {
			return nil, err
		}
		outputs = append(outputs, sqldb.Output{
			Type: string(t), People: int64(f.people), Rows: int64(f.rows), Bytes: f.text.size,
			SHA256: hex.EncodeToString(f.sum.Sum(nil)), BlobKey: textKey(files, t),
		})
	}
	return outputs, nil
}

func (s *Service) createOutput(ctx context.Context, files string, t identifier.Type) (*outputFile, error) {
	text, err := s.cfg.Blobs.Create(ctx, textKey(files, t))
	if err != nil {
		return nil, err
	}
	f := newOutputFile(t, text)
	if t == identifier.SSID {
		return f, nil
	}
	members, err := s.cfg.Blobs.Create(ctx, membersKey(files, t))
	if err != nil {
		f.abort()
		return nil, err
	}
	f.members = newSink(members, nil)
	return f, nil
}

func newOutputFile(t identifier.Type, text blob.Writer) *outputFile {
	f := &outputFile{typ: t, sum: sha256.New()}
	f.text = newSink(text, f.sum)
	return f
}

func (f *outputFile) add(b *engine.Batch) error {
	if len(b.Ends) != len(b.Members) {
		return fmt.Errorf("engine streams %d values of %d members: %w", len(b.Ends), len(b.Members), engine.ErrCorrupt)
	}
	if err := f.text.write(b.Lines); err != nil {
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
	return f.members.write(f.scratch)
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

func (f *outputFile) commit() error {
	if err := f.text.commit(); err != nil {
		return err
	}
	if f.members == nil {
		return nil
	}
	return f.members.commit()
}

// abort drops what was not committed.
func (f *outputFile) abort() {
	f.text.abort()
	if f.members != nil {
		f.members.abort()
	}
}

// deleteFiles removes the blobs below a prefix but those below another.
func (s *Service) deleteFiles(ctx context.Context, prefix, but string) error {
	s.kept.dropBelow(prefix, but)
	s.reports.drop(func(key string) bool { return lies(key, prefix, but) })
	var errs []error
	for info, err := range s.cfg.Blobs.List(ctx, prefix) {
		if err != nil {
			return err
		}
		if but == "" || len(info.Key) < len(but) || info.Key[:len(but)] != but {
			err := s.cfg.Blobs.Delete(ctx, info.Key)
			if throng.IsAway(err) {
				return err // as would be the others; the sweep finds them
			}
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
