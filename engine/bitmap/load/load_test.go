package load

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng/engine"
	"throng/engine/bitmap/storage"
	"throng/identifier"
	"throng/internal/durable"
	"throng/query"
	"throng/reference"
)

// TestRespondents loads a large real dataset, where there is one.
func TestRespondents(t *testing.T) {
	root := os.Getenv("THRONG_TEST_DATA")
	if root == "" {
		t.Skip("THRONG_TEST_DATA is not set")
	}
	dir := t.TempDir()
	r, err := Load(t.Context(), dir, filepath.Join(root, "respondents"), engine.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	rows := uint64(0)
	for _, tab := range r.Tables {
		rows += tab.Rows
		t.Logf("%+v", tab)
	}
	t.Logf("%d rows in %v, %d bytes", rows, r.Elapsed, r.Bytes)
	g, err := storage.OpenGeneration(filepath.Join(dir, r.Generation))
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	for _, f := range g.Manifest.Files {
		t.Logf("%-24s %10d %.2f bytes a person", f.Name, f.Size, float64(f.Size)/float64(r.People))
	}
	if r.People != 305_281 {
		t.Errorf("%d people, want 305281", r.People)
	}
	for _, tt := range []struct {
		field query.Field
		value string
		want  uint64
	}{{query.Affinity, "a1324", 89_311}, {query.Twitch, "DE-7787", 4259}} {
		n, _, err := g.Dict.Number(tt.field, []byte(tt.value))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := g.Dict.People(n); err != nil || got != tt.want {
			t.Errorf("people with %s %s = %d, %v, want %d", tt.field, tt.value, got, err, tt.want)
		}
	}
}

const oddJSON = `{"name": "odd", "as_of": "2026-11-01T00:00:00Z", "personality_threshold": 0.5, "baselines": {"a": [1, 2]}}`

// oddTables has a row of every fate.
func oddTables() map[string]string {
	return map[string]string{
		"dataset.json": oddJSON,
		"README.txt":   "no table",
		// p3 is 17 for sure; p4 has a band below 18; p2 comes twice.
		"people/b.csv": "person,age,gender,colour\np5,60,male,red\np2,30,female,blue\n",
		"people/a.csv": "gender,person,age,age_range,birth_year,last_tweeted,country\n" +
			"male,p1,25,,,2026-10-31T12:00:00Z,us\n" +
			"female,p2,,,,2025-11-15,FR\n" +
			"male,p3,12,,,,\n" +
			",p4,,13-17,,,\n" +
			"alien,p6,,,1960,yesterday,Nowhere\n" +
			"male,,30,,,,\n" +
			"male,p7\n",
		"identifiers.csv": "person,type,value\n" +
			"p1,email_raw,Jane@Example.com\n" +
			"p1,email_raw,jane@example.com\n" +
			"p2,email_raw,JANE@example.com\n" +
			"p1,md5,9e26471d35a78862c17e467d87cddedf\n" + // of jane@example.com
			"p1,twitter_user,@Jane\n" +
			"p2,idfa,01234567-89ab-cdef-0123-456789abcdef\n" +
			"p5,ma_id,0123456789ABCDEF0123456789ABCDEF\n" +
			"p5,ma_id,00000000-0000-0000-0000-000000000000\n" +
			"p3,cint_id,x\n" +
			"p4,nonsense,x\n" +
			"p9,cint_id,x\n" +
			"p1,shoe_size,44\n",
		"follows.ndjson": `{"person":"p1","network":"twitter","account":11}` + "\n" +
			`{"person":"p1","network":"twitter","account":"11"}` + "\n" +
			`{"person":"p5","network":"twitch","account":"11"}` + "\n" +
			`{"person":"p5","network":"usenet","account":"11"}` + "\n",
		"accounts.csv": "network,account,screen_name,name\ntwitter,11,Eleven,The 11\ntwitter,11,Other,\ntwitch,7,Seven,\n",
		"affinities.csv": "affinity,name,parent\n" +
			"cars,Cars,.interests.\nbmw,BMW,cars\nm3,M3,bmw\n" +
			"lost,Lost,nobody\nloster,Loster,lost\n" +
			"a,A,b\nb,B,a\nc,C,b\n" +
			"top,Top,\n" +
			"cars,Again,.media.\n" +
			".brands.,Brands,\n" +
			"unused,Unused,.media.\n",
		"affinity_accounts.csv": "affinity,network,account\nm3,twitter,11\nunknown,twitter,11\n.media.,twitter,11\nunused,twitter,99\n",
		"interests.csv":         "person,affinity\np2,bmw\np2,bmw\np5,a\np5,.media.\np6,cars\np8,cars\np3,cars\n",
		"jobs.csv":              "person,title,employer\np1,Baker,\np2,,Bakery\np2,Baker,Bakery\np5,,\n",
		"personality.csv":       "person,term,score\np1,love,0.5\np1,anger,0.4\np2,anger,0.1\np5,hate,1\np5,love,1.5\n",
		"bios.csv":              "person,network,text\np1,twitter,I love #Go\np1,twitter,go away\np2,tiktok,\n",
		"tweets.csv": "person,posted_at,text\n" +
			"p1,2026-10-30,hello world\n" +
			"p1,2026-10-25,too old\n" +
			"p1,2026-11-02,too new\n" +
			"p1,never,x\n",
	}
}

func TestOddRows(t *testing.T) {
	index := t.TempDir()
	r, err := Load(t.Context(), index, writeTables(t, oddTables()), engine.LoadOptions{AllowRejects: 1})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"p1": {
			"row=0", "age=25-34", "gender=male", "country=231",
			"active=1", "active=7", "active=30", "active=60", "active=90", "active=180", "active=365",
			"twitter=11", "affinity=m3", "affinity=bmw", "affinity=cars",
			"job_title=Baker", "scored=any", "personality=love",
			"email_raw:Jane@Example.com!", "md5:9e26471d35a78862c17e467d87cddedf!", "twitter_user:Jane",
			"bio.twitter=i", "bio.twitter=love", "bio.twitter=#go", "bio.twitter=go", "bio.twitter=away",
			"bio.twitter~|i|love|#go.", "bio.twitter~|go|away.",
			"tweet=hello", "tweet=world", "tweet~|hello|world.",
		},
		"p2": {
			"row=1", "gender=female", "active=365", "country=75",
			"affinity=bmw", "affinity=cars", "job_title=Baker", "employer=Bakery", "scored=any",
			"email_raw:JANE@example.com!", "md5:9e26471d35a78862c17e467d87cddedf!",
			"idfa:01234567-89AB-CDEF-0123-456789ABCDEF", "idfa_md5:" + md5Hex("01234567-89AB-CDEF-0123-456789ABCDEF"),
			"ma_id:01234567-89ab-cdef-0123-456789abcdef!",
		},
		"p6": {"row=2", "age=over 54", "affinity=cars"},
		"p5": {
			"row=3", "age=over 54", "gender=male", "twitch=11",
			"ma_id:01234567-89ab-cdef-0123-456789abcdef!",
		},
	}
	us, _ := reference.BuiltIn().Resolve(reference.Country, "US")
	fr, _ := reference.BuiltIn().Resolve(reference.Country, "FR")
	for k, list := range want {
		for i := range list {
			switch list[i] {
			case "country=231":
				list[i] = "country=" + us
			case "country=75":
				list[i] = "country=" + fr
			}
		}
		slices.Sort(want[k])
	}
	g := openCurrent(t, index)
	if diff := cmp.Diff(want, facts(t, g)); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
	checkOddReport(t, r)
	if a, ok, err := g.Accounts.ByID(query.Twitter, []byte("11")); err != nil || !ok || string(a.ScreenName) != "Eleven" {
		t.Errorf("account 11 = %s, %v, %v, want Eleven", a.ScreenName, ok, err)
	}
	catalog, err := g.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]storage.CatalogAffinity{
		{ID: "bmw", Name: "BMW", Parent: "cars"},
		{ID: "cars", Name: "Cars", Parent: ".interests."},
		{ID: "m3", Name: "M3", Parent: "bmw"},
		{ID: "unused", Name: "Unused", Parent: ".media."},
	}, catalog.Affinities); diff != "" {
		t.Errorf("taxonomy (-want +got):\n%s", diff)
	}
	if got, want := string(catalog.Baselines), `{"a":[1,2]}`; got != want {
		t.Errorf("baselines = %s, want %s", got, want)
	}
	if _, ok, err := g.Dict.Number(query.Twitter, []byte("99")); ok || err != nil {
		t.Error("the dictionary knows an account that nobody follows")
	}
}

