package sqldb

import (
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// noon is an instant with microseconds, in another zone than UTC.
var noon = time.Date(2026, 11, 21, 13, 0, 0, 123_456_000, time.FixedZone("", 3600))

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, doing string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s = %v, want %v", doing, got, want)
	}
}

func diff(t *testing.T, what string, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func newCaller(name string) Caller {
	return Caller{
		Name: name, TokenHash: "hash of " + name, TokenID: "thr_" + name, AccessKey: "access " + name,
		APIKeySealed: "v1.a", WebhookSecretSealed: "v1.b", CanGenerate: []string{"md5", "ss_id"}, CanView: []string{"ss_id"},
		Grants: []string{"age_first"}, Builds: Unlimited, Insights: 1, Expansions: 0, ConcurrentBuilds: 2,
		CallerLimits: CallerLimits{RequestsPerSecond: 3, WaitingBuilds: 4, StoredMiB: 5}, CreatedAt: noon,
	}
}

func addCaller(t *testing.T, db *DB, name string) int64 {
	t.Helper()
	id, err := db.CreateCaller(t.Context(), newCaller(name))
	check(t, err)
	return id
}

func addAudience(t *testing.T, db *DB, a Audience) int64 {
	t.Helper()
	if a.Kind == "" {
		a.Kind = "built"
	}
	if a.CreatedAt.IsZero() {
		a.CreatedAt = noon
	}
	id, err := db.InsertAudience(t.Context(), a)
	check(t, err)
	return id
}

func TestCallers(t *testing.T) {
	eachDB(t, func(t *testing.T, db *DB) {
		ctx := t.Context()
		want := newCaller("zoë")
		want.ID = addCaller(t, db, "zoë")
		for name, read := range map[string]func() (Caller, error){
			"ByID":        func() (Caller, error) { return db.CallerByID(ctx, want.ID) },
			"ByName":      func() (Caller, error) { return db.CallerByName(ctx, "zoë") },
			"ByTokenHash": func() (Caller, error) { return db.CallerByTokenHash(ctx, "hash of zoë") },
			"ByAccessKey": func() (Caller, error) { return db.CallerByAccessKey(ctx, "access zoë") },
		} {
			got, err := read()
			check(t, err)
			diff(t, "Caller"+name, want, got)
			if got.CreatedAt.Location() != time.UTC {
				t.Errorf("CreatedAt is in %v, want UTC", got.CreatedAt.Location())
			}
		}
		_, err := db.CallerByName(ctx, "absent")
		wantErr(t, "CallerByName(absent)", err, ErrNotFound)
		for _, odd := range []string{"\xff", "a\x00b", "\xed\xa0\x80"} { // which PostgreSQL refuses to compare with
			_, err = db.CallerByAccessKey(ctx, odd)
			wantErr(t, "CallerByAccessKey of what is no text", err, ErrNotFound)
			_, err = db.CallerByName(ctx, odd)
			wantErr(t, "CallerByName of what is no text", err, ErrNotFound)
		}

		for _, field := range []string{"Name", "TokenHash", "AccessKey"} {
			other := newCaller("other")
			reflect.ValueOf(&other).Elem().FieldByName(field).Set(reflect.ValueOf(want).FieldByName(field))
			_, err := db.CreateCaller(ctx, other)
			wantErr(t, "CreateCaller with a taken "+field, err, ErrExists)
		}
		check(t, db.Tx(ctx, func(tx *Tx) error { // a conflict does not spoil the transaction
			_, err := tx.CreateCaller(ctx, want)
			wantErr(t, "CreateCaller in a transaction", err, ErrExists)
			_, err = tx.CreateCaller(ctx, newCaller("anna"))
			return err
		}))
		all := must[[]Caller](t)(db.ListCallers(ctx))
		if len(all) != 2 || all[0].Name != "anna" || all[1].Name != "zoë" {
			t.Errorf("ListCallers = %+v, want anna, zoë", all)
		}

		check(t, db.UpdateCaller(ctx, want.ID, CallerUpdate{}))
		check(t, db.UpdateCaller(ctx, want.ID, CallerUpdate{CanView: new([]string(nil)), Builds: new(int64(5)), TokenHash: new("new")}))
		want.CanView, want.Builds, want.TokenHash = nil, 5, "new"
		diff(t, "after UpdateCaller", want, must[Caller](t)(db.CallerByID(ctx, want.ID)))
		wantErr(t, "UpdateCaller(absent)", db.UpdateCaller(ctx, 999, CallerUpdate{Builds: new(int64(5))}), ErrNotFound)
		wantErr(t, "empty UpdateCaller(absent)", db.UpdateCaller(ctx, 999, CallerUpdate{}), ErrNotFound)

		check(t, db.PutSession(ctx, Session{IDHash: "s", CallerID: want.ID, ExpiresAt: noon.Add(time.Hour)}))
		check(t, db.RevokeCaller(ctx, want.ID, noon))
		check(t, db.RevokeCaller(ctx, want.ID, noon.Add(time.Hour)))
		want.RevokedAt = noon
		diff(t, "after RevokeCaller", want, must[Caller](t)(db.CallerByID(ctx, want.ID)))
		_, err = db.Session(ctx, "s", noon)
		wantErr(t, "Session of a revoked caller", err, ErrNotFound)
		wantErr(t, "RevokeCaller(absent)", db.RevokeCaller(ctx, 999, noon), ErrNotFound)
	})
}

func TestCredits(t *testing.T) {
	eachDB(t, func(t *testing.T, db *DB) {
		ctx := t.Context()
		id := addCaller(t, db, "a") // builds unlimited, insights 1, expansions 0
		left := func() [3]int64 {
			c := must[Caller](t)(db.CallerByID(ctx, id))
			return [3]int64{c.Builds, c.Insights, c.Expansions}
		}
		check(t, db.SpendCredit(ctx, id, CreditBuilds))
		check(t, db.SpendCredit(ctx, id, CreditInsights))
		wantErr(t, "SpendCredit without any", db.SpendCredit(ctx, id, CreditInsights), ErrExhausted)
		wantErr(t, "SpendCredit of none", db.SpendCredit(ctx, id, CreditExpansions), ErrExhausted)
		wantErr(t, "SpendCredit(absent)", db.SpendCredit(ctx, 999, CreditBuilds), ErrNotFound)
		diff(t, "spent", [3]int64{Unlimited, 0, 0}, left())
		check(t, db.ReturnCredit(ctx, id, CreditBuilds))
		check(t, db.ReturnCredit(ctx, id, CreditInsights))
		diff(t, "returned", [3]int64{Unlimited, 1, 0}, left())
		if err := db.SpendCredit(ctx, id, "name"); err == nil {
			t.Error("SpendCredit(name) = nil, want an error")
		}

		check(t, db.UpdateCaller(ctx, id, CallerUpdate{Builds: new(int64(5))}))
		var wg sync.WaitGroup
		var mu sync.Mutex
		spent := 0
		for range 12 {
			wg.Go(func() {
				err := db.SpendCredit(ctx, id, CreditBuilds)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					spent++
				} else if !errors.Is(err, ErrExhausted) {
					t.Errorf("SpendCredit = %v", err)
				}
			})
		}
		wg.Wait()
		if spent != 5 {
			t.Errorf("%d of 5 credits were spent", spent)
		}
	})
}
