package sqldb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestUploads(t *testing.T) {
	eachDB(t, func(t *testing.T, db *DB) {
		ctx := t.Context()
		a, b := addCaller(t, db, "a"), addCaller(t, db, "b")
		want := Upload{
			CallerID: a, Key: "/uploads/2026-11-21/x.md5", Type: "md5", Name: "n", MD5: "00", Status: "done", Rows: 10, Invalid: 1,
			Duplicate: 2, Matched: 3, Unmatched: 4, Generation: "g", BlobKey: "b", InvalidLines: json.RawMessage(`[{"line":1}]`),
			Details: json.RawMessage(`{}`), CreatedAt: noon,
		}
		stored, fresh, err := db.InsertUpload(ctx, want)
		check(t, err)
		want.ID = stored.ID
		diff(t, "InsertUpload", want, stored)
		again := want
		again.Name = "another"
		stored, freshAgain, err := db.InsertUpload(ctx, again)
		check(t, err)
		diff(t, "InsertUpload of the same key", want, stored)
		if !fresh || freshAgain {
			t.Errorf("fresh = %t, then %t, want true, false", fresh, freshAgain)
		}
		other := want
		other.CallerID = b
		other, fresh, err = db.InsertUpload(ctx, other)
		check(t, err)
		if !fresh || other.ID == want.ID {
			t.Errorf("InsertUpload by another caller gave upload %d, fresh %t", other.ID, fresh)
		}
		diff(t, "UploadByKey", want, must[Upload](t)(db.UploadByKey(ctx, a, want.Key)))
		diff(t, "UploadByKey of any", other, must[Upload](t)(db.UploadByKey(ctx, 0, want.Key)))
		diff(t, "Upload", want, must[Upload](t)(db.Upload(ctx, want.ID)))
		_, err = db.UploadByKey(ctx, a, "absent")
		wantErr(t, "UploadByKey(absent)", err, ErrNotFound)
		for _, key := range []string{"\x00", "\xff"} { // PostgreSQL refuses to look for them
			_, err = db.UploadByKey(ctx, a, key)
			wantErr(t, fmt.Sprintf("UploadByKey(%q)", key), err, ErrNotFound)
		}

		check(t, db.UpdateUpload(ctx, want.ID, UploadUpdate{Status: new("failed"), Matched: new(int64(9)), InvalidLines: new(json.RawMessage(nil))}))
		want.Status, want.Matched, want.InvalidLines = "failed", 9, nil
		diff(t, "after UpdateUpload", want, must[Upload](t)(db.Upload(ctx, want.ID)))
		wantErr(t, "UpdateUpload(absent)", db.UpdateUpload(ctx, 999, UploadUpdate{Status: new("x")}), ErrNotFound)

		f := func(filter UploadFilter, wantMore bool, want ...int64) {
			t.Helper()
			rows, more, err := db.ListUploads(ctx, filter)
			check(t, err)
			var got []int64
			for _, row := range rows {
				got = append(got, row.ID)
			}
			diff(t, fmt.Sprintf("ListUploads(%+v)", filter), want, got)
			if more != wantMore {
				t.Errorf("ListUploads(%+v) more = %t, want %t", filter, more, wantMore)
			}
		}
		f(UploadFilter{}, false, other.ID, want.ID)
		f(UploadFilter{Limit: 1}, true, other.ID)
		f(UploadFilter{BeforeID: other.ID}, false, want.ID)
		f(UploadFilter{CallerID: a, Type: "md5", Status: "failed"}, false, want.ID)
		f(UploadFilter{CallerID: a, Status: "done"}, false)

		check(t, db.DeleteUpload(ctx, want.ID))
		wantErr(t, "second DeleteUpload", db.DeleteUpload(ctx, want.ID), ErrNotFound)
		_, err = db.UploadByKey(ctx, a, want.Key)
		wantErr(t, "UploadByKey after deletion", err, ErrNotFound)
	})
}

