package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"throng/client"
)

// TestBuildFailures has builds fail in each way there is: the audience tells the
// code, what to do, and whether trying again is of use; the credit comes back,
// the callback tells the same, no file is left, and a build after the repair is
// done.
func TestBuildFailures(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for builds that are tried again")
	}
	t.Parallel() // it waits, mostly
	for _, f := range []failing{
		{
			name: "dataset changed", code: "invalid_request", says: "parameters[0].affinities.affinities[0].id",
			harm: func(f *failing) { // the affinity is not there any more
				dir := f.t.TempDir()
				if err := os.WriteFile(filepath.Join(dir, "people.csv"), []byte("person\np1\n"), 0o600); err != nil {
					f.t.Fatal(err)
				}
				throng(f.t, "load", dir, "--data", f.data)
			},
			mend: func(f *failing) { throng(f.t, "load", smallDataset(f.t), "--data", f.data) },
		},
		{
			name: "no dataset", code: "unavailable", says: "no dataset is loaded", retry: true,
			harm: func(f *failing) { f.rename("index", "index.away"); f.mkdir("index") },
			mend: func(f *failing) { f.remove("index"); f.rename("index.away", "index") },
		},
		{
			name: "damaged index", code: "internal", says: "the operator must load the dataset again", retry: true,
			harm: func(f *failing) { f.flip("index/00000001/parts/00000.part") },
			mend: func(f *failing) { throng(f.t, "load", smallDataset(f.t), "--data", f.data) },
		},
		{
			name: "another version's index", code: "internal", says: "written by another version", retry: true,
			harm: func(f *failing) { f.age("index/00000001/manifest.json") },
			mend: func(f *failing) { throng(f.t, "load", smallDataset(f.t), "--data", f.data) },
		},
		{
			name: "no place for files", code: "internal", says: "internal error", retry: true,
			harm: func(f *failing) { f.write("blobs/audiences") }, // a file where a folder is due
			mend: func(f *failing) { f.remove("blobs/audiences") },
		},
	} {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			f.t = t
			f.run()
		})
	}
}

// failing is a way in which builds fail.
type failing struct {
	name, code, says string
	retry            bool
	harm, mend       func(f *failing)

	t    *testing.T
	data string
}

// failingBuilds wait when the harm is done: all but some of the first ones fail.
const failingBuilds = 12

