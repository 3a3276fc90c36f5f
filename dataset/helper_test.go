package dataset

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// write makes a file in dir, with its folder.
func write(t testing.TB, dir, name string, data []byte) {
	t.Helper()
	name = filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// folder makes a dataset folder of files by name.
func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		write(t, dir, name, []byte(text))
	}
	return dir
}

// table opens a folder that holds one table, beside people if need be.
func table(t testing.TB, dir, name string) *Table {
	t.Helper()
	if name != People {
		if _, err := os.Stat(filepath.Join(dir, "people.csv")); err != nil {
			write(t, dir, "people.csv", []byte("person\n"))
		}
	}
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if s.Tables[name] == nil {
		t.Fatalf("no table %s", name)
	}
	return s.Tables[name]
}

// readAll reads a table into one text a row, in the order of the dataset: file
// index, line and cells, or the reason for a bad row. An absent cell is "-", a
// malformed one "!".
func readAll(t testing.TB, tab *Table, workers int) ([]string, error) {
	t.Helper()
	type entry struct {
		file, line int
		text       string
	}
	var mu sync.Mutex
	var rows []entry
	seqs := map[int][]int{}
	err := tab.Read(t.Context(), workers, nil, func(b *Batch) error {
		mu.Lock()
		defer mu.Unlock()
		if b.Table != tab.Name || b.File != tab.Files[b.FileIndex].Path {
			t.Errorf("batch of table %s, file %s, index %d", b.Table, b.File, b.FileIndex)
		}
		seqs[b.FileIndex] = append(seqs[b.FileIndex], b.Seq)
		for i, line := range b.Lines {
			var cells []string
			for col := range Columns(tab.Name) {
				switch cell := b.Cell(i, col); {
				case b.Malformed(i, col):
					cells = append(cells, "!")
				case len(cell) == 0:
					cells = append(cells, "-")
				default:
					cells = append(cells, string(cell))
				}
			}
			rows = append(rows, entry{b.FileIndex, line, strings.Join(cells, "|")})
		}
		for _, bad := range b.Bad {
			rows = append(rows, entry{b.FileIndex, bad.Line, "BAD " + bad.Reason})
		}
		return nil
	})
	for file, s := range seqs {
		slices.Sort(s)
		for i, seq := range s {
			if i != seq && err == nil {
				t.Errorf("file %d: batches %v: want them numbered from 0", file, s)
				break
			}
		}
	}
	slices.SortStableFunc(rows, func(a, b entry) int { return cmp.Or(a.file-b.file, a.line-b.line) })
	texts := make([]string, len(rows))
	for i, r := range rows {
		texts[i] = fmt.Sprintf("%d:%d %s", r.file, r.line, r.text)
	}
	return texts, err
}
