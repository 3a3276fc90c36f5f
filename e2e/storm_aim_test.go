package e2e

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// window is a sort of moments at which processes are killed.
type window struct {
	name string
	// weight is how many of a hundred kills or so are aimed at it.
	weight int
	// spread is within how long after the moment the kill comes.
	spread time.Duration
	// folders tells that it can be seen in a folder of files alone.
	folders bool
}

// The windows. The name of one that callers tell of is what they say.
var windows = []window{
	{name: "any moment", weight: 10},
	{name: "create sent", weight: 8, spread: 3 * time.Millisecond},
	{name: "create answered", weight: 4, spread: time.Millisecond},
	{name: "step queued", weight: 4, spread: 5 * time.Millisecond},
	{name: "step members", weight: 5, spread: 5 * time.Millisecond},
	{name: "step files", weight: 8, spread: 20 * time.Millisecond},
	{name: "step finishing", weight: 5, spread: 5 * time.Millisecond},
	{name: "file being written", weight: 6, spread: 10 * time.Millisecond, folders: true},
	{name: "cancel sent", weight: 3, spread: 2 * time.Millisecond},
	{name: "delete sent", weight: 3, spread: 2 * time.Millisecond},
	{name: "upload half", weight: 4, spread: 2 * time.Millisecond},
	{name: "upload sent", weight: 4, spread: 10 * time.Millisecond},
	{name: "upload answered", weight: 2, spread: time.Millisecond},
	{name: "put half", weight: 4, spread: 2 * time.Millisecond},
	{name: "put sent", weight: 3, spread: 5 * time.Millisecond},
	{name: "devices sent", weight: 3, spread: 5 * time.Millisecond},
	{name: "devices processing", weight: 4, spread: 10 * time.Millisecond},
	{name: "callback received", weight: 5, spread: time.Millisecond},
	{name: "callback answered", weight: 5, spread: 2 * time.Millisecond},
	{name: "download half", weight: 2},
	{name: "delivery sent", weight: 2, spread: 2 * time.Millisecond},
	{name: "delivery running", weight: 3, spread: 20 * time.Millisecond},
	{name: "insight sent", weight: 2, spread: 2 * time.Millisecond},
	{name: "report running", weight: 6, spread: 30 * time.Millisecond},
	{name: "expand sent", weight: 2, spread: 20 * time.Millisecond},
	{name: "cluster sent", weight: 1, spread: 20 * time.Millisecond},
	{name: windowLoad, weight: 6},
	{name: windowBeside, weight: 4},
	{name: windowSwitch, weight: 3, spread: 5 * time.Millisecond},
	{name: windowStart, weight: 6},
}

// The windows that are not aimed at by what callers tell.
const (
	windowAny    = "any moment"
	windowLoad   = "load (the loader)"
	windowBeside = "load (the server beside it)"
	windowSwitch = "new generation current"
	windowStart  = "start of the server"
	windowFile   = "file being written"
)

// plan gives each strike a window of those given: every one its share, in random
// order.
func plan(rng *rand.Rand, windows []window, strikes int, folders bool) []window {
	possible := slices.DeleteFunc(slices.Clone(windows), func(w window) bool { return w.folders && !folders })
	var lot []window
	for _, w := range possible {
		for range w.weight {
			lot = append(lot, w)
		}
	}
	var all []window
	for len(all) < strikes {
		rng.Shuffle(len(lot), func(i, j int) { lot[i], lot[j] = lot[j], lot[i] })
		all = append(all, lot...)
	}
	return all[:strikes]
}

// aim is what a kill waits for.
type aim struct {
	mu   sync.Mutex
	name string
	hit  chan *node // told once; nil is whichever node
}

// take aims at a window.
func (a *aim) take(name string) <-chan *node {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.name, a.hit = name, make(chan *node, 1)
	return a.hit
}

// rest aims at nothing.
func (a *aim) rest() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.name = ""
}

// at is what is aimed at.
func (a *aim) at() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.name
}

// event tells of a moment, at a node or, for nil, at some node. Where it is
// aimed at, this is when the kill begins.
func (s *storm) event(name string, n *node) {
	s.aim.mu.Lock()
	defer s.aim.mu.Unlock()
	if s.aim.name != name {
		return
	}
	s.aim.name = ""
	s.aim.hit <- n
}

// aimedAtStep tells those who wait for builds to look often.
func (s *storm) aimedAtStep() bool {
	at := s.aim.at()
	return strings.HasPrefix(at, "step ") || strings.HasSuffix(at, " running") || strings.HasSuffix(at, " processing")
}

// watchFiles tells when one of the servers is writing a file.
func (s *storm) watchFiles(done <-chan struct{}) {
	for {
		for _, n := range s.nodes {
			if entries, err := os.ReadDir(filepath.Join(n.data, "blobs", ".tmp")); err == nil && len(entries) > 0 {
				s.event(windowFile, n)
				return
			}
		}
		select {
		case <-done:
			return
		case <-time.After(200 * time.Microsecond): // between two looks
		}
	}
}

// watchCurrent tells when another generation has become current at a node.
func (s *storm) watchCurrent(n *node, done <-chan struct{}) {
	name := filepath.Join(n.data, "index", "CURRENT")
	before, err := os.ReadFile(name)
	if err != nil {
		s.t.Errorf("read CURRENT: %v", err)
		return
	}
	for {
		if now, err := os.ReadFile(name); err == nil && string(now) != string(before) {
			s.event(windowSwitch, n)
			return
		}
		select {
		case <-done:
			return
		case <-time.After(200 * time.Microsecond): // between two looks
		}
	}
}
