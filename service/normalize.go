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
	// maxLine is the longest line that may hold an identifier, in bytes with
	// its end.
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

// normalForms are the identifiers of a list in their normal form.
type normalForms struct {
	found   found // distinct is known once each has come to its end
	sorters []*sorter
}

// each passes them to yield in order, each once, until it returns false. A text
// is valid during the call. It is called once.
func (n *normalForms) each(ctx context.Context, yield func(text []byte) bool) error {
	var lists []*sortedList
	for _, s := range n.sorters {
		lists = append(lists, s.lists()...)
	}
	return mergeLists(ctx, lists, func(text []byte) bool {
		n.found.distinct++
		return yield(text)
	})
}

// close removes temporary files.
func (n *normalForms) close() {
	for _, s := range n.sorters {
		s.close()
	}
}

// readLines reads a list of identifiers to its end. The caller closes what it
// gives.
func (s *Service) readLines(ctx context.Context, t identifier.Type, body io.Reader) (_ *normalForms, err error) {
	sum := md5.New()
	limited := &limitReader{r: body, left: s.cfg.UploadLimit, what: "the upload"}
	raw := io.TeeReader(limited, sum)
	plain, done, err := decompress(bufio.NewReaderSize(raw, writeBuffer), s.cfg.UploadLimit)
	if err != nil {
		return nil, readError(err)
	}
	defer done()

	l := newLineReader(t, s.cfg.SortMemory, s.cfg.TempDir)
	n := &normalForms{sorters: l.sorters}
	defer func() {
		if err != nil {
			n.close()
		}
	}()
	if err := l.read(ctx, plain); err != nil {
		return nil, readError(err)
	}
	// What follows an archive belongs to the bytes as sent.
	if _, err := io.Copy(io.Discard, raw); err != nil {
		return nil, readError(err)
	}
	n.found = l.tally.found
	n.found.md5 = hex.EncodeToString(sum.Sum(nil))
	return n, nil
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
