// Package load turns a dataset folder into a generation of the embedded
// engine.
//
// Tables are read once, by all workers, in whatever order their batches come.
// People come first, since they decide the numbers of rows. Everything else
// becomes pairs of row and term, which are kept by block of 65,536 rows and
// turned around block by block in the cache, never sorted as a whole; and
// identifiers and texts, which are kept by block, too, and become columns.
// What does not fit the memory set goes to files in the work folder, written
// and read sequentially. Nothing of the result depends on the order in which
// batches came: two loads of one dataset as of one instant give the same bytes.
//
// Packages beneath do what needs no table: intern numbers the terms, invert turns
// the pairs around, and spill keeps what is kept.
//
// A generation is built in <id>.tmp, synced, renamed and then named by CURRENT;
// a load that dies at any moment leaves what was current as it was, and what
// is left of it is removed by the next.
package load

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"throng/dataset"
	"throng/engine"
	"throng/engine/bitmap/load/intern"
	"throng/engine/bitmap/load/spill"
	"throng/engine/bitmap/storage"
	"throng/internal/durable"
	"throng/query"
	"throng/reference"
)

const (
	lockName      = "load.lock"
	tmpSuffix     = ".tmp"
	refusedName   = "refused.csv"
	workName      = "work" // in the folder being built; gone at the end
	idDigits      = 8
	defaultMemory = 1 << 30
	minMemory     = 1 << 20
	defaultAllow  = 0.05
)

var errTooManyPeople = errors.New("load people: more than 2^32 rows")

// window is a term of query.Active and the first instant that counts, in
// microseconds since 1970.
type window struct {
	value string
	since int64
}

// loader is one load.
type loader struct {
	opt      engine.LoadOptions
	workers  int
	allow    float64
	dir      string // of the index
	tmp      string // where the generation is built
	work     string // where rows are spilt
	source   *dataset.Source
	env      dataset.Env
	rejects  *dataset.Rejects
	progress *progress
	mem      *spill.Memory
	dict     *intern.Dictionary
	fields   map[query.Field]uint8 // positions in storage.Fields
	windows  []window

	personalities []string

	taxonomy *taxonomy
	brings   [][]uint32 // by the account's term, where it was declared
	rows     uint32
	known    *known
	pairs    *spill.Store
	over     *intern.Overflow
	ids      *identifiers
	texts    map[query.Field]*spill.Store
	files    []storage.FileSum
}

