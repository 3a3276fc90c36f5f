// Command clickhouse answers with ClickHouse in this process (libchdb, by the
// path in CHDB_LIB_PATH).
package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/chdb-io/chdb-go/chdb"

	"throng/bench/peers/internal/peer"
	"throng/bench/peers/internal/population"
)

func main() { peer.Serve(&database{}) }

type database struct{ session *chdb.Session }

const (
	bitmaps = "bitmap per term and segment"
	words   = "64-bit words"
	arrays  = "array of terms per person"
)

// Usage implements peer.Engine: everything is in this process.
func (*database) Usage() time.Duration { return 0 }

func (d *database) ask(query string) (string, error) {
	result, err := d.session.Query(query, "TSV")
	if err != nil {
		return "", err
	}
	defer result.Free()
	return strings.TrimSpace(result.String()), nil
}

// Load implements peer.Engine. Segments are of 1.25 million people, as many
// as make both cores busy with 20 million; granules are small, so that no
// bitmap is read that was not asked for.
func (d *database) Load(_ context.Context, c peer.Command) ([]peer.Layout, string, int64, error) {
	var err error
	if d.session, err = chdb.NewSession(c.Work); err != nil {
		return nil, "", 0, err
	}
	file := func(table string) string { return "file('" + filepath.Join(c.Dataset, table) + ".parquet', Parquet)" }
	pairs := `select toUInt16(account) term, person from ` + file("follows") + `
		union all select toUInt16(affinity), person from ` + file("interests") + `
		union all select toUInt16(if(gender = 'male', 700, 701)), person from ` + file("people") + `
		union all select toUInt16(` + ageTerm() + `), person from ` + file("people")
	const aggregation = ` settings max_bytes_before_external_group_by = 0, max_threads = 2`
	for _, q := range []string{
		`create database peers engine = Atomic`,
		`create table peers.bm (term UInt16, seg UInt16, b AggregateFunction(groupBitmap, UInt32))
			engine = MergeTree order by (term, seg) settings index_granularity = 16`,
		`insert into peers.bm select term, intDiv(person, 1250000) seg, groupBitmapState(person) from (` + pairs + `) group by term, seg order by term, seg` + aggregation,
		`optimize table peers.bm final`,
		`create table peers.w (term UInt16, word UInt32, bits UInt64) engine = MergeTree order by (term, word)`,
		`insert into peers.w select term, intDiv(person, 64) word, groupBitOr(bitShiftLeft(toUInt64(1), person % 64))
			from (` + pairs + `) where term in (` + peer.In(population.QueryTerms) + `) group by term, word` + aggregation,
		`optimize table peers.w final`,
		`create table peers.ar (person UInt32, terms Array(UInt16)) engine = MergeTree order by person`,
		`insert into peers.ar select person, groupArray(toUInt16(affinity)) from ` + file("interests") + ` group by person` + aggregation,
		`optimize table peers.ar final`,
		`create table peers.aud (seg UInt16, b AggregateFunction(groupBitmap, UInt32)) engine = Memory`,
		`insert into peers.aud ` + audience("seg, "+answer),
		`create table peers.member (person UInt32) engine = Memory`,
		`insert into peers.member select arrayJoin(bitmapToArray(b)) from peers.aud`,
	} {
		if _, err := d.ask(q); err != nil {
			return nil, "", 0, fmt.Errorf("%s: %w", firstLine(q), err)
		}
	}
	version, err := d.ask(`select version()`)
	if err != nil {
		return nil, "", 0, err
	}
	text, err := d.ask(`select sum(bytes_on_disk) from system.parts where active and database = 'peers' and table = 'bm'`)
	if err != nil {
		return nil, "", 0, err
	}
	stored, err := strconv.ParseInt(text, 10, 64)
	return []peer.Layout{
		{Name: bitmaps, Ops: []string{peer.Count, peer.Terms}},
		{Name: words, Ops: []string{peer.Count}},
		{Name: arrays, Ops: []string{peer.Terms}},
	}, version, stored, err
}

func firstLine(q string) string { line, _, _ := strings.Cut(q, "\n"); return line }

