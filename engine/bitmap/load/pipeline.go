package load

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// inOrder makes n things by so many goroutines and uses them one after another
// in their order. Not many more than workers are there at any time.
func inOrder[T any](ctx context.Context, n, workers int, produce func(i int) (T, error), use func(i int, t T) error) error {
	if n == 0 {
		return nil
	}
	g, ctx := errgroup.WithContext(ctx)
	ahead := min(workers+1, n)
	made := make([]chan T, ahead)
	free := make([]chan struct{}, ahead) // slot i may be filled
	for i := range made {
		made[i] = make(chan T, 1)
		free[i] = make(chan struct{}, 1)
		free[i] <- struct{}{}
	}
	next := make(chan int)
	g.Go(func() error {
		defer close(next)
		for i := range n {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-free[i%ahead]:
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case next <- i:
			}
		}
		return nil
	})
	for range workers {
		g.Go(func() error {
			for i := range next {
				t, err := produce(i)
				if err != nil {
					return err
				}
				made[i%ahead] <- t
			}
			return nil
		})
	}
	g.Go(func() error {
		for i := range n {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case t := <-made[i%ahead]:
				if err := use(i, t); err != nil {
					return err
				}
				free[i%ahead] <- struct{}{}
			}
		}
		return nil
	})
	return g.Wait()
}
