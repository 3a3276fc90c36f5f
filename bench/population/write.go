package population

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"throng/dataset"
	"throng/internal/durable"
	"throng/internal/parquetfile"
	"throng/query"
)

const (
	// fileBlocks is how many blocks of people share a file.
	fileBlocks = 4
	// UploadName is the file of the MD5s that the query excludes.
	UploadName = "uploaded.txt"
)

// Tables are the names of the tables of a population.
func Tables() []string {
	return []string{dataset.People, dataset.Identifiers, dataset.Interests, dataset.Follows}
}

// asOf is the instant that the population describes.
func asOf() time.Time { return time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC) }

// Write writes the population's tables as Parquet into a folder of dataset,
// beside the file to upload, and returns how many rows all tables have. Both
// are made; what is there already is an error. workers goroutines write, each
// with some 10 MB of memory; the bytes do not depend on how many. progress,
// where set, is told how many people of all are written, one call at a time.
func (p *Population) Write(ctx context.Context, dir string, workers int, progress func(done, total int64)) (rows int64, err error) {
	for _, table := range Tables() {
		if err := durable.MkdirAll(filepath.Join(dir, table)); err != nil {
			return 0, fmt.Errorf("write population: %w", err)
		}
	}
	files := (p.Blocks() + fileBlocks - 1) / fileBlocks
	uploads := make([][]byte, files)
	var next, total atomic.Int64
	var mu sync.Mutex // guards done, and calls of progress
	var done int64
	group, ctx := errgroup.WithContext(ctx)
	for range max(1, min(workers, files)) {
		group.Go(func() error {
			w := newTableWriter(p, dir)
			for {
				f := int(next.Add(1)) - 1
				if f >= files {
					return nil
				}
				if err := w.file(ctx, f); err != nil {
					return err
				}
				total.Add(w.rows)
				uploads[f] = w.upload
				mu.Lock()
				done = min(done+fileBlocks*BlockPeople, int64(p.People))
				if progress != nil {
					progress(done, int64(p.People))
				}
				mu.Unlock()
			}
		})
	}
	if err := group.Wait(); err != nil {
		return 0, fmt.Errorf("write population: %w", err)
	}
	if err := errors.Join(p.writeUpload(dir, uploads), p.writeShared(dir)); err != nil {
		return 0, fmt.Errorf("write population: %w", err)
	}
	return total.Load(), nil
}

