package sqldb

import (
	"encoding/json"
	"regexp"
	"slices"
	"testing"
	"time"
)

// furnish gives a caller an audience with a row in every table, and returns its
// id, and that of an upload which it uses.
func furnish(t *testing.T, db *DB, caller int64) (audience, upload int64) {
	t.Helper()
	ctx := t.Context()
	audience = addAudience(t, db, Audience{CallerID: caller, Status: StatusDone, CreatedAt: noon, FinishedAt: noon})
	upload = addUpload(t, db, caller, "/uploads/x")
	check(t, db.AddUses(ctx, audience, UseUpload, upload))
	check(t, db.PutOutputs(ctx, audience, []Output{{Type: "md5"}, {Type: "ss_id"}}))
	check(t, db.PutInsight(ctx, Insight{AudienceID: audience, CreatedAt: noon}))
	must[PublicLink](t)(db.PutPublicLink(ctx, PublicLink{AudienceID: audience, CreatedAt: noon}))
	callback := must[int64](t)(db.InsertCallback(ctx, Callback{AudienceID: audience, CallerID: caller, Status: CallbackDelivered, Body: json.RawMessage(`{}`), CreatedAt: noon}))
	must[int64](t)(db.AddAttempt(ctx, Attempt{CallbackID: callback, At: noon}))
	must[int64](t)(db.InsertDelivery(ctx, Delivery{AudienceID: audience, CallerID: caller, Status: StatusDone, Settings: json.RawMessage(`{}`), CreatedAt: noon, UpdatedAt: noon}))
	check(t, db.PutOffer(ctx, Offer{CallerID: caller, ID: 7, Include: []int64{audience}, UpdatedAt: noon}))
	check(t, db.PutCredentials(ctx, Credentials{CallerID: caller, Name: "main", UpdatedAt: noon}))
	check(t, db.PutAnswer(ctx, Answer{CallerID: caller, Key: "k", Response: "{}", CreatedAt: noon}))
	check(t, db.PutSession(ctx, Session{IDHash: string(rune('a' + caller)), CallerID: caller, ExpiresAt: noon}))
	check(t, db.KeepOldSecret(ctx, OldSecret{CallerID: caller, Kind: SecretToken, Hash: "h", EndsAt: noon}))
	must[int64](t)(db.InsertIncoming(ctx, Incoming{CallerID: caller, Slot: string(rune('a' + caller)), Path: string(rune('a' + caller)), CreatedAt: noon}))
	return audience, upload
}

func addUpload(t *testing.T, db *DB, caller int64, key string) int64 {
	t.Helper()
	u, _, err := db.InsertUpload(t.Context(), Upload{CallerID: caller, Key: key, CreatedAt: noon})
	check(t, err)
	return u.ID
}

