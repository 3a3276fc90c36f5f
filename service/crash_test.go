package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng"
	"throng/blob"
	"throng/engine"
	"throng/job"
	"throng/service/record"
	"throng/service/rowstore"
)

// gate is a store whose writer of one sort of file waits or fails.
type gate struct {
	blob.Store
	match string        // part of the key
	hold  chan struct{} // where not nil: waits until it is closed
	fails atomic.Int64  // how often creating fails
	seen  chan struct{} // told once for each that came
}

var errGate = errors.New("the disk is full")

func (g *gate) Create(ctx context.Context, key string) (blob.Writer, error) {
	if strings.Contains(key, g.match) {
		select {
		case g.seen <- struct{}{}:
		default:
		}
		if g.hold != nil {
			<-g.hold // as a process does that hangs: the context is not heeded
		}
		if g.fails.Add(-1) >= 0 {
			return nil, errGate
		}
	}
	return g.Store.Create(ctx, key)
}

// gated puts a gate before the store of a service.
func gated(g *gate) option {
	return func(c *Config) {
		g.Store, g.seen = c.Blobs, make(chan struct{}, 1)
		c.Blobs = g
	}
}

// files lists the keys of an audience's files.
func (s *testService) files(id int64) (keys []string) {
	s.t.Helper()
	for info, err := range s.blobs.List(s.t.Context(), record.AudiencePrefix(id)) {
		if err != nil {
			s.t.Fatal(err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

func TestBuildIsTriedAgain(t *testing.T) {
	g := &gate{match: "/text-md5"}
	s := start(t, gated(g))
	want := s.build(s.caller, everyone)
	g.fails.Store(2)
	got := s.build(s.caller, everyone)
	if diff := cmp.Diff(want.Outputs, got.Outputs); diff != "" {
		t.Errorf("files after two failures (-want +got):\n%s", diff)
	}
	if a, b := len(s.files(want.ID)), len(s.files(got.ID)); a != b {
		t.Errorf("%d files after two failures, want %d as without", b, a)
	}
}

func TestBuildFails(t *testing.T) {
	r := receive(t)
	g := &gate{match: "/text-md5"}
	s := start(t, gated(g))
	g.fails.Store(1000)
	five := int64(5)
	c := s.add("c", CallerSettings{Builds: &five})
	d := definition(everyone)
	d.CallbackURL = r.URL
	grants := throng.Grants()
	c.Grants = grants
	a := s.wait(c, s.create(c, d).ID)
	if a.Status != throng.Failed || a.Failure == nil || a.Failure.Code != string(throng.Internal) || !a.Failure.Retry || a.Size != nil {
		t.Errorf("audience = %+v, failure %+v, want failed, internal, no size", a, a.Failure)
	}
	if strings.Contains(a.Failure.Message, "disk") {
		t.Errorf("message = %q, which tells of the inside", a.Failure.Message)
	}
	if got, _ := s.Credits(t.Context(), c); got.Builds != 5 {
		t.Errorf("builds left = %d, want 5: a failed build gives its credit back", got.Builds)
	}
	if keys := s.files(a.ID); len(keys) != 0 {
		t.Errorf("files of a failed build: %q, want none", keys)
	}
	waitFor(t, func() bool { return r.count() == 1 })
	if want := string(must(render(*a))); r.bodies[0] != want {
		t.Errorf("callback = %s, want %s", r.bodies[0], want)
	}
	_, err := s.OpenOutput(t.Context(), c, a.ID, "ss_id", Text)
	wantCode(t, err, throng.NotFound)
}

// A server that hangs or dies in the middle of a build is followed by another.
// That one finishes on the generation that the first began with, and what the
// first still does is of no effect.
func TestCrash(t *testing.T) {
	g := &gate{match: "/text-md5", hold: make(chan struct{})}
	// The one worker that hangs is all that the first server has: it cannot
	// take the build a second time.
	s := start(t, gated(g), func(c *Config) { c.BuildWorkers = 1 })
	a := s.create(s.caller, definition(everyone))
	<-g.seen
	_, err := s.OpenOutput(t.Context(), s.caller, a.ID, "ss_id", Text)
	wantCode(t, err, throng.Conflict)
	began := must(s.Audience(t.Context(), s.caller, a.ID))
	if began.Generation == "" || began.Status != throng.Running || began.Size != nil || len(began.Outputs) != 0 {
		t.Fatalf("audience in the middle of its build = %+v", began)
	}
	tables := people()
	tables["people.csv"] += "p9,33,male,,c1,\n"
	for range 3 {
		s.load(tables)
		if err := s.SweepGenerations(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	two := s.again()
	two.run()
	done := two.wait(two.caller, a.ID)
	if done.Status != throng.Done || done.Generation != began.Generation {
		t.Fatalf("status %s on generation %s, want done on %s", done.Status, done.Generation, began.Generation)
	}
	if got, want := two.members(a.ID), "p1 p2 p3 p4 p5 p6 p7 p8"; got != want {
		t.Errorf("members = %q, want those of the generation it began with, %q", got, want)
	}
	lasting := func() []string { // rows are kept as long as their generation
		return slices.DeleteFunc(two.files(a.ID), func(key string) bool { return strings.Contains(key, rowstore.Prefix) })
	}
	before := lasting()
	close(g.hold)
	if err := s.jobs.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(done, must(two.Audience(t.Context(), two.caller, a.ID))); diff != "" {
		t.Errorf("the first server changed a finished audience (-before +after):\n%s", diff)
	}
	if err := two.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, lasting()); diff != "" {
		t.Errorf("files after the first server came back (-before +after):\n%s", diff)
	}
	if got, want := two.members(a.ID), "p1 p2 p3 p4 p5 p6 p7 p8"; got != want {
		t.Errorf("members in the end = %q, want %q", got, want)
	}
	// Now that nothing runs on it, the generation can go.
	if err := two.SweepGenerations(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := must(s.engine.Generations(t.Context()))
	if len(all) != 2 || all[0].ID == began.Generation || all[1].ID == began.Generation {
		t.Errorf("%d generations are left, want the last 2", len(all))
	}
}

func TestCancel(t *testing.T) {
	r := receive(t)
	g := &gate{match: "/text-md5", hold: make(chan struct{})}
	s := start(t, gated(g))
	two := int64(2)
	c := s.add("c", CallerSettings{Builds: &two})
	c.Grants = throng.Grants()
	d := definition(everyone)
	d.CallbackURL = r.URL
	a := s.create(c, d)
	<-g.seen
	for range 2 { // the second time changes nothing
		if err := s.CancelAudience(t.Context(), c, a.ID); err != nil {
			t.Fatal(err)
		}
	}
	close(g.hold)
	if err := s.jobs.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	got := must(s.Audience(t.Context(), c, a.ID))
	if got.Status != throng.Canceled || got.Size != nil || got.FinishedAt.IsZero() {
		t.Errorf("audience = %+v, want canceled and without size", got)
	}
	if left, _ := s.Credits(t.Context(), c); left.Builds != 2 {
		t.Errorf("builds left = %d, want 2: a canceled build gives its credit back, once", left.Builds)
	}
	if keys := s.files(a.ID); len(keys) != 0 {
		t.Errorf("files of a canceled build: %q, want none", keys)
	}
	if list, _, err := s.Callbacks(t.Context(), c, CallbackFilter{}); err != nil || len(list) != 0 {
		t.Errorf("callbacks = %+v, %v, want none for a canceled build", list, err)
	}
}

func TestDelete(t *testing.T) {
	g := &gate{match: "/text-md5"}
	s := start(t, gated(g))
	used := s.build(s.caller, everyone)
	u := must(s.CreateUpload(t.Context(), s.caller, "ss_id", "", strings.NewReader("p1\n"), nil))
	g.hold = make(chan struct{})
	running := s.create(s.caller, definition(fmt.Sprintf(
		`[{"operation":"OR","audience":{"ids":[%d]}},{"operation":"OR","upload":{"keys":[%q],"type":"ss_id"}}]`, used.ID, u.Key)))
	<-g.seen
	wantCode(t, s.DeleteAudience(t.Context(), s.caller, used.ID), throng.Conflict)
	wantCode(t, s.DeleteUpload(t.Context(), s.caller, u.Key), throng.Conflict)
	wantCode(t, s.CancelAudience(t.Context(), s.caller, used.ID), throng.Conflict)
	if err := s.DeleteAudience(t.Context(), s.caller, running.ID); err != nil {
		t.Fatalf("DeleteAudience of a running one: %v", err)
	}
	close(g.hold)
	for name, err := range map[string]error{
		"used audience": s.DeleteAudience(t.Context(), s.caller, used.ID),
		"used upload":   s.DeleteUpload(t.Context(), s.caller, u.Key),
	} {
		if err != nil {
			t.Errorf("delete %s when the build is gone: %v", name, err)
		}
	}
	for _, id := range []int64{used.ID, running.ID} {
		_, err := s.Audience(t.Context(), s.caller, id)
		wantCode(t, err, throng.NotFound)
	}
	if err := s.jobs.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	for info, err := range s.blobs.List(t.Context(), "") {
		t.Errorf("file %s is left (%v), want none", info.Key, err)
	}
}

// What was accepted on one generation may not be there when the build begins.
func TestDatasetChanges(t *testing.T) {
	s := open(t)
	s.load(people())
	one := int64(1)
	c := s.add("c", CallerSettings{Builds: &one})
	a := s.create(c, definition(`[{"operation":"OR","affinities":{"affinities":[{"id":"a1"}]}}]`))
	s.load(map[string]string{"people.csv": "person\nq1\n"})
	s.run()
	got := s.wait(c, a.ID)
	if got.Status != throng.Failed || got.Failure == nil || got.Failure.Code != string(throng.Invalid) || got.Failure.Retry ||
		!strings.Contains(got.Failure.Message, "parameters[0].affinities.affinities[0].id") {
		t.Errorf("audience = %s, failure %+v, want it to name the affinity that is gone", got.Status, got.Failure)
	}
	if left, _ := s.Credits(t.Context(), c); left.Builds != 1 {
		t.Errorf("builds left = %d, want 1", left.Builds)
	}
}

// lateEngine is an engine whose first generation is long in coming.
type lateEngine struct {
	engine.Engine
	hold chan struct{}
	seen chan struct{} // closed when somebody waits
	once sync.Once
}

func (e *lateEngine) Acquire(ctx context.Context, id string) (engine.Generation, error) {
	e.once.Do(func() {
		close(e.seen)
		<-e.hold
	})
	return e.Engine.Acquire(ctx, id)
}

// A worker that comes back after its build was taken over writes nothing into
// what the other one makes, whatever it was about to write.
func TestLateWorker(t *testing.T) {
	late := &lateEngine{hold: make(chan struct{}), seen: make(chan struct{})}
	s := open(t, func(c *Config) {
		late.Engine, c.BuildWorkers = c.Engine, 1
		late.once.Do(func() {}) // until the build is about to begin
		c.Engine = late
	})
	s.load(people())
	a := s.create(s.caller, definition(everyone))
	late.once = sync.Once{}
	s.run()
	<-late.seen
	g := &gate{match: "/text-md5", hold: make(chan struct{})}
	two := s.again(gated(g), func(c *Config) { c.Engine = late.Engine })
	two.run()
	<-g.seen
	began := must(two.Audience(t.Context(), two.caller, a.ID))
	s.load(people())
	close(late.hold)
	if err := s.jobs.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	close(g.hold)
	done := two.wait(two.caller, a.ID)
	if done.Status != throng.Done || done.Generation != began.Generation || !done.AsOf.Equal(began.AsOf) {
		t.Errorf("the audience is %s, of generation %s, want done of %s, with which the worker began that built it", done.Status, done.Generation, began.Generation)
	}
}

// TestCancelInEveryStep cancels a build, and deletes it, at each of its steps:
// nothing of it stays, its credit comes back, and nobody is called.
func TestCancelInEveryStep(t *testing.T) {
	r := receive(t)
	for _, at := range []string{"/" + rowstore.Prefix, "/text-ss_id", "/text-md5", "/members-md5"} {
		for name, end := range map[string]func(s *testService, c *throng.Caller, id int64) error{
			"cancel": func(s *testService, c *throng.Caller, id int64) error { return s.CancelAudience(t.Context(), c, id) },
			"delete": func(s *testService, c *throng.Caller, id int64) error { return s.DeleteAudience(t.Context(), c, id) },
		} {
			t.Run(name+at, func(t *testing.T) {
				g := &gate{match: at, hold: make(chan struct{})}
				s := start(t, gated(g))
				two := int64(2)
				c := s.add("c", CallerSettings{Builds: &two})
				c.Grants = throng.Grants()
				d := definition(everyone)
				d.CallbackURL = r.URL
				a := s.create(c, d)
				<-g.seen
				if err := end(s, c, a.ID); err != nil {
					t.Fatal(err)
				}
				close(g.hold)
				if err := s.jobs.Stop(context.Background()); err != nil {
					t.Fatal(err)
				}
				if left, _ := s.Credits(t.Context(), c); left.Builds != 2 {
					t.Errorf("builds left = %d, want 2", left.Builds)
				}
				if keys := s.files(a.ID); len(keys) != 0 {
					t.Errorf("files are left: %q", keys)
				}
				if list, _, err := s.Callbacks(t.Context(), c, CallbackFilter{}); err != nil || len(list) != 0 {
					t.Errorf("callbacks = %+v, %v, want none", list, err)
				}
			})
		}
	}
	if n := r.count(); n != 0 {
		t.Errorf("%d callbacks were sent, want none", n)
	}
}

// TestFailureOf: every cause of a build's failure has a code and says what to do,
// without telling of the inside.
func TestFailureOf(t *testing.T) {
	for _, tt := range []struct {
		cause error
		want  throng.Failure
	}{
		{throng.Errorf(throng.Invalid, "parameters[0] is wrong"), throng.Failure{Code: "invalid_request", Message: "parameters[0] is wrong"}},
		{fmt.Errorf("hold generation: %w", engine.ErrNoGeneration), throng.Failure{Code: "unavailable", Message: "no dataset is loaded", Retry: true}},
		{fmt.Errorf("/data/a: %w", engine.ErrCorrupt), throng.Failure{Code: "internal", Message: "a file of the index is damaged; the operator must load the dataset again", Retry: true}},
		{fmt.Errorf("/data/a: %w", engine.ErrFormat), throng.Failure{Code: "internal", Message: "the index was written by another version; the operator must load the dataset again", Retry: true}},
		{fmt.Errorf("%w, for the 25. time", job.ErrDied), throng.Failure{Code: "internal", Message: "the server ended too often while it worked on this; the operator must find out why", Retry: true}},
		{errors.New("write /data/b: no space left on device"), throng.Failure{Code: "internal", Message: "the build ended with an internal error", Retry: true}},
	} {
		if diff := cmp.Diff(tt.want, failureOf(tt.cause)); diff != "" {
			t.Errorf("failureOf(%v) (-want +got):\n%s", tt.cause, diff)
		}
	}
}
