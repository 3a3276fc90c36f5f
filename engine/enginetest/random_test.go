package enginetest

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng/engine/enginetest/model"
)

func TestRandomDataset(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	matching, definitions := 0, 0
	for range 15 {
		dir := t.TempDir()
		if err := RandomDataset(rng, dir, Options{People: 10 + rng.IntN(200)}); err != nil {
			t.Fatalf("RandomDataset (seed %d): %v", seed, err)
		}
		m, err := model.Load(dir, now())
		if err != nil {
			t.Fatalf("LoadModel (seed %d): %v", seed, err)
		}
		if len(m.People()) == 0 {
			t.Errorf("LoadModel (seed %d) has nobody", seed)
		}
		for _, c := range m.Report() {
			if c.Rows != c.Loaded+c.Rejected+c.Skipped {
				t.Errorf("Report() = %+v, does not add up (seed %d)", c, seed)
			}
		}
		ext := model.External{Uploads: map[string]model.UploadedFile{}}
		for _, key := range []string{"a", "b", "c"} {
			typ, content := RandomUpload(rng, m)
			ext.Uploads[key] = model.UploadedFile{Type: typ, Content: content}
			if r, _ := m.Upload(typ, content); r.Rows != r.Matched+r.Unmatched+r.Duplicate+r.Invalid {
				t.Errorf("Upload(%s) = %+v, does not add up (seed %d)", typ, r, seed)
			}
		}
		for range 20 {
			def := RandomDefinitionWith(rng, m, ext)
			res, err := m.Eval(def, ext)
			if err != nil {
				t.Errorf("Eval(%s): %v (seed %d)", def, err, seed)
			}
			definitions++
			if len(res.Members) > 0 && len(res.Members) < len(m.People()) {
				matching++
			}
		}
	}
	// Questions that all or none of the people answer to test little.
	if matching < definitions/4 {
		t.Errorf("%d of %d definitions have some members and not all, want a quarter (seed %d)", matching, definitions, seed)
	}
}

func TestRandomDatasetIsRepeatable(t *testing.T) {
	var dirs [2]string
	for i := range dirs {
		dirs[i] = t.TempDir()
		if err := RandomDataset(rand.New(rand.NewPCG(7, 0)), dirs[i], Options{People: 50}); err != nil {
			t.Fatal(err)
		}
	}
	read := func(dir string) map[string]string {
		files := map[string]string{}
		err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				var b []byte
				b, err = os.ReadFile(path)
				name, _ := filepath.Rel(dir, path)
				files[name] = string(b)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	if diff := cmp.Diff(read(dirs[0]), read(dirs[1])); diff != "" {
		t.Errorf("RandomDataset differs between two runs (-first +second):\n%s", diff)
	}
}

func TestReduce(t *testing.T) {
	def := json.RawMessage(`{"parameters":[{"operation":"OR","age":{"ranges":["18-24","25-34"]}},
		{"operation":"AND","tweet_search":{"phrases":["a","b","c","d"]}},{"operation":"NOT","gender":{"genders":["male"]}}]}`)
	got := Reduce(def, func(d json.RawMessage) bool {
		var v struct {
			Parameters []struct {
				Tweets struct{ Phrases []string } `json:"tweet_search"`
			}
		}
		if json.Unmarshal(d, &v) != nil {
			return false
		}
		for _, p := range v.Parameters {
			if slices.Contains(p.Tweets.Phrases, "c") {
				return true
			}
		}
		return false
	})
	if want := `{"parameters":[{"tweet_search":{"phrases":["c"]}}]}`; string(got) != want {
		t.Errorf("Reduce(…) = %s, want %s", got, want)
	}
}
