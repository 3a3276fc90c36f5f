package service

import (
	"bufio"
	"bytes"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// sorter sorts short texts without line ends and drops repeats, in bounded
// memory: what does not fit goes to temporary files, which hold normalised
// identifiers and are unlinked at close.
type sorter struct {
	memory int
	dir    string
	arena  []byte
	ends   []uint32 // of the texts in arena
	runs   []*os.File
}

const (
	// minMemory lets any line in.
	minMemory = 1 << 20
	// perText is what a text needs beside its bytes: its end, and its slice
	// while it is sorted.
	perText = 4 + 24
)

func newSorter(memory int, dir string) *sorter {
	return &sorter{memory: min(max(memory, minMemory), 1<<31), dir: dir}
}

// add keeps a copy of a text.
func (s *sorter) add(text []byte) error {
	if len(s.arena)+len(text)+perText*(len(s.ends)+1) > s.memory && len(s.ends) > 0 {
		if err := s.spill(); err != nil {
			return fmt.Errorf("sort upload: %w", err)
		}
	}
	s.arena = append(s.arena, text...)
	s.ends = append(s.ends, uint32(len(s.arena)))
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

func (s *sorter) spill() error {
	f, err := os.CreateTemp(s.dir, "throng-upload-*")
	if err != nil {
		return err
	}
	s.runs = append(s.runs, f)
	w := bufio.NewWriterSize(f, writeBuffer)
	for _, text := range s.sorted() {
		if err := writeLine(w, text); err != nil {
			return err
		}
	}
	s.arena, s.ends = s.arena[:0], s.ends[:0]
	return w.Flush()
}

func writeLine(w *bufio.Writer, text []byte) error {
	if _, err := w.Write(text); err != nil {
		return err
	}
	return w.WriteByte('\n')
}

// merge writes everything that was added, sorted, each text once, one a line,
// and tells how many those are.
func (s *sorter) merge(ctx context.Context, w *bufio.Writer) (distinct uint64, err error) {
	if len(s.runs) == 0 {
		texts := s.sorted()
		for _, text := range texts {
			if err := writeLine(w, text); err != nil {
				return 0, err
			}
		}
		return uint64(len(texts)), nil
	}
	if len(s.ends) > 0 {
		if err := s.spill(); err != nil {
			return 0, err
		}
	}
	s.arena, s.ends = nil, nil
	var h runs
	for _, f := range s.runs {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return 0, err
		}
		r := &run{r: bufio.NewReaderSize(f, maxLine)}
		if err := r.advance(); err != nil {
			return 0, err
		}
		h = append(h, r)
	}
	heap.Init(&h)
	var last []byte
	for len(h) > 0 {
		r := h[0]
		if distinct == 0 || !bytes.Equal(r.text, last) {
			if err := writeLine(w, r.text); err != nil {
				return 0, err
			}
			last = append(last[:0], r.text...)
			if distinct++; distinct%(1<<16) == 0 && ctx.Err() != nil {
				return 0, context.Cause(ctx)
			}
		}
		switch err := r.advance(); {
		case errors.Is(err, io.EOF):
			heap.Pop(&h)
		case err != nil:
			return 0, err
		default:
			heap.Fix(&h, 0)
		}
	}
	return distinct, nil
}

// close removes the temporary files.
func (s *sorter) close() {
	for _, f := range s.runs {
		f.Close()
		os.Remove(f.Name())
	}
}

// run reads a temporary file line by line; none is empty.
type run struct {
	r    *bufio.Reader
	text []byte
}

func (r *run) advance() error {
	line, err := r.r.ReadSlice('\n')
	if err != nil {
		return err // normal forms are shorter than the buffer
	}
	r.text = line[:len(line)-1]
	return nil
}

// runs is a heap by the current text.
type runs []*run

func (h runs) Len() int           { return len(h) }
func (h runs) Less(i, j int) bool { return bytes.Compare(h[i].text, h[j].text) < 0 }
func (h runs) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *runs) Push(x any)        { *h = append(*h, x.(*run)) }

func (h *runs) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