func TestCallbacks(t *testing.T) {
	eachDB(t, func(t *testing.T, db *DB) {
		ctx := t.Context()
		caller, other := addCaller(t, db, "a"), addCaller(t, db, "b")
		audience := addAudience(t, db, Audience{CallerID: caller})
		want := Callback{
			AudienceID: audience, CallerID: caller, Event: "audience", URL: "http://example.com", Body: json.RawMessage(`{}`),
			Status: CallbackPending, NextAttemptAt: noon, CreatedAt: noon,
		}
		want.ID = must[int64](t)(db.InsertCallback(ctx, want))
		bare := Callback{AudienceID: audience, CallerID: caller, Status: CallbackRefused, CreatedAt: noon}
		bare.ID = must[int64](t)(db.InsertCallback(ctx, bare))
		diff(t, "Callback", want, must[Callback](t)(db.Callback(ctx, caller, want.ID)))
		_, err := db.Callback(ctx, other, want.ID)
		wantErr(t, "Callback of another caller", err, ErrNotFound)

		var wantAttempts []Attempt
		for n, a := range []Attempt{{At: noon, Error: "refused", MS: 3}, {At: noon.Add(time.Second), HTTPStatus: new(int64(200)), MS: 5}} {
			a.CallbackID = want.ID
			a.N = must[int64](t)(db.AddAttempt(ctx, a))
			if a.N != int64(n+1) {
				t.Errorf("AddAttempt = %d, want %d", a.N, n+1)
			}
			wantAttempts = append(wantAttempts, a)
		}
		_, err = db.AddAttempt(ctx, Attempt{CallbackID: 999})
		wantErr(t, "AddAttempt(absent)", err, ErrNotFound)
		check(t, db.UpdateCallback(ctx, want.ID, CallbackUpdate{Status: new(CallbackDelivered), NextAttemptAt: new(time.Time{}), FinishedAt: new(noon)}))
		want.Status, want.NextAttemptAt, want.FinishedAt, want.Attempts = CallbackDelivered, time.Time{}, noon, 2
		diff(t, "after UpdateCallback", want, must[Callback](t)(db.Callback(ctx, 0, want.ID)))
		diff(t, "Attempts", map[int64][]Attempt{want.ID: wantAttempts}, must[map[int64][]Attempt](t)(db.Attempts(ctx, want.ID, bare.ID)))
		diff(t, "Attempts of none", map[int64][]Attempt{}, must[map[int64][]Attempt](t)(db.Attempts(ctx)))

		f := func(filter CallbackFilter, wantMore bool, want ...Callback) {
			t.Helper()
			got, more, err := db.ListCallbacks(ctx, filter)
			check(t, err)
			diff(t, fmt.Sprintf("ListCallbacks(%+v)", filter), want, got)
			if more != wantMore {
				t.Errorf("ListCallbacks(%+v) more = %t, want %t", filter, more, wantMore)
			}
		}
		f(CallbackFilter{}, false, bare, want)
		f(CallbackFilter{CallerID: caller, AudienceID: audience, Limit: 1}, true, bare)
		f(CallbackFilter{Status: CallbackDelivered}, false, want)
		f(CallbackFilter{BeforeID: want.ID}, false)
		f(CallbackFilter{CallerID: other}, false)
	})
}

