package service

import (
	"context"
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"throng"
	"throng/blob/file"
	"throng/delivery"
	"throng/delivery/drop"
	"throng/identifier"
)

// Devices of the test dataset.
const (
	appleID   = "1A2B3C4D-5E6F-4081-92A3-0000000000AA"
	googleID  = "1a2b3c4d-5e6f-4081-92a3-0000000000bb"
	plainID   = "1a2b3c4d-5e6f-4081-92a3-0000000000cc"
	vendorID  = "1A2B3C4D-5E6F-4081-92A3-0000000000DD"
	otherMA   = "6d92078a-8246-4ba4-ae5b-76104861e7dc" // of people()
	unknownID = "1A2B3C4D-5E6F-4081-92A3-0000000000EE" // known by its sum alone
	numberID  = "490154203237518"
	openID    = "oaid"
)

// owners is people() with devices. Some are there twice, in every way in which
// a device can be.
func owners() map[string]string {
	tables := people()
	tables["identifiers.csv"] += strings.Join([]string{
		"p1,idfa," + appleID,
		"p1,idfa_md5," + md5Of(appleID),
		"p1,ma_id," + strings.ToLower(appleID),
		"p2,gaid," + googleID,
		"p2,ma_id," + plainID,
		"p3,ma_id," + googleID,
		"p3,gaid_md5," + md5Of(googleID),
		"p4,idfa_md5," + md5Of(unknownID),
		"p5,imei," + numberID,
		"p5,imei_md5," + md5Of(numberID),
		"p5,oaid," + openID,
		"p6,idfa_md5," + md5Of(strings.ToUpper(plainID)),
		"p7,idfv," + vendorID,
	}, "\n") + "\n"
	return tables
}

