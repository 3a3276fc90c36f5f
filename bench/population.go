package bench

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"

	"throng/query"
)

// blockPeople is how many people are made at once. It is also how many the
// engine evaluates at once, which nothing here depends on.
const blockPeople = 1 << 16

// maxPeople is what the engine has room for.
const maxPeople = math.MaxUint32 - 1<<20

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
	groups map[group][2]int // from and to in terms
}

// term is a value that people have: an account followed, or an interest.
type term struct {
	field   query.Field
	value   string
	density float64 // share of all people
}

// group is terms that belong together.
type group string

// The groups of terms.
const (
	groupInterests group = "interests" // five, of which a query includes any
	groupExcluded  group = "excluded"  // one, which the query excludes
	groupUploaded  group = "uploaded"  // those in the uploaded file; of no table
	groupFive      group = "five"      // accounts, of which the query asks for two
	groupUnion     group = "union"     // ten accounts of ten densities
	groupFifty     group = "fifty"     // accounts whose size falls as 1/rank
	groupRare      group = "rare"      // accounts that one person follows many of
	groupChannels  group = "channels"  // what insights count
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

// country is a country that people live in, and their share.
type country struct {
	code  string
	share float64
}

// countries are listed in the order in which clustered people stand. The query
// asks for France and Germany.
func countries() []country {
	return []country{{"US", .30}, {"FR", .12}, {"GB", .10}, {"DE", .08}, {"BR", .15}, {"IN", .15}, {"JP", .10}}
}

// NewPopulation describes a population. The error names what is out of range.
func NewPopulation(people int, seed uint64, clustered bool) (*Population, error) {
	if people < 1 || int64(people) > maxPeople {
		return nil, fmt.Errorf("make population: %d people, want 1 to %d", people, int64(maxPeople))
	}
	p := &Population{People: people, Seed: seed, Clustered: clustered, groups: map[group][2]int{}}
	for i, d := range []float64{.005, .01, .015, .02, .03} {
		p.add(groupInterests, query.Affinity, fmt.Sprintf("interest-%d", i+1), d)
	}
	p.add(groupExcluded, query.Affinity, "interest-not", .05)
	p.add(groupUploaded, "", "", .003)
	for i, d := range []float64{.1, .05, .03, .02, .01} {
		p.add(groupFive, query.Twitter, fmt.Sprint(1001+i), d)
	}
	for i, d := range []float64{1e-4, .001, .003, .01, .02, .05, .1, .15, .2, .3} {
		p.add(groupUnion, query.Twitter, fmt.Sprint(2001+i), d)
	}
	for i := range 50 {
		p.add(groupFifty, query.Twitter, fmt.Sprint(3001+i), .1/float64(i+1))
	}
	for i := range rareAccounts {
		p.add(groupRare, query.Twitter, fmt.Sprint(10_001+i), 0)
	}
	sum := 0.0
	for i := range channels {
		sum += math.Pow(float64(i+1), -channelExponent)
	}
	for i := range channels {
		p.add(groupChannels, query.YouTube, fmt.Sprintf("UC%05d", i), channelEdges*math.Pow(float64(i+1), -channelExponent)/sum)
	}
	return p, nil
}

func (p *Population) add(g group, f query.Field, value string, density float64) {
	at, ok := p.groups[g]
	if !ok {
		at[0] = len(p.terms)
	}
	p.terms = append(p.terms, term{f, value, density})
	at[1] = len(p.terms)
	p.groups[g] = at
}

// group gives the positions of a group's terms: from and to.
func (p *Population) group(g group) (from, to int) {
	at := p.groups[g]
	return at[0], at[1]
}

// values are the values of a group's terms.
func (p *Population) values(g group) []string {
	from, to := p.group(g)
	values := make([]string, 0, to-from)
	for _, t := range p.terms[from:to] {
		values = append(values, t.value)
	}
	return values
}

// blocks is how many blocks there are.
func (p *Population) blocks() int { return (p.People + blockPeople - 1) / blockPeople }

// inBlock is how many people a block has.
func (p *Population) inBlock(block int) int { return min(blockPeople, p.People-block*blockPeople) }

// mix turns two numbers into one that looks random (splitmix64).
func mix(a, b uint64) uint64 {
	x := a + 0x9e3779b97f4a7c15*(b+1)
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// maker makes blocks; one goroutine's.
type maker struct {
	*Population
	pcg  rand.PCG
	rand *rand.Rand
	rows []uint16
}

func (p *Population) maker() *maker {
	m := &maker{Population: p}
	m.rand = rand.New(&m.pcg)
	return m
}

// The streams of randomness of a block, beside one for each term.
const (
	streamGender uint64 = 1<<40 + iota
	streamCountry
	streamActive
)

func (m *maker) stream(which uint64, block int) {
	m.pcg.Seed(mix(m.Seed, which), uint64(block))
}

// members gives the people of a block who have a term, in order, as positions
// in the block. The slice is used again by the next call.
func (m *maker) members(t, block int) []uint16 {
	m.rows = m.rows[:0]
	if from, to := m.group(groupRare); t >= from && t < to {
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
		s := uint64(block*blockPeople+from) / uint64(size)
		const golden = 0x9e3779b97f4a7c15 // of 2^64: spreads a term's stretches evenly
		if u := float64((mix(m.Seed, uint64(t))+s*golden)>>11) / (1 << 53); u*times < 1 {
			m.draw(from, min(from+size, n), density*times)
		}
	}
	return m.rows
}

// stretch is how many people long the stretches of clustered people are: a
// divisor of a block.
func (p *Population) stretch() int {
	size := blockPeople / 4
	for size > 64 && size > p.People/256 {
		size /= 2
	}
	return size
}

// draw appends positions from from on and before to, each with the chance
// density, by drawing the gaps between them.
func (m *maker) draw(from, to int, density float64) {
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
func (m *maker) rare(i, block int) []uint16 {
	own := i * (m.People / rareAccounts)
	if m.People < rareAccounts {
		own = i % m.People
	}
	list := []int{own}
	if many := m.manyFollower(); i < rareFollowed && many != own {
		list = []int{min(own, many), max(own, many)}
	}
	for _, x := range list {
		if x/blockPeople == block {
			m.rows = append(m.rows, uint16(x%blockPeople))
		}
	}
	return m.rows
}

// manyFollower is the person who follows 300 of the 5,000 rare accounts.
func (p *Population) manyFollower() int { return p.People - 1 }

// attributes are what each person has one value of.
type attributes struct {
	male    []uint8  // 1: male, 0: female
	country []uint8  // position in countries
	days    []uint16 // since the last activity
}

// attributes fills in the people of a block. a is used again.
func (m *maker) attributes(a *attributes, block int) {
	n := m.inBlock(block)
	a.male, a.country, a.days = resize(a.male, n), resize(a.country, n), resize(a.days, n)
	m.stream(streamGender, block)
	share := maleShare
	cut := uint64(share * (1 << 32))
	for i := range n {
		a.male[i] = 0
		if m.rand.Uint64()>>32 < cut {
			a.male[i] = 1
		}
	}
	ends := make([]float64, 0, 8)
	sum := 0.0
	for _, c := range countries() {
		sum += c.share
		ends = append(ends, sum)
	}
	m.stream(streamCountry, block)
	first := float64(block * blockPeople)
	for i := range n {
		u := (first + float64(i)) / float64(m.People)
		if !m.Clustered {
			u = m.rand.Float64()
		}
		c := 0
		for c < len(ends)-1 && u >= ends[c] {
			c++
		}
		a.country[i] = uint8(c)
		if m.Clustered { // the earlier in the country, the more recently active
			start := 0.0
			if c > 0 {
				start = ends[c-1]
			}
			a.days[i] = uint16(min(activityDays-1, activityDays*(u-start)/(ends[c]-start)))
		}
	}
	if m.Clustered {
		return
	}
	m.stream(streamActive, block)
	for i := range n {
		a.days[i] = uint16(m.rand.Uint64() >> 32 * activityDays >> 32)
	}
}

func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// keyDigits is how many digits keys have: eight, or more where people are more
// than 100 million.
func (p *Population) keyDigits() int { return max(8, len(strconv.Itoa(p.People-1))) }

// appendKey appends the key of a person: a letter and digits.
func appendKey(b []byte, person, digits int) []byte {
	b = append(b, 'p')
	b = append(b, "00000000000000000000"[:digits]...)
	for at := len(b) - 1; person > 0; at-- {
		b[at] += byte(person % 10)
		person /= 10
	}
	return b
}

// md5Of is the sixteen bytes that a person's one MD5 consists of. From
// 2^63 on they are of nobody.
func (p *Population) md5Of(person uint64) (sum [16]byte) {
	binary.LittleEndian.PutUint64(sum[:], mix(p.Seed^0x6d6435, 2*person))
	binary.LittleEndian.PutUint64(sum[8:], mix(p.Seed^0x6d6435, 2*person+1))
	return sum
}
