package service

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng"
	"throng/identifier"
	"throng/service/deviceset"
)

func TestDeviceProblems(t *testing.T) {
	const uuid, md5 = "6d92078a-8246-4ba4-ae5b-76104861e7dc", "0cc175b9c0f1b6a831c399e269772661"
	for _, tt := range []struct {
		typ  identifier.Type
		id   string
		good bool
	}{
		{"idfa", uuid, true},
		{"gaid", uuid, true},
		{"gaid_md5", md5, true},
		{"imei", "490154203237518", true},
		{"oaid", "a-b", true},
		{"idfa", "00000000-0000-0000-0000-000000000000", true},
		{"idfa_md5", "d41d8cd98f00b204e9800998ecf8427e", true},
		{"idfa", md5[1:], false},
		{"idfa_md5", uuid, false},
		{"imei", "490154203237519", false},
		{"oaid", "", false},
		{"ma_id", uuid, false}, // says neither whose
		{"email_raw", "jo@example.com", false},
	} {
		got := DeviceProblems([]throng.DeviceID{{Type: "oaid", ID: "x", Path: "a"}, {Type: tt.typ, ID: tt.id, Path: "b"}})
		var want []throng.Detail
		if !tt.good {
			want = []throng.Detail{{Path: "b", Message: "is no id of the type " + string(tt.typ)}}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("DeviceProblems(%s %q) (-want +got):\n%s", tt.typ, tt.id, diff)
		}
	}
}

func TestMatchOffer(t *testing.T) {
	s := withDevices(t)
	const a, b, c, oaid, imei = "7A1E3C5F-2B4D-4E6F-8A9B-0C1D2E3F4A5B", "1B2C3D4E-5F60-4172-8394-A5B6C7D8E9F0", "C0FFEE00-1111-4222-8333-444455556666", "aB-9", "490154203237518"
	some := s.devicesOf("idfa", "id\n"+a+"\n"+b+"\n", "oaid", "id\n"+oaid+"\n").ID
	hashed := s.devicesOf("idfa_md5", "id\n"+md5Of(b)+"\n"+md5Of(c)+"\n", "imei", "id\n"+imei+"\n").ID
	devices := []throng.DeviceID{
		{Type: "idfa", ID: a, Path: "devices[0].id"},
		{Type: "idfa", ID: strings.ToLower(b), Path: "devices[1].id"},
		{Type: "idfa_md5", ID: strings.ToUpper(md5Of(c)), Path: "devices[2].id"},
		{Type: "idfa", ID: c, Path: "devices[3].id"},
		{Type: "gaid", ID: a, Path: "devices[4].id"},
		{Type: "oaid", ID: oaid, Path: "devices[5].id"},
		{Type: "imei_md5", ID: md5Of(imei), Path: "devices[6].id"},
		{Type: "idfa", ID: "00000000-0000-0000-0000-000000000000", Path: "devices[7].id"},
	}
	for _, tt := range []struct {
		include, exclude []int64
		want             string // one letter a device
	}{
		{[]int64{some}, nil, "yy---y--"},
		{[]int64{hashed}, nil, "-yyy--y-"},
		{[]int64{some, hashed}, nil, "yyyy-yy-"},
		{[]int64{some}, []int64{hashed}, "y----y--"},
		{nil, []int64{hashed}, "y---yy-y"},
		{nil, []int64{some, hashed}, "----y--y"},
		{[]int64{some}, []int64{some}, "--------"},
		{nil, nil, "yyyyyyyy"},
	} {
		if err := s.PutOffer(t.Context(), s.caller, throng.Offer{ID: 1, Include: tt.include, Exclude: tt.exclude}); err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, yes := range must(s.MatchOffer(t.Context(), s.caller, 1, devices)) {
			got += map[bool]string{true: "y", false: "-"}[yes]
		}
		if got != tt.want {
			t.Errorf("MatchOffer(include %v, exclude %v) = %s, want %s", tt.include, tt.exclude, got, tt.want)
		}
	}
}

