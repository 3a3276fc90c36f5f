package load

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"throng/dataset"
	"throng/engine"
	"throng/reference"
)

const (
	rejectUnknownPerson = "unknown person"
	maxFileIndex        = 1 << 24
	maxSeq              = 1 << 20
	maxBatchRows        = 1 << 20
)

var errTooLarge = errors.New("read table: more files, or larger ones, than can be put in order: at most 2^24 files of 2^20 batches")

// orderOf numbers the rows of a table in the order of files and lines.
func orderOf(b *dataset.Batch, row int) (uint64, error) {
	if b.FileIndex >= maxFileIndex || b.Seq >= maxSeq || row >= maxBatchRows {
		return 0, errTooLarge
	}
	return uint64(b.FileIndex)<<40 | uint64(b.Seq)<<20 | uint64(row), nil
}

// read reads a table, if it is there, and counts its rows.
func (l *loader) read(ctx context.Context, table string, emit func(*dataset.Batch) error) error {
	t := l.source.Tables[table]
	if t == nil {
		return nil
	}
	l.progress.begin(readStep+table, t.Size())
	return t.Read(ctx, l.workers, l.progress.read, func(b *dataset.Batch) error {
		l.rejects.Batch(b)
		l.progress.rows(int64(b.Rows() + len(b.Bad)))
		return emit(b)
	})
}

// located is a place of the dataset, and the row that tells it.
type located struct {
	reference.Place
	at place
}

// readPlaces reads the dataset's own places; where it has none, the built-in
// ones are used.
func (l *loader) readPlaces(ctx context.Context) error {
	if l.source.Tables[dataset.Locations] == nil {
		l.env.Places = reference.BuiltIn()
		return nil
	}
	var mu sync.Mutex
	var list []located
	err := l.read(ctx, dataset.Locations, func(b *dataset.Batch) error {
		var r dataset.LocationRow
		for row := range b.Rows() {
			out := r.Decode(b, row)
			if !out.OK() {
				l.rejects.Reject(b, row, out.Reject)
				continue
			}
			l.rejects.Drop(b.Table, r.Dropped...)
			at, err := placeOf(b, row)
			if err != nil {
				return err
			}
			p := located{reference.Place{
				Kind: r.Kind, ID: string(r.ID), Name: string(r.Name),
				Region: string(r.Region), Country: string(r.Country), DMA: string(r.DMA),
			}, at}
			mu.Lock()
			list = append(list, p)
			mu.Unlock()
		}
		return nil
	})
	if err != nil {
		return err
	}
	l.makePlaces(list)
	return nil
}

// makePlaces makes the table of the dataset's own places. What is not in order
// with them is rejected or dropped.
func (l *loader) makePlaces(list []located) {
	sortByOrder(list, func(p located) uint64 { return p.at.order })
	places := make([]reference.Place, len(list))
	for i, p := range list {
		places[i] = p.Place
	}
	table, problems := reference.New(places)
	left := uint64(len(list))
	for _, p := range problems {
		switch p.Reason {
		case reference.UnknownRegion:
			l.rejects.Drop(dataset.Locations, "region")
		case reference.UnknownCountry:
			l.rejects.Drop(dataset.Locations, "country")
		case reference.UnknownDMA:
			l.rejects.Drop(dataset.Locations, "dma")
		default:
			l.rejectAt(dataset.Locations, list[p.Index].at, p.Reason)
			left--
		}
	}
	l.rejects.Load(dataset.Locations, left)
	l.env.Places = table
}

// checkRejects refuses a load of which too many rows cannot be used.
func (l *loader) checkRejects() error {
	for _, name := range dataset.Names() {
		c := l.rejects.Counts(name)
		if n := c.Total(); float64(n) > l.allow*float64(c.Rows) {
			return fmt.Errorf("%w: %d of %d rows of table %s, where a share of %g may be", engine.ErrTooManyRejects, n, c.Rows, name, l.allow)
		}
	}
	return nil
}