// rows counts the rows of every table.
func rows(t *testing.T, db *DB) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for _, table := range tables(t) {
		var n int
		check(t, db.reader.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM `+table).Scan(&n))
		if n > 0 {
			counts[table] = n
		}
	}
	return counts
}

var createTable = regexp.MustCompile(`(?s)CREATE TABLE (\w+) \((.*?)\n\);`)

func tables(t *testing.T) (names []string) {
	t.Helper()
	for _, m := range must[[]migration](t)(loadMigrations()) {
		for _, found := range createTable.FindAllStringSubmatch(m.script, -1) {
			names = append(names, found[1])
		}
	}
	return names
}

// Every table that names an audience by whose it is has to be among those that
// go with it.
func TestTablesOfAudience(t *testing.T) {
	found := 0
	for _, m := range must[[]migration](t)(loadMigrations()) {
		for _, table := range createTable.FindAllStringSubmatch(m.script, -1) {
			if regexp.MustCompile(`(?m)^\s+audience_id\s`).MatchString(table[2]) {
				if found++; !slices.Contains(ofAudience, table[1]) {
					t.Errorf("the table %s has an audience_id, and is not among those that are erased with an audience (ofAudience)", table[1])
				}
			}
		}
	}
	if found != len(ofAudience) {
		t.Errorf("%d tables have an audience_id, %d are erased", found, len(ofAudience))
	}
}

func TestErase(t *testing.T) {
	eachDB(t, func(t *testing.T, db *DB) {
		ctx := t.Context()
		b := addCaller(t, db, "b")
		furnish(t, db, b)
		before := rows(t, db)
		a := addCaller(t, db, "a")
		id, upload := furnish(t, db, a)
		if all := rows(t, db); len(all) != len(before) || all["audiences"] != 2 || all["callback_attempts"] != 2 {
			t.Fatalf("rows of both = %v, of one = %v", all, before)
		}
		check(t, db.EraseAudience(ctx, id))
		check(t, db.EraseAudience(ctx, id)) // nothing more
		check(t, db.DeleteUpload(ctx, upload))
		check(t, db.EraseOffers(ctx, a))
		gone := must[[]Incoming](t)(db.EraseIncoming(ctx, a))
		if len(gone) != 1 || gone[0].CallerID != a {
			t.Errorf("EraseIncoming = %+v, want the one of the caller", gone)
		}
		check(t, db.EraseSecrets(ctx, a))
		after := rows(t, db)
		before["callers"]++ // the name stays
		diff(t, "rows", before, after)
		c := must[Caller](t)(db.CallerByID(ctx, a))
		if c.Name != "a" || c.TokenHash == newCaller("a").TokenHash || c.AccessKey == newCaller("a").AccessKey || c.APIKeySealed != "" || c.WebhookSecretSealed != "" || c.TokenID != "" {
			t.Errorf("caller = %+v, want its name and no secret", c)
		}
		if other := must[Caller](t)(db.CallerByID(ctx, b)); other.TokenHash != newCaller("b").TokenHash {
			t.Error("another caller has lost the token")
		}
		if next := addAudience(t, db, Audience{CallerID: b, Status: StatusDone}); next <= id {
			t.Errorf("the next audience is %d after %d was erased, want a new id", next, id)
		}
	})
}

func TestFindOld(t *testing.T) {
	eachDB(t, func(t *testing.T, db *DB) {
		ctx := t.Context()
		caller := addCaller(t, db, "a")
		add := func(status string, finished, updated time.Duration) int64 {
			t.Helper()
			return addAudience(t, db, Audience{CallerID: caller, Status: status, CreatedAt: noon, FinishedAt: noon.Add(finished), UpdatedAt: noon.Add(updated)})
		}
		done := add(StatusDone, time.Hour, 0)
		failed := add(StatusFailed, 2*time.Hour, 0)
		running := addAudience(t, db, Audience{CallerID: caller, Status: StatusRunning, CreatedAt: noon})
		updated := add(StatusDone, time.Hour, 5*time.Hour)
		deleted := add(StatusDone, time.Hour, 0)
		check(t, db.UpdateAudience(ctx, deleted, AudienceUpdate{DeletedAt: new(noon.Add(time.Hour))}))
		called := add(StatusDone, time.Hour, 0)
		check(t, db.UpdateAudience(ctx, called, AudienceUpdate{DeletedAt: new(noon.Add(time.Hour))}))
		callback := must[int64](t)(db.InsertCallback(ctx, Callback{AudienceID: called, CallerID: caller, Status: CallbackPending, CreatedAt: noon}))
		find := func(list []int64, err error) []int64 {
			t.Helper()
			check(t, err)
			return list
		}
		diff(t, "ended", []int64{done, failed}, find(db.EndedAudiences(ctx, noon.Add(3*time.Hour), 0, 10)))
		diff(t, "ended early", []int64{done}, find(db.EndedAudiences(ctx, noon.Add(2*time.Hour), 0, 10)))
		diff(t, "the next of them", []int64{failed}, find(db.EndedAudiences(ctx, noon.Add(3*time.Hour), done, 1)))
		diff(t, "updated, much later", []int64{done, failed, updated}, find(db.EndedAudiences(ctx, noon.Add(6*time.Hour), 0, 10)))
		diff(t, "deleted", []int64{deleted}, find(db.DeletedAudiences(ctx, noon.Add(2*time.Hour), 0, 10)))
		diff(t, "deleted too late", []int64(nil), find(db.DeletedAudiences(ctx, noon.Add(time.Hour), 0, 10)))
		if has := must[bool](t)(db.HasPendingCallback(ctx, called)); !has {
			t.Error("HasPendingCallback = false, want true")
		}
		check(t, db.UpdateCallback(ctx, callback, CallbackUpdate{Status: new(CallbackFailed)}))
		if has := must[bool](t)(db.HasPendingCallback(ctx, called)); has {
			t.Error("HasPendingCallback = true, want false")
		}
		diff(t, "deleted, and told", []int64{deleted, called}, find(db.DeletedAudiences(ctx, noon.Add(2*time.Hour), 0, 10)))
		diff(t, "all", []int64{done, failed, running, updated, deleted, called}, find(db.CallerAudiences(ctx, caller, 0, 10)))

		upload := func(key string) int64 {
			t.Helper()
			return addUpload(t, db, caller, key)
		}
		idle, used, usedByDeleted := upload("a"), upload("b"), upload("c")
		check(t, db.AddUses(ctx, done, UseUpload, used))
		check(t, db.AddUses(ctx, deleted, UseUpload, usedByDeleted))
		check(t, db.AddUses(ctx, done, UseAudience, idle)) // of another kind
		diff(t, "unused uploads", []int64{idle, usedByDeleted}, find(db.UnusedUploads(ctx, noon.Add(time.Second), 0, 10)))
		diff(t, "unused uploads too early", []int64(nil), find(db.UnusedUploads(ctx, noon, 0, 10)))
	})
}
