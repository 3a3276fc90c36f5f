// Package bench measures what the product does on a population made on the
// spot: the engine's time on one core and on all, beside the same work done by
// the library roaring, and beside the machine's own floor, which is streaming
// the bytes that the work touches. Everything goes through the product's own
// doors: the loader writes the index, parameters come as JSON, and what is said
// to be asked over HTTP is. All answers are compared before anything is timed.
package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"throng/bench/population"
	"throng/internal/durable"
	"throng/server"
)

// Config says what to measure.
type Config struct {
	// People is how many the population has. Defaults to 10 million.
	People int
	// Seed chooses the population. Defaults to 1.
	Seed uint64
	// Clustered orders people so that those alike stand together.
	Clustered bool
	// Rounds is how often each piece of work is measured. Defaults to 5.
	Rounds int
	// Only names the rows to measure; nil means all of RowNames.
	Only []string
	// Dir keeps the population and its index for other runs. Where it is
	// empty, both are made in a temporary folder and removed.
	Dir string
	// Version is the program's.
	Version string
	// Child starts this program again so that it runs [Child] on a folder,
	// with other settings in its environment. Where it is nil, row "kernel" is
	// left out.
	Child func(ctx context.Context, dir string) (name string, args []string, err error)
	// Tell, where set, is told what is being done.
	Tell func(string)
}

func usage(setting, format string, args ...any) error {
	return &server.UsageError{Setting: setting, Message: fmt.Sprintf(format, args...)}
}

func (c Config) withDefaults() (Config, error) {
	if c.People == 0 {
		c.People = 10_000_000
	}
	if c.Seed == 0 {
		c.Seed = 1
	}
	if c.Rounds == 0 {
		c.Rounds = 5
	}
	if c.Only == nil {
		c.Only = RowNames()
	}
	if c.Tell == nil {
		c.Tell = func(string) {}
	}
	if c.People < 1000 || int64(c.People) > population.MaxPeople {
		return c, usage("people", "want 1000 to %d", int64(population.MaxPeople))
	}
	if c.Rounds < 1 {
		return c, usage("rounds", "want at least 1")
	}
	for _, name := range c.Only {
		if !slices.Contains(RowNames(), name) {
			return c, usage("only", "there is no row %q; want some of %s", name, strings.Join(RowNames(), ","))
		}
	}
	return c, nil
}

// rowMaker measures one row or a few that belong together.
type rowMaker struct {
	names []string
	make  func(*run, context.Context) error
}

func rowMakers() []rowMaker {
	return []rowMaker{
		{[]string{"load"}, (*run).rowLoad},
		{[]string{"1a", "1b"}, (*run).rowQuery},
		{[]string{"1c"}, (*run).rowExample},
		{[]string{"kernel"}, (*run).rowKernel},
		{[]string{"2"}, (*run).rowUnion},
		{[]string{"3"}, (*run).rowAtLeast},
		{[]string{"4"}, (*run).rowPreview},
		{[]string{"5"}, (*run).rowTerms},
		{[]string{"6"}, (*run).rowFiles},
		{[]string{"7"}, (*run).rowMatch},
		{[]string{"8"}, (*run).rowInvert},
		{[]string{"9"}, (*run).rowOpen},
		{[]string{"10"}, (*run).rowMemory},
		{[]string{"11"}, (*run).rowBytes},
	}
}

// RowNames lists the rows in the order in which they are measured.
func RowNames() []string {
	var names []string
	for _, m := range rowMakers() {
		names = append(names, m.names...)
	}
	return names
}

// run is one run under way.
type run struct {
	cfg    Config
	stack  *stack
	report *Report
	load   *loadFigures // nil where the index was there
	loaded int64        // rows
	sink   sink
}

// Run makes the population and its index where they are not there yet, and
// measures. It returns the report also where answers differ, which the report
// tells, and with an error the rows that were measured before it, nil where
// there was nothing to measure. A setting that cannot be used is a *server.UsageError.
func Run(ctx context.Context, cfg Config) (_ *Report, err error) {
	cfg, err = cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	people, err := population.New(cfg.People, cfg.Seed, cfg.Clustered)
	if err != nil {
		return nil, err
	}
	dir := cfg.Dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "throng-bench-*"); err != nil {
			return nil, fmt.Errorf("bench: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	if err := durable.MkdirAll(dir); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	r := &run{cfg: cfg, stack: &stack{dir: dir, people: people}, report: &Report{
		Version: cfg.Version, Commit: commit(), Go: runtime.Version(), Machine: machine(),
		People: cfg.People, Seed: cfg.Seed, Clustered: cfg.Clustered, Rounds: cfg.Rounds,
		Differ: []string{},
	}}
	defer func() { err = errors.Join(err, r.stack.close()) }()
	if err := r.prepare(ctx); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	for _, m := range rowMakers() {
		if !slices.ContainsFunc(m.names, r.wanted) {
			continue
		}
		cfg.Tell("measuring row " + strings.Join(m.names, ", "))
		if err := m.make(r, ctx); err != nil {
			// What was measured so far may have taken an hour.
			return r.report, fmt.Errorf("bench: row %s: %w", m.names[0], err)
		}
	}
	return r.report, nil
}

func (r *run) wanted(row string) bool { return slices.Contains(r.cfg.Only, row) }

// prepare makes the population, the index and everything opened on it.
func (r *run) prepare(ctx context.Context) error {
	s := r.stack
	if err := s.writePopulation(ctx, runtime.GOMAXPROCS(0), r.cfg.Tell); err != nil {
		return err
	}
	if err := s.openServer(ctx); err != nil {
		return err
	}
	if !s.loaded(ctx) {
		r.cfg.Tell("loading the index")
		if err := r.loadIndex(ctx); err != nil {
			return err
		}
	}
	if err := s.serve(ctx); err != nil {
		return err
	}
	if err := s.sendUpload(ctx); err != nil {
		return err
	}
	return s.openSides(ctx)
}

// add keeps a row that was asked for.
func (r *run) add(row Row) {
	if r.wanted(row.ID) {
		r.report.Rows = append(r.report.Rows, row)
	}
}

// equal notes an answer that is not what it has to be.
func equal[T comparable](r *run, what string, got, want T) {
	if got != want {
		r.report.Differ = append(r.report.Differ, fmt.Sprintf("%s: got %v, want %v", what, got, want))
	}
}

// equalAll is equal for several answers.
func equalAll[T comparable](r *run, what string, got, want []T) {
	if !slices.Equal(got, want) {
		r.report.Differ = append(r.report.Differ, fmt.Sprintf("%s: got %v, want %v", what, got, want))
	}
}

// changed is the error of an answer that is not what it was before.
func changed[T comparable](got, want []T) error {
	if !slices.Equal(got, want) {
		return fmt.Errorf("answered %v, and before %v", got, want)
	}
	return nil
}

// parameters is a definition as the API takes it.
type parameters []map[string]any

func (p parameters) json() json.RawMessage {
	text, err := json.Marshal(p)
	if err != nil {
		return nil // maps of texts and numbers; an empty list is refused by who reads it
	}
	return text
}

// ids makes the lists of objects that criteria hold.
func ids(values ...string) []map[string]string {
	list := make([]map[string]string, len(values))
	for i, v := range values {
		list[i] = map[string]string{"id": v}
	}
	return list
}

// accounts is a criterion of followers.
func accounts(cutoff, lastTweeted int, values ...string) map[string]any {
	c := map[string]any{"accounts": ids(values...), "cutoff": cutoff}
	if lastTweeted > 0 {
		c["last_tweeted"] = lastTweeted
	}
	return c
}
