// Package deliverytest is the suite that every kind of destination passes:
// whatever is killed at whatever moment, what arrives is what was to be sent,
// once.
package deliverytest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"throng"
	"throng/delivery"
	"throng/identifier"
)

// Place is a receiver that a test has for itself.
type Place struct {
	Kind   delivery.Kind
	Secret delivery.Secret
	// Orders are those that are tried, by a name: one that makes something, and
	// one that replaces what was there, where the kind can.
	Orders map[string]delivery.Order
	// Complete lists what is complete at the receiver and belongs to an order,
	// each as its device ids by type, sorted. What was there before an Update
	// does not belong to it.
	Complete func(t *testing.T, o delivery.Order) []map[identifier.Type][]string
}

// Run holds a kind to the promises of [delivery.Destination]. open gives a new
// place, with nothing of any order in it.
func Run(t *testing.T, open func(t *testing.T) *Place) {
	for name := range open(t).Orders {
		t.Run(name, func(t *testing.T) {
			fresh := func(t *testing.T) *run {
				p := open(t)
				return &run{t: t, p: p, o: p.Orders[name], lists: Lists(), want: contents(t, Lists())}
			}
			t.Run("whole", func(t *testing.T) { whole(fresh(t)) })
			t.Run("killed after a step", func(t *testing.T) { killedAfter(t, fresh) })
			t.Run("killed before a step is stored", func(t *testing.T) { killedBefore(t, fresh) })
			t.Run("killed within a step", func(t *testing.T) { killedWithin(t, fresh) })
			t.Run("after its end", func(t *testing.T) { afterEnd(fresh(t)) })
			t.Run("canceled", func(t *testing.T) { canceled(fresh(t)) })
			t.Run("one id", func(t *testing.T) { oneID(fresh(t)) })
			t.Run("a list that cannot be read", func(t *testing.T) { unreadable(fresh(t)) })
		})
	}
}

// Lists are what the suite sends: raw ids and sums, of some length, and an OAID
// that could be the name of a column.
func Lists() []delivery.List {
	hexes := func(format string, n int) (ids []string) {
		for i := range n {
			ids = append(ids, fmt.Sprintf(format, i+1))
		}
		return ids
	}
	return []delivery.List{
		NewList(identifier.GAID, hexes("1a2b3c4d-5e6f-4081-92a3-%012x", 5000)),
		NewList(identifier.IDFA, hexes("1A2B3C4D-5E6F-4081-92A3-%012X", 7)),
		NewList(identifier.OAID, []string{"oaid", "device-id"}),
		NewList(identifier.IDFAMD5, hexes("%032x", 3)),
	}
}

// NewList is a list in memory.
func NewList(t identifier.Type, ids []string) delivery.List {
	text := strings.Join(ids, "\n") + "\n"
	return delivery.List{Type: t, Rows: int64(len(ids)), Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(text)), nil
	}}
}

// contents is what lists hold, by type, sorted.
func contents(t *testing.T, lists []delivery.List) map[identifier.Type][]string {
	t.Helper()
	all := map[identifier.Type][]string{}
	for _, l := range lists {
		r, err := l.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err = errors.Join(err, r.Close()); err != nil {
			t.Fatal(err)
		}
		all[l.Type] = strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
		slices.Sort(all[l.Type])
	}
	return all
}

// run is one delivery under test.
type run struct {
	t     *testing.T
	p     *Place
	o     delivery.Order
	lists []delivery.List
	want  map[identifier.Type][]string

	state json.RawMessage
	last  delivery.Result
}

// attempt takes a step as a process does that has just started. The state has
// been through a database, where only its JSON survives.
func (r *run) attempt(ctx context.Context, lists []delivery.List) (delivery.Result, error) {
	r.t.Helper()
	if problems := r.p.Kind.Check(r.o, r.p.Secret); len(problems) > 0 {
		r.t.Fatalf("Check() = %v, want nothing", problems)
	}
	d, err := r.p.Kind.Open(r.o, r.p.Secret)
	if err != nil {
		r.t.Fatalf("Open() = %v", err)
	}
	var state json.RawMessage
	if r.state != nil {
		var b bytes.Buffer
		if err := json.Indent(&b, r.state, "", "\t"); err != nil {
			r.t.Fatalf("state %q is no JSON: %v", r.state, err)
		}
		state = b.Bytes()
	}
	return d.Step(ctx, lists, state)
}

// step takes a step and keeps its state.
func (r *run) step() bool {
	r.t.Helper()
	res, err := r.attempt(r.t.Context(), r.lists)
	if err != nil {
		r.t.Fatalf("Step() after state %s = %v", r.state, err)
	}
	r.check(res)
	r.state, r.last = res.State, res
	return res.Done
}

// check holds what a step tells to what is true at any time.
func (r *run) check(res delivery.Result) {
	r.t.Helper()
	for _, secret := range []string{r.p.Secret.AccessKey, r.p.Secret.APIKey} {
		if secret != "" && strings.Contains(string(res.State), secret) {
			r.t.Fatal("the state holds a secret")
		}
	}
	if !res.Done && res.Next == "" {
		r.t.Error("a step does not tell what the next one does")
	}
	if complete := r.p.Complete(r.t, r.o); !res.Done && len(complete) > 0 {
		r.t.Errorf("%d complete before the last step", len(complete))
	}
}

// maxSteps is more than any delivery of the suite takes.
const maxSteps = 50

// finish takes all steps that are left, and checks what has arrived.
func (r *run) finish() {
	r.t.Helper()
	for range maxSteps {
		if r.step() {
			r.arrived()
			return
		}
	}
	r.t.Fatalf("not done after %d steps; the next is %q", maxSteps, r.last.Next)
}

