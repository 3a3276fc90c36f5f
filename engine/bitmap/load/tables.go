package load

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"throng/dataset"
	"throng/engine"
	"throng/engine/bitmap/storage"
	"throng/internal/words"
	"throng/query"
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
	l.progress.begin("read "+table, t.Size())
	return t.Read(ctx, l.workers, l.progress.bytes, func(b *dataset.Batch) error {
		l.rejects.Batch(b)
		l.progress.rows(int64(b.Rows() + len(b.Bad)))
		return emit(b)
	})
}

// rowWorker is one goroutine's state while the tables about people are read.
type rowWorker struct {
	l     *loader
	table string // being read
	find  *finder
	terms *terms
	// tokens are the terms of cells by their tokens; of the table being read.
	tokens []tokenSet
	scored uint32 // the term that whoever has a score has; noTerm where not known
	named  query.Field
	number uint8 // of the field named
	pairs  *pairWriter
	over   *overflowWriter
	ids    *idWriter // nil where there are no identifiers
	texts  map[query.Field]*writer

	follow   dataset.FollowRow
	interest dataset.InterestRow
	job      dataset.JobRow
	score    dataset.ScoreRow
	bio      dataset.BioRow
	tweet    dataset.TweetRow
	cutter   words.Tokenizer
	stream   []byte
}

// tokenTerm is a term by the token of a cell, and the field.
type tokenTerm struct {
	token uint64
	term  uint32
	field uint8
}

// tokenSet is the terms of the tokens that fall together, the last one first.
type tokenSet [4]tokenTerm

const tokenBits = 15 // of sets: as many terms as most row groups have accounts

// begin makes the worker forget the tokens of the table before.
func (w *rowWorker) begin(table string) {
	if w.table == table {
		return
	}
	w.table, w.find.token = table, 0
	if w.tokens == nil {
		w.tokens = make([]tokenSet, 1<<tokenBits)
	}
	clear(w.tokens)
}

// rowReader says how the rows of a table about people are read.
type rowReader struct {
	table string
	// decode reads a row and gives its key.
	decode func(w *rowWorker, b *dataset.Batch, row int) (dataset.Outcome, []byte)
	// use takes in a row whose person is known. A reason rejects it.
	use func(w *rowWorker, b *dataset.Batch, i int, row uint32) (reason string, err error)
	// dropped names the cells that were dropped; nil where none can be.
	dropped func(w *rowWorker) []string
}

// readRows reads every table that is about people already known.
func (l *loader) readRows(ctx context.Context) error {
	var all []*rowWorker
	free := make(chan *rowWorker, l.workers)
	for range l.workers {
		w := &rowWorker{
			l: l, scored: noTerm, find: l.known.finder(), terms: l.dict.newTerms(),
			pairs: newPairWriter(l.pairs), over: l.over.writer(), texts: map[query.Field]*writer{},
		}
		if l.ids != nil {
			w.ids = l.ids.writer()
		}
		for f, s := range l.texts {
			w.texts[f] = s.writer()
		}
		all = append(all, w)
		free <- w
	}
	for _, r := range rowReaders() {
		err := l.read(ctx, r.table, func(b *dataset.Batch) error {
			w := <-free
			defer func() { free <- w }()
			return w.batch(r, b)
		})
		if err != nil {
			return err
		}
	}
	for _, w := range all {
		w.pairs.w.flush()
		if w.ids != nil {
			w.ids.flush()
		}
		for _, t := range w.texts {
			t.flush()
		}
	}
	return nil
}

// batch reads the rows of a batch.
func (w *rowWorker) batch(r rowReader, b *dataset.Batch) error {
	w.begin(r.table)
	var loaded, minors, old uint64
	rejects := w.l.rejects
	for i := range b.Rows() {
		out, key := r.decode(w, b, i)
		if out.Skip != "" {
			old++
			continue
		}
		reason, row, who := out.Reject, uint32(0), unknown
		if len(key) > 0 {
			var err error
			if row, who, err = w.find.find(key, b.Token(i, 0)); err != nil {
				return err
			}
		}
		switch {
		case who == aMinor:
			minors++
			continue
		case reason == "" && who == unknown:
			reason = rejectUnknownPerson
		case reason == "":
			var err error
			if reason, err = r.use(w, b, i, row); err != nil {
				return err
			}
		}
		if reason != "" {
			rejects.Reject(b, i, reason)
			continue
		}
		loaded++
		if r.dropped != nil {
			rejects.Drop(b.Table, r.dropped(w)...)
		}
	}
	rejects.Load(b.Table, loaded)
	if minors > 0 {
		rejects.Skip(b.Table, dataset.SkipUnder18, minors)
	}
	if old > 0 {
		rejects.Skip(b.Table, dataset.SkipOld, old)
	}
	return nil
}

