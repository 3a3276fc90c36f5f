package service

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"throng"
	"throng/identifier"
	"throng/internal/hexkey"
)

const (
	// linesBuffer is how many bytes of lines are handed to a goroutine at once.
	linesBuffer = 256 << 10
	// maxLineWorkers bounds the goroutines that work at one list: one that
	// reads and sums up keeps no more of them busy.
	maxLineWorkers = 4
)

// lineReader gives each line of a list its fate. One goroutine reads and cuts
// at line ends, several normalise and sort.
type lineReader struct {
	typ     identifier.Type
	sorters []*sorter // one for each goroutine
	tally   tally
}

func newLineReader(t identifier.Type, memory int, dir string) *lineReader {
	l := &lineReader{typ: t}
	workers := min(runtime.GOMAXPROCS(0), maxLineWorkers)
	for range workers {
		l.sorters = append(l.sorters, newSorter(sortedAs(t), memory/workers, dir))
	}
	return l
}

// piece is some lines in the order of the list.
type piece struct {
	number int
	buf    []byte // linesBuffer bytes
	lines  []byte // of buf; the last one of all may lack its end
}

// read reads a list to its end.
func (l *lineReader) read(ctx context.Context, r io.Reader) error {
	group, gctx := errgroup.WithContext(ctx)
	free, full := make(chan *piece, 2*len(l.sorters)), make(chan *piece, len(l.sorters))
	for range cap(free) {
		free <- new(piece)
	}
	for _, s := range l.sorters {
		group.Go(func() error {
			w := lineWorker{typ: l.typ, sorter: s}
			for p := range full {
				if err := w.piece(p); err != nil {
					return err
				}
				l.tally.add(p.number, w.found)
				free <- p
			}
			return nil
		})
	}
	err := l.cut(gctx, r, free, full)
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
func (l *lineReader) cut(ctx context.Context, r io.Reader, free <-chan *piece, full chan<- *piece) error {
	var rest []byte // begin of a line
	inLong := false // in a line that is too long, and of which enough was kept
	for number, end := 0, false; !end; number++ {
		var p *piece
		select {
		case p = <-free:
		case <-ctx.Done():
			return ctx.Err()
		}
		if p.buf == nil {
			p.buf = make([]byte, linesBuffer)
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
		if len(tail) >= maxLine { // its fate is certain, the rest of it is skipped
			lines, tail, inLong = b, nil, true
		}
		rest = append(rest[:0], tail...)
		p.number, p.lines = number, lines
		select {
		case full <- p:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// tally counts what became of lines. It is safe for concurrent use.
type tally struct {
	mu      sync.Mutex
	found   found
	next    int           // number of the first piece that is not counted yet
	waiting map[int]found // pieces behind it
}

// add counts a piece, in the order of pieces.
func (f *tally) add(number int, piece found) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.waiting == nil {
		f.waiting = map[int]found{}
	}
	for f.waiting[number] = piece; ; f.next++ {
		p, ok := f.waiting[f.next]
		if !ok {
			return
		}
		delete(f.waiting, f.next)
		for _, line := range p.invalidLines {
			if len(f.found.invalidLines) == throng.MaxInvalidLines {
				break
			}
			line.Line += f.found.rows
			f.found.invalidLines = append(f.found.invalidLines, line)
		}
		f.found.rows += p.rows
		f.found.invalid += p.invalid
	}
}

// lineWorker normalises lines and sorts them. It is for one goroutine.
type lineWorker struct {
	typ    identifier.Type
	sorter *sorter
	found  found // in the piece at hand
	key    []byte
}

// piece gives each line of a piece its fate.
func (w *lineWorker) piece(p *piece) error {
	w.found = found{}
	for b := p.lines; len(b) > 0; {
		line := b
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			line, b = b[:i], b[i+1:]
		} else {
			b = nil
		}
		if err := w.line(line); err != nil {
			return err
		}
	}
	return nil
}

// line gives a line its fate, which comes without its end.
func (w *lineWorker) line(line []byte) error {
	w.found.rows++
	tooLong := len(line) >= maxLine
	line = bytes.TrimSuffix(line, []byte{'\r'})
	if k, ok := w.quick(line); ok {
		return w.sorter.addKey(k)
	}
	reason := identifier.TooLong
	if !tooLong {
		w.key, reason = w.typ.Normalize(w.key[:0], line)
	}
	if reason == "" {
		return w.sorter.add(w.key)
	}
	w.found.invalid++
	if len(w.found.invalidLines) < throng.MaxInvalidLines {
		w.found.invalidLines = append(w.found.invalidLines, throng.InvalidLine{Line: w.found.rows, Reason: string(reason)})
	}
	return nil
}

// quick reads the forms in which most sums and UUIDs are written; ok is false
// for whatever needs a closer look.
func (w *lineWorker) quick(line []byte) (k hexkey.Key, ok bool) {
	switch w.sorter.form {
	case formSum:
		if len(line) != hexkey.SumLen {
			return k, false
		}
		k, ok = hexkey.Parse(line)
		return k, ok && k != md5OfEmpty
	case formUUID:
		k, ok = hexkey.Parse(line)
		return k, ok && k != hexkey.Key{}
	case formText:
	}
	return k, false
}

// md5OfEmpty is what a missing address hashes to, which is no identifier.
var md5OfEmpty = hexkey.Key{Hi: 0xd41d8cd98f00b204, Lo: 0xe9800998ecf8427e}
