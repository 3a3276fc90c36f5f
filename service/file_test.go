package service

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"throng"
	"throng/identifier"
)

// readPairs reads a parquet file of two text columns.
func readPairs(t testing.TB, b []byte, typ identifier.Type) (pairs [][2]string) {
	t.Helper()
	f, err := parquet.OpenFile(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("[[person] [%s]]", typ)
	if got := fmt.Sprint(f.Schema().Columns()); got != want {
		t.Errorf("columns = %s, want %s", got, want)
	}
	r := parquet.NewReader(f)
	defer r.Close()
	rows := make([]parquet.Row, 100)
	for {
		n, err := r.ReadRows(rows)
		for _, row := range rows[:n] {
			pairs = append(pairs, [2]string{row[0].String(), row[1].String()})
		}
		if err != nil {
			return pairs
		}
	}
}

func readCSV(t testing.TB, b []byte, typ identifier.Type) (pairs [][2]string) {
	t.Helper()
	records, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"person", string(typ)}, records[0]); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	for _, r := range records[1:] {
		pairs = append(pairs, [2]string{r[0], r[1]})
	}
	return pairs
}

func TestFormats(t *testing.T) {
	s := start(t)
	tables := people()
	tables["people.csv"] += "\"p,9 \"\"x\"\"\",30,,,c1,\n" // a key that CSV must quote
	tables["identifiers.csv"] += "\"p,9 \"\"x\"\"\",cint_id,\"a,b \"\"c\"\"\"\np2,cint_id,007\np2,cint_id,=1+1\n"
	s.load(tables)
	a := s.build(s.caller, everyone)
	want := map[identifier.Type][][2]string{
		identifier.EmailRaw: {{"p1", "Ann@Example.com"}, {"p2", "bob@example.com"}, {"p3", "cyd@example.com"}, {"p3", "cyd.two@example.com"}},
		identifier.CintID:   {{"p2", "007"}, {"p2", "=1+1"}, {`p,9 "x"`, `a,b "c"`}},
		identifier.MAID:     {{"p6", "6d92078a-8246-4ba4-ae5b-76104861e7dc"}},
	}
	for _, typ := range identifier.Outputs() {
		pairs := readCSV(t, s.output(s.caller, a.ID, typ, CSV), typ)
		if diff := cmp.Diff(pairs, readPairs(t, s.output(s.caller, a.ID, typ, Parquet), typ)); diff != "" {
			t.Errorf("%s: csv and parquet differ (-csv +parquet):\n%s", typ, diff)
		}
		var text strings.Builder
		for _, p := range pairs {
			text.WriteString(p[1] + "\n")
		}
		if diff := cmp.Diff(string(s.output(s.caller, a.ID, typ, Text)), text.String()); diff != "" {
			t.Errorf("%s: text and csv differ (-text +csv):\n%s", typ, diff)
		}
		if w, ok := want[typ]; ok {
			if diff := cmp.Diff(w, pairs); diff != "" {
				t.Errorf("%s: pairs (-want +got):\n%s", typ, diff)
			}
		}
	}
	// The same on every download, also when the generation is long gone.
	first := s.output(s.caller, a.ID, identifier.CintID, Text)
	for range 3 {
		s.load(people())
	}
	if err := s.SweepGenerations(t.Context()); err != nil {
		t.Fatal(err)
	}
	b := s.build(s.caller, everyone)
	if b.Generation == a.Generation {
		t.Fatal("the second build is of the first generation")
	}
	if got := s.output(s.caller, a.ID, identifier.CintID, Text); !bytes.Equal(got, first) {
		t.Errorf("later download = %q, want %q", got, first)
	}
}