func TestAnswersSessionsMeta(t *testing.T) {
	eachDB(t, func(t *testing.T, db *DB) {
		ctx := t.Context()
		caller := addCaller(t, db, "a")
		want := Answer{CallerID: caller, Method: "POST", Path: "/p", Key: "k", BodyHash: "h", Status: 200, Response: "{}", CreatedAt: noon}
		check(t, db.PutAnswer(ctx, want))
		wantErr(t, "second PutAnswer", db.PutAnswer(ctx, want), ErrExists)
		diff(t, "Answer", want, must[Answer](t)(db.Answer(ctx, caller, "POST", "/p", "k")))
		for _, key := range [][3]string{{"PUT", "/p", "k"}, {"POST", "/q", "k"}, {"POST", "/p", "l"}} {
			_, err := db.Answer(ctx, caller, key[0], key[1], key[2])
			wantErr(t, fmt.Sprintf("Answer(%v)", key), err, ErrNotFound)
		}
		if n := must[int64](t)(db.SweepAnswers(ctx, noon)); n != 0 {
			t.Errorf("SweepAnswers(as old) = %d, want 0", n)
		}
		if n := must[int64](t)(db.SweepAnswers(ctx, noon.Add(time.Microsecond))); n != 1 {
			t.Errorf("SweepAnswers(older) = %d, want 1", n)
		}

		s := Session{IDHash: "s", CallerID: caller, ExpiresAt: noon}
		check(t, db.PutSession(ctx, s))
		diff(t, "Session", s, must[Session](t)(db.Session(ctx, "s", noon.Add(-time.Microsecond))))
		_, err := db.Session(ctx, "s", noon)
		wantErr(t, "expired Session", err, ErrNotFound)
		check(t, db.SweepSessions(ctx, noon.Add(-time.Microsecond)))
		diff(t, "Session after sweeping", s, must[Session](t)(db.Session(ctx, "s", noon.Add(-time.Hour))))
		check(t, db.SweepSessions(ctx, noon))
		_, err = db.Session(ctx, "s", noon.Add(-time.Hour))
		wantErr(t, "swept Session", err, ErrNotFound)
		check(t, db.PutSession(ctx, s))
		check(t, db.DeleteSession(ctx, "s"))
		check(t, db.DeleteSession(ctx, "s"))
		_, err = db.Session(ctx, "s", noon.Add(-time.Hour))
		wantErr(t, "deleted Session", err, ErrNotFound)

		_, err = db.Meta(ctx, "k")
		wantErr(t, "Meta(absent)", err, ErrNotFound)
		for i, value := range []string{"1", "2"} {
			if got := must[string](t)(db.InitMeta(ctx, "k", value)); got != "1" {
				t.Errorf("InitMeta %d = %s, want 1", i, got)
			}
		}
		check(t, db.SetMeta(ctx, "k", "3"))
		if got := must[string](t)(db.Meta(ctx, "k")); got != "3" {
			t.Errorf("Meta = %s, want 3", got)
		}
	})
}

