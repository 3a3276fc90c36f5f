package limit

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// Who waits passes in turn of the callers, not of the requests.
func TestGateTakesTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewGate(Bounds{Slots: 1, Share: 1, Waiting: 10, Each: 10})
		leave, err := a.Enter(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var order []int64
		for _, caller := range []int64{1, 1, 1, 2, 3, 2} {
			go func() {
				leave, err := a.Enter(t.Context(), caller)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, caller)
				mu.Unlock()
				leave()
			}()
			synctest.Wait() // it is in the queue
		}
		leave()
		synctest.Wait()
		if diff := cmp.Diff([]int64{1, 2, 3, 1, 2, 1}, order); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
		if len(a.lanes) != 0 || len(a.turns) != 0 || a.passing != 0 || a.queued != 0 {
			t.Errorf("left behind: %+v", a)
		}
	})
}

func TestGateBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewGate(Bounds{Slots: 3, Share: 2, Waiting: 2, Each: 3})
		ctx, cancel := context.WithCancelCause(t.Context())
		enter := func(caller int64) func() {
			t.Helper()
			leave, err := a.Enter(ctx, caller)
			if err != nil {
				t.Fatal(err)
			}
			return leave
		}
		first := enter(1)
		enter(1)
		waits := make(chan error, 2)
		var third func()
		go func() { // no more than two of one caller, though there is a slot
			leave, err := a.Enter(ctx, 1)
			third = leave
			waits <- err
		}()
		synctest.Wait()
		if _, err := a.Enter(ctx, 1); !errors.Is(err, ErrCaller) {
			t.Errorf("a fourth of one caller = %v, want %v", err, ErrCaller)
		}
		other := enter(2) // the slot that was left for others
		go func() {
			_, err := a.Enter(ctx, 2)
			waits <- err
		}()
		synctest.Wait()
		if _, err := a.Enter(ctx, 3); !errors.Is(err, ErrFull) {
			t.Errorf("a third that waits = %v, want %v", err, ErrFull)
		}
		first()
		if err := <-waits; err != nil {
			t.Errorf("one that waited: %v", err)
		}
		gone := errors.New("gone")
		cancel(gone)
		if err := <-waits; !errors.Is(err, gone) {
			t.Errorf("one that gave up = %v, want %v", err, gone)
		}
		if a.queued != 0 || len(a.turns) != 0 {
			t.Errorf("%d wait, turns %v, want none", a.queued, a.turns)
		}
		other()
		third()
		if a.passing != 1 {
			t.Errorf("%d pass, want 1", a.passing)
		}
	})
}
