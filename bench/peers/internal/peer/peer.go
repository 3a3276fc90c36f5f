// Package peer is what the processes of bench/peers say to each other. Each
// engine runs in a process of its own, so that processor time, memory and the
// settings of one are not those of another; the process answers commands, one
// line of JSON each, from its standard input.
package peer

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The operations.
const (
	Load  = "load"  // bring the data in; answers Layouts
	Count = "count" // the size of the audience
	Terms = "terms" // the people of the audience by affinity
)

// Command asks an engine to do something.
type Command struct {
	Op     string `json:"op"`
	Layout string `json:"layout,omitempty"`
	// Load only.
	People  int    `json:"people,omitempty"`
	Dataset string `json:"dataset,omitempty"` // the folder of Parquet tables
	Work    string `json:"work,omitempty"`    // an empty folder of the engine's own
	// Facts asks engines that would take minutes for it to hold a row for
	// each person and term, too.
	Facts bool `json:"facts,omitempty"`
	// Least is for how long an operation is repeated, in nanoseconds of
	// processor time; it is done once at least.
	Least int64 `json:"least,omitempty"`
}

// Layout is one way in which an engine holds the data.
type Layout struct {
	Name string `json:"name"`
	// Ops are the operations that it answers, of Count and Terms.
	Ops []string `json:"ops"`
}

// Answer is what came of a command.
type Answer struct {
	Error string `json:"error,omitempty"`
	// Absent says that the engine cannot be had here: no failure.
	Absent  bool     `json:"absent,omitempty"`
	Version string   `json:"version,omitempty"` // of the engine, of Load
	Layouts []Layout `json:"layouts,omitempty"` // of Load
	Stored  int64    `json:"stored,omitempty"`  // bytes, of Load
	Size    uint64   `json:"size,omitempty"`    // of Count
	Terms   []uint64 `json:"terms,omitempty"`   // of Terms
	// CPU and Wall are nanoseconds of one repetition, the processor time
	// that of all threads and processes of the engine.
	CPU  int64 `json:"cpu"`
	Wall int64 `json:"wall"`
	// Peak is the greatest resident memory so far, in bytes.
	Peak int64 `json:"peak"`
}

// ErrAbsent wraps the reason for which an engine cannot be had here.
var ErrAbsent = errors.New("not to be had")

// Engine is what a process serves.
type Engine interface {
	// Load brings the data in. Bytes are what it takes on disk or, for an
	// engine without files, in memory.
	Load(ctx context.Context, c Command) (layouts []Layout, version string, bytes int64, err error)
	// Count gives the size of the audience.
	Count(ctx context.Context, layout string) (uint64, error)
	// Terms counts the audience by affinity, in the order of their ids. The
	// audience as such may have been prepared by Load or an earlier call.
	Terms(ctx context.Context, layout string) ([]uint64, error)
	// Usage is the processor time spent so far; zero for that of the process.
	Usage() time.Duration
}

// Serve answers commands until there are no more.
func Serve(e Engine) {
	ctx := context.Background()
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for in.Scan() {
		var c Command
		answer := Answer{}
		err := json.Unmarshal(in.Bytes(), &c)
		if err == nil {
			err = do(ctx, e, c, &answer)
		}
		if err != nil {
			answer.Error, answer.Absent = err.Error(), errors.Is(err, ErrAbsent)
		}
		answer.Peak = peak()
		if err := out.Encode(answer); err != nil {
			fmt.Fprintln(os.Stderr, "answer:", err)
			os.Exit(1)
		}
	}
}

func do(ctx context.Context, e Engine, c Command, a *Answer) (err error) {
	runtime.GC()
	cpu, start := usage(e), time.Now()
	times := int64(0)
	for times == 0 || c.Op != Load && int64(usage(e)-cpu) < c.Least {
		switch c.Op {
		case Load:
			a.Layouts, a.Version, a.Stored, err = e.Load(ctx, c)
		case Count:
			a.Size, err = e.Count(ctx, c.Layout)
		case Terms:
			a.Terms, err = e.Terms(ctx, c.Layout)
		default:
			err = fmt.Errorf("unknown operation %q", c.Op)
		}
		if err != nil {
			return err
		}
		times++
	}
	a.CPU, a.Wall = int64(usage(e)-cpu)/times, int64(time.Since(start))/times
	return nil
}

func usage(e Engine) time.Duration {
	if d := e.Usage(); d > 0 {
		return d
	}
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peak reads the greatest resident memory of this process.
func peak() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kib << 10
		}
	}
	return 0
}

// List reads numbers, one a line, sorted by the number before a tab: what SQL
// engines print for counts by term. Terms that are missing count nobody.
func List(text string, first, n int) ([]uint64, error) {
	counts := make([]uint64, n)
	for line := range strings.Lines(text) {
		id, count, ok := strings.Cut(strings.TrimSpace(line), "\t")
		i, err := strconv.Atoi(id)
		if !ok || err != nil || i < first || i >= first+n {
			return nil, fmt.Errorf("line %q is no term and its count", line)
		}
		if counts[i-first], err = strconv.ParseUint(count, 10, 64); err != nil {
			return nil, err
		}
	}
	return counts, nil
}

// In lists numbers as SQL.
func In(ids []int) string {
	s := make([]string, len(ids))
	for i, id := range ids {
		s[i] = strconv.Itoa(id)
	}
	return strings.Join(s, ",")
}
