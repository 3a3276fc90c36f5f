package dataset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"
)

const (
	// chunkSize is how much text is parsed at a time: text and the cells found
	// in it stay in the cache of one core.
	chunkSize = 256 << 10
	// maxRecord is the longest record of a text file. It bounds what a quote
	// that is never closed can take with it.
	maxRecord = 4 << 20
	// maxWindow is the largest zstd window accepted, which is what its
	// command line makes at most unless told otherwise.
	maxWindow = 128 << 20
	// padding is how many bytes behind a chunk may be read.
	padding = 16
)

// errTruncated says that a compressed file ends too early.
var errTruncated = errors.New("file is truncated")

// Read reads all files of the table and passes their rows to emit in batches,
// parsed by as many goroutines as workers says (at least one). emit is called
// by several of them at once, and in no order: Batch.FileIndex and Batch.Seq
// give it. Every number of Seq comes once per file, without a gap; no more than
// a few batches per worker are under way at any time.
//
// progress, which may be nil, is told how many more bytes of files have been
// read, as stored, by several goroutines at once.
//
// The error names the file and the cause: a column is missing, an archive is
// truncated, a Parquet file is damaged; or it is that of emit or ctx. When Read
// returns, none of its goroutines is left and emit is not called again. A table
// can be read again, and by several callers at once.
func (t *Table) Read(ctx context.Context, workers int, progress func(bytes int64), emit func(*Batch) error) error {
	workers = max(workers, 1)
	if progress == nil {
		progress = func(int64) {}
	}
	openers := min(max(workers/2, 1), len(t.Files))
	group, ctx := errgroup.WithContext(ctx)
	// Each opener holds at most two chunks that no worker can give back.
	r := &reader{table: t, progress: progress, emit: emit, tasks: make(chan task), chunks: make(chan []byte, 2*openers+workers)}
	for range cap(r.chunks) {
		r.chunks <- nil // made at first use
	}
	var next atomic.Int64
	var open sync.WaitGroup
	for range openers {
		open.Add(1)
		group.Go(func() error {
			defer open.Done()
			for {
				i := int(next.Add(1)) - 1
				if i >= len(t.Files) {
					return nil
				}
				if err := r.readFile(ctx, i); err != nil {
					return err
				}
			}
		})
	}
	group.Go(func() error {
		open.Wait()
		close(r.tasks)
		return nil
	})
	for range workers {
		group.Go(func() error { return r.work(ctx) })
	}
	return group.Wait()
}

// reader is one call of Read.
type reader struct {
	table    *Table
	progress func(int64)
	emit     func(*Batch) error
	tasks    chan task
	chunks   chan []byte // free buffers; nil for one to be made
}

// task is work on a part of a file for whoever is free. It passes batches to
// emit.
type task func(b *Batch, emit func(*Batch) error) error

// work does tasks until there are none.
func (r *reader) work(ctx context.Context) error {
	b := &Batch{}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case do, ok := <-r.tasks:
			if !ok {
				return nil
			}
			if err := do(b, r.emit); err != nil {
				return err
			}
		}
	}
}

// add hands a task to a worker.
func (r *reader) add(ctx context.Context, do task) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case r.tasks <- do:
		return nil
	}
}

// chunk waits for a free buffer. It is given back by r.chunks <- buffer.
func (r *reader) chunk(ctx context.Context) ([]byte, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case b := <-r.chunks:
		if b == nil {
			b = make([]byte, chunkSize+padding)
		}
		return b, nil
	}
}

// fileReader is one file being read.
type fileReader struct {
	*reader
	file    File
	index   int
	columns []Column
}

// wrap names the file in an error of its content.
func (f *fileReader) wrap(err error) error {
	return fmt.Errorf("read %s: %w", f.file.Path, err)
}

// find returns the position of the column with that name, or -1.
func (f *fileReader) find(name string) int {
	for i, c := range f.columns {
		if strings.EqualFold(c.Name, name) {
			return i
		}
	}
	return -1
}

