package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"throng/internal/durable"
	"throng/server"
)

type loadCmd struct {
	Source       string  `arg:"" help:"The dataset folder."`
	Report       string  `help:"Write the report as JSON, too." placeholder:"FILE"`
	AllowRejects float64 `help:"Share of a table's rows that may be rejected, 0 to 1. Default: 0.05." default:"0.05" env:"THRONG_ALLOW_REJECTS" placeholder:"SHARE"`
	MemoryMiB    int64   `name:"memory" help:"MiB that the load keeps in memory; the rest goes to files. Default: 1024." default:"1024" env:"THRONG_MEMORY" placeholder:"MIB"`
}

func (c *loadCmd) Run(e *env) error {
	if c.AllowRejects < 0 || c.AllowRejects > 1 {
		return &server.UsageError{Setting: "allow-rejects", Message: "want a share from 0 to 1"}
	}
	if c.MemoryMiB < 16 {
		return &server.UsageError{Setting: "memory", Message: "want at least 16 MiB"}
	}
	if err := canReport(c.Report); err != nil {
		return err
	}
	s, err := e.open()
	if err != nil {
		return err
	}
	defer s.Close()
	show := newProgress(e.err)
	report, err := s.Load(e.ctx, c.Source, server.LoadOptions{AllowRejects: c.AllowRejects, Memory: c.MemoryMiB << 20, Progress: show.update})
	show.end()
	if report != nil {
		printReport(e.out, report)
		if err != nil && report.Rejects != "" {
			err = fmt.Errorf("%w; mend them, or let more be rejected with --allow-rejects", err)
		}
		if c.Report != "" {
			err = errors.Join(err, writeReport(c.Report, report))
		}
	}
	return err
}

// canReport refuses a place for the report that would turn out to be none after
// hours of work.
func canReport(path string) error {
	if path == "" {
		return nil
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return &server.UsageError{Setting: "report", Message: fmt.Sprintf("there is no folder %s", filepath.Dir(path))}
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return &server.UsageError{Setting: "report", Message: fmt.Sprintf("want a file; %s is a folder", path)}
	}
	return nil
}

func writeReport(path string, report *server.Report) error {
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if err := durable.WriteFile(path, append(text, '\n')); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// printReport tells people what became of every row.
func printReport(w io.Writer, r *server.Report) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(tw, "table\trows\tloaded\trejected\tskipped\tcells dropped\t\n")
	for _, t := range r.Tables {
		fmt.Fprintf(tw, "%s\t%d\t%d\t%d\t%d\t%d\t\n", t.Table, t.Rows, t.Loaded, total(t.Rejected), total(t.Skipped), total(t.Dropped))
	}
	_ = tw.Flush() // a terminal that is gone reads no report
	for _, t := range r.Tables {
		tell := func(what string, counts map[string]uint64) {
			for _, reason := range slices.Sorted(maps.Keys(counts)) {
				fmt.Fprintf(w, "%s: %d %s: %s\n", t.Table, counts[reason], what, reason)
			}
		}
		tell("rejected", t.Rejected)
		tell("skipped", t.Skipped)
		tell("cells dropped in column", t.Dropped)
		for _, col := range t.Ignored {
			fmt.Fprintf(w, "%s: column %s is not known and was ignored\n", t.Table, shownName(col))
		}
	}
	for _, warning := range r.Warnings {
		fmt.Fprintln(w, "warning:", warning)
	}
	if r.Rejects != "" {
		fmt.Fprintln(w, "rejected rows:", r.Rejects)
	}
	if r.Generation == "" {
		fmt.Fprintln(w, "nothing was loaded; the generation before stays in use")
		return
	}
	if r.People == 0 {
		fmt.Fprintln(w, "warning: nobody was loaded; the generation is empty")
	}
	fmt.Fprintf(w, "generation %s: %d people as of %s, %.1f MB, in %v\n",
		r.Generation, r.People, r.AsOf.UTC().Format(time.RFC3339), float64(r.Bytes)/1e6, r.Elapsed.Round(time.Millisecond))
}

// shownName is a name as it came from a file, in quotes where it would be no
// word on a terminal.
func shownName(name string) string {
	if name == "" || strings.TrimSpace(name) != name || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(name)
	}
	return name
}

func total(counts map[string]uint64) (n uint64) {
	for _, c := range counts {
		n += c
	}
	return n
}