func TestMatchOfferRefuses(t *testing.T) {
	s := open(t)
	_, err := s.MatchOffer(t.Context(), s.caller, 1, nil)
	wantCode(t, err, throng.NotFound)
	if err := s.PutOffer(t.Context(), s.caller, throng.Offer{ID: 1}); err != nil {
		t.Fatal(err)
	}
	_, err = s.MatchOffer(t.Context(), s.add("other", CallerSettings{}), 1, nil)
	wantCode(t, err, throng.NotFound)
	bad := []throng.DeviceID{{Type: "idfa", ID: "nope", Path: "a"}, {Type: "oaid", ID: "x", Path: "b"}, {Type: "md5", ID: "x", Path: "c"}}
	for _, offer := range []int64{1, 2} { // what is invalid is so whatever it is about
		_, err = s.MatchOffer(t.Context(), s.caller, offer, bad)
		wantCode(t, err, throng.Invalid, "a", "c")
	}
}

// TestMatchOfferAfterUpdate: other files are used once they were read, and not
// where they are bad.
func TestMatchOfferAfterUpdate(t *testing.T) {
	s := withDevices(t, func(c *Config) { c.DeviceLock = -1 })
	id := s.devicesOf("oaid", "oaid_column\na\n").ID
	if err := s.PutOffer(t.Context(), s.caller, throng.Offer{ID: 1, Include: []int64{id}}); err != nil {
		t.Fatal(err)
	}
	devices := []throng.DeviceID{{Type: "oaid", ID: "a"}, {Type: "oaid", ID: "b"}}
	want := func(what string, want ...bool) {
		t.Helper()
		if diff := cmp.Diff(want, must(s.MatchOffer(t.Context(), s.caller, 1, devices))); diff != "" {
			t.Errorf("MatchOffer() %s (-want +got):\n%s", what, diff)
		}
	}
	want("at first", true, false)
	for _, step := range []struct {
		body string
		want []bool
	}{{"oaid_column\nb\n", []bool{false, true}}, {"oaid_column\nno id\n", []bool{false, true}}, {"oaid_column\na\nb\n", []bool{true, true}}} {
		if _, err := s.UpdateDevices(t.Context(), s.caller, id, s.sources("oaid", step.body), nil); err != nil {
			t.Fatal(err)
		}
		s.waitDevices(id)
		want("after an update", step.want...)
	}
}

// TestMatchOfferChangedElsewhere: another server gives an offer another audience
// and deletes the one before, of which this one still knows.
func TestMatchOfferChangedElsewhere(t *testing.T) {
	s := withDevices(t)
	before, after := s.devicesOf("oaid", "oaid_column\na\n").ID, s.devicesOf("oaid", "oaid_column\nb\n").ID
	if err := s.PutOffer(t.Context(), s.caller, throng.Offer{ID: 1, Include: []int64{before}}); err != nil {
		t.Fatal(err)
	}
	devices := []throng.DeviceID{{Type: "oaid", ID: "a"}, {Type: "oaid", ID: "b"}}
	if diff := cmp.Diff([]bool{true, false}, must(s.MatchOffer(t.Context(), s.caller, 1, devices))); diff != "" {
		t.Errorf("MatchOffer() at first (-want +got):\n%s", diff)
	}
	other := s.again()
	if err := other.PutOffer(t.Context(), s.caller, throng.Offer{ID: 1, Include: []int64{after}}); err != nil {
		t.Fatal(err)
	}
	if err := other.DeleteDevices(t.Context(), s.caller, []int64{before}); err != nil {
		t.Fatal(err)
	}
	s.clock.Add(deviceset.Fresh) // where the files are is forgotten, and the offer not yet
	s.offers.Forget(offerKey{s.caller.ID, 1})
	must(s.offers.Get(offerKey{s.caller.ID, 1}, func() (*throng.Offer, error) { return &throng.Offer{ID: 1, Include: []int64{before}}, nil }))
	got, err := s.MatchOffer(t.Context(), s.caller, 1, devices)
	if diff := cmp.Diff([]bool{false, true}, got); diff != "" || err != nil {
		t.Errorf("MatchOffer() after the change: %v (-want +got):\n%s", err, diff)
	}
}
