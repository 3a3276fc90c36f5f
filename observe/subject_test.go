package observe

import (
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng/internal/logs"
	"throng/job"
)

// TestJobLines looks at what the lines of each kind of job carry.
func TestJobLines(t *testing.T) {
	o := newObserver(t, Config{Version: "v1"})
	for kind, want := range map[string]string{
		"build": "audience", "devices": "audience", "insight": "audience", "callback": "callback", "delivery": "delivery", "sweep": "",
	} {
		ctx, end := o.Jobs().Start(t.Context(), job.Job{ID: 3, Kind: kind, OwnerRef: 7})
		end(job.AttemptDone)
		got := logs.Of(ctx)
		lines := []slog.Attr{slog.Int64("job", 3), slog.String("kind", kind)}
		if want != "" {
			lines = append(lines, slog.Int64(want, 7))
		}
		if diff := cmp.Diff(lines, got, cmp.Comparer(slog.Attr.Equal)); diff != "" {
			t.Errorf("lines of a job %s carry (-want +got):\n%s", kind, diff)
		}
	}
}
