package storage

// stringTable is many strings, found by their position. Stored, it is
//
//	data   the strings on end; padding to 8
//	bases  u64 each 64 strings: offset in data
//	ends   u32 a string: its end, from its base; padding to 8
type stringTable struct {
	data  []byte
	bases []uint64
	ends  []uint32
}

func stringsSize(n, data uint64) uint64 { return pad8(data) + (n+63)/64*8 + pad8(4*n) }

// readStrings reads a table of n strings at the start of b, which holds
// stringsSize bytes. It returns false where the table contradicts itself.
func readStrings(b []byte, n, data uint64) (stringTable, bool) {
	t := stringTable{data: b[:data]}
	b = b[pad8(data):]
	t.bases = view[uint64](b[:(n+63)/64*8])
	t.ends = view[uint32](b[(n+63)/64*8:][:4*n])
	end := uint64(0)
	for i, e := range t.ends {
		if i&63 == 0 && t.bases[i>>6] != end {
			return t, false
		}
		next := t.bases[i>>6] + uint64(e)
		if next < end {
			return t, false
		}
		end = next
	}
	return t, end == data
}

func (t *stringTable) at(i int) []byte {
	base := t.bases[i>>6]
	from := base
	if i&63 != 0 {
		from += uint64(t.ends[i-1])
	}
	to := base + uint64(t.ends[i])
	return t.data[from:to:to]
}

// stringWriter writes a table: the strings at once, the rest at the end.
type stringWriter struct {
	w     *fileWriter
	start uint64
	base  uint64
	n     uint64
	bases *tail
	ends  *tail
}

func newStringWriter(w *fileWriter) stringWriter {
	return stringWriter{w: w, bases: newTail(w, "bases"), ends: newTail(w, "ends")}
}

func (s *stringWriter) add(b []byte) {
	at := s.w.n - s.start
	if s.n&63 == 0 {
		s.base = at
		s.bases.add64(at)
	}
	s.n++
	s.ends.add32(uint32(at + uint64(len(b)) - s.base))
	s.w.write(b)
}

// end writes the rest and returns how many bytes of data there are.
func (s *stringWriter) end() uint64 {
	data := s.w.n - s.start
	s.w.align(8)
	s.bases.end()
	s.ends.end()
	s.w.align(8)
	return data
}

func (s *stringWriter) abort() {
	s.bases.close()
	s.ends.close()
}
