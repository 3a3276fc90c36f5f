package s3

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
)

// Sweep implements [blob.Sweeper].
func (s *Store) Sweep(ctx context.Context, before time.Time) error {
	err := s.sweepUploads(ctx, before)
	var g group
	for o, listErr := range s.objects(ctx, s.prefix, s.page) {
		if listErr != nil {
			return fmt.Errorf("sweep bucket: %w", errors.Join(err, listErr))
		}
		key, rest, isMark, isData := split(strings.TrimPrefix(o.Key, s.prefix))
		if key != g.key {
			err = errors.Join(err, s.sweepGroup(ctx, g, before))
			g = group{key: key}
		}
		m, ok := parseMark(rest)
		switch {
		case isMark && ok:
			g.marks = append(g.marks, marked{m, o.Key, o.LastModified})
		case isData:
			g.data = append(g.data, stored{rest, o.Key, o.LastModified})
		}
	}
	if err = errors.Join(err, s.sweepGroup(ctx, g, before)); err != nil {
		return fmt.Errorf("sweep bucket: %w", err)
	}
	return nil
}

// group is all that lies under one key, marks newest first.
type group struct {
	key   string
	marks []marked
	data  []stored
}

type marked struct {
	mark
	name string
	at   time.Time
}

type stored struct {
	id, name string
	at       time.Time
}

// sweepGroup removes the marks that another followed before the instant, and
// the data that no mark left leads to.
func (s *Store) sweepGroup(ctx context.Context, g group, before time.Time) error {
	keep := map[string]bool{}
	last := len(g.marks) // the first mark that was followed in time
	for i, m := range g.marks {
		keep[m.id] = true
		if m.at.Before(before) {
			last = i + 1
			break
		}
	}
	var names []string
	young := false
	for _, d := range g.data {
		switch {
		case keep[d.id]:
		case d.at.Before(before):
			names = append(names, d.name)
		default:
			young = true
		}
	}
	for _, m := range g.marks[last:] {
		names = append(names, m.name)
	}
	// A deletion is forgotten last, and only where all that it hides is gone:
	// what is written next begins with version 1.
	if last == 1 && g.marks[0].gone() && !young {
		names = append(names, g.marks[0].name)
	}
	var errs []error
	for _, name := range names {
		if err := s.remove(ctx, name); err != nil {
			errs = append(errs, err)
			break // so that nothing hidden comes back
		}
	}
	return errors.Join(errs...)
}

// sweepUploads ends the multipart uploads that were begun before, whose writers
// have died.
func (s *Store) sweepUploads(ctx context.Context, before time.Time) error {
	ctx, cancel := context.WithCancel(ctx) // ends what the listing began
	defer cancel()
	var old []minio.ObjectMultipartInfo
	for u := range s.core.ListIncompleteUploads(ctx, s.cfg.Bucket, s.prefix, true) {
		if u.Err != nil {
			return cause(ctx, u.Err)
		}
		if u.Initiated.Before(before) {
			old = append(old, u)
		}
	}
	var errs []error
	for _, u := range old {
		errs = append(errs, s.core.AbortMultipartUpload(ctx, s.cfg.Bucket, u.Key, u.UploadID))
	}
	return errors.Join(errs...)
}