func md5Hex(s string) string { return string(identifier.HexMD5(nil, []byte(s))) }

func checkOddReport(t *testing.T, r *engine.Report) {
	t.Helper()
	type fate struct {
		Rows, Loaded uint64
		Rejected     map[string]uint64
		Skipped      map[string]uint64
		Dropped      map[string]uint64
	}
	got := map[string]fate{}
	for _, tab := range r.Tables {
		sum := tab.Loaded
		for _, n := range tab.Rejected {
			sum += n
		}
		for _, n := range tab.Skipped {
			sum += n
		}
		if sum != tab.Rows {
			t.Errorf("table %s: %d rows loaded, rejected or skipped, want %d", tab.Table, sum, tab.Rows)
		}
		got[tab.Table] = fate{tab.Rows, tab.Loaded, tab.Rejected, tab.Skipped, tab.Dropped}
	}
	none := map[string]uint64{}
	want := map[string]fate{
		"people": {
			9, 4,
			map[string]uint64{"duplicate person": 1, "person is empty": 1, "wrong number of columns": 1},
			map[string]uint64{"under 18": 2},
			map[string]uint64{"gender": 1, "country": 1, "last_tweeted": 1},
		},
		"identifiers": {12, 7, map[string]uint64{"zero id": 1, "unknown person": 1, "unknown type": 1}, map[string]uint64{"under 18": 2}, none},
		"follows":     {4, 3, map[string]uint64{"unknown network": 1}, none, none},
		"accounts":    {3, 2, map[string]uint64{"duplicate account": 1}, none, none},
		"affinities": {12, 5, map[string]uint64{
			"unknown parent": 1, "parent was rejected": 2, "parent is on a cycle": 2, "no parent": 1, "duplicate affinity": 1,
		}, none, none},
		"affinity_accounts": {4, 2, map[string]uint64{"unknown affinity": 1, "affinity is a root": 1}, none, none},
		"interests":         {7, 3, map[string]uint64{"unknown affinity": 1, "affinity is a root": 1, "unknown person": 1}, map[string]uint64{"under 18": 1}, none},
		"jobs":              {4, 3, map[string]uint64{"neither title nor employer": 1}, none, none},
		"personality":       {5, 3, map[string]uint64{"unknown term": 1, "malformed score": 1}, none, none},
		"bios":              {3, 2, map[string]uint64{"text is empty": 1}, none, none},
		"tweets":            {4, 1, map[string]uint64{"malformed posted_at": 1}, map[string]uint64{"outside the 7 days": 2}, none},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"README.txt is no table and was ignored"}, r.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	csv, err := os.ReadFile(r.Rejects)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"people,people/b.csv,3,duplicate person\n",
		"affinities,affinities.csv,10,no parent\n",
		"interests,interests.csv,7,unknown person\n",
	} {
		if !strings.Contains(string(csv), line) {
			t.Errorf("rejects.csv lacks %q:\n%s", line, csv)
		}
	}
}

