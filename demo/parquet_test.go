package demo

import (
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/rle"
)

// TestWriter reads files back by another reader: runs and single values, more
// than a row group of them, and a second file by the same writer.
func TestWriter(t *testing.T) {
	type follow struct {
		Person  string `parquet:"person"`
		Network string `parquet:"network"`
		Account string `parquet:"account"`
	}
	accounts := make([]string, 5000)
	for i := range accounts {
		accounts[i] = strconv.Itoa(i)
	}
	var writer *parquetWriter
	for part, rows := range []int{groupRows + 3*pageRows + 5, 2 * pageRows, 0, 1} {
		dir := t.TempDir()
		r := rand.New(rand.NewPCG(uint64(part), 1))
		var want []follow
		table, err := createTable[followRow](writer, dir, "follows", part)
		if err != nil {
			t.Fatal(err)
		}
		for len(want) < rows {
			person := strconv.Itoa(len(want))
			for range min(1+r.IntN(40), rows-len(want)) {
				f := followRow{person, networkNames[r.IntN(networks)], uint32(r.IntN(len(accounts))), nil}
				f.Account = &accounts[f.Number]
				table.add(f)
				want = append(want, follow{f.Person, f.Network, *f.Account})
			}
		}
		if err := table.close(); err != nil {
			t.Fatal(err)
		}
		writer = table.writer
		got, err := parquet.ReadFile[follow](filepath.Join(dir, "follows", "0000"+strconv.Itoa(part)+".parquet"))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("file %d of %d rows: read %d rows, %v, not those written", part, rows, len(got), err)
		}
	}
}

// TestWriterOptional writes columns in which values are absent, and numbers.
func TestWriterOptional(t *testing.T) {
	type person struct {
		Person      string  `parquet:"person"`
		Age         *int32  `parquet:"age"`
		AgeRange    *string `parquet:"age_range"`
		LastTweeted *string `parquet:"last_tweeted"`
	}
	type score struct {
		Person string  `parquet:"person"`
		Term   string  `parquet:"term"`
		Score  float64 `parquet:"score"`
	}
	maybe := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(3, 4))
	var people []person
	err := writeTable(dir, "people", 0, func(table *table[peopleRow]) {
		for i := range pageRows + 100 {
			row := peopleRow{Person: strconv.Itoa(i), Age: int32(r.IntN(3))}
			row.AgeRange = [...]string{"", "18-24", "over 54"}[min(2, i/7%4)]
			row.LastTweeted = [...]string{"", strconv.Itoa(i)}[r.IntN(2)]
			table.add(row)
			want := person{Person: row.Person, AgeRange: maybe(row.AgeRange), LastTweeted: maybe(row.LastTweeted)}
			if row.Age > 0 {
				want.Age = &row.Age
			}
			people = append(people, want)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	gotPeople, err := parquet.ReadFile[person](filepath.Join(dir, "people", "00000.parquet"))
	if diff := cmp.Diff(people, gotPeople); err != nil || diff != "" {
		t.Errorf("people: %v (-want +got):\n%.2000s", err, diff)
	}
	var scores []score
	err = writeTable(dir, "personality", 0, func(table *table[personalityRow]) {
		for i := range 3000 {
			name := strconv.Itoa(i % 52)
			row := personalityRow{strconv.Itoa(i / 52), i % 52, &name, int16(r.IntN(1001))}
			table.add(row)
			scores = append(scores, score{row.Person, name, float64(row.Score) / 1000})
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	gotScores, err := parquet.ReadFile[score](filepath.Join(dir, "personality", "00000.parquet"))
	if diff := cmp.Diff(scores, gotScores); err != nil || diff != "" {
		t.Errorf("personality: %v (-want +got):\n%.2000s", err, diff)
	}
}

// TestHybrid decodes by another decoder what appendHybrid encodes.
func TestHybrid(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for width := 1; width <= 31; width++ {
		for range 50 {
			var values []uint32
			for range r.IntN(40) {
				x := r.Uint32() & (1<<width - 1)
				for range 1 + r.IntN(2)*r.IntN(30) {
					values = append(values, x)
				}
			}
			codec := rle.Encoding{BitWidth: width}
			signed, err := codec.DecodeInt32(nil, appendHybrid(nil, values, width))
			got := make([]uint32, 0, len(values))
			for _, x := range signed[:min(len(values), len(signed))] { // the last group is filled up
				got = append(got, uint32(x))
			}
			if err != nil || !slices.Equal(got, values) {
				t.Fatalf("appendHybrid(%v, width %d): decoded %v, %v", values, width, got, err)
			}
		}
	}
}
