package keylock

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
)

func TestLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l Lock
		unlock, err := l.Lock(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		other, err := l.Lock(t.Context(), "b") // is no hindrance
		if err != nil {
			t.Fatal(err)
		}
		other()

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := l.Lock(ctx, "a"); !errors.Is(err, context.Canceled) {
			t.Errorf("Lock of a held key, canceled: %v, want %v", err, context.Canceled)
		}

		// Ten wait; each finds itself alone.
		inside := 0
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				unlock, err := l.Lock(t.Context(), "a")
				if err != nil {
					t.Error(err)
					return
				}
				defer unlock()
				if inside++; inside != 1 {
					t.Errorf("%d hold the key", inside)
				}
				inside--
			})
		}
		synctest.Wait()
		if inside != 0 {
			t.Errorf("%d got the key while it was held", inside)
		}
		unlock()
		wg.Wait()
		if l.Held() != 0 {
			t.Errorf("%d keys are left", l.Held())
		}
	})
}
