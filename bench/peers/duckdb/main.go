// Command duckdb answers with DuckDB in this process.
package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	_ "github.com/duckdb/duckdb-go/v2"

	"throng/bench/peers/internal/peer"
	"throng/bench/peers/internal/population"
)

func main() { peer.Serve(&database{}) }

type database struct{ conn *sql.Conn }

const (
	words   = "64-bit words"
	strs    = "bit string per term and segment"
	facts   = "row per person and term"
	arrays  = "array of terms per person"
	segment = 1_250_000
)

// Usage implements peer.Engine: everything is in this process.
func (*database) Usage() time.Duration { return 0 }

// Load implements peer.Engine.
func (d *database) Load(ctx context.Context, c peer.Command) ([]peer.Layout, string, int64, error) {
	path := filepath.Join(c.Work, "peers.duckdb")
	db, err := sql.Open("duckdb", path+"?threads=2&memory_limit=3GB&temp_directory="+filepath.Join(c.Work, "temp"))
	if err != nil {
		return nil, "", 0, err
	}
	if d.conn, err = db.Conn(ctx); err != nil {
		return nil, "", 0, err
	}
	file := func(table string) string { return "read_parquet('" + filepath.Join(c.Dataset, table) + ".parquet')" }
	var age strings.Builder
	for i, r := range population.AgeRanges[:population.Ages-1] {
		fmt.Fprintf(&age, " when age_range = '%s' then %d", r, population.FirstAge+i)
	}
	named := `(select account::usmallint term, person from ` + file("follows") + `
		union all select case gender when 'male' then 700 else 701 end::usmallint, person from ` + file("people") + `
		union all select (case` + age.String() + fmt.Sprintf(` else %d end)::usmallint, person from `, population.FirstAge+population.Ages-1) + file("people") + `)
		where term in (` + peer.In(population.QueryTerms) + `)`
	for _, q := range []string{
		`create table w as select term, person // 64 word, bit_or(1::ubigint << (person % 64)) bits from ` + named + ` group by all order by term, word`,
		fmt.Sprintf(`create table s as select term, person // %[1]d seg, bitstring_agg(person %% %[1]d, 0, %[2]d) bits from `, segment, segment-1) + named + ` group by all order by term, seg`,
		`create table f as select affinity::usmallint term, person from ` + file("interests"),
		`create table ar as select person, list(affinity::usmallint) terms from ` + file("interests") + ` group by person order by person`,
		`create table member as select word * 64 + bit person from (` + wordAudience() + `), range(64) r(bit) where (audience >> bit) & 1 = 1`,
		`checkpoint`,
	} {
		if _, err := d.conn.ExecContext(ctx, q); err != nil {
			return nil, "", 0, err
		}
	}
	var version string
	if err := d.conn.QueryRowContext(ctx, `select version()`).Scan(&version); err != nil {
		return nil, "", 0, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, "", 0, err
	}
	return []peer.Layout{
		{Name: words, Ops: []string{peer.Count}},
		{Name: strs, Ops: []string{peer.Count}},
		{Name: facts, Ops: []string{peer.Terms}},
		{Name: arrays, Ops: []string{peer.Terms}},
	}, version, info.Size(), nil
}

// audience is a formula of the question; pick gives the bits of any of terms.
func audience(pick func(ids ...int) string) (fields, formula string) {
	var b strings.Builder
	name := func(name string, ids ...int) { fmt.Fprintf(&b, ", %s as %s", pick(ids...), name) }
	name("anyof", population.AnyOf...)
	name("also", population.Also)
	name("never", population.Never)
	name("male", population.Male)
	name("inage", population.InAge...)
	for i, id := range population.TwoOf {
		name("t"+strconv.Itoa(i), id)
	}
	one, two := "t0", ""
	for i := 1; i < len(population.TwoOf); i++ {
		t := "t" + strconv.Itoa(i)
		if two != "" {
			two += " | "
		}
		two += "((" + one + ") & " + t + ")"
		one += " | " + t
	}
	return b.String(), `(((anyof & also & ~never) | ` + two + `) & male & inage)`
}

func wordAudience() string {
	fields, formula := audience(func(ids ...int) string {
		return "coalesce(bit_or(bits) filter (where term in (" + peer.In(ids) + ")), 0::ubigint)"
	})
	return `select word, ` + formula + ` audience from (select word` + fields + ` from w where term in (` + peer.In(population.QueryTerms) + `) group by word)`
}

// Count implements peer.Engine.
func (d *database) Count(ctx context.Context, layout string) (n uint64, err error) {
	q := `select sum(bit_count(audience))::ubigint from (` + wordAudience() + `)`
	if layout == strs {
		fields, formula := audience(func(ids ...int) string {
			return "bit_or(bits) filter (where term in (" + peer.In(ids) + "))"
		})
		q = `select sum(bit_count(` + formula + `))::ubigint from (select seg` + fields + ` from s where term in (` + peer.In(population.QueryTerms) + `) group by seg)`
	}
	err = d.conn.QueryRowContext(ctx, q).Scan(&n)
	return n, err
}

// Terms implements peer.Engine.
func (d *database) Terms(ctx context.Context, layout string) ([]uint64, error) {
	q := `select term, count(*)::ubigint from f where person in (select person from member) group by term`
	if layout == arrays {
		q = `select term, count(*)::ubigint from (select unnest(terms) term from ar where person in (select person from member)) group by term`
	}
	rows, err := d.conn.QueryContext(ctx, q)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	counts := make([]uint64, population.Affinity)
	for rows.Next() {
		var term int
		var n uint64
		if err := rows.Scan(&term, &n); err != nil {
			return nil, err
		}
		counts[term-population.FirstAffinity] = n
	}
	return counts, rows.Err()
}
