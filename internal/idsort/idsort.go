// Package idsort sorts identifiers in their normal form and drops repeats, in
// bounded memory.
package idsort

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"throng/internal/hexkey"
)

// Sorter sorts identifiers of one type: what does not fit into memory goes to a
// temporary file, which is removed by Close. MD5 sums and UUIDs are sorted as
// their 16 bytes, everything else as it is written. It is for one goroutine.
type Sorter struct {
	form   Form
	memory int
	dir    string

	keys, swap []hexkey.Key

	arena []byte
	ends  []uint32 // of the texts in arena

	file *os.File
	size int64
	runs []extent // of the file, each sorted
}

// Form is how identifiers of a type are sorted.
type Form uint8

// The forms.
const (
	Text Form = iota // no line ends within
	Sum              // 32 digits in lower case
	UUID             // the same, in groups
)

type extent struct{ from, to int64 }

// MinMemory lets any identifier in.
const MinMemory = 1 << 20

const (
	// perText is what a text needs beside its bytes: its end, and its slice
	// while it is sorted.
	perText = 4 + 24
	// perKey is a key, and room for it while it is sorted.
	perKey = 32
	// runBuffer is how much of a run is read at once, minBuffer where there are
	// so many runs that this would take more memory than they were sorted in.
	runBuffer = 64 << 10
	minBuffer = 4 << 10
	// writeBuffer is how much of one is written at once.
	writeBuffer = 128 << 10
)

// New makes a sorter that holds about so many bytes in memory, MinMemory at
// least, and has its temporary file in dir. The caller closes it.
func New(f Form, memory int, dir string) *Sorter {
	return &Sorter{form: f, memory: min(max(memory, MinMemory), 1<<31), dir: dir}
}

// Form is how it sorts.
func (s *Sorter) Form() Form { return s.form }

// Add keeps a copy of a text, which is in its normal form.
func (s *Sorter) Add(text []byte) error {
	if s.form != Text {
		k, ok := hexkey.Of(text)
		if !ok {
			return errors.New("sort identifiers: an identifier is not in its normal form")
		}
		return s.AddKey(k)
	}
	if len(s.arena)+len(text)+perText*(len(s.ends)+1) > s.memory && len(s.ends) > 0 {
		if err := s.spill(); err != nil {
			return fmt.Errorf("sort identifiers: %w", err)
		}
	}
	s.arena = append(s.arena, text...)
	s.ends = append(s.ends, uint32(len(s.arena)))
	return nil
}

// AddKey keeps a key, where keys are sorted.
func (s *Sorter) AddKey(k hexkey.Key) error {
	if len(s.keys) == cap(s.keys) {
		most := s.memory / perKey
		if len(s.keys) >= most {
			if err := s.spill(); err != nil {
				return fmt.Errorf("sort identifiers: %w", err)
			}
		} else {
			s.keys = slices.Grow(s.keys, min(max(len(s.keys), 1<<10), most-len(s.keys)))
		}
	}
	s.keys = append(s.keys, k)
	return nil
}

// sorted gives the texts in memory in order, each once.
func (s *Sorter) sorted() [][]byte {
	texts := make([][]byte, len(s.ends))
	start := uint32(0)
	for i, end := range s.ends {
		texts[i] = s.arena[start:end]
		start = end
	}
	slices.SortFunc(texts, bytes.Compare)
	return slices.CompactFunc(texts, bytes.Equal)
}

// sortedKeys gives the keys in memory in order, each once.
func (s *Sorter) sortedKeys() []hexkey.Key {
	if len(s.swap) < len(s.keys) {
		s.swap = make([]hexkey.Key, cap(s.keys))
	}
	sortKeys(s.keys, s.swap[:len(s.keys)], 0)
	s.keys = slices.Compact(s.keys)
	return s.keys
}

// fewKeys are sorted by comparing them.
const fewKeys = 48

// sortKeys sorts keys whose first so many bytes are the same, byte by byte from
// the first on. swap has the same length.
func sortKeys(keys, swap []hexkey.Key, bytes uint) {
	if len(keys) <= fewKeys || bytes == 16 {
		slices.SortFunc(keys, func(a, b hexkey.Key) int {
			return cmp.Or(cmp.Compare(a.Hi, b.Hi), cmp.Compare(a.Lo, b.Lo))
		})
		return
	}
	digit := func(k *hexkey.Key) byte {
		if bytes < 8 {
			return byte(k.Hi >> (56 - 8*bytes))
		}
		return byte(k.Lo >> (120 - 8*bytes))
	}
	var ends [256]uint32
	for i := range keys {
		ends[digit(&keys[i])]++
	}
	at := uint32(0)
	for i, n := range ends {
		ends[i] = at
		at += n
	}
	for i := range keys {
		n := &ends[digit(&keys[i])]
		swap[*n] = keys[i]
		*n++
	}
	copy(keys, swap)
	from := uint32(0)
	for _, end := range ends {
		if end-from > 1 {
			sortKeys(keys[from:end], swap[from:end], bytes+1)
		}
		from = end
	}
}

// spill empties the memory into a run.
func (s *Sorter) spill() error {
	if s.file == nil {
		f, err := os.CreateTemp(s.dir, "throng-sort-*")
		if err != nil {
			return err
		}
		s.file = f
	}
	w := bufio.NewWriterSize(s.file, writeBuffer)
	from := s.size
	if s.form == Text {
		for _, text := range s.sorted() {
			w.Write(text) //nolint:errcheck // an error stays until Flush
			if err := w.WriteByte('\n'); err != nil {
				return err
			}
			s.size += int64(len(text)) + 1
		}
	} else {
		var raw [16]byte
		for _, k := range s.sortedKeys() {
			binary.BigEndian.PutUint64(raw[:], k.Hi)
			binary.BigEndian.PutUint64(raw[8:], k.Lo)
			if _, err := w.Write(raw[:]); err != nil {
				return err
			}
			s.size += 16
		}
	}
	s.arena, s.ends, s.keys = s.arena[:0], s.ends[:0], s.keys[:0]
	s.runs = append(s.runs, extent{from, s.size})
	return w.Flush()
}

