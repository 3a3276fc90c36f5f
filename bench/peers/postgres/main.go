// Command postgres answers with the PostgreSQL server at the URL in
// THRONG_TEST_POSTGRES, on this machine.
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"throng/bench/peers/internal/peer"
	"throng/bench/peers/internal/population"
)

func main() { peer.Serve(&database{}) }

type database struct {
	conn       *pgx.Conn
	postmaster int
}

const (
	words = "64-bit words"
	strs  = "bit string per term and segment"
	facts = "row per person and term"
	// segment is how many people's bits are just not moved out of their row.
	segment = 15_360
)

// Load implements peer.Engine. Only what the question names is brought in,
// into tables without a log.
func (d *database) Load(ctx context.Context, c peer.Command) ([]peer.Layout, string, int64, error) {
	url := os.Getenv("THRONG_TEST_POSTGRES")
	if url == "" {
		return nil, "", 0, fmt.Errorf("%w: THRONG_TEST_POSTGRES is not set", peer.ErrAbsent)
	}
	var err error
	if d.conn, err = pgx.Connect(ctx, url); err != nil {
		return nil, "", 0, err
	}
	if err := d.find(ctx); err != nil {
		return nil, "", 0, err
	}
	for _, q := range []string{
		`set work_mem = '512MB'`, `set maintenance_work_mem = '512MB'`, `set max_parallel_workers_per_gather = 2`, `set jit = off`,
		`set hash_mem_multiplier = 2`,
		`create unlogged table w (term smallint, word int, bits bigint)`,
		`create unlogged table s (seg int, term smallint, bits bit(` + strconv.Itoa(segment) + `))`,
		`create unlogged table f (term smallint, person int)`,
	} {
		if _, err := d.conn.Exec(ctx, q); err != nil {
			return nil, "", 0, err
		}
	}
	layouts := []peer.Layout{{Name: words, Ops: []string{peer.Count}}, {Name: strs, Ops: []string{peer.Count}}}
	if c.Facts {
		layouts = append(layouts, peer.Layout{Name: facts, Ops: []string{peer.Count}})
	}
	if err := d.fill(ctx, c); err != nil {
		return nil, "", 0, err
	}
	after := []string{`alter table w add primary key (term, word)`, `alter table s add primary key (seg, term)`, `vacuum analyze w`, `vacuum analyze s`}
	if c.Facts {
		after = append(after, `alter table f add primary key (term, person)`, `vacuum analyze f`)
	}
	for _, q := range after {
		if _, err := d.conn.Exec(ctx, q); err != nil {
			return nil, "", 0, err
		}
	}
	var version string
	var stored int64
	err = d.conn.QueryRow(ctx, `select current_setting('server_version'), pg_total_relation_size('w') + pg_total_relation_size('s') + pg_total_relation_size('f')`).Scan(&version, &stored)
	version, _, _ = strings.Cut(version, " ")
	return layouts, version, stored, err
}

// fill copies the terms that the question names.
func (d *database) fill(ctx context.Context, c peer.Command) error {
	p := population.New(c.People)
	for _, id := range population.QueryTerms {
		members := p.Find(id)
		bits := p.Words(members)
		w := 0
		_, err := d.conn.CopyFrom(ctx, pgx.Identifier{"w"}, []string{"term", "word", "bits"}, pgx.CopyFromFunc(func() ([]any, error) {
			for ; w < len(bits); w++ {
				if bits[w] != 0 {
					w++
					return []any{int16(id), int32(w - 1), int64(bits[w-1])}, nil
				}
			}
			return nil, nil
		}))
		if err != nil {
			return err
		}
		seg := 0
		_, err = d.conn.CopyFrom(ctx, pgx.Identifier{"s"}, []string{"seg", "term", "bits"}, pgx.CopyFromFunc(func() ([]any, error) {
			const per = segment / 64
			if seg*per >= len(bits) {
				return nil, nil
			}
			text := make([]byte, segment/8)
			for i, v := range bits[seg*per : min(seg*per+per, len(bits))] {
				binary.LittleEndian.PutUint64(text[i*8:], v)
			}
			seg++
			return []any{int32(seg - 1), int16(id), pgtype.Bits{Bytes: text, Len: segment, Valid: true}}, nil
		}))
		if err != nil {
			return err
		}
		if !c.Facts {
			continue
		}
		_, err = d.conn.CopyFrom(ctx, pgx.Identifier{"f"}, []string{"term", "person"}, pgx.CopyFromSlice(len(members), func(i int) ([]any, error) {
			return []any{int16(id), int32(members[i])}, nil
		}))
		if err != nil {
			return err
		}
	}
	return nil
}

