package bench

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/RoaringBitmap/roaring/v2"

	"throng/bench/population"
)

// bitmaps makes roaring bitmaps of terms, by making their members again. They
// are run-optimised, as one would store them.
func bitmaps(p *population.Population, terms ...int) []*roaring.Bitmap {
	out := make([]*roaring.Bitmap, len(terms))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			m := p.Maker()
			var rows []uint32
			for i := int(next.Add(1)) - 1; i < len(terms); i = int(next.Add(1)) - 1 {
				b := roaring.New()
				for block := range p.Blocks() {
					rows = rows[:0]
					for _, r := range m.Members(terms[i], block) {
						rows = append(rows, uint32(block*population.BlockPeople)+uint32(r))
					}
					b.AddMany(rows)
				}
				b.RunOptimize()
				out[i] = b
			}
		})
	}
	wg.Wait()
	return out
}

// groupBitmaps makes the bitmaps of a group of terms.
func groupBitmaps(p *population.Population, g population.Group) []*roaring.Bitmap {
	from, to := p.Group(g)
	terms := make([]int, 0, to-from)
	for t := from; t < to; t++ {
		terms = append(terms, t)
	}
	return bitmaps(p, terms...)
}

// traits are the bitmaps of what people have one value of, as the query asks
// for them.
type traits struct {
	male, active *roaring.Bitmap
	countries    []*roaring.Bitmap // France, Germany
}

// activeDays is how recently those asked for were active.
const activeDays = 180

func traitsOf(p *population.Population) traits {
	t := traits{male: roaring.New(), active: roaring.New(), countries: []*roaring.Bitmap{roaring.New(), roaring.New()}}
	m := p.Maker()
	var a population.Attributes
	var male, active []uint32
	var lives [2][]uint32
	for block := range p.Blocks() {
		m.Attributes(&a, block)
		male, active, lives[0], lives[1] = male[:0], active[:0], lives[0][:0], lives[1][:0]
		for i := range a.Male {
			row := uint32(block*population.BlockPeople + i)
			if a.Male[i] == 1 {
				male = append(male, row)
			}
			if a.Days[i] <= activeDays {
				active = append(active, row)
			}
			switch population.Countries()[a.Country[i]].Code {
			case "FR":
				lives[0] = append(lives[0], row)
			case "DE":
				lives[1] = append(lives[1], row)
			}
		}
		t.male.AddMany(male)
		t.active.AddMany(active)
		t.countries[0].AddMany(lives[0])
		t.countries[1].AddMany(lives[1])
	}
	for _, b := range []*roaring.Bitmap{t.male, t.active, t.countries[0], t.countries[1]} {
		b.RunOptimize()
	}
	return t
}

// atLeast is the rows that k of the bitmaps have, by the loop over running
// thresholds, which is roaring's own operations alone.
func atLeast(k int, list []*roaring.Bitmap) *roaring.Bitmap {
	t := make([]*roaring.Bitmap, k+1)
	for i := range t {
		t[i] = roaring.New()
	}
	for _, b := range list {
		for i := k; i > 1; i-- {
			t[i].Or(roaring.And(t[i-1], b))
		}
		t[1].Or(b)
	}
	return t[k]
}

// counters is the rows that k of the bitmaps have, by an array of a counter
// for each person.
func counters(k uint8, list []*roaring.Bitmap, count []uint8) uint64 {
	clear(count)
	buffer := make([]uint32, 4096)
	for _, b := range list {
		for it := b.ManyIterator(); ; {
			n := it.NextMany(buffer)
			if n == 0 {
				break
			}
			for _, r := range buffer[:n] {
				count[r]++
			}
		}
	}
	n := uint64(0)
	for _, c := range count {
		if c >= k {
			n++
		}
	}
	return n
}

// allTraits are the bitmaps of every value of what people have one of, and of
// every window of activity, as the index has them.
func allTraits(p *population.Population) []*roaring.Bitmap {
	days := windows()
	places := len(population.Countries())
	list := make([]*roaring.Bitmap, 2+places+len(days))
	rows := make([][]uint32, len(list))
	for i := range list {
		list[i] = roaring.New()
	}
	m := p.Maker()
	var a population.Attributes
	for block := range p.Blocks() {
		m.Attributes(&a, block)
		for i := range rows {
			rows[i] = rows[i][:0]
		}
		for i := range a.Male {
			row := uint32(block*population.BlockPeople + i)
			rows[a.Male[i]] = append(rows[a.Male[i]], row)
			rows[2+a.Country[i]] = append(rows[2+a.Country[i]], row)
			for w, d := range days {
				if int(a.Days[i]) <= d {
					rows[2+places+w] = append(rows[2+places+w], row)
				}
			}
		}
		for i, r := range rows {
			list[i].AddMany(r)
		}
	}
	for _, b := range list {
		b.RunOptimize()
	}
	return list
}