func ageTerm() string {
	var b strings.Builder
	b.WriteString("multiIf(")
	for i, r := range population.AgeRanges[:population.Ages-1] {
		fmt.Fprintf(&b, "age_range = '%s', %d, ", r, population.FirstAge+i)
	}
	fmt.Fprintf(&b, "%d)", population.FirstAge+population.Ages-1)
	return b.String()
}

// answer is the audience of a segment, a bitmap.
const answer = `bitmapAnd(bitmapAnd(bitmapOr(bitmapAndnot(bitmapAnd(anyof, also), never), two), male), inage)`

// audience asks for something of each segment, in which the names of answer
// are bitmaps.
func audience(what string) string {
	var b strings.Builder
	merge := func(name string, ids ...int) {
		fmt.Fprintf(&b, ", groupBitmapMergeStateIf(b, term in (%s)) %s", peer.In(ids), name)
	}
	merge("anyof", population.AnyOf...)
	merge("also", population.Also)
	merge("never", population.Never)
	merge("male", population.Male)
	merge("inage", population.InAge...)
	for i, id := range population.TwoOf {
		merge("t"+strconv.Itoa(i), id)
	}
	one, two := "t0", ""
	for i := 1; i < len(population.TwoOf); i++ {
		t := "t" + strconv.Itoa(i)
		both := "bitmapAnd(" + one + ", " + t + ")"
		if two == "" {
			two = both
		} else {
			two = "bitmapOr(" + two + ", " + both + ")"
		}
		one = "bitmapOr(" + one + ", " + t + ")"
	}
	return `select ` + what + ` from (select seg, ` + two + ` two` + b.String() +
		` from peers.bm where term in (` + peer.In(population.QueryTerms) + `) group by seg)`
}

// Count implements peer.Engine.
func (d *database) Count(_ context.Context, layout string) (uint64, error) {
	q := audience(`sum(bitmapAndCardinality(bitmapAnd(bitmapOr(bitmapAndnot(bitmapAnd(anyof, also), never), two), male), inage))`)
	if layout == words {
		q = wordQuery()
	}
	text, err := d.ask(q)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(text, 10, 64)
}

func wordQuery() string {
	var b strings.Builder
	b.WriteString(`select sum(bitCount(bitAnd(bitAnd(bitOr(bitAnd(bitAnd(anyof, also), bitNot(never)), two), male), inage))) from (select word`)
	merge := func(name string, ids ...int) {
		fmt.Fprintf(&b, ", groupBitOrIf(bits, term in (%s)) %s", peer.In(ids), name)
	}
	merge("anyof", population.AnyOf...)
	merge("also", population.Also)
	merge("never", population.Never)
	merge("male", population.Male)
	merge("inage", population.InAge...)
	for i, id := range population.TwoOf {
		merge("t"+strconv.Itoa(i), id)
	}
	one, two := "t0", "toUInt64(0)"
	for i := 1; i < len(population.TwoOf); i++ {
		t := "t" + strconv.Itoa(i)
		two = "bitOr(" + two + ", bitAnd(" + one + ", " + t + "))"
		one = "bitOr(" + one + ", " + t + ")"
	}
	fmt.Fprintf(&b, `, %s two from peers.w where term in (%s) group by word)`, two, peer.In(population.QueryTerms))
	return b.String()
}

// Terms implements peer.Engine.
func (d *database) Terms(_ context.Context, layout string) ([]uint64, error) {
	last := population.FirstAffinity + population.Affinity - 1
	q := fmt.Sprintf(`select term, sum(bitmapAndCardinality(bm.b, aud.b)) from peers.bm bm join peers.aud aud on bm.seg = aud.seg
		where term between %d and %d group by term`, population.FirstAffinity, last)
	if layout == arrays {
		q = `select term, count() from (select arrayJoin(terms) term from peers.ar where person in (select person from peers.member)) group by term`
	}
	text, err := d.ask(q)
	if err != nil {
		return nil, err
	}
	return peer.List(text, population.FirstAffinity, population.Affinity)
}
