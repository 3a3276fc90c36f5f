package load

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"throng/engine"
	"throng/engine/bitmap/storage"
)

// cell is a cell of a table of strings; nil is absent.
type cell = *string

// parquetTable writes rows of strings with or without dictionaries, in small
// row groups.
func parquetTable(t *testing.T, path string, columns []string, rows [][]string, dictionary bool) {
	t.Helper()
	group := parquet.Group{}
	for _, c := range columns {
		node := parquet.Optional(parquet.String())
		if dictionary {
			node = parquet.Encoded(node, &parquet.RLEDictionary)
		}
		group[c] = node
	}
	schema := parquet.NewSchema("table", group)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := parquet.NewGenericWriter[map[string]cell](f, schema, parquet.MaxRowsPerRowGroup(9000))
	for _, r := range rows {
		m := map[string]cell{}
		for i, c := range columns {
			if i < len(r) && r[i] != "" {
				m[c] = &r[i]
			}
		}
		if _, err := w.Write([]map[string]cell{m}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestFormatsAgree loads one dataset as text and as Parquet, with dictionaries
// and without, in the order of people and out of it: all must give the same
// bytes but for the lists of rejected rows, which name files.
func TestFormatsAgree(t *testing.T) {
	const people = 12_000
	rng := rand.New(rand.NewPCG(11, 12))
	tables := map[string][][]string{}
	heads := map[string][]string{
		"people": {"person", "gender", "country", "region", "age_range"}, "follows": {"person", "network", "account"},
		"interests": {"person", "affinity"}, "personality": {"person", "term", "score"},
		"identifiers": {"person", "type", "value"}, "jobs": {"person", "title", "employer"},
	}
	add := func(table string, cells ...string) { tables[table] = append(tables[table], cells) }
	networks := []string{"twitter", "Twitch", "tiktok", "usenet"}
	for i := range people {
		key := fmt.Sprintf("p%05d", i)
		ages := []string{"25-34", "over 54", "13-17", "", "nonsense"}
		add("people", key, []string{"male", "FEMALE", "", "robot"}[rng.IntN(4)], []string{"US", "FR", "", "Atlantis"}[rng.IntN(4)], "", ages[rng.IntN(len(ages))])
		if rng.IntN(200) == 0 {
			key = "nobody" + key
		}
		for range rng.IntN(6) {
			n := rng.IntN(3)
			if rng.IntN(300) == 0 {
				n = 3
			}
			add("follows", key, networks[n], []string{fmt.Sprint(rng.IntN(500)), "3", "x\x01"}[min(rng.IntN(90)/44, 2)])
		}
		for range rng.IntN(3) {
			add("interests", key, []string{"leaf", "node", "leaf", "unknown"}[min(rng.IntN(70)/20, 3)])
		}
		for range rng.IntN(3) {
			add("personality", key, []string{"love", "Anger", "hate", "hunger"}[min(rng.IntN(70)/20, 3)], fmt.Sprint(float64(rng.IntN(102))/100))
		}
		switch rng.IntN(4) {
		case 0:
			add("identifiers", key, "MD5", fmt.Sprintf("%032X", rng.Uint32N(people)))
		case 1:
			add("identifiers", key, "email_raw", fmt.Sprintf("M%d@example.com", rng.IntN(people)))
		case 2:
			add("jobs", key, fmt.Sprintf(" Job %d ", rng.IntN(60)), "")
		}
	}
	for _, order := range []string{"ordered", "shuffled"} {
		if order == "shuffled" {
			for _, name := range slices.Sorted(maps.Keys(tables)) {
				if rows := tables[name]; name != "people" {
					rng.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
				}
			}
		}
		var first []storage.FileSum
		for _, format := range []string{"csv", "plain", "dictionary"} {
			small := map[string]string{
				"dataset.json":          oddJSON,
				"affinities.csv":        "affinity,name,parent\nleaf,Leaf,node\nnode,Node,.media.\n",
				"affinity_accounts.csv": "affinity,network,account\nnode,twitch,3\n",
			}
			for name, rows := range tables {
				if format == "csv" {
					var text strings.Builder
					for _, r := range append([][]string{heads[name]}, rows...) {
						text.WriteString(strings.Join(r, ",") + "\n")
					}
					small[name+".csv"] = text.String()
				}
			}
			dir := writeTables(t, small)
			if format != "csv" {
				for name, rows := range tables {
					parquetTable(t, filepath.Join(dir, name+".parquet"), heads[name], rows, format == "dictionary")
				}
			}
			for _, opt := range []engine.LoadOptions{{Workers: 2}, {Workers: 3, Memory: 1 << 20}} {
				opt.AllowRejects = 1
				index := t.TempDir()
				if _, err := Load(t.Context(), index, dir, opt); err != nil {
					t.Fatal(err)
				}
				got := slices.DeleteFunc(sums(openCurrent(t, index)), func(s storage.FileSum) bool { return s.Name == storage.RejectsName })
				if first == nil {
					first = got
				}
				if diff := cmp.Diff(first, got); diff != "" {
					t.Errorf("%s, %s, %d workers (-csv +this):\n%s", order, format, opt.Workers, diff)
				}
			}
		}
	}
}