// A file of a format first asked for when its generation is gone is the same.
func TestFormatWithoutGeneration(t *testing.T) {
	s := start(t)
	a, twin := s.build(s.caller, everyone), s.build(s.caller, everyone)
	want := s.output(s.caller, twin.ID, identifier.EmailRaw, Parquet)
	for range 3 {
		s.load(map[string]string{"people.csv": "person\nq1\n"})
	}
	if err := s.SweepGenerations(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.output(s.caller, a.ID, identifier.EmailRaw, Parquet); !bytes.Equal(got, want) {
		t.Error("the parquet file differs from the one made while the generation was there")
	}
}

func TestTags(t *testing.T) {
	s := start(t)
	a := s.build(s.caller, everyone)
	seen := map[string]string{}
	for _, typ := range []string{"ss_id", "md5"} {
		for _, f := range []Format{Text, CSV, Parquet} {
			file := must(s.OpenOutput(t.Context(), s.caller, a.ID, typ, f))
			file.Close()
			if was, again := seen[file.Tag]; again {
				t.Errorf("%s has the tag of %s", file.Name, was)
			}
			seen[file.Tag] = file.Name
			if want := fmt.Sprintf("audience-%d-%s.", a.ID, typ); !strings.HasPrefix(file.Name, want) {
				t.Errorf("name = %s, want %s…", file.Name, want)
			}
		}
	}
}

func TestFormatAtOnce(t *testing.T) {
	g := &gate{match: "/csv-md5"}
	s := start(t, gated(g))
	a := s.build(s.caller, everyone)
	g.fails.Store(1)
	if _, err := s.OpenOutput(t.Context(), s.caller, a.ID, "md5", CSV); err == nil {
		t.Error("a file that could not be made was opened")
	}
	var wg sync.WaitGroup
	got := make([][]byte, 6)
	for i := range got {
		wg.Go(func() { got[i] = s.output(s.caller, a.ID, identifier.MD5, CSV) })
	}
	wg.Wait()
	for _, b := range got[1:] {
		if !bytes.Equal(b, got[0]) {
			t.Error("files made at once differ")
		}
	}
}

func TestPacked(t *testing.T) {
	s := start(t)
	a := s.build(s.caller, everyone)
	for _, f := range []Format{Text, CSV} {
		want := s.output(s.caller, a.ID, identifier.MD5, f)
		for range 2 {
			file := must(s.OpenPacked(t.Context(), s.caller, a.ID, "md5", f))
			z, err := gzip.NewReader(file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(z)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: %q unpacked, %v, want %q", f, got, err, want)
			}
			file.Close()
		}
	}
	var refusal *throng.Error
	if _, err := s.OpenPacked(t.Context(), s.caller, a.ID, "fax", Text); !errors.As(err, &refusal) || refusal.Code != throng.NotFound {
		t.Errorf("OpenPacked of an unknown type = %v, want %s", err, throng.NotFound)
	}
}

func TestStatOutput(t *testing.T) {
	s := start(t)
	a := s.build(s.caller, everyone)
	before := s.files(a.ID)
	for _, f := range []Format{Text, CSV, Parquet} {
		stat := must(s.StatOutput(t.Context(), s.caller, a.ID, "md5", f))
		if made := stat.Size >= 0; made != (f == Text) || stat.ModTime.IsZero() == made {
			t.Errorf("%s: size %d of %v before it is asked for", f, stat.Size, stat.ModTime)
		}
	}
	if diff := cmp.Diff(before, s.files(a.ID)); diff != "" {
		t.Errorf("StatOutput makes files (-before +after):\n%s", diff)
	}
	for _, f := range []Format{Text, CSV, Parquet} {
		file := must(s.OpenOutput(t.Context(), s.caller, a.ID, "md5", f))
		file.Close()
		stat := must(s.StatOutput(t.Context(), s.caller, a.ID, "md5", f))
		file.ReadSeekCloser = nil
		if diff := cmp.Diff(file, stat); diff != "" {
			t.Errorf("%s: stat (-opened +stat):\n%s", f, diff)
		}
	}
	if _, err := s.StatOutput(t.Context(), s.caller, a.ID, "md5", "xml"); err == nil {
		t.Error("StatOutput of an unknown format = nil, want an error")
	}
}
