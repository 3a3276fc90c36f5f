package export

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/csv"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	kgzip "github.com/klauspost/compress/gzip"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"throng/blob"
	"throng/engine"
	"throng/identifier"
	"throng/internal/huffgz"
)

// BenchmarkFiles makes the files of an audience whose people have one MD5
// each, in every form, from what is in memory to a file, beside the same by
// the libraries' own ways.
func BenchmarkFiles(b *testing.B) {
	const people = 1_000_000
	var keys, sums, steps []byte
	batch := &engine.Batch{Type: identifier.MD5}
	for i := range people {
		keys = fmt.Appendf(keys, "p%08d\n", i*10)
		sums = fmt.Appendf(sums, "%016x%016x\n", rand.Uint64(), rand.Uint64())
		steps = binary.AppendUvarint(steps, uint64(min(i, 1)))
		if len(batch.Members) < pairBatch {
			batch.Ends, batch.Members = append(batch.Ends, uint32(len(sums))), append(batch.Members, uint32(i))
		}
	}
	batch.Lines = sums[:batch.Ends[len(batch.Ends)-1]]
	pairs := func() *Pairs {
		p := &Pairs{typ: identifier.MD5, none: true}
		p.people.r, p.values.r, p.steps.r = bytes.NewReader(keys), bytes.NewReader(sums), bytes.NewReader(steps)
		return p
	}
	for _, way := range []struct {
		name  string
		write func(w *os.File) error
	}{
		{"text/own", func(w *os.File) error {
			f := &outputFile{typ: identifier.MD5, text: blob.NewSink(fileWriter{w}, nil)}
			return addAll(f, batch, people)
		}},
		{"text+sha256/own", func(w *os.File) error {
			return addAll(newOutputFile(identifier.MD5, fileWriter{w}), batch, people)
		}},
		{"gz/huffman-only", func(w *os.File) error {
			z, err := kgzip.NewWriterLevel(w, gzip.HuffmanOnly)
			if err != nil {
				return err
			}
			if _, err := z.Write(sums); err != nil {
				return err
			}
			return z.Close()
		}},
		{"gz/own", func(w *os.File) error {
			z := huffgz.NewWriter(w)
			if _, err := io.CopyBuffer(z, struct{ io.Reader }{bytes.NewReader(sums)}, make([]byte, writeBuffer)); err != nil {
				return err
			}
			return z.Close()
		}},
		{"csv/library", func(w *os.File) error { return csvByLibrary(w, pairs()) }},
		{"csv/own", func(w *os.File) error { return pairs().WriteCSV(w) }},
		{"parquet/library", func(w *os.File) error { return parquetByLibrary(w, pairs(), nil) }},
		{"parquet/library-zstd", func(w *os.File) error {
			return parquetByLibrary(w, pairs(), parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest}))
		}},
		{"parquet/own", func(w *os.File) error { return pairs().WriteParquet(w) }},
	} {
		b.Run(fmt.Sprintf("people=%d/%s", people, way.name), func(b *testing.B) {
			f, err := os.Create(filepath.Join(b.TempDir(), "file"))
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			start := cpuTime(b)
			for b.Loop() {
				if _, err := f.Seek(0, io.SeekStart); err != nil {
					b.Fatal(err)
				}
				if err := f.Truncate(0); err != nil {
					b.Fatal(err)
				}
				if err := way.write(f); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(cpuTime(b)-start)/float64(b.N)/people, "cpu-ns/row")
			size, err := f.Seek(0, io.SeekEnd)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(size)/people, "B/row")
		})
	}
}

// fileWriter is a blob that is made where it is.
type fileWriter struct{ io.Writer }

func (fileWriter) Commit() error { return nil }
func (fileWriter) Abort() error  { return nil }

var _ blob.Writer = fileWriter{}

// addAll streams the batch until so many people came.
func addAll(f *outputFile, batch *engine.Batch, people int) error {
	b := *batch
	b.Members = slices.Clone(b.Members)
	for done := 0; done < people; done += len(b.Members) {
		n := min(len(b.Members), people-done)
		b.Members, b.Ends = b.Members[:n], b.Ends[:n]
		b.Lines = b.Lines[:b.Ends[n-1]]
		for i := range b.Members {
			b.Members[i] = uint32(done + i)
		}
		if err := f.add(&b); err != nil {
			return err
		}
	}
	return commit(map[identifier.Type]*outputFile{f.typ: f})
}

func csvByLibrary(w io.Writer, pairs *Pairs) error {
	c := csv.NewWriter(w)
	record := make([]string, 2)
	for more := true; more; {
		var err error
		if more, err = pairs.next(); err != nil {
			return err
		}
		for i := range pairs.person.ends {
			record[0], record[1] = string(pairs.person.value(i)), string(pairs.value.value(i))
			if err := c.Write(record); err != nil {
				return err
			}
		}
	}
	c.Flush()
	return c.Error()
}

func parquetByLibrary(w io.Writer, pairs *Pairs, o parquet.WriterOption) error {
	type row struct {
		Person string `parquet:"person"`
		MD5    string `parquet:"md5"`
	}
	options := []parquet.WriterOption{parquet.MaxRowsPerRowGroup(parquetRows)}
	if o != nil {
		options = append(options, o)
	}
	out := parquet.NewGenericWriter[row](w, options...)
	var rows []row
	for more := true; more; {
		var err error
		if more, err = pairs.next(); err != nil {
			return err
		}
		rows = rows[:0]
		for i := range pairs.person.ends {
			rows = append(rows, row{string(pairs.person.value(i)), string(pairs.value.value(i))})
		}
		if _, err := out.Write(rows); err != nil {
			return err
		}
	}
	return out.Close()
}

// cpuTime is the processor time of all goroutines so far.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
