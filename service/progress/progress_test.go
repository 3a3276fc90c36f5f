package progress

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What is told at once is that a step has begun; the rest comes once a second at
// most, and every five at least.
func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var steps, told []string
		note := func(list *[]string, format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			*list = append(*list, fmt.Sprintf(format, args...))
		}
		begin := time.Now()
		p := Follow(func(step string) func() {
			note(&steps, "%s begins", step)
			return func() { note(&steps, "%s ends", step) }
		}, func(step string, share float64) { note(&told, "%v %s %.1f", time.Since(begin), step, share) })
		p.At("one", 0.1)
		synctest.Wait()
		p.At("one", 0.2) // within a second of what was told
		synctest.Wait()
		time.Sleep(time.Second)
		p.At("one", 0.3)
		synctest.Wait()
		p.At("two", 2) // more than the whole
		synctest.Wait()
		time.Sleep(4*time.Second + time.Millisecond) // a sign of life
		synctest.Wait()
		p.Stop()
		time.Sleep(time.Minute)
		if diff := cmp.Diff([]string{"one begins", "one ends", "two begins", "two ends"}, steps); diff != "" {
			t.Errorf("steps (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"0s one 0.1", "1s one 0.3", "1s two 1.0", "5s two 1.0"}, told); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
	})
}
