package dataset

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"throng/internal/archivetest"
)

type followRecord struct {
	Person  string  `parquet:"person,zstd" json:"person"`
	Extra   int64   `parquet:"extra,lz4" json:"extra"`
	Network string  `parquet:"network,dict,snappy" json:"network"`
	Account *string `parquet:"account,optional,gzip" json:"account"`
}

// follows makes records, some without an account.
func follows(n int) []followRecord {
	records := make([]followRecord, n)
	for i := range records {
		records[i] = followRecord{Person: fmt.Sprintf("p\u00e9 %d", i), Extra: int64(i), Network: []string{"twitter", "twitch", "youtube"}[i%3]}
		if i%7 != 3 {
			account := fmt.Sprintf("a,\"%d\"", i*i)
			records[i].Account = &account
		}
	}
	return records
}

func followsCSV(records []followRecord) []byte {
	var b bytes.Buffer
	b.WriteString("person,extra,network,account\n")
	for _, r := range records {
		account := ""
		if r.Account != nil {
			account = `"` + strings.ReplaceAll(*r.Account, `"`, `""`) + `"`
		}
		fmt.Fprintf(&b, "%s,%d,%s,%s\n", r.Person, r.Extra, r.Network, account)
	}
	return b.Bytes()
}

func followsNDJSON(t testing.TB, records []followRecord) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, r := range records {
		line, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	return b.Bytes()
}

func parquetOf[T any](t testing.TB, rows []T, perGroup int64) []byte {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b, parquet.MaxRowsPerRowGroup(perGroup), parquet.PageBufferSize(4096))
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// withoutPlace cuts file and line off what readAll returns: they differ by
// format.
func withoutPlace(rows []string) []string {
	out := make([]string, len(rows))
	for i, r := range rows {
		_, out[i], _ = strings.Cut(r, " ")
	}
	return out
}

