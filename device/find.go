package device

import (
	"runtime/debug"

	"throng/internal/hexkey"
)

// Wanted is a device that is looked for in a set.
type Wanted struct {
	Family Family
	Key    hexkey.Key
}

// findBatch is how many devices are looked for side by side. What one look
// costs is waiting for memory: twice, for the directory and for the keys. The
// processor waits for many at once where none depends on another.
const findBatch = 64

// Find tells of each device whether it is in the set, and sets found at its
// place where it is; found is as long as list. A family that there is not is in
// no set. It takes no memory, and for a hundred devices about half of the time of
// [Set.Contains] for each of them (BenchmarkFind). The errors are its, too.
func (s *Set) Find(list []Wanted, found []bool) (err error) {
	if s.data == nil {
		return ErrClosed
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer s.recover(&err)
	for len(list) > 0 {
		n := min(len(list), findBatch)
		s.findBatch(list[:n], found[:n])
		list, found = list[n:], found[n:]
	}
	return nil
}

// place is where a key would be: from i, which holds hi, among from to to.
type place struct {
	from, to, i uint64
	hi          uint64
}

func (s *Set) findBatch(list []Wanted, found []bool) {
	var places [findBatch]place
	for j, w := range list {
		if w.Family < NumFamilies && s.families[w.Family].count > 0 {
			x := &s.families[w.Family]
			prefix := w.Key.Hi >> x.shift
			places[j].from, places[j].to = x.start(prefix), x.start(prefix+1)
		}
	}
	// Keys are sums, so that what follows the prefix tells where among the
	// keys that share it one is: hardly ever is it more than two places away.
	for j, w := range list {
		if p := &places[j]; p.from < p.to {
			x := &s.families[w.Family]
			rest := w.Key.Hi << (64 - x.shift) >> 32
			p.i = p.from + rest*(p.to-p.from)>>32
			p.hi = x.key(p.i).Hi
		}
	}
	for j, w := range list {
		if p := &places[j]; p.from < p.to && s.families[w.Family].near(p, w.Key) {
			found[j] = true
		}
	}
}

// usualKeys is more than a prefix is shared by, unless somebody made it so.
const usualKeys = 64

// near tells whether a key is among those of its place, beginning at i.
func (x *setFamily) near(p *place, k hexkey.Key) bool {
	if p.to-p.from > usualKeys {
		return x.has(k, p.from, p.to)
	}
	i := p.i
	for p.hi < k.Hi && i+1 < p.to {
		i++
		p.hi = x.key(i).Hi
	}
	for i > p.from && x.key(i-1).Hi >= k.Hi {
		i--
	}
	for ; i < p.to; i++ {
		if at := x.key(i); at == k {
			return true
		} else if at.Hi > k.Hi {
			break
		}
	}
	return false
}
