// Package engine says what an index of people must do: load a dataset, count
// and select rows, find rows by identifier, and stream identifiers of rows.
// engine/bitmap is the implementation that ships; enginetest holds the suite
// that every implementation passes, and enginetest/model the naive twin that it
// is held to.
package engine

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"time"

	"throng/identifier"
	"throng/query"
	"throng/reference"
)

// Errors that callers tell apart.
var (
	// ErrNoGeneration says that nothing has been loaded, or that the
	// generation asked for is gone.
	ErrNoGeneration = errors.New("no generation is loaded")
	// ErrCorrupt wraps every finding of a damaged file and names the file.
	ErrCorrupt = errors.New("index is damaged")
	// ErrFormat wraps every finding of a file that another version has
	// written: the dataset must be loaded again.
	ErrFormat = errors.New("index was written by another version")
	// ErrBusy says that another load is under way on the same folder.
	ErrBusy = errors.New("another load is under way")
	// ErrTooManyRejects says that a load was refused by its AllowRejects; the
	// report that comes with it tells why.
	ErrTooManyRejects = errors.New("too many rows were rejected")
	// ErrForeignRows says that a RowSet of another generation was given.
	ErrForeignRows = errors.New("rows belong to another generation")
)

// Engine holds the generations of one dataset. All methods are safe for
// concurrent use, also by several processes on one folder.
type Engine interface {
	// Load builds a generation from the dataset folder and makes it current
	// in one step; when it returns nil error, the generation is durable and
	// every process that has the engine open uses it within 2 s. On an error
	// nothing changed, and nothing that a later load cannot clean up is left.
	// The report is non-nil also with ErrTooManyRejects. Only one load runs
	// at a time: a second one gets ErrBusy.
	Load(ctx context.Context, dir string, opt LoadOptions) (*Report, error)
	// Acquire holds the generation with this id, "" for the current one,
	// until its Release. ErrNoGeneration where there is none.
	Acquire(ctx context.Context, id string) (Generation, error)
	// Generations lists what is on disk, newest first. One that is damaged or
	// of another format is listed by its id, with its Err.
	Generations(ctx context.Context) ([]Info, error)
	// Remove deletes the files of a generation that is not current. Holders
	// of it go on undisturbed. No error where it is gone already.
	Remove(ctx context.Context, id string) error
	// Check reads everything of a generation ("" the current one) and
	// verifies every checksum and invariant. It wraps ErrCorrupt.
	Check(ctx context.Context, id string, progress func(Progress)) error
	// Close releases what the engine holds; generations still acquired stay
	// usable until their Release.
	Close() error
}

// Generation is one immutable index, held open. All methods are safe for
// concurrent use until Release.
type Generation interface {
	Info() Info
	// Catalog is what the generation knows by name. Shared; never nil.
	Catalog() Catalog
	// Count evaluates a definition in one pass, and finds the sizes wanted.
	Count(ctx context.Context, d query.Definition, want Sizes) (Counts, error)
	// Select evaluates a definition, finds the sizes wanted and keeps the rows.
	Select(ctx context.Context, d query.Definition, want Sizes) (query.RowSet, Counts, error)
	// Match finds the rows that own any of the identifiers. Values are
	// normalised already (identifier.Type.Normalize) and distinct; the
	// slice that seq yields is used before the next one is asked for.
	// matched is how many of the values belong to at least one row.
	Match(ctx context.Context, typ identifier.Type, seq iter.Seq[[]byte]) (rows query.RowSet, matched uint64, err error)
	// Stream passes the identifiers of rows to emit in the order of the
	// index, all types in one pass, batches of one type at a time in row
	// order. Within one type no value comes twice (compared in its
	// normalised form): of several rows that own it the first prints it. The
	// batch is valid during the call alone. An error of emit ends the
	// stream and is returned.
	Stream(ctx context.Context, rows query.RowSet, types []identifier.Type, emit func(*Batch) error) error
	RowStore
	Analyst
	// Release ends the hold. Nothing got from the generation but row sets may
	// be used afterwards. A second call is a no-op.
	Release()
}

// RowStore writes row sets to files and reads them back.
type RowStore interface {
	// WriteRows writes a set of this generation in a form that ReadRows of
	// the same generation reads.
	WriteRows(w io.Writer, rows query.RowSet) error
	// ReadRows reads what WriteRows wrote. A damaged or foreign file is an
	// error that wraps ErrCorrupt or ErrForeignRows.
	ReadRows(r io.Reader) (query.RowSet, error)
}

// Batch is identifiers of one type.
type Batch struct {
	Type identifier.Type
	// Lines holds the printed values, each followed by '\n'.
	Lines []byte
	// Ends[i] is the offset in Lines just behind the '\n' of value i.
	Ends []uint32
	// Members[i] is whose value i is: the position of the row among the rows
	// streamed, from 0. It never decreases; equal neighbours are one row's.
	Members []uint32
}

// Sizes is which sizes a count finds beside those of the definition as a
// whole, which it always finds.
type Sizes uint8

// The sizes that may be wanted; Alone|After are both.
const (
	// Alone is the size of each step's node by itself: Counts.Steps. An
	// engine has to evaluate in full what it could otherwise cut short.
	Alone Sizes = 1 << iota
	// After is the size of what each step leaves: Counts.After.
	After
)

