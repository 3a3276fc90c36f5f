package sqldb

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

func TestAudience(t *testing.T) {
	eachDB(t, func(t *testing.T, db *DB) {
		ctx := t.Context()
		caller, other := addCaller(t, db, "a"), addCaller(t, db, "b")
		want := Audience{
			CallerID: caller, Kind: "built", Name: "Näme", Description: "d", Status: StatusRunning, Step: "queued", Progress: 0.25,
			HeartbeatAt: noon, Size: new(int64(1) << 40), Generation: "g1", AsOf: noon, CreatedAt: noon, UpdatedAt: noon.Add(time.Minute),
			FinishedAt: noon, Definition: json.RawMessage(`[{"a":  1, "b":"\u0000"}]`), ParameterSizes: json.RawMessage(`[1]`),
			Warnings: []string{"w1", "w\"2"}, Error: json.RawMessage(`{}`), CallbackURL: "http://example.com", InsightCallbackURL: "i",
			AutoInsight: true, Outputs: []string{"md5"}, SourceID: new(int64(7)), Platform: 2, Details: json.RawMessage(`{"x":1}`),
		}
		want.ID = addAudience(t, db, want)
		diff(t, "Audience", want, must[Audience](t)(db.Audience(ctx, caller, want.ID)))
		diff(t, "Audience of any caller", want, must[Audience](t)(db.Audience(ctx, 0, want.ID)))
		_, err := db.Audience(ctx, other, want.ID)
		wantErr(t, "Audience of another caller", err, ErrNotFound)

		bare := Audience{CallerID: caller, Kind: "device", CreatedAt: noon}
		bare.ID = addAudience(t, db, bare)
		bare.UpdatedAt = noon
		diff(t, "bare Audience", bare, must[Audience](t)(db.Audience(ctx, caller, bare.ID)))
		if bare.ID <= want.ID {
			t.Errorf("ids %d, then %d, want them to grow", want.ID, bare.ID)
		}

		check(t, db.UpdateAudience(ctx, want.ID, AudienceUpdate{
			IfStatus: StatusRunning, Status: new(StatusDone), Name: new("New"), Size: new(new(int64(0))), Progress: new(1.0),
			HeartbeatAt: new(time.Time{}), Error: new(json.RawMessage(nil)), Warnings: new([]string{"w"}), Step: new(""),
		}))
		want.Status, want.Name, want.Size, want.Progress = StatusDone, "New", new(int64(0)), 1
		want.HeartbeatAt, want.Error, want.Warnings, want.Step = time.Time{}, nil, []string{"w"}, ""
		diff(t, "after UpdateAudience", want, must[Audience](t)(db.Audience(ctx, caller, want.ID)))

		canceled := AudienceUpdate{IfStatus: StatusRunning, Status: new(StatusCanceled)}
		wantErr(t, "UpdateAudience in another state", db.UpdateAudience(ctx, want.ID, canceled), ErrConflict)
		wantErr(t, "UpdateAudience(absent)", db.UpdateAudience(ctx, 999, canceled), ErrNotFound)
		diff(t, "after a refused update", want, must[Audience](t)(db.Audience(ctx, caller, want.ID)))

		check(t, db.UpdateAudience(ctx, want.ID, AudienceUpdate{DeletedAt: new(noon)}))
		_, err = db.Audience(ctx, caller, want.ID)
		wantErr(t, "Audience after deletion", err, ErrNotFound)
	})
}

func TestAudienceIDsAreNeverUsedAgain(t *testing.T) {
	eachDB(t, func(t *testing.T, db *DB) {
		ctx := t.Context()
		caller := addCaller(t, db, "a")
		first := addAudience(t, db, Audience{CallerID: caller})
		check(t, db.Tx(ctx, func(tx *Tx) error {
			_, err := tx.Exec(ctx, `DELETE FROM audiences WHERE id = ?`, first)
			return err
		}))
		if second := addAudience(t, db, Audience{CallerID: caller}); second <= first {
			t.Errorf("id %d after %d was removed, want a larger one", second, first)
		}
	})
}

