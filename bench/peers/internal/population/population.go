// Package population makes the people that every engine is asked about, and
// the answers by a plain loop over bits.
//
// There are 1,053 terms of very different size, independent of each other:
// accounts followed (100 to 619), a gender (700, 701), an age range (800 to
// 805) and 1,000 affinities (1000 to 1999) from one person in a hundred down
// to one in ten thousand. The same seed gives the same people everywhere, so
// that engines in processes of their own need not be sent them.
package population

import (
	"math"
	"math/bits"
	"math/rand/v2"
)

// The first term of each sort, and how many there are.
const (
	Male                    = 700
	FirstAge, Ages          = 800, 6
	FirstAffinity, Affinity = 1000, 1000
)

// accounts are those followed: Count terms from First, each followed by Share
// of the people.
var accounts = []struct {
	First, Count int
	Share        float64
}{
	{100, 3, 0.3},
	{200, 3, 0.1},
	{300, 4, 0.03},
	{400, 5, 0.01},
	{500, 10, 0.001},
	{600, 20, 0.0001},
}

// Term is a term and the people who have it, ascending.
type Term struct {
	ID      int
	Members []uint32
}

// Population is people numbered from 0 and their terms, by ascending id.
type Population struct {
	People int
	Terms  []Term
	Pairs  int
}

// New makes the population of that many people.
func New(people int) *Population {
	p := &Population{People: people}
	r := rand.New(rand.NewPCG(1, 2))
	for _, a := range accounts {
		for i := range a.Count {
			p.add(a.First+i, independent(r, people, a.Share))
		}
	}
	p.split(r)
	for i := range Affinity {
		share := 0.01 * math.Pow(0.01, float64(i)/(Affinity-1))
		p.add(FirstAffinity+i, independent(r, people, share))
	}
	return p
}

func (p *Population) add(id int, members []uint32) {
	p.Terms = append(p.Terms, Term{ID: id, Members: members})
	p.Pairs += len(members)
}

// split gives everybody a gender and an age range, all as likely.
func (p *Population) split(r *rand.Rand) {
	lists := make([][]uint32, 2+Ages)
	for i := range lists {
		share := Ages
		if i < 2 {
			share = 2
		}
		lists[i] = make([]uint32, 0, p.People/share+p.People/50)
	}
	for person := range p.People {
		gender, age := r.IntN(2), r.IntN(Ages)
		lists[gender] = append(lists[gender], uint32(person))
		lists[2+age] = append(lists[2+age], uint32(person))
	}
	for i, l := range lists {
		if i < 2 {
			p.add(Male+i, l)
		} else {
			p.add(FirstAge+i-2, l)
		}
	}
}

// independent draws each person with probability share, by the gaps between
// those drawn.
func independent(r *rand.Rand, people int, share float64) []uint32 {
	mean := float64(people) * share
	members := make([]uint32, 0, int(mean+6*math.Sqrt(mean))+8)
	none := math.Log1p(-share)
	for at := -1; ; {
		at += 1 + int(math.Log(1-r.Float64())/none)
		if at >= people {
			return members
		}
		members = append(members, uint32(at))
	}
}

// Find gives the members of a term.
func (p *Population) Find(id int) []uint32 {
	for _, t := range p.Terms {
		if t.ID == id {
			return t.Members
		}
	}
	return nil
}

// Words are 64 people each: bit i of word w is person 64·w+i.
func (p *Population) Words(members []uint32) []uint64 {
	words := make([]uint64, (p.People+63)/64)
	for _, m := range members {
		words[m>>6] |= 1 << (m & 63)
	}
	return words
}

// The question, in terms: of those who follow any of AnyOf and Also but not
// Never, or at least two of TwoOf, the Male of two ages.
var (
	AnyOf = []int{200, 300, 400}
	Also  = 100
	Never = 201
	TwoOf = []int{101, 202, 301, 401, 500}
	InAge = []int{801, 802}
)

// QueryTerms are the terms that the question names, ascending.
var QueryTerms = []int{100, 101, 200, 201, 202, 300, 301, 400, 401, 500, 700, 801, 802}

// Audience answers the question, as words.
func (p *Population) Audience() []uint64 {
	of := func(id int) []uint64 { return p.Words(p.Find(id)) }
	result := make([]uint64, (p.People+63)/64)
	for _, id := range AnyOf {
		merge(result, of(id), func(a, b uint64) uint64 { return a | b })
	}
	merge(result, of(Also), func(a, b uint64) uint64 { return a & b })
	merge(result, of(Never), func(a, b uint64) uint64 { return a &^ b })
	one, two := make([]uint64, len(result)), make([]uint64, len(result))
	for _, id := range TwoOf {
		t := of(id)
		for i := range two {
			two[i] |= one[i] & t[i]
			one[i] |= t[i]
		}
	}
	merge(result, two, func(a, b uint64) uint64 { return a | b })
	merge(result, of(Male), func(a, b uint64) uint64 { return a & b })
	ages := of(InAge[0])
	merge(ages, of(InAge[1]), func(a, b uint64) uint64 { return a | b })
	merge(result, ages, func(a, b uint64) uint64 { return a & b })
	return result
}

func merge(dst, src []uint64, op func(a, b uint64) uint64) {
	for i := range dst {
		dst[i] = op(dst[i], src[i])
	}
}

// Size counts the people in words.
func Size(words []uint64) (n uint64) {
	for _, w := range words {
		n += uint64(bits.OnesCount64(w))
	}
	return n
}

// PerAffinity counts the people of an audience by affinity.
func (p *Population) PerAffinity(audience []uint64) []uint64 {
	counts := make([]uint64, Affinity)
	for i := range counts {
		for _, m := range p.Find(FirstAffinity + i) {
			counts[i] += audience[m>>6] >> (m & 63) & 1
		}
	}
	return counts
}