func (r *run) arrived() {
	r.t.Helper()
	if diff := cmp.Diff([]map[identifier.Type][]string{r.want}, r.p.Complete(r.t, r.o)); diff != "" {
		r.t.Errorf("what has arrived (-want +got):\n%s", diff)
	}
	rows := map[identifier.Type]int64{}
	for _, s := range r.last.Sent {
		rows[s.Type] += s.Rows
		if s.Path == "" || s.Bytes == 0 || s.MD5 == "" && s.SHA256 == "" {
			r.t.Errorf("sent %+v, want bytes, a sum and a path", s)
		}
	}
	for _, l := range r.lists {
		if rows[l.Type] != l.Rows {
			r.t.Errorf("told to have sent %d of %s, want %d", rows[l.Type], l.Type, l.Rows)
		}
	}
	if r.last.RemoteID == "" {
		r.t.Error("the receiver's name of the audience is not told")
	}
}

func whole(r *run) { r.finish() }

// steps is how many a delivery takes.
func steps(r *run) int {
	r.t.Helper()
	for n := 1; n <= maxSteps; n++ {
		if r.step() {
			return n
		}
	}
	r.t.Fatalf("not done after %d steps", maxSteps)
	return 0
}

// killedAfter: each step of the suite is taken by a new destination anyway, so
// that a whole delivery is one killed after every step; here the lists are
// opened anew, too.
func killedAfter(t *testing.T, fresh func(*testing.T) *run) {
	r := fresh(t)
	for range maxSteps {
		r.lists = Lists()
		if r.step() {
			r.arrived()
			return
		}
	}
	t.Fatalf("not done after %d steps", maxSteps)
}

// killedBefore: of every step in turn, what it did stays and what it returned is
// lost.
func killedBefore(t *testing.T, fresh func(*testing.T) *run) {
	for n := range steps(fresh(t)) {
		r := fresh(t)
		for range n {
			r.step()
		}
		for range 2 {
			if _, err := r.attempt(t.Context(), r.lists); err != nil {
				t.Fatalf("step %d, lost: %v", n+1, err)
			}
		}
		r.finish()
	}
}

var errCut = errors.New("cut")

// cut ends a reader in the middle.
type cut struct {
	io.Reader
	left int
	end  func()
}

func (c *cut) Read(p []byte) (int, error) {
	if c.left <= 0 {
		c.end()
		return 0, errCut
	}
	n, err := c.Reader.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

func (c *cut) Close() error { return nil }

// killedWithin: every step is cut off in the middle of a list, once while its
// context ends, and then taken again.
func killedWithin(t *testing.T, fresh func(*testing.T) *run) {
	r := fresh(t)
	for range maxSteps {
		ctx, cancel := context.WithCancel(t.Context())
		broken := slices.Clone(r.lists)
		for i, l := range r.lists {
			broken[i].Open = func(ctx context.Context) (io.ReadCloser, error) {
				in, err := l.Open(ctx)
				return &cut{Reader: in, left: 20, end: cancel}, err
			}
		}
		res, err := r.attempt(ctx, broken)
		cancel()
		if err == nil { // a step that reads no list
			r.check(res)
			r.state, r.last = res.State, res
			if res.Done {
				r.arrived()
				return
			}
			continue
		}
		if complete := r.p.Complete(t, r.o); len(complete) > 0 {
			t.Fatalf("%d complete after a step that was cut off", len(complete))
		}
		if r.step() {
			r.arrived()
			return
		}
	}
	t.Fatalf("not done after %d steps", maxSteps)
}

// afterEnd: a step after the last changes nothing.
func afterEnd(r *run) {
	r.finish()
	want := r.last
	if !r.step() {
		r.t.Error("a step after the last is not done")
	}
	if diff := cmp.Diff(want.Sent, r.last.Sent); diff != "" || want.RemoteID != r.last.RemoteID {
		r.t.Errorf("a step after the last tells otherwise (-want +got):\n%s", diff)
	}
	r.arrived()
}

// canceled: a step whose context is done fails, and does nothing.
func canceled(r *run) {
	ctx, cancel := context.WithCancel(r.t.Context())
	cancel()
	for range maxSteps {
		if _, err := r.attempt(ctx, r.lists); err == nil {
			r.t.Fatalf("a step after state %s succeeds with a context that is done", r.state)
		}
		if r.step() {
			r.arrived()
			return
		}
	}
}

func oneID(r *run) {
	r.lists = []delivery.List{NewList(identifier.IMEI, []string{"490154203237518"})}
	r.want = map[identifier.Type][]string{identifier.IMEI: {"490154203237518"}}
	r.finish()
}

// unreadable: the error of a list is not hidden, nor taken for the receiver's.
func unreadable(r *run) {
	damaged := errors.New("the disk is gone")
	broken := slices.Clone(r.lists)
	for i := range broken {
		broken[i].Open = func(context.Context) (io.ReadCloser, error) { return nil, damaged }
	}
	for range maxSteps {
		if _, err := r.attempt(r.t.Context(), broken); err != nil {
			if !errors.Is(err, damaged) {
				r.t.Errorf("Step() with a list that cannot be read = %v, want %v", err, damaged)
			}
			return
		}
		r.step()
	}
	r.t.Error("a list that cannot be read is sent all the same")
}

// NewOrder is an order of the suite.
func NewOrder() delivery.Order {
	return delivery.Order{
		ID: 17, CallerID: 3, AudienceID: 67454, Name: "Tea & \"Golang\" – spring", Platform: throng.Mixed,
		CreatedAt: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC),
	}
}
