package intern

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"

	"throng/engine/bitmap/load/invert"
	"throng/engine/bitmap/load/spill"
	"throng/engine/bitmap/storage"
	"throng/internal/extsort"
)

// Overflow keeps the rows of terms that the full dictionary does not hold, as
// records of term and row. Sorted by term they give these terms their numbers
// among those of the dictionary, as if it had held them; then they are pairs
// like all others, kept by block.
//
// The key of a record is the field's position and the value, its payload the
// row, big endian.
type Overflow struct {
	d      *Dictionary
	dir    string
	memory int64
	sorter *extsort.Sorter
	// pairs hold final numbers; nil where there are none.
	pairs  *spill.Store
	values *termFile
	total  uint32 // terms, with those of the dictionary
	// fields are the terms of each field that the dictionary does not hold.
	fields [1 << 8]uint32
}

// OverflowWriter is one goroutine's way to the overflow.
type OverflowWriter struct {
	w   *extsort.Writer
	key []byte
	row [4]byte
}

// NewOverflow makes the overflow of a dictionary. Its files are in dir. So many
// writers take memory bytes together; then the open chunks of its pairs do.
func NewOverflow(d *Dictionary, dir string, memory int64, writers int) *Overflow {
	return &Overflow{d: d, dir: dir, memory: memory, sorter: extsort.New(filepath.Join(dir, "rare-terms"), memory/int64(writers))}
}

// Writer makes a writer.
func (o *Overflow) Writer() *OverflowWriter { return &OverflowWriter{w: o.sorter.Writer()} }

// Add notes that a row has a term.
func (w *OverflowWriter) Add(field uint8, value []byte, row uint32) error {
	w.key = append(append(w.key[:0], field), value...)
	binary.BigEndian.PutUint32(w.row[:], row)
	return w.w.Add(w.key, w.row[:])
}

var errTooManyTerms = errors.New("number terms: more than 2^32 distinct values")

// Number merges the terms of the overflow with those of the dictionary, whose
// Number gave order and final, and changes final to the numbers among all.
// Where there is no overflow, final is right already. The rows, of so many
// blocks, become pairs, which are kept in mem.
func (o *Overflow) Number(mem *spill.Memory, blocks int, order, final []uint32) (err error) {
	o.total = uint32(len(order))
	if o.sorter.Empty() {
		return nil
	}
	o.pairs = mem.NewStore(filepath.Join(o.dir, "rare-pairs"), blocks, 1, o.memory)
	pairs := invert.NewFinalWriter(o.pairs)
	if o.values, err = newTermFile(filepath.Join(o.dir, "rare-values")); err != nil {
		return err
	}
	n, known := uint64(0), 0 // terms so far; of the dictionary
	var term []byte          // the last of the overflow
	var number uint32
	if err := o.sorter.Each(func(key, row []byte) error {
		if n == 0 || !bytes.Equal(key, term) {
			for ; known < len(order) && o.d.before(order[known], key); known++ {
				final[order[known]] = uint32(n)
				n++
			}
			if n >= uint64(None) {
				return errTooManyTerms
			}
			o.fields[key[0]]++
			term, number = append(term[:0], key...), uint32(n)
			n++
			if err := o.values.add(number, term); err != nil {
				return err
			}
		}
		return pairs.Add(binary.BigEndian.Uint32(row), number)
	}); err != nil {
		return err
	}
	for _, t := range order[known:] {
		final[t] = uint32(n)
		n++
	}
	if n >= uint64(None) {
		return errTooManyTerms
	}
	o.total = uint32(n)
	pairs.Flush()
	return errors.Join(o.sorter.Close(), o.values.rewind())
}

// Pairs are the pairs of all terms of the overflow, by final number; nil where
// there are none.
func (o *Overflow) Pairs() *spill.Store { return o.pairs }

// Terms is how many terms have a final number, with those of the dictionary.
func (o *Overflow) Terms() uint32 { return o.total }

// Before is how many terms the fields before one have, whose final numbers thus
// come first.
func (o *Overflow) Before(order []uint32, field uint8) uint32 {
	n := sort.Search(len(order), func(i int) bool {
		f, _ := o.d.Term(order[i])
		return f >= field
	})
	for _, more := range o.fields[:field] {
		n += int(more)
	}
	return uint32(n)
}

// Close removes what was spilt.
func (o *Overflow) Close() error {
	errs := []error{o.sorter.Close()}
	if o.pairs != nil {
		errs = append(errs, o.pairs.Close())
	}
	if o.values != nil {
		errs = append(errs, o.values.close())
	}
	return errors.Join(errs...)
}

// before tells whether a term comes before the one with this key.
func (d *Dictionary) before(t uint32, key []byte) bool {
	f, v := d.Term(t)
	return f < key[0] || f == key[0] && bytes.Compare(v, key[1:]) < 0
}

// EachTerm passes all terms on in the order of their numbers. A value is valid
// until the next. It is called once.
func (o *Overflow) EachTerm(order []uint32, yield func(n uint32, field uint8, value []byte) error) error {
	next, key, err := o.values.next()
	if err != nil {
		return err
	}
	for n := range o.total {
		if n == next && key != nil {
			if err := yield(n, key[0], key[1:]); err != nil {
				return err
			}
			if next, key, err = o.values.next(); err != nil {
				return err
			}
			continue
		}
		f, v := o.d.Term(order[0])
		order = order[1:]
		if err := yield(n, f, v); err != nil {
			return err
		}
	}
	return nil
}

// fileBuffer is how many bytes are read and written at once.
const fileBuffer = 1 << 18

// termFile keeps terms with their numbers in a file, in order.
type termFile struct {
	file *os.File
	w    *bufio.Writer
	r    *bufio.Reader
	buf  []byte
}

func newTermFile(path string) (*termFile, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("spill terms: %w", err)
	}
	return &termFile{file: f, w: bufio.NewWriterSize(f, fileBuffer)}, nil
}

func (t *termFile) add(number uint32, key []byte) error {
	t.buf = binary.AppendUvarint(t.buf[:0], uint64(number))
	t.buf = binary.AppendUvarint(t.buf, uint64(len(key)))
	if _, err := t.w.Write(append(t.buf, key...)); err != nil {
		return fmt.Errorf("spill terms: %w", err)
	}
	return nil
}

// rewind ends writing; next then begins with the first term.
func (t *termFile) rewind() error {
	err := t.w.Flush()
	if err == nil {
		_, err = t.file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("spill terms: %w", err)
	}
	t.w, t.r = nil, bufio.NewReaderSize(t.file, fileBuffer)
	return nil
}

// next reads a term, valid until the next call; key is nil at the end, and
// where there is no file.
func (t *termFile) next() (number uint32, key []byte, err error) {
	if t == nil {
		return 0, nil, nil
	}
	n, err := binary.ReadUvarint(t.r)
	if errors.Is(err, io.EOF) {
		return 0, nil, nil
	}
	size, err2 := binary.ReadUvarint(t.r)
	if err != nil || err2 != nil || size < 1 || size > storage.MaxTerm+1 {
		return 0, nil, spill.ErrDamaged
	}
	t.buf = slices.Grow(t.buf[:0], int(size))[:size]
	if _, err := io.ReadFull(t.r, t.buf); err != nil {
		return 0, nil, spill.ErrDamaged
	}
	return uint32(n), t.buf, nil
}

func (t *termFile) close() error {
	if t.file == nil {
		return nil
	}
	err := errors.Join(t.file.Close(), os.Remove(t.file.Name()))
	t.file = nil
	if err != nil {
		return fmt.Errorf("remove spilt terms: %w", err)
	}
	return nil
}