// startDelivering opens a service whose people own devices, and a drop.
func startDelivering(t testing.TB, options ...option) (*testService, *file.Store) {
	t.Helper()
	store, err := file.Open(filepath.Join(t.TempDir(), "drop"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	s := open(t, append([]option{func(c *Config) {
		c.Destinations = []delivery.Kind{drop.New(store)}
		c.DeliveryRetry = func(int) time.Duration { return time.Millisecond }
	}}, options...)...)
	s.load(owners())
	s.run()
	return s, store
}

func toDrop() DeliveryOrder { return DeliveryOrder{To: "drop", Name: "tea"} }

func (s *testService) startDelivery(c *throng.Caller, audience int64, o DeliveryOrder) *Delivery {
	s.t.Helper()
	d, err := s.StartDelivery(s.t.Context(), c, audience, o, nil)
	if err != nil {
		s.t.Fatalf("StartDelivery: %v", err)
	}
	return d
}

// waitDelivery waits until a delivery is as it should be.
func (s *testService) waitDelivery(c *throng.Caller, d *Delivery, what string, is func(*Delivery) bool) *Delivery {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		now, err := s.Delivery(ctx, c, d.AudienceID, d.ID)
		if err != nil {
			s.t.Fatal(err)
		}
		if is(now) {
			return now
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.t.Fatalf("delivery is not %s: %+v", what, now)
		}
	}
}

func ended(d *Delivery) bool { return d.Status != throng.Running }

// dropped reads what the manifest of a delivery lists, by type.
func dropped(t testing.TB, store *file.Store, d *Delivery) map[identifier.Type][]string {
	t.Helper()
	r, err := store.Open(t.Context(), d.RemoteID)
	if err != nil {
		t.Fatalf("open manifest: %v", err)
	}
	defer r.Close()
	var m drop.Manifest
	if err := json.Unmarshal([]byte(mustRead(r)), &m); err != nil {
		t.Fatal(err)
	}
	found := map[identifier.Type][]string{}
	for _, f := range m.Files {
		in, err := store.Open(t.Context(), strings.TrimSuffix(d.RemoteID, drop.ManifestName)+f.Name)
		if err != nil {
			t.Fatalf("open %s: %v", f.Name, err)
		}
		found[f.Type] = strings.Fields(mustRead(in))
		in.Close()
		slices.Sort(found[f.Type])
	}
	return found
}

func TestDeliver(t *testing.T) {
	s, store := startDelivering(t)
	a := s.build(s.caller, everyone)
	upper := strings.ToUpper
	known := map[identifier.Type][]string{
		"idfa": {appleID}, "gaid": {googleID}, "imei": {numberID}, "oaid": {openID}, "idfv": {vendorID},
		"idfa_md5": {md5Of(unknownID), md5Of(upper(plainID))},
	}
	slices.Sort(known["idfa_md5"])
	with := func(change map[identifier.Type][]string) map[identifier.Type][]string {
		m := maps.Clone(known)
		for t, ids := range change {
			if m[t] = ids; ids == nil {
				delete(m, t)
			}
		}
		return m
	}
	for _, test := range []struct {
		name     string
		change   func(o *DeliveryOrder)
		want     map[identifier.Type][]string
		platform string
		warnings []string
	}{
		{"as it is", func(*DeliveryOrder) {}, known, "mix", []string{
			"2 plain ma_id are left out, since nobody says what they are; ma_id_as idfa or gaid sends them",
		}},
		{"plain as idfa", func(o *DeliveryOrder) { o.PlainAs = "idfa" }, with(map[identifier.Type][]string{
			// The sum of one of them was known before.
			"idfa": {appleID, upper(plainID), upper(otherMA)}, "idfa_md5": {md5Of(unknownID)},
		}), "mix", nil},
		{"plain as gaid", func(o *DeliveryOrder) { o.PlainAs = "gaid" }, with(map[identifier.Type][]string{
			"gaid": {googleID, plainID, otherMA},
		}), "mix", nil},
		{"android", func(o *DeliveryOrder) { o.Platform = "android"; o.PlainAs = "gaid" }, map[identifier.Type][]string{
			"gaid": {googleID, plainID, otherMA}, "imei": {numberID}, "oaid": {openID},
		}, "android", []string{"4 device ids of the other platform are left out"}},
		{"ios", func(o *DeliveryOrder) { o.Platform = "ios"; o.PlainAs = "idfa" }, map[identifier.Type][]string{
			"idfa": {appleID, upper(plainID), upper(otherMA)}, "idfa_md5": {md5Of(unknownID)}, "idfv": {vendorID},
		}, "ios", []string{"3 device ids of the other platform are left out"}},
	} {
		o := toDrop()
		o.Warnings = nil
		test.change(&o)
		d := s.waitDelivery(s.caller, s.startDelivery(s.caller, a.ID, o), "ended", ended)
		if d.Status != throng.Done || d.Failure != nil || d.Progress != 1 || d.FinishedAt.IsZero() || d.Step != "" {
			t.Fatalf("%s: delivery = %+v, failure %+v, want done", test.name, d, d.Failure)
		}
		if diff := cmp.Diff(test.want, dropped(t, store, d)); diff != "" {
			t.Errorf("%s: what arrived (-want +got):\n%s", test.name, diff)
		}
		rows := map[identifier.Type]int64{}
		for _, f := range d.Sent {
			rows[f.Type] += f.Rows
		}
		for _, l := range d.Lists {
			if n := int64(len(test.want[l.Type])); l.Rows != n || rows[l.Type] != n {
				t.Errorf("%s: listed %d and sent %d of %s, want %d", test.name, l.Rows, rows[l.Type], l.Type, n)
			}
		}
		if d.Platform != test.platform {
			t.Errorf("%s: platform %q, want %q", test.name, d.Platform, test.platform)
		}
		if diff := cmp.Diff(test.warnings, d.Warnings); diff != "" {
			t.Errorf("%s: warnings (-want +got):\n%s", test.name, diff)
		}
	}
	waitFor(t, func() bool { return len(s.deliveryFiles()) == 0 })
}

func (s *testService) deliveryFiles() (keys []string) {
	s.t.Helper()
	for info, err := range s.blobs.List(s.t.Context(), "deliveries/") {
		if err != nil {
			s.t.Fatal(err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

// Where the audience's generation is gone before the devices are listed, its
// members are found again.
func TestDeliveryOnAnotherGeneration(t *testing.T) {
	s, store := startDelivering(t)
	a := s.build(s.caller, everyone)
	tables := owners()
	for name, text := range tables { // without p2
		lines := strings.SplitAfter(text, "\n")
		tables[name] = strings.Join(slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, "p2,") }), "")
	}
	for range 3 {
		s.load(tables)
		if err := s.SweepGenerations(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	d := s.waitDelivery(s.caller, s.startDelivery(s.caller, a.ID, toDrop()), "ended", ended)
	want := []string{
		"the dataset on which the audience was built is gone: its members were found again on the current one, and 1 of them are not there any more",
		"2 plain ma_id are left out, since nobody says what they are; ma_id_as idfa or gaid sends them",
	}
	if diff := cmp.Diff(want, d.Warnings); diff != "" || d.Status != throng.Done {
		t.Errorf("status %s, warnings (-want +got):\n%s", d.Status, diff)
	}
	// p2, who owned the GAID as such, is gone; p3 has it as a plain id and a sum.
	if got := dropped(t, store, d); got["gaid"] != nil || len(got["gaid_md5"]) != 1 {
		t.Errorf("arrived: %v", got)
	}
}

func TestNothingToDeliver(t *testing.T) {
	for _, test := range []struct{ rows, platform, message string }{
		{"", "", "none of the 8 members has a device id: there is nothing to deliver"},
		{"p2,ma_id," + plainID + "\n", "", "no device id is known as what it is: 1 mobile advertising ids are plain ma_id; deliver again and say whether they are idfa or gaid (ma_id_as)"},
		{"p2,gaid," + googleID + "\n", "ios", "no device id is of the platform: 1 are of another; deliver again with platform mix"},
	} {
		s, _ := startDelivering(t)
		tables := people()
		tables["identifiers.csv"] = "person,type,value\n" + test.rows
		s.load(tables)
		a := s.build(s.caller, everyone)
		o := toDrop()
		o.Platform = test.platform
		d := s.waitDelivery(s.caller, s.startDelivery(s.caller, a.ID, o), "ended", ended)
		if d.Status != throng.Failed || d.Failure == nil || d.Failure.Message != test.message {
			t.Errorf("delivery = %+v, failure %+v, want %q", d, d.Failure, test.message)
		}
	}
}

func TestStartDeliveryRefuses(t *testing.T) {
	p := &place{t: t}
	s, _ := startDelivering(t, placed(p))
	a := s.build(s.caller, everyone)
	other := s.add("other", CallerSettings{})
	types, grants := []identifier.Type{identifier.MD5}, throng.Grants()
	poor := s.add("poor", CallerSettings{CanDownload: &types, Grants: &grants})
	theirs := s.build(poor, everyone)
	nobody := s.build(s.caller, `[{"operation":"OR","bio_search":{"search_in_twitter":true,"phrases":["nowhere at all"]}}]`)
	_, err := s.StartDelivery(t.Context(), other, a.ID, toDrop(), nil)
	wantCode(t, err, throng.NotFound)
	_, err = s.StartDelivery(t.Context(), poor, theirs.ID, toDrop(), nil)
	wantCode(t, err, throng.Forbidden)
	_, err = s.StartDelivery(t.Context(), s.caller, nobody.ID, toDrop(), nil)
	wantCode(t, err, throng.Conflict)

	for _, test := range []struct {
		name   string
		change func(o *DeliveryOrder)
		want   []string
	}{
		{"nothing", func(o *DeliveryOrder) { *o = DeliveryOrder{} }, []string{"name", "to"}},
		{"long name", func(o *DeliveryOrder) { o.Name = strings.Repeat("ü", 256) }, []string{"name"}},
		{"name in two lines", func(o *DeliveryOrder) { o.Name = "a\nb" }, []string{"name"}},
		{"blank name", func(o *DeliveryOrder) { o.Name = " " }, []string{"name"}},
		{"words", func(o *DeliveryOrder) { o.Platform, o.PlainAs, o.Wait = "symbian", "imei", true }, []string{"ma_id_as", "platform", "wait"}},
		{"platform against kind", func(o *DeliveryOrder) { o.Platform, o.PlainAs = "ios", "gaid" }, []string{"ma_id_as"}},
		{"endpoint", func(o *DeliveryOrder) { o.Endpoint = "bad" }, []string{"endpoint"}},
		{"credentials", func(o *DeliveryOrder) { o.Credentials = DeliveryCredentials{Name: "main"} }, []string{"credentials.name"}},
		{"name of credentials", func(o *DeliveryOrder) { o.Credentials.Name = "a b" }, []string{"credentials.name"}},
		{"found before", func(o *DeliveryOrder) { o.Problems = []throng.Detail{{Path: "x"}} }, []string{"x"}},
	} {
		o := toPlace()
		test.change(&o)
		_, err := s.StartDelivery(t.Context(), s.caller, a.ID, o, nil)
		t.Log(test.name, err)
		wantCode(t, err, throng.Invalid, test.want...)
	}
	if list, _, err := s.Deliveries(t.Context(), s.caller, a.ID, throng.Page{}); err != nil || len(list) > 0 {
		t.Errorf("Deliveries = %+v, %v, want none", list, err)
	}
	s.cfg.MinimumSize = 100
	_, err = s.StartDelivery(t.Context(), s.caller, a.ID, toDrop(), nil)
	wantCode(t, err, throng.Conflict)
}

func TestCancelDelivery(t *testing.T) {
	reached := make(chan struct{})
	p := &place{t: t, step: func(ctx context.Context, _ int) (delivery.Result, error) {
		close(reached)
		<-ctx.Done()
		return delivery.Result{}, context.Cause(ctx)
	}}
	s, _ := startDelivering(t, placed(p))
	a := s.build(s.caller, everyone)
	b := s.build(s.caller, everyone)
	d := s.startDelivery(s.caller, a.ID, toPlace())
	<-reached
	other := s.add("other", CallerSettings{})
	wantCode(t, s.CancelDelivery(t.Context(), other, a.ID, d.ID), throng.NotFound)
	wantCode(t, s.CancelDelivery(t.Context(), s.caller, b.ID, d.ID), throng.NotFound)
	for range 2 {
		if err := s.CancelDelivery(t.Context(), s.caller, a.ID, d.ID); err != nil {
			t.Fatalf("CancelDelivery: %v", err)
		}
	}
	end := must(s.Delivery(t.Context(), s.caller, a.ID, d.ID))
	row, err := s.db.Delivery(t.Context(), 0, d.ID)
	if end.Status != throng.Canceled || err != nil || row.SecretSealed != "" {
		t.Errorf("delivery = %+v, secret of %d bytes, %v", end, len(row.SecretSealed), err)
	}
	if err := s.Sweep(t.Context()); err != nil || len(s.deliveryFiles()) > 0 {
		t.Errorf("after a sweep lists are left: %q, %v", s.deliveryFiles(), err)
	}
	done := s.waitDelivery(s.caller, s.startDelivery(s.caller, a.ID, toDrop()), "ended", ended)
	wantCode(t, s.CancelDelivery(t.Context(), s.caller, a.ID, done.ID), throng.Conflict)

	list, next, err := s.Deliveries(t.Context(), s.caller, a.ID, throng.Page{Limit: 1})
	if err != nil || len(list) != 1 || list[0].ID != done.ID || next == "" {
		t.Errorf("Deliveries = %+v, %q, %v", list, next, err)
	}
	list, next, err = s.Deliveries(t.Context(), s.caller, a.ID, throng.Page{Next: next})
	if err != nil || len(list) != 1 || list[0].ID != d.ID || next != "" {
		t.Errorf("Deliveries = %+v, %q, %v", list, next, err)
	}
	_, _, err = s.Deliveries(t.Context(), other, a.ID, throng.Page{})
	wantCode(t, err, throng.NotFound)
	_, err = s.Delivery(t.Context(), other, a.ID, d.ID)
	wantCode(t, err, throng.NotFound)
}

func TestKeptCredentials(t *testing.T) {
	p := &place{t: t, step: func(context.Context, int) (delivery.Result, error) { return last(), nil }}
	s, _ := startDelivering(t, placed(p))
	a := s.build(s.caller, everyone)
	o := toPlace()
	o.Endpoint, o.Credentials.Name = "https://a.example.com", "main"
	s.waitDelivery(s.caller, s.startDelivery(s.caller, a.ID, o), "ended", ended)

	later := toPlace()
	later.Credentials = DeliveryCredentials{Name: "main"}
	d := s.waitDelivery(s.caller, s.startDelivery(s.caller, a.ID, later), "ended", ended)
	if p.secret != o.Credentials.Secret || d.Endpoint != o.Endpoint || p.orders[1].Endpoint != o.Endpoint {
		t.Errorf("the second delivery went to %q with %d and %d bytes of secrets, want what was kept", d.Endpoint, len(p.secret.AccessKey), len(p.secret.APIKey))
	}
	wrong := toDrop()
	wrong.Credentials.Name = "main"
	_, err := s.StartDelivery(t.Context(), s.caller, a.ID, wrong, nil)
	wantCode(t, err, throng.Invalid, "credentials.name")

	grants := throng.Grants()
	other := s.add("other", CallerSettings{Grants: &grants})
	theirs := s.build(other, everyone)
	_, err = s.StartDelivery(t.Context(), other, theirs.ID, later, nil)
	wantCode(t, err, throng.Invalid, "credentials.name")
	wantCode(t, s.DeleteCredentials(t.Context(), other, "main"), throng.NotFound)
	if list, err := s.ListCredentials(t.Context(), other); err != nil || len(list) > 0 {
		t.Errorf("another caller's ListCredentials = %+v, %v", list, err)
	}
	list, err := s.ListCredentials(t.Context(), s.caller)
	if want := []Credentials{{Name: "main", To: "place", Endpoint: o.Endpoint, UpdatedAt: s.now()}}; err != nil || !cmp.Equal(want, list) {
		t.Errorf("ListCredentials = %+v, %v, want %+v", list, err, want)
	}
	row, err := s.db.Credentials(t.Context(), s.caller.ID, "main")
	if err != nil || strings.Contains(row.SecretSealed, "the-") {
		t.Errorf("sealed secret can be read, or %v", err)
	}
	if err := s.DeleteCredentials(t.Context(), s.caller, "main"); err != nil {
		t.Fatal(err)
	}
	_, err = s.StartDelivery(t.Context(), s.caller, a.ID, later, nil)
	wantCode(t, err, throng.Invalid, "credentials.name")
}