// mapColumns tells for each column of a file which one of the table it is, or
// -1. Every required one must be there, and none twice.
func (f *fileReader) mapColumns(header []string) ([]int, error) {
	cols := make([]int, len(header))
	seen := make([]bool, len(f.columns))
	for i, name := range header {
		name = strings.TrimSpace(name)
		cols[i] = f.find(name)
		if cols[i] < 0 {
			f.table.ignore(name)
			continue
		}
		if seen[cols[i]] {
			return nil, fmt.Errorf("column %s is there twice", f.columns[cols[i]].Name)
		}
		seen[cols[i]] = true
	}
	for i, c := range f.columns {
		if c.Required && !seen[i] {
			return nil, fmt.Errorf("required column %s is missing", c.Name)
		}
	}
	return cols, nil
}

// readFile makes tasks of file i.
func (r *reader) readFile(ctx context.Context, i int) (err error) {
	f := &fileReader{reader: r, file: r.table.Files[i], index: i, columns: Columns(r.table.Name)}
	file, err := os.Open(filepath.Join(r.table.dir, filepath.FromSlash(f.file.Path)))
	if err != nil {
		return fmt.Errorf("read %s: %w", f.file.Path, errors.Unwrap(err))
	}
	if f.file.Format == Parquet {
		return f.readParquet(ctx, file)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if f.file.Size == 0 && f.file.Compression != Plain {
		return f.wrap(errTruncated) // an empty text compresses to something
	}
	in, closeIn, err := decompress(&countingReader{file, r.progress}, f.file.Compression)
	if err != nil {
		return f.wrap(err)
	}
	defer closeIn()
	s := &splitter{fileReader: f, in: in, line: 1}
	if f.file.Format == NDJSON {
		return s.run(ctx, &ndjsonFile{f})
	}
	return s.run(ctx, &csvFile{fileReader: f})
}

// decompress returns a reader of the text in a file. Damage and an early end
// are errors of its Read.
func decompress(in io.Reader, c Compression) (io.Reader, func(), error) {
	switch c {
	case Gzip:
		z, err := gzip.NewReader(in)
		if errors.Is(err, gzip.ErrHeader) {
			err = errors.New("file is no gzip archive, as its name says")
		}
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, nil, archiveError(err)
		}
		return z, func() {}, nil
	case Zstd:
		z, err := zstd.NewReader(in, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(maxWindow))
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	default:
		return in, func() {}, nil
	}
}

// archiveError says what is wrong with an archive that is being read.
func archiveError(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errTruncated
	case errors.Is(err, gzip.ErrHeader):
		return errors.New("something that is no gzip archive follows the archive")
	case errors.Is(err, zstd.ErrMagicMismatch):
		return errors.New("file is no zstd archive, as its name says, or something else follows it")
	}
	return err
}

// foreign are beginnings of what is put in the place of text.
var foreign = []struct{ magic, what string }{
	{"\xFF\xFE", "text is UTF-16: want UTF-8"},
	{"\xFE\xFF", "text is UTF-16: want UTF-8"},
	{"\x1f\x8b", "text is compressed: want a name that ends in .gz"},
	{"\x28\xb5\x2f\xfd", "text is compressed: want a name that ends in .zst"},
	{"PK\x03\x04", "file is a zip archive or a workbook: want text"},
	{"PAR1", "file is Parquet: want a name that ends in .parquet"},
}

// checkText refuses what begins as text does not.
func checkText(text []byte) error {
	for _, f := range foreign {
		if bytes.HasPrefix(text, []byte(f.magic)) {
			return errors.New(f.what)
		}
	}
	return nil
}

// countingReader tells how much is read.
type countingReader struct {
	in       io.Reader
	progress func(int64)
}

// Read implements io.Reader.
func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.in.Read(p)
	if n > 0 {
		r.progress(int64(n))
	}
	return n, err
}
