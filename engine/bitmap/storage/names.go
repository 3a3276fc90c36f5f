package storage

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"iter"
	"math"
	"slices"

	"throng/engine/bitmap/format"
	"throng/internal/words"
	"throng/query"
)

// Names are what a search box looks at: the names of a field in the order in
// which they are found, folded, each ended by words.TextEnd, which no name
// holds. Stored, they are a stringTable, then the term of each (u32). meta:
// names u32, zero u32, bytes of strings u64.

// NameFields are the fields whose terms can be searched. The caller owns the
// slice.
func NameFields() []query.Field { return []query.Field{query.JobTitle, query.Employer} }

// NamesName is the file of the names of a field.
func NamesName(f query.Field) string { return "names-" + string(f) + ".dict" }

// Names is a mapped file of names. It is safe for concurrent use until Close.
type Names struct {
	*format.File
	values stringTable
	terms  []uint32
	order  uint64 // offset of terms in the payload
}

// OpenNames maps a file of names.
func OpenNames(path string) (*Names, error) {
	f, err := format.Open(path, format.KindNames)
	if err != nil {
		return nil, err
	}
	x := &Names{File: f}
	if err := x.open(); err != nil {
		f.Close()
		return nil, err
	}
	return x, nil
}

func (x *Names) open() error {
	if len(x.Meta()) != 16 {
		return x.Corrupt("directory has a wrong length")
	}
	le := binary.LittleEndian
	n, data, size := uint64(le.Uint32(x.Meta())), le.Uint64(x.Meta()[8:]), uint64(len(x.Payload()))
	if data > size || stringsSize(n, data)+4*n != size {
		return x.Corrupt("directory does not fit the file")
	}
	x.values = readStrings(x.File, 0, n, data)
	x.order = stringsSize(n, data)
	x.terms = format.View[uint32](x.Payload()[x.order:])
	return nil
}

// Len is the number of names.
func (x *Names) Len() int { return len(x.terms) }

// term is the term of a name.
func (x *Names) term(i int) (uint32, error) {
	if err := x.Check(x.order+4*uint64(i), 4); err != nil {
		return 0, err
	}
	return x.terms[i], nil
}

// searchBytes is how much is searched at once.
const searchBytes = 4 * format.ChunkSize

// Find yields the terms whose name matches the query of a search box, as
// words.MatchName does, most people first. It ends with the first error, which
// is ctx's or wraps [ErrCorrupt].
func (x *Names) Find(ctx context.Context, q string) iter.Seq2[uint32, error] {
	if words.ParseNameQuery(q).MatchesAll() {
		return func(yield func(uint32, error) bool) {
			for i := range x.terms {
				t, err := x.term(i)
				if i%1024 == 0 {
					err = errors.Join(err, ctx.Err())
				}
				if !yield(t, err) || err != nil {
					return
				}
			}
		}
	}
	needle := words.FoldName(nil, q)
	return func(yield func(uint32, error) bool) {
		if len(needle) == 0 {
			return
		}
		for from := uint64(0); ; {
			i, err := x.next(ctx, needle, from)
			if err != nil {
				yield(0, err)
				return
			}
			if i < 0 {
				return
			}
			t, err := x.term(i)
			if !yield(t, err) || err != nil {
				return
			}
			if _, from, err = x.values.bounds(i); err != nil {
				yield(0, err)
				return
			}
		}
	}
}

// next is the first name with needle in it, of those that end behind from; -1
// where there is none.
func (x *Names) next(ctx context.Context, needle []byte, from uint64) (int, error) {
	end := uint64(len(x.values.data))
	for from < end {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		n := min(end-from, uint64(max(searchBytes, 2*len(needle))))
		if err := x.Check(x.values.off[0]+from, n); err != nil {
			return 0, err
		}
		at := bytes.Index(x.values.data[from:from+n], needle)
		if at >= 0 {
			return x.holding(from + uint64(at))
		}
		if from+n == end {
			break
		}
		from += n - uint64(len(needle)-1)
	}
	return -1, nil
}

// holding is the name that a byte of the data belongs to.
func (x *Names) holding(at uint64) (int, error) {
	i, err := search(0, len(x.terms), func(i int) (bool, error) {
		_, to, err := x.values.bounds(i)
		return to > at, err
	})
	if err == nil && i == len(x.terms) {
		err = x.Corrupt("strings contradict themselves")
	}
	return i, err
}

// Verify reads the whole file: every checksum, and that it has the terms of
// the field, each once, as they are named and ordered. An error wraps
// [ErrCorrupt].
func (x *Names) Verify(dict *Dict, f query.Field) error {
	if err := x.Check(0, uint64(len(x.Payload()))); err != nil {
		return err
	}
	if err := x.values.verify(); err != nil {
		return err
	}
	first, count := dict.Range(f)
	if int(count) != len(x.terms) {
		return x.Corrupt("has other names than the dictionary")
	}
	var last uint64
	var folded []byte
	for i, t := range x.terms {
		people, err := dict.People(t)
		if err != nil {
			return err
		}
		if t < first || t-first >= count || i > 0 && (people > last || people == last && t <= x.terms[i-1]) {
			return x.Corrupt("order of names contradicts itself")
		}
		last = people
		value, err := dict.Value(t)
		if err != nil {
			return err
		}
		folded = append(words.FoldName(folded[:0], string(value)), words.TextEnd)
		if have, err := x.values.at(i); err != nil || !bytes.Equal(have, folded) {
			return errors.Join(err, x.Corrupt("has other names than the dictionary"))
		}
	}
	return nil
}

// WriteNames writes the names of a field into the folder of a dictionary,
// durably. It keeps eight bytes a name in memory.
func WriteNames(dir string, dict *Dict, f query.Field) (FileSum, error) {
	w, err := format.Create(dir, NamesName(f), format.KindNames)
	if err != nil {
		return FileSum{}, err
	}
	defer w.Abort()
	order, err := dict.byPeople(f)
	if err != nil {
		return FileSum{}, err
	}
	s := newStringWriter(w)
	defer s.abort()
	var folded []byte
	for _, o := range order {
		value, err := dict.Value(uint32(o))
		if err != nil {
			return FileSum{}, err
		}
		folded = append(words.FoldName(folded[:0], string(value)), words.TextEnd)
		s.add(folded)
	}
	data := s.end()
	le := binary.LittleEndian
	for _, o := range order {
		w.Append(le.AppendUint32(nil, uint32(o)))
	}
	meta := le.AppendUint32(nil, uint32(len(order)))
	meta = le.AppendUint32(meta, 0)
	return w.Finish(le.AppendUint64(meta, data))
}

// byPeople gives the terms of a field in the low halves, most people first,
// then by value.
func (d *Dict) byPeople(f query.Field) ([]uint64, error) {
	first, count := d.Range(f)
	order := make([]uint64, count)
	for i := range order {
		t := first + uint32(i)
		people, err := d.People(t)
		if err != nil {
			return nil, err
		}
		// Terms of a field are numbered in the order of their values.
		order[i] = (math.MaxUint32-people)<<32 | uint64(t)
	}
	slices.Sort(order)
	return order, nil
}
