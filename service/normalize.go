package service

import (
	"bufio"
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"throng"
	"throng/identifier"
)

const (
	// maxLine is the longest line that may hold an identifier, in bytes.
	maxLine = 64 << 10
	// maxGrowth bounds what an archive may unpack to, as a multiple of the
	// limit: lists of identifiers shrink to a half or a third.
	maxGrowth = 8
	// maxWindow is the greatest window of a zstd file, what its command uses
	// without --ultra --long.
	maxWindow = 128 << 20
)

// found is what a list of identifiers held.
type found struct {
	md5                     string // of the bytes as sent
	rows, invalid, distinct uint64
	invalidLines            []throng.InvalidLine
}

// normalizeLines reads a list of identifiers and writes their normal forms,
// each once, sorted, one a line.
func (s *Service) normalizeLines(ctx context.Context, t identifier.Type, body io.Reader, w io.Writer) (found, error) {
	sum := md5.New()
	limited := &limitReader{r: body, left: s.cfg.UploadLimit, what: "the upload"}
	raw := io.TeeReader(limited, sum)
	plain, done, err := decompress(bufio.NewReaderSize(raw, writeBuffer), s.cfg.UploadLimit)
	if err != nil {
		return found{}, readError(err)
	}
	defer done()

	sorter := newSorter(s.cfg.SortMemory, s.cfg.TempDir)
	defer sorter.close()
	l := lineReader{typ: t, sorter: sorter}
	if err := l.read(ctx, plain); err != nil {
		return found{}, readError(err)
	}
	// What follows an archive belongs to the bytes as sent.
	if _, err := io.Copy(io.Discard, raw); err != nil {
		return found{}, readError(err)
	}
	out := bufio.NewWriterSize(w, writeBuffer)
	if l.found.distinct, err = sorter.merge(ctx, out); err != nil {
		return found{}, fmt.Errorf("sort upload: %w", err)
	}
	if err := out.Flush(); err != nil {
		return found{}, fmt.Errorf("store upload: %w", err)
	}
	l.found.md5 = hex.EncodeToString(sum.Sum(nil))
	return l.found, nil
}

// errArchive says that an archive is damaged.
var errArchive = errors.New("damaged archive")

// readError says to the caller what is wrong with the bytes; the trouble of a
// connection or a disk stays as it is.
func readError(err error) error {
	if errors.Is(err, errArchive) {
		return throng.Errorf(throng.Invalid, "the file is a damaged or truncated archive")
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return throng.Errorf(throng.Invalid, "the body ended before the end of the file")
	}
	return err
}

// limitReader ends with TooLarge beyond a number of bytes.
type limitReader struct {
	r    io.Reader
	left int64
	what string
}

func (l *limitReader) Read(p []byte) (int, error) {
	if l.left < 0 {
		return 0, throng.Errorf(throng.TooLarge, "%s is larger than allowed", l.what)
	}
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, throng.Errorf(throng.TooLarge, "%s is larger than allowed", l.what)
	}
	return n, err
}

// decompress unpacks gzip and zstd, known by how they begin.
func decompress(r *bufio.Reader, limit int64) (plain io.Reader, done func(), err error) {
	magic, err := r.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	done = func() {}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, nil, archiveError(err)
		}
		plain = z
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, nil, archiveError(err)
		}
		plain, done = z, z.Close
	default:
		return r, done, nil
	}
	unpacked := &limitReader{r: archiveReader{plain}, left: limit, what: "the unpacked upload"}
	if limit < 1<<50 {
		unpacked.left *= maxGrowth
	}
	return unpacked, done, nil
}

// archiveReader marks the errors of unpacking, but for those of what is read.
type archiveReader struct{ r io.Reader }

func (a archiveReader) Read(p []byte) (int, error) {
	n, err := a.r.Read(p)
	return n, archiveError(err)
}

func archiveError(err error) error {
	if err == nil || errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	if throng.CodeOf(err) != throng.Internal {
		return err
	}
	return fmt.Errorf("%w: %w", errArchive, err)
}

// lineReader gives each line its fate.
type lineReader struct {
	typ    identifier.Type
	sorter *sorter
	found  found
	key    []byte
}

func (l *lineReader) read(ctx context.Context, r io.Reader) error {
	b := bufio.NewReaderSize(r, maxLine)
	if bom, err := b.Peek(3); err == nil && bytes.Equal(bom, []byte("\xef\xbb\xbf")) {
		b.Discard(3) //nolint:errcheck // they were peeked
	}
	for {
		line, err := b.ReadSlice('\n')
		tooLong := errors.Is(err, bufio.ErrBufferFull)
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = b.ReadSlice('\n')
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if len(line) == 0 {
			return nil // a last line end starts no line
		}
		if err := l.line(ctx, line, tooLong); err != nil {
			return err
		}
		if err != nil {
			return nil
		}
	}
}

func (l *lineReader) line(ctx context.Context, line []byte, tooLong bool) error {
	l.found.rows++
	if l.found.rows%(1<<16) == 0 && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	reason := identifier.TooLong
	if !tooLong {
		line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte{'\n'}), []byte{'\r'})
		l.key, reason = l.typ.Normalize(l.key[:0], line)
	}
	if reason == "" {
		return l.sorter.add(l.key)
	}
	l.found.invalid++
	if len(l.found.invalidLines) < throng.MaxInvalidLines {
		l.found.invalidLines = append(l.found.invalidLines, throng.InvalidLine{Line: l.found.rows, Reason: string(reason)})
	}
	return nil
}