func (f *failing) run() {
	t := f.t
	t.Helper()
	f.data = filepath.Join(t.TempDir(), "data")
	throng(t, "load", smallDataset(t), "--data", f.data)
	p := start(t, f.data, "--allow-private-callbacks")
	c, token := addCaller(t, p, f.data, "unlucky", append(allGrants(), "--builds", "100", "--concurrent-builds", "1")...)
	url, messages := receiver(t, http.StatusOK)
	var ids []int64
	for range failingBuilds {
		id, err := c.CreateAudience(t.Context(), []byte(strings.Replace(crashDefinition, `"parameters"`, `"callback_url":"`+url+`","parameters"`, 1)))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	p.kill()
	f.harm(f)
	p = start(t, f.data, "--allow-private-callbacks")
	c = client.New(p.URL, token)
	failed, done := 0, 0
	for _, id := range ids {
		a := f.await(c, id)
		if a.Status == "done" { // before the harm
			done++
			continue
		}
		failed++
		if a.Status != "failed" || a.Error == nil || a.Error.Code != f.code || a.Error.Retry != f.retry || !strings.Contains(a.Error.Message, f.says) {
			t.Fatalf("audience %d is %s with %+v, want failed with code %s, retry %v, saying %q", id, a.Status, a.Error, f.code, f.retry, f.says)
		}
		if a.Size != nil || len(a.Outputs) > 0 || a.Step != "" {
			t.Errorf("failed audience %d shows %+v", id, a)
		}
	}
	if failed == 0 {
		t.Fatalf("all of %d builds were quicker than the harm", failingBuilds)
	}
	var credits struct{ Builds int }
	if err := c.Get(t.Context(), "/platform/v0/credits", &credits); err != nil || credits.Builds != 100-done {
		t.Errorf("credits = %+v, %v, want %d after %d builds done", credits, err, 100-done, done)
	}
	bodies := map[int64][]byte{}
	for len(bodies) < failingBuilds {
		m := await(t, messages)
		var said struct{ Response client.Audience }
		if err := json.Unmarshal(m.body, &said); err != nil {
			t.Fatal(err)
		}
		bodies[said.Response.ID] = m.body
	}
	for _, id := range ids {
		now := exchange(t, p, token, http.MethodGet, fmt.Sprintf("/platform/v0/audiences/%d", id), "", "")
		if strip(bodies[id]) != strip(now.body) {
			t.Errorf("audience %d was announced as %s, GET answers %s", id, bodies[id], now.body)
		}
	}
	f.mend(f)
	within(t, 30*time.Second, "what was mended", func() bool {
		id, err := c.CreateAudience(t.Context(), []byte(crashDefinition))
		return err == nil && f.await(c, id).Status == "done"
	})
	p.kill()
	sweepNow(t, "", f.data) // what attempts that died have left
	start(t, f.data)
	for id, body := range bodies {
		if bytes.Contains(body, []byte(`"status":"failed"`)) {
			within(t, 10*time.Second, "the sweep of a failed build's files", func() bool {
				left, err := filepath.Glob(f.path(fmt.Sprintf("blobs/audiences/%d/*/*", id)))
				return err == nil && len(left) == 0
			})
		}
	}
}

// await waits until a build has ended, which may be tried several times.
func (f *failing) await(c *client.Client, id int64) *client.Audience {
	f.t.Helper()
	for began := time.Now(); ; {
		a, err := c.Audience(f.t.Context(), id)
		if err != nil {
			f.t.Fatal(err)
		}
		if a.Status != "running" {
			return a
		}
		if time.Since(began) > 10*time.Minute {
			f.t.Fatalf("audience %d is still running", id)
		}
		if err := pause(f.t.Context(), 20*time.Millisecond); err != nil {
			f.t.Fatal(err)
		}
	}
}

// strip takes the addresses of files out, which begin with that of the server.
func strip(body []byte) string {
	var v struct{ Response map[string]any }
	if err := json.Unmarshal(body, &v); err != nil {
		return err.Error()
	}
	delete(v.Response, "outputs")
	text, err := json.Marshal(v.Response)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func (f *failing) path(name string) string { return filepath.Join(f.data, filepath.FromSlash(name)) }

func (f *failing) check(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *failing) rename(from, to string) {
	f.t.Helper()
	f.check(os.Rename(f.path(from), f.path(to)))
}

func (f *failing) mkdir(name string)  { f.t.Helper(); f.check(os.Mkdir(f.path(name), 0o700)) }
func (f *failing) remove(name string) { f.t.Helper(); f.check(os.RemoveAll(f.path(name))) }

// write puts a file in the place of whatever is there.
func (f *failing) write(name string) {
	f.t.Helper()
	f.remove(name)
	f.check(os.WriteFile(f.path(name), nil, 0o600))
}

// flip changes a bit in every piece of a file.
func (f *failing) flip(name string) {
	f.t.Helper()
	b, err := os.ReadFile(f.path(name))
	f.check(err)
	for at := 0; at < len(b); at += 1 << 12 {
		b[at] ^= 16
	}
	f.check(os.WriteFile(f.path(name), b, 0o600))
}

// age has a manifest tell of a format that this version does not read.
func (f *failing) age(name string) {
	f.t.Helper()
	text, err := os.ReadFile(f.path(name))
	f.check(err)
	var m struct {
		Sum      uint32          `json:"crc32c"`
		Manifest json.RawMessage `json:"manifest"`
	}
	f.check(json.Unmarshal(text, &m))
	var head struct{ Format int }
	f.check(json.Unmarshal(m.Manifest, &head))
	m.Manifest = bytes.Replace(m.Manifest, fmt.Appendf(nil, `"format":%d`, head.Format), []byte(`"format":999`), 1)
	m.Sum = crc32.Checksum(m.Manifest, crc32.MakeTable(crc32.Castagnoli))
	text, err = json.Marshal(m)
	f.check(err)
	f.check(os.WriteFile(f.path(name), text, 0o600))
}
