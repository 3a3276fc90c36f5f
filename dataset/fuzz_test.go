package dataset

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// FuzzCSV reads any text: the same rows however it is cut into chunks, and
// those of encoding/csv where that takes the text.
func FuzzCSV(f *testing.F) {
	for _, s := range []string{
		"a,b,c\nd,e,f\n", "\"a\",\"b\"\"\",\"c\nd\"\r\n1,2,3", "a,b\n\n\r\n\"", "a\"b,c,d\n", "\"a\"b,c,d\n", "\xff,b,c\n", ",,\n\"\",,\n", "a,\"b\nc,d\ne,f,g\n",
	} {
		f.Add(s, uint16(7))
	}
	f.Fuzz(func(t *testing.T, text string, at uint16) {
		whole := csvRows(t, []string{text})
		cut := int(at)
		if cut < len(text) {
			// The reader gives the text in two pieces; the rows must not notice.
			if diff := cmp.Diff(whole, csvRows(t, []string{text[:cut], text[cut:]})); diff != "" {
				t.Fatalf("rows of %q, cut at %d (-whole +cut):\n%s", text, cut, diff)
			}
		}
		if strings.Contains(text, "\r") || !utf8.ValidString(text) {
			return // the library drops every CR before an LF
		}
		r := csv.NewReader(strings.NewReader(text))
		r.FieldsPerRecord = 3
		var want []string
		for {
			record, err := r.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return
			}
			want = append(want, strings.Join(record, "|"))
		}
		if !slices.Equal(whole, want) {
			t.Fatalf("rows of %q = %q, want %q", text, whole, want)
		}
	})
}

// csvRows reads rows of follows, given in pieces, without a header.
func csvRows(t *testing.T, pieces []string) []string {
	t.Helper()
	var readers []io.Reader
	for _, p := range append([]string{"person,network,account\n"}, pieces...) {
		readers = append(readers, strings.NewReader(p))
	}
	tab := &Table{Name: Follows, Files: []File{{Path: "follows.csv", Format: CSV}}, ignored: map[string]bool{}}
	r := &reader{table: tab, tasks: make(chan task), chunks: make(chan []byte, 3)}
	for range cap(r.chunks) {
		r.chunks <- make([]byte, 16+len(pieces)+padding) // small, so that there are many
	}
	f := &fileReader{reader: r, file: tab.Files[0], columns: Columns(Follows)}
	type row struct {
		line int
		text string
	}
	var rows []row
	done := make(chan struct{})
	go func() {
		defer close(done)
		for do := range r.tasks {
			if err := do(&Batch{}, func(b *Batch) error {
				for i := range b.Rows() {
					cells := bytes.Join([][]byte{b.Cell(i, 0), b.Cell(i, 1), b.Cell(i, 2)}, []byte("|"))
					rows = append(rows, row{b.Lines[i], string(cells)})
				}
				for _, bad := range b.Bad {
					rows = append(rows, row{bad.Line, "BAD " + bad.Reason})
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
		}
	}()
	s := &splitter{fileReader: f, in: io.MultiReader(readers...), line: 1}
	err := s.run(t.Context(), &csvFile{fileReader: f})
	close(r.tasks)
	<-done
	if err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(rows, func(a, b row) int { return a.line - b.line })
	var texts []string
	for i, r := range rows {
		if i > 0 && rows[i-1].line == r.line {
			t.Errorf("two rows begin on line %d", r.line)
		}
		texts = append(texts, r.text)
	}
	return texts
}

// FuzzPerson decodes any cells: what comes out is within the vocabularies.
func FuzzPerson(f *testing.F) {
	f.Add("p", "17", "1990", "25-34", "male", "asian", "c1", "US-NY", "501", "fr", "2026-11-01T00:00:00Z")
	f.Add("", "x", "19x", "over 54", "", "", "", "", "", "", "2026-11-01")
	f.Add("\x00", "999", "0", "<18", "F", "unknown", "?", "?", "?", "?", "?")
	f.Fuzz(func(t *testing.T, a, b, c, d, e, f, g, h, i, j, k string) {
		cells := []string{a, b, c, d, e, f, g, h, i, j, k}
		for _, s := range cells {
			if !utf8.ValidString(s) || s == bad {
				return
			}
		}
		env := Env{AsOf: asOf, Places: places(t)}
		var p PersonRow
		o := p.Decode(rowOf(People, cells...), 0, env)
		if o.Reject != "" && o.Skip != "" {
			t.Fatalf("Decode(%q) = %+v: both", cells, o)
		}
		if !o.OK() {
			return
		}
		if string(p.Key) != a || len(a) == 0 || len(a) > 64 {
			t.Errorf("key of %q = %q", a, p.Key)
		}
		if !slices.Contains([]string{"", "18-24", "25-34", "35-44", "45-54", "over 54"}, p.Age) {
			t.Errorf("age of %q %q %q = %q", b, c, d, p.Age)
		}
		if !slices.Contains([]string{"", "c1"}, p.City) || !slices.Contains([]string{"", "231", "75"}, p.Country) {
			t.Errorf("places of %q = %q %q", cells, p.City, p.Country)
		}
		var q PersonRow
		if q.Decode(rowOf(People, cells...), 0, env); !slices.Equal(p.Dropped, q.Dropped) {
			t.Errorf("Decode(%q) dropped %v, then %v", cells, p.Dropped, q.Dropped)
		}
	})
}
