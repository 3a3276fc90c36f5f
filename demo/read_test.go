package demo

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"throng/dataset"
	"throng/identifier"
	"throng/query"
	"throng/reference"
)

var asOf = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// generated is a dataset in a folder that goes with the test.
func generated(t *testing.T, people int, seed uint64) *dataset.Source {
	t.Helper()
	dir := t.TempDir() + "/demo"
	if err := Generate(t.Context(), Config{People: people, Seed: seed, Dir: dir}); err != nil {
		t.Fatal(err)
	}
	src, err := dataset.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// each decodes every row of a table and fails the test for one that a load
// would reject. use is called after each that a load would take.
func each(t *testing.T, src *dataset.Source, table string, decode func(*dataset.Batch, int) dataset.Outcome, use func()) (rows int) {
	t.Helper()
	tab := src.Tables[table]
	if tab == nil {
		t.Fatalf("table %s is not there", table)
	}
	bad := 0
	err := tab.Read(t.Context(), 1, nil, func(b *dataset.Batch) error {
		for _, r := range b.Bad {
			t.Errorf("%s: row %d: %s", table, r.Line, r.Reason)
		}
		for i := range b.Lines {
			rows++
			switch o := decode(b, i); {
			case o.OK():
				use()
			case o.Reject != "":
				if bad++; bad < 10 {
					t.Errorf("%s: row %d: %s", table, b.Lines[i], o.Reject)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func eachPerson(t *testing.T, src *dataset.Source, use func(*dataset.PersonRow)) int {
	var row dataset.PersonRow
	env := dataset.Env{AsOf: asOf, Places: placesOf(t, src)}
	return each(t, src, dataset.People, func(b *dataset.Batch, i int) dataset.Outcome {
		o := row.Decode(b, i, env)
		if len(row.Dropped) > 0 {
			t.Fatalf("people: row %d: dropped %v", b.Lines[i], row.Dropped)
		}
		return o
	}, func() { use(&row) })
}

func eachFollow(t *testing.T, src *dataset.Source, use func(*dataset.FollowRow)) int {
	var row dataset.FollowRow
	return each(t, src, dataset.Follows, row.Decode, func() { use(&row) })
}

func eachJob(t *testing.T, src *dataset.Source, use func(*dataset.JobRow)) int {
	var row dataset.JobRow
	return each(t, src, dataset.Jobs, row.Decode, func() { use(&row) })
}

func eachScore(t *testing.T, src *dataset.Source, use func(*dataset.ScoreRow)) int {
	var row dataset.ScoreRow
	return each(t, src, dataset.Personality, row.Decode, func() { use(&row) })
}

func eachTweet(t *testing.T, src *dataset.Source, use func(*dataset.TweetRow)) int {
	var row dataset.TweetRow
	return each(t, src, dataset.Tweets, func(b *dataset.Batch, i int) dataset.Outcome {
		return row.Decode(b, i, asOf)
	}, func() { use(&row) })
}

func placesOf(t *testing.T, src *dataset.Source) *reference.Table {
	t.Helper()
	var list []reference.Place
	var row dataset.LocationRow
	each(t, src, dataset.Locations, row.Decode, func() {
		if len(row.Dropped) > 0 {
			t.Fatalf("locations: dropped %v", row.Dropped)
		}
		list = append(list, reference.Place{
			Kind: row.Kind, ID: string(row.ID), Name: string(row.Name),
			Region: string(row.Region), Country: string(row.Country), DMA: string(row.DMA),
		})
	})
	places, problems := reference.New(list)
	if len(problems) > 0 {
		t.Fatalf("locations: %d problems, the first %+v", len(problems), problems[0])
	}
	return places
}

// TestRows reads every table back as a load would: no row is rejected, and
// what a row refers to is there.
func TestRows(t *testing.T) {
	src := generated(t, 3_000, 7)
	if !src.Meta.AsOf.Equal(asOf) {
		t.Errorf("as_of = %v, want %v", src.Meta.AsOf, asOf)
	}
	if len(src.Unknown) > 0 {
		t.Errorf("unknown files %v", src.Unknown)
	}
	rows := map[string]int{}
	people := map[string]bool{}
	rows["people"] = eachPerson(t, src, func(p *dataset.PersonRow) { people[string(p.Key)] = true })
	if len(people) != 3_000 {
		t.Errorf("%d distinct people, want 3000", len(people))
	}
	known := func(table string, key []byte) {
		if !people[string(key)] {
			t.Fatalf("%s: a person who is not in people", table)
		}
	}
	type accountKey struct {
		network query.Field
		id      string
	}
	accounts, screens := map[accountKey]bool{}, map[accountKey]bool{}
	var account dataset.AccountRow
	rows["accounts"] = each(t, src, dataset.Accounts, account.Decode, func() {
		id := accountKey{account.Network, string(account.ID)}
		screen := accountKey{account.Network, string(account.ScreenName)}
		if accounts[id] || screens[screen] {
			t.Errorf("account %v or its screen name is there twice", id)
		}
		accounts[id], screens[screen] = true, true
	})
	rows["follows"] = eachFollow(t, src, func(f *dataset.FollowRow) {
		known("follows", f.Key)
		if !accounts[accountKey{f.Network, string(f.Account)}] {
			t.Fatalf("follows: account %s is not in accounts", f.Account)
		}
	})
	parents := map[string]string{}
	for _, r := range reference.AffinityRoots() {
		parents[r.ID] = ""
	}
	var affinity dataset.AffinityRow
	rows["affinities"] = each(t, src, dataset.Affinities, affinity.Decode, func() {
		if _, twice := parents[string(affinity.ID)]; twice {
			t.Errorf("affinity %s is there twice", affinity.ID)
		}
		if _, ok := parents[string(affinity.Parent)]; !ok {
			t.Errorf("affinity %s comes before its parent", affinity.ID)
		}
		parents[string(affinity.ID)] = string(affinity.Parent)
	})
	var link dataset.AffinityAccountRow
	rows["affinity_accounts"] = each(t, src, dataset.AffinityAccounts, link.Decode, func() {
		if _, ok := parents[string(link.Affinity)]; !ok || !accounts[accountKey{link.Network, string(link.Account)}] {
			t.Errorf("affinity_accounts: unknown %s or %s", link.Affinity, link.Account)
		}
	})
	var interest dataset.InterestRow
	rows["interests"] = each(t, src, dataset.Interests, interest.Decode, func() {
		known("interests", interest.Key)
		if _, ok := parents[string(interest.Affinity)]; !ok {
			t.Errorf("interests: unknown affinity %s", interest.Affinity)
		}
	})
	types, owners, shared := map[string]int{}, map[string]int{}, 0
	var id dataset.IdentifierRow
	rows["identifiers"] = each(t, src, dataset.Identifiers, id.Decode, func() {
		known("identifiers", id.Key)
		types[string(id.Type)]++
		if id.Type == identifier.EmailRaw {
			if owners[string(id.Norm)]++; owners[string(id.Norm)] == 2 {
				shared++
			}
			if domain := string(id.Norm[bytes.IndexByte(id.Norm, '@'):]); !slices.Contains(emailDomains[:], domain) {
				t.Fatalf("an address at %s, which is not reserved", domain)
			}
		}
	})
	for _, want := range []string{
		"email_raw", "md5", "twitter_id", "twitter_user", "ma_id", "cint_id", "ramp_id",
		"imei", "idfa", "gaid", "oaid", "idfv", "idfa_md5", "gaid_md5", "imei_md5",
	} {
		if types[want] == 0 {
			t.Errorf("no identifier of type %s", want)
		}
	}
	if shared == 0 {
		t.Error("no two people share an address, want households")
	}
	rows["jobs"] = eachJob(t, src, func(j *dataset.JobRow) { known("jobs", j.Key) })
	rows["personality"] = eachScore(t, src, func(s *dataset.ScoreRow) { known("personality", s.Key) })
	var bio dataset.BioRow
	rows["bios"] = each(t, src, dataset.Bios, bio.Decode, func() { known("bios", bio.Key) })
	fresh := 0
	rows["tweets"] = eachTweet(t, src, func(w *dataset.TweetRow) { known("tweets", w.Key); fresh++ })
	if old := rows["tweets"] - fresh; old == 0 || fresh == 0 {
		t.Errorf("tweets: %d within the 7 days and %d before, want some of each", fresh, old)
	}
	names := dataset.Names()
	for name := range rows {
		if !slices.Contains(names, name) {
			t.Errorf("%s is no table", name)
		}
	}
	total := 0
	for _, n := range rows {
		total += n
	}
	t.Logf("%d rows: %v", total, rows)
}
