package storage

import "throng/engine/bitmap/format"

// stringTable is many strings, found by their position. Stored, it is
//
//	data   the strings on end; padding to 8
//	bases  u64 each 64 strings: offset in data
//	ends   u32 a string: its end, from its base; padding to 8
//
// Each string is verified when it is asked for, with the pieces of the file
// that it takes to find it.
type stringTable struct {
	f     *format.File
	off   [3]uint64 // of data, bases and ends in the payload
	data  []byte
	bases []uint64
	ends  []uint32
}

func stringsSize(n, data uint64) uint64 { return format.Pad8(data) + (n+63)/64*8 + format.Pad8(4*n) }

// readStrings finds a table of n strings at an offset of the payload, where
// there are stringsSize bytes.
func readStrings(f *format.File, off, n, data uint64) stringTable {
	t := stringTable{f: f, off: [3]uint64{off, off + format.Pad8(data), off + format.Pad8(data) + (n+63)/64*8}}
	t.data = f.Payload()[off:][:data:data]
	t.bases = format.View[uint64](f.Payload()[t.off[1]:][:(n+63)/64*8])
	t.ends = format.View[uint32](f.Payload()[t.off[2]:][:4*n])
	return t
}

func (t *stringTable) size() uint64 { return stringsSize(uint64(len(t.ends)), uint64(len(t.data))) }

// bounds says where in data string i is, i being below the number of strings.
// The bytes between are not verified yet.
func (t *stringTable) bounds(i int) (from, to uint64, err error) {
	b := uint64(i) >> 6
	before := uint64(0) // the string before is told of, too
	if i&63 != 0 {
		before = 1
	}
	if err := t.f.Check(t.off[1]+8*b, 8); err != nil {
		return 0, 0, err
	}
	if err := t.f.Check(t.off[2]+4*(uint64(i)-before), 4+4*before); err != nil {
		return 0, 0, err
	}
	base := t.bases[b]
	from, to = base, base+uint64(t.ends[i])
	if before != 0 {
		from += uint64(t.ends[i-1])
	}
	if base > uint64(len(t.data)) || from > to || to > uint64(len(t.data)) {
		return 0, 0, t.f.Corrupt("strings contradict themselves")
	}
	return from, to, nil
}

// at gives string i, which is below the number of strings. It aliases the
// mapping.
func (t *stringTable) at(i int) ([]byte, error) {
	from, to, err := t.bounds(i)
	if err != nil {
		return nil, err
	}
	if err := t.f.Check(t.off[0]+from, to-from); err != nil {
		return nil, err
	}
	return t.data[from:to:to], nil
}

// verify makes sure that the strings follow each other and fill the data.
func (t *stringTable) verify() error {
	if err := t.f.Check(t.off[0], t.size()); err != nil {
		return err
	}
	end := uint64(0)
	for i := range t.ends {
		from, to, err := t.bounds(i)
		if err != nil {
			return err
		}
		if from != end {
			return t.f.Corrupt("strings contradict themselves")
		}
		end = to
	}
	if end != uint64(len(t.data)) {
		return t.f.Corrupt("strings contradict themselves")
	}
	return nil
}

// search finds the first of the strings from up to, not including, to for
// which reached is true; they are in such an order that it stays true.
func search(from, to int, reached func(i int) (bool, error)) (int, error) {
	for from < to {
		mid := int(uint(from+to) >> 1)
		ok, err := reached(mid)
		if err != nil {
			return 0, err
		}
		if ok {
			to = mid
		} else {
			from = mid + 1
		}
	}
	return from, nil
}

// stringWriter writes a table: the strings at once, the rest at the end.
type stringWriter struct {
	w     *format.Writer
	start uint64
	base  uint64
	n     uint64
	bases *format.Tail
	ends  *format.Tail
}

func newStringWriter(w *format.Writer) stringWriter {
	return stringWriter{w: w, bases: format.NewTail(w, "bases"), ends: format.NewTail(w, "ends")}
}

func (s *stringWriter) add(b []byte) {
	at := s.w.Len() - s.start
	if s.n&63 == 0 {
		s.base = at
		s.bases.Add64(at)
	}
	s.n++
	s.ends.Add32(uint32(at + uint64(len(b)) - s.base))
	s.w.Append(b)
}

// end writes the rest and returns how many bytes of data there are.
func (s *stringWriter) end() uint64 {
	data := s.w.Len() - s.start
	s.w.Align(8)
	s.bases.End()
	s.ends.End()
	s.w.Align(8)
	return data
}

func (s *stringWriter) abort() {
	s.bases.Close()
	s.ends.Close()
}
