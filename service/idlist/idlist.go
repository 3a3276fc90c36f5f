// Package idlist reads lists of identifiers of one type as callers send them, plain
// or packed, of any length in bounded memory: each line has its fate, what is kept
// are normal forms, sorted and distinct. It matches them on a generation, on their
// way to a file or from there. What is wrong with the bytes is told to the caller,
// as Invalid or TooLarge.
package idlist

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

// Config bounds the reading of lists.
type Config struct {
	Limit   int64  // in bytes, of a list as sent and unpacked
	Memory  int    // bytes that are sorted in memory before temporary files take them
	TempDir string // of these files; "" is os.TempDir()
}

// Found is what a list of identifiers held.
type Found struct {
	MD5                     string // of the bytes as sent, in hex
	Rows, Invalid, Distinct uint64
	InvalidLines            []throng.InvalidLine // the first of them
}

// List is a list that was read. It is for one goroutine.
type List struct {
	Found   // Distinct is known once Each has come to its end
	sorters []*idsort.Sorter
}

// Each passes the normal forms to yield in order, each once, until it returns
// false. A text is valid during the call. It is called once.
func (n *List) Each(ctx context.Context, yield func(text []byte) bool) error {
	var lists []*idsort.List
	for _, s := range n.sorters {
		lists = append(lists, s.Lists()...)
	}
	return idsort.Merge(ctx, lists, func(text []byte) bool {
		n.Distinct++
		return yield(text)
	})
}

// Close removes temporary files.
func (n *List) Close() {
	for _, s := range n.sorters {
		s.Close()
	}
}

// Read reads a list of identifiers to its end. The caller closes what it gives.
func Read(ctx context.Context, cfg Config, t identifier.Type, body io.Reader) (_ *List, err error) {
	sum := md5.New()
	raw := io.TeeReader(lines.Limit(body, cfg.Limit, TooLarge(cfg.Limit)), sum)
	plain, done, err := lines.Unpack(raw, cfg.Limit, throng.Errorf(throng.TooLarge, "the unpacked upload is larger than allowed"))
	if err != nil {
		return nil, ReadError(err)
	}
	defer done()
	n := &List{}
	defer func() {
		if err != nil {
			n.Close()
		}
	}()
	var all lines.Found
	if n.sorters, all, err = sortLines(ctx, cfg, t, plain); err != nil {
		return nil, ReadError(err)
	}
	// What follows an archive belongs to the bytes as sent.
	if _, err := io.Copy(io.Discard, raw); err != nil {
		return nil, ReadError(err)
	}
	n.Found = Found{MD5: hex.EncodeToString(sum.Sum(nil)), Rows: all.Lines, Invalid: all.Refused}
	for _, line := range all.First {
		n.InvalidLines = append(n.InvalidLines, throng.InvalidLine(line))
	}
	return n, nil
}

// TooLarge is the refusal of a file that has more bytes than allowed.
func TooLarge(limit int64) error {
	return throng.Errorf(throng.TooLarge, "the file is larger than the %d bytes allowed", limit)
}

// ReadError says to the caller what is wrong with the bytes; the trouble of a
// connection or a disk stays as it is.
func ReadError(err error) error {
	if message := ArchiveTrouble(err); message != "" {
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

// ArchiveTrouble says what is wrong with an archive, behind its name; "" where
// nothing is.
func ArchiveTrouble(err error) string {
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