// Counts are the exact sizes of a definition.
type Counts struct {
	// Steps is the size of each step's node alone, in the order of the steps;
	// nil unless Alone was wanted.
	Steps []uint64
	// After is how many rows there are after each step, in the order of the
	// steps; nil unless it was wanted. Steps apply as a definition says: first
	// the includes, then the filters, then the exclusions, of each kind in
	// their order.
	After []uint64
	// Include, Filter and Exclude are the sizes after the union of the
	// includes, then after the filters, then after the exclusions. Exclude is
	// the size of the definition.
	Include, Filter, Exclude uint64
}

// Info describes a generation.
type Info struct {
	ID       string    `json:"id"` // sorts by age
	Name     string    `json:"name"`
	AsOf     time.Time `json:"as_of"`
	LoadedAt time.Time `json:"loaded_at"`
	People   uint64    `json:"people"`
	Source   string    `json:"source,omitempty"`
	License  string    `json:"license,omitempty"`
	// PersonalityThreshold is the dataset's.
	PersonalityThreshold float64 `json:"personality_threshold"`
	Bytes                int64   `json:"bytes"` // of its files
	Current              bool    `json:"-"`
	// Err is why the generation cannot be used, or not all of it: the damage
	// found so far, which wraps ErrCorrupt and names the file, or ErrFormat;
	// nil where nothing was found.
	Err error `json:"-"`
}

// Term is one value of a field with the number of people who have it.
type Term struct {
	Value  string
	People uint64
}

// Account is an account of a network.
type Account struct{ ID, ScreenName, Name string }

// Catalog is what a generation knows by name. It is read from the index when it
// is asked for, so every question can find a damage, which is an error that
// wraps ErrCorrupt.
type Catalog interface {
	// Places is the generation's location table. Shared; read only.
	Places() (*reference.Table, error)
	// Affinities is the taxonomy. Shared; read only.
	Affinities() (*Taxonomy, error)
	// Term tells how many people have the value; ok is false where nobody has.
	Term(f query.Field, value string) (t Term, ok bool, err error)
	// NumTerms is how many values of the field anybody has.
	NumTerms(f query.Field) int
	// TermAt is one of them: i is from 0 to NumTerms−1, in the order of the
	// bytes of the values.
	TermAt(f query.Field, i int) (Term, error)
	// Search lists the terms of JobTitle or Employer whose name matches a
	// search box's query (words.NameQuery), most people first, ties by
	// value, from offset on; more tells whether others follow.
	Search(ctx context.Context, f query.Field, q string, offset, limit int) (terms []Term, more bool, err error)
	// Account finds an account by its id; ok also where it is known only by
	// somebody following it.
	Account(network query.Field, id string) (a Account, ok bool, err error)
	// AccountsNamed finds the accounts of a network by screen name, case
	// ignored, a leading @ dropped; in order of id.
	AccountsNamed(network query.Field, screenName string) ([]Account, error)
	// Baselines is what dataset.json says of them, JSON as written but for
	// white space; nil where it says nothing. Shared; read only.
	Baselines() (json.RawMessage, error)
}

// Taxonomy is the tree of affinities.
type Taxonomy struct {
	// Roots are the seven, in the order of reference.AffinityRoots.
	Roots []*Affinity
	byID  map[string]*Affinity
}

// Affinity is a node of the taxonomy.
type Affinity struct {
	ID, Name string
	Parent   *Affinity // nil for a root
	// Children come by people, most first, then by id.
	Children []*Affinity
	// People is how many have the affinity or any below it; 0 for a root.
	People uint64
}

// IsRoot tells whether the node is one of the seven, which nobody can be asked for.
func (a *Affinity) IsRoot() bool { return a.Parent == nil }

// Lookup finds a node by its id.
func (t *Taxonomy) Lookup(id string) (*Affinity, bool) {
	a, ok := t.byID[id]
	return a, ok
}

// NewTaxonomy indexes a tree. It keeps roots.
func NewTaxonomy(roots []*Affinity) *Taxonomy {
	t := &Taxonomy{Roots: roots, byID: map[string]*Affinity{}}
	var walk func(a *Affinity)
	walk = func(a *Affinity) {
		t.byID[a.ID] = a
		for _, c := range a.Children {
			walk(c)
		}
	}
	for _, r := range roots {
		walk(r)
	}
	return t
}

// LoadOptions are the settings of one load. The zero value is usable.
type LoadOptions struct {
	// AllowRejects is the share of a table's rows that may be rejected, 0..1.
	// Zero means the default of 0.05; a negative one means none.
	AllowRejects float64
	// Memory bounds what the load keeps in memory, in bytes; what is beyond
	// goes to files beside the generation. Defaults to 1 GiB.
	Memory int64
	// Workers is how many goroutines work at once. Defaults to GOMAXPROCS.
	Workers int
	// Now is the time of the load. Defaults to time.Now().
	Now time.Time
	// Progress, where set, is called now and then from one goroutine at a time.
	Progress func(Progress)
	// Number, where set, gives the number that the id of the new generation is
	// made of, which must be greater than last, the greatest in the folder. It is
	// called before anything is read, while no other load runs on the folder; its
	// error ends the load.
	Number func(ctx context.Context, last uint64) (uint64, error)
	// Publish, where set, is called when the generation is durable and before it
	// becomes the current one. Where it fails, the generation is removed.
	Publish func(ctx context.Context, id string) error
}

// Progress is how far a long operation is.
type Progress struct {
	Step  string // what is being done, for people
	Done  int64  // bytes or rows of the step
	Total int64  // 0 where unknown
	Rows  int64  // rows read so far
	// StepLeft is how long the step will still take at its own rate so far,
	// Left how long all will: by that, and for steps to come by the rates that
	// the last load of the index measured. 0 where that is not known.
	StepLeft, Left time.Duration
}
