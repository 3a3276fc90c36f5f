package service

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"throng"
	"throng/identifier"
	"throng/service/record"
	"throng/sqldb"
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
		{"ss_id", 8, 8},
		{"twitter_id", 2, 2},
		{"twitter_user", 1, 1},
		{"md5", 5, 6},
		{"email_raw", 3, 4},
		{"cint_id", 0, 0},
		{"ma_id", 1, 1},
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

// TestStore: the files of a build go with a transaction that was refused, stay
// with one that was committed, and are left to the sweep where the commit
// itself failed.
func TestStore(t *testing.T) {
	s := start(t)
	a := s.build(s.caller, everyone)
	want := len(s.files(a.ID))
	put := func(name string) string {
		t.Helper()
		prefix := record.AudiencePrefix(a.ID) + name
		w, err := s.blobs.Create(t.Context(), prefix+"/text-md5")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte("x\n")); err != nil {
			t.Fatal(err)
		}
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		return prefix
	}
	refused := errors.New("refused")
	if err := s.store(t.Context(), put("one"), func(*sqldb.Tx) error { return refused }); !errors.Is(err, refused) {
		t.Errorf("store = %v, want %v", err, refused)
	}
	if got := len(s.files(a.ID)); got != want {
		t.Errorf("%d files after a refused transaction, want %d", got, want)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := s.store(ctx, put("two"), func(*sqldb.Tx) error { cancel(); return nil }) // and the commit fails
	if !errors.Is(err, context.Canceled) {
		t.Errorf("store = %v, want %v", err, context.Canceled)
	}
	if err := s.store(t.Context(), put("three"), func(*sqldb.Tx) error { return nil }); err != nil {
		t.Errorf("store = %v, want nil", err)
	}
	if got := len(s.files(a.ID)); got != want+2 {
		t.Errorf("%d files after a commit in doubt and a good one, want %d", got, want+2)
	}
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := len(s.files(a.ID)); got != want {
		t.Errorf("%d files after the sweep, want %d: nothing knows of the others", got, want)
	}
}
