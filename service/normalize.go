package service

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"throng"
	"throng/identifier"
	"throng/internal/idsort"
	"throng/internal/lines"
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
	sorters []*idsort.Sorter
}

// each passes them to yield in order, each once, until it returns false. A text
// is valid during the call. It is called once.
func (n *normalForms) each(ctx context.Context, yield func(text []byte) bool) error {
	var lists []*idsort.List
	for _, s := range n.sorters {
		lists = append(lists, s.Lists()...)
	}
	return idsort.Merge(ctx, lists, func(text []byte) bool {
		n.found.distinct++
		return yield(text)
	})
}

// close removes temporary files.
func (n *normalForms) close() {
	for _, s := range n.sorters {
		s.Close()
	}
}

// readLines reads a list of identifiers to its end. The caller closes what it
// gives.
func (s *Service) readLines(ctx context.Context, t identifier.Type, body io.Reader) (_ *normalForms, err error) {
	sum := md5.New()
	raw := io.TeeReader(lines.Limit(body, s.cfg.UploadLimit, errFileTooLarge(s.cfg.UploadLimit)), sum)
	plain, done, err := lines.Unpack(raw, s.cfg.UploadLimit, throng.Errorf(throng.TooLarge, "the unpacked upload is larger than allowed"))
	if err != nil {
		return nil, readError(err)
	}
	defer done()
	n := &normalForms{}
	defer func() {
		if err != nil {
			n.close()
		}
	}()
	var all lines.Found
	if n.sorters, all, err = s.sortLines(ctx, t, plain); err != nil {
		return nil, readError(err)
	}
	// What follows an archive belongs to the bytes as sent.
	if _, err := io.Copy(io.Discard, raw); err != nil {
		return nil, readError(err)
	}
	n.found = found{md5: hex.EncodeToString(sum.Sum(nil)), rows: all.Lines, invalid: all.Refused}
	for _, line := range all.First {
		n.found.invalidLines = append(n.found.invalidLines, throng.InvalidLine(line))
	}
	return n, nil
}

// readError says to the caller what is wrong with the bytes; the trouble of a
// connection or a disk stays as it is.
func readError(err error) error {
	if message := archiveTrouble(err); message != "" {
		return throng.Errorf(throng.Invalid, "the file %s", message)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return throng.Errorf(throng.Invalid, "the file came too slowly, or stopped coming; send it again")
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return throng.Errorf(throng.Invalid, "the body ended before the end of the file")
	}
	return err
}

// archiveTrouble says what is wrong with an archive, behind its name; "" where
// nothing is.
func archiveTrouble(err error) string {
	if f, ok := errors.AsType[*lines.ForeignError](err); ok {
		return "is " + f.Kind + ", which is not read here; send the text itself, or a .gz of it"
	}
	switch {
	case errors.Is(err, lines.ErrArchive):
		return "is a damaged or truncated archive"
	case errors.Is(err, lines.ErrBomb):
		return fmt.Sprintf("unpacks to more than %d times its size, which no list of identifiers does", lines.MaxRatio)
	case errors.Is(err, lines.ErrWindow):
		return fmt.Sprintf("is a zstd archive with a window of more than %d MiB; pack it without --long and --ultra", lines.MaxWindow>>20)
	}
	return ""
}
