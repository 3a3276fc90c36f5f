package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"throng/client"
)

// respondents is the folder of a dataset of real answers with the sizes of
// seven definitions, or "" where THRONG_TEST_DATA does not say where it is.
func respondents(t testing.TB) string {
	t.Helper()
	root := os.Getenv("THRONG_TEST_DATA")
	if root == "" {
		t.Skip("THRONG_TEST_DATA is not set; it names the folder that holds respondents/")
	}
	return filepath.Join(root, "respondents")
}

// TestRespondents loads real answers twice: the sizes are those that were
// computed by plain set operations, by the command and over the API, and both
// loads write the same bytes.
func TestRespondents(t *testing.T) {
	dir, data := respondents(t), filepath.Join(t.TempDir(), "data")
	text, err := os.ReadFile(filepath.Join(dir, "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var expected []struct {
		Name       string          `json:"name"`
		Parameters json.RawMessage `json:"parameters"`
		Size       uint64          `json:"size"`
	}
	if err := json.Unmarshal(text, &expected); err != nil {
		t.Fatal(err)
	}
	throng(t, "load", dir, "--data", data)
	throng(t, "load", dir, "--data", data)
	if diff := cmp.Diff(sums(t, filepath.Join(data, "index", "00000001")), sums(t, filepath.Join(data, "index", "00000002"))); diff != "" {
		t.Errorf("two loads differ (-first +second):\n%s", diff)
	}

	p := start(t, data)
	c, _ := addCaller(t, p, data, "respondents", allGrants()...)
	for _, want := range expected {
		body, err := json.Marshal(map[string]any{"audience": map[string]string{"name": want.Name}, "parameters": want.Parameters})
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), binary, "count", "-", "--data", data, "--json")
		cmd.Stdin = bytes.NewReader(body)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("throng count: %v", err)
		}
		var counted struct{ Response struct{ Size uint64 } }
		if err := json.Unmarshal(out, &counted); err != nil {
			t.Fatal(err)
		}
		if counted.Response.Size != want.Size {
			t.Errorf("throng count of %q = %d, want %d", want.Name, counted.Response.Size, want.Size)
		}
		id, err := c.CreateAudience(t.Context(), body)
		if err != nil {
			t.Fatal(err)
		}
		a := waitDone(t, c, id)
		if a.Size == nil || *a.Size != want.Size {
			t.Errorf("audience %q has %s people, want %d", want.Name, sizeText(a.Size), want.Size)
		}
		if lines := bytes.Count(download(t, c, id, "ss_id", "text"), []byte("\n")); uint64(lines) != want.Size {
			t.Errorf("audience %q has %d lines of ss_id, want %d", want.Name, lines, want.Size)
		}
	}
}

// sums gives the SHA-256 of every file of an index; manifest and report tell
// the time of the load and are left out.
func sums(t *testing.T, dir string) map[string][sha256.Size]byte {
	t.Helper()
	all := map[string][sha256.Size]byte{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path == "manifest.json" || path == "report.json" {
			return err
		}
		text, err := os.ReadFile(filepath.Join(dir, path))
		all[path] = sha256.Sum256(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 5 {
		t.Fatalf("%s holds %d files", dir, len(all))
	}
	return all
}

// served loads a dataset into a new folder, serves it, and gives a client who
// may do everything.
func served(b *testing.B, dataset string) *client.Client {
	b.Helper()
	data := filepath.Join(b.TempDir(), "data")
	throng(b, "load", dataset, "--data", data)
	p := start(b, data)
	c, _ := addCaller(b, p, data, "bench", allGrants()...)
	return c
}

const (
	goOrRust = `{"parameters":[{"operation":"OR","affinities":{"affinities":[{"id":"a1053"},{"id":"a1045"}]}},
		{"operation":"AND","age":{"ranges":["25-34"]}},{"operation":"NOT","affinities":{"affinities":[{"id":"a1057"}]}}]}`
	everybody = `{"audience":{"name":"everybody"},"parameters":[{"operation":"OR","gender":{"genders":["male","female","unknown"]}}]}`
)

// BenchmarkPreview is a preview over the respondents, through HTTP on
// loopback, on one connection and on eight.
func BenchmarkPreview(b *testing.B) {
	c := served(b, respondents(b))
	for name, connections := range map[string]int{"connections=1": 1, "connections=8": 8} {
		b.Run(name, func(b *testing.B) {
			var mu sync.Mutex
			var took []time.Duration
			work := make(chan struct{})
			var wg sync.WaitGroup
			for range connections {
				wg.Go(func() {
					for range work {
						began := time.Now()
						if _, err := c.Preview(b.Context(), []byte(goOrRust)); err != nil {
							b.Error(err)
							return
						}
						mu.Lock()
						took = append(took, time.Since(began))
						mu.Unlock()
					}
				})
			}
			for b.Loop() {
				work <- struct{}{}
			}
			close(work)
			wg.Wait()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "µs-median")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
		})
	}
}

// BenchmarkBuild is an audience of everybody, from the POST until it is done:
// of the respondents, and of synthetic people with all seven types of files.
func BenchmarkBuild(b *testing.B) {
	build := func(b *testing.B, c *client.Client) {
		for b.Loop() {
			id, err := c.CreateAudience(b.Context(), []byte(everybody))
			if err != nil {
				b.Fatal(err)
			}
			if a, err := c.Wait(b.Context(), id, 2*time.Millisecond); err != nil || a.Status != "done" {
				b.Fatalf("audience %d: %+v %v", id, a, err)
			}
		}
	}
	b.Run("respondents", func(b *testing.B) { build(b, served(b, respondents(b))) })
	b.Run("synthetic/people=300000", func(b *testing.B) {
		dir := filepath.Join(b.TempDir(), "dataset")
		throng(b, "generate", dir, "--people", "300000")
		build(b, served(b, dir))
	})
}
