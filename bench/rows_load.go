package bench

import (
	"context"
	"fmt"
	"time"

	"throng/server"
)

// loadFigures are what the load of this run took.
type loadFigures struct {
	wall, cpu      time.Duration
	held, resident int64 // bytes at most
}

// loadIndex loads the population as `throng load` does.
func (r *run) loadIndex(ctx context.Context) error {
	s := r.stack
	stop := memoryPeak()
	start, cpu := time.Now(), processTime()
	report, err := s.server.Load(ctx, s.dataDir(), server.LoadOptions{})
	f := &loadFigures{wall: time.Since(start), cpu: processTime() - cpu}
	f.held, f.resident = stop()
	if err != nil {
		return err
	}
	rows := int64(0)
	for _, t := range report.Tables {
		rows += int64(t.Loaded)
		if t.Loaded != t.Rows {
			return fmt.Errorf("load: %d of %d rows of table %s were loaded", t.Loaded, t.Rows, t.Table)
		}
	}
	equal(r, "load, people", report.People, uint64(s.people.People))
	r.load = f
	r.loaded = rows
	return nil
}

// rowLoad reports the load.
func (r *run) rowLoad(context.Context) error {
	row := Row{ID: "load", Work: fmt.Sprintf("load %.3g million rows", float64(r.loaded)/1e6)}
	if r.load == nil {
		row.Work = "load the tables"
		row.note("not measured: the index was there already")
		r.add(row)
		return nil
	}
	rate := float64(r.loaded) / r.load.wall.Seconds() / 1e6
	row.figure("all cores", "million rows/s", rate)
	row.figure("processor time", "s", r.load.cpu.Seconds())
	row.figure("time", "s", r.load.wall.Seconds())
	row.figure("memory held, most", "MiB", float64(r.load.held)/(1<<20))
	row.figure("resident with mapped files, most", "MiB", float64(r.load.resident)/(1<<20))
	row.atLeast("all cores", "million rows/s", rate, 2)
	row.atMost("memory held, most", "MiB", float64(r.load.held)/(1<<20), 2048)
	r.add(row)
	return nil
}
