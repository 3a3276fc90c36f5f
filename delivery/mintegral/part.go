package mintegral

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"throng/delivery"
	"throng/internal/huffgz"
)

// header is the first row of every file, which the vendor skips. It is no id of
// any type.
const header = "device_id\n"

const copyBuffer = 128 << 10

// part is some of a list's ids that go into one file.
type part struct {
	list   delivery.List
	number int   // among those of the list, from 1
	skip   int64 // rows before it
	rows   int64
}

// parts cuts lists into files; the same lists always into the same ones.
func (d *destination) parts(lists []delivery.List) (all []part) {
	for _, l := range lists {
		for skip, n := int64(0), 1; skip < l.Rows; skip, n = skip+d.cfg.MaxRows, n+1 {
			all = append(all, part{list: l, number: n, skip: skip, rows: min(d.cfg.MaxRows, l.Rows-skip)})
		}
	}
	return all
}

// write writes the file. The same part always makes the same bytes.
func (p part) write(ctx context.Context, w io.Writer) error {
	in, err := p.list.Open(ctx)
	if err != nil {
		return err
	}
	defer in.Close()
	z := huffgz.NewWriter(w)
	if _, err := io.WriteString(z, header); err != nil {
		return err
	}
	cut := &lineCutter{w: z, skip: p.skip, rows: p.rows}
	_, err = io.CopyBuffer(cut, struct{ io.Reader }{in}, make([]byte, copyBuffer))
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	if cut.rows != 0 {
		return fmt.Errorf("list of %s has %d lines too few", p.list.Type, cut.rows)
	}
	return z.Close()
}

var errEnough = errors.New("all lines were written")

// lineCutter passes on some lines of what is written to it.
type lineCutter struct {
	w          io.Writer
	skip, rows int64 // still to be left out, and passed on
}

// Write implements io.Writer.
func (c *lineCutter) Write(p []byte) (int, error) {
	n := len(p)
	for ; c.skip > 0; c.skip-- {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			return n, nil
		}
		p = p[i+1:]
	}
	if lines := int64(bytes.Count(p, []byte{'\n'})); lines < c.rows {
		c.rows -= lines
		_, err := c.w.Write(p)
		return n, err
	}
	end := 0
	for ; c.rows > 0; c.rows-- {
		end += bytes.IndexByte(p[end:], '\n') + 1
	}
	if _, err := c.w.Write(p[:end]); err != nil {
		return n, err
	}
	return n, errEnough
}

// measure gives a file's MD5 and length.
func measure(ctx context.Context, p part) (sum string, size int64, err error) {
	h, n := md5.New(), &byteCounter{}
	if err := p.write(ctx, io.MultiWriter(h, n)); err != nil {
		return "", 0, err
	}
	return hex.EncodeToString(h.Sum(nil)), n.n, nil
}

type byteCounter struct{ n int64 }

func (c *byteCounter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

// sameFiles compares the files that an audience was made of with those sent.
func sameFiles(listed []wireFile, files []sentFile) bool {
	return slices.Equal(listed, wireFiles(files))
}

// sameTypes compares the types that the API lists, "2,8,9", with those of files.
func sameTypes(listed string, files []sentFile) bool {
	want, got := map[int]bool{}, map[int]bool{}
	for _, f := range files {
		want[deviceTypes[f.Type]] = true
	}
	for text := range strings.SplitSeq(listed, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil {
			return false
		}
		got[n] = true
	}
	return slices.Equal(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got)))
}
