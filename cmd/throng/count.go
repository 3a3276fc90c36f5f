package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"throng/server"
)

type countCmd struct {
	File   string `arg:"" help:"A definition, JSON as for POST /audiences; - for standard input."`
	Caller string `help:"Use uploads and audiences of this caller alone. Default: of any." placeholder:"NAME"`
	JSON   bool   `name:"json" help:"Print the preview's answer."`
}

func (c *countCmd) Run(e *env) error {
	body, err := c.read(e)
	if err != nil {
		return err
	}
	s, err := e.open()
	if err != nil {
		return err
	}
	defer s.Close()
	answer, err := s.Count(e.ctx, body, c.Caller)
	if err != nil {
		return tellRefusal(e.err, c.name(), err)
	}
	if c.JSON {
		_, err := e.out.Write(answer)
		return err
	}
	return printCount(e.out, e.err, answer)
}

func (c *countCmd) read(e *env) ([]byte, error) {
	if c.File == "-" {
		return io.ReadAll(e.in)
	}
	body, err := os.ReadFile(c.File)
	if err != nil {
		return nil, fmt.Errorf("read definition: %w", err)
	}
	return body, nil
}

// name is what a definition is called in errors.
func (c *countCmd) name() string {
	if c.File == "-" {
		return "standard input"
	}
	return c.File
}

// tellRefusal prints every problem of a definition that was refused, which is
// named as given.
func tellRefusal(w io.Writer, name string, err error) error {
	refusal, ok := server.RefusalOf(err)
	if !ok {
		return err
	}
	if refusal.Code == server.Invalid {
		name += ": "
	} else {
		name = ""
	}
	fmt.Fprintf(w, "throng: %s%s\n", name, refusal.Message)
	for _, d := range refusal.Details {
		fmt.Fprintf(w, "  %s: %s\n", d.Path, d.Message)
	}
	return &toldError{status: exitFailed}
}

// tellFlags prints every problem of a request that was made of flags. Where all
// are of the flags named, it is wrong usage.
func tellFlags(w io.Writer, err error, flags ...string) error {
	refusal, ok := server.RefusalOf(err)
	if !ok || len(refusal.Details) == 0 {
		return err
	}
	told := &toldError{status: exitUsage}
	for _, d := range refusal.Details {
		where := strings.ReplaceAll(d.Path, "_", "-")
		if refusal.Code == server.Invalid && slices.Contains(flags, where) {
			where = "--" + where
		} else {
			where, told.status = d.Path, exitFailed
		}
		fmt.Fprintf(w, "throng: %s: %s\n", where, d.Message)
	}
	return told
}

// printCount prints a preview's answer for people: sizes on w, warnings apart.
func printCount(w, warnings io.Writer, answer []byte) error {
	var preview struct {
		Response struct {
			Size       *uint64 `json:"size"`
			Parameters []struct {
				Operation string  `json:"operation"`
				Criterion string  `json:"criterion"`
				Size      *uint64 `json:"size"`
			} `json:"parameters"`
			Warnings []string `json:"warnings"`
			Elapsed  float64  `json:"elapsed_ms"`
		} `json:"response"`
	}
	if err := json.Unmarshal(answer, &preview); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	r := preview.Response
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, p := range r.Parameters {
		fmt.Fprintf(tw, "%s\t%s\t%s\n", p.Operation, p.Criterion, size(p.Size))
	}
	fmt.Fprintf(tw, "\taudience\t%s\n", size(r.Size))
	if err := tw.Flush(); err != nil {
		return fmt.Errorf("print count: %w", err)
	}
	for _, warning := range r.Warnings {
		fmt.Fprintln(warnings, "warning:", warning)
	}
	return nil
}

func size(n *uint64) string {
	if n == nil {
		return "below the minimum"
	}
	return fmt.Sprint(*n)
}
