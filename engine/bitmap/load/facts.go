package load

import (
	"context"

	"throng/dataset"
	"throng/engine/bitmap/load/intern"
	"throng/engine/bitmap/load/invert"
	"throng/engine/bitmap/load/spill"
	"throng/engine/bitmap/storage"
	"throng/internal/words"
	"throng/query"
)

// rowWorker is one goroutine's state while the tables about people are read.
type rowWorker struct {
	l      *loader
	table  string // being read
	find   *finder
	terms  *intern.Cache
	codes  codeCaches
	scored uint32 // the term that whoever has a score has; noTerm where not known
	named  query.Field
	number uint8 // of the field named
	pairs  *invert.Writer
	over   *intern.OverflowWriter
	ids    *idWriter // nil where there are no identifiers
	texts  map[query.Field]*spill.Writer

	follow   dataset.FollowRow
	interest dataset.InterestRow
	job      dataset.JobRow
	score    dataset.ScoreRow
	bio      dataset.BioRow
	tweet    dataset.TweetRow
	cutter   words.Tokenizer
	stream   []byte
}

// begin makes the worker forget the codes of other row groups.
func (w *rowWorker) begin(b *dataset.Batch) {
	if w.table != b.Table {
		w.table = b.Table
		w.codes.group = 0
		w.find.hits, w.find.misses, w.find.unordered = 0, 0, false
	}
	w.find.token = 0
	w.codes.begin(b)
}

// rowReader says how the rows of a table about people are read.
type rowReader struct {
	table string
	// decode reads a row and gives its key.
	decode func(w *rowWorker, b *dataset.Batch, row int) (dataset.Outcome, []byte)
	// use takes in a row whose person is known. A reason rejects it.
	use func(w *rowWorker, b *dataset.Batch, i int, row uint32) (reason string, err error)
	// fast takes in rows from one on for as long as all that they say is known
	// by the codes of their cells, and returns how many. nil where it never is.
	fast func(w *rowWorker, b *dataset.Batch, from int) (int, error)
	// dropped names the cells that were dropped; nil where none can be.
	dropped func(w *rowWorker) []string
}

// readRows reads every table that is about people already known.
func (l *loader) readRows(ctx context.Context) error {
	var all []*rowWorker
	for range l.workers {
		w := &rowWorker{
			l: l, scored: intern.None, find: l.known.finder(), terms: l.dict.NewCache(),
			pairs: invert.NewWriter(l.pairs), over: l.over.Writer(), texts: map[query.Field]*spill.Writer{},
		}
		if l.ids != nil {
			w.ids = l.ids.writer()
		}
		for f, s := range l.texts {
			w.texts[f] = s.Writer()
		}
		all = append(all, w)
	}
	for _, r := range rowReaders() {
		c := newCrew(all)
		err := l.read(ctx, r.table, func(b *dataset.Batch) error { return c.of(b).batch(r, b) })
		if err != nil {
			return err
		}
	}
	for _, w := range all {
		w.pairs.Flush()
		if w.ids != nil {
			w.ids.flush()
		}
		for _, t := range w.texts {
			t.Flush()
		}
	}
	return nil
}

// batch reads the rows of a batch.
func (w *rowWorker) batch(r rowReader, b *dataset.Batch) error {
	w.begin(b)
	if err := w.findPersons(b); err != nil {
		return err
	}
	var n tally
	for i := 0; i < b.Rows(); i++ {
		if r.fast != nil {
			k, err := r.fast(w, b, i)
			if err != nil {
				return err
			}
			n.loaded += uint64(k)
			if i += k; i == b.Rows() {
				break
			}
		}
		if err := w.one(r, b, i, &n); err != nil {
			return err
		}
	}
	rejects := w.l.rejects
	rejects.Load(b.Table, n.loaded)
	if n.minors > 0 {
		rejects.Skip(b.Table, dataset.SkipUnder18, n.minors)
	}
	if n.old > 0 {
		rejects.Skip(b.Table, dataset.SkipOld, n.old)
	}
	return nil
}

// tally counts the rows of a batch.
type tally struct{ loaded, minors, old uint64 }

