// Package lines reads lists of one thing a line: it unpacks them, cuts them at
// line ends for several goroutines, and puts what these found together in the
// order of the list.
package lines

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"sync"

	"golang.org/x/sync/errgroup"
)

const (
	// Buffer is how many bytes of lines are handed to a goroutine at once.
	Buffer = 256 << 10
	// Max is the longest line that may hold an identifier, in bytes with its
	// end.
	Max = 64 << 10
)

// Piece is some lines in the order of the list.
type Piece struct {
	Number int // from 0
	buf    []byte
	lines  []byte // of buf; the last one of all may lack its end
}

// Each passes the lines of a piece to fn without their ends ("\n"), until an
// error. One of Max bytes and more is too long, and not all of it is there.
func (p *Piece) Each(fn func(line []byte) error) error {
	for b := p.lines; len(b) > 0; {
		line := b
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			line, b = b[:i], b[i+1:]
		} else {
			b = nil
		}
		if err := fn(line); err != nil {
			return err
		}
	}
	return nil
}

// Each reads a list to its end. Several goroutines, numbered from 0, take its
// pieces, each by calls of do. The mark that some put before UTF-8 is dropped.
func Each(ctx context.Context, r io.Reader, workers int, do func(worker int, p *Piece) error) error {
	group, gctx := errgroup.WithContext(ctx)
	free, full := make(chan *Piece, 2*workers), make(chan *Piece, workers)
	for range cap(free) {
		free <- new(Piece)
	}
	for worker := range workers {
		group.Go(func() error {
			for p := range full {
				if err := do(worker, p); err != nil {
					return err
				}
				free <- p
			}
			return nil
		})
	}
	err := cut(gctx, r, free, full)
	close(full)
	// What ended a goroutine is the cause of what the reader met then.
	if worker := group.Wait(); worker != nil {
		return worker
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// cut cuts a list at line ends.
func cut(ctx context.Context, r io.Reader, free <-chan *Piece, full chan<- *Piece) error {
	var rest []byte // begin of a line
	inLong := false // in a line that is too long, and of which enough was kept
	for number, end := 0, false; !end; number++ {
		var p *Piece
		select {
		case p = <-free:
		case <-ctx.Done():
			return ctx.Err()
		}
		if p.buf == nil {
			p.buf = make([]byte, Buffer)
		}
		n := copy(p.buf, rest)
		var err error
		for n < len(p.buf) && err == nil {
			var k int
			k, err = r.Read(p.buf[n:])
			n += k
		}
		if end = errors.Is(err, io.EOF); err != nil && !end {
			return err
		}
		b := p.buf[:n]
		if number == 0 {
			b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
		}
		if inLong {
			i := bytes.IndexByte(b, '\n')
			if inLong = i < 0; inLong {
				i = len(b) - 1
			}
			b = b[i+1:]
		}
		lines, tail := b, b[len(b):]
		if i := bytes.LastIndexByte(b, '\n'); !end {
			lines, tail = b[:i+1], b[i+1:]
		}
		if len(tail) >= Max { // its fate is certain, the rest of it is skipped
			lines, tail, inLong = b, nil, true
		}
		rest = append(rest[:0], tail...)
		p.Number, p.lines = number, lines
		select {
		case full <- p:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Refused is a line that was not taken. It holds nothing of the line.
type Refused struct {
	Line   uint64 // from 1
	Reason string
}

// Found is what became of lines.
type Found struct {
	Lines, Refused uint64
	First          []Refused // of them, as many as are kept
}

// Refuse counts the line at hand, which is counted among Lines already, as
// refused, and keeps at most so many.
func (f *Found) Refuse(reason string, keep int) {
	f.Refused++
	if len(f.First) < keep {
		f.First = append(f.First, Refused{Line: f.Lines, Reason: reason})
	}
}

// Tally puts together what was found in pieces. It is safe for concurrent use.
type Tally struct {
	keep int

	mu      sync.Mutex
	found   Found
	next    int           // number of the first piece that is not counted yet
	waiting map[int]Found // pieces behind it
}

// NewTally makes a tally that keeps the first so many refused lines.
func NewTally(keep int) *Tally { return &Tally{keep: keep, waiting: map[int]Found{}} }

// Add counts a piece by its number; pieces may come in any order.
func (t *Tally) Add(number int, piece Found) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.waiting[number] = piece; ; t.next++ {
		p, ok := t.waiting[t.next]
		if !ok {
			return
		}
		delete(t.waiting, t.next)
		for _, line := range p.First {
			if len(t.found.First) == t.keep {
				break
			}
			line.Line += t.found.Lines
			t.found.First = append(t.found.First, line)
		}
		t.found.Lines += p.Lines
		t.found.Refused += p.Refused
	}
}

// Found is what was counted. Nothing is added any more.
func (t *Tally) Found() Found { return t.found }

// Write writes a line and its end.
func Write(w *bufio.Writer, line []byte) error {
	if _, err := w.Write(line); err != nil {
		return err
	}
	return w.WriteByte('\n')
}