// Count implements peer.Engine.
func (d *database) Count(ctx context.Context, layout string) (n uint64, err error) {
	var q string
	switch layout {
	case words:
		fields, formula := audience(func(ids ...int) string {
			return "coalesce(bit_or(bits) filter (where term in (" + peer.In(ids) + ")), 0)"
		})
		q = `select sum(bit_count((` + formula + `)::bit(64)))::bigint from (select word` + fields + ` from w group by word) t`
	case strs:
		fields, formula := audience(func(ids ...int) string {
			return "bit_or(bits) filter (where term in (" + peer.In(ids) + "))"
		})
		q = `select sum(bit_count(` + formula + `))::bigint from (select seg` + fields + ` from s group by seg) t`
	case facts:
		q = `select count(*) from (
			((select person from f where term in (` + peer.In(population.AnyOf) + `) intersect select person from f where term = ` + strconv.Itoa(population.Also) + `)
				except select person from f where term = ` + strconv.Itoa(population.Never) + `)
			union (select person from f where term in (` + peer.In(population.TwoOf) + `) group by person having count(*) >= 2)) a
			join f g on g.person = a.person and g.term = ` + strconv.Itoa(population.Male) + `
			join f h on h.person = a.person and h.term in (` + peer.In(population.InAge) + `)`
	}
	err = d.conn.QueryRow(ctx, q).Scan(&n)
	return n, err
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

// Terms implements peer.Engine.
func (*database) Terms(context.Context, string) ([]uint64, error) {
	return nil, fmt.Errorf("count by term: not loaded")
}

// find finds the process that started the one of the connection.
func (d *database) find(ctx context.Context) error {
	var backend int
	if err := d.conn.QueryRow(ctx, `select pg_backend_pid()`).Scan(&backend); err != nil {
		return err
	}
	fields, err := stat(backend)
	if err != nil {
		return fmt.Errorf("find server: %w", err)
	}
	d.postmaster, err = strconv.Atoi(fields[1])
	return err
}

// stat reads the fields of a process from its state on.
func stat(pid int) ([]string, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return nil, err
	}
	_, rest, ok := bytes.Cut(text, []byte(") "))
	fields := strings.Fields(string(rest))
	if !ok || len(fields) < 15 {
		return nil, fmt.Errorf("process %d has a malformed state", pid)
	}
	return fields, nil
}

// Usage implements peer.Engine: the processor time of the server, of its
// processes that run and of those that ended, as exact as the kernel's ticks
// of 10 ms.
func (d *database) Usage() time.Duration {
	if d.postmaster == 0 {
		return 0
	}
	ticks := int64(0)
	sum := func(pid int, fields ...int) {
		f, err := stat(pid)
		if err != nil {
			return // has ended; its parent has its time
		}
		for _, i := range fields {
			n, _ := strconv.ParseInt(f[i], 10, 64)
			ticks += n
		}
	}
	sum(d.postmaster, 11, 12, 13, 14)
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", d.postmaster, d.postmaster))
	if err != nil {
		return 0
	}
	for _, pid := range strings.Fields(string(children)) {
		n, err := strconv.Atoi(pid)
		if err == nil {
			sum(n, 11, 12)
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
