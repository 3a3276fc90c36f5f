package lines

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

const (
	// maxGrowth bounds what an archive may unpack to, as a multiple of the
	// limit: lists of identifiers shrink to a half or a third.
	maxGrowth = 8
	// MaxRatio is what an archive may unpack to, as a multiple of what was read of
	// it, and freeGrowth what it may beside that. Lists of numbers in their order
	// reach 30, invented addresses 160; what was made to fill a disk reaches 1,000
	// with gzip, and far more with zstd.
	MaxRatio   = 500
	freeGrowth = 16 << 20
	// MaxWindow is the greatest window of a zstd file, which has to be in memory:
	// what its command uses without --ultra and --long.
	MaxWindow = 8 << 20
	// readBuffer is how much is read at once.
	readBuffer = 128 << 10
)

// ErrArchive says that an archive is damaged, or ends before its end.
var ErrArchive = errors.New("damaged archive")

var (
	// ErrBomb says that an archive unpacks to far more than a list does.
	ErrBomb = errors.New("archive unpacks to too much")
	// ErrWindow says that a zstd archive cannot be unpacked in little memory.
	ErrWindow = errors.New("window of archive is too large")
)

// Limit reads r until it turns out to have more than n bytes, which is the
// error given.
func Limit(r io.Reader, n int64, beyond error) io.Reader {
	return &limitReader{r: r, left: n, beyond: beyond}
}

type limitReader struct {
	r      io.Reader
	left   int64
	beyond error
}

func (l *limitReader) Read(p []byte) (int, error) {
	if l.left < 0 {
		return 0, l.beyond
	}
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, l.beyond
	}
	return n, err
}

// Unpack unpacks gzip and zstd, known by how they begin, and reads what is
// neither as it is. An archive may hold eight times the limit, then it ends
// with the error given; before that with ErrBomb where it unpacks to more than
// MaxRatio times what was read of it. One that is damaged is ErrArchive, one that
// needs much memory ErrWindow, and what is no text at all a *ForeignError; an error
// of r stays what it is. The caller calls
// done in the end.
func Unpack(r io.Reader, limit int64, beyond error) (plain io.Reader, done func(), err error) {
	src := &source{r: r}
	in := bufio.NewReaderSize(src, readBuffer)
	magic, err := in.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	done = func() {}
	switch {
	case bytes.HasPrefix(magic, magicGzip):
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, nil, src.mark(noEOF(err))
		}
		plain = z
	case bytes.Equal(magic, magicZstd):
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(MaxWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, nil, src.mark(noEOF(err))
		}
		plain, done = z, z.Close
	default:
		return in, done, foreign(in)
	}
	if limit < 1<<50 {
		limit *= maxGrowth
	}
	text := bufio.NewReader(Limit(&archiveReader{r: plain, src: src}, limit, beyond)) // large reads pass it by
	if err := foreign(text); err != nil {
		done()
		return nil, nil, err
	}
	return text, done, nil
}

// ForeignError says that a file, or what an archive holds, is no text at all.
type ForeignError struct {
	Kind string // as in "a zip archive"
}

// Error implements error.
func (e *ForeignError) Error() string { return "file is " + e.Kind }

var (
	magicGzip = []byte{0x1f, 0x8b}
	magicZstd = []byte{0x28, 0xb5, 0x2f, 0xfd}
)

// foreignKinds are files that are sent for lists of identifiers, by how they
// begin, as no line of such a list does.
var foreignKinds = []struct {
	magic []byte
	kind  string
}{
	{[]byte("PK\x03\x04"), "a zip archive or a workbook"},
	{magicGzip, "an archive within an archive"},
	{magicZstd, "an archive within an archive"},
	{[]byte("\xfd7zXZ\x00"), "an xz archive"},
	{[]byte("7z\xbc\xaf\x27\x1c"), "a 7z archive"},
	{[]byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), "a workbook of an old kind"},
	{[]byte("PAR1\x15"), "a Parquet file"},
	{[]byte("%PDF-"), "a PDF document"},
}

// foreign is a *ForeignError where r begins as no text does. What goes wrong
// with r is left to who reads it.
func foreign(r *bufio.Reader) error {
	head, _ := r.Peek(8)
	for _, k := range foreignKinds {
		if bytes.HasPrefix(head, k.magic) {
			return &ForeignError{k.kind}
		}
	}
	if bzip2, _ := r.Peek(10); bytes.HasPrefix(bzip2, []byte("BZh")) && bytes.HasSuffix(bzip2, []byte("1AY&SY")) {
		return &ForeignError{"a bzip2 archive"}
	}
	return nil
}

// source remembers what went wrong with what is read, so that it is not taken
// for a damage of the archive.
type source struct {
	r    io.Reader
	read int64
	err  error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.read += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// mark tells an error of unpacking.
func (s *source) mark(err error) error {
	switch {
	case err == nil, errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && s.err == nil:
		return err
	case s.err != nil:
		return s.err
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return fmt.Errorf("%w: %w", ErrWindow, err)
	}
	return fmt.Errorf("%w: %w", ErrArchive, err)
}

// noEOF is for what cannot end where it begins.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

type archiveReader struct {
	r    io.Reader
	src  *source
	gave int64
}

func (a *archiveReader) Read(p []byte) (int, error) {
	n, err := a.r.Read(p)
	// The source is read ahead by a buffer at most, which is little beside what
	// is free.
	if a.gave += int64(n); a.gave > freeGrowth+MaxRatio*a.src.read {
		return 0, ErrBomb
	}
	return n, a.src.mark(err)
}