func TestInsightsLinksOffers(t *testing.T) {
	eachDB(t, func(t *testing.T, db *DB) {
		ctx := t.Context()
		caller, other := addCaller(t, db, "a"), addCaller(t, db, "b")
		x, y := addAudience(t, db, Audience{CallerID: caller}), addAudience(t, db, Audience{CallerID: caller})

		i := Insight{AudienceID: x, Status: "running", CallbackURL: "u", CreatedAt: noon}
		check(t, db.PutInsight(ctx, i))
		i = Insight{AudienceID: x, Status: "failed", Hash: "h", Generation: "g", BlobKey: "b", Error: json.RawMessage(`{}`), Details: json.RawMessage(`[]`), CreatedAt: noon, FinishedAt: noon}
		check(t, db.PutInsight(ctx, i))
		diff(t, "Insight", i, must[Insight](t)(db.Insight(ctx, x)))
		_, err := db.Insight(ctx, y)
		wantErr(t, "Insight(absent)", err, ErrNotFound)
		diff(t, "Insights", map[int64]Insight{x: i}, must[map[int64]Insight](t)(db.Insights(ctx, x, y)))

		for n, link := range []PublicLink{
			{AudienceID: x, Baseline: "global", CreatedAt: noon, ExpiresAt: noon},
			{AudienceID: x, Baseline: "usa", CreatedAt: noon.Add(1000)},
		} {
			want := link
			want.Counter = int64(n + 1)
			diff(t, "PutPublicLink", want, must[PublicLink](t)(db.PutPublicLink(ctx, link)))
			diff(t, "PublicLink", want, must[PublicLink](t)(db.PublicLink(ctx, x)))
		}
		_, err = db.PublicLink(ctx, y)
		wantErr(t, "PublicLink(absent)", err, ErrNotFound)

		// The generation of a report that is to be made is kept.
		check(t, db.PutInsight(ctx, Insight{AudienceID: y, Status: StatusRunning, Generation: "waits", CreatedAt: noon}))
		diff(t, "RunningGenerations", []string{"waits"}, must[[]string](t)(db.RunningGenerations(ctx)))
		for range 2 { // of none the second time
			check(t, db.DeleteInsight(ctx, x))
			check(t, db.DeleteInsight(ctx, y))
		}
		_, err = db.Insight(ctx, x)
		wantErr(t, "Insight(deleted)", err, ErrNotFound)
		_, err = db.PublicLink(ctx, x)
		wantErr(t, "PublicLink(of a deleted insight)", err, ErrNotFound)

		offer := Offer{CallerID: caller, ID: 66785, Include: []int64{x, y}, Exclude: []int64{y}, UpdatedAt: noon}
		check(t, db.PutOffer(ctx, offer))
		diff(t, "Offer", offer, must[Offer](t)(db.Offer(ctx, caller, 66785)))
		_, err = db.Offer(ctx, other, 66785)
		wantErr(t, "Offer of another caller", err, ErrNotFound)
		diff(t, "TargetedAudiences", []int64{x, y}, must[[]int64](t)(db.TargetedAudiences(ctx, x, y, 999)))
		offer = Offer{CallerID: caller, ID: 66785, Exclude: []int64{y}, UpdatedAt: noon.Add(time.Hour)}
		check(t, db.PutOffer(ctx, offer))
		diff(t, "replaced Offer", offer, must[Offer](t)(db.Offer(ctx, caller, 66785)))
		diff(t, "TargetedAudiences", []int64{y}, must[[]int64](t)(db.TargetedAudiences(ctx, x, y)))
	})
}

// What a request makes is made wholly or not at all.
func TestOneTransactionForAll(t *testing.T) {
	eachDB(t, func(t *testing.T, db *DB) {
		ctx := t.Context()
		caller := addCaller(t, db, "a") // one insight
		create := func(fail error) (id int64, err error) {
			err = db.Tx(ctx, func(tx *Tx) error {
				if id, err = tx.InsertAudience(ctx, Audience{CallerID: caller, Kind: "built", Status: StatusRunning, CreatedAt: noon}); err != nil {
					return err
				}
				if err := tx.AddUses(ctx, id, UseUpload, 1); err != nil {
					return err
				}
				if err := tx.SpendCredit(ctx, caller, CreditInsights); err != nil {
					return err
				}
				answer := Answer{CallerID: caller, Method: "POST", Path: "/p", Key: "k", CreatedAt: noon}
				return errors.Join(tx.PutAnswer(ctx, answer), fail)
			})
			return id, err
		}
		state := func() [3]int64 {
			running := must[int64](t)(db.CountRunning(ctx, caller))
			used := int64(0)
			if must[bool](t)(db.UsedByRunning(ctx, UseUpload, 1)) {
				used = 1
			}
			return [3]int64{running, used, must[Caller](t)(db.CallerByID(ctx, caller)).Insights}
		}
		_, err := create(context.Canceled)
		wantErr(t, "a failed creation", err, context.Canceled)
		diff(t, "running, used, credits after a failure", [3]int64{0, 0, 1}, state())
		_, err = create(nil)
		check(t, err)
		diff(t, "running, used, credits after a success", [3]int64{1, 1, 0}, state())
		_, err = create(nil)
		wantErr(t, "a creation without credit", err, ErrExhausted)
		diff(t, "running, used, credits after a refusal", [3]int64{1, 1, 0}, state())
	})
}