func TestListAudiences(t *testing.T) {
	eachDB(t, func(t *testing.T, db *DB) {
		ctx := t.Context()
		a, b := addCaller(t, db, "a"), addCaller(t, db, "b")
		names := make(map[int64]string)
		add := func(row Audience) int64 {
			id := addAudience(t, db, row)
			names[id] = row.Name
			return id
		}
		first := add(Audience{CallerID: a, Name: "Straße 100%", Status: StatusDone})
		add(Audience{CallerID: a, Name: "under_score", Status: StatusRunning, Generation: "g2"})
		add(Audience{CallerID: a, Name: "UNDERXSCORE", Status: StatusFailed, Platform: 2})
		add(Audience{CallerID: a, Name: "device", Kind: "device", Status: StatusRunning, Generation: "g1"})
		gone := add(Audience{CallerID: a, Name: "deleted", Status: StatusRunning, Generation: "g3"})
		last := add(Audience{CallerID: b, Name: "İstanbul ＡＢＣ", Status: StatusRunning, Generation: "g1"})
		check(t, db.UpdateAudience(ctx, gone, AudienceUpdate{DeletedAt: new(noon)}))

		f := func(filter AudienceFilter, wantMore bool, want ...string) {
			t.Helper()
			rows, more, err := db.ListAudiences(ctx, filter)
			check(t, err)
			var got []string
			for _, row := range rows {
				got = append(got, names[row.ID])
			}
			diff(t, fmt.Sprintf("ListAudiences(%+v)", filter), want, got)
			if more != wantMore {
				t.Errorf("ListAudiences(%+v) more = %t, want %t", filter, more, wantMore)
			}
			if filter.Limit == 0 {
				if n := must[int64](t)(db.CountAudiences(ctx, filter)); n != int64(len(want)) {
					t.Errorf("CountAudiences(%+v) = %d, want %d", filter, n, len(want))
				}
			}
		}
		f(AudienceFilter{}, false, "İstanbul ＡＢＣ", "device", "UNDERXSCORE", "under_score", "Straße 100%")
		f(AudienceFilter{CallerID: a, Kind: "built"}, false, "UNDERXSCORE", "under_score", "Straße 100%")
		f(AudienceFilter{CallerID: a, Limit: 2}, true, "device", "UNDERXSCORE")
		f(AudienceFilter{CallerID: a, Limit: 2, Offset: 2}, false, "under_score", "Straße 100%")
		f(AudienceFilter{CallerID: a, Limit: 4}, false, "device", "UNDERXSCORE", "under_score", "Straße 100%")
		f(AudienceFilter{BeforeID: first + 1}, false, "Straße 100%")
		f(AudienceFilter{Query: "STRASSE"}, false, "Straße 100%")
		f(AudienceFilter{Query: "00%"}, false, "Straße 100%")
		f(AudienceFilter{Query: "r_s"}, false, "under_score")
		f(AudienceFilter{Query: "score"}, false, "UNDERXSCORE", "under_score")
		f(AudienceFilter{Query: "abc"}, false, "İstanbul ＡＢＣ")
		f(AudienceFilter{Query: `\`}, false)
		f(AudienceFilter{Query: "\xff"}, false) // PostgreSQL refuses to look for these
		f(AudienceFilter{Query: "\x00"}, false)
		f(AudienceFilter{Status: StatusRunning}, false, "İstanbul ＡＢＣ", "device", "under_score")
		f(AudienceFilter{Platform: 2}, false, "UNDERXSCORE")
		f(AudienceFilter{IDs: []int64{first, last, gone, 999}}, false, "İstanbul ＡＢＣ", "Straße 100%")
		f(AudienceFilter{IDs: []int64{}}, false)

		if n := must[int64](t)(db.CountRunning(ctx, a)); n != 2 {
			t.Errorf("CountRunning = %d, want 2", n)
		}
		generations := must[[]string](t)(db.RunningGenerations(ctx))
		set := make(map[string]bool)
		for _, g := range generations {
			set[g] = true
		}
		diff(t, "RunningGenerations", map[string]bool{"g1": true, "g2": true}, set)
		if len(generations) != 2 {
			t.Errorf("RunningGenerations = %v, want each once", generations)
		}
	})
}

func TestOutputsAndUses(t *testing.T) {
	eachDB(t, func(t *testing.T, db *DB) {
		ctx := t.Context()
		caller := addCaller(t, db, "a")
		id := addAudience(t, db, Audience{CallerID: caller, Status: StatusRunning})
		check(t, db.PutOutputs(ctx, id, []Output{{Type: "old"}}))
		want := []Output{
			{AudienceID: id, Type: "md5", People: 1, Rows: 2, Bytes: 3 << 40, SHA256: "ab", BlobKey: "k"},
			{AudienceID: id, Type: "ss_id"},
		}
		check(t, db.PutOutputs(ctx, id, []Output{want[1], want[0]}))
		diff(t, "Outputs", want, must[[]Output](t)(db.Outputs(ctx, id)))

		used := func(kind string, usedID int64, want bool) {
			t.Helper()
			if got := must[bool](t)(db.UsedByRunning(ctx, kind, usedID)); got != want {
				t.Errorf("UsedByRunning(%s, %d) = %t, want %t", kind, usedID, got, want)
			}
		}
		check(t, db.AddUses(ctx, id, UseUpload, 5, 6))
		check(t, db.AddUses(ctx, id, UseUpload, 6))
		check(t, db.AddUses(ctx, id, UseAudience))
		used(UseUpload, 5, true)
		used(UseUpload, 7, false)
		used(UseAudience, 5, false)
		check(t, db.UpdateAudience(ctx, id, AudienceUpdate{Status: new(StatusDone)}))
		used(UseUpload, 5, false)
	})
}