// TestFormats reads the same rows from every format and compression.
func TestFormats(t *testing.T) {
	records := follows(20_000)
	var want []string
	for _, r := range records {
		account := "-"
		if r.Account != nil {
			account = *r.Account
		}
		want = append(want, r.Person+"|"+r.Network+"|"+account)
	}
	csv, ndjson := followsCSV(records), followsNDJSON(t, records)
	for name, data := range map[string][]byte{
		"follows.csv": csv, "follows.csv.gz": archivetest.Gzip(t, csv), "follows.csv.zst": archivetest.Zstd(t, csv),
		"follows.ndjson": ndjson, "follows.ndjson.gz": archivetest.Gzip(t, ndjson), "follows.ndjson.zst": archivetest.Zstd(t, ndjson),
		"follows.parquet": parquetOf(t, records, 6000), "follows/x.parquet": parquetOf(t, records, 1<<20),
		"follows/x.CSV.GZ":  slices.Concat(archivetest.Gzip(t, csv[:100]), archivetest.Gzip(t, csv[100:])),
		"follows/x.csv.zst": slices.Concat(archivetest.Zstd(t, csv[:100]), archivetest.Zstd(t, csv[100:])),
	} {
		for _, workers := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s/workers=%d", name, workers), func(t *testing.T) {
				dir := t.TempDir()
				write(t, dir, name, data)
				tab := table(t, dir, Follows)
				got, err := readAll(t, tab, workers)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, withoutPlace(got)); diff != "" {
					t.Errorf("rows (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff([]string{"extra"}, tab.Ignored()); diff != "" {
					t.Errorf("Ignored (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// TestParquetCompressions reads columns that shrink well, and that do not.
func TestParquetCompressions(t *testing.T) {
	type job struct {
		Person   string `parquet:"person,brotli"`
		Title    string `parquet:"title,gzip"`
		Employer string `parquet:"employer,zstd"`
	}
	var jobs []job
	var want []string
	for i := range 5000 {
		x := fmt.Sprintf("%x", sha256.Sum256([]byte{byte(i), byte(i >> 8)}))
		j := job{x, strings.Repeat("x", i%50+1) + x[:i%7], x[:1+i%30]}
		jobs = append(jobs, j)
		want = append(want, j.Person+"|"+j.Title+"|"+j.Employer)
	}
	dir := t.TempDir()
	write(t, dir, "jobs.parquet", parquetOf(t, jobs, 3000))
	got, err := readAll(t, table(t, dir, Jobs), 2)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, withoutPlace(got)); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

// TestFolder reads a table of many files of several formats in the order of
// their names.
func TestFolder(t *testing.T) {
	records := follows(3000)
	dir := t.TempDir()
	write(t, dir, "follows/1.csv", followsCSV(records[:1000]))
	write(t, dir, "follows/2.parquet", parquetOf(t, records[1000:2000], 300))
	write(t, dir, "follows/3.ndjson.zst", archivetest.Zstd(t, followsNDJSON(t, records[2000:])))
	write(t, dir, "follows/_SUCCESS", nil)
	tab := table(t, dir, Follows)
	got, err := readAll(t, tab, 4)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(records) {
		t.Fatalf("%d rows, want %d", len(got), len(records))
	}
	for i, r := range withoutPlace(got) {
		if !strings.HasPrefix(r, records[i].Person+"|") {
			t.Fatalf("row %d = %s, want %s first", i, r, records[i].Person)
		}
	}
	if want := "1:1 "; !strings.HasPrefix(got[1000], want) {
		t.Errorf("first row of the second file = %s, want prefix %q", got[1000], want)
	}
}

// TestDamaged meets files that cannot be read at all.
func TestDamaged(t *testing.T) {
	records := follows(5000)
	csv := followsCSV(records)
	gz, zst, pq := archivetest.Gzip(t, csv), archivetest.Zstd(t, csv), parquetOf(t, records, 1000)
	type bare struct {
		Person string `parquet:"person"`
	}
	type nested struct {
		Person  string   `parquet:"person"`
		Network []string `parquet:"network"`
		Account string   `parquet:"account"`
	}
	type squeezed struct {
		Person  string `parquet:"person"`
		Network string `parquet:"network"`
		Account string `parquet:"account,lz4"`
	}
	for _, c := range []struct {
		name string
		data []byte
		want string // in the error
	}{
		{"follows.csv.gz", gz[:len(gz)/2], "truncated"},
		{"follows.csv.gz", gz[:5], "truncated"},
		{"follows.csv.gz", nil, "truncated"},
		{"follows.csv.gz", csv, "file is no gzip archive, as its name says"},
		{"follows.csv.gz", slices.Concat(gz, csv), "something that is no gzip archive follows"},
		{"follows.csv.gz", flip(gz, len(gz)-6), "checksum"},
		{"follows.csv.zst", zst[:len(zst)/2], "truncated"},
		{"follows.csv.zst", zst[:5], "truncated"},
		{"follows.csv.zst", nil, "truncated"},
		{"follows.csv.zst", csv, "file is no zstd archive, as its name says"},
		{"follows.ndjson", []byte("\xff\xfe{\x00"), "text is UTF-16"},
		{"follows.csv.zst", flip(zst, len(zst)-2), "CRC"},
		{"follows.ndjson.zst", nil, "truncated"},
		{"follows.ndjson", gz, "text is compressed: want a name that ends in .gz"},
		{"follows.ndjson", zst, "text is compressed: want a name that ends in .zst"},
		{"follows.parquet", pq[:len(pq)/2], ""},
		{"follows.parquet", pq[:len(pq)-3], ""},
		{"follows.parquet", nil, ""},
		{"follows.parquet", csv, ""},
		{"follows.parquet", parquetOf(t, []bare{{"a"}}, 10), "required column network is missing"},
		{"follows.parquet", parquetOf(t, []nested{{"a", nil, "b"}}, 10), "column network is nested"},
		{"follows.parquet", parquetOf(t, []squeezed{{"a", "b", "c"}}, 10), "column account is compressed with LZ4_RAW"},
	} {
		t.Run(fmt.Sprintf("%s of %d bytes", c.name, len(c.data)), func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, c.name, c.data)
			_, err := readAll(t, table(t, dir, Follows), 2)
			if err == nil || !strings.HasPrefix(err.Error(), "read "+c.name+": ") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Read = %v, want an error of %s with %q", err, c.name, c.want)
			}
		})
	}
}

func flip(data []byte, i int) []byte {
	data = slices.Clone(data)
	data[i] ^= 0x10
	return data
}

// TestEmitError ends the read with the error of emit, and with that of the
// context.
func TestEmitError(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "follows/1.csv", followsCSV(follows(50_000)))
	write(t, dir, "follows/2.parquet", parquetOf(t, follows(50_000), 5000))
	tab := table(t, dir, Follows)
	want := errors.New("stop")
	for _, file := range []int{0, 1} {
		err := tab.Read(t.Context(), 3, nil, func(b *Batch) error {
			if b.FileIndex == file {
				return want
			}
			return nil
		})
		if !errors.Is(err, want) {
			t.Errorf("Read = %v, want %v", err, want)
		}
	}
}

// TestProgress tells of every byte.
func TestProgress(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "follows/1.csv.gz", archivetest.Gzip(t, followsCSV(follows(5000))))
	write(t, dir, "follows/2.parquet", parquetOf(t, follows(9000), 5000))
	write(t, dir, "follows/3.parquet", parquetOf(t, follows(0), 5000))
	tab := table(t, dir, Follows)
	var got atomic.Int64 // several goroutines tell
	if err := tab.Read(t.Context(), 1, func(n int64) { got.Add(n) }, func(*Batch) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if got.Load() != tab.Size() {
		t.Errorf("progress = %d bytes, want %d", got.Load(), tab.Size())
	}
}