// Load builds a generation in the index folder from a dataset folder and makes
// it current, as engine.Engine says. The report is nil where the dataset could
// not be read.
func Load(ctx context.Context, indexDir, dir string, opt engine.LoadOptions) (_ *engine.Report, err error) {
	start := time.Now()
	l := newLoader(indexDir, opt)
	if err := durable.MkdirAll(indexDir); err != nil {
		return nil, fmt.Errorf("load dataset: %w", err)
	}
	unlock, err := durable.Lock(filepath.Join(indexDir, lockName))
	if errors.Is(err, durable.ErrLocked) {
		return nil, engine.ErrBusy
	}
	if err != nil {
		return nil, fmt.Errorf("load dataset: %w", err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	id, err := l.prepare(ctx)
	if err != nil {
		return nil, fmt.Errorf("load dataset: %w", err)
	}
	defer func() { err = errors.Join(err, l.clean()) }()
	if l.source, err = dataset.Open(dir); err != nil {
		return nil, err
	}
	l.interpret()
	l.progress.expect(l.source, l.lastReport())
	if err := l.build(ctx); err != nil {
		if errors.Is(err, engine.ErrTooManyRejects) {
			return l.refuse(start, err)
		}
		return nil, fmt.Errorf("load dataset: %w", err)
	}
	report, err := l.commit(ctx, id, start)
	if err != nil {
		return nil, fmt.Errorf("load dataset: %w", err)
	}
	return report, nil
}

func newLoader(indexDir string, opt engine.LoadOptions) *loader {
	l := &loader{opt: opt, dir: indexDir, allow: opt.AllowRejects, workers: opt.Workers}
	if l.opt.Memory <= 0 {
		l.opt.Memory = defaultMemory
	}
	l.opt.Memory = max(l.opt.Memory, minMemory)
	if l.workers <= 0 {
		l.workers = runtime.GOMAXPROCS(0)
	}
	switch {
	case l.allow == 0:
		l.allow = defaultAllow
	case l.allow < 0:
		l.allow = 0
	}
	if l.opt.Now.IsZero() {
		l.opt.Now = time.Now()
	}
	l.rejects = dataset.NewRejects()
	l.progress = newProgress(opt.Progress)
	// Five eighths of the memory hold rows and distinct terms; the rest is for
	// batches under way and the blocks at hand.
	l.dict = intern.NewDictionary(l.opt.Memory / 2)
	l.mem = spill.NewMemory(l.opt.Memory * 5 / 8)
	l.mem.Yield(l.dict.Taken, l.opt.Memory/8)
	l.fields = map[query.Field]uint8{}
	for i, f := range storage.Fields() {
		l.fields[f] = uint8(i)
	}
	l.personalities = reference.Personalities()
	return l
}

// prepare removes what loads that died have left, and makes the folder of the
// next generation. The lock is held.
func (l *loader) prepare(ctx context.Context) (id string, err error) {
	current, err := storage.ReadCurrent(l.dir)
	if err != nil && !errors.Is(err, storage.ErrCorrupt) {
		return "", err
	}
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return "", err
	}
	last := number(current)
	for _, e := range entries {
		name := e.Name()
		temp, _ := filepath.Match(durable.TempPattern, name)
		// A generation newer than the current one was built and not switched to.
		// Where it is not known which one is current, none is removed.
		orphan := e.IsDir() && number(current) > 0 && number(name) > number(current)
		if temp || orphan || strings.HasSuffix(name, tmpSuffix) || name == refusedName {
			if err := os.RemoveAll(filepath.Join(l.dir, name)); err != nil {
				return "", err
			}
			continue
		}
		last = max(last, number(name))
	}
	next := last + 1
	if l.opt.Number != nil {
		if next, err = l.opt.Number(ctx, last); err != nil {
			return "", err
		}
		if next <= last {
			return "", fmt.Errorf("number %d of the generation: want more than %d", next, last)
		}
	}
	id = fmt.Sprintf("%0*d", idDigits, next)
	l.tmp = filepath.Join(l.dir, id+tmpSuffix)
	l.work = filepath.Join(l.tmp, workName)
	for _, d := range []string{l.tmp, l.work, filepath.Join(l.tmp, "parts")} {
		if err := os.Mkdir(d, 0o700); err != nil {
			return "", err
		}
	}
	return id, nil
}

// number is what the id of a generation counts, 0 where it is none.
func number(id string) uint64 {
	n, err := strconv.ParseUint(id, 10, 63)
	if err != nil || len(id) < idDigits {
		return 0
	}
	return n
}

// interpret takes over what dataset.json says.
func (l *loader) interpret() {
	asOf := l.source.Meta.AsOf
	if asOf.IsZero() {
		asOf = l.opt.Now
	}
	l.env.AsOf = asOf.UTC().Truncate(time.Microsecond)
	for _, days := range []int{1, 7, 30, 60, 90, 180, 365} {
		since := l.env.AsOf.Add(-time.Duration(days) * 24 * time.Hour)
		l.windows = append(l.windows, window{strconv.Itoa(days), since.UnixMicro()})
	}
}

// build writes everything but the report and the manifest.
func (l *loader) build(ctx context.Context) (err error) {
	if err := l.readPlaces(ctx); err != nil {
		return err
	}
	if l.taxonomy, err = l.readTaxonomy(ctx); err != nil {
		return err
	}
	brings, err := l.readAffinityAccounts(ctx)
	if err != nil {
		return err
	}
	if err := l.accountNames(ctx); err != nil {
		return err
	}
	p, err := l.readPeople(ctx)
	if err = errors.Join(err, p.close()); err != nil {
		return err
	}
	l.brings = make([][]uint32, l.dict.Declared())
	for account, affinities := range brings {
		l.brings[account] = affinities
	}
	if l.known, err = l.openKnown(); err != nil {
		return err
	}
	if l.source.Tables[dataset.Identifiers] != nil {
		l.ids = l.newIdentifiers()
	}
	l.texts = map[query.Field]*spill.Store{}
	for _, f := range query.TextFields() {
		if l.source.Tables[dataset.Bios] != nil && f != query.Tweet || l.source.Tables[dataset.Tweets] != nil && f == query.Tweet {
			l.texts[f] = l.mem.NewStore(l.scratch("text-"+string(f)), l.blocks(), l.workers, l.opt.Memory/64)
		}
	}
	if err := l.readRows(ctx); err != nil {
		return err
	}
	if err := l.checkRejects(); err != nil {
		return err
	}
	return l.writeIndex(ctx)
}

// makePairs makes the store of the pairs, once the number of rows is known.
// What was interned so far may have no row.
func (l *loader) makePairs() {
	l.dict.Declare()
	l.over = intern.NewOverflow(l.dict, l.work, l.opt.Memory/16, l.workers)
	l.pairs = l.mem.NewStore(l.scratch("pairs"), l.blocks(), l.workers+1, l.opt.Memory/8)
}

// writeIndex turns what was kept into the files of the generation.
func (l *loader) writeIndex(ctx context.Context) error {
	if l.ids != nil {
		l.progress.begin("write lookups of identifiers", 0)
		if err := l.ids.writeLookups(ctx); err != nil {
			return err
		}
		l.progress.begin("write identifiers", int64(l.blocks()))
		if err := l.ids.writeColumns(ctx); err != nil {
			return err
		}
	}
	for _, f := range query.TextFields() {
		if s := l.texts[f]; s != nil {
			l.progress.begin("write texts", int64(l.blocks()))
			if err := l.writeTexts(ctx, f, s); err != nil {
				return err
			}
		}
	}
	l.progress.begin("number terms", 0)
	order, final := l.dict.Number(l.workers)
	if err := l.over.Number(l.mem, l.blocks(), order, final); err != nil {
		return err
	}
	people, err := spill.NewCounters(l.scratch("counts"), int(l.over.Terms()), l.opt.Memory/32)
	if err != nil {
		return err
	}
	defer people.Close()
	l.progress.begin("write postings", 0)
	if err := l.writePostings(ctx, order, final, people.N); err != nil {
		return err
	}
	l.progress.begin("write terms", 0)
	if err := l.writeTerms(order, people.N); err != nil {
		return err
	}
	catalog := &storage.Catalog{Affinities: l.taxonomy.catalog(), Baselines: l.source.Meta.Baselines}
	if l.source.Tables[dataset.Locations] == nil {
		catalog.BuiltInPlaces = true
	} else {
		var places []storage.CatalogPlace
		for _, k := range reference.Kinds() {
			for _, p := range l.env.Places.All(k) {
				places = append(places, storage.CatalogPlace{
					Kind: string(p.Kind), ID: p.ID, Name: p.Name, Region: p.Region, Country: p.Country, DMA: p.DMA,
				})
			}
		}
		if err := l.file(storage.WritePlaces(l.tmp, places)); err != nil {
			return err
		}
	}
	return l.file(storage.WriteCatalog(l.tmp, catalog))
}

func (l *loader) writeTerms(order, people []uint32) error {
	w, err := storage.NewDictWriter(l.tmp, storage.DictName)
	if err != nil {
		return err
	}
	defer w.Abort()
	fields := storage.Fields()
	if err := l.over.EachTerm(order, func(n uint32, field uint8, value []byte) error {
		return w.Add(fields[field], value, people[n])
	}); err != nil {
		return err
	}
	if err := l.file(w.Close()); err != nil {
		return err
	}
	return l.writeNames()
}

// writeNames writes what search boxes look at.
func (l *loader) writeNames() (err error) {
	dict, err := storage.OpenDict(l.built(storage.DictName))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dict.Close()) }()
	for _, f := range storage.NameFields() {
		if _, terms := dict.Range(f); terms == 0 {
			continue
		}
		if err := l.file(storage.WriteNames(l.tmp, dict, f)); err != nil {
			return err
		}
	}
	return nil
}

