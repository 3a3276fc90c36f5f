package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"throng"
)

// TestBaselinesOfDataset refuses a dataset whose baselines are malformed before
// anything is loaded, and counts those that are not.
func TestBaselinesOfDataset(t *testing.T) {
	s, err := Open(t.Context(), Config{Data: filepath.Join(t.TempDir(), "data"), InsightMinimum: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("people.csv", "person,gender\na,male\nb,female\nc,female\n")
	for text, want := range map[string]string{
		`{"baselines":[]}`: "baselines must be an object",
		`{"baselines":{"tea":{"parameters":[{"operation":"OR","gender":{"genders":["cat"]}}]}}}`:  "baselines.tea.parameters[0].gender.genders[0]",
		`{"baselines":{"usa":{"parameters":[{"operation":"OR","gender":{"genders":["male"]}}]}}}`: "baselines.usa is the name of a built-in baseline",
	} {
		write("dataset.json", text)
		_, err := s.Load(t.Context(), dir, LoadOptions{})
		if !IsMalformedDataset(err) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), filepath.Join(dir, "dataset.json")) {
			t.Errorf("load with %s: %v, want a malformed dataset.json with %s", text, err, want)
		}
	}
	if _, ok, err := s.Current(t.Context()); ok || err != nil {
		t.Errorf("a refused dataset is loaded: %t, %v", ok, err)
	}
	write("dataset.json", `{"baselines":{"women":{"parameters":[{"operation":"OR","gender":{"genders":["female"]}}]}}}`)
	if _, err := s.Load(t.Context(), dir, LoadOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err = s.Insight(t.Context(), InsightSpec{Audience: 1})
	if throng.CodeOf(err) != throng.NotFound {
		t.Errorf("insight of no audience: %v, want not found", err)
	}
	_, err = s.Insight(t.Context(), InsightSpec{Audience: 1, Caller: "nobody"})
	if throng.CodeOf(err) != throng.NotFound {
		t.Errorf("insight of nobody's audience: %v, want not found", err)
	}
}