// one reads one row.
func (w *rowWorker) one(r rowReader, b *dataset.Batch, i int, n *tally) error {
	out, key := r.decode(w, b, i)
	if out.Skip != "" {
		n.old++
		return nil
	}
	reason, row, who := out.Reject, uint32(0), unknown
	if len(key) > 0 {
		var err error
		if known, ok := w.codes.personKnown(i); ok {
			row, who = known, aRow
		} else if row, who, err = w.find.find(key, b.Token(i, 0)); err != nil {
			return err
		}
	}
	switch {
	case who == aMinor:
		n.minors++
		return nil
	case reason == "" && who == unknown:
		reason = rejectUnknownPerson
	case reason == "":
		w.codes.setPerson(i, row)
		var err error
		if reason, err = r.use(w, b, i, row); err != nil {
			return err
		}
	}
	if reason != "" {
		w.l.rejects.Reject(b, i, reason)
		return nil
	}
	n.loaded++
	if r.dropped != nil {
		w.l.rejects.Drop(b.Table, r.dropped(w)...)
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
			use:  useFollow,
			fast: fastFollows,
		},
		{
			table: dataset.Interests,
			decode: func(w *rowWorker, b *dataset.Batch, row int) (dataset.Outcome, []byte) {
				return w.interest.Decode(b, row), w.interest.Key
			},
			use:  useInterest,
			fast: fastInterests,
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
			use:  useScore,
			fast: fastScores,
		},
		{
			table: dataset.Bios,
			decode: func(w *rowWorker, b *dataset.Batch, row int) (dataset.Outcome, []byte) {
				return w.bio.Decode(b, row), w.bio.Key
			},
			use: useBio,
		},
		{
			table: dataset.Tweets,
			decode: func(w *rowWorker, b *dataset.Batch, row int) (dataset.Outcome, []byte) {
				return w.tweet.Decode(b, row, w.l.env.AsOf), w.tweet.Key
			},
			use: useTweet,
		},
	}
}

// pair notes that a row has a term, and returns the term's temporary number,
// noTerm where the dictionary does not hold it. The term is what the cell in
// column col of row i of the batch says; no cell alone says it where col is
// negative.
func (w *rowWorker) pair(row uint32, f query.Field, value []byte, i, col int) (uint32, error) {
	if f != w.named {
		w.named, w.number = f, w.l.fields[f]
	}
	known := w.codes.term(i, col)
	if known != nil && known.set && known.field == w.number {
		return known.term, w.pairs.Add(row, known.term)
	}
	t, err := w.terms.Intern(w.number, value)
	if err != nil {
		return 0, err
	}
	if t == intern.None {
		return t, w.over.Add(w.number, value, row)
	}
	w.l.dict.Use(t)
	if known != nil {
		*known = codeTerm{term: t, field: w.number, set: true}
	}
	return t, w.pairs.Add(row, t)
}

func useIdentifier(w *rowWorker, b *dataset.Batch, i int, row uint32) (string, error) {
	order, err := orderOf(b, i)
	if err != nil {
		return "", err
	}
	return "", w.ids.add(row, order)
}

// useFollow also gives the row the affinities that the account brings.
func useFollow(w *rowWorker, _ *dataset.Batch, i int, row uint32) (string, error) {
	t, err := w.pair(row, w.follow.Network, w.follow.Account, i, 2)
	w.codes.setNetwork(i, w.number)
	if err != nil || t >= w.l.dict.Declared() {
		return "", err
	}
	brings := w.l.brings[t]
	for _, a := range brings {
		w.l.dict.Use(a)
	}
	return "", w.pairs.AddAll(row, brings)
}

func useInterest(w *rowWorker, _ *dataset.Batch, i int, row uint32) (string, error) {
	a, reason := w.l.taxonomy.find(w.interest.Affinity)
	if reason != "" {
		return reason, nil
	}
	for _, t := range a.terms {
		w.l.dict.Use(t)
	}
	w.codes.setAffinity(i, a)
	return "", w.pairs.AddAll(row, a.terms)
}

func useJob(w *rowWorker, _ *dataset.Batch, i int, row uint32) (string, error) {
	if len(w.job.Title) > 0 {
		if _, err := w.pair(row, query.JobTitle, w.job.Title, i, 1); err != nil {
			return "", err
		}
	}
	if len(w.job.Employer) > 0 {
		_, err := w.pair(row, query.Employer, w.job.Employer, i, 2)
		return "", err
	}
	return "", nil
}

func useScore(w *rowWorker, _ *dataset.Batch, i int, row uint32) (string, error) {
	var err error
	if w.scored != intern.None {
		err = w.pairs.Add(row, w.scored)
	} else {
		w.scored, err = w.pair(row, query.Scored, []byte("any"), i, -1)
	}
	if err != nil {
		return "", err
	}
	high := w.score.Score >= w.l.source.Meta.PersonalityThreshold
	w.codes.setScore(i, high)
	if high {
		_, err := w.pair(row, query.Personality, []byte(w.l.personalities[w.score.Term]), i, 1)
		return "", err
	}
	return "", nil
}

func useBio(w *rowWorker, b *dataset.Batch, i int, row uint32) (string, error) {
	return "", w.text(b, i, row, w.bio.Field, w.bio.Text)
}

func useTweet(w *rowWorker, b *dataset.Batch, i int, row uint32) (string, error) {
	return "", w.text(b, i, row, query.Tweet, w.tweet.Text)
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
			_, err = w.pair(row, f, term, i, -1)
		}
	})
	if err != nil {
		return err
	}
	return putText(w.texts[f], row, order, w.stream)
}
