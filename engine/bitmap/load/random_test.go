package load

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"throng/engine"
	"throng/engine/bitmap/storage"
	"throng/identifier"
	"throng/query"
)

// model is people and what is true of them, from which tables are written.
type model struct {
	want   map[string][]string
	tables map[string][]string // header first
}

func (m *model) row(table, format string, args ...any) {
	m.tables[table] = append(m.tables[table], fmt.Sprintf(format, args...))
}

// randomModel makes so many people. Every row about a person is in an order of
// its own, and some come twice.
func randomModel(seed uint64, people int) *model {
	rng := rand.New(rand.NewPCG(seed, 1))
	m := &model{want: map[string][]string{}, tables: map[string][]string{
		"people": nil, "follows": nil, "jobs": nil, "bios": nil, "tweets": nil, "identifiers": nil, "interests": nil,
	}}
	owners := map[string][]string{}
	owns := map[string][]string{}
	for i := range people {
		key := fmt.Sprintf("person-%x", i*2654435761)
		facts := []string{fmt.Sprintf("row=%d", i)}
		gender := []string{"male", "female", ""}[rng.IntN(3)]
		if gender != "" {
			facts = append(facts, "gender="+gender)
		}
		m.row("people", "%s,%s", key, gender)
		if rng.IntN(100) == 0 {
			m.row("interests", "%s,leaf", key)
			facts = append(facts, "affinity=leaf", "affinity=node")
		}
		for range rng.IntN(6) {
			account := fmt.Sprint(int(rng.ExpFloat64() * 500))
			m.row("follows", "%s,twitch,%s", key, account)
			facts = append(facts, "twitch="+account)
			if account == "3" {
				facts = append(facts, "affinity=node")
			}
		}
		if rng.IntN(4) == 0 {
			title := fmt.Sprintf("Job %d", rng.IntN(3000))
			m.row("jobs", "%s,%s", key, title)
			facts = append(facts, "job_title="+title)
		}
		if rng.IntN(3) == 0 {
			w := fmt.Sprintf("w%d", int(rng.ExpFloat64()*1000))
			m.row("tweets", "%s,2026-10-30,\"#%s, and more\"", key, w)
			facts = append(facts, "tweet="+w, "tweet=#"+w, "tweet=and", "tweet=more", "tweet~|#"+w+"|and|more.")
		}
		for range rng.IntN(3) {
			email := fmt.Sprintf("m%d@example.com", rng.IntN(people*3))
			md5 := string(identifier.HexMD5(nil, []byte(email)))
			m.row("identifiers", "%s,email_raw,%s", key, email)
			for _, v := range []string{"email_raw:" + email, "md5:" + md5} {
				if !slices.Contains(owners[v], key) {
					owners[v] = append(owners[v], key)
					owns[key] = append(owns[key], v)
				}
			}
		}
		slices.Sort(facts)
		m.want[key] = slices.Compact(facts)
	}
	for key, values := range owns {
		for _, v := range values {
			if len(owners[v]) > 1 {
				v += "!"
			}
			m.want[key] = append(m.want[key], v)
		}
		slices.Sort(m.want[key])
	}
	return m
}

// write shuffles the rows of all tables but people and writes each table in
// several files.
func (m *model) write(t testing.TB, rng *rand.Rand) string {
	heads := map[string]string{
		"people": "person,gender", "follows": "person,network,account", "jobs": "person,title",
		"tweets": "person,posted_at,text", "identifiers": "person,type,value", "interests": "person,affinity",
	}
	files := map[string]string{
		"dataset.json":          oddJSON,
		"affinities.csv":        "affinity,name,parent\nleaf,Leaf,node\nnode,Node,.media.\n",
		"affinity_accounts.csv": "affinity,network,account\nnode,twitch,3\n",
	}
	for table, head := range heads {
		rows := slices.Clone(m.tables[table])
		if table != "people" && rng != nil {
			rng.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		}
		for i := range 3 {
			part := rows[len(rows)*i/3 : len(rows)*(i+1)/3]
			files[fmt.Sprintf("%s/%d.csv", table, i)] = head + "\n" + strings.Join(part, "\n") + "\n"
		}
	}
	return writeTables(t, files)
}

