package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"throng/server"
)

type insightCmd struct {
	Audience int64  `arg:"" help:"The audience's id."`
	Baseline string `help:"Who it is compared with: global, usa, usa_males, usa_females, uk, canada, france, germany, italy, spain, one of dataset.json, or audience:ID. Default: global." placeholder:"NAME"`
	Caller   string `help:"Use audiences of this caller alone. Default: of any." placeholder:"NAME"`
	Order    string `help:"index (what stands out), count or name. Default: index." placeholder:"ORDER"`
	Limit    int    `help:"Terms of each dimension in the files. Default: 50." placeholder:"N"`
	CSV      string `name:"csv" help:"Write the report as a table; - for standard output." placeholder:"FILE"`
	XLSX     string `name:"xlsx" help:"Write the report as a workbook, a sheet for each dimension and one for the clusters." placeholder:"FILE"`
	JSON     string `name:"json" help:"Write what GET /audiences/{id}/insight answers; - for standard output." placeholder:"FILE"`
}

func (c *insightCmd) Run(e *env) error {
	s, err := e.open()
	if err != nil {
		return err
	}
	defer s.Close()
	i, err := s.Insight(e.ctx, server.InsightSpec{
		Audience: c.Audience, Caller: c.Caller, Baseline: c.Baseline, Limit: c.Limit, Order: c.Order,
	})
	if err != nil {
		return tellFlags(e.err, err, "baseline", "order", "limit")
	}
	show := true
	for _, f := range []struct {
		name  string
		write func(io.Writer) error
	}{{c.CSV, i.WriteCSV}, {c.XLSX, i.WriteXLSX}, {c.JSON, i.WriteJSON}} {
		switch f.name {
		case "":
			continue
		case "-":
			show = false
			err = f.write(e.out)
		default:
			err = writeWhole(f.name, f.write)
		}
		if err != nil {
			return err
		}
	}
	for _, w := range i.Report.Warnings {
		fmt.Fprintln(e.err, "warning:", w)
	}
	if !show {
		return nil
	}
	return printInsight(e.out, c.Audience, i)
}

// writeWhole writes a file whole or not at all: of a report for people half is
// worse than none.
func writeWhole(name string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".throng-insight-*")
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err := errors.Join(write(f), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// shownTerms is how many terms of a dimension are printed.
const shownTerms = 5

// printInsight prints what sets an audience apart most, dimension by dimension.
func printInsight(w io.Writer, id int64, i *server.Insight) error {
	r := i.Report
	fmt.Fprintf(w, "audience %d %q: %d people against %s: %d people\n", id, i.Name, r.Size, r.Baseline.Name, r.Baseline.Size)
	none := true
	for _, d := range r.Dimensions {
		if len(d.Terms) == 0 {
			continue
		}
		none = false
		known := ""
		if d.Coverage != nil {
			known = fmt.Sprintf(", known of %s (%s of the baseline)", percent(d.Coverage.Share), percent(d.Coverage.BaselineShare))
		}
		fmt.Fprintf(w, "\n%s%s\n", strings.ReplaceAll(d.Name, "_", " "), known)
		for _, t := range d.Terms[:min(len(d.Terms), shownTerms)] {
			fmt.Fprintf(w, "  %-*s %9d %8s %8s %6s  %s..%s\n", longestName, shorten(t.Name), t.Count, percent(&t.Share), percent(t.BaselineShare),
				whole(t.Index), whole(t.Low), whole(t.High))
		}
		if more := d.Total - shownTerms; more > 0 {
			fmt.Fprintf(w, "  and %d more\n", more)
		}
	}
	if none {
		_, err := fmt.Fprintf(w, "\nNo term has %d members or more, which is the least that is told (--insight-minimum).\n", r.Minimum)
		return err
	}
	printClusters(w, i)
	_, err := fmt.Fprintln(w, "\nEach line: members, their share, the baseline's, index and its 95 % interval.")
	return err
}

// printClusters prints the groups of members who share tastes.
func printClusters(w io.Writer, i *server.Insight) {
	r := i.Report
	if len(r.Clusters) == 0 {
		return
	}
	fmt.Fprintf(w, "\nclusters, %d members in none\n", r.Unclustered)
	for _, c := range r.Clusters {
		fmt.Fprintf(w, "  %2d  %-*s %9d %8s\n", c.ID, longestName-4, shorten(c.Name), c.Size, percent(&c.Share))
	}
}

// longestName is as much of a name as is printed, in characters.
const longestName = 40

// shorten keeps a name within its column, and out of the terminal's hands.
func shorten(name string) string {
	runes := []rune(strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, name))
	if len(runes) > longestName {
		runes = append(runes[:longestName-1], '…')
	}
	return string(runes)
}

func percent(share *float64) string {
	if share == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100**share)
}

func whole(n *float64) string {
	if n == nil {
		return "-"
	}
	return fmt.Sprintf("%.0f", *n)
}
