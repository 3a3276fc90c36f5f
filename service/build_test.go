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
	"time"

	"github.com/google/go-cmp/cmp"

	"throng"
	"throng/blob"
	"throng/identifier"
	"throng/sqldb"
	"throng/webhook"
)

const everyone = `[{"operation":"OR","location":{"cities":[{"id":"c1"},{"id":"c2"}]}},{"operation":"OR","youtube_channels":{"accounts":[{"id":"UC1"}]}}]`

func TestBuild(t *testing.T) {
	s := start(t)
	a := s.build(s.caller, everyone)
	if got, want := s.members(a.ID), "p1 p2 p3 p4 p5 p6 p7 p8"; got != want {
		t.Fatalf("members = %q, want %q", got, want)
	}
	info, err := s.Dataset(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if a.Generation != info.ID || !a.AsOf.Equal(info.AsOf) || a.Progress != 1 || a.Step != "" || a.FinishedAt.IsZero() || a.Failure != nil {
		t.Errorf("audience = %+v, want all of a finished one", a)
	}
	if diff := cmp.Diff([]uint64{7, 1}, []uint64{*a.ParameterSizes[0], *a.ParameterSizes[1]}); diff != "" {
		t.Errorf("sizes of parameters (-want +got):\n%s", diff)
	}
	type row struct {
		Type         identifier.Type
		People, Rows uint64
	}
	var got []row
	for _, o := range a.Outputs {
		got = append(got, row{o.Type, o.People, o.Rows})
		if text := s.output(s.caller, a.ID, o.Type, Text); int64(len(text)) != o.Bytes || sha(text) != o.SHA256 {
			t.Errorf("%s: %d bytes %s, want %d %s", o.Type, len(text), sha(text), o.Bytes, o.SHA256)
		}
	}
	// Each e-mail address is an md5 more; p3 has two.
	want := []row{
		{"ss_id", 8, 8}, {"twitter_id", 2, 2}, {"twitter_user", 1, 1}, {"md5", 5, 6}, {"email_raw", 3, 4},
		{"cint_id", 0, 0}, {"ma_id", 1, 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if got, want := string(s.output(s.caller, a.ID, identifier.EmailRaw, Text)), "Ann@Example.com\nbob@example.com\ncyd@example.com\ncyd.two@example.com\n"; got != want {
		t.Errorf("email_raw = %q, want %q", got, want)
	}
}

func TestAudienceAsCriterion(t *testing.T) {
	s := start(t)
	a := s.build(s.caller, everyone)
	use := fmt.Sprintf(`[{"operation":"OR","audience":{"ids":[%d]}},{"operation":"NOT","gender":{"genders":["male"]}}]`, a.ID)
	if got, want := s.members(s.build(s.caller, use).ID), "p1 p3 p5 p6 p8"; got != want {
		t.Errorf("members = %q, want %q", got, want)
	}
	// On a later generation members are found by their key; p1 is gone.
	tables := people()
	tables["people.csv"] = strings.Replace(tables["people.csv"], "p1,20,female,asian,c1,2026-10-31\n", "p0,20,female,,,\n", 1)
	for _, name := range []string{"identifiers.csv", "follows.csv", "interests.csv", "jobs.csv", "personality.csv", "bios.csv"} {
		tables[name] = strings.ReplaceAll(tables[name], "p1,", "p0,")
	}
	s.load(tables)
	b := s.build(s.caller, use)
	if got, want := s.members(b.ID), "p3 p5 p6 p8"; got != want {
		t.Errorf("members on the later generation = %q, want %q", got, want)
	}
	if got := strings.Join(b.Warnings, "\n"); !strings.Contains(got, "1 of the members") {
		t.Errorf("warnings = %q, want one of the member that is gone", got)
	}
	if got, want := s.members(a.ID), "p1 p2 p3 p4 p5 p6 p7 p8"; got != want {
		t.Errorf("members of the finished audience = %q, want them unchanged, %q", got, want)
	}
	if err := s.DeleteAudience(t.Context(), s.caller, a.ID); err != nil {
		t.Errorf("DeleteAudience of one that only finished builds use: %v", err)
	}
}

func TestRegenerate(t *testing.T) {
	s := start(t)
	chooser, md5 := []throng.Grant{throng.ChooseOutputs}, []identifier.Type{identifier.MD5}
	c := s.add("c", CallerSettings{Grants: &chooser})
	d := definition(`[{"operation":"OR","affinities":{"affinities":[{"id":"a1"}]}}]`)
	d.Outputs = &[]string{"md5", "email_raw"}
	a := s.wait(c, s.create(c, d).ID)

	tables := people()
	tables["interests.csv"] += "p8,a3\n"
	s.load(tables)
	if err := s.SetCaller(t.Context(), "c", CallerSettings{CanGenerate: &md5}); err != nil {
		t.Fatal(err)
	}
	c.CanGenerate = md5
	again, err := s.RegenerateAudience(t.Context(), c, a.ID, Build{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := s.wait(c, again.ID)
	if b.ID == a.ID || b.Size == nil || *b.Size != 3 || b.Generation == a.Generation || b.Name != a.Name {
		t.Errorf("regenerated = %+v, want a new audience of 3", b)
	}
	if len(b.Outputs) != 2 || len(b.Warnings) != 1 || !strings.Contains(b.Warnings[0], "email_raw") {
		t.Errorf("outputs %v, warnings %q, want ss_id and md5 and a word on email_raw", b.Outputs, b.Warnings)
	}
	delete(tables, "affinities.csv")
	delete(tables, "interests.csv")
	s.load(tables)
	_, err = s.RegenerateAudience(t.Context(), c, a.ID, Build{}, nil)
	wantCode(t, err, throng.Invalid, "parameters[0].affinities.affinities[0].id")
}

func TestMinimumSize(t *testing.T) {
	s := start(t, func(c *Config) { c.MinimumSize = 3 })
	a := s.build(s.caller, `[{"operation":"OR","affinities":{"affinities":[{"id":"a1"}]}}]`)
	if a.Size != nil || a.SizeHidden == "" || len(a.Outputs) != 0 || a.ParameterSizes[0] != nil {
		t.Errorf("audience of 2 = %+v, want no size and no files", a)
	}
	_, err := s.OpenOutput(t.Context(), s.caller, a.ID, "ss_id", Text)
	wantCode(t, err, throng.NotFound)
	// Its members are known all the same.
	b := s.build(s.caller, fmt.Sprintf(`[{"operation":"OR","location":{"cities":[{"id":"c1"},{"id":"c2"}]}},{"operation":"NOT","audience":{"ids":[%d]}}]`, a.ID))
	if got, want := s.members(b.ID), "p3 p4 p6 p7 p8"; got != want {
		t.Errorf("members without the hidden ones = %q, want %q", got, want)
	}
	p, err := s.PreviewAudience(t.Context(), s.caller, definition(`[{"operation":"OR","location":{"cities":[{"id":"c1"}]}},{"operation":"AND","affinities":{"affinities":[{"id":"a1"}]}}]`))
	if err != nil || *p.Include != 4 || p.Filter != nil || p.Exclude != nil || p.Size != nil || p.SizeHidden == "" || *p.Parameters[0].Size != 4 || p.Parameters[1].Size != nil {
		t.Errorf("preview = %+v, %v, want 4 and nothing below 3", p, err)
	}
}

func TestCredits(t *testing.T) {
	s := start(t)
	one := int64(1)
	c := s.add("poor", CallerSettings{Builds: &one})
	d := definition(`[{"operation":"OR","affinities":{"affinities":[{"id":"a1"}]}}]`)
	s.wait(c, s.create(c, d).ID)
	_, err := s.CreateAudience(t.Context(), c, d, nil)
	wantCode(t, err, throng.CreditsExhausted)
	if got, err := s.Credits(t.Context(), c); err != nil || got != (throng.Credits{Builds: 0, Insights: -1, Expansions: -1}) {
		t.Errorf("Credits = %+v, %v, want no builds left", got, err)
	}
	if err := s.SetCaller(t.Context(), "poor", CallerSettings{Builds: &one}); err != nil {
		t.Fatal(err)
	}
	_, err = s.CreateAudience(t.Context(), c, definition(`[{"operation":"OR","affinities":{"affinities":[{"id":"nope"}]}}]`), nil)
	wantCode(t, err, throng.Invalid)
	if got, _ := s.Credits(t.Context(), c); got.Builds != 1 {
		t.Errorf("builds after a refusal = %d, want 1", got.Builds)
	}
}

func TestOnce(t *testing.T) {
	s := open(t)
	s.load(people())
	var words atomic.Int64
	once := func(key, hash string) *Once {
		return &Once{Method: "POST", Path: "/audiences", Key: key, BodyHash: hash, Answer: func(made any) (int, []byte, error) {
			words.Add(1)
			return 200, []byte(fmt.Sprint(made.(*throng.Audience).ID)), nil
		}}
	}
	d := definition(`[{"operation":"OR","affinities":{"affinities":[{"id":"a1"}]}}]`)
	a, err := s.CreateAudience(t.Context(), s.caller, d, once("k", "h"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateAudience(t.Context(), s.caller, d, once("k", "h")); !errors.Is(err, ErrAnswered) {
		t.Errorf("the same again: %v, want ErrAnswered", err)
	}
	kept, err := s.Answered(t.Context(), s.caller, *once("k", "h"))
	if err != nil || kept == nil || string(kept.Body) != fmt.Sprint(a.ID) || kept.Status != 200 {
		t.Errorf("Answered = %+v, %v, want the id %d", kept, err, a.ID)
	}
	_, err = s.Answered(t.Context(), s.caller, *once("k", "other"))
	wantCode(t, err, throng.Conflict)
	_, err = s.CreateAudience(t.Context(), s.caller, d, once("k", "other"))
	wantCode(t, err, throng.Conflict)
	other := s.add("other", CallerSettings{})
	if kept, err := s.Answered(t.Context(), other, *once("k", "h")); kept != nil || err != nil {
		t.Errorf("Answered to another caller = %+v, %v, want nothing", kept, err)
	}
	if _, err := s.CreateAudience(t.Context(), s.caller, definition(`[]`), once("bad", "h")); err == nil {
		t.Error("an empty definition was accepted")
	}
	if kept, _ := s.Answered(t.Context(), s.caller, *once("bad", "h")); kept != nil {
		t.Errorf("a refusal was kept: %+v", kept)
	}
	list, _, err := s.ListAudiences(t.Context(), s.caller, AudienceFilter{})
	if err != nil || len(list) != 1 {
		t.Errorf("%d audiences, %v, want 1", len(list), err)
	}

	s.clock.Add(24*time.Hour + time.Second)
	if kept, err := s.Answered(t.Context(), s.caller, *once("k", "h")); kept != nil || err != nil {
		t.Errorf("Answered a day later = %+v, %v, want nothing", kept, err)
	}
	if _, err := s.CreateAudience(t.Context(), s.caller, d, once("k", "h")); err != nil {
		t.Errorf("a day later: %v, want a new audience", err)
	}

	var wg sync.WaitGroup
	var made, answered atomic.Int64
	for range 8 {
		wg.Go(func() {
			switch _, err := s.CreateAudience(t.Context(), s.caller, d, once("race", "h")); {
			case err == nil:
				made.Add(1)
			case errors.Is(err, ErrAnswered):
				answered.Add(1)
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 || answered.Load() != 7 {
		t.Errorf("of 8 at once %d were made and %d answered, want 1 and 7", made.Load(), answered.Load())
	}
}

func TestIsolation(t *testing.T) {
	s := start(t)
	other := s.add("other", CallerSettings{})
	a := s.build(s.caller, everyone)
	u := must(s.CreateUpload(t.Context(), s.caller, "ss_id", "", strings.NewReader("p1\n"), nil))
	for name, err := range map[string]error{
		"Audience":           second(s.Audience(t.Context(), other, a.ID)),
		"CancelAudience":     s.CancelAudience(t.Context(), other, a.ID),
		"DeleteAudience":     s.DeleteAudience(t.Context(), other, a.ID),
		"RegenerateAudience": second(s.RegenerateAudience(t.Context(), other, a.ID, Build{}, nil)),
		"OpenOutput":         second(s.OpenOutput(t.Context(), other, a.ID, "ss_id", Text)),
		"Upload":             second(s.Upload(t.Context(), other, u.Key)),
		"DeleteUpload":       s.DeleteUpload(t.Context(), other, u.Key),
		"absent Audience":    second(s.Audience(t.Context(), s.caller, 1<<40)),
	} {
		if throng.CodeOf(err) != throng.NotFound || err == nil {
			t.Errorf("%s of another caller's = %v, want not_found", name, err)
		}
	}
	if list, _, err := s.ListAudiences(t.Context(), other, AudienceFilter{}); err != nil || len(list) != 0 {
		t.Errorf("the other caller sees %d audiences, %v, want none", len(list), err)
	}
	if list, _, err := s.Uploads(t.Context(), other, throng.Page{}); err != nil || len(list) != 0 {
		t.Errorf("the other caller sees %d uploads, %v, want none", len(list), err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestViewAndDownload(t *testing.T) {
	s := start(t)
	view, download := []identifier.Type{identifier.MD5}, []identifier.Type{identifier.EmailRaw}
	c := s.add("c", CallerSettings{CanView: &view, CanDownload: &download})
	a := s.build(c, `[{"operation":"OR","affinities":{"affinities":[{"id":"a1"}]}}]`)
	var seen []string
	for _, o := range a.Outputs {
		seen = append(seen, string(o.Type))
	}
	if diff := cmp.Diff([]string{"ss_id", "md5"}, seen); diff != "" {
		t.Errorf("files seen (-want +got):\n%s", diff)
	}
	if got, want := string(s.output(c, a.ID, identifier.EmailRaw, Text)), "Ann@Example.com\nbob@example.com\n"; got != want {
		t.Errorf("email_raw = %q, want %q", got, want)
	}
	_, err := s.OpenOutput(t.Context(), c, a.ID, "md5", Text)
	wantCode(t, err, throng.Forbidden)
	_, err = s.OpenOutput(t.Context(), c, a.ID, "fax", Text)
	wantCode(t, err, throng.NotFound)
	_, err = s.OpenOutput(t.Context(), c, a.ID, "ss_id", "xml")
	wantCode(t, err, throng.Invalid, "format")
}

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
	for info, err := range s.blobs.List(s.t.Context(), audiencePrefix(id)) {
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
	s := start(t, gated(g))
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
		return slices.DeleteFunc(two.files(a.ID), func(key string) bool { return strings.Contains(key, rowsPrefix) })
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

func TestCallback(t *testing.T) {
	r := receive(t, 500)
	s := start(t)
	d := definition(everyone)
	d.CallbackURL = r.URL + "/path?q=1"
	a := s.wait(s.caller, s.create(s.caller, d).ID)
	list, next, err := s.Callbacks(t.Context(), s.caller, CallbackFilter{})
	if err != nil || len(list) != 1 || next != "" || list[0].AudienceID != a.ID || list[0].URL != d.CallbackURL {
		t.Fatalf("Callbacks = %+v, %q, %v, want one of audience %d", list, next, err, a.ID)
	}
	id := list[0].ID
	state := func() *Callback { return must(s.Callback(t.Context(), s.caller, id)) }
	waitFor(t, func() bool { return state().Status == sqldb.CallbackDelivered })
	c := state()
	if len(c.Attempts) != 2 || c.Attempts[0].HTTPStatus != 500 || c.Attempts[0].Error == "" || c.Attempts[1].HTTPStatus != 200 || c.Attempts[1].Error != "" || !c.NextAttemptAt.IsZero() {
		t.Errorf("callback = %+v, want a 500 and a 200", c)
	}
	if want := string(must(render(*a))); r.bodies[0] != want || r.bodies[1] != want {
		t.Errorf("bodies = %q, want %s twice", r.bodies, want)
	}
	if r.got[0].Header.Get("webhook-id") != r.got[1].Header.Get("webhook-id") || r.got[0].Header.Get("webhook-signature") == "" {
		t.Error("attempts differ in their id, or are not signed")
	}
	if _, err := s.ReplayCallback(t.Context(), s.caller, id, nil); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return len(state().Attempts) == 3 && state().Status == sqldb.CallbackDelivered })
	other := s.add("other", CallerSettings{})
	_, err = s.Callback(t.Context(), other, id)
	wantCode(t, err, throng.NotFound)
	_, err = s.ReplayCallback(t.Context(), other, id, nil)
	wantCode(t, err, throng.NotFound)
}

func TestCallbackGone(t *testing.T) {
	r := receive(t, 410)
	s := start(t)
	d := definition(everyone)
	d.CallbackURL = r.URL
	s.create(s.caller, d)
	var list []Callback
	waitFor(t, func() bool {
		list, _, _ = s.Callbacks(t.Context(), s.caller, CallbackFilter{Status: "failed"})
		return len(list) == 1
	})
	if len(list[0].Attempts) != 1 || list[0].Attempts[0].HTTPStatus != 410 || r.count() != 1 {
		t.Errorf("callback = %+v, want one attempt alone", list[0])
	}
}

func TestList(t *testing.T) {
	s := open(t)
	s.load(people())
	var ids []int64
	for i := range 5 {
		d := definition(everyone)
		d.Name = fmt.Sprintf("Audience %d of ÉCOLE", i)
		ids = append([]int64{s.create(s.caller, d).ID}, ids...)
	}
	var got []int64
	page := throng.Page{Limit: 2}
	for range 4 {
		list, next, err := s.ListAudiences(t.Context(), s.caller, AudienceFilter{Query: "école", Page: page})
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range list {
			got = append(got, a.ID)
		}
		if page.Next = next; next == "" {
			break
		}
	}
	if diff := cmp.Diff(ids, got); diff != "" {
		t.Errorf("ids over all pages, newest first (-want +got):\n%s", diff)
	}
	for _, f := range []AudienceFilter{
		{Status: "sleeping"},
		{Kind: "odd"},
		{Page: throng.Page{Limit: 501}},
		{Page: throng.Page{Next: "!"}},
	} {
		_, _, err := s.ListAudiences(t.Context(), s.caller, f)
		wantCode(t, err, throng.Invalid)
	}
	if list, _, err := s.ListAudiences(t.Context(), s.caller, AudienceFilter{Status: throng.Done}); err != nil || len(list) != 0 {
		t.Errorf("done = %d, %v, want none", len(list), err)
	}
	if a := must(s.Audience(t.Context(), s.caller, ids[0])); a.Step != "queued" || a.Status != throng.Running {
		t.Errorf("a build that waits is %s at %q, want running at queued", a.Status, a.Step)
	}
}

func TestNotLoaded(t *testing.T) {
	s := open(t)
	_, err := s.CreateAudience(t.Context(), s.caller, definition(everyone), nil)
	wantCode(t, err, throng.Unavailable)
	if e := new(throng.Error); !errors.As(err, &e) || e.RetryAfter <= 0 {
		t.Errorf("error = %+v, want it to tell when to come again", err)
	}
	_, err = s.CreateUpload(t.Context(), s.caller, "md5", "", strings.NewReader(""), nil)
	wantCode(t, err, throng.Unavailable)
	_, err = s.Affinities(t.Context(), AffinityFilter{})
	wantCode(t, err, throng.Unavailable)
	if err := s.Ready(t.Context()); err == nil {
		t.Error("Ready = nil, want an error")
	}
	s.load(people())
	if err := s.Ready(t.Context()); err != nil {
		t.Errorf("Ready = %v, want nil", err)
	}
}

func TestCount(t *testing.T) {
	s := start(t)
	c := s.add("c", CallerSettings{})
	u := must(s.CreateUpload(t.Context(), c, "ss_id", "", strings.NewReader("p1\np2\n"), nil))
	d := definition(fmt.Sprintf(`[{"operation":"OR","age":{"ranges":["over 54"]}},{"operation":"OR","upload":{"keys":[%q],"type":"ss_id"}}]`, u.Key))
	for name, want := range map[string]uint64{"": 3, "c": 3} {
		p, err := s.Count(t.Context(), name, d)
		if err != nil || *p.Size != want {
			t.Errorf("Count for %q = %+v, %v, want %d", name, p, err, want)
		}
	}
	_, err := s.Count(t.Context(), "all", d)
	wantCode(t, err, throng.Invalid, "parameters[1].upload.keys[0]")
	_, err = s.Count(t.Context(), "nobody", d)
	wantCode(t, err, throng.NotFound)
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

func TestUploadIsMatchedAnew(t *testing.T) {
	s := start(t)
	u := must(s.CreateUpload(t.Context(), s.caller, "email_raw", "", strings.NewReader("bob@example.com\n"), nil))
	use := fmt.Sprintf(`[{"operation":"OR","upload":{"keys":[%q],"type":"email_raw"}}]`, u.Key)
	if got := s.members(s.build(s.caller, use).ID); got != "p2" {
		t.Errorf("members = %q, want p2", got)
	}
	tables := people()
	tables["identifiers.csv"] = strings.Replace(tables["identifiers.csv"], "p2,email_raw,bob", "p8,email_raw,BOB", 1)
	s.load(tables)
	if got := s.members(s.build(s.caller, use).ID); got != "p8" {
		t.Errorf("members on the next generation = %q, want p8", got)
	}
}

func TestCallbackRefused(t *testing.T) {
	r := receive(t)
	s := start(t, func(c *Config) {
		c.Sender = webhook.NewSender(webhook.Config{})
		c.AllowPrivateCallbacks = false
	})
	d := definition(everyone)
	d.CallbackURL = r.URL
	a := s.wait(s.caller, s.create(s.caller, d).ID)
	if a.Status != throng.Done {
		t.Errorf("status = %s, want done all the same", a.Status)
	}
	var list []Callback
	waitFor(t, func() bool {
		list, _, _ = s.Callbacks(t.Context(), s.caller, CallbackFilter{Status: "refused"})
		return len(list) == 1
	})
	if len(list[0].Attempts) != 1 || list[0].Attempts[0].Error == "" || r.count() != 0 {
		t.Errorf("callback = %+v after %d calls, want one refused attempt and no call", list[0], r.count())
	}
}

// A callback that is not delivered yet outlives the server that made it.
func TestCallbackAfterRestart(t *testing.T) {
	r := receive(t, 503)
	s := start(t)
	d := definition(everyone)
	d.CallbackURL = r.URL
	s.create(s.caller, d)
	waitFor(t, func() bool { return r.count() == 1 })
	if err := s.jobs.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	two := s.again()
	two.run()
	waitFor(t, func() bool {
		list, _, _ := two.Callbacks(t.Context(), two.caller, CallbackFilter{Status: "delivered"})
		return len(list) == 1 && r.count() == 2
	})
}

// waitFor waits for a state that another goroutine brings about.
func waitFor(t testing.TB, state func() bool) {
	t.Helper()
	deadline, tick := time.After(20*time.Second), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for !state() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the state that was waited for did not come")
		}
	}
}
