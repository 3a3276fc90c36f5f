package bench

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Print writes the report for people.
func (r *Report) Print(out io.Writer) error {
	var b strings.Builder
	version := strings.TrimSpace(r.Version + " " + short(r.Commit))
	fmt.Fprintf(&b, "throng %s, %s, %s/%s\n", version, r.Go, r.Machine.OS, r.Machine.Arch)
	fmt.Fprintf(&b, "%s, %d cores, %.3g GiB, kernels: %s\n", orUnknown(r.Machine.CPU), r.Machine.Cores,
		float64(r.Machine.Memory)/(1<<30), r.Machine.Kernel)
	order := "in random order"
	if r.Clustered {
		order = "clustered"
	}
	fmt.Fprintf(&b, "%d people %s, seed %d; medians of %d rounds\n", r.People, order, r.Seed, r.Rounds)
	for _, row := range r.Rows {
		fmt.Fprintf(&b, "\nrow %s: %s%s\n", row.ID, row.Work, unsteady(row))
		w := tabwriter.NewWriter(&b, 0, 4, 2, ' ', 0)
		for _, f := range row.Figures {
			fmt.Fprintf(w, "  %s\t%s %s%s%s\n", f.Name, number(f.Median), f.Unit, clockName(f.Clock), between(f))
		}
		for _, c := range row.Checks {
			fmt.Fprintf(w, "  target: %s\t%s %s %s, got %s: %s\n", c.Of, c.Must, number(c.Target), c.Unit, number(c.Got), met(c.Met))
		}
		if err := w.Flush(); err != nil {
			return err
		}
		for _, n := range row.Notes {
			fmt.Fprintf(&b, "  %s\n", n)
		}
	}
	r.summary(&b)
	for _, d := range r.Differ {
		fmt.Fprintf(&b, "\nDIFFERENT ANSWERS: %s\n", d)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// summary is the table at the end: a line a case, or a row without cases.
func (r *Report) summary(b *strings.Builder) {
	b.WriteString("\n")
	w := tabwriter.NewWriter(b, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "row\twork\tone core\tall cores\tfloor\tthe best beside it\ttargets met")
	for _, row := range r.Rows {
		done := 0
		for _, c := range row.Checks {
			if c.Met {
				done++
			}
		}
		targets := ""
		if len(row.Checks) > 0 {
			targets = fmt.Sprintf("%d of %d", done, len(row.Checks))
		}
		cases := row.Cases
		if len(cases) == 0 {
			cases = []Case{{Name: row.Work}}
		}
		for i, c := range cases {
			if i > 0 {
				targets = ""
			}
			if c.Name == "" {
				c.Name = row.Work
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", row.ID, c.Name,
				c.cell(c.OneCore), c.cell(c.AllCores), c.cell(c.Floor), strings.TrimSpace(c.cell(c.Other)+" "+c.OtherName), targets)
		}
	}
	w.Flush()
}

// cell is a median of the table; empty where it was not measured.
func (c *Case) cell(x float64) string {
	if x == 0 {
		return ""
	}
	return number(x) + " " + c.Unit
}

func unsteady(row Row) string {
	if row.Unsteady {
		return " (unsteady: the machine's own speed kept changing)"
	}
	return ""
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown processor"
	}
	return s
}

func short(commit string) string {
	if len(commit) > 12 {
		return commit[:12] + strings.TrimLeft(commit[12:], "0123456789abcdef")
	}
	return commit
}

func clockName(c string) string {
	if c == string(byCPU) {
		return " of processor time"
	}
	return ""
}

func between(f Figure) string {
	if f.Min == f.Max {
		return ""
	}
	return fmt.Sprintf(" (%s to %s)", number(f.Min), number(f.Max))
}

func number(x float64) string { return strconv.FormatFloat(round(x), 'f', -1, 64) }

func met(ok bool) string {
	if ok {
		return "met"
	}
	return "NOT MET"
}
