package sqldb

import (
	"testing"
	"time"
)

func TestIncoming(t *testing.T) {
	eachDB(t, func(t *testing.T, db *DB) {
		ctx := t.Context()
		a, b := addCaller(t, db, "a"), addCaller(t, db, "b")
		want := Incoming{
			CallerID: a, Slot: "abcdefghijklmnop", Path: "s3://throng/x/abcdefghijklmnop/list.txt", Name: "list.txt", MD5: "00",
			Status: IncomingPending, CreatedAt: noon, UsedAt: noon,
		}
		var err error
		want.ID, err = db.InsertIncoming(ctx, want)
		check(t, err)
		diff(t, "IncomingBySlot", want, must[Incoming](t)(db.IncomingBySlot(ctx, want.Slot)))
		diff(t, "IncomingByPath", want, must[Incoming](t)(db.IncomingByPath(ctx, a, want.Path)))
		_, err = db.IncomingByPath(ctx, b, want.Path)
		wantErr(t, "IncomingByPath of another caller", err, ErrNotFound)
		for _, text := range []string{"", "absent", "\x00", "\xff"} {
			_, err = db.IncomingBySlot(ctx, text)
			wantErr(t, "IncomingBySlot("+text+")", err, ErrNotFound)
			_, err = db.IncomingByPath(ctx, a, text)
			wantErr(t, "IncomingByPath("+text+")", err, ErrNotFound)
		}

		later := noon.Add(time.Hour)
		check(t, db.ReceiveIncoming(ctx, want.ID, "11", 5, "received/x", later))
		want.MD5, want.Bytes, want.BlobKey, want.Status, want.UsedAt = "11", 5, "received/x", IncomingReceived, later
		diff(t, "after ReceiveIncoming", want, must[Incoming](t)(db.IncomingBySlot(ctx, want.Slot)))
		wantErr(t, "second ReceiveIncoming", db.ReceiveIncoming(ctx, want.ID, "22", 6, "received/y", later), ErrConflict)
		wantErr(t, "ReceiveIncoming(absent)", db.ReceiveIncoming(ctx, 999, "22", 6, "received/y", later), ErrNotFound)
		diff(t, "after the second", want, must[Incoming](t)(db.IncomingBySlot(ctx, want.Slot)))

		want.UsedAt = later.Add(time.Hour)
		check(t, db.UseIncomingFile(ctx, want.ID, want.UsedAt))
		diff(t, "after UseIncomingFile", want, must[Incoming](t)(db.IncomingBySlot(ctx, want.Slot)))
		wantErr(t, "UseIncomingFile(absent)", db.UseIncomingFile(ctx, 999, later), ErrNotFound)
	})
}

func TestSweepIncoming(t *testing.T) {
	eachDB(t, func(t *testing.T, db *DB) {
		ctx := t.Context()
		a := addCaller(t, db, "a")
		add := func(slot string, at time.Time) int64 {
			t.Helper()
			id, err := db.InsertIncoming(ctx, Incoming{CallerID: a, Slot: slot, Path: "s3://throng/" + slot, CreatedAt: at})
			check(t, err)
			return id
		}
		add("old", noon)
		used, done := add("used", noon), add("done", noon)
		check(t, db.ReceiveIncoming(ctx, used, "00", 1, "received/used", noon))
		add("young", noon.Add(time.Hour))
		running := must[int64](t)(db.InsertAudience(ctx, Audience{CallerID: a, Kind: "device", Name: "n", Status: StatusRunning, CreatedAt: noon}))
		ended := must[int64](t)(db.InsertAudience(ctx, Audience{CallerID: a, Kind: "device", Name: "n", Status: StatusDone, CreatedAt: noon}))
		check(t, db.AddUses(ctx, running, UseIncoming, used))
		check(t, db.AddUses(ctx, ended, UseIncoming, done))

		slots := func(list []Incoming) map[string]bool {
			m := map[string]bool{}
			for _, i := range list {
				m[i.Slot] = true
			}
			return m
		}
		swept := must[[]Incoming](t)(db.SweepIncoming(ctx, noon.Add(time.Minute)))
		diff(t, "SweepIncoming", map[string]bool{"old": true, "done": true}, slots(swept))
		keys, left, err := db.IncomingKeys(ctx)
		check(t, err)
		diff(t, "slots left", map[string]bool{"used": true, "young": true}, left)
		diff(t, "keys", map[string]bool{"received/used": true}, keys)
		check(t, db.UpdateAudience(ctx, running, AudienceUpdate{Status: new(StatusDone)}))
		swept = must[[]Incoming](t)(db.SweepIncoming(ctx, noon.Add(time.Minute)))
		diff(t, "SweepIncoming after its use", map[string]bool{"used": true}, slots(swept))
	})
}
