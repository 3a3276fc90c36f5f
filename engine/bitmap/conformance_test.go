package bitmap_test

import (
	"testing"

	"throng/engine"
	"throng/engine/bitmap"
	"throng/engine/enginetest"
)

func TestEngine(t *testing.T) {
	enginetest.Run(t, func(t *testing.T) engine.Engine {
		e, err := bitmap.Open(t.TempDir(), bitmap.Config{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := e.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
		return e
	})
}
