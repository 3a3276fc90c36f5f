package device

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"throng/identifier"
	"throng/internal/hexkey"
	"throng/internal/idsort"
	"throng/internal/lines"
)

const (
	// maxWorkers bounds the goroutines that judge a list: one that reads keeps
	// no more of them busy.
	maxWorkers = 4
	// rawSample is how many bytes of raw ids each of them keeps of a family,
	// for the doctor.
	rawSample = 1 << 20
)

// Config says what reading lists may cost. The zero value is of use.
type Config struct {
	// Memory is how many bytes of ids are sorted in memory before temporary
	// files take them. Twice that is used where raw ids are kept beside keys.
	// Defaults to 64 MiB.
	Memory int
	// TempDir holds these files. Defaults to os.TempDir().
	TempDir string
	// Limit is the greatest list in bytes, as packed; eight times that
	// unpacked. Defaults to 5 GiB.
	Limit int64
	// TooLarge is the error of a list beyond it. Defaults to ErrTooLarge.
	TooLarge error
	// KeepRefused is how many refused lines of a list are kept. Defaults to
	// none.
	KeepRefused int
}

// ErrTooLarge says that a list has more bytes than allowed.
var ErrTooLarge = errors.New("list of devices is too large")

// ErrArchive says that a packed list is damaged, or ends before its end.
var ErrArchive = lines.ErrArchive

func (c Config) withDefaults() Config {
	if c.Memory == 0 {
		c.Memory = 64 << 20
	}
	if c.TempDir == "" {
		c.TempDir = os.TempDir()
	}
	if c.Limit == 0 {
		c.Limit = 5 << 30
	}
	if c.TooLarge == nil {
		c.TooLarge = ErrTooLarge
	}
	return c
}

// Refused is a line that was not taken, and why. It holds nothing of the line.
type Refused = lines.Refused

// Report is what reading a list found. Every row has one fate: it is refused,
// or it is a device, which may have been listed before.
type Report struct {
	Type identifier.Type // as declared
	// Header tells whether the first line was taken for one, since it is no id
	// of the type. It is no row.
	Header        bool
	Rows, Invalid uint64
	// Lines are the first of the invalid ones, by their number in the file.
	Lines []Refused
	// Reason is the most common one of the invalid lines; "" without any.
	Reason string
	// Findings say what the list looks like, the gravest first.
	Findings []Finding
}

// Collector reads lists of devices one after the other, gathers their devices
// by family, and looks at what is odd about each list. It is for one goroutine,
// and uses others.
type Collector struct {
	cfg     Config
	workers int
	keys    [NumFamilies][]*idsort.Sorter // one for each worker; nil until used
	raws    [NumFamilies][]*idsort.Sorter
	known   [NumFamilies][][]byte // raw ids, one a line, by worker
	rows    [NumFamilies]uint64   // taken
	lists   []*list
}

// list is one that was read.
type list struct {
	report   Report
	family   Family
	hashed   bool
	signs    signs
	compared compared
}

// NewCollector makes a collector, which the caller closes.
func NewCollector(cfg Config) *Collector {
	return &Collector{cfg: cfg.withDefaults(), workers: min(runtime.GOMAXPROCS(0), maxWorkers)}
}

// Close removes temporary files.
func (c *Collector) Close() {
	for f := range c.keys {
		for _, s := range append(c.keys[f], c.raws[f]...) {
			s.Close()
		}
	}
}

// Read reads a list of ids of type t to its end: one column of text, plain,
// gzip or zstd, whatever its line ends, with or without a header. What is wrong
// with lines is no error. ErrArchive, *lines.ForeignError, and Config.TooLarge.
func (c *Collector) Read(ctx context.Context, t identifier.Type, r io.Reader) error {
	f, hashed, ok := FamilyOf(t)
	if !ok {
		return fmt.Errorf("read list: %q names no device", t)
	}
	plain, done, err := lines.Unpack(lines.Limit(r, c.cfg.Limit, c.cfg.TooLarge), c.cfg.Limit, c.cfg.TooLarge)
	if err != nil {
		return err
	}
	defer done()
	judges := c.judges(t, f, hashed)
	tally := lines.NewTally(c.cfg.KeepRefused)
	err = lines.Each(ctx, plain, len(judges), func(worker int, p *lines.Piece) error {
		j := judges[worker]
		if err := j.piece(p); err != nil {
			return err
		}
		tally.Add(p.Number, j.found)
		return nil
	})
	if err != nil {
		return err
	}
	l := &list{family: f, hashed: hashed, signs: newSigns()}
	l.report = Report{Type: t, Rows: tally.Found().Lines, Invalid: tally.Found().Refused, Lines: tally.Found().First}
	for i, j := range judges {
		if j.header {
			l.report.Header = true
			l.report.Rows--
		}
		l.signs.add(&j.signs)
		c.known[f][i] = j.known
		if err := j.rest(); err != nil {
			return err
		}
	}
	l.report.Reason = l.signs.reason()
	c.rows[f] += l.signs.taken
	c.lists = append(c.lists, l)
	return nil
}