func (p *Population) writeUpload(dir string, pieces [][]byte) error {
	f, err := os.OpenFile(filepath.Join(dir, "_"+UploadName), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	for _, b := range pieces {
		if _, err := w.Write(b); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return errors.Join(w.Flush(), f.Close())
}

// writeShared writes what does not grow with the people.
func (p *Population) writeShared(dir string) error {
	for _, t := range Tables() {
		if err := durable.SyncDir(filepath.Join(dir, t)); err != nil {
			return err
		}
	}
	f, err := createParquet(filepath.Join(dir, dataset.Affinities+".parquet"), "affinity", "name", "parent")
	if err != nil {
		return err
	}
	var ids, parents []byte
	count := 0
	for _, g := range []Group{Interests, Excluded} {
		for _, v := range p.Values(g) {
			ids, parents = parquetfile.AppendText(ids, v), parquetfile.AppendText(parents, ".interests.")
			count++
		}
	}
	f.group(count, parquetColumn{values: ids}, parquetColumn{values: ids}, parquetColumn{values: parents})
	if err := f.close(); err != nil {
		return err
	}
	order := "in random order"
	if p.Clustered {
		order = "clustered"
	}
	about, err := json.MarshalIndent(map[string]string{
		"name":    fmt.Sprintf("Synthetic: %d people %s", p.People, order),
		"as_of":   asOf().Format(time.RFC3339),
		"source":  fmt.Sprintf("Made up by throng bench with seed %d. Nobody in it exists.", p.Seed),
		"license": "CC0-1.0",
	}, "", "  ")
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(dir, "dataset.json"), append(about, '\n'))
}

// tableWriter is one goroutine's way to the files.
type tableWriter struct {
	*Maker
	dir                                     string
	people, identifiers, interests, follows *parquetFile

	genders, countries, dates []byte // dictionaries

	rows   int64 // of the file at hand
	upload []byte

	attributes   Attributes
	keys, values []byte
	edges        edges
}

func newTableWriter(p *Population, dir string) *tableWriter {
	w := &tableWriter{Maker: p.Maker(), dir: dir, genders: plainStrings("female", "male")}
	for _, c := range Countries() {
		w.countries = parquetfile.AppendText(w.countries, c.Code)
	}
	for days := range activityDays {
		w.dates = parquetfile.AppendText(w.dates, asOf().AddDate(0, 0, -days).Format(time.DateOnly))
	}
	return w
}

// file writes one file of each table.
func (w *tableWriter) file(ctx context.Context, file int) error {
	w.rows, w.upload = 0, nil
	tables := []struct {
		at      **parquetFile
		name    string
		columns []string
	}{
		{&w.people, dataset.People, []string{"person", "gender", "country", "last_tweeted"}},
		{&w.identifiers, dataset.Identifiers, []string{"person", "type", "value"}},
		{&w.interests, dataset.Interests, []string{"person", "affinity"}},
		{&w.follows, dataset.Follows, []string{"person", "network", "account"}},
	}
	var errs []error
	for _, t := range tables {
		var err error
		if *t.at, err = createParquet(filepath.Join(w.dir, t.name, fmt.Sprintf("%05d.parquet", file)), t.columns...); err != nil {
			return err
		}
	}
	for b := file * fileBlocks; b < min((file+1)*fileBlocks, w.Blocks()); b++ {
		if err := ctx.Err(); err != nil {
			errs = append(errs, err)
			break
		}
		w.block(b)
	}
	for _, t := range tables {
		w.rows += (*t.at).Rows()
		errs = append(errs, (*t.at).close())
	}
	return errors.Join(errs...)
}

func (w *tableWriter) block(block int) {
	n, first, digits := w.inBlock(block), block*BlockPeople, w.KeyDigits()
	w.Attributes(&w.attributes, block)
	w.keys, w.values = w.keys[:0], w.values[:0]
	for i := range n {
		at := len(w.keys)
		w.keys = append(w.keys, 0, 0, 0, 0)
		w.keys = AppendKey(w.keys, first+i, digits)
		w.keys[at] = byte(len(w.keys) - at - 4)
		sum := w.MD5(uint64(first + i))
		w.values = append(w.values, 2*byte(len(sum)), 0, 0, 0)
		w.values = hex.AppendEncode(w.values, sum[:])
	}
	a := &w.attributes
	w.people.group(n,
		parquetColumn{values: w.keys, shrink: true},
		parquetColumn{dict: w.genders, terms: 2, narrow: a.Male},
		parquetColumn{dict: w.countries, terms: len(Countries()), narrow: a.Country, shrink: w.Clustered},
		parquetColumn{dict: w.dates, terms: activityDays, wide: a.Days, shrink: w.Clustered},
	)
	w.identifiers.group(n,
		parquetColumn{values: w.keys, shrink: true},
		parquetColumn{dict: plainStrings("md5"), terms: 1, same: true},
		parquetColumn{values: w.values},
	)
	e := &w.edges
	e.collect(w.Maker, block, Interests, Excluded)
	w.interests.group(len(e.people), w.owners(), parquetColumn{dict: e.dict, terms: e.dictTerms, wide: e.terms})
	e.collect(w.Maker, block, Five, Union, Fifty, Rare, Channels)
	w.follows.group(len(e.people), w.owners(),
		parquetColumn{dict: plainStrings(string(query.Twitter), string(query.YouTube)), terms: 2, narrow: e.networks, shrink: true},
		parquetColumn{dict: e.dict, terms: e.dictTerms, wide: e.terms},
	)
	from, _ := w.Group(Uploaded)
	for _, row := range w.Members(from, block) {
		sum := w.MD5(uint64(first + int(row)))
		w.upload = hex.AppendEncode(w.upload, sum[:])
		w.upload = append(w.upload, '\n')
	}
}

// owners is the column of the people of the edges at hand.
func (w *tableWriter) owners() parquetColumn {
	e := &w.edges
	if len(e.people) >= len(w.keys)/8 {
		return parquetColumn{dict: w.keys, terms: w.keysCount(), wide: e.people}
	}
	// So few that most keys would stand in the dictionary for nothing.
	size := len(w.keys) / w.keysCount()
	e.owners = e.owners[:0]
	for _, p := range e.people {
		e.owners = append(e.owners, w.keys[int(p)*size:][:size]...)
	}
	return parquetColumn{values: e.owners, shrink: true}
}

func (w *tableWriter) keysCount() int { return len(w.attributes.Male) }

// edges are rows of person and term of one block, in the order of people, and
// for each person in the order of terms.
type edges struct {
	people   []uint16
	terms    []uint16 // positions in dict
	networks []uint8  // 0: Twitter, 1: YouTube
	dict     []byte
	owners   []byte

	dictTerms int
	rows      []uint16 // by term
	ends      []int    // of the rows of each term of the dictionary
	isYouTube []uint8
	place     []uint32 // by person: where the next edge goes
}

// collect makes the edges of some groups of terms.
func (e *edges) collect(m *Maker, block int, groups ...Group) {
	e.rows, e.ends, e.isYouTube, e.dict = e.rows[:0], e.ends[:0], e.isYouTube[:0], e.dict[:0]
	e.place = resize(e.place, m.inBlock(block)+1)
	clear(e.place)
	for _, g := range groups {
		from, to := m.Group(g)
		for t := from; t < to; t++ {
			rows := m.Members(t, block)
			if len(rows) == 0 {
				continue
			}
			for _, r := range rows {
				e.place[int(r)+1]++
			}
			e.rows = append(e.rows, rows...)
			e.ends = append(e.ends, len(e.rows))
			network := uint8(0)
			if m.terms[t].field == query.YouTube {
				network = 1
			}
			e.isYouTube = append(e.isYouTube, network)
			e.dict = parquetfile.AppendText(e.dict, m.terms[t].value)
		}
	}
	e.dictTerms = len(e.ends)
	for i := range len(e.place) - 1 {
		e.place[i+1] += e.place[i]
	}
	n := len(e.rows)
	e.people, e.terms, e.networks = resize(e.people, n), resize(e.terms, n), resize(e.networks, n)
	at := 0
	for t, end := range e.ends {
		for ; at < end; at++ {
			r := e.rows[at]
			to := e.place[r]
			e.place[r]++
			e.people[to], e.terms[to], e.networks[to] = r, uint16(t), e.isYouTube[t]
		}
	}
}
