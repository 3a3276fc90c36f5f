package storage

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"throng/engine/bitmap/forward"
	"throng/identifier"
	"throng/query"
)

// Files is a generation with all its files mapped. It is safe for concurrent
// use until Close.
type Files struct {
	Dir       string
	Manifest  *Manifest
	Parts     []*Part
	Forwards  []*forward.Index // of each part
	Dict      *Dict
	Accounts  *Accounts
	Places    *Places // nil where they are built in
	Keys      *Column
	KeyLookup *Lookup
	// IDs are the columns of the types present, also SSID's, which is Keys.
	IDs map[identifier.Type]*Column
	// Lookups are the lookups of the types present, also SSID's; EmailRaw has
	// none.
	Lookups map[identifier.Type]*Lookup
	// Texts are the token streams of the text fields present.
	Texts map[query.Field]*Column
	// Names are what search boxes look at, of those of NameFields that have a
	// term.
	Names map[query.Field]*Names

	mapped  []Mapped
	catalog func() (*Catalog, error)
	spoilt  atomic.Pointer[error] // damage of a file that is not mapped
}

// Mapped is an open index file.
type Mapped interface {
	// Changed tells of a file that was written to or cut short since it was
	// opened; it wraps [ErrCorrupt].
	Changed() error
	io.Closer
	Size() int64
	// Head is the checksum that the manifest has of the file, too.
	Head() uint32
	// Damage is the first damage found; nil where none was.
	Damage() error
	// Fault makes an error of an address that could not be read; nil where it is
	// not of the file.
	Fault(addr uintptr) error
}

// OpenGeneration maps the files of a generation, which takes time in
// proportion to their number. Their sizes and the checksums in their footers
// are compared with the manifest, so that one cut short is found here and
// never read past its end, and one of another generation is not taken for this
// one's. A missing or damaged file is an error that wraps [ErrCorrupt].
func OpenGeneration(dir string) (_ *Files, err error) {
	m, err := ReadManifest(dir)
	if err != nil {
		return nil, err
	}
	g := &Files{
		Dir: dir, Manifest: m,
		IDs:     map[identifier.Type]*Column{},
		Lookups: map[identifier.Type]*Lookup{},
		Texts:   map[query.Field]*Column{},
		Names:   map[query.Field]*Names{},
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.Close())
		}
	}()
	g.Parts = make([]*Part, m.Parts)
	g.Forwards = make([]*forward.Index, m.Parts)
	for _, f := range m.Files {
		if err := g.open(f); err != nil {
			return nil, err
		}
	}
	return g, g.complete()
}

// add notes an opened file and compares it with what the manifest says.
func add[F Mapped](g *Files, want FileSum, path string, open func(string) (F, error)) (F, error) {
	f, err := open(path)
	if err != nil {
		return f, missing(path, err)
	}
	g.mapped = append(g.mapped, f)
	if f.Size() != want.Size {
		return f, fmt.Errorf("%w: %s: has another size than the manifest says", ErrCorrupt, path)
	}
	if f.Head() != want.Head {
		return f, fmt.Errorf("%w: %s: is not the file that the manifest names", ErrCorrupt, path)
	}
	return f, nil
}

func (g *Files) open(f FileSum) (err error) {
	path := join(g.Dir, f.Name)
	switch {
	case f.Name == DictName:
		g.Dict, err = add(g, f, path, OpenDict)
	case f.Name == AccountsName:
		g.Accounts, err = add(g, f, path, OpenAccounts)
	case f.Name == CatalogName:
		err = g.openCatalog(f, path)
	case f.Name == PlacesName:
		g.Places, err = add(g, f, path, OpenPlaces)
	case strings.HasPrefix(f.Name, "names-"):
		err = g.openNames(f, path)
	case isForward(f.Name):
		err = g.openForward(f, path)
	case strings.HasPrefix(f.Name, "parts/"):
		err = g.openPart(f, path)
	case isColumn(f.Name):
		err = g.openColumn(f, path)
	case strings.HasSuffix(f.Name, ".idx"):
		err = g.openLookup(f, path)
	}
	return err
}

