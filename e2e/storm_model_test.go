package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"throng/demo"
	"throng/engine/enginetest"
	"throng/engine/enginetest/model"
)

// scenery is a dataset with its naive twin, which tells what is right.
type scenery struct {
	dir     string
	people  uint64
	asOf    time.Time
	loaded  string              // a data folder that nothing happens to
	reports []undisturbedReport // by definition of the pool

	mu    sync.Mutex // of the model, which is for one goroutine
	model *model.Model
	known []wanted // by definition of the pool
}

// wanted is what an audience must come to.
type wanted struct {
	size       uint64
	parameters []uint64
	outputs    map[string]wantedOutput
}

type wantedOutput struct {
	people, rows int
	lines        [32]byte // of the sorted lines
}

// outputTypes are the types of which an audience can have files.
var outputTypes = []string{"ss_id", "twitter_id", "twitter_user", "md5", "email_raw", "cint_id", "ma_id"}

// newScenery makes a dataset that describes the given day.
func newScenery(t *testing.T, people, day int) *scenery {
	t.Helper()
	c := &scenery{
		dir:    filepath.Join(t.TempDir(), fmt.Sprintf("dataset-%d", day)),
		people: uint64(people),
		asOf:   time.Date(2026, 11, day, 0, 0, 0, 0, time.UTC),
	}
	if err := demo.Generate(context.Background(), demo.Config{People: people, Seed: 3, Dir: c.dir, AsOf: c.asOf}); err != nil {
		t.Fatalf("generate: %v", err)
	}
	var err error
	if c.model, err = model.Load(c.dir, time.Now()); err != nil {
		t.Fatalf("load model: %v", err)
	}
	return c
}

// outputsOf tells what files members have. mu is held.
func (c *scenery) outputsOf(members []string) map[string]wantedOutput {
	all := map[string]wantedOutput{}
	for _, typ := range outputTypes {
		lines, _, people, rows := c.model.Output(members, typ)
		all[typ] = wantedOutput{people, rows, sortedSum(lines)}
	}
	return all
}

// sortedSum is a sum of lines that does not tell their order: of one person's
// values it is the engine's.
func sortedSum(lines []string) [32]byte {
	lines = slices.Clone(lines)
	slices.Sort(lines)
	h := sha256.New()
	for _, l := range lines {
		h.Write([]byte(l + "\n"))
	}
	return [32]byte(h.Sum(nil))
}

// evaluate tells what a definition comes to.
func (c *scenery) evaluate(def json.RawMessage, ext model.External) (wanted, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	got, err := c.model.Eval(def, ext)
	if err != nil {
		return wanted{}, err
	}
	w := wanted{size: uint64(len(got.Members)), outputs: c.outputsOf(got.Members)}
	for _, n := range got.Parameters {
		w.parameters = append(w.parameters, uint64(n))
	}
	return w, nil
}

// judge tells the fate of an upload.
func (c *scenery) judge(typ string, content []byte) model.UploadResult {
	c.mu.Lock()
	defer c.mu.Unlock()
	got, _ := c.model.Upload(typ, content)
	return got
}

// randomUpload makes a file of identifiers that the dataset knows in part.
func (c *scenery) randomUpload(rng *rand.Rand) (typ string, content []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return enginetest.RandomUpload(rng, c.model)
}

const (
	poolSize   = 8
	poolLeast  = 200 // people
	poolLength = 6 << 10
)

// pool gives the definitions of a storm: those of random ones that have enough
// people and are not most of all, are not too long, and come to the same in the undisturbed command as
// in the twin, on every dataset.
func (s *storm) pool() {
	s.t.Helper()
	for _, c := range s.sceneries {
		c.loaded = filepath.Join(s.t.TempDir(), "undisturbed")
		throng(s.t, "load", c.dir, "--data", c.loaded)
	}
candidates:
	for tries := 0; len(s.pooled) < poolSize; tries++ {
		if tries > 1000 {
			s.t.Fatalf("only %d of 1000 random definitions fit", len(s.pooled))
		}
		c := s.sceneries[0]
		c.mu.Lock()
		def := enginetest.RandomDefinition(s.rng, c.model)
		c.mu.Unlock()
		if len(def) > poolLength {
			continue
		}
		known := make([]wanted, len(s.sceneries))
		for i, c := range s.sceneries {
			var err error
			// Nothing sets an audience apart that is almost everybody: it has no expansion.
			if known[i], err = c.evaluate(def, model.External{}); err != nil || known[i].size < poolLeast || known[i].size > c.people*3/4 {
				continue candidates
			}
		}
		for i, c := range s.sceneries {
			size, refused := undisturbed(s.t, c.loaded, def)
			if refused {
				continue candidates // the dataset does not know all that it names
			}
			if size != known[i].size {
				s.t.Fatalf("undisturbed, the definition has %d people, want %d: %s", size, known[i].size, def)
			}
		}
		for i, c := range s.sceneries {
			c.known = append(c.known, known[i])
		}
		s.pooled = append(s.pooled, def)
	}
}

// undisturbed counts a definition on a data folder that nothing happens to.
func undisturbed(t *testing.T, data string, def json.RawMessage) (size uint64, refused bool) {
	t.Helper()
	out, err := runWith(bytes.NewReader(def), "count", "-", "--data", data, "--json")
	if err != nil {
		return 0, true
	}
	var answer struct{ Response struct{ Size uint64 } }
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		t.Fatalf("read count: %v", err)
	}
	return answer.Response.Size, false
}

// sceneryOf finds the dataset that an answer is about, nil where it is none of
// them.
func (s *storm) sceneryOf(asOf *time.Time) *scenery {
	for _, c := range s.sceneries {
		if asOf != nil && c.asOf.Equal(*asOf) {
			return c
		}
	}
	return nil
}
