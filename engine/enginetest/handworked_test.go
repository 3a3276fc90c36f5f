package enginetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"throng/engine/enginetest/model"
)

// now stands for the time of loads; every case has an as_of of its own.
func now() time.Time { return time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC) }

func TestModelByHand(t *testing.T) {
	for _, c := range HandWorked() {
		t.Run(c.Name, func(t *testing.T) {
			dir := t.TempDir()
			if err := c.Write(dir); err != nil {
				t.Fatal(err)
			}
			m, err := model.Load(dir, now())
			if err != nil {
				t.Fatal(err)
			}
			ext := model.External{Uploads: c.Uploads, Audiences: map[int64][]string{}}
			for id, parameters := range c.Audiences {
				res, err := m.Eval([]byte(`{"parameters":`+string(parameters)+`}`), model.External{})
				if err != nil {
					t.Fatal(err)
				}
				ext.Audiences[id] = res.Members
			}
			res, err := m.Eval(c.Definition(), ext)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.Members, res.Members, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("Eval(%s) differs (-want +got):\n%s", c.Parameters, diff)
			}
			if got := []int{res.Include, res.Filter, res.Exclude}; c.Steps != nil && !cmp.Equal(c.Steps, got) {
				t.Errorf("Eval(%s) has steps %v, want %v", c.Parameters, got, c.Steps)
			}
			for typ, want := range c.Outputs {
				lines, _, _, _ := m.Output(res.Members, typ)
				if diff := cmp.Diff(want, lines); diff != "" {
					t.Errorf("Output(%s) differs (-want +got):\n%s", typ, diff)
				}
			}
		})
	}
}