// openCatalog makes sure that there is a catalog. It is read when it is asked
// for.
func (g *Files) openCatalog(f FileSum, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return missing(path, err)
	}
	if info.Size() != f.Size {
		return fmt.Errorf("%w: %s: has another size than the manifest says", ErrCorrupt, path)
	}
	g.catalog = sync.OnceValues(func() (*Catalog, error) {
		c, err := readCatalog(g.Dir, f)
		if err == nil && c.BuiltInPlaces != (g.Places == nil) {
			err = fmt.Errorf("%w: %s: contradicts the manifest about places", ErrCorrupt, path)
		}
		if err != nil {
			g.spoilt.CompareAndSwap(nil, &err)
		}
		return c, err
	})
	return nil
}

// Catalog reads the catalog when it is first asked for. It is shared. An error
// wraps [ErrCorrupt].
func (g *Files) Catalog() (*Catalog, error) { return g.catalog() }

func (g *Files) openNames(f FileSum, path string) error {
	for _, field := range NameFields() {
		if NamesName(field) != f.Name {
			continue
		}
		x, err := add(g, f, path, OpenNames)
		if err != nil {
			return err
		}
		g.Names[field] = x
	}
	return nil
}

func (g *Files) openPart(f FileSum, path string) error {
	for i := range g.Parts {
		if PartName(i) != f.Name {
			continue
		}
		p, err := add(g, f, path, OpenPart)
		if err != nil {
			return err
		}
		if int64(p.FirstRow()) != int64(i)*PartRows || p.Rows() != min(PartRows, int(g.Manifest.Rows)-i*PartRows) {
			return fmt.Errorf("%w: %s: holds other rows", ErrCorrupt, path)
		}
		g.Parts[i] = p
	}
	return nil
}

func isForward(name string) bool { return strings.HasSuffix(name, ".forward") }

func (g *Files) openForward(f FileSum, path string) error {
	for i := range g.Forwards {
		if forward.Name(i) != f.Name {
			continue
		}
		w, err := add(g, f, path, forward.Open)
		if err != nil {
			return err
		}
		if int64(w.FirstRow()) != int64(i)*PartRows || w.Rows() != min(PartRows, int(g.Manifest.Rows)-i*PartRows) {
			return fmt.Errorf("%w: %s: holds other rows", ErrCorrupt, path)
		}
		g.Forwards[i] = w
	}
	return nil
}

func (g *Files) openColumn(f FileSum, path string) error {
	c, err := add(g, f, path, OpenColumn)
	if err != nil {
		return err
	}
	if c.Rows() != g.Manifest.Rows {
		return fmt.Errorf("%w: %s: holds other rows", ErrCorrupt, path)
	}
	for _, t := range identifier.Types() {
		if ColumnName(t) == f.Name {
			g.IDs[t] = c
		}
	}
	for _, t := range query.TextFields() {
		if TextName(string(t)) == f.Name {
			g.Texts[t] = c
		}
	}
	return nil
}

func (g *Files) openLookup(f FileSum, path string) error {
	l, err := add(g, f, path, OpenLookup)
	if err != nil {
		return err
	}
	for _, t := range identifier.Types() {
		if LookupName(t) == f.Name {
			g.Lookups[t] = l
		}
	}
	return nil
}

// complete makes sure that nothing is absent that every generation has.
func (g *Files) complete() error {
	g.Keys, g.KeyLookup = g.IDs[identifier.SSID], g.Lookups[identifier.SSID]
	whole := g.Dict != nil && g.Accounts != nil && g.catalog != nil && g.Keys != nil && g.KeyLookup != nil
	for i, p := range g.Parts {
		whole = whole && p != nil && g.Forwards[i] != nil
	}
	for t := range g.IDs {
		whole = whole && (LookupName(t) == "" || g.Lookups[t] != nil)
	}
	if !whole {
		return fmt.Errorf("%w: %s: does not name every file", ErrCorrupt, join(g.Dir, ManifestName))
	}
	for _, f := range NameFields() {
		_, terms := g.Dict.Range(f)
		if x := g.Names[f]; terms > 0 && (x == nil || x.Len() != int(terms)) {
			return fmt.Errorf("%w: %s: has other terms of %s than the dictionary", ErrCorrupt, join(g.Dir, NamesName(f)), f)
		}
	}
	return nil
}

