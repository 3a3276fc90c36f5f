// Command peers asks throng and other engines the same two questions of the
// same people, checks that all answers are equal, and only then measures what
// an answer costs each of them. See docs/benchmarks.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"throng/bench/peers/internal/peer"
	"throng/bench/peers/internal/population"
)

// engines are those that there are, the product first; each is a folder here.
var engines = []string{"throng", "roaring", "clickhouse", "duckdb", "postgres"}

type settings struct {
	people, rounds int
	dir, bin, json string
	skip           string
	facts          bool
}

func main() {
	var s settings
	flag.IntVar(&s.people, "people", 20_000_000, "how many people")
	flag.IntVar(&s.rounds, "rounds", 7, "rounds of every question; 3 where an answer takes more than 10 s")
	flag.StringVar(&s.dir, "dir", os.TempDir(), "where to make a folder, removed at the end")
	flag.StringVar(&s.bin, "bin", "bin/peers", "where the programs of the engines are")
	flag.StringVar(&s.json, "json", "", "write the figures to this file, too")
	flag.StringVar(&s.skip, "skip", "", "engines to leave out, separated by commas")
	flag.BoolVar(&s.facts, "facts", false, "ask PostgreSQL's row per person and term, too: minutes more")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

// errDiffer says that an engine gave another answer than the plain loop.
var errDiffer = errors.New("answers differ; nothing was measured")

func run(ctx context.Context, s settings) (err error) {
	work, err := os.MkdirTemp(s.dir, "throng-peers-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	want, pairs, err := prepare(s.people, work)
	if err != nil {
		return err
	}
	report := &report{
		Host: host(), People: s.people, Pairs: pairs, Terms: want.terms(), Rounds: s.rounds,
		Size: want.size, TermsSum: want.sum(), TermsMax: slices.Max(want.perTerm), Commit: os.Getenv("THRONG_COMMIT"),
	}
	var loaded []*process
	defer func() {
		for _, p := range loaded {
			err = errors.Join(err, p.close())
		}
	}()
	for _, name := range engines {
		if reason := skipped(name, s.skip); reason != "" {
			report.Skipped = append(report.Skipped, skip{name, reason})
			continue
		}
		fmt.Fprintf(os.Stderr, "loading %s\n", name)
		p, err := start(ctx, s, work, name)
		if errors.Is(err, peer.ErrAbsent) {
			report.Skipped = append(report.Skipped, skip{name, err.Error()})
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		loaded = append(loaded, p)
		report.Loads = append(report.Loads, p.load)
	}
	contests := contestants(loaded)
	if err := check(contests, want); err != nil {
		return err
	}
	if err := measure(contests, s.rounds); err != nil {
		return err
	}
	report.add(contests)
	return report.write(os.Stdout, s.json)
}

// skipped tells why an engine is left out, "" where it is not. What installs
// an engine says by PEERS_WITHOUT_NAME why that could not be done.
func skipped(name, skip string) string {
	if slices.Contains(strings.Split(skip, ","), name) {
		return "left out by --skip"
	}
	return os.Getenv("PEERS_WITHOUT_" + strings.ToUpper(name))
}

// expected are the answers of the plain loop.
type expected struct {
	size    uint64
	perTerm []uint64
	named   int
}

func (e *expected) terms() int { return e.named }

func (e *expected) sum() (n uint64) {
	for _, c := range e.perTerm {
		n += c
	}
	return n
}

// prepare makes the people, their dataset and the answers.
func prepare(people int, work string) (*expected, int, error) {
	fmt.Fprintf(os.Stderr, "making %d people\n", people)
	p := population.New(people)
	audience := p.Audience()
	want := &expected{size: population.Size(audience), perTerm: p.PerAffinity(audience), named: len(p.Terms)}
	dir := filepath.Join(work, "dataset")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, 0, err
	}
	if err := p.WriteDataset(dir); err != nil {
		return nil, 0, err
	}
	pairs := p.Pairs
	p.Terms = nil
	debug.FreeOSMemory()
	return want, pairs, nil
}