// Rest frees the memory that it holds, for while nothing is added. What is as
// little as MinMemory stays there.
func (s *Sorter) Rest() error {
	if (cap(s.keys)+cap(s.swap))*16+cap(s.arena)+4*cap(s.ends) <= MinMemory {
		return nil
	}
	if len(s.keys)+len(s.ends) > 0 {
		if err := s.spill(); err != nil {
			return fmt.Errorf("sort identifiers: %w", err)
		}
	}
	s.keys, s.swap, s.arena, s.ends = nil, nil, nil, nil
	return nil
}

// Lists gives what was added as lists in order, each text once in each.
// Nothing is added any more, and the lists are of no use after Close.
func (s *Sorter) Lists() []*List {
	var list []*List
	buffer := min(runBuffer, max(s.memory/2/max(len(s.runs), 1), minBuffer))
	for _, r := range s.runs {
		in := bufio.NewReaderSize(io.NewSectionReader(s.file, r.from, r.to-r.from), buffer)
		list = append(list, &List{form: s.form, in: in})
	}
	if s.form == Text {
		return append(list, &List{texts: s.sorted()})
	}
	keys := s.sortedKeys()
	s.swap = nil
	return append(list, &List{form: s.form, keys: keys})
}

// Close removes the temporary file.
func (s *Sorter) Close() {
	if s.file != nil {
		s.file.Close()
		os.Remove(s.file.Name())
	}
}

// List reads a sorted list, of a file or of memory, for Merge.
type List struct {
	form  Form
	in    *bufio.Reader // nil: of memory
	texts [][]byte
	keys  []hexkey.Key

	key  hexkey.Key // the current one
	text []byte
	buf  [hexkey.UUIDLen]byte
}

// next moves to the next text; io.EOF at the end.
func (c *List) next() error {
	if c.form == Text {
		return c.nextText()
	}
	if err := c.nextKey(); err != nil {
		return err
	}
	if c.form == Sum {
		c.text = c.key.Append(c.buf[:0])
	} else {
		c.text = c.key.AppendUUID(c.buf[:0])
	}
	return nil
}

func (c *List) nextKey() error {
	if c.in == nil {
		if len(c.keys) == 0 {
			return io.EOF
		}
		c.key, c.keys = c.keys[0], c.keys[1:]
		return nil
	}
	raw, err := c.in.Peek(16)
	if err != nil {
		if len(raw) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	c.key = hexkey.Key{Hi: binary.BigEndian.Uint64(raw), Lo: binary.BigEndian.Uint64(raw[8:])}
	c.in.Discard(16) //nolint:errcheck // they were peeked
	return nil
}

func (c *List) nextText() error {
	if c.in != nil {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err // normal forms are shorter than the buffer
		}
		c.text = line[:len(line)-1]
		return nil
	}
	if len(c.texts) == 0 {
		return io.EOF
	}
	c.text, c.texts = c.texts[0], c.texts[1:]
	return nil
}

// Merge passes the texts of all lists to yield in order, each once, until it
// returns false. A text is valid during the call.
func Merge(ctx context.Context, lists []*List, yield func(text []byte) bool) error {
	var last []byte
	first := true
	return merge(ctx, lists, (*List).next, func(a, b *List) bool { return bytes.Compare(a.text, b.text) < 0 }, func(c *List) bool {
		if !first && bytes.Equal(c.text, last) {
			return true
		}
		first, last = false, append(last[:0], c.text...)
		return yield(last)
	})
}

// MergeKeys is Merge for lists of keys, which are passed as they are.
func MergeKeys(ctx context.Context, lists []*List, yield func(k hexkey.Key) bool) error {
	var last hexkey.Key
	first := true
	return merge(ctx, lists, (*List).nextKey, func(a, b *List) bool { return a.key.Less(b.key) }, func(c *List) bool {
		if !first && c.key == last {
			return true
		}
		first, last = false, c.key
		return yield(last)
	})
}

// merge passes each list to yield as often as it has a text, in the order of
// all texts.
func merge(ctx context.Context, lists []*List, next func(*List) error, less func(a, b *List) bool, yield func(*List) bool) error {
	heap := lists[:0]
	for _, c := range lists {
		switch err := next(c); {
		case err == nil:
			heap = append(heap, c)
		case !errors.Is(err, io.EOF):
			return fmt.Errorf("sort identifiers: %w", err)
		}
	}
	for i := len(heap)/2 - 1; i >= 0; i-- {
		siftDown(heap, i, less)
	}
	for n := 0; len(heap) > 0; n++ {
		c := heap[0]
		if !yield(c) {
			return nil
		}
		if n%(1<<16) == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := next(c); err != nil {
			if !errors.Is(err, io.EOF) {
				return fmt.Errorf("sort identifiers: %w", err)
			}
			heap[0] = heap[len(heap)-1]
			heap = heap[:len(heap)-1]
		}
		siftDown(heap, 0, less)
	}
	return nil
}

// siftDown puts a list where it belongs in a heap that is in order but for it.
func siftDown(heap []*List, i int, less func(a, b *List) bool) {
	for {
		least := i
		for _, child := range [2]int{2*i + 1, 2*i + 2} {
			if child < len(heap) && less(heap[child], heap[least]) {
				least = child
			}
		}
		if least == i {
			return
		}
		heap[i], heap[least] = heap[least], heap[i]
		i = least
	}
}
