package bench

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/klauspost/compress/gzip"
	"github.com/parquet-go/parquet-go"

	"throng/bench/population"
	"throng/engine"
	"throng/engine/bitmap/storage"
	"throng/identifier"
	"throng/query"
)

// filesUnion is the account, in population.Union, of which the followers' MD5s are
// written: a tenth of all people.
const filesUnion = 6

// files is what the variants of row 6 share.
type files struct {
	s       *stack
	members *roaring.Bitmap
	rows    query.RowSet // of stack.one
	body    []byte       // of the request for a build
	dir     string
	id      int64 // of the audience built last
	packed  int64 // bytes of its MD5s, compressed
}

// memberRow is a row of a Parquet file of identifiers.
type memberRow struct {
	Person string `parquet:"person"`
	MD5    string `parquet:"md5"`
}

// rowFiles measures row 6.
func (r *run) rowFiles(ctx context.Context) (err error) {
	s := r.stack
	from, _ := s.people.Group(population.Union)
	f := &files{s: s, members: bitmaps(s.people, from+filesUnion)[0], dir: filepath.Join(s.dir, "files")}
	if err := errors.Join(os.RemoveAll(f.dir), os.Mkdir(f.dir, 0o700)); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(f.dir), f.remove(context.WithoutCancel(ctx))) }()
	p := parameters{{"operation": "OR", "twitter_followers": accounts(1, 0, s.people.Values(population.Union)[filesUnion])}}
	one, _, err := s.pair(ctx, p)
	if err != nil {
		return err
	}
	if f.rows, _, err = s.one.generation.Select(ctx, one, 0); err != nil {
		return err
	}
	equal(r, "row 6, members", f.rows.Len(), f.members.GetCardinality())
	if f.body, err = json.Marshal(map[string]any{
		"audience": map[string]string{"name": "bench"}, "parameters": p, "outputs": []string{"md5"},
	}); err != nil {
		return err
	}
	if err := f.check(ctx, r); err != nil {
		return err
	}
	none := func() error { return nil }
	timings, steady, err := measure(ctx, r.cfg.Rounds,
		variant{name: "text, one core", before: none, run: func() error { return f.file("ours.txt", f.text(ctx)) }},
		variant{name: "bufio and hex.EncodeToString", before: none, run: func() error { return f.file("theirs.txt", f.encode) }},
		variant{name: "build over HTTP: keys and MD5s", before: func() error { return f.remove(ctx) }, run: func() error { return f.build(ctx) }},
		variant{name: "gz over HTTP", before: none, run: func() error { return f.get(ctx, "text", io.Discard) }},
		variant{name: "klauspost Huffman-only", before: none, run: func() error { return f.file("theirs.gz", f.compress) }},
		variant{name: "Parquet over HTTP", before: none, run: func() error { return f.get(ctx, "parquet", io.Discard) }},
		variant{name: "parquet-go", before: none, run: func() error { return f.file("theirs.parquet", f.library) }},
	)
	if err != nil {
		return err
	}
	row := Row{ID: "6", Work: fmt.Sprintf("files of %.3g members' MD5s", float64(f.members.GetCardinality())), Unsteady: !steady}
	row.times(timings...)
	for _, x := range []struct {
		name         string
		ours, theirs *timing
		rate, times  float64
	}{
		{"text", timings[0], timings[1], 20, 2.2},
		{"gz", timings[3], timings[4], 15, 2.5},
		{"Parquet", timings[5], timings[6], 5, 1},
	} {
		row.side(x.name+" of MD5s", x.ours, nil, nil, x.theirs)
		rate := float64(f.members.GetCardinality()) / x.ours.median() / 1e6
		row.figure(x.name+", rate", "million rows/s and core", rate)
		row.atLeast(x.name+", rate", "million rows/s and core", rate, x.rate)
		row.faster(x.ours, x.theirs, x.times)
	}
	row.figure("text / gz", "x", float64(md5Line)*float64(f.members.GetCardinality())/float64(f.packed))
	row.note("a build writes two files, sums them up and makes them durable; over HTTP, sending and reading count too")
	r.add(row)
	return nil
}

// file writes a file with what fill writes.
func (f *files) file(name string, fill func(io.Writer) error) error {
	out, err := os.Create(filepath.Join(f.dir, name))
	if err != nil {
		return err
	}
	return errors.Join(fill(out), out.Close())
}

// text has the engine print the members' MD5s.
func (f *files) text(ctx context.Context) func(io.Writer) error {
	return func(w io.Writer) error {
		return f.s.one.generation.Stream(ctx, f.rows, []identifier.Type{identifier.MD5}, func(b *engine.Batch) error {
			_, err := w.Write(b.Lines)
			return err
		})
	}
}

// encode prints them as one would by hand, from the same column.
func (f *files) encode(w io.Writer) error {
	out := bufio.NewWriterSize(w, 1<<20)
	err := f.eachMD5(func(sum []byte) error {
		if _, err := out.WriteString(hex.EncodeToString(sum)); err != nil {
			return err
		}
		return out.WriteByte('\n')
	})
	return errors.Join(err, out.Flush())
}

// eachMD5 passes the sixteen bytes of each member.
func (f *files) eachMD5(yield func(sum []byte) error) error {
	column := f.s.files.IDs[identifier.MD5]
	var block storage.ColumnBlock
	at := -1
	for it := f.members.Iterator(); it.HasNext(); {
		row := it.Next()
		if b := int(row / storage.BlockRows); b != at {
			var err error
			if block, err = column.Block(b); err != nil {
				return err
			}
			at = b
		}
		from, to := block.Range(int(row % storage.BlockRows))
		for v := from; v < to; v++ {
			if err := yield(block.Value(v)); err != nil {
				return err
			}
		}
	}
	return nil
}

