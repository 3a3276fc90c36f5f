package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"throng/bench/population"
	"throng/engine"
	"throng/engine/bitmap/kernel"
	"throng/query"
)

// path is a set of instructions that the engine's loops can be held to.
type path struct{ name, setting string }

// paths are those of this machine, the best first. A setting takes what is
// better away.
func paths() []path {
	best := kernel.Name()
	list := []path{{name: best}}
	if runtime.GOARCH != "amd64" {
		return list
	}
	if best != "AVX2" && best != "portable" {
		list = append(list, path{"AVX2", "cpu.avx512bw=off"})
	}
	if best != "portable" {
		list = append(list, path{"portable", "cpu.avx2=off,cpu.avx512bw=off"})
	}
	return list
}

// childAnswer is what a child says to a line of its input.
type childAnswer struct {
	Kernel string   `json:"kernel"`
	CPU    float64  `json:"cpu"` // seconds a count
	Sizes  []uint64 `json:"sizes"`
	Error  string   `json:"error,omitempty"`
}

// Child counts the query of row 1a on one core, so often as each line of its
// input says, and answers each with a line of JSON. It ends with its input.
func Child(ctx context.Context, dir string, in io.Reader, out io.Writer) error {
	text, err := os.ReadFile(filepath.Join(dir, aboutName))
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	var have about
	if err := json.Unmarshal(text, &have); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	people, err := population.New(have.People, have.Seed, have.Clustered)
	if err != nil {
		return err
	}
	s := &stack{dir: dir, people: people}
	defer s.close()
	if err := s.openSides(ctx); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	d, err := s.readQuery(ctx)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		n := 0
		if _, err := fmt.Sscan(lines.Text(), &n); err != nil || n < 1 {
			return errors.New("bench: a line holds no number of counts")
		}
		a := childAnswer{Kernel: kernel.Name()}
		cpu := processTime()
		for range n {
			counts, err := s.one.generation.Count(ctx, d, engine.After)
			if err != nil {
				return fmt.Errorf("bench: %w", err)
			}
			a.Sizes = counts.After
		}
		a.CPU = (processTime() - cpu).Seconds() / float64(n)
		if err := json.NewEncoder(out).Encode(a); err != nil {
			return err
		}
	}
	return lines.Err()
}

// queryName is the file in which children find the query.
const queryName = "query.json"

func (s *stack) readQuery(ctx context.Context) (query.Definition, error) {
	text, err := os.ReadFile(filepath.Join(s.dir, queryName))
	if err != nil {
		return query.Definition{}, err
	}
	return s.one.compile(ctx, text)
}

// child is a running child.
type child struct {
	path
	in      io.WriteCloser
	out     *json.Decoder
	command *exec.Cmd
	sizes   []uint64
	kernel  string
}

func (r *run) startChild(ctx context.Context, p path) (*child, error) {
	name, args, err := r.cfg.Child(ctx, r.stack.dir)
	if err != nil {
		return nil, err
	}
	c := &child{path: p, command: exec.CommandContext(ctx, name, args...)}
	if p.setting != "" {
		c.command.Env = append(os.Environ(), "GODEBUG="+p.setting)
	}
	c.command.Stderr = os.Stderr
	if c.in, err = c.command.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = json.NewDecoder(out)
	return c, c.command.Start()
}

// count has the child count n times, and gives the processor time of one.
func (c *child) count(n int) (float64, error) {
	if _, err := fmt.Fprintln(c.in, n); err != nil {
		return 0, err
	}
	var a childAnswer
	if err := c.out.Decode(&a); err != nil {
		return 0, fmt.Errorf("read answer of child: %w", err)
	}
	c.kernel, c.sizes = a.Kernel, a.Sizes
	return a.CPU, nil
}

func (c *child) end() error { return errors.Join(c.in.Close(), c.command.Wait()) }

// rowKernel measures row 1a with each set of vector instructions, in processes
// of their own, by turns.
func (r *run) rowKernel(ctx context.Context) (err error) {
	row := Row{ID: "kernel", Work: "row 1a on one core, by vector instructions"}
	if r.cfg.Child == nil {
		row.note("not measured: there is no way to start another process")
		r.add(row)
		return nil
	}
	s := r.stack
	if err := os.WriteFile(filepath.Join(s.dir, queryName), s.query(), 0o600); err != nil {
		return err
	}
	q := newQueryBitmaps(s.people)
	want := q.sizes()
	var children []*child
	seconds := map[string]*timing{}
	defer func() {
		for _, c := range children {
			err = errors.Join(err, c.end())
		}
	}()
	for _, p := range paths() {
		c, err := r.startChild(ctx, p)
		if err != nil {
			return fmt.Errorf("start child: %w", err)
		}
		children = append(children, c)
		if _, err := c.count(1); err != nil {
			return err
		}
		equalAll(r, "row 1a, "+c.kernel, c.sizes, want)
		equal(r, "kernel of a child", c.kernel, p.name)
		seconds[p.name] = &timing{variant: variant{name: p.name}}
	}
	fast := variant{name: "roaring FastOr", run: func() error { return changed(q.sizes(), want) }}
	repeat, err := warmUp(fast)
	if err != nil {
		return err
	}
	other := &timing{variant: fast}
	for range r.cfg.Rounds {
		for _, c := range children {
			cpu, err := c.count(childCounts(r.cfg.People))
			if err != nil {
				return err
			}
			seconds[c.name].cpu = append(seconds[c.name].cpu, cpu)
		}
		one, err := measureOnce(ctx, 1, []variant{fast}, []int{repeat})
		if err != nil {
			return err
		}
		other.cpu = append(other.cpu, one[0].cpu...)
	}
	return r.finishKernel(row, seconds, other)
}

// childCounts is how many counts make a sample.
func childCounts(people int) int { return int(min(256, 1+minSample/(time.Duration(people)/4+1))) }

func (r *run) finishKernel(row Row, seconds map[string]*timing, fast *timing) error {
	for _, p := range paths() {
		row.times(seconds[p.name])
		row.side("row 1a, "+p.name, seconds[p.name], nil, nil, fast)
	}
	row.times(fast)
	best := paths()[0].name
	if t := seconds["AVX2"]; t != nil && best != t.name {
		row.atMost("AVX2 / "+best, "x", ratio(t, seconds[best]), 1.5)
	}
	if t := seconds["portable"]; t != nil {
		row.faster(t, fast, 2)
	}
	r.add(row)
	return nil
}
