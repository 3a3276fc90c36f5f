package dataset

import (
	"bytes"
	"context"
	"errors"
	"io"
)

// textFormat is what the splitter must know of a format of text.
type textFormat interface {
	// begin takes what a file begins with off its first chunk and returns
	// how many bytes that is.
	begin(chunk []byte) (n int, err error)
	// cut returns the end of the last whole record in b, or 0, and where in
	// what follows it a quote opens that is not closed, or -1.
	cut(b []byte) (end, open int)
	// parse adds the records of a chunk, each of which ends in a line end, to
	// a batch that has the chunk as its data. At least padding bytes are
	// allocated behind the chunk. It may change the chunk.
	parse(b *Batch, line int)
}

// splitter cuts the text of a file into chunks of whole records.
type splitter struct {
	*fileReader
	in   io.Reader
	line int // of the first byte of the buffer
	seq  int
	eof  bool
	bad  []BadRow // since the last chunk
}

// run makes a task of each chunk of the file.
func (s *splitter) run(ctx context.Context, format textFormat) error {
	buf, err := s.chunk(ctx)
	if err != nil {
		return err
	}
	began, n := false, 0
	for {
		if n, err = s.fill(buf, n); err != nil {
			return s.wrap(err)
		}
		if !began {
			if rest, ok := bytes.CutPrefix(buf[:n], byteOrderMark); ok {
				n = copy(buf, rest)
			}
		}
		end, open := format.cut(buf[:n])
		if s.eof && open < 0 && n > end {
			buf[n] = '\n' // there is room: the padding
			n++
			end = n
		}
		from := 0
		if !began && (end > 0 || s.eof && n == 0) {
			if from, err = format.begin(buf[:end]); err != nil {
				return s.wrap(err)
			}
			began = true
			s.line += bytes.Count(buf[:from], newline)
		}
		switch {
		case end > 0:
			rest, err := s.chunk(ctx)
			if err != nil {
				return err
			}
			rest = grow(rest, n-end)
			left := copy(rest, buf[end:n])
			if err := s.send(ctx, format, buf, from, end); err != nil {
				return err
			}
			buf, n = rest, left
		case n > 0 && (s.eof || n >= maxRecord):
			if !began {
				return s.wrap(errors.New("first row does not end"))
			}
			if n, err = s.skip(buf, n, open); err != nil {
				return s.wrap(err)
			}
		case n > 0:
			buf = grow(buf, 2*n)
		}
		if s.eof && n == 0 {
			return s.finish(ctx, format, buf)
		}
	}
}

var (
	newline       = []byte{'\n'}
	byteOrderMark = []byte("\uFEFF")
)

// grow returns a buffer with the same content and room for n bytes at least.
func grow(b []byte, n int) []byte {
	if n+padding <= len(b) {
		return b
	}
	c := make([]byte, n+padding)
	copy(c, b)
	return c
}

// fill reads until the buffer is full but for its padding, or the file ends.
func (s *splitter) fill(buf []byte, n int) (int, error) {
	for !s.eof && n < len(buf)-padding {
		m, err := s.in.Read(buf[n : len(buf)-padding])
		n += m
		if errors.Is(err, io.EOF) {
			s.eof = true
		} else if err != nil {
			return n, archiveError(err)
		}
	}
	return n, nil
}

// send makes a task of the records in buf[from:end], which it takes over.
func (s *splitter) send(ctx context.Context, format textFormat, buf []byte, from, end int) error {
	line, seq, bad := s.line, s.seq, s.bad
	s.line += bytes.Count(buf[from:end], newline)
	s.seq++
	s.bad = nil
	return s.add(ctx, func(b *Batch, emit func(*Batch) error) error {
		b.reset(s.fileReader, seq)
		b.data = buf[from:end]
		b.Bad = append(b.Bad, bad...)
		format.parse(b, line)
		err := emit(b)
		if len(buf) > 4*chunkSize {
			buf = nil // one long record must not cost its memory for ever
		}
		s.chunks <- buf
		return err
	})
}

// finish gives the buffer back, with the bad rows at the end of the file.
func (s *splitter) finish(ctx context.Context, format textFormat, buf []byte) error {
	if len(s.bad) > 0 {
		return s.send(ctx, format, buf, 0, 0)
	}
	s.chunks <- buf
	return nil
}

// skip drops the record that buf begins with, which cannot be read: up to the
// end of the line on which its unclosed quote is, else of its own line. It
// returns how many bytes are left.
func (s *splitter) skip(buf []byte, n, open int) (int, error) {
	reason := RowTooLong
	if open >= 0 {
		reason = UnterminatedQuote
	}
	s.bad = append(s.bad, BadRow{Line: s.line, Reason: reason})
	from := max(open, 0)
	for {
		if i := bytes.IndexByte(buf[from:n], '\n'); i >= 0 {
			end := from + i + 1
			s.line += bytes.Count(buf[:end], newline)
			return copy(buf, buf[end:n]), nil
		}
		s.line += bytes.Count(buf[:n], newline)
		if s.eof {
			return 0, nil
		}
		var err error
		if n, err = s.fill(buf, 0); err != nil {
			return 0, err
		}
		from = 0
	}
}
