package service

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"throng"
	"throng/service/record"
	"throng/sqldb"
	"throng/webhook"
)

func keep(days int) option {
	return func(c *Config) { c.KeepAudiences = time.Duration(days) * 24 * time.Hour }
}

// blobsBelow lists keys.
func (s *testService) blobsBelow(prefix string) (keys []string) {
	s.t.Helper()
	for info, err := range s.cfg.Blobs.List(s.t.Context(), prefix) {
		if err != nil {
			s.t.Fatal(err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

func (s *testService) sweep() {
	s.t.Helper()
	if err := s.Sweep(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// gone tells whether an audience is not there, nor any file of it.
func (s *testService) gone(id int64) bool {
	s.t.Helper()
	_, err := s.db.Audience(s.t.Context(), 0, id)
	files := s.blobsBelow(record.AudiencePrefix(id))
	if (err != nil) != (len(files) == 0) {
		s.t.Errorf("audience %d: %v, and files %q", id, err, files)
	}
	return err != nil
}

func TestExpire(t *testing.T) {
	r := receive(t)
	s := withDevices(t, keep(30))
	upload := func(name string) *throng.Upload {
		t.Helper()
		return must(s.CreateUpload(t.Context(), s.caller, "ss_id", name, strings.NewReader(name+"\np1\n"), nil))
	}
	uses := func(u *throng.Upload) string {
		return `[{"operation":"OR","upload":{"keys":["` + u.Key + `"],"type":"ss_id"}}]`
	}
	used, unused := upload("used"), upload("unused")
	d := definition(uses(used))
	d.CallbackURL = r.URL
	old := s.wait(s.caller, s.create(s.caller, d).ID).ID
	failed := s.row(s.caller, throng.Built, sqldb.StatusFailed, true)
	running := s.row(s.caller, throng.Built, sqldb.StatusRunning, true)
	devices := s.devicesOf("idfa", idfa1+"\n").ID
	targeted := s.devicesOf("idfa", idfa1+"\n").ID
	if err := s.PutOffer(t.Context(), s.caller, throng.Offer{ID: 1, Include: []int64{targeted}}); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return r.count() == 1 })
	waitFor(t, func() bool {
		list, _, err := s.Callbacks(t.Context(), s.caller, CallbackFilter{Status: "delivered"})
		return err == nil && len(list) == 1
	})

	s.clock.Add(29 * 24 * time.Hour)
	s.sweep()
	late := s.build(s.caller, uses(used)).ID
	if err := s.db.UpdateAudience(t.Context(), devices, sqldb.AudienceUpdate{UpdatedAt: new(s.now())}); err != nil { // as new files do
		t.Fatal(err)
	}
	for _, id := range []int64{old, failed, devices, targeted, late} {
		if _, err := s.db.Audience(t.Context(), 0, id); err != nil {
			t.Errorf("audience %d after 29 days: %v, want it there", id, err)
		}
	}
	s.clock.Add(2 * 24 * time.Hour)
	s.sweep()
	for id, want := range map[int64]bool{old: true, failed: true, running: false, devices: false, targeted: false, late: false} {
		if _, err := s.db.Audience(t.Context(), 0, id); (err != nil) != want {
			t.Errorf("audience %d after 31 days: %v, want it gone: %t", id, err, want)
		}
	}
	if !s.gone(old) {
		t.Error("the old audience is there")
	}
	if list, _, err := s.Callbacks(t.Context(), s.caller, CallbackFilter{}); err != nil || len(list) != 0 {
		t.Errorf("Callbacks = %+v, %v, want none of what is gone", list, err)
	}
	if _, err := s.Upload(t.Context(), s.caller, used.Key); err != nil {
		t.Errorf("an upload that an audience uses: %v, want it there", err)
	}
	_, err := s.Upload(t.Context(), s.caller, unused.Key)
	wantCode(t, err, throng.NotFound)
	if n := len(s.blobsBelow("uploads/")); n == 0 {
		t.Error("the files of an upload are gone that is there")
	}

	// With the last audience that used it the upload goes, and with its offer the
	// device audience.
	if err := s.db.EraseOffers(t.Context(), s.caller.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.db.UpdateAudience(t.Context(), running, sqldb.AudienceUpdate{Status: new(sqldb.StatusFailed), FinishedAt: new(s.now())}); err != nil {
		t.Fatal(err)
	}
	s.clock.Add(31 * 24 * time.Hour)
	s.sweep()
	for _, id := range []int64{running, devices, targeted, late} {
		if !s.gone(id) {
			t.Errorf("audience %d is there after two months", id)
		}
	}
	for _, prefix := range []string{"audiences/", "uploads/", "received/"} {
		if files := s.blobsBelow(prefix); len(files) != 0 {
			t.Errorf("files are left: %q", files)
		}
	}
}

// What runs keeps what it uses, and a message on its way keeps what it is about.
func TestExpireKeepsWhatIsUsed(t *testing.T) {
	s := start(t, keep(1))
	a := s.build(s.caller, everyone)
	user := s.row(s.caller, throng.Built, sqldb.StatusRunning, true)
	if err := s.db.AddUses(t.Context(), user, sqldb.UseAudience, a.ID); err != nil {
		t.Fatal(err)
	}
	called := s.row(s.caller, throng.Built, sqldb.StatusDone, true)
	callback := must(s.db.InsertCallback(t.Context(), sqldb.Callback{AudienceID: called, CallerID: s.caller.ID, Status: sqldb.CallbackPending, CreatedAt: s.now()}))
	delivered := s.row(s.caller, throng.Built, sqldb.StatusDone, true)
	delivery := must(s.db.InsertDelivery(t.Context(), sqldb.Delivery{AudienceID: delivered, CallerID: s.caller.ID, Status: sqldb.StatusRunning, Settings: []byte(`{}`), CreatedAt: s.now(), UpdatedAt: s.now()}))
	s.clock.Add(48 * time.Hour)
	s.sweep()
	for _, id := range []int64{a.ID, user, called, delivered} {
		if _, err := s.db.Audience(t.Context(), 0, id); err != nil {
			t.Errorf("audience %d, which is used: %v, want it there", id, err)
		}
	}
	now, done := s.now(), sqldb.StatusDone
	for _, err := range []error{
		s.db.UpdateAudience(t.Context(), user, sqldb.AudienceUpdate{Status: &done, FinishedAt: &now}),
		s.db.UpdateCallback(t.Context(), callback, sqldb.CallbackUpdate{Status: new(sqldb.CallbackFailed)}),
		s.db.UpdateDelivery(t.Context(), delivery, sqldb.DeliveryUpdate{Status: &done, UpdatedAt: now}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s.sweep()
	for _, id := range []int64{a.ID, called, delivered} {
		if !s.gone(id) {
			t.Errorf("audience %d is there, which nothing uses any more", id)
		}
	}
}

// For ever is for ever, but for what was deleted.
func TestDeletedIsErased(t *testing.T) {
	s := start(t)
	a, b := s.build(s.caller, everyone), s.build(s.caller, everyone)
	if err := s.DeleteAudience(t.Context(), s.caller, a.ID); err != nil {
		t.Fatal(err)
	}
	count := func() int { return len(must(s.db.CallerAudiences(t.Context(), s.caller.ID, 0, 10))) }
	s.sweep()
	if n := count(); n != 2 {
		t.Errorf("%d rows right after a deletion, want 2", n)
	}
	s.clock.Add(25 * time.Hour)
	s.sweep()
	if n := count(); n != 1 {
		t.Errorf("%d rows a day after a deletion, want 1", n)
	}
	s.clock.Add(10 * 365 * 24 * time.Hour)
	s.sweep()
	if s.gone(b.ID) {
		t.Error("an audience is gone that is to be kept for ever")
	}
}

func TestEraseCaller(t *testing.T) {
	r := receive(t, slices.Repeat([]int{503}, 100)...)
	s := withDevices(t)
	grants := throng.Grants()
	made := must(s.AddCaller(t.Context(), "ann", CallerSettings{Grants: &grants}))
	ann := must(s.Authenticate(t.Context(), made.Token))
	mine := s.build(s.caller, everyone)
	if _, err := s.CreateUpload(t.Context(), s.caller, "ss_id", "mine", strings.NewReader("p1\n"), nil); err != nil {
		t.Fatal(err)
	}
	// Ann has one of everything, some of it running.
	d := definition(everyone)
	d.CallbackURL = r.URL
	done := s.wait(ann, s.create(ann, d).ID).ID
	waitFor(t, func() bool { return r.count() > 0 }) // and is tried again
	up := must(s.CreateUpload(t.Context(), ann, "ss_id", "anns", strings.NewReader("p1\np2\n"), nil))
	path := s.sendAs(ann, idfa1+"\n")
	list := must(s.CreateDevices(t.Context(), ann, DeviceList{Name: "x", Platform: throng.Mixed, Files: []DeviceSource{{Type: "idfa", Path: path}}}))
	s.wait(ann, list.ID)
	if err := s.PutOffer(t.Context(), ann, throng.Offer{ID: 1, Include: []int64{list.ID}}); err != nil {
		t.Fatal(err)
	}
	if err := s.jobs.Stop(t.Context()); err != nil { // so that these go on running
		t.Fatal(err)
	}
	running := s.create(ann, definition(everyone)).ID
	delivery := must(s.db.InsertDelivery(t.Context(), sqldb.Delivery{AudienceID: done, CallerID: ann.ID, Status: sqldb.StatusRunning, Settings: []byte(`{}`), CreatedAt: s.now(), UpdatedAt: s.now()}))
	if _, err := s.PresignFile(t.Context(), ann, "", ""); err != nil {
		t.Fatal(err)
	}

	var audiences, uploads int
	tell := func(a, u int) { audiences, uploads = a, u }
	if err := s.EraseCaller(t.Context(), "ann", tell); err != nil {
		t.Fatal(err)
	}
	if audiences != 3 || uploads != 1 {
		t.Errorf("erased %d audiences and %d uploads, want 3 and 1", audiences, uploads)
	}
	for _, id := range []int64{done, running, list.ID} {
		if !s.gone(id) {
			t.Errorf("audience %d is there", id)
		}
	}
	if _, err := s.db.Delivery(t.Context(), 0, delivery); err == nil {
		t.Error("the delivery is there")
	}
	if files := s.blobsBelow("received/"); len(files) != 0 {
		t.Errorf("files are left: %q", files)
	}
	_, err := s.Authenticate(t.Context(), made.Token)
	wantCode(t, err, throng.Unauthorized)
	_, err = s.db.UploadByKey(t.Context(), ann.ID, up.Key)
	if !errors.Is(err, sqldb.ErrNotFound) {
		t.Errorf("the upload: %v, want it gone", err)
	}
	if rest, _, err := s.Callbacks(t.Context(), ann, CallbackFilter{}); err != nil || len(rest) != 0 {
		t.Errorf("Callbacks = %+v, %v, want none", rest, err)
	}
	// Again, as after an interruption.
	if err := s.EraseCaller(t.Context(), "ann", tell); err != nil {
		t.Fatal(err)
	}
	_, err = s.AddCaller(t.Context(), "ann", CallerSettings{})
	wantCode(t, err, throng.Conflict)
	wantCode(t, s.EraseCaller(t.Context(), "bob", tell), throng.NotFound)
	// Nothing of anybody else's.
	if _, err := s.OpenOutput(t.Context(), s.caller, mine.ID, "ss_id", Text); err != nil {
		t.Errorf("another's file: %v", err)
	}
	if list, _, err := s.Uploads(t.Context(), s.caller, throng.Page{}); err != nil || len(list) != 1 {
		t.Errorf("another's uploads = %d, %v, want 1", len(list), err)
	}
	// What was queued finds nothing to do.
	sender := webhook.NewSender(webhook.Config{AllowPrivate: true})
	t.Cleanup(sender.Close)
	before := r.count()
	two := s.again(func(c *Config) { c.Sender = sender })
	two.run()
	two.build(two.caller, everyone) // whose turn comes after theirs
	if r.count() != before {
		t.Error("a callback of an erased caller was sent")
	}
}

// An erasure that is cut short after each audience comes to its end when it is
// begun again.
func TestEraseCallerInterrupted(t *testing.T) {
	s := start(t)
	grants := throng.Grants()
	ann := s.add("ann", CallerSettings{Grants: &grants})
	for range 4 {
		s.build(ann, everyone)
	}
	left := func() int { return len(must(s.db.CallerAudiences(t.Context(), ann.ID, 0, 10))) }
	for want := 3; want > 0; want-- {
		ctx, cancel := context.WithCancel(t.Context())
		if err := s.EraseCaller(ctx, "ann", func(int, int) { cancel() }); !errors.Is(err, context.Canceled) {
			t.Fatalf("EraseCaller that is interrupted = %v, want %v", err, context.Canceled)
		}
		if n := left(); n != want {
			t.Errorf("%d audiences are left, want %d", n, want)
		}
	}
	if err := s.EraseCaller(t.Context(), "ann", func(int, int) {}); err != nil || left() != 0 || len(s.blobsBelow("audiences/")) != 0 {
		t.Errorf("EraseCaller = %v, %d audiences and the files %q are left", err, left(), s.blobsBelow("audiences/"))
	}
}

func TestLies(t *testing.T) {
	for _, tt := range []struct {
		key, prefix, but string
		want             bool
	}{
		{"a/1/rows-2", "a/1/", "", true},
		{"a/12/rows-2", "a/1/", "", false},
		{"a/1/x/rows-2", "a/1/", "a/1/x/", false},
		{"a/1/xy/rows-2", "a/1/", "a/1/x/", true},
	} {
		if got := lies(tt.key, tt.prefix, tt.but); got != tt.want {
			t.Errorf("lies(%s, %s, %s) = %t, want %t", tt.key, tt.prefix, tt.but, got, tt.want)
		}
	}
}
