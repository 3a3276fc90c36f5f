package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"throng/bench"
	"throng/server"
)

// benchCmd measures the product on a population made on the spot.
type benchCmd struct {
	People    int      `default:"10000000" help:"How many people. Default: 10000000."`
	Seed      uint64   `default:"1" help:"Chooses the population: the same seed gives the same one. Default: 1."`
	Clustered bool     `help:"Order people so that those alike stand together."`
	Rounds    int      `default:"5" help:"How often each piece of work is measured. Default: 5."`
	Only      []string `placeholder:"ROW,…" help:"Measure these rows alone: ${bench_rows}."`
	Dir       string   `placeholder:"DIR" help:"Keep the population and its index here, and use what is there. Default: a temporary folder, removed at the end."`
	JSON      bool     `name:"json" help:"Print one JSON document."`
	Child     bool     `hidden:"" help:"Count what is asked for on standard input."`
}

// Run measures and prints. It fails where an answer was not equal to that of
// another way to find it.
func (c *benchCmd) Run(e *env) error {
	if c.Child {
		return bench.Child(e.ctx, c.Dir, e.in, e.out)
	}
	if c.People == 0 || c.Rounds == 0 {
		return &server.UsageError{Message: "--people and --rounds: want at least 1"}
	}
	report, err := bench.Run(e.ctx, bench.Config{
		People: c.People, Seed: c.Seed, Clustered: c.Clustered, Rounds: c.Rounds, Only: c.Only, Dir: c.Dir,
		Version: version, Child: benchChild,
		Tell: func(what string) { fmt.Fprintln(e.err, what) },
	})
	if report == nil {
		return err
	}
	if err := errors.Join(err, c.print(e, report)); err != nil {
		return err
	}
	if n := len(report.Differ); n > 0 {
		return fmt.Errorf("%d answers differ", n)
	}
	return nil
}

// print prints the report, in one of its forms.
func (c *benchCmd) print(e *env, report *bench.Report) error {
	if !c.JSON {
		return report.Print(e.out)
	}
	encoder := json.NewEncoder(e.out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(report)
}

// benchChild is how this program starts itself again.
func benchChild(_ context.Context, dir string) (name string, args []string, err error) {
	name, err = os.Executable()
	return name, []string{"bench", "--child", "--dir", dir}, err
}
