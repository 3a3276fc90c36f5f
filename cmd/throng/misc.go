package main

import (
	"cmp"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"throng/demo"
	"throng/server"
)

type serveCmd struct{}

func (c *serveCmd) Run(e *env) error {
	e.settings.LogLevel = cmp.Or(e.settings.LogLevel, "info")
	s, err := e.open()
	if err != nil {
		return err
	}
	defer s.Close()
	return s.Serve(e.ctx, nil)
}

type checkCmd struct{}

func (c *checkCmd) Run(e *env) error {
	s, err := e.open()
	if err != nil {
		return err
	}
	defer s.Close()
	show := newProgress(e.err)
	found, err := s.Check(e.ctx, show.update)
	show.end()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.out, "generation %s: %d people, %.1f MB, everything is as it should be\n", found.ID, found.People, float64(found.Bytes)/1e6)
	return err
}

type generateCmd struct {
	Out    string `arg:"" help:"The folder to write; it must not be there, or be empty."`
	People int    `help:"How many people." required:"" placeholder:"N"`
	Seed   uint64 `help:"The same seed gives the same bytes. Default: 1." default:"1" placeholder:"S"`
}

func (c *generateCmd) Run(e *env) error {
	if c.People < 1 {
		return &server.UsageError{Setting: "people", Message: "want at least 1"}
	}
	show := newProgress(e.err)
	start := time.Now()
	err := demo.Generate(e.ctx, demo.Config{
		People: c.People, Seed: c.Seed, Dir: c.Out,
		Progress: func(done, total int64) {
			show.update(server.Progress{Step: "generating synthetic people", Done: done, Total: total})
		},
	})
	show.end()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.out, "%d synthetic people in %s, made in %v\n", c.People, c.Out, time.Since(start).Round(time.Millisecond))
	return err
}

type versionCmd struct{}

func (c *versionCmd) Run(e *env) error {
	_, err := fmt.Fprintf(e.out, "throng %s %s/%s %s\n", version, runtime.GOOS, runtime.GOARCH, runtime.Version())
	return err
}

type helpCmd struct {
	Command []string `arg:"" optional:"" help:"The command to tell about."`
}

func (c *helpCmd) Run(e *env) error {
	node := e.parser.Model.Node
	for _, word := range c.Command {
		if node = childNamed(node, word); node == nil {
			return &server.UsageError{Message: fmt.Sprintf("there is no command %q", strings.Join(c.Command, " "))}
		}
	}
	// What is missing after the words is missing on purpose.
	trace, err := kong.Trace(e.parser, c.Command)
	if err != nil {
		return fmt.Errorf("find command: %w", err)
	}
	return trace.PrintUsage(false)
}
