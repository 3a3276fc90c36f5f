package export

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"throng/engine"
	"throng/identifier"
)

var errBroken = errors.New("the disk is broken")

// memoryPairs reads pairs out of memory.
func memoryPairs(people, values []string, steps []byte) *Pairs {
	text := func(lines []string) io.Reader {
		var b strings.Builder
		for _, l := range lines {
			b.WriteString(l + "\n")
		}
		return iotest.OneByteReader(strings.NewReader(b.String()))
	}
	p := &Pairs{none: true}
	p.people.r, p.values.r, p.steps.r = text(people), text(values), bytes.NewReader(steps)
	return p
}

func readAll(p *Pairs) (pairs [][2]string, err error) {
	for more := true; more; {
		if more, err = p.next(); err != nil {
			return nil, err
		}
		for i := range p.person.ends {
			pairs = append(pairs, [2]string{string(p.person.value(i)), string(p.value.value(i))})
		}
	}
	return pairs, nil
}

// somePairs makes values of people, of whom some have none and some several.
func somePairs(rng *rand.Rand, n int) (people, values []string, steps []byte, want [][2]string) {
	last := 0
	for i := range n {
		people = append(people, fmt.Sprintf("p%d", i))
		for range max(0, rng.IntN(5)-2) {
			value := strings.Repeat("v,\" é\\.", rng.IntN(3)) + fmt.Sprint(rng.IntN(1000))
			values = append(values, value)
			want = append(want, [2]string{people[i], value})
			steps = binary.AppendUvarint(steps, uint64(i-last))
			last = i
		}
	}
	return people, values, steps, want
}

func TestPairs(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 2, 100, 3 * pairBatch} {
		people, values, steps, want := somePairs(rng, n)
		got, err := readAll(memoryPairs(people, values, steps))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("pairs of %d people: %v (-want +got):\n%.1000s", n, err, diff)
		}
	}
}

func TestPairsDamaged(t *testing.T) {
	people, values, steps, _ := somePairs(rand.New(rand.NewPCG(3, 4)), 100)
	for name, p := range map[string]*Pairs{
		"a step too few":  memoryPairs(people, values, steps[:len(steps)-1]),
		"a step too many": memoryPairs(people, values, append(slices.Clone(steps), 0)),
		"people too few":  memoryPairs(people[:50], values, steps),
	} {
		if pairs, err := readAll(p); err == nil {
			t.Errorf("%s: %d pairs are read, want an error", name, len(pairs))
		} else if name != "a step too few" && !errors.Is(err, engine.ErrCorrupt) {
			t.Errorf("%s: %v, want %v", name, err, engine.ErrCorrupt)
		}
	}
	broken := memoryPairs(people, values, steps)
	broken.values.r = io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(errBroken))
	if _, err := readAll(broken); !errors.Is(err, errBroken) {
		t.Errorf("a text that breaks off: %v, want %v", err, errBroken)
	}
}

func TestLineScanner(t *testing.T) {
	for _, lines := range [][]string{nil, {""}, {"", ""}, {"a"}, {"a", "", "bc"}, {strings.Repeat("x", 3*writeBuffer), "y"}} {
		for _, end := range []string{"\n", ""} {
			text := strings.Join(lines, "\n")
			if len(lines) > 0 {
				text += end
			}
			want := lines
			if end == "" && len(lines) > 0 && lines[len(lines)-1] == "" {
				want = lines[:len(lines)-1] // nothing tells of it
			}
			for name, r := range map[string]io.Reader{
				"whole": strings.NewReader(text), "halves": iotest.HalfReader(strings.NewReader(text)), "end at once": iotest.DataErrReader(strings.NewReader(text)),
			} {
				l := lineScanner{r: r}
				var got []string
				for {
					line, ok, err := l.next()
					if err != nil {
						t.Fatal(err)
					}
					if !ok {
						break
					}
					got = append(got, string(line))
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s: %d lines %.50q, want %d %.50q", name, len(got), got, len(want), want)
				}
			}
		}
	}
}

// FuzzCSV compares a line with what encoding/csv writes.
func FuzzCSV(f *testing.F) {
	for _, s := range []string{"", "a", "a,b", `"`, " a", "\u3000a", "\\.", "é", "\xff", "=1+1", "a b", "\u00a0", "\\.x"} {
		f.Add(s, "v")
		f.Add("p", s)
	}
	f.Fuzz(func(t *testing.T, person, value string) {
		if strings.ContainsAny(person+value, "\r\n") {
			return // no identifier has them
		}
		var want strings.Builder
		w := csv.NewWriter(&want)
		if err := w.Write([]string{person, value}); err != nil {
			t.Fatal(err)
		}
		w.Flush()
		got := append(appendCSV(nil, []byte(person)), ',')
		got = append(appendCSV(got, []byte(value)), '\n')
		if string(got) != want.String() {
			t.Errorf("line of %q and %q = %q, want %q", person, value, got, want.String())
		}
	})
}

// TestParquetGroups reads files of several pages and row groups back.
func TestParquetGroups(t *testing.T) {
	for _, n := range []int{0, 1, pageRows, pageRows + 1, parquetRows, parquetRows + 1, 2*parquetRows + 5} {
		p := &Pairs{typ: identifier.CintID, same: true}
		var want [][2]string
		var text bytes.Buffer
		for i := range n {
			line := fmt.Sprintf("p%d", i*i%7919)
			text.WriteString(line + "\n")
			want = append(want, [2]string{line, line})
		}
		p.people.r = &text
		var file bytes.Buffer
		if err := p.WriteParquet(&file); err != nil {
			t.Fatal(err)
		}
		type row struct {
			Person string `parquet:"person"`
			Value  string `parquet:"cint_id"`
		}
		rows, err := parquet.Read[row](bytes.NewReader(file.Bytes()), int64(file.Len()))
		if err != nil {
			t.Fatal(err)
		}
		var got [][2]string
		for _, r := range rows {
			got = append(got, [2]string{r.Person, r.Value})
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d pairs come back, want %d", len(got), n)
		}
	}
}
