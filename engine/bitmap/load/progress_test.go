package load

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"throng/dataset"
	"throng/engine"
)

// TestTimeLeft follows a load with a clock of its own, with and without one
// before it.
func TestTimeLeft(t *testing.T) {
	dir := writeTables(t, map[string]string{
		"people.csv": "person\n" + string(make([]byte, 93)), // 100 bytes
		"jobs.csv":   string(make([]byte, 300)),
	})
	source, err := dataset.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	last := &engine.Report{Steps: []engine.StepReport{
		{Step: "read people", Bytes: 200, Elapsed: 20 * time.Second}, // 10 s for 100 bytes
		{Step: "read jobs", Bytes: 100, Elapsed: 2 * time.Second},    // 6 s for 300
		{Step: "write", Bytes: 400, Elapsed: 4 * time.Second},        // 4 s for 400
		{Step: "write", Bytes: 400, Elapsed: 4 * time.Second},        // comes twice
	}}
	type told struct{ StepLeft, Left time.Duration }
	for _, tt := range []struct {
		name string
		last *engine.Report
		want []told
	}{
		{"first", nil, []told{{}, {}, {StepLeft: 6 * time.Second}, {}}},
		{"a table more", &engine.Report{Steps: last.Steps[:1]}, []told{{}, {}, {StepLeft: 6 * time.Second}, {}}},
		{"second", last, []told{
			{Left: 24 * time.Second},
			{Left: 23500 * time.Millisecond}, // nothing believed yet of half a second
			{StepLeft: 6 * time.Second, Left: 20 * time.Second},
			{Left: 14 * time.Second},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []told
			p := newProgress(func(n engine.Progress) { got = append(got, told{n.StepLeft, n.Left}) })
			now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
			p.clock = func() time.Time { return now }
			p.expect(source, tt.last)
			p.begin("read people", 100)
			now = now.Add(500 * time.Millisecond)
			p.read(10)
			now = now.Add(1500 * time.Millisecond)
			p.read(15)
			now = now.Add(4 * time.Second)
			p.begin("read jobs", 300)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
			steps := p.steps()
			if len(steps) != 2 || steps[0] != (engine.StepReport{Step: "read people", Bytes: 100, Elapsed: 6 * time.Second}) {
				t.Errorf("steps = %+v, want what was begun", steps)
			}
		})
	}
}
