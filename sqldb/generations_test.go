package sqldb

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

func generationID(n int64) string { return fmt.Sprintf("%08d", n) }

func TestGenerations(t *testing.T) {
	eachDB(t, func(t *testing.T, db *DB) {
		ctx := t.Context()
		now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
		begin := func(node string, last int64, at time.Time) (int64, error) {
			return db.BeginGeneration(ctx, node, last, at, at.Add(-time.Minute), generationID)
		}
		if _, err := db.CurrentGeneration(ctx); !errors.Is(err, ErrNotFound) {
			t.Errorf("CurrentGeneration of none = %v, want ErrNotFound", err)
		}
		if n, err := begin("a", 4, now); n != 5 || err != nil {
			t.Fatalf("BeginGeneration after 4 = %d, %v, want 5", n, err)
		}
		if _, err := begin("b", 9, now.Add(time.Second)); !errors.Is(err, ErrConflict) {
			t.Errorf("BeginGeneration beside another = %v, want ErrConflict", err)
		}
		info := json.RawMessage(`{"name":"x"}`)
		if err := db.PublishGeneration(ctx, "a", 5, "sum", info, now); err != nil {
			t.Fatal(err)
		}
		want := Generation{Number: 5, ID: "00000005", Status: GenerationPublished, Node: "a", Stamp: "sum", Info: info, SeenAt: now, PublishedAt: now}
		diff(t, "CurrentGeneration", want, must[Generation](t)(db.CurrentGeneration(ctx)))
		if err := db.RemoveGeneration(ctx, "00000005"); !errors.Is(err, ErrConflict) {
			t.Errorf("RemoveGeneration of the current one = %v, want ErrConflict", err)
		}

		// The node that loads dies. Itself may begin anew at once, others after a while.
		first := must[int64](t)(begin("a", 0, now))
		second := must[int64](t)(begin("a", 0, now.Add(time.Second)))
		if first != 6 || second != 7 {
			t.Errorf("numbers %d and %d, want 6 and 7", first, second)
		}
		if err := db.KeepGeneration(ctx, "a", second, now.Add(50*time.Second)); err != nil {
			t.Error(err)
		}
		if _, err := begin("b", 0, now.Add(100*time.Second)); !errors.Is(err, ErrConflict) {
			t.Errorf("BeginGeneration 50 s after the other was seen = %v, want ErrConflict", err)
		}
		third := must[int64](t)(begin("b", 0, now.Add(111*time.Second)))
		for what, err := range map[string]error{
			"KeepGeneration":    db.KeepGeneration(ctx, "a", second, now),
			"PublishGeneration": db.PublishGeneration(ctx, "a", second, "late", nil, now),
			"AbandonGeneration": db.AbandonGeneration(ctx, "a", second),
		} {
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("%s of one that another took over = %v, want ErrNotFound", what, err)
			}
		}
		if err := db.AbandonGeneration(ctx, "b", third); err != nil {
			t.Error(err)
		}
		fourth := must[int64](t)(begin("b", 0, now))
		if fourth != third+1 {
			t.Errorf("a number after one that was abandoned = %d, want %d", fourth, third+1)
		}
		if err := db.PublishGeneration(ctx, "b", fourth, "sum 2", nil, now); err != nil {
			t.Fatal(err)
		}

		// What a running build began with stays.
		id := addAudience(t, db, Audience{CallerID: addCaller(t, db, "runs"), Status: StatusRunning, Generation: "00000005"})
		if err := db.RemoveGeneration(ctx, "00000005"); !errors.Is(err, ErrConflict) {
			t.Errorf("RemoveGeneration of one in use = %v, want ErrConflict", err)
		}
		done := StatusDone
		if err := db.UpdateAudience(ctx, id, AudienceUpdate{Status: &done}); err != nil {
			t.Fatal(err)
		}
		if err := db.RemoveGeneration(ctx, "00000005"); err != nil {
			t.Errorf("RemoveGeneration = %v", err)
		}
		if err := db.RemoveGeneration(ctx, "00000005"); !errors.Is(err, ErrNotFound) {
			t.Errorf("a second RemoveGeneration = %v, want ErrNotFound", err)
		}
		list := must[[]Generation](t)(db.Generations(ctx))
		if len(list) != 1 || list[0].Number != fourth {
			t.Errorf("Generations = %+v, want the last alone", list)
		}
	})
}

// Of loads that begin at once one is admitted, and no number is given twice.
func TestBeginGenerationAtOnce(t *testing.T) {
	eachDB(t, func(t *testing.T, db *DB) {
		var wg sync.WaitGroup
		var mu sync.Mutex
		given := map[int64]int{}
		now := time.Now()
		for i := range 8 {
			wg.Go(func() {
				n, err := db.BeginGeneration(t.Context(), fmt.Sprint("node ", i), 0, now, now.Add(-time.Minute), generationID)
				if errors.Is(err, ErrConflict) {
					return
				}
				mu.Lock()
				defer mu.Unlock()
				if given[n]++; err != nil {
					t.Errorf("BeginGeneration = %v", err)
				}
			})
		}
		wg.Wait()
		if len(given) != 1 || given[1] != 1 {
			t.Errorf("numbers given: %v, want 1, once", given)
		}
	})
}

func TestServers(t *testing.T) {
	eachDB(t, func(t *testing.T, db *DB) {
		ctx := t.Context()
		now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
		a := Server{Node: "a", Role: "all", StartedAt: now, SeenAt: now}
		b := Server{Node: "b", Role: "worker", StartedAt: now, SeenAt: now.Add(-time.Minute)}
		for _, s := range []Server{b, a} {
			if err := db.SeeServer(ctx, s, now.Add(-time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		diff(t, "Servers", []Server{a, b}, must[[]Server](t)(db.Servers(ctx, now.Add(-time.Hour))))
		diff(t, "Servers seen lately", []Server{a}, must[[]Server](t)(db.Servers(ctx, now.Add(-time.Second))))
		a.Role, a.SeenAt = "api", now.Add(time.Second)
		if err := db.SeeServer(ctx, a, now); err != nil {
			t.Fatal(err)
		}
		diff(t, "Servers after one was forgotten", []Server{a}, must[[]Server](t)(db.Servers(ctx, time.Time{}.Add(time.Hour))))
		for range 2 {
			if err := db.ForgetServer(ctx, "a"); err != nil {
				t.Error(err)
			}
		}
		if all := must[[]Server](t)(db.Servers(ctx, now.Add(-time.Hour))); len(all) != 0 {
			t.Errorf("Servers = %v, want none", all)
		}
	})
}

// A load that was seen by a clock which has been set back since is dead, however long
// it takes until that time comes again.
func TestBeginGenerationSetBack(t *testing.T) {
	eachDB(t, func(t *testing.T, db *DB) {
		now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
		begin := func(node string, at time.Time) error {
			_, err := db.BeginGeneration(t.Context(), node, 0, at, at.Add(-time.Minute), generationID)
			return err
		}
		if err := begin("a", now); err != nil {
			t.Fatal(err)
		}
		if err := begin("b", now.Add(-50*time.Second)); !errors.Is(err, ErrConflict) {
			t.Errorf("BeginGeneration by a clock that is 50 s behind = %v, want ErrConflict", err)
		}
		if err := begin("b", now.Add(-time.Hour)); err != nil {
			t.Errorf("BeginGeneration after the clock was set back = %v", err)
		}
	})
}
