package service

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"throng"
	"throng/sqldb"
)

// row makes an audience of a kind that stands so, and whether files of it were
// read before.
func (s *testService) row(c *throng.Caller, kind throng.AudienceKind, status string, read bool) int64 {
	s.t.Helper()
	more := []byte(`{}`)
	if read {
		more = []byte(`{"devices":{"counts":{}}}`)
	}
	return must(s.db.InsertAudience(s.t.Context(), sqldb.Audience{
		CallerID: c.ID, Kind: string(kind), Name: "n", Status: status, Details: more, Platform: 1, CreatedAt: s.now(),
	}))
}

func TestOffers(t *testing.T) {
	s := open(t)
	ready, second := s.row(s.caller, throng.Device, sqldb.StatusDone, true), s.row(s.caller, throng.Device, sqldb.StatusDone, true)
	o := throng.Offer{ID: 66785, Include: []int64{ready}, Exclude: []int64{second}}
	_, err := s.Offer(t.Context(), s.caller, o.ID)
	wantCode(t, err, throng.NotFound)
	for _, o := range []throng.Offer{o, {ID: o.ID, Include: []int64{second, ready}}, {ID: o.ID, Include: []int64{ready, ready}}, {ID: o.ID}} {
		if err := s.PutOffer(t.Context(), s.caller, o); err != nil {
			t.Fatal(err)
		}
		got := must(s.Offer(t.Context(), s.caller, o.ID))
		want := throng.Offer{ID: o.ID, Include: inOrder(o.Include), Exclude: inOrder(o.Exclude)}
		if diff := cmp.Diff(&want, got); diff != "" {
			t.Errorf("Offer() after PutOffer(%+v) (-want +got):\n%s", o, diff)
		}
	}
	other := s.add("other", CallerSettings{})
	_, err = s.Offer(t.Context(), other, o.ID)
	wantCode(t, err, throng.NotFound)
}

func inOrder(ids []int64) []int64 { return slices.Compact(slices.Sorted(slices.Values(ids))) }

func TestPutOfferRefuses(t *testing.T) {
	s := open(t)
	other := s.add("other", CallerSettings{})
	ready := s.row(s.caller, throng.Device, sqldb.StatusDone, true)
	reading := s.row(s.caller, throng.Device, sqldb.StatusRunning, false)
	failed := s.row(s.caller, throng.Device, sqldb.StatusFailed, false)
	built := s.row(s.caller, throng.Built, sqldb.StatusDone, true)
	foreign := s.row(other, throng.Device, sqldb.StatusDone, true)
	for _, tt := range []struct {
		name             string
		include, exclude []int64
		code             throng.Code
		paths            []string
	}{
		{"unknown", []int64{ready, 999}, nil, throng.NotFound, []string{"include[1]"}},
		{"unknown behind one twice", []int64{ready, ready, 999}, nil, throng.NotFound, []string{"include[2]"}},
		{"another caller's", nil, []int64{foreign}, throng.NotFound, []string{"exclude[0]"}},
		{"built", []int64{built}, nil, throng.NotFound, []string{"include[0]"}},
		{"still read", []int64{reading}, []int64{ready, failed}, throng.Conflict, []string{"exclude[1]", "include[0]"}},
		{"all of it", []int64{reading, 999}, nil, throng.NotFound, []string{"include[0]", "include[1]"}},
	} {
		err := s.PutOffer(t.Context(), s.caller, throng.Offer{ID: 1, Include: tt.include, Exclude: tt.exclude})
		wantCode(t, err, tt.code, tt.paths...)
		_, err = s.Offer(t.Context(), s.caller, 1)
		wantCode(t, err, throng.NotFound)
	}
	// What was ready once stays fit for offers while other files are read, and
	// where these were bad.
	for _, status := range []string{sqldb.StatusRunning, sqldb.StatusFailed} {
		id := s.row(s.caller, throng.Device, status, true)
		if err := s.PutOffer(t.Context(), s.caller, throng.Offer{ID: 2, Include: []int64{id}}); err != nil {
			t.Errorf("PutOffer() of one that is %s again = %v", status, err)
		}
	}
}

// TestRecentOfferSeesChanges: at once what this process changes, soon what
// another one does.
func TestRecentOfferSeesChanges(t *testing.T) {
	s := open(t)
	other := s.again()
	o := throng.Offer{ID: 1}
	if err := s.PutOffer(t.Context(), s.caller, o); err != nil {
		t.Fatal(err)
	}
	want := func(p *testService, exclude int) {
		t.Helper()
		if got := must(p.recentOffer(t.Context(), s.caller, 1)); len(got.Exclude) != exclude {
			t.Errorf("the offer excludes %d audiences, want %d", len(got.Exclude), exclude)
		}
	}
	want(s, 0)
	want(other, 0)
	o.Exclude = []int64{s.row(s.caller, throng.Device, sqldb.StatusDone, true)}
	if err := s.PutOffer(t.Context(), s.caller, o); err != nil {
		t.Fatal(err)
	}
	want(s, 1)
	s.clock.Add(2 * time.Second)
	want(other, 1)
}
