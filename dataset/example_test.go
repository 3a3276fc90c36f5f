package dataset_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"throng/dataset"
	"throng/query"
	"throng/reference"
)

// A folder of tables is listed, and a table read with two workers. Batches come
// in no order; here the rows are counted, so that none is needed.
func Example() {
	dir, remove := folder(map[string]string{
		"dataset.json":         `{"name": "tiny", "as_of": "2026-11-01"}`,
		"people.csv":           "person\np1\np2\np3\n",
		"follows/1.csv":        "person,network,account\np1,twitter,11\np2,twitter,11\np2,usenet,11\n",
		"follows/2.ndjson":     `{"person": "p3", "network": "Twitter", "account": 11, "since": 2019}` + "\n",
		"follows/_SUCCESS":     "",
		"somebody's notes.txt": "",
	})
	defer remove()

	source, err := dataset.Open(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(source.Meta.Name, source.Meta.AsOf.Format(time.DateOnly), "not read:", source.Unknown)

	rejects := dataset.NewRejects()
	var mu sync.Mutex
	followers := map[query.Field]int{}
	table := source.Tables[dataset.Follows]
	err = table.Read(context.Background(), 2, nil, func(b *dataset.Batch) error {
		rejects.Batch(b)
		var follow dataset.FollowRow
		for row := range b.Rows() {
			if out := follow.Decode(b, row); !out.OK() {
				rejects.Reject(b, row, out.Reject)
				continue
			}
			rejects.Load(b.Table, 1)
			mu.Lock()
			followers[follow.Network]++
			mu.Unlock()
		}
		return nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	counts := rejects.Counts(dataset.Follows)
	fmt.Println(counts.Rows, "rows,", counts.Loaded, "loaded, rejected:", counts.Rejected)
	fmt.Println("followers:", followers, "ignored columns:", table.Ignored())
	if err := rejects.WriteCSV(os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// tiny 2026-11-01 not read: [somebody's notes.txt]
	// 4 rows, 3 loaded, rejected: map[unknown network:1]
	// followers: map[twitter:3] ignored columns: [since]
	// table,file,line,reason
	// follows,follows/1.csv,4,unknown network
}

// People are read against the instant of the dataset and its places.
func ExamplePersonRow() {
	dir, remove := folder(map[string]string{
		"people.csv": strings.Join([]string{
			"person,age,birth_year,gender,country,last_tweeted",
			"p1,34.0,,Female,us,2026-10-31T08:00:00+02:00",
			"p2,,1961,male,Canada,",
			"p3,n/a,,x,Nowhere,yesterday", // malformed cells are dropped
			"p4,17,,,,",                   // is skipped
			",30,,,,",                     // cannot be used
		}, "\n"),
	})
	defer remove()
	source, err := dataset.Open(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	env := dataset.Env{AsOf: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), Places: reference.BuiltIn()}
	err = source.Tables[dataset.People].Read(context.Background(), 1, nil, func(b *dataset.Batch) error {
		var p dataset.PersonRow
		for row := range b.Rows() {
			out := p.Decode(b, row, env)
			switch {
			case out.Skip != "":
				fmt.Printf("line %d: skipped: %s\n", b.Lines[row], out.Skip)
			case out.Reject != "":
				fmt.Printf("line %d: rejected: %s\n", b.Lines[row], out.Reject)
			default:
				country, _ := env.Places.Lookup(reference.Country, p.Country)
				fmt.Printf("line %d: %s %q %q %q tweeted %t, dropped %v\n",
					b.Lines[row], p.Key, p.Age, p.Gender, country.Name, p.Tweeted, p.Dropped)
			}
		}
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// line 2: p1 "25-34" "female" "United States" tweeted true, dropped []
	// line 3: p2 "over 54" "male" "Canada" tweeted false, dropped []
	// line 4: p3 "" "" "" tweeted false, dropped [age gender country last_tweeted]
	// line 5: skipped: under 18
	// line 6: rejected: person is empty
}

// The names of columns, required ones marked.
func ExampleColumns() {
	for _, table := range dataset.Names()[:3] {
		var names []string
		for _, c := range dataset.Columns(table) {
			if c.Required {
				c.Name += "*"
			}
			names = append(names, c.Name)
		}
		fmt.Println(table, names)
	}
	// Output:
	// people [person* age birth_year age_range gender ethnicity city region dma country last_tweeted]
	// identifiers [person* type* value*]
	// follows [person* network* account*]
}

// folder writes files into a new folder.
func folder(files map[string]string) (dir string, remove func()) {
	dir, err := os.MkdirTemp("", "dataset")
	remove = func() { os.RemoveAll(dir) }
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err == nil {
			err = os.MkdirAll(filepath.Dir(path), 0o700)
		}
		if err == nil {
			err = os.WriteFile(path, []byte(text), 0o600)
		}
	}
	if err != nil {
		fmt.Println(err)
	}
	return dir, remove
}