// TestRandom holds loads with much and little memory, by one worker and by
// several, against the model and against each other, byte by byte.
func TestRandom(t *testing.T) {
	const people = storage.BlockRows + 500
	m := randomModel(7, people)
	dir := m.write(t, rand.New(rand.NewPCG(9, 9)))
	var first []storage.FileSum
	for _, opt := range []engine.LoadOptions{
		{Workers: 1},
		{Workers: 1, Memory: 4 << 20},
		{Workers: 2, Memory: 4 << 20},
		{Workers: 5},
	} {
		old := runtime.GOMAXPROCS(min(opt.Workers, 2))
		index := t.TempDir()
		spilt := false
		opt.Progress = func(engine.Progress) {
			_, err := os.Stat(filepath.Join(index, "00000001.tmp", workName, "identifiers"))
			spilt = spilt || err == nil
		}
		_, err := Load(t.Context(), index, dir, opt)
		runtime.GOMAXPROCS(old)
		if err != nil {
			t.Fatal(err)
		}
		if want := opt.Memory != 0; spilt != want {
			t.Errorf("memory %d: spilt = %v, want %v", opt.Memory, spilt, want)
		}
		g := openCurrent(t, index)
		if first == nil {
			first = sums(g)
			got := facts(t, g)
			if !maps.EqualFunc(m.want, got, slices.Equal) { // a diff of so much takes long
				t.Errorf("facts (-want +got):\n%.3000s", cmp.Diff(m.want, got))
			}
		}
		if diff := cmp.Diff(first, sums(g)); diff != "" {
			t.Errorf("memory %d, %d workers: files (-first +this):\n%s", opt.Memory, opt.Workers, diff)
		}
	}
}

// richModel is people with a vocabulary, and accounts, that take more than a
// little memory.
func richModel(people int) map[string]string {
	rng := rand.New(rand.NewPCG(5, 6))
	tables := map[string]*strings.Builder{}
	row := func(table, format string, args ...any) {
		if tables[table] == nil {
			tables[table] = &strings.Builder{}
		}
		fmt.Fprintf(tables[table], format+"\n", args...)
	}
	row("people", "person,gender")
	row("follows", "person,network,account")
	row("jobs", "person,title,employer")
	row("bios", "person,network,text")
	row("accounts", "network,account,screen_name,name")
	for i := range people {
		row("people", "p%d,male", i)
	}
	for range people {
		p := rng.IntN(people)
		// Half of the values are rare, some are in several fields.
		row("jobs", "p%d,Job %d,Job %d", p, rng.IntN(people*2), rng.IntN(100))
		row("follows", "p%d,twitter,%d", p, rng.IntN(people))
		row("follows", "p%d,tiktok,%d", p, rng.IntN(people))
		row("bios", "p%d,twitter,w%d of a\u00e9%d %s", p, rng.IntN(people), rng.IntN(10), strings.Repeat("z", rng.IntN(40)))
	}
	for i := range people {
		row("accounts", "tiktok,%d,%c%d,Name %d", i%(people-3), 'A'+rng.IntN(40), rng.IntN(people), i)
	}
	files := map[string]string{
		"dataset.json":          oddJSON,
		"affinities.csv":        "affinity,name,parent\nnode,Node,.media.\n",
		"affinity_accounts.csv": "affinity,network,account\nnode,twitter,3\nnode,twitter,7\n",
	}
	for table, b := range tables {
		files[table+"/0.csv"] = b.String()
	}
	return files
}