// judges makes those of a list, which go on with the sorters of its family.
func (c *Collector) judges(t identifier.Type, f Family, hashed bool) []*judge {
	keepRaw := !hashed && t.AlsoMA()
	if c.keys[f] == nil {
		c.keys[f], c.known[f] = c.sorters(idsort.Sum), make([][]byte, c.workers)
	}
	if keepRaw && c.raws[f] == nil {
		c.raws[f] = c.sorters(idsort.UUID)
	}
	judges := make([]*judge, c.workers)
	for i := range judges {
		judges[i] = &judge{
			typ: t, family: f, hashed: hashed, keep: c.cfg.KeepRefused, keys: c.keys[f][i], known: c.known[f][i], signs: newSigns(),
		}
		if keepRaw {
			judges[i].raws = c.raws[f][i]
		}
	}
	return judges
}

func (c *Collector) sorters(form idsort.Form) []*idsort.Sorter {
	list := make([]*idsort.Sorter, c.workers)
	for i := range list {
		list[i] = idsort.New(form, c.cfg.Memory/c.workers, c.cfg.TempDir)
	}
	return list
}

// Taken is how many lines of all lists were devices of a family.
func (c *Collector) Taken(f Family) uint64 { return c.rows[f] }

// Each passes the keys of a family's devices to yield in order, each once,
// until it returns false. It is called once for each family, after all lists
// were read.
func (c *Collector) Each(ctx context.Context, f Family, yield func(k hexkey.Key) bool) error {
	return idsort.MergeKeys(ctx, listsOf(c.keys[f]), yield)
}

// EachMA passes the raw ids of all lists that are advertising ids (GAID and
// IDFA) to yield in the normal form of identifier.MAID, in order, each once,
// until it returns false. A text is valid during the call. It is called once.
func (c *Collector) EachMA(ctx context.Context, yield func(text []byte) bool) error {
	return idsort.Merge(ctx, append(listsOf(c.raws[IDFA]), listsOf(c.raws[GAID])...), yield)
}

// HasMA tells whether there are any.
func (c *Collector) HasMA() bool {
	for _, l := range c.lists {
		if !l.hashed && l.report.Type.AlsoMA() && l.signs.taken > 0 {
			return true
		}
	}
	return false
}

func listsOf(sorters []*idsort.Sorter) (all []*idsort.List) {
	for _, s := range sorters {
		all = append(all, s.Lists()...)
	}
	return all
}

// Reports are those of the lists, in the order in which they were read, with
// what the doctor finds.
func (c *Collector) Reports() []Report {
	c.compareKnown()
	reports := make([]Report, len(c.lists))
	for i, l := range c.lists {
		reports[i] = l.report
		reports[i].Findings = l.findings()
	}
	return reports
}

// rest ends the work at a list.
func (j *judge) rest() error {
	if err := j.keys.Rest(); err != nil || j.raws == nil {
		return err
	}
	return j.raws.Rest()
}

// know keeps a raw id for the doctor.
func (j *judge) know(normal []byte) {
	if len(j.known)+len(normal) < rawSample {
		j.known = append(append(j.known, normal...), '\n')
	}
}

// compareKnown compares the sums of each family with the raw ids of other
// lists.
func (c *Collector) compareKnown() {
	for f := range c.known {
		if !c.Suspects(Family(f)) {
			continue
		}
		for _, known := range c.known[f] {
			for line := range bytes.Lines(known) {
				c.Compare(Family(f), bytes.TrimSuffix(line, []byte{'\n'}))
			}
		}
		c.known[f] = nil
	}
}
