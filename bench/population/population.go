// Package population makes up people, of any number: who has which term, lives
// where and was active when follows from a seed, block by block, so that any
// block can be made again at any time. [Population.Write] writes them as the
// tables of a dataset. It knows nothing of how an index is made or asked.
package population

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"

	"throng/query"
)

// BlockPeople is how many people are made at once. It is also how many the
// engine evaluates at once, which nothing here depends on.
const BlockPeople = 1 << 16

// MaxPeople is what the engine has room for.
const MaxPeople = math.MaxUint32 - 1<<20

// Population says who the people are. People, Seed and Clustered determine
// every membership: any block can be made again at any time, by any number of
// goroutines. Safe for concurrent use.
type Population struct {
	// People is how many, from 1.
	People int
	// Seed chooses the memberships.
	Seed uint64
	// Clustered orders people so that those alike stand together: countries
	// one after the other, those active last first within a country, and each
	// term in some stretches of people, where it is several times as dense.
	// The share of people that a term has is the same.
	Clustered bool

	terms  []term
	groups map[Group][2]int // from and to in terms
}

// term is a value that people have: an account followed, or an interest.
type term struct {
	field   query.Field
	value   string
	density float64 // share of all people
}

// Group is terms that belong together.
type Group string

// The groups of terms.
const (
	Interests Group = "interests" // five, of which a query includes any
	Excluded  Group = "excluded"  // one, which the query excludes
	Uploaded  Group = "uploaded"  // those in the uploaded file; of no table
	Five      Group = "five"      // accounts, of which the query asks for two
	Union     Group = "union"     // ten accounts of ten densities
	Fifty     Group = "fifty"     // accounts whose size falls as 1/rank
	Rare      Group = "rare"      // accounts that one person follows many of
	Channels  Group = "channels"  // what insights count
)

const (
	rareAccounts    = 5000
	rareFollowed    = 300 // by the one person who follows many
	channels        = 10_000
	channelEdges    = 4.86 // a person
	channelExponent = .9
	maleShare       = .49
	activityDays    = 365 // over which the last activity is spread evenly
)

// Country is a country that people live in, and their share.
type Country struct {
	Code  string
	Share float64
}

// Countries are listed in the order in which clustered people stand. The query
// asks for France and Germany.
func Countries() []Country {
	return []Country{{"US", .30}, {"FR", .12}, {"GB", .10}, {"DE", .08}, {"BR", .15}, {"IN", .15}, {"JP", .10}}
}

// New describes a population. The error names what is out of range.
func New(people int, seed uint64, clustered bool) (*Population, error) {
	if people < 1 || int64(people) > MaxPeople {
		return nil, fmt.Errorf("make population: %d people, want 1 to %d", people, int64(MaxPeople))
	}
	p := &Population{People: people, Seed: seed, Clustered: clustered, groups: map[Group][2]int{}}
	for i, d := range []float64{.005, .01, .015, .02, .03} {
		p.add(Interests, query.Affinity, fmt.Sprintf("interest-%d", i+1), d)
	}
	p.add(Excluded, query.Affinity, "interest-not", .05)
	p.add(Uploaded, "", "", .003)
	for i, d := range []float64{.1, .05, .03, .02, .01} {
		p.add(Five, query.Twitter, fmt.Sprint(1001+i), d)
	}
	for i, d := range []float64{1e-4, .001, .003, .01, .02, .05, .1, .15, .2, .3} {
		p.add(Union, query.Twitter, fmt.Sprint(2001+i), d)
	}
	for i := range 50 {
		p.add(Fifty, query.Twitter, fmt.Sprint(3001+i), .1/float64(i+1))
	}
	for i := range rareAccounts {
		p.add(Rare, query.Twitter, fmt.Sprint(10_001+i), 0)
	}
	sum := 0.0
	for i := range channels {
		sum += math.Pow(float64(i+1), -channelExponent)
	}
	for i := range channels {
		p.add(Channels, query.YouTube, fmt.Sprintf("UC%05d", i), channelEdges*math.Pow(float64(i+1), -channelExponent)/sum)
	}
	return p, nil
}

func (p *Population) add(g Group, f query.Field, value string, density float64) {
	at, ok := p.groups[g]
	if !ok {
		at[0] = len(p.terms)
	}
	p.terms = append(p.terms, term{f, value, density})
	at[1] = len(p.terms)
	p.groups[g] = at
}

// Group gives the positions of a group's terms: from and to.
func (p *Population) Group(g Group) (from, to int) {
	at := p.groups[g]
	return at[0], at[1]
}

// Values are the values of a group's terms.
func (p *Population) Values(g Group) []string {
	from, to := p.Group(g)
	values := make([]string, 0, to-from)
	for _, t := range p.terms[from:to] {
		values = append(values, t.value)
	}
	return values
}

// Value is the value of a term, by its position.
func (p *Population) Value(t int) string { return p.terms[t].value }

// Blocks is how many blocks there are.
func (p *Population) Blocks() int { return (p.People + BlockPeople - 1) / BlockPeople }

// inBlock is how many people a block has.
func (p *Population) inBlock(block int) int { return min(BlockPeople, p.People-block*BlockPeople) }

