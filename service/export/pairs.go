package export

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"throng/blob"
	"throng/engine"
	"throng/identifier"
)

// writeBuffer is how many bytes are read or written at once.
const writeBuffer = 128 << 10

// pairBatch is how many pairs are read at once.
const pairBatch = 4096

// textList is texts on end.
type textList struct {
	data []byte
	ends []uint32
}

func (t *textList) reset() { t.data, t.ends = t.data[:0], t.ends[:0] }

func (t *textList) add(value []byte) {
	t.data = append(t.data, value...)
	t.ends = append(t.ends, uint32(len(t.data)))
}

func (t *textList) value(i int) []byte {
	from := uint32(0)
	if i > 0 {
		from = t.ends[i-1]
	}
	return t.data[from:t.ends[i]]
}

// Pairs joins the ss_id text and a type's text by what lies beside the latter. It
// is for one goroutine, and read once.
type Pairs struct {
	typ           identifier.Type
	person, value textList // of the pairs read last, as many of each

	people, values lineScanner
	steps          byteReader
	same           bool   // the values are the keys of the people
	last           []byte // key of the last person of the pairs before
	none           bool   // nobody was read
	closers        []io.Closer
}

// Open opens the pairs of a type of identifier that were written below a prefix,
// to be ended by Close. size is that of the type's text in bytes: where it has
// another the error wraps [blob.ErrDamaged].
func Open(ctx context.Context, from blob.Store, prefix string, t identifier.Type, size int64) (_ *Pairs, err error) {
	p := &Pairs{typ: t, same: t == identifier.SSID, none: true}
	defer func() {
		if err != nil {
			p.Close()
		}
	}()
	open := func(key string) blob.Reader {
		if err != nil {
			return nil
		}
		var r blob.Reader
		if r, err = from.Open(ctx, key); err != nil {
			return nil
		}
		p.closers = append(p.closers, r)
		return r
	}
	text := open(TextKey(prefix, t))
	if p.people.r = text; !p.same {
		p.values.r = text
		p.people.r = open(TextKey(prefix, identifier.SSID))
		p.steps.r = open(membersKey(prefix, t))
	}
	if err == nil {
		err = whole(text, TextKey(prefix, t), size)
	}
	return p, err
}

// whole makes sure that a text is as long as it was written: else the error wraps
// [blob.ErrDamaged] and names the key.
func whole(text blob.Reader, key string, size int64) error {
	if text.Size() != size {
		return fmt.Errorf("%w: %s has %d bytes, %d were written", blob.ErrDamaged, key, text.Size(), size)
	}
	return nil
}

// Close closes what Open opened.
func (p *Pairs) Close() {
	for _, c := range p.closers {
		c.Close()
	}
}

// next reads the next pairs; more tells whether others may follow.
func (p *Pairs) next() (more bool, err error) {
	if n := len(p.person.ends); n > 0 {
		p.last = append(p.last[:0], p.person.value(n-1)...)
	}
	p.person.reset()
	p.value.reset()
	for len(p.value.ends) < pairBatch {
		if p.same {
			key, ok, err := p.people.next()
			if !ok {
				return false, err
			}
			p.person.add(key)
			p.value.add(key)
			continue
		}
		value, ok, err := p.values.next()
		if !ok {
			return false, errors.Join(err, p.atEnd(err))
		}
		p.value.add(value)
		if err := p.advance(); err != nil {
			return false, err
		}
	}
	return true, nil
}

// advance adds the key of the next value's person.
func (p *Pairs) advance() error {
	step, err := p.steps.uvarint()
	if err != nil {
		return fmt.Errorf("read members of lines: %w", err)
	}
	if p.none { // nobody comes before the first member
		step++
		p.none = false
	}
	if step == 0 {
		last := p.last
		if n := len(p.person.ends); n > 0 {
			last = p.person.value(n - 1)
		}
		p.person.add(last)
		return nil
	}
	for {
		key, ok, err := p.people.next()
		if !ok {
			return errors.Join(fmt.Errorf("members of lines go beyond the members: %w", engine.ErrCorrupt), err)
		}
		if step--; step == 0 {
			p.person.add(key)
			return nil
		}
	}
}

// atEnd makes sure that no more members come than lines came.
func (p *Pairs) atEnd(err error) error {
	if err != nil {
		return nil
	}
	if _, err := p.steps.ReadByte(); !errors.Is(err, io.EOF) {
		return errors.Join(fmt.Errorf("more members of lines than lines: %w", engine.ErrCorrupt), err)
	}
	return nil
}

// lineScanner reads line by line.
type lineScanner struct {
	r    io.Reader
	buf  []byte
	rest []byte // of buf: not given yet
	err  error  // of the last read; io.EOF at the end
}

// next gives a line without its end, valid until the next call; ok is false at
// the end and after an error.
func (l *lineScanner) next() (line []byte, ok bool, err error) {
	if i := bytes.IndexByte(l.rest, '\n'); i >= 0 {
		line, l.rest = l.rest[:i], l.rest[i+1:]
		return line, true, nil
	}
	return l.fill()
}

// fill is next where the end of the line was not read yet.
func (l *lineScanner) fill() (line []byte, ok bool, err error) {
	for seen := len(l.rest); ; {
		if l.err != nil {
			line, l.rest = l.rest, nil
			if !errors.Is(l.err, io.EOF) {
				return nil, false, l.err
			}
			return line, len(line) > 0, nil
		}
		if cap(l.buf) == 0 {
			l.buf = make([]byte, writeBuffer)
		} else if len(l.rest) == cap(l.buf) {
			l.buf = make([]byte, 2*cap(l.buf))
		}
		n := copy(l.buf[:cap(l.buf)], l.rest)
		var k int
		k, l.err = l.r.Read(l.buf[n:cap(l.buf)])
		l.rest = l.buf[:n+k]
		if i := bytes.IndexByte(l.rest[seen:], '\n'); i >= 0 {
			line, l.rest = l.rest[:seen+i], l.rest[seen+i+1:]
			return line, true, nil
		}
		seen = len(l.rest)
	}
}

// byteReader reads byte by byte.
type byteReader struct {
	r    io.Reader
	buf  []byte
	rest []byte
}

// ReadByte implements io.ByteReader.
func (b *byteReader) ReadByte() (byte, error) {
	for len(b.rest) == 0 {
		if b.buf == nil {
			b.buf = make([]byte, writeBuffer)
		}
		n, err := b.r.Read(b.buf)
		if b.rest = b.buf[:n]; n == 0 && err != nil {
			return 0, err
		}
	}
	c := b.rest[0]
	b.rest = b.rest[1:]
	return c, nil
}

// uvarint reads a number, most often one byte.
func (b *byteReader) uvarint() (uint64, error) {
	if len(b.rest) > 0 && b.rest[0] < 0x80 {
		n := b.rest[0]
		b.rest = b.rest[1:]
		return uint64(n), nil
	}
	return binary.ReadUvarint(b)
}
