package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"throng/bench/peers/internal/peer"
	"throng/bench/peers/internal/population"
)

// process is an engine at work.
type process struct {
	name string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	load load
	// layouts are those of its answer to the load.
	layouts []peer.Layout
}

// start runs the program of an engine and has it load the dataset. The error
// wraps peer.ErrAbsent where the engine cannot be had.
func start(ctx context.Context, s settings, work, name string) (*process, error) {
	path, err := filepath.Abs(filepath.Join(s.bin, name))
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s was not built", peer.ErrAbsent, path)
	}
	own := filepath.Join(work, name)
	if err := os.Mkdir(own, 0o700); err != nil {
		return nil, err
	}
	p := &process{name: name, cmd: exec.CommandContext(ctx, path)}
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	a, err := p.ask(peer.Command{
		Op: peer.Load, People: s.people, Dataset: filepath.Join(work, "dataset"), Work: own, Facts: s.facts,
	})
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	p.layouts = a.Layouts
	p.load = load{Engine: name, Version: a.Version, CPU: a.CPU, Wall: a.Wall, Stored: a.Stored, Peak: a.Peak}
	return p, nil
}

// ask sends a command and waits for its answer.
func (p *process) ask(c peer.Command) (peer.Answer, error) {
	var a peer.Answer
	if err := json.NewEncoder(p.in).Encode(c); err != nil {
		return a, fmt.Errorf("ask: %w", err)
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return a, fmt.Errorf("read answer: %w", err)
	}
	if err := json.Unmarshal(line, &a); err != nil {
		return a, fmt.Errorf("read answer: %w", err)
	}
	switch {
	case a.Absent:
		return a, fmt.Errorf("%w: %s", peer.ErrAbsent, a.Error)
	case a.Error != "":
		return a, errors.New(a.Error)
	}
	return a, nil
}

// close ends the process.
func (p *process) close() error {
	err := p.in.Close()
	_ = p.cmd.Wait() // it has nothing more to say, and its answers were read
	return err
}

// contestant is a layout of an engine that answers a question.
type contestant struct {
	*process
	op, layout string
	cpu, wall  []int64
	peak       int64
}

// contestants are all of them, by question.
func contestants(all []*process) (list []*contestant) {
	for _, op := range []string{peer.Count, peer.Terms} {
		for _, p := range all {
			for _, l := range p.layouts {
				if slices.Contains(l.Ops, op) {
					list = append(list, &contestant{process: p, op: op, layout: l.Name})
				}
			}
		}
	}
	return list
}

// check asks every question once, which also warms the caches, and compares.
func check(all []*contestant, want *expected) error {
	differ := false
	for _, c := range all {
		a, err := c.ask(peer.Command{Op: c.op, Layout: c.layout})
		if err != nil {
			return fmt.Errorf("%s, %s: %s: %w", c.name, c.layout, c.op, err)
		}
		if c.op == peer.Count && a.Size != want.size {
			fmt.Fprintf(os.Stderr, "%s, %s: %d people, want %d\n", c.name, c.layout, a.Size, want.size)
			differ = true
		}
		if c.op == peer.Terms && !slices.Equal(a.Terms, want.perTerm) {
			i := 0
			for i < len(a.Terms) && i < len(want.perTerm) && a.Terms[i] == want.perTerm[i] {
				i++
			}
			fmt.Fprintf(os.Stderr, "%s, %s: differs from affinity %d on\n", c.name, c.layout, population.FirstAffinity+i)
			differ = true
		}
	}
	if differ {
		return errDiffer
	}
	return nil
}

const (
	least      = 300e6 // ns of processor time of a measurement
	slow       = 10e9  // ns from which fewer rounds do
	slowRounds = 3
)

// measure asks everybody in turn, round by round, so that what else the
// machine does meets all of them.
func measure(all []*contestant, rounds int) error {
	for r := range rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", r+1, rounds)
		for _, c := range all {
			if r >= slowRounds && c.wall[0] > slow {
				continue
			}
			a, err := c.ask(peer.Command{Op: c.op, Layout: c.layout, Least: least})
			if err != nil {
				return fmt.Errorf("%s, %s: %s: %w", c.name, c.layout, c.op, err)
			}
			c.cpu, c.wall, c.peak = append(c.cpu, a.CPU), append(c.wall, a.Wall), a.Peak
		}
	}
	return nil
}
