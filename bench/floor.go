package bench

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"unsafe"

	"throng/engine/bitmap/kernel"
	"throng/engine/bitmap/storage"
	"throng/query"
)

// fieldTerm is a value of a field.
type fieldTerm struct {
	field query.Field
	value string
}

func fieldTerms(f query.Field, values ...string) []fieldTerm {
	out := make([]fieldTerm, len(values))
	for i, v := range values {
		out[i] = fieldTerm{f, v}
	}
	return out
}

// touched is the containers that a query cannot do without, in the order in
// which they lie in the mapped files.
type touched struct {
	pieces [][]byte
	bytes  int64
}

// touch finds the containers of terms. Those that touch each other in the file
// are one piece.
func (s *stack) touch(terms []fieldTerm) (*touched, error) {
	t := &touched{}
	for _, part := range s.files.Parts {
		for _, x := range terms {
			n, ok, err := s.files.Dict.Number(x.field, []byte(x.value))
			if err != nil {
				return nil, fmt.Errorf("find term: %w", err)
			}
			if !ok {
				continue
			}
			ps, err := part.Postings(n)
			if err != nil {
				return nil, fmt.Errorf("find containers: %w", err)
			}
			for b := range storage.PartBlocks {
				t.add(containerBytes(ps.Container(b)))
			}
		}
	}
	return t, nil
}

func (t *touched) add(b []byte) {
	if len(b) == 0 {
		return
	}
	t.bytes += int64(len(b))
	if n := len(t.pieces); n > 0 {
		last := t.pieces[n-1]
		if unsafe.Pointer(unsafe.SliceData(b)) == unsafe.Add(unsafe.Pointer(unsafe.SliceData(last)), len(last)) {
			t.pieces[n-1] = unsafe.Slice(unsafe.SliceData(last), len(last)+len(b))
			return
		}
	}
	t.pieces = append(t.pieces, b)
}

// containerBytes views a container as it lies in the file.
func containerBytes(c storage.Container) []byte {
	switch c.Kind {
	case storage.Array:
		return viewBytes(c.Array)
	case storage.Bitmap:
		return viewBytes(c.Bitmap)
	case storage.Runs:
		return viewBytes(c.Runs)
	case storage.None:
	}
	return nil
}

func viewBytes[T uint16 | uint64 | storage.Run](s []T) []byte {
	var x T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(x)))
}

// stream counts the bits of all that is touched: the least that reading it can
// cost.
func (t *touched) stream() (n int) {
	const block = 8 * kernel.Words
	for _, p := range t.pieces {
		for ; len(p) >= block; p = p[block:] {
			n += kernel.Count((*kernel.Block)(unsafe.Pointer(unsafe.SliceData(p))))
		}
		for ; len(p) >= 8; p = p[8:] {
			n += bits.OnesCount64(binary.LittleEndian.Uint64(p))
		}
		for _, b := range p {
			n += bits.OnesCount8(b)
		}
	}
	return n
}

// sink keeps what is only computed for its time.
type sink struct{ n int }

// floor is the variant that streams.
func (t *touched) floor(s *sink) variant {
	return variant{name: floorName, floor: true, run: func() error { s.n += t.stream(); return nil }}
}

const floorName = "floor"
