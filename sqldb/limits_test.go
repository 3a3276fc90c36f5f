package sqldb

import (
	"testing"
	"time"
)

// Bytes are of what is there: what was deleted counts no more, and what is
// another caller's never did.
func TestStoredBytes(t *testing.T) {
	eachDB(t, func(t *testing.T, db *DB) {
		ctx := t.Context()
		mine, other := addCaller(t, db, "mine"), addCaller(t, db, "other")
		want := func(doing string, s Stored) {
			t.Helper()
			diff(t, "StoredBytes "+doing, s, must[Stored](t)(db.StoredBytes(ctx, mine)))
		}
		want("of nothing", Stored{})
		for _, caller := range []int64{mine, other} {
			u, _, err := db.InsertUpload(ctx, Upload{CallerID: caller, Key: "/uploads/a", Type: "md5", Status: "ready", Bytes: 10, CreatedAt: noon})
			check(t, err)
			if u.Bytes != 10 {
				t.Errorf("stored upload has %d bytes, want 10", u.Bytes)
			}
			a := addAudience(t, db, Audience{CallerID: caller, Status: StatusDone})
			check(t, db.PutOutputs(ctx, a, []Output{{Type: "md5", Bytes: 100}, {Type: "ss_id", Bytes: 200}}))
			addAudience(t, db, Audience{CallerID: caller, Kind: "device", Status: StatusDone, Bytes: 1000})
			in := must[int64](t)(db.InsertIncoming(ctx, Incoming{CallerID: caller, Slot: u.Key + string(rune('a'+caller)), Path: string(rune('a' + caller)), CreatedAt: noon}))
			check(t, db.ReceiveIncoming(ctx, in, "md5", 1<<40, "key", noon))
		}
		all := Stored{Uploads: 10, Outputs: 300, Devices: 1000, Incoming: 1 << 40}
		want("of all", all)
		if all.Total() != 1310+1<<40 {
			t.Errorf("Total() = %d", all.Total())
		}

		list, _, err := db.ListAudiences(ctx, AudienceFilter{CallerID: mine})
		check(t, err)
		grown := int64(2000)
		check(t, db.UpdateAudience(ctx, list[0].ID, AudienceUpdate{Bytes: &grown}))
		want("after an update", Stored{Uploads: 10, Outputs: 300, Devices: 2000, Incoming: 1 << 40})
		now := noon
		for _, a := range list {
			check(t, db.UpdateAudience(ctx, a.ID, AudienceUpdate{DeletedAt: &now}))
		}
		u, err := db.UploadByKey(ctx, mine, "/uploads/a")
		check(t, err)
		check(t, db.DeleteUpload(ctx, u.ID))
		want("after deletions", Stored{Incoming: 1 << 40})
		must[[]Incoming](t)(db.SweepIncoming(ctx, noon.Add(time.Second)))
		want("after the sweep", Stored{})
	})
}
