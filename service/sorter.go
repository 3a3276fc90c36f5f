package service

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

	"throng/identifier"
	"throng/internal/hexkey"
)

// sorter sorts identifiers of one type in their normal form and drops repeats,
// in bounded memory: what does not fit goes to a temporary file, which holds
// normalised identifiers and is unlinked at close. MD5 sums and UUIDs are
// sorted as their 16 bytes, everything else as it is written. It is for one
// goroutine.
type sorter struct {
	form   form
	memory int
	dir    string

	keys, swap []hexkey.Key

	arena []byte
	ends  []uint32 // of the texts in arena

	file *os.File
	size int64
	runs []extent // of the file, each sorted
}

// form is how identifiers of a type are sorted.
type form uint8

const (
	formText form = iota // no line ends within
	formSum              // 32 digits in lower case
	formUUID             // the same, in groups
)

func sortedAs(t identifier.Type) form {
	switch t {
	case identifier.MD5:
		return formSum
	case identifier.MAID:
		return formUUID
	default:
		return formText
	}
}

type extent struct{ from, to int64 }

const (
	// minMemory lets any line in.
	minMemory = 1 << 20
	// perText is what a text needs beside its bytes: its end, and its slice
	// while it is sorted.
	perText = 4 + 24
	// perKey is a key, and room for it while it is sorted.
	perKey = 32
	// runBuffer is how much of a run is read at once, minBuffer where there are
	// so many runs that this would take more memory than they were sorted in.
	runBuffer = 64 << 10
	minBuffer = 4 << 10
)

func newSorter(f form, memory int, dir string) *sorter {
	return &sorter{form: f, memory: min(max(memory, minMemory), 1<<31), dir: dir}
}

// add keeps a copy of a text.
func (s *sorter) add(text []byte) error {
	if s.form != formText {
		k, ok := hexkey.Of(text)
		if !ok {
			return errors.New("sort upload: an identifier is not in its normal form")
		}
		return s.addKey(k)
	}
	if len(s.arena)+len(text)+perText*(len(s.ends)+1) > s.memory && len(s.ends) > 0 {
		if err := s.spill(); err != nil {
			return fmt.Errorf("sort upload: %w", err)
		}
	}
	s.arena = append(s.arena, text...)
	s.ends = append(s.ends, uint32(len(s.arena)))
	return nil
}

// addKey keeps a key, where keys are sorted.
func (s *sorter) addKey(k hexkey.Key) error {
	if len(s.keys) == cap(s.keys) {
		most := s.memory / perKey
		if len(s.keys) >= most {
			if err := s.spill(); err != nil {
				return fmt.Errorf("sort upload: %w", err)
			}
		} else {
			s.keys = slices.Grow(s.keys, min(max(len(s.keys), 1<<10), most-len(s.keys)))
		}
	}
	s.keys = append(s.keys, k)
	return nil
}

// sorted gives the texts in memory in order, each once.
func (s *sorter) sorted() [][]byte {
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
func (s *sorter) sortedKeys() []hexkey.Key {
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
func (s *sorter) spill() error {
	if s.file == nil {
		f, err := os.CreateTemp(s.dir, "throng-upload-*")
		if err != nil {
			return err
		}
		s.file = f
	}
	w := bufio.NewWriterSize(s.file, writeBuffer)
	from := s.size
	if s.form == formText {
		for _, text := range s.sorted() {
			if err := writeLine(w, text); err != nil {
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

func writeLine(w *bufio.Writer, text []byte) error {
	if _, err := w.Write(text); err != nil {
		return err
	}
	return w.WriteByte('\n')
}

// cursors gives what was added as lists in order, each text once in each.
// Nothing is added any more.
func (s *sorter) lists() []*sortedList {
	var list []*sortedList
	buffer := min(runBuffer, max(s.memory/2/max(len(s.runs), 1), minBuffer))
	for _, r := range s.runs {
		in := bufio.NewReaderSize(io.NewSectionReader(s.file, r.from, r.to-r.from), buffer)
		list = append(list, &sortedList{form: s.form, in: in})
	}
	if s.form == formText {
		return append(list, &sortedList{texts: s.sorted()})
	}
	keys := s.sortedKeys()
	s.swap = nil
	return append(list, &sortedList{form: s.form, keys: keys})
}

// close removes the temporary file.
func (s *sorter) close() {
	if s.file != nil {
		s.file.Close()
		os.Remove(s.file.Name())
	}
}

// sortedList reads a sorted list, of a file or of memory.
type sortedList struct {
	form  form
	in    *bufio.Reader // nil: of memory
	texts [][]byte
	keys  []hexkey.Key

	text []byte // the current one
	buf  [hexkey.UUIDLen]byte
}

// next moves to the next text; io.EOF at the end.
func (c *sortedList) next() error {
	if c.form == formText {
		return c.nextText()
	}
	var k hexkey.Key
	if c.in != nil {
		raw, err := c.in.Peek(16)
		if err != nil {
			if len(raw) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		k = hexkey.Key{Hi: binary.BigEndian.Uint64(raw), Lo: binary.BigEndian.Uint64(raw[8:])}
		c.in.Discard(16) //nolint:errcheck // they were peeked
	} else {
		if len(c.keys) == 0 {
			return io.EOF
		}
		k, c.keys = c.keys[0], c.keys[1:]
	}
	if c.form == formSum {
		c.text = k.Append(c.buf[:0])
	} else {
		c.text = k.AppendUUID(c.buf[:0])
	}
	return nil
}

func (c *sortedList) nextText() error {
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

// mergeLists passes the texts of all lists to yield in order, each once, until it
// returns false. A text is valid during the call.
func mergeLists(ctx context.Context, list []*sortedList, yield func(text []byte) bool) error {
	heap := list[:0]
	for _, c := range list {
		switch err := c.next(); {
		case err == nil:
			heap = append(heap, c)
		case !errors.Is(err, io.EOF):
			return fmt.Errorf("sort upload: %w", err)
		}
	}
	for i := len(heap)/2 - 1; i >= 0; i-- {
		siftDown(heap, i)
	}
	var last []byte
	for n := 0; len(heap) > 0; n++ {
		c := heap[0]
		if n == 0 || !bytes.Equal(c.text, last) {
			if !yield(c.text) {
				return nil
			}
			last = append(last[:0], c.text...)
		}
		if n%(1<<16) == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := c.next(); err != nil {
			if !errors.Is(err, io.EOF) {
				return fmt.Errorf("sort upload: %w", err)
			}
			heap[0] = heap[len(heap)-1]
			heap = heap[:len(heap)-1]
		}
		siftDown(heap, 0)
	}
	return nil
}

// siftDown puts a sortedList where it belongs in a heap that is in order but for it.
func siftDown(heap []*sortedList, i int) {
	for {
		least := i
		for _, child := range [2]int{2*i + 1, 2*i + 2} {
			if child < len(heap) && bytes.Compare(heap[child].text, heap[least].text) < 0 {
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
