package dataset

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Source is a dataset folder, listed.
type Source struct {
	Dir  string
	Meta Meta
	// Tables holds the tables that are there, by name.
	Tables map[string]*Table
	// Unknown names what lies in the folder and is no table, sorted. Names
	// that begin with a dot or an underscore are left out.
	Unknown []string
}

// Table is one table of a source.
type Table struct {
	Name  string
	Files []File // sorted by path

	dir     string
	mu      sync.Mutex
	ignored map[string]bool // guarded by mu
	groups  atomic.Uint32   // row groups that were read
}

// File is one file of a table.
type File struct {
	Path        string // relative to the folder, with slashes
	Format      Format
	Compression Compression
	Size        int64 // in bytes, as stored
}

// Format is a format of files.
type Format string

// The formats.
const (
	CSV     Format = "csv"
	NDJSON  Format = "ndjson"
	Parquet Format = "parquet"
)

// Compression is how a file is compressed as a whole, by its extension.
type Compression string

// The compressions. Parquet compresses inside.
const (
	Plain Compression = ""
	Gzip  Compression = "gz"
	Zstd  Compression = "zst"
)

// Open lists the tables of a folder and reads its dataset.json, which may be
// missing. It opens no table. The error is a [*MetaError] where dataset.json is
// malformed; any other names what is wrong with the folder: no such folder, no
// people, a table both as a file and as a folder, an extension that is none.
func Open(dir string) (*Source, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("open dataset: %w", err)
	}
	s := &Source{Dir: dir, Meta: Meta{PersonalityThreshold: 0.75}, Tables: map[string]*Table{}}
	for _, e := range entries {
		if err := s.add(e.Name()); err != nil {
			return nil, fmt.Errorf("open dataset: %w", err)
		}
	}
	if s.Tables[People] == nil {
		return nil, fmt.Errorf("open dataset: no table %s in %s: want people.csv, people.parquet, people.ndjson or a folder people", People, dir)
	}
	if err := s.readMeta(); err != nil {
		return nil, err
	}
	return s, nil
}

// hidden reports whether a name is one that tools leave behind for themselves,
// such as _SUCCESS.
func hidden(name string) bool { return name[0] == '.' || name[0] == '_' }

// add takes in one entry of the folder.
func (s *Source) add(name string) error {
	if hidden(name) || name == metaName {
		return nil
	}
	base, _, dotted := strings.Cut(name, ".")
	if Columns(base) == nil {
		s.Unknown = append(s.Unknown, name)
		return nil
	}
	info, err := os.Stat(filepath.Join(s.Dir, name))
	if err != nil {
		return err
	}
	t := s.Tables[base]
	if t == nil {
		t = &Table{Name: base, dir: s.Dir, ignored: map[string]bool{}}
	}
	before := len(t.Files)
	if info.IsDir() {
		if dotted {
			s.Unknown = append(s.Unknown, name)
			return nil
		}
		err = t.addFolder(name)
	} else {
		err = t.addFile(name, info)
	}
	if err != nil {
		return err
	}
	if before > 0 {
		return fmt.Errorf("table %s is there more than once: %s and %s; put several files in a folder %s", base, t.Files[0].Path, name, base)
	}
	if len(t.Files) > 0 {
		s.Tables[base] = t
	}
	return nil
}

func (t *Table) addFolder(name string) error {
	entries, err := os.ReadDir(filepath.Join(t.dir, name))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if hidden(e.Name()) {
			continue
		}
		rel := name + "/" + e.Name()
		info, err := os.Stat(filepath.Join(t.dir, filepath.FromSlash(rel)))
		if err != nil {
			return err
		}
		if info.IsDir() {
			return fmt.Errorf("%s is a folder: want files", rel)
		}
		if err := t.addFile(rel, info); err != nil {
			return err
		}
	}
	return nil
}

func (t *Table) addFile(rel string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file", rel)
	}
	format, compression, ok := parseExtension(rel)
	if !ok {
		return fmt.Errorf("%s: unknown extension: want .parquet, .csv or .ndjson, the last two also with .gz or .zst", rel)
	}
	t.Files = append(t.Files, File{Path: rel, Format: format, Compression: compression, Size: info.Size()})
	return nil
}

// parseExtension tells format and compression by the end of a name.
func parseExtension(name string) (Format, Compression, bool) {
	name = strings.ToLower(name)
	compression := Plain
	for _, c := range []Compression{Gzip, Zstd} {
		if rest, ok := strings.CutSuffix(name, "."+string(c)); ok {
			name, compression = rest, c
			break
		}
	}
	for _, f := range []Format{CSV, NDJSON, Parquet} {
		if strings.HasSuffix(name, "."+string(f)) && (f != Parquet || compression == Plain) {
			return f, compression, true
		}
	}
	return "", "", false
}

// Size is the size of all files of the table in bytes, as stored.
func (t *Table) Size() int64 {
	var n int64
	for _, f := range t.Files {
		n += f.Size
	}
	return n
}

// Ignored returns the names of columns that were found in the files read so
// far and are none of the table's, sorted, at most 1,000 of them. The caller
// owns the slice. It is safe for concurrent use.
func (t *Table) Ignored() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var names []string
	for name := range t.ignored {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// maxIgnored bounds what a file with made-up keys can make us keep.
const maxIgnored = 1000

func (t *Table) ignore(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.ignored) < maxIgnored {
		t.ignored[name] = true
	}
}
