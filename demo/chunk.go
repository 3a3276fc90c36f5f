package demo

import (
	"context"
	"math/rand/v2"
	"strconv"
	"time"
)

// worker holds what one goroutine reuses from chunk to chunk.
type worker struct {
	*world
	dir    string
	people []person
	seen   [networks][]uint32 // by account, the mark of the last person who follows it
	mark   uint32
	text   []byte
	// writers are those of the chunks before, by table.
	writers map[string]*parquetWriter
}

func newWorker(w *world, dir string) *worker {
	k := &worker{world: w, dir: dir, writers: map[string]*parquetWriter{}}
	for n := range k.seen {
		k.seen[n] = make([]uint32, len(w.nets[n].accounts))
	}
	return k
}

// chunk writes the files of count people from first, one of each table. ctx is
// asked between tables.
func (w *worker) chunk(ctx context.Context, chunk, first, count int) error {
	w.people = w.makePeople(w.people, chunk, first, count)
	tables := []func() error{
		func() error { return writeChunk(w, "people", chunk, w.writePeople) },
		func() error { return writePart(w, "identifiers", chunk, w.identifiers) },
		func() error { return writePart(w, "follows", chunk, w.follows) },
		func() error { return writePart(w, "interests", chunk, w.interests) },
		func() error { return writeChunk(w, "jobs", chunk, w.writeJobs) },
		func() error { return writePart(w, "personality", chunk, w.personality) },
		func() error { return writePart(w, "bios", chunk, w.bios) },
		func() error { return writePart(w, "tweets", chunk, w.tweets) },
	}
	for _, write := range tables {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := write(); err != nil {
			return err
		}
	}
	return nil
}

// writeChunk writes one file of a table with what fill adds.
func writeChunk[T row](w *worker, name string, chunk int, fill func(*table[T])) error {
	t, err := createTable[T](w.writers[name], w.dir, name, chunk)
	if err != nil {
		return err
	}
	w.writers[name] = t.writer
	fill(t)
	return t.close()
}

// writePart writes the rows of each person of the chunk, drawn from a stream
// of the table's own.
func writePart[T row](w *worker, name string, chunk int, rows func(*table[T], *rand.Rand, *person)) error {
	return writeChunk(w, name, chunk, func(t *table[T]) {
		r := stream(w.seed, name, uint64(chunk))
		for i := range w.people {
			rows(t, r, &w.people[i])
		}
	})
}

func (w *worker) writePeople(t *table[peopleRow]) {
	for i := range w.people {
		p := &w.people[i]
		row := peopleRow{Person: p.key}
		switch p.ageForm {
		case ageYears:
			row.Age = int32(p.age)
		case ageBirth: // whoever is born that year is sure to be as old
			row.BirthYear = int32(w.year - 1 - p.age)
		case ageRange:
			row.AgeRange = [...]string{"18-24", "25-34", "35-44", "45-54", "over 54"}[w.ageBand(p.age)]
		case ageAbsent:
		}
		if p.sexKnown {
			row.Gender = "male"
			if p.female {
				row.Gender = "female"
			}
		}
		if p.ethnicity >= 0 {
			row.Ethnicity = ethnicities[p.ethnicity]
		}
		switch p.detail {
		case detailAll:
			row.City, row.Region, row.DMA, row.Country = p.home.ID, p.home.Region, p.home.DMA, p.country.id
		case detailCity:
			if row.City = p.home.ID; row.City == "" {
				row.Country = p.country.id
			}
		case detailRegion:
			row.Region, row.Country = p.home.Region, p.country.id
		case detailCountry:
			row.Country = p.country.id
		case detailNone:
		}
		if p.lastTweet >= 0 {
			row.LastTweeted = w.moment(p.lastTweet)
		}
		t.add(row)
	}
}

// moment is so many seconds before as_of, in RFC 3339.
func (w *world) moment(ago int64) string {
	var b [len("2006-01-02T15:04:05Z")]byte
	return string(w.asOf.Add(-time.Duration(ago)*time.Second).AppendFormat(b[:0], "2006-01-02T15:04:05Z"))
}

