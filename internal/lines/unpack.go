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
	// maxWindow is the greatest window of a zstd file, what its command uses
	// without --ultra --long.
	maxWindow = 128 << 20
	// readBuffer is how much is read at once.
	readBuffer = 128 << 10
)

// ErrArchive says that an archive is damaged, or ends before its end.
var ErrArchive = errors.New("damaged archive")

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
// with the error given. One that is damaged is ErrArchive; an error of r stays
// what it is. The caller calls done in the end.
func Unpack(r io.Reader, limit int64, beyond error) (plain io.Reader, done func(), err error) {
	src := &source{r: r}
	in := bufio.NewReaderSize(src, readBuffer)
	magic, err := in.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	done = func() {}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, nil, src.mark(noEOF(err))
		}
		plain = z
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, nil, src.mark(noEOF(err))
		}
		plain, done = z, z.Close
	default:
		return in, done, nil
	}
	if limit < 1<<50 {
		limit *= maxGrowth
	}
	return Limit(archiveReader{plain, src}, limit, beyond), done, nil
}

// source remembers what went wrong with what is read, so that it is not taken
// for a damage of the archive.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
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
	r   io.Reader
	src *source
}

func (a archiveReader) Read(p []byte) (int, error) {
	n, err := a.r.Read(p)
	return n, a.src.mark(err)
}