// Damage is a damage that was found in a file since the generation was opened;
// nil where none was. It wraps [ErrCorrupt] and names the file.
func (g *Files) Damage() error {
	for _, m := range g.mapped {
		if err := m.Damage(); err != nil {
			return err
		}
	}
	if p := g.spoilt.Load(); p != nil {
		return *p
	}
	return nil
}

// Changed is [Mapped.Changed] of all files.
func (g *Files) Changed() error {
	for _, m := range g.mapped {
		if err := m.Changed(); err != nil {
			return err
		}
	}
	return nil
}

// Fault makes an error of an address that could not be read, when it is one of
// a mapped file, whose disk failed or which somebody has cut short; else it
// returns nil. It must not be called after Close.
func (g *Files) Fault(addr uintptr) error {
	for _, m := range g.mapped {
		if err := m.Fault(addr); err != nil {
			return err
		}
	}
	return nil
}

// Close unmaps all files: nothing got from them may be used afterwards.
func (g *Files) Close() error {
	var errs []error
	for _, c := range g.mapped {
		errs = append(errs, c.Close())
	}
	g.mapped = nil
	return errors.Join(errs...)
}

// VerifyAll reads every file of the generation and compares its size and
// checksum with the manifest. progress, where set, is called with the bytes
// read so far, of all. An error wraps [ErrCorrupt] and names the file.
func (g *Files) VerifyAll(progress func(done, total int64)) error {
	var done, total int64
	for _, f := range g.Manifest.Files {
		total += f.Size
	}
	buf := make([]byte, 1<<20)
	for _, f := range g.Manifest.Files {
		if err := verifyFile(g.Dir, f, buf, func(n int) {
			done += int64(n)
			if progress != nil {
				progress(done, total)
			}
		}); err != nil {
			return err
		}
	}
	return nil
}

// OpenVerified reads a file of a generation in dir. Where its bytes are not those
// that the manifest names, the last of them come with an error that wraps
// [ErrCorrupt] in place of io.EOF.
func OpenVerified(dir string, want FileSum) (io.ReadCloser, error) {
	path := join(dir, want.Name)
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, missing(path, err)
	}
	return &verified{from: f, path: path, want: want}, nil
}

// Verify makes a reader of a file of a generation, wherever its bytes come from;
// path names it in errors. It ends like that of [OpenVerified].
func Verify(from io.ReadCloser, path string, want FileSum) io.ReadCloser {
	return &verified{from: from, path: path, want: want}
}

// verified compares what was read with what the manifest says.
type verified struct {
	from io.ReadCloser
	path string
	want FileSum
	sum  uint32
	size int64
}

// Read implements io.Reader.
func (v *verified) Read(p []byte) (int, error) {
	n, err := v.from.Read(p)
	v.sum = crc32.Update(v.sum, castagnoli, p[:n])
	v.size += int64(n)
	if v.size > v.want.Size || errors.Is(err, io.EOF) && (v.size != v.want.Size || v.sum != v.want.CRC32C) {
		return n, fmt.Errorf("%w: %s: checksum differs", ErrCorrupt, v.path)
	}
	return n, err
}

// Close implements io.Closer.
func (v *verified) Close() error { return v.from.Close() }

func verifyFile(dir string, want FileSum, buf []byte, read func(int)) error {
	path := join(dir, want.Name)
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return missing(path, err)
	}
	defer f.Close()
	var sum uint32
	var size int64
	for {
		n, err := f.Read(buf)
		sum = crc32.Update(sum, castagnoli, buf[:n])
		size += int64(n)
		read(n)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrCorrupt, path, err) // the disk failed
		}
	}
	if size != want.Size || sum != want.CRC32C {
		return fmt.Errorf("%w: %s: checksum differs", ErrCorrupt, path)
	}
	return nil
}