// Mix turns two numbers into one that looks random (splitmix64).
func Mix(a, b uint64) uint64 {
	x := a + 0x9e3779b97f4a7c15*(b+1)
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Maker makes blocks; one goroutine's.
type Maker struct {
	*Population
	pcg  rand.PCG
	rand *rand.Rand
	rows []uint16
}

// Maker makes a maker.
func (p *Population) Maker() *Maker {
	m := &Maker{Population: p}
	m.rand = rand.New(&m.pcg)
	return m
}

// The streams of randomness of a block, beside one for each term.
const (
	streamGender uint64 = 1<<40 + iota
	streamCountry
	streamActive
)

func (m *Maker) stream(which uint64, block int) {
	m.pcg.Seed(Mix(m.Seed, which), uint64(block))
}

// Members gives the people of a block who have a term, in order, as positions
// in the block. The slice is used again by the next call.
func (m *Maker) Members(t, block int) []uint16 {
	m.rows = m.rows[:0]
	if from, to := m.Group(Rare); t >= from && t < to {
		return m.rare(t-from, block)
	}
	m.stream(uint64(t), block)
	n := m.inBlock(block)
	density := m.terms[t].density
	if !m.Clustered {
		m.draw(0, n, density)
		return m.rows
	}
	// In some stretches of people the term is so much denser.
	times := max(1, min(5, .95/density))
	size := m.stretch()
	for from := 0; from < n; from += size {
		s := uint64(block*BlockPeople+from) / uint64(size)
		const golden = 0x9e3779b97f4a7c15 // of 2^64: spreads a term's stretches evenly
		if u := float64((Mix(m.Seed, uint64(t))+s*golden)>>11) / (1 << 53); u*times < 1 {
			m.draw(from, min(from+size, n), density*times)
		}
	}
	return m.rows
}

// stretch is how many people long the stretches of clustered people are: a
// divisor of a block.
func (p *Population) stretch() int {
	size := BlockPeople / 4
	for size > 64 && size > p.People/256 {
		size /= 2
	}
	return size
}

// draw appends positions from from on and before to, each with the chance
// density, by drawing the gaps between them.
func (m *Maker) draw(from, to int, density float64) {
	scale := -1 / math.Log1p(-density)
	for at := from; ; at++ {
		gap := m.rand.ExpFloat64() * scale
		if gap >= float64(to-at) {
			return
		}
		at += int(gap)
		m.rows = append(m.rows, uint16(at))
	}
}

// rare gives the followers of a rare account: one person of its own, and for
// some accounts the one who follows many.
func (m *Maker) rare(i, block int) []uint16 {
	own := i * (m.People / rareAccounts)
	if m.People < rareAccounts {
		own = i % m.People
	}
	list := []int{own}
	if many := m.manyFollower(); i < rareFollowed && many != own {
		list = []int{min(own, many), max(own, many)}
	}
	for _, x := range list {
		if x/BlockPeople == block {
			m.rows = append(m.rows, uint16(x%BlockPeople))
		}
	}
	return m.rows
}

// manyFollower is the person who follows 300 of the 5,000 rare accounts.
func (p *Population) manyFollower() int { return p.People - 1 }

// Attributes are what each person has one value of.
type Attributes struct {
	Male    []uint8  // 1: male, 0: female
	Country []uint8  // position in countries
	Days    []uint16 // since the last activity
}

// Attributes fills in the people of a block. a is used again.
func (m *Maker) Attributes(a *Attributes, block int) {
	n := m.inBlock(block)
	a.Male, a.Country, a.Days = resize(a.Male, n), resize(a.Country, n), resize(a.Days, n)
	m.stream(streamGender, block)
	share := maleShare
	cut := uint64(share * (1 << 32))
	for i := range n {
		a.Male[i] = 0
		if m.rand.Uint64()>>32 < cut {
			a.Male[i] = 1
		}
	}
	ends := make([]float64, 0, 8)
	sum := 0.0
	for _, c := range Countries() {
		sum += c.Share
		ends = append(ends, sum)
	}
	m.stream(streamCountry, block)
	first := float64(block * BlockPeople)
	for i := range n {
		u := (first + float64(i)) / float64(m.People)
		if !m.Clustered {
			u = m.rand.Float64()
		}
		c := 0
		for c < len(ends)-1 && u >= ends[c] {
			c++
		}
		a.Country[i] = uint8(c)
		if m.Clustered { // the earlier in the country, the more recently active
			start := 0.0
			if c > 0 {
				start = ends[c-1]
			}
			a.Days[i] = uint16(min(activityDays-1, activityDays*(u-start)/(ends[c]-start)))
		}
	}
	if m.Clustered {
		return
	}
	m.stream(streamActive, block)
	for i := range n {
		a.Days[i] = uint16(m.rand.Uint64() >> 32 * activityDays >> 32)
	}
}

func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// KeyDigits is how many digits keys have: eight, or more where people are more
// than 100 million.
func (p *Population) KeyDigits() int { return max(8, len(strconv.Itoa(p.People-1))) }

// AppendKey appends the key of a person: a letter and digits.
func AppendKey(b []byte, person, digits int) []byte {
	b = append(b, 'p')
	b = append(b, "00000000000000000000"[:digits]...)
	for at := len(b) - 1; person > 0; at-- {
		b[at] += byte(person % 10)
		person /= 10
	}
	return b
}

// MD5 is the sixteen bytes that a person's one MD5 consists of. From
// 2^63 on they are of nobody.
func (p *Population) MD5(person uint64) (sum [16]byte) {
	binary.LittleEndian.PutUint64(sum[:], Mix(p.Seed^0x6d6435, 2*person))
	binary.LittleEndian.PutUint64(sum[8:], Mix(p.Seed^0x6d6435, 2*person+1))
	return sum
}
