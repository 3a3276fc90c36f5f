package sqldb

import (
	"encoding/json"
	"testing"
	"time"
)

func TestDeliveries(t *testing.T) {
	eachDB(t, func(t *testing.T, db *DB) {
		ctx := t.Context()
		a, b := addCaller(t, db, "a"), addCaller(t, db, "b")
		audience := addAudience(t, db, Audience{CallerID: a, Name: "tea"})
		want := Delivery{
			AudienceID: audience, CallerID: a, Destination: "drop", Name: "n", Status: StatusRunning, Step: "queued",
			Settings: json.RawMessage(`{"x":1}`), SecretSealed: "v1.x", Warnings: []string{"w"}, CreatedAt: noon, UpdatedAt: noon,
		}
		var err error
		want.ID, err = db.InsertDelivery(ctx, want)
		check(t, err)
		diff(t, "Delivery", want, must[Delivery](t)(db.Delivery(ctx, a, want.ID)))
		diff(t, "Delivery of any", want, must[Delivery](t)(db.Delivery(ctx, 0, want.ID)))
		_, err = db.Delivery(ctx, b, want.ID)
		wantErr(t, "Delivery of another caller", err, ErrNotFound)

		later := noon.Add(time.Minute)
		check(t, db.UpdateDelivery(ctx, want.ID, DeliveryUpdate{
			Step: new("sending"), State: new(json.RawMessage(`{}`)), Report: new(json.RawMessage(`[]`)), Failures: new(int64(2)),
			Error: new(json.RawMessage(`{"code":"x"}`)), NextAttemptAt: &later, UpdatedAt: later, Warnings: &[]string{"w", "v"},
		}))
		want.Step, want.State, want.Report, want.Failures = "sending", json.RawMessage(`{}`), json.RawMessage(`[]`), 2
		want.Error, want.NextAttemptAt, want.UpdatedAt, want.Warnings = json.RawMessage(`{"code":"x"}`), later, later, []string{"w", "v"}
		diff(t, "after UpdateDelivery", want, must[Delivery](t)(db.Delivery(ctx, a, want.ID)))

		check(t, db.UpdateDelivery(ctx, want.ID, DeliveryUpdate{
			Status: new(StatusDone), SecretSealed: new(""), NextAttemptAt: new(time.Time{}), Error: new(json.RawMessage(nil)),
			UpdatedAt: later, FinishedAt: &later,
		}))
		want.Status, want.SecretSealed, want.NextAttemptAt, want.Error, want.FinishedAt = StatusDone, "", time.Time{}, nil, later
		diff(t, "after its end", want, must[Delivery](t)(db.Delivery(ctx, a, want.ID)))
		wantErr(t, "UpdateDelivery of one that has ended", db.UpdateDelivery(ctx, want.ID, DeliveryUpdate{UpdatedAt: later}), ErrNotFound)

		second := want
		second.Status = StatusRunning
		second.ID, err = db.InsertDelivery(ctx, second)
		check(t, err)
		f := func(filter DeliveryFilter, wantMore bool, want ...int64) {
			t.Helper()
			rows, more, err := db.ListDeliveries(ctx, filter)
			check(t, err)
			var got []int64
			for _, row := range rows {
				got = append(got, row.ID)
			}
			diff(t, "ListDeliveries", want, got)
			if more != wantMore {
				t.Errorf("more = %t, want %t", more, wantMore)
			}
		}
		f(DeliveryFilter{}, false, second.ID, want.ID)
		f(DeliveryFilter{AudienceID: audience, Limit: 1}, true, second.ID)
		f(DeliveryFilter{AudienceID: audience, BeforeID: second.ID}, false, want.ID)
		f(DeliveryFilter{AudienceID: audience + 1}, false)
		f(DeliveryFilter{Status: StatusDone}, false, want.ID)
	})
}

func TestCredentials(t *testing.T) {
	eachDB(t, func(t *testing.T, db *DB) {
		ctx := t.Context()
		a, b := addCaller(t, db, "a"), addCaller(t, db, "b")
		want := Credentials{CallerID: a, Name: "main", Destination: "d", Endpoint: "https://example.com", SecretSealed: "v1.x", UpdatedAt: noon}
		check(t, db.PutCredentials(ctx, want))
		diff(t, "Credentials", want, must[Credentials](t)(db.Credentials(ctx, a, "main")))
		want.SecretSealed, want.UpdatedAt = "v1.y", noon.Add(time.Hour)
		check(t, db.PutCredentials(ctx, want))
		diff(t, "Credentials put again", want, must[Credentials](t)(db.Credentials(ctx, a, "main")))
		for _, name := range []string{"other", "\x00"} {
			_, err := db.Credentials(ctx, a, name)
			wantErr(t, "Credentials("+name+")", err, ErrNotFound)
			wantErr(t, "DeleteCredentials("+name+")", db.DeleteCredentials(ctx, a, name), ErrNotFound)
		}
		_, err := db.Credentials(ctx, b, "main")
		wantErr(t, "Credentials of another caller", err, ErrNotFound)
		wantErr(t, "DeleteCredentials of another caller", db.DeleteCredentials(ctx, b, "main"), ErrNotFound)
		first := want
		first.Name = "first"
		check(t, db.PutCredentials(ctx, first))
		diff(t, "ListCredentials", []Credentials{first, want}, must[[]Credentials](t)(db.ListCredentials(ctx, a)))
		check(t, db.DeleteCredentials(ctx, a, "main"))
		diff(t, "ListCredentials", []Credentials{first}, must[[]Credentials](t)(db.ListCredentials(ctx, a)))
	})
}
