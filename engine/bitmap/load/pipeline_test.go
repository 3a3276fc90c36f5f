package load

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
)

func TestInOrder(t *testing.T) {
	for _, workers := range []int{1, 2, 7} {
		var under atomic.Int32
		var got []int
		err := inOrder(t.Context(), 100, workers, func(i int) (int, error) {
			under.Add(1)
			return i * i, nil
		}, func(i, v int) error {
			if n := under.Add(-1); int(n) > workers+2 {
				t.Errorf("%d workers: %d things at once", workers, n)
			}
			got = append(got, v-i*i+i)
			return nil
		})
		if err != nil || len(got) != 100 || !slices.IsSorted(got) {
			t.Errorf("%d workers: inOrder = %v, used %v", workers, err, got)
		}
	}
	boom := errors.New("boom")
	if err := inOrder(t.Context(), 50, 3, func(i int) (int, error) {
		if i == 20 {
			return 0, boom
		}
		return i, nil
	}, func(int, int) error { return nil }); !errors.Is(err, boom) {
		t.Errorf("inOrder = %v, want %v", err, boom)
	}
	if err := inOrder(t.Context(), 50, 3, func(i int) (int, error) { return i, nil }, func(i, _ int) error {
		if i == 20 {
			return boom
		}
		return nil
	}); !errors.Is(err, boom) {
		t.Errorf("inOrder = %v, want %v", err, boom)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := inOrder(ctx, 50, 3, func(i int) (int, error) { return i, nil }, func(int, int) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("inOrder = %v, want %v", err, context.Canceled)
	}
}
