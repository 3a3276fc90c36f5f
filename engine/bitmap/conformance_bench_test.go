package bitmap_test

import (
	"testing"

	"throng/engine"
	"throng/engine/bitmap"
	"throng/engine/enginetest"
)

func BenchmarkEngine(b *testing.B) {
	enginetest.Bench(b, func(b *testing.B) engine.Engine {
		e, err := bitmap.Open(b.TempDir(), bitmap.Config{})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = e.Close() })
		return e
	})
}
