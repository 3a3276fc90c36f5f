package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"throng/engine/bitmap/format"
	"throng/query"
)

// Fields are all fields in the order in which their terms are numbered.
// The caller owns the slice.
func Fields() []query.Field { return append(query.TermFields(), query.TextFields()...) }

// MaxTerm is the longest term, in bytes.
const MaxTerm = 1 << 20

// A dictionary knows every term by number: field by field in the order of
// Fields, inside a field in the order of the values' bytes. Its payload is a
// stringTable of the values, then how many people have each term (u32). meta:
// terms u32, fields u32, bytes of values u64, and for each field the number of
// its terms u32. What a question touches is verified when it is first touched.

// Dict is a mapped dictionary. It is safe for concurrent use until Close.
type Dict struct {
	*format.File
	values stringTable
	people []uint32
	counts uint64              // offset of people in the payload
	first  map[query.Field]int // position in starts
	starts []uint32            // of each field, and the end of the last
}

// OpenDict maps a dictionary.
func OpenDict(path string) (*Dict, error) {
	f, err := format.Open(path, format.KindDict)
	if err != nil {
		return nil, err
	}
	d := &Dict{File: f, first: map[query.Field]int{}}
	if err := d.open(); err != nil {
		f.Close()
		return nil, err
	}
	return d, nil
}

func (d *Dict) open() error {
	fields := Fields()
	if len(d.Meta()) != 16+4*len(fields) {
		return d.Corrupt("directory has a wrong length")
	}
	le := binary.LittleEndian
	n, data := uint64(le.Uint32(d.Meta())), le.Uint64(d.Meta()[8:])
	size := uint64(len(d.Payload()))
	if int(le.Uint32(d.Meta()[4:])) != len(fields) || data > size || stringsSize(n, data)+4*n != size {
		return d.Corrupt("directory does not fit the file")
	}
	at := uint64(0)
	d.starts = append(d.starts, 0)
	for i, f := range fields {
		at += uint64(le.Uint32(d.Meta()[16+4*i:]))
		d.first[f] = i
		d.starts = append(d.starts, uint32(at))
	}
	if at != n {
		return d.Corrupt("numbers of terms do not add up")
	}
	d.values = readStrings(d.File, 0, n, data)
	d.counts = stringsSize(n, data)
	d.people = format.View[uint32](d.Payload()[d.counts:])
	return nil
}

// Terms is the number of terms of all fields.
func (d *Dict) Terms() uint32 { return uint32(len(d.people)) }

// Range is the number of a field's first term and how many it has.
func (d *Dict) Range(f query.Field) (first, count uint32) {
	i, ok := d.first[f]
	if !ok {
		return 0, 0
	}
	return d.starts[i], d.starts[i+1] - d.starts[i]
}

// Number finds a term's number; ok is false where no row has the term. An
// error wraps [ErrCorrupt].
func (d *Dict) Number(f query.Field, value []byte) (n uint32, ok bool, err error) {
	first, count := d.Range(f)
	i, err := search(int(first), int(first+count), func(i int) (bool, error) {
		v, err := d.values.at(i)
		return bytes.Compare(v, value) >= 0, err
	})
	if err != nil || i == int(first+count) {
		return 0, false, err
	}
	v, err := d.values.at(i)
	if err != nil || !bytes.Equal(v, value) {
		return 0, false, err
	}
	return uint32(i), true, nil
}

// Value is the value of a term, which must not be written to; nil where there
// is no such term. An error wraps [ErrCorrupt].
func (d *Dict) Value(n uint32) ([]byte, error) {
	if n >= d.Terms() {
		return nil, nil
	}
	return d.values.at(int(n))
}

// People is how many rows have the term, 0 where there is no such term. An
// error wraps [ErrCorrupt].
func (d *Dict) People(n uint32) (uint64, error) {
	if n >= d.Terms() {
		return 0, nil
	}
	if err := d.Check(d.counts+4*uint64(n), 4); err != nil {
		return 0, err
	}
	return uint64(d.people[n]), nil
}

// Verify reads the whole dictionary: every checksum, that the values follow
// each other and that those of a field are in order. An error wraps
// [ErrCorrupt].
func (d *Dict) Verify() error {
	if err := d.Check(0, uint64(len(d.Payload()))); err != nil {
		return err
	}
	if err := d.values.verify(); err != nil {
		return err
	}
	for i := range d.starts[1:] {
		var last []byte
		for t := d.starts[i]; t < d.starts[i+1]; t++ {
			v, err := d.values.at(int(t))
			if err != nil {
				return err
			}
			if t > d.starts[i] && bytes.Compare(last, v) >= 0 {
				return d.Corrupt("terms are out of order")
			}
			last = v
		}
	}
	return nil
}

// DictWriter writes a dictionary. It is for one goroutine.
type DictWriter struct {
	w      *format.Writer
	s      stringWriter
	terms  uint32
	people *format.Tail
	fields []query.Field
	counts []uint32
	field  int
	last   []byte
}

// NewDictWriter creates the file of a dictionary under dir.
func NewDictWriter(dir, name string) (*DictWriter, error) {
	w, err := format.Create(dir, name, format.KindDict)
	if err != nil {
		return nil, err
	}
	fields := Fields()
	return &DictWriter{
		w: w, s: newStringWriter(w), people: format.NewTail(w, "people"),
		fields: fields, counts: make([]uint32, len(fields)),
	}, nil
}

// Add writes the next term, whose number is how many were added before it.
// Terms come in the order of Fields, inside a field in ascending order.
func (dw *DictWriter) Add(f query.Field, value []byte, people uint32) error {
	i := slices.Index(dw.fields, f)
	switch {
	case i < dw.field || i == dw.field && dw.counts[i] > 0 && bytes.Compare(dw.last, value) >= 0:
		return errors.New("write dictionary: terms are out of order")
	case len(value) > MaxTerm:
		return errors.New("write dictionary: a term exceeds 1 MiB")
	case dw.terms == math.MaxUint32:
		return errors.New("write dictionary: more than 2^32 terms")
	}
	dw.field = i
	dw.last = append(dw.last[:0], value...)
	dw.counts[i]++
	dw.s.add(value)
	dw.people.Add32(people)
	dw.terms++
	return dw.w.Err()
}

// Close ends the dictionary and makes it durable.
func (dw *DictWriter) Close() (FileSum, error) {
	data := dw.s.end()
	dw.people.End()
	le := binary.LittleEndian
	meta := le.AppendUint32(nil, dw.terms)
	meta = le.AppendUint32(meta, uint32(len(dw.fields)))
	meta = le.AppendUint64(meta, data)
	for _, c := range dw.counts {
		meta = le.AppendUint32(meta, c)
	}
	return dw.w.Finish(meta)
}

// Abort closes the file without ending it. After Close it does nothing.
func (dw *DictWriter) Abort() {
	dw.s.abort()
	dw.people.Close()
	dw.w.Abort()
}
