package storage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"throng/engine"
	"throng/engine/bitmap/format"
	"throng/identifier"
	"throng/internal/durable"
)

// The names of a generation's files, within its folder.
const (
	ManifestName  = "manifest.json"
	DictName      = "terms.dict"
	AccountsName  = "accounts.dict"
	CatalogName   = "catalog.json"
	PlacesName    = "places.dict"
	KeysName      = "keys.col"
	KeyLookupName = "keys.idx"
	RejectsName   = "rejects.csv"
	ReportName    = "report.json"
)

// ColumnName and LookupName are the files of a type of identifier.
func ColumnName(t identifier.Type) string {
	if t == identifier.SSID {
		return KeysName
	}
	return "id-" + string(t) + ".col"
}

// LookupName is the file of the lookup of a type; "" for the types that have
// none, since they are looked up by their MD5.
func LookupName(t identifier.Type) string {
	if t == identifier.SSID {
		return KeyLookupName
	}
	if t == identifier.EmailRaw {
		return ""
	}
	return "id-" + string(t) + ".idx"
}

// TextName is the file of the token streams of a text field.
func TextName(field string) string { return "text-" + field + ".col" }

// ManifestFormat is the format of the folder of a generation and of the files
// in it.
const ManifestFormat = format.Version

// Manifest says what a generation consists of.
type Manifest struct {
	Format int         `json:"format"`
	Info   engine.Info `json:"info"`
	Rows   uint32      `json:"rows"`
	Parts  int         `json:"parts"`
	// Files are all files but the manifest itself, by name.
	Files []FileSum `json:"files"`
}

// envelope carries the checksum of the manifest's own bytes.
type envelope struct {
	CRC32C   uint32          `json:"crc32c"`
	Manifest json.RawMessage `json:"manifest"`
}

// WriteManifest writes the manifest into the folder, durably.
func WriteManifest(dir string, m *Manifest) error {
	inner, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	b, err := sealed(inner)
	if err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	return durable.WriteFile(filepath.Join(dir, ManifestName), b)
}

// sealed is the file of a manifest, to the byte.
func sealed(inner []byte) ([]byte, error) {
	b, err := json.Marshal(envelope{CRC32C: crc32.Checksum(inner, castagnoli), Manifest: inner})
	return append(b, '\n'), err
}

// ReadManifest reads the manifest of a generation's folder. A damaged one is
// an error that wraps [ErrCorrupt], one that another version wrote
// [engine.ErrFormat]; where there is none it wraps [fs.ErrNotExist].
func ReadManifest(dir string) (*Manifest, error) {
	path := filepath.Join(dir, ManifestName)
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	return ParseManifest(b, path, filepath.Base(dir))
}

// ParseManifest reads the text of the manifest of a generation, with the errors
// of [ReadManifest], in which path names it.
func ParseManifest(b []byte, path, id string) (*Manifest, error) {
	var e envelope
	var m Manifest
	if err := json.Unmarshal(b, &e); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, path, err)
	}
	if crc32.Checksum(e.Manifest, castagnoli) != e.CRC32C {
		return nil, fmt.Errorf("%w: %s: checksum differs", ErrCorrupt, path)
	}
	if err := json.Unmarshal(e.Manifest, &m); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, path, err)
	}
	if m.Format != ManifestFormat {
		return nil, format.OtherVersion(path, m.Format)
	}
	if want, err := sealed(e.Manifest); err != nil || !bytes.Equal(want, b) {
		return nil, fmt.Errorf("%w: %s: checksum differs", ErrCorrupt, path)
	}
	if m.Info.ID != id {
		return nil, fmt.Errorf("%w: %s: is of generation %s", ErrCorrupt, path, m.Info.ID)
	}
	if m.Parts != (int(m.Rows)+PartRows-1)/PartRows {
		return nil, fmt.Errorf("%w: %s: parts do not hold all rows", ErrCorrupt, path)
	}
	names := map[string]bool{}
	for _, f := range m.Files {
		if names[f.Name] {
			return nil, fmt.Errorf("%w: %s: names a file twice", ErrCorrupt, path)
		}
		names[f.Name] = true
		if !filepath.IsLocal(filepath.FromSlash(f.Name)) {
			return nil, fmt.Errorf("%w: %s: a file lies outside the folder", ErrCorrupt, path)
		}
	}
	return &m, nil
}

// Sum reads a plain file of the folder and gives what the manifest says of it.
func Sum(dir, name string) (FileSum, error) {
	b, err := os.ReadFile(join(dir, name))
	if err != nil {
		return FileSum{}, fmt.Errorf("sum file: %w", err)
	}
	return FileSum{Name: name, Size: int64(len(b)), CRC32C: crc32.Checksum(b, castagnoli)}, nil
}

// Catalog is what a generation knows by name, beside its accounts.
type Catalog struct {
	// Affinities are the accepted nodes of the taxonomy but the roots, in
	// order of id.
	Affinities []CatalogAffinity `json:"affinities"`
	// BuiltInPlaces says that the places are the built-in reference's. Else the
	// generation has a file of the dataset's own.
	BuiltInPlaces bool `json:"built_in_places,omitempty"`
	// Baselines is what dataset.json says of them, as written but for white
	// space; nil where it says nothing.
	Baselines json.RawMessage `json:"baselines,omitempty"`
}

// CatalogAffinity is a node of the taxonomy. Its parent is a root or another
// node.
type CatalogAffinity struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Parent string `json:"parent"`
}

// CatalogPlace is a place of the dataset's own reference. Empty ids are not
// known.
type CatalogPlace struct {
	Kind, ID, Name       string
	Region, Country, DMA string
}

// WriteCatalog writes the catalog into the folder, durably.
func WriteCatalog(dir string, c *Catalog) (FileSum, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return FileSum{}, fmt.Errorf("write catalog: %w", err)
	}
	b = append(b, '\n')
	if err := durable.WriteFile(filepath.Join(dir, CatalogName), b); err != nil {
		return FileSum{}, err
	}
	return FileSum{Name: CatalogName, Size: int64(len(b)), CRC32C: crc32.Checksum(b, castagnoli)}, nil
}

// readCatalog reads the catalog and compares it with what the manifest says.
func readCatalog(dir string, want FileSum) (*Catalog, error) {
	path := filepath.Join(dir, CatalogName)
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, missing(path, err)
	}
	if int64(len(b)) != want.Size || crc32.Checksum(b, castagnoli) != want.CRC32C {
		return nil, fmt.Errorf("%w: %s: checksum differs", ErrCorrupt, path)
	}
	var c Catalog
	if err := json.Unmarshal(b, &c); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, path, err)
	}
	return &c, nil
}

// missing makes a file that the manifest names and that is not there a damage.
func missing(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s: is missing", ErrCorrupt, path)
	}
	return fmt.Errorf("open index file: %w", err)
}

func isColumn(name string) bool { return strings.HasSuffix(name, ".col") }
