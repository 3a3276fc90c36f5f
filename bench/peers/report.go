package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"throng/bench/peers/internal/peer"
)

// report is what a run found. Times are nanoseconds, memory bytes.
type report struct {
	Host     string   `json:"host"`
	Commit   string   `json:"commit,omitempty"`
	People   int      `json:"people"`
	Pairs    int      `json:"pairs"`
	Terms    int      `json:"terms"`
	Rounds   int      `json:"rounds"`
	Size     uint64   `json:"size"`
	TermsSum uint64   `json:"terms_sum"`
	TermsMax uint64   `json:"terms_max"`
	Loads    []load   `json:"loads"`
	Results  []result `json:"results"`
	Skipped  []skip   `json:"skipped,omitempty"`
}

type load struct {
	Engine  string `json:"engine"`
	Version string `json:"version"`
	CPU     int64  `json:"cpu_ns"`
	Wall    int64  `json:"wall_ns"`
	Stored  int64  `json:"stored_bytes"`
	Peak    int64  `json:"peak_bytes"`
}

type result struct {
	Op     string `json:"op"`
	Engine string `json:"engine"`
	Layout string `json:"layout"`
	Rounds int    `json:"rounds"`
	CPU    int64  `json:"cpu_ns"`   // median
	Least  int64  `json:"least_ns"` // least processor time of a round
	Wall   int64  `json:"wall_ns"`  // median
	// Times is the processor time in times of the first engine's first layout.
	Times float64 `json:"times"`
}

type skip struct {
	Engine string `json:"engine"`
	Reason string `json:"reason"`
}

// add takes the medians, and compares with the first contestant of each
// question.
func (r *report) add(all []*contestant) {
	first := map[string]int64{}
	for _, c := range all {
		res := result{
			Op: c.op, Engine: c.name, Layout: c.layout, Rounds: len(c.cpu),
			CPU: median(c.cpu), Least: slices.Min(c.cpu), Wall: median(c.wall),
		}
		if first[c.op] == 0 {
			first[c.op] = res.CPU
		}
		res.Times = float64(res.CPU) / float64(max(first[c.op], 1))
		r.Results = append(r.Results, res)
	}
}

func median(v []int64) int64 {
	s := slices.Sorted(slices.Values(v))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// write prints the tables, and the file if one is named.
func (r *report) write(w io.Writer, file string) error {
	fmt.Fprintf(w, "%s\n%d people, %d pairs of person and term, %d terms\n", r.Host, r.People, r.Pairs, r.Terms)
	fmt.Fprintf(w, "audience of %d; by affinity %d in all, %d at most; all engines agree\n\n", r.Size, r.TermsSum, r.TermsMax)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "load\tversion\tCPU s\twall s\tstored MB\tpeak MB")
	for _, l := range r.Loads {
		fmt.Fprintf(tw, "%s\t%s\t%.1f\t%.1f\t%.1f\t%.0f\n", l.Engine, l.Version, float64(l.CPU)/1e9, float64(l.Wall)/1e9, float64(l.Stored)/1e6, float64(l.Peak)/1e6)
	}
	for _, q := range []struct{ op, title string }{{peer.Count, "size of the audience"}, {peer.Terms, "people by affinity"}} {
		fmt.Fprintf(tw, "\n%s\tlayout\tCPU ms\tleast\twall ms\ttimes\n", q.title)
		for _, x := range r.Results {
			if x.Op == q.op {
				fmt.Fprintf(tw, "%s\t%s\t%.2f\t%.2f\t%.2f\t%.1f\n", x.Engine, x.Layout, ms(x.CPU), ms(x.Least), ms(x.Wall), x.Times)
			}
		}
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, s := range r.Skipped {
		fmt.Fprintf(w, "skipped %s: %s\n", s.Engine, s.Reason)
	}
	if file == "" {
		return nil
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o600)
}

func ms(ns int64) float64 { return float64(ns) / float64(time.Millisecond) }

// host describes the machine.
func host() string {
	model := runtime.GOARCH
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%s, %d cores, %s %s", model, runtime.NumCPU(), runtime.GOOS, runtime.Version())
}