func TestRefusals(t *testing.T) {
	index := t.TempDir()
	good := writeTables(t, map[string]string{"people.csv": "person\np1\n", "dataset.json": oddJSON})
	if _, err := Load(t.Context(), index, good, engine.LoadOptions{}); err != nil {
		t.Fatal(err)
	}
	before := facts(t, openCurrent(t, index))
	for _, tt := range []struct {
		name  string
		files map[string]string
		opt   engine.LoadOptions
		want  string
		is    error
	}{
		{
			name:  "too many rejects",
			files: map[string]string{"people.csv": "person\np1\np1\n"},
			want:  "1 of 2 rows of table people", is: engine.ErrTooManyRejects,
		},
		{
			name:  "none allowed",
			files: map[string]string{"people.csv": "person\np1\n", "jobs.csv": "person,title\n" + strings.Repeat("p1,x\n", 99) + "p2,x\n"},
			opt:   engine.LoadOptions{AllowRejects: -1},
			want:  "1 of 100 rows of table jobs", is: engine.ErrTooManyRejects,
		},
		{
			name:  "missing column",
			files: map[string]string{"people.csv": "person\np1\n", "jobs.csv": "who,title\np1,x\n"},
			want:  "jobs.csv",
		},
		{name: "no people", files: map[string]string{"jobs.csv": "person,title\n"}, want: "people"},
		{name: "bad zstd", files: map[string]string{"people.csv.zst": "nonsense"}, want: "people.csv.zst"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := Load(t.Context(), index, writeTables(t, tt.files), tt.opt)
			if err == nil || !strings.Contains(err.Error(), tt.want) || tt.is != nil && !errors.Is(err, tt.is) {
				t.Fatalf("Load = %v, want an error with %q", err, tt.want)
			}
			if tt.is != nil {
				if r == nil || r.Generation != "" {
					t.Fatalf("report = %+v, want one without a generation", r)
				}
				if _, err := os.Stat(r.Rejects); err != nil {
					t.Error(err)
				}
			}
			if diff := cmp.Diff(before, facts(t, openCurrent(t, index))); diff != "" {
				t.Errorf("current generation changed (-before +after):\n%s", diff)
			}
			left, err := filepath.Glob(filepath.Join(index, "*"+tmpSuffix))
			if err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

func TestBusy(t *testing.T) {
	index := t.TempDir()
	unlock, err := durable.Lock(filepath.Join(index, lockName))
	if err != nil {
		t.Fatal(err)
	}
	dir := writeTables(t, map[string]string{"people.csv": "person\np1\n"})
	if _, err := Load(t.Context(), index, dir, engine.LoadOptions{}); !errors.Is(err, engine.ErrBusy) {
		t.Errorf("Load = %v, want %v", err, engine.ErrBusy)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(t.Context(), index, dir, engine.LoadOptions{}); err != nil {
		t.Errorf("Load = %v after the lock is free", err)
	}
}

func TestCanceled(t *testing.T) {
	index := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	steps := 0
	_, err := Load(ctx, index, writeTables(t, oddTables()), engine.LoadOptions{AllowRejects: 1, Progress: func(engine.Progress) {
		if steps++; steps == 5 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Load = %v, want %v", err, context.Canceled)
	}
	if _, err := os.Stat(filepath.Join(index, storage.CurrentName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("CURRENT: %v, want it not to exist", err)
	}
}

func TestNoPeople(t *testing.T) {
	index := t.TempDir()
	dir := writeTables(t, map[string]string{"people.csv": "person\n", "jobs.csv": "person,title\n"})
	r, err := Load(t.Context(), index, dir, engine.LoadOptions{})
	if err != nil || r.People != 0 {
		t.Fatalf("Load = %+v, %v, want nobody", r, err)
	}
	if g := openCurrent(t, index); g.Manifest.Parts != 0 || g.Dict.Terms() != 0 {
		t.Errorf("generation has %d parts and %d terms, want none", g.Manifest.Parts, g.Dict.Terms())
	}
}

// TestGiantWord loads a text whose one word is longer than a term can be.
func TestGiantWord(t *testing.T) {
	index := t.TempDir()
	dir := writeTables(t, map[string]string{
		"people.csv": "person\np1\n",
		"bios.csv":   "person,network,text\np1,twitter,small " + strings.Repeat("x", storage.MaxTerm+1) + "\n",
	})
	if _, err := Load(t.Context(), index, dir, engine.LoadOptions{}); err != nil {
		t.Fatal(err)
	}
	g := openCurrent(t, index)
	if _, n := g.Dict.Range(query.BioTwitter); n != 1 {
		t.Errorf("bios have %d terms, want the small one", n)
	}
}