func rowReaders() []rowReader {
	return []rowReader{
		{
			table: dataset.Identifiers,
			decode: func(w *rowWorker, b *dataset.Batch, row int) (dataset.Outcome, []byte) {
				return w.ids.row.Decode(b, row), w.ids.row.Key
			},
			use: useIdentifier,
		},
		{
			table: dataset.Follows,
			decode: func(w *rowWorker, b *dataset.Batch, row int) (dataset.Outcome, []byte) {
				return w.follow.Decode(b, row), w.follow.Key
			},
			use: useFollow,
		},
		{
			table: dataset.Interests,
			decode: func(w *rowWorker, b *dataset.Batch, row int) (dataset.Outcome, []byte) {
				return w.interest.Decode(b, row), w.interest.Key
			},
			use: useInterest,
		},
		{
			table: dataset.Jobs,
			decode: func(w *rowWorker, b *dataset.Batch, row int) (dataset.Outcome, []byte) {
				return w.job.Decode(b, row), w.job.Key
			},
			use:     useJob,
			dropped: func(w *rowWorker) []string { return w.job.Dropped },
		},
		{
			table: dataset.Personality,
			decode: func(w *rowWorker, b *dataset.Batch, row int) (dataset.Outcome, []byte) {
				return w.score.Decode(b, row), w.score.Key
			},
			use: useScore,
		},
		{
			table: dataset.Bios,
			decode: func(w *rowWorker, b *dataset.Batch, row int) (dataset.Outcome, []byte) {
				return w.bio.Decode(b, row), w.bio.Key
			},
			use: func(w *rowWorker, b *dataset.Batch, i int, row uint32) (string, error) {
				return "", w.text(b, i, row, w.bio.Field, w.bio.Text)
			},
		},
		{
			table: dataset.Tweets,
			decode: func(w *rowWorker, b *dataset.Batch, row int) (dataset.Outcome, []byte) {
				return w.tweet.Decode(b, row, w.l.env.AsOf), w.tweet.Key
			},
			use: func(w *rowWorker, b *dataset.Batch, i int, row uint32) (string, error) {
				return "", w.text(b, i, row, query.Tweet, w.tweet.Text)
			},
		},
	}
}

// pair notes that a row has a term, and returns the term's temporary number,
// noTerm where the dictionary does not hold it.
//
// token is that of the cell that the value is, 0 for none.
func (w *rowWorker) pair(row uint32, f query.Field, value []byte, token uint64) (uint32, error) {
	if f != w.named {
		w.named, w.number = f, w.l.fields[f]
	}
	set := &w.tokens[token*0x9e3779b97f4a7c15>>(64-tokenBits)]
	for i := range set {
		if at := &set[i]; at.token == token && token != 0 && at.field == w.number {
			return at.term, w.pairs.add(row, at.term)
		}
	}
	t, err := w.terms.intern(w.number, value)
	if err != nil {
		return 0, err
	}
	if t == noTerm {
		return t, w.over.add(w.number, value, row)
	}
	w.l.dict.use(t)
	if token != 0 {
		copy(set[1:], set[:])
		set[0] = tokenTerm{token, t, w.number}
	}
	return t, w.pairs.add(row, t)
}

func useIdentifier(w *rowWorker, b *dataset.Batch, i int, row uint32) (string, error) {
	order, err := orderOf(b, i)
	if err != nil {
		return "", err
	}
	return "", w.ids.add(row, order)
}

// useFollow also gives the row the affinities that the account brings.
func useFollow(w *rowWorker, b *dataset.Batch, i int, row uint32) (string, error) {
	t, err := w.pair(row, w.follow.Network, w.follow.Account, b.Token(i, 2))
	if err != nil || t >= w.l.dict.declared {
		return "", err
	}
	brings := w.l.brings[t]
	for _, a := range brings {
		w.l.dict.use(a)
	}
	return "", w.pairs.addAll(row, brings)
}

func useInterest(w *rowWorker, _ *dataset.Batch, _ int, row uint32) (string, error) {
	a, reason := w.l.taxonomy.find(w.interest.Affinity)
	if reason != "" {
		return reason, nil
	}
	for _, t := range a.terms {
		w.l.dict.use(t)
	}
	return "", w.pairs.addAll(row, a.terms)
}

func useJob(w *rowWorker, b *dataset.Batch, i int, row uint32) (string, error) {
	if len(w.job.Title) > 0 {
		if _, err := w.pair(row, query.JobTitle, w.job.Title, b.Token(i, 1)); err != nil {
			return "", err
		}
	}
	if len(w.job.Employer) > 0 {
		_, err := w.pair(row, query.Employer, w.job.Employer, b.Token(i, 2))
		return "", err
	}
	return "", nil
}

func useScore(w *rowWorker, b *dataset.Batch, i int, row uint32) (string, error) {
	var err error
	if w.scored != noTerm {
		err = w.pairs.add(row, w.scored)
	} else {
		w.scored, err = w.pair(row, query.Scored, []byte("any"), 0)
	}
	if err != nil {
		return "", err
	}
	if w.score.Score >= w.l.source.Meta.PersonalityThreshold {
		_, err := w.pair(row, query.Personality, []byte(w.l.personalities[w.score.Term]), b.Token(i, 1))
		return "", err
	}
	return "", nil
}

// text takes in a bio or tweet: its words as terms, and all of it to look for
// phrases in.
func (w *rowWorker) text(b *dataset.Batch, i int, row uint32, f query.Field, text []byte) error {
	order, err := orderOf(b, i)
	if err != nil {
		return err
	}
	w.stream = w.cutter.Stream(w.stream[:0], text)
	words.StreamTerms(w.stream, func(term []byte) {
		// A "word" of a megabyte is one that nobody looks for.
		if err == nil && len(term) <= storage.MaxTerm {
			_, err = w.pair(row, f, term, 0)
		}
	})
	if err != nil {
		return err
	}
	return putText(w.texts[f], row, order, w.stream)
}

// readPlaces reads the dataset's own places; where it has none, the built-in
// ones are used.
func (l *loader) readPlaces(ctx context.Context) error {
	if l.source.Tables[dataset.Locations] == nil {
		l.env.Places = reference.BuiltIn()
		return nil
	}
	type located struct {
		reference.Place
		at place
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
	return nil
}

// checkRejects refuses a load of which too many rows cannot be used.
func (l *loader) checkRejects() error {
	for _, name := range dataset.Names() {
		c := l.rejects.Counts(name)
		if n := c.Total(); float64(n) > l.allow*float64(c.Rows) {
			return fmt.Errorf("%w: %d of %d rows of table %s", engine.ErrTooManyRejects, n, c.Rows, name)
		}
	}
	return nil
}
