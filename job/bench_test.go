package job

import (
	"context"
	"fmt"
	"testing"

	"throng/sqldb"
)

// BenchmarkNext is what one look for the next job costs while many wait.
func BenchmarkNext(b *testing.B) {
	for _, waiting := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("waiting=%d", waiting), func(b *testing.B) {
			r, db := benchRunner(b)
			err := db.Tx(b.Context(), func(tx *sqldb.Tx) error {
				for i := range waiting {
					if _, err := r.Enqueue(b.Context(), tx, Job{Kind: "k", Group: fmt.Sprint(i % 50), Concurrency: 2}); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				err := db.View(b.Context(), func(q sqldb.Reader) error {
					_, found, err := r.next(b.Context(), q, "k")
					if err == nil && !found {
						err = ErrNotFound
					}
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRun is the whole life of a job: three durable transactions.
func BenchmarkRun(b *testing.B) {
	r, db := benchRunner(b)
	for b.Loop() {
		err := db.Tx(b.Context(), func(tx *sqldb.Tx) error {
			_, err := r.Enqueue(b.Context(), tx, Job{Kind: "k"})
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
		if err := r.fetch(b.Context()); err != nil {
			b.Fatal(err)
		}
		r.executing.Wait()
	}
}

func benchRunner(b *testing.B) (*Runner, *sqldb.DB) {
	db, err := sqldb.Open(b.Context(), sqldb.Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	r, err := New(db, Config{})
	if err != nil {
		b.Fatal(err)
	}
	if err := r.Register(Kind{Name: "k", Run: func(context.Context, Job) error { return nil }}); err != nil {
		b.Fatal(err)
	}
	return r, db
}