func (w *worker) writeJobs(t *table[jobRow]) {
	for i := range w.people {
		p := &w.people[i]
		for _, j := range p.jobs[:p.jobCount] {
			t.add(jobRow{p.key, j.title, j.employer})
		}
	}
}

// follows draws whom a person follows: most of it inside the person's own
// communities, the rest by popularity alone.
func (w *worker) follows(t *table[followRow], r *rand.Rand, p *person) {
	w.mark++ // a worker sees fewer than 2^32 people
	total := lognormal(r, followsMu, followsSigma, followsMax)
	var weights [networks]float64
	var sum float64
	for n := range weights {
		if p.on[n] {
			sum += networkWeight[n] * (0.3 + r.ExpFloat64())
		}
		weights[n] = sum
	}
	if sum == 0 {
		return
	}
	var counts [networks]int
	for range total {
		x, n := r.Float64()*sum, 0
		for weights[n] <= x {
			n++
		}
		counts[n]++
	}
	for n, count := range counts {
		net := &w.nets[n]
		for _, id := range w.forced(n, p) {
			w.follow(t, n, net.byID[id], p)
		}
		// Whoever follows very many has most of what there is: then some
		// draws find nobody new, and are not repeated for ever.
		for tries := 4*count + 16; count > 0 && tries > 0; tries-- {
			if w.follow(t, n, w.drawAccount(r, net, p), p) {
				count--
			}
		}
	}
}

func (w *worker) drawAccount(r *rand.Rand, net *catalogue, p *person) uint32 {
	if p.topicCount > 0 && chance(r, insideTopics) {
		i := min(r.IntN(p.topicCount), r.IntN(p.topicCount)) // the first the most
		if t := &net.topics[p.topics[i]]; !t.sampler.empty() {
			return t.members[t.sampler.draw(r)]
		}
	}
	return uint32(net.all.draw(r))
}

// follow writes a follow, unless it was written before.
func (w *worker) follow(t *table[followRow], network int, account uint32, p *person) bool {
	if w.seen[network][account] == w.mark {
		return false
	}
	w.seen[network][account] = w.mark
	if p.planted && network == twitter && account >= exampleRank && account < exampleRank+5 {
		return false // the example leaves out those who follow four of them
	}
	net := &w.nets[network]
	t.add(followRow{p.key, networkNames[network], net.numbers[account], &net.accounts[account].id})
	return true
}

func (w *worker) forced(network int, p *person) []string {
	if !p.planted {
		return nil
	}
	return plantedFollows(network)
}

func (w *worker) interests(t *table[interestRow], r *rand.Rand, p *person) {
	if !chance(r, 0.5) {
		return
	}
	var had [interestsMax]string
	count := 0
next:
	for range lognormal(r, interestsMu, interestsSigma, interestsMax) {
		id := ""
		if p.topicCount > 0 && chance(r, 0.6) {
			id = pick(r, w.tree.byTopic[p.topics[r.IntN(p.topicCount)]])
		} else {
			id = w.tree.common[w.tree.sampler.draw(r)]
		}
		for _, h := range had[:count] {
			if h == id {
				continue next
			}
		}
		had[count] = id
		count++
		t.add(interestRow{p.key, id})
	}
}

// personalityShare is how many people have personality scores: all terms or none.
const personalityShare = 0.23

func (w *worker) personality(t *table[personalityRow], r *rand.Rand, p *person) {
	if !chance(r, personalityShare) && !p.planted {
		return
	}
	var scores [terms]int16
	w.traits.draw(r, p, &scores)
	for i, s := range scores {
		t.add(personalityRow{p.key, i, &w.traits.names[i], s})
	}
}

// number appends digits in base 36 to the worker's text.
func (w *worker) number(x uint64) { w.text = strconv.AppendUint(w.text, x, 36) }
