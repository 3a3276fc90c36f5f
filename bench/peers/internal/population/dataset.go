package population

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/parquet-go/parquet-go"
)

// AgeRanges are the ages in the words of a dataset; the last is not known.
var AgeRanges = [Ages]string{"18-24", "25-34", "35-44", "45-54", "over 54", ""}

// Genders are the genders in the words of a dataset.
var Genders = [2]string{"male", "female"}

type (
	personRow struct {
		Person   uint32 `parquet:"person"`
		AgeRange string `parquet:"age_range,optional,dict"`
		Gender   string `parquet:"gender,dict"`
	}
	followRow struct {
		Person  uint32 `parquet:"person"`
		Network string `parquet:"network,dict"`
		Account uint32 `parquet:"account,dict"`
	}
	interestRow struct {
		Person   uint32 `parquet:"person"`
		Affinity uint32 `parquet:"affinity,dict"`
	}
	affinityRow struct {
		Affinity uint32 `parquet:"affinity"`
		Name     string `parquet:"name"`
		Parent   string `parquet:"parent,dict"`
	}
)

// writeRows are handed to the Parquet writer at once.
const writeRows = 1 << 13

type table[T any] struct {
	file   *os.File
	writer *parquet.GenericWriter[T]
	rows   []T
	err    error
}

func create[T any](dir, name string) (*table[T], error) {
	f, err := os.Create(filepath.Join(dir, name+".parquet"))
	if err != nil {
		return nil, fmt.Errorf("make table %s: %w", name, err)
	}
	writer := parquet.NewGenericWriter[T](f, parquet.Compression(&parquet.Snappy), parquet.MaxRowsPerRowGroup(1<<20))
	return &table[T]{file: f, writer: writer, rows: make([]T, 0, writeRows)}, nil
}

func (t *table[T]) add(row T) {
	if t.rows = append(t.rows, row); len(t.rows) == writeRows {
		t.flush()
	}
}

func (t *table[T]) flush() {
	if t.err == nil {
		_, t.err = t.writer.Write(t.rows)
	}
	t.rows = t.rows[:0]
}

func (t *table[T]) close() error {
	t.flush()
	return errors.Join(t.err, t.writer.Close(), t.file.Close())
}

// block is how many people are turned around at once, from members by term to
// terms by person.
const block = 1 << 16

// pair is a person of a block and the position of a term.
type pair struct {
	person uint16
	term   uint16
}

// WriteDataset writes the population as a dataset in a folder that exists,
// ordered by person.
func (p *Population) WriteDataset(dir string) error {
	about := `{"name": "peers", "as_of": "2026-11-01T00:00:00Z"}` + "\n"
	if err := os.WriteFile(filepath.Join(dir, "dataset.json"), []byte(about), 0o600); err != nil {
		return fmt.Errorf("write dataset.json: %w", err)
	}
	if err := writeAffinities(dir); err != nil {
		return err
	}
	people, err := create[personRow](dir, "people")
	if err != nil {
		return err
	}
	follows, err := create[followRow](dir, "follows")
	if err != nil {
		return errors.Join(err, people.close())
	}
	interests, err := create[interestRow](dir, "interests")
	if err != nil {
		return errors.Join(err, people.close(), follows.close())
	}
	cursors := make([]int, len(p.Terms))
	var sorted []pair
	ends := make([]int, block+1)
	for first := 0; first < p.People; first += block {
		sorted = p.turn(first, cursors, sorted, ends)
		from := 0
		for i := range min(block, p.People-first) {
			row := personRow{Person: uint32(first + i)}
			for _, pr := range sorted[from:ends[i]] {
				switch id := p.Terms[pr.term].ID; {
				case id >= FirstAffinity:
					interests.add(interestRow{row.Person, uint32(id)})
				case id >= FirstAge:
					row.AgeRange = AgeRanges[id-FirstAge]
				case id >= Male:
					row.Gender = Genders[id-Male]
				default:
					follows.add(followRow{row.Person, "twitter", uint32(id)})
				}
			}
			people.add(row)
			from = ends[i]
		}
	}
	return errors.Join(people.close(), follows.close(), interests.close())
}

// turn gives the pairs of a block by person and then term; those of person i
// end at ends[i].
func (p *Population) turn(first int, cursors []int, sorted []pair, ends []int) []pair {
	clear(ends)
	total := 0
	last := make([]int, len(cursors))
	for t, term := range p.Terms {
		c := cursors[t]
		for c < len(term.Members) && int(term.Members[c]) < first+block {
			ends[int(term.Members[c])-first+1]++
			c++
		}
		last[t] = c
		total += c - cursors[t]
	}
	for i := range block {
		ends[i+1] += ends[i]
	}
	if cap(sorted) < total {
		sorted = make([]pair, total+total/8)
	}
	sorted = sorted[:total]
	for t, term := range p.Terms {
		for _, m := range term.Members[cursors[t]:last[t]] {
			i := int(m) - first
			sorted[ends[i]] = pair{uint16(i), uint16(t)}
			ends[i]++
		}
		cursors[t] = last[t]
	}
	return sorted
}

func writeAffinities(dir string) error {
	t, err := create[affinityRow](dir, "affinities")
	if err != nil {
		return err
	}
	for i := range Affinity {
		id := FirstAffinity + i
		t.add(affinityRow{uint32(id), "Affinity " + strconv.Itoa(id), ".interests."})
	}
	return t.close()
}