// TestLittleMemory loads what exceeds the memory for terms and for names of
// accounts, and compares the files with those of a load that had enough.
func TestLittleMemory(t *testing.T) {
	dir := writeTables(t, richModel(20_000))
	var first []storage.FileSum
	for _, opt := range []engine.LoadOptions{
		{Workers: 2},
		{Workers: 1, Memory: 1 << 20},
		{Workers: 3, Memory: 1 << 20},
		{Workers: 2, Memory: 3 << 20},
	} {
		index := t.TempDir()
		spilt := map[string]bool{}
		opt.Progress = func(engine.Progress) {
			for _, name := range []string{"accounts", "rare-terms", "rare-values", "counts"} {
				if _, err := os.Stat(filepath.Join(index, "00000001.tmp", workName, name)); err == nil {
					spilt[name] = true
				}
			}
		}
		r, err := Load(t.Context(), index, dir, opt)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"accounts", "rare-terms", "rare-values", "counts"} {
			if want := opt.Memory == 1<<20; opt.Memory != 3<<20 && spilt[name] != want {
				t.Errorf("memory %d: %s spilt = %v, want %v", opt.Memory, name, spilt[name], want)
			}
		}
		g := openCurrent(t, index)
		if err := g.VerifyAll(nil); err != nil {
			t.Error(err)
		}
		if first == nil {
			first = sums(g)
			if n := g.Accounts.Len(query.TikTok); n != 20_000-3 {
				t.Errorf("%d accounts, want %d", n, 20_000-3)
			}
			if r.Rejects == "" {
				t.Error("duplicate accounts are not listed")
			}
		}
		if diff := cmp.Diff(first, sums(g)); diff != "" {
			t.Errorf("memory %d, %d workers: files (-first +this):\n%s", opt.Memory, opt.Workers, diff)
		}
	}
}

// TestKill kills loads at random moments; what was current before still is,
// and the next load leaves nothing else behind.
func TestKill(t *testing.T) {
	if index := os.Getenv("THRONG_TEST_LOAD_INDEX"); index != "" {
		if _, err := Load(t.Context(), index, os.Getenv("THRONG_TEST_LOAD_DIR"), engine.LoadOptions{}); err != nil {
			t.Fatal(err)
		}
		return
	}
	if testing.Short() {
		t.Skip("runs many processes")
	}
	index := t.TempDir()
	old := writeTables(t, map[string]string{"people.csv": "person\nold\n", "dataset.json": oddJSON})
	dir := randomModel(11, 20_000).write(t, nil)
	start := time.Now()
	if _, err := Load(t.Context(), t.TempDir(), dir, engine.LoadOptions{}); err != nil {
		t.Fatal(err)
	}
	whole := time.Since(start)
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 3))
	killed := 0
	for range 12 {
		if _, err := Load(t.Context(), index, old, engine.LoadOptions{}); err != nil {
			t.Fatal(err)
		}
		left, err := filepath.Glob(filepath.Join(index, "*"+tmpSuffix))
		if err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
		before, err := os.ReadFile(filepath.Join(index, storage.CurrentName))
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKill$")
		cmd.Env = append(os.Environ(), "THRONG_TEST_LOAD_INDEX="+index, "THRONG_TEST_LOAD_DIR="+dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(time.Duration(rng.Int64N(int64(whole)*3/2)), func() { cmd.Process.Kill() })
		err = cmd.Wait()
		timer.Stop()
		if err != nil {
			killed++
		}
		after, rerr := os.ReadFile(filepath.Join(index, storage.CurrentName))
		if rerr != nil {
			t.Fatal(rerr)
		}
		g := openCurrent(t, index)
		want := uint32(1)
		if !bytes.Equal(before, after) {
			want = 20_000
		} else if err == nil {
			t.Error("a load that ended well is not current")
		}
		if g.Manifest.Rows != want {
			t.Errorf("current generation has %d rows, want %d", g.Manifest.Rows, want)
		}
		if err := g.VerifyAll(nil); err != nil {
			t.Error(err)
		}
	}
	if killed == 0 {
		t.Error("no load was killed")
	}
}
