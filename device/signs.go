package device

import (
	"cmp"
	"slices"

	"throng/internal/hexkey"
)

// signs are what the doctor looks at: what a goroutine has seen of a list, then
// what all have.
type signs struct {
	refused map[string]uint64 // by reason
	header  string            // what the first line looks like, where it is no id

	taken     uint64
	oddCase   uint64 // not in the case in which the type's ids are written
	plain     uint64 // UUIDs without hyphens
	plainUUID uint64 // of these, with the marks of a UUID
	marked    uint64 // sums with the marks of a random UUID
	zeroSums  uint64 // sums of a zeroed id
	hex32     uint64 // OAIDs that could be sums
	imeis     uint64 // OAIDs that are numbers as long as an IMEI
	phones    uint64 // or as a telephone number

	most   majority
	sample sample // of sums
}

func newSigns() signs { return signs{refused: map[string]uint64{}} }

// device notes a device that was taken.
func (s *signs) device(k hexkey.Key) {
	s.taken++
	s.most.add(k)
}

func (s *signs) sum(k hexkey.Key, text []byte) {
	if hasUpper(text) {
		s.oddCase++
	}
	if k.Hi>>12&0xf == 4 && k.Lo>>62 == 2 {
		s.marked++
	}
	if k == zeroUUIDKey || k == zeroIMEIKey {
		s.zeroSums++
	}
	s.sample.add(k)
}

// uuid notes a UUID, text as it was written, normal in its family's form.
func (s *signs) uuid(k hexkey.Key, text, normal []byte) {
	if len(text) == hexkey.SumLen {
		s.plain++
		if v := k.Hi >> 12 & 0xf; v >= 1 && v <= 5 && k.Lo>>62 == 2 {
			s.plainUUID++
		}
		return
	}
	if string(text) != string(normal) {
		s.oddCase++
	}
}

// text notes an id that is neither sum nor UUID.
func (s *signs) text(f Family, normal []byte) {
	if f != OAID {
		return
	}
	if len(normal) == hexkey.SumLen {
		if _, ok := hexkey.Parse(normal); ok {
			s.hex32++
		}
	}
	if digitsAt(normal, 0) == len(normal) {
		switch n := len(normal); {
		case n == 15:
			s.imeis++
		case n >= 7 && n <= 13:
			s.phones++
		}
	}
}

// add puts together what two goroutines have seen.
func (s *signs) add(o *signs) {
	for reason, n := range o.refused {
		s.refused[reason] += n
	}
	s.header += o.header // one of them has seen the first line
	s.taken += o.taken
	s.oddCase += o.oddCase
	s.plain += o.plain
	s.plainUUID += o.plainUUID
	s.marked += o.marked
	s.zeroSums += o.zeroSums
	s.hex32 += o.hex32
	s.imeis += o.imeis
	s.phones += o.phones
	s.most.merge(o.most)
	s.sample.merge(&o.sample)
}

// reason is the most common one of the lines refused; "" where none was.
func (s *signs) reason() (reason string) {
	for r, n := range s.refused {
		if most := s.refused[reason]; n > most || n == most && r < reason {
			reason = r
		}
	}
	return reason
}

func hasUpper(text []byte) bool {
	for _, c := range text {
		if 'A' <= c && c <= 'F' {
			return true
		}
	}
	return false
}

// majority finds the one device that most lines have, if there is one, by
// having others cancel it out one for one.
type majority struct {
	key   hexkey.Key
	votes uint64
	hits  uint64 // lines that had it since it was last the first; at most all
}

func (m *majority) add(k hexkey.Key) {
	switch {
	case m.key == k && m.votes > 0:
		m.votes++
		m.hits++
	case m.votes == 0:
		*m = majority{key: k, votes: 1, hits: 1}
	default:
		m.votes--
	}
}

func (m *majority) merge(o majority) {
	switch {
	case m.key == o.key:
		m.votes += o.votes
		m.hits += o.hits
	case o.votes > m.votes:
		*m, o = o, *m
		m.votes -= o.votes
	default:
		m.votes -= o.votes
	}
}

// sampleSize is how many sums of a list are compared with others: 1 MiB of
// them. Of ten million devices of which a tenth of a percent is known, that
// finds some sixty.
const sampleSize = 1 << 16

// sample keeps the least keys of a list, each once. Sums are spread evenly,
// whatever order they come in, so these are as good as any; and whether another
// key would be among them can be told by looking at it.
type sample struct {
	keys []hexkey.Key // the last ones are in no order, until settled
	full bool         // there are others, all greater than the last one settled
	top  hexkey.Key
}

func (s *sample) add(k hexkey.Key) {
	if s.full && !k.Less(s.top) {
		return
	}
	if s.keys = append(s.keys, k); len(s.keys) >= 2*sampleSize {
		s.settle()
	}
}

// settle sorts the sample and drops what is too much.
func (s *sample) settle() {
	slices.SortFunc(s.keys, compareKeys)
	s.keys = slices.Compact(s.keys)
	if len(s.keys) > sampleSize {
		s.keys, s.full = s.keys[:sampleSize], true
		s.top = s.keys[sampleSize-1]
	}
}

func (s *sample) merge(o *sample) {
	s.settle()
	o.settle()
	if o.full && (!s.full || o.top.Less(s.top)) {
		s.full, s.top = true, o.top
	}
	s.keys = append(s.keys, o.keys...)
	if s.full {
		s.keys = slices.DeleteFunc(s.keys, s.top.Less)
	}
	s.settle()
}

// has tells whether the list has a key. asked is false where the sample cannot
// tell.
func (s *sample) has(k hexkey.Key) (has, asked bool) {
	if s.full && s.top.Less(k) {
		return false, false
	}
	_, has = slices.BinarySearchFunc(s.keys, k, compareKeys)
	return has, true
}

func compareKeys(a, b hexkey.Key) int {
	return cmp.Or(cmp.Compare(a.Hi, b.Hi), cmp.Compare(a.Lo, b.Lo))
}

// The keys of devices whose owners opted out.
var (
	zeroUUIDKey = sumOf([]byte("00000000-0000-0000-0000-000000000000"))
	zeroIMEIKey = sumOf([]byte("000000000000000"))
)