// compress compresses the text with the library's fastest setting that makes
// it smaller.
func (f *files) compress(w io.Writer) error {
	in, err := os.Open(filepath.Join(f.dir, "theirs.txt"))
	if err != nil {
		return err
	}
	defer in.Close()
	z, err := gzip.NewWriterLevel(w, gzip.HuffmanOnly)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{z}, struct{ io.Reader }{in}, make([]byte, 128<<10))
	return errors.Join(err, z.Close())
}

// library writes Parquet from the text and the keys.
func (f *files) library(w io.Writer) error {
	in, err := os.Open(filepath.Join(f.dir, "theirs.txt"))
	if err != nil {
		return err
	}
	defer in.Close()
	lines := bufio.NewScanner(bufio.NewReaderSize(in, 1<<20))
	out := parquet.NewGenericWriter[memberRow](w, parquet.MaxRowsPerRowGroup(128<<10))
	batch := make([]memberRow, 0, 4096)
	digits := f.s.people.KeyDigits()
	var key []byte
	for it := f.members.Iterator(); it.HasNext() && lines.Scan(); {
		key = population.AppendKey(key[:0], int(it.Next()), digits)
		batch = append(batch, memberRow{string(key), lines.Text()})
		if len(batch) == cap(batch) || !it.HasNext() {
			if _, err := out.Write(batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	return errors.Join(lines.Err(), out.Close())
}

// build has the server build the audience, and waits for it.
func (f *files) build(ctx context.Context) (err error) {
	if f.id, err = f.s.client.CreateAudience(ctx, f.body); err != nil {
		return err
	}
	a, err := f.s.client.Wait(ctx, f.id, 10*time.Millisecond)
	if err != nil {
		return err
	}
	if a.Status != "done" || a.Size == nil || *a.Size != f.members.GetCardinality() {
		return fmt.Errorf("build of the audience ended as %s", a.Status)
	}
	return nil
}

// remove deletes the audience built last.
func (f *files) remove(ctx context.Context) error {
	if f.id == 0 {
		return nil
	}
	response, err := f.request(ctx, http.MethodDelete, "")
	if err != nil {
		return err
	}
	f.id = 0
	return response.Body.Close()
}

// request asks for something below the audience built last, in gzip where the
// server will.
func (f *files) request(ctx context.Context, method, below string) (*http.Response, error) {
	url := fmt.Sprintf("%s/platform/v0/audiences/%d%s", f.s.url, f.id, below)
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+f.s.token)
	req.Header.Set("Accept-Encoding", "gzip")
	response, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if response.StatusCode/100 != 2 {
		return nil, errors.Join(fmt.Errorf("%s %s: %s", method, below, response.Status), response.Body.Close())
	}
	return response, nil
}

// get downloads the file of MD5s in a format, text compressed on the way.
func (f *files) get(ctx context.Context, format string, to io.Writer) error {
	response, err := f.request(ctx, http.MethodGet, "/outputs/md5?format="+format)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	n, err := io.Copy(to, response.Body)
	if format == "text" {
		f.packed = n
		if response.Header.Get("Content-Encoding") != "gzip" {
			err = errors.Join(err, errors.New("the text came uncompressed"))
		}
	}
	return err
}

// check compares what all formats hold with the text made by hand.
func (f *files) check(ctx context.Context, r *run) error {
	if err := f.build(ctx); err != nil {
		return err
	}
	want, ours := sha256.New(), sha256.New()
	if err := errors.Join(f.encode(want), f.text(ctx)(ours)); err != nil {
		return err
	}
	equal(r, "row 6, text", hex.EncodeToString(ours.Sum(nil)), hex.EncodeToString(want.Sum(nil)))

	var packed bytes.Buffer
	if err := f.get(ctx, "text", &packed); err != nil {
		return err
	}
	z, err := gzip.NewReader(&packed)
	if err != nil {
		return err
	}
	unpacked := sha256.New()
	if _, err := io.Copy(unpacked, z); err != nil {
		return err
	}
	equal(r, "row 6, gz", hex.EncodeToString(unpacked.Sum(nil)), hex.EncodeToString(want.Sum(nil)))
	return f.checkParquet(ctx, r, hex.EncodeToString(want.Sum(nil)))
}

func (f *files) checkParquet(ctx context.Context, r *run, want string) error {
	path := filepath.Join(f.dir, "check.parquet")
	if err := f.file("check.parquet", func(w io.Writer) error { return f.get(ctx, "parquet", w) }); err != nil {
		return err
	}
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	reader := parquet.NewGenericReader[memberRow](in)
	sum := sha256.New()
	rows := make([]memberRow, 4096)
	member := f.members.Iterator()
	digits, strangers := f.s.people.KeyDigits(), 0
	for {
		n, err := reader.Read(rows)
		for _, row := range rows[:n] {
			if !member.HasNext() || row.Person != string(population.AppendKey(nil, int(member.Next()), digits)) {
				strangers++
			}
			io.WriteString(sum, row.MD5+"\n") //nolint:errcheck // a hash takes everything
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	equal(r, "row 6, people of the Parquet file who are no members", strangers, 0)
	equal(r, "row 6, Parquet", hex.EncodeToString(sum.Sum(nil)), want)
	return reader.Close()
}