func (l *loader) blocks() int { return (int(l.rows) + storage.BlockRows - 1) / storage.BlockRows }

func (l *loader) scratch(name string) string { return filepath.Join(l.work, name) }

func (l *loader) built(name string) string { return filepath.Join(l.tmp, name) }

// file notes a file of the generation.
func (l *loader) file(f storage.FileSum, err error) error {
	if err != nil {
		return err
	}
	l.files = append(l.files, f)
	return nil
}

// clean removes what is not part of a generation. After a commit the folder is
// gone from its place, and nothing is removed.
func (l *loader) clean() error {
	err := l.release()
	l.mem.Close()
	l.dict.Close()
	return errors.Join(err, os.RemoveAll(l.tmp))
}

// release closes and removes what rows were spilt to. A second call does
// nothing.
func (l *loader) release() error {
	var errs []error
	if l.known != nil {
		errs = append(errs, l.known.close())
		l.known = nil
	}
	if l.ids != nil {
		errs = append(errs, l.ids.close()...)
		l.ids = nil
	}
	for _, s := range l.texts {
		errs = append(errs, s.Close())
	}
	l.texts = nil
	if l.pairs != nil {
		errs = append(errs, l.pairs.Close(), l.over.Close())
		l.pairs, l.over = nil, nil
	}
	return errors.Join(errs...)
}

func (p *people) close() error {
	return errors.Join(p.log.Close(), p.hashes.Close(), p.sorted.Close())
}
