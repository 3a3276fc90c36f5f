package service

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"throng"
	"throng/blob"
	"throng/device"
	"throng/engine"
	"throng/internal/hexkey"
	"throng/internal/lines"
	"throng/internal/logs"
	"throng/internal/seal"
	"throng/job"
	"throng/query"
	"throng/service/idlist"
	"throng/sqldb"
)

// jobDevices reads the files of a device audience.
const jobDevices = "devices"

// What the reading of devices is at.
const (
	stepReading  = "reading"
	stepMatching = "matching"
)

// compareAtMost is how many raw ids of the dataset are compared with what the
// files hold hashed: a fraction of a second's work.
const compareAtMost = 300_000

// invalidKey is the file of the lines that were refused, by file of devices.
func invalidKey(prefix string) string { return prefix + "/invalid" }

// readDevices is what reading the files of a device audience found; nothing of
// it shows until it is stored.
type readDevices struct {
	files    string // prefix of the keys
	bytes    int64  // of the set and the lines
	counts   throng.DeviceCounts
	lists    []throng.DeviceFile
	warnings []string
	info     engine.Info // of the generation that people were found on
}

// devices reads the files of a device audience. Run again after a death it
// writes files under other keys and comes to the same devices, since the files
// do not change. Everything appears in the one transaction at its end.
func (s *Service) devices(ctx context.Context, j job.Job) error {
	row, err := s.db.Audience(ctx, 0, j.OwnerRef)
	if nothingToDo(row.Status, err) {
		return nil // deleted or ended
	}
	if err != nil {
		return err
	}
	ctx = logs.With(ctx, slog.Int64("audience", row.ID))
	d, err := readDetails(row)
	if err != nil {
		return err
	}
	if d.Devices == nil {
		return job.Permanent(fmt.Errorf("read devices of audience %d: %w", row.ID, errNoDevices))
	}
	found := readDevices{files: audiencePrefix(row.ID) + seal.NewSecret()[:12]}
	cleanup := context.WithoutCancel(ctx)
	bad, err := s.findDevices(ctx, j, d.Devices.Sources, &found)
	if err != nil {
		return permanent(errors.Join(err, s.deleteFiles(cleanup, found.files+"/", "")))
	}
	before, after := d.Files, found.files
	if bad != nil && d.Devices.Counts != nil {
		before, after = after, before
	}
	release := s.prepareSet(ctx, row.ID, after)
	defer release()
	changed := s.sets.change(row.ID)
	err = s.store(ctx, found.files, func(tx *sqldb.Tx) error {
		if err := s.cfg.Jobs.Complete(ctx, tx, j); err != nil {
			return err
		}
		if bad != nil {
			return s.refuseDevices(ctx, tx, row, d, found, bad)
		}
		return s.finishDevices(ctx, tx, row, d, found)
	})
	if err != nil {
		changed("", s.cfg.Now())
		s.sets.discard(found.files)
		return permanent(err)
	}
	if bad != nil && d.Devices.Counts == nil {
		after = "" // there is no set
	}
	changed(after, s.cfg.Now())
	// Nothing but these: the next files may be read already. What attempts that
	// died have left is found by Sweep.
	if before != "" && before != after {
		if err := s.deleteFiles(cleanup, before+"/", ""); err != nil {
			s.cfg.Logger.ErrorContext(ctx, "clean up after reading devices", "audience", row.ID, "err", err)
		}
	}
	return nil
}

// prepareSet opens the set of an audience's new files before they are used,
// where an offer asks it on every bid. It stays open until release is called,
// and then as long as it is used.
func (s *Service) prepareSet(ctx context.Context, id int64, prefix string) (release func()) {
	if ids, err := s.db.TargetedAudiences(ctx, id); err == nil && len(ids) > 0 {
		if _, release, err := s.holdSet(ctx, prefix); err == nil { // who asks next is told of an error
			return release
		}
	}
	return func() {}
}

// findDevices does the work: it reads all files, then writes and matches what
// they hold. bad is what makes the files of no use, which is the caller's doing.
func (s *Service) findDevices(ctx context.Context, j job.Job, sources []deviceSource, found *readDevices) (bad *throng.Failure, err error) {
	p := s.follow(ctx, j)
	defer p.stop()
	p.at(stepReading, 0.01)
	g, err := s.cfg.Engine.Acquire(ctx, "")
	switch {
	case errors.Is(err, engine.ErrNoGeneration):
		g = nil
		found.warnings = append(found.warnings, "no dataset is loaded yet, so nobody is known to own any of the devices")
	case err != nil:
		return nil, fmt.Errorf("hold generation: %w", err)
	default:
		defer g.Release()
		found.info = g.Info()
	}
	c := device.NewCollector(device.Config{
		Memory: s.cfg.SortMemory, TempDir: s.cfg.TempDir, Limit: s.cfg.UploadLimit, KeepRefused: throng.MaxInvalidLines,
	})
	defer c.Close()
	if bad, err := s.collect(ctx, c, sources, func(share float64) { p.at(stepReading, 0.01+0.59*share) }); bad != nil || err != nil {
		return bad, err
	}
	if g != nil {
		if err := s.compareRaw(ctx, g, c); err != nil {
			return nil, fmt.Errorf("compare with raw ids: %w", err)
		}
	}
	reports := c.Reports()
	lines := found.report(reports, sources)
	if err := s.writeJSON(ctx, invalidKey(found.files), lines); err != nil {
		return nil, err
	}
	if bad := noDevices(reports, sources, found.lists); bad != nil {
		return bad, nil
	}
	p.at(stepMatching, 0.6)
	if err := s.keepDevices(ctx, g, c, found); err != nil {
		return nil, err
	}
	p.at(stepFinish, 0.98)
	return nil, nil
}

// collect reads the files one after the other.
func (s *Service) collect(ctx context.Context, c *device.Collector, sources []deviceSource, progress func(share float64)) (*throng.Failure, error) {
	total, done := int64(1), int64(0)
	for _, f := range sources {
		total += f.Size
	}
	for _, f := range sources {
		r, err := s.cfg.Blobs.Open(ctx, f.Key)
		if errors.Is(err, blob.ErrNotFound) {
			return badFile(f, "is not there any more; send it again"), nil
		}
		if err != nil {
			return nil, fmt.Errorf("open file of devices: %w", err)
		}
		err = c.Read(ctx, f.Type, readFunc(func(b []byte) (int, error) {
			n, err := r.Read(b)
			done += int64(n)
			progress(float64(done) / float64(total))
			return n, err
		}))
		r.Close()
		switch {
		case idlist.ArchiveTrouble(err) != "":
			return badFile(f, idlist.ArchiveTrouble(err)), nil
		case errors.Is(err, device.ErrTooLarge):
			return badFile(f, "has more in it than is allowed"), nil
		case err != nil:
			return nil, fmt.Errorf("read file of devices: %w", err)
		}
	}
	return nil, nil
}

// readFunc is a reader.
type readFunc func([]byte) (int, error)

func (f readFunc) Read(b []byte) (int, error) { return f(b) }

func badFile(f deviceSource, message string) *throng.Failure {
	return &throng.Failure{Code: string(throng.Invalid), Message: f.At + ": the file " + message}
}

// compareRaw shows the doctor what raw ids the dataset knows, where sums could
// be of them.
func (s *Service) compareRaw(ctx context.Context, g engine.Generation, c *device.Collector) error {
	families, types := comparedTypes(c)
	if len(types) == 0 {
		return nil
	}
	everyone, _, err := g.Select(ctx, query.Definition{Steps: []query.Step{{Op: query.Include, Node: query.Not{Node: query.Or{}}}}}, 0)
	if err != nil {
		return err
	}
	n := 0
	enough := errors.New("enough")
	err = g.Stream(ctx, everyone, types, func(b *engine.Batch) error {
		from := uint32(0)
		for _, end := range b.Ends {
			for _, f := range families[b.Type] {
				c.Compare(f, normalOf(f, b.Lines[from:end-1]))
			}
			from = end
		}
		if n += len(b.Ends); n >= compareAtMost {
			return enough
		}
		return nil
	})
	if errors.Is(err, enough) {
		return nil
	}
	return err
}

// report words what was found, and gives the lines that were refused, by file.
func (r *readDevices) report(reports []device.Report, sources []deviceSource) [][]throng.InvalidLine {
	lines := make([][]throng.InvalidLine, len(reports))
	for i, f := range reports {
		list := throng.DeviceFile{
			Type: f.Type, Path: sources[i].Path, Header: f.Header, Rows: f.Rows, Invalid: f.Invalid,
		}
		for _, x := range f.Findings {
			list.Findings = append(list.Findings, throng.DeviceFinding(x))
			if !x.Hint {
				r.warnings = append(r.warnings, sources[i].At+": "+x.Message)
			}
		}
		lines[i] = make([]throng.InvalidLine, len(f.Lines))
		for k, line := range f.Lines {
			lines[i][k] = throng.InvalidLine(line)
		}
		r.lists = append(r.lists, list)
		r.counts.Rows += f.Rows
		r.counts.Invalid += f.Invalid
	}
	return lines
}

// noDevices tells of the first file that holds no id of its type.
func noDevices(reports []device.Report, sources []deviceSource, lists []throng.DeviceFile) *throng.Failure {
	for i, f := range lists {
		if f.Rows > f.Invalid {
			continue
		}
		message := fmt.Sprintf("holds no %s: it has no line", f.Type)
		switch {
		case f.Rows > 0:
			message = fmt.Sprintf("holds no %s in %d lines: most are refused as %s", f.Type, f.Rows, reports[i].Reason)
		case f.Header:
			message = fmt.Sprintf("holds no %s: its one line is none, and was taken for a header", f.Type)
		}
		if len(f.Findings) > 0 {
			message += "; " + f.Findings[0].Message
		}
		return badFile(sources[i], message)
	}
	return nil
}

// keepDevices writes the set of all devices, and finds on their way who owns
// any.
func (s *Service) keepDevices(ctx context.Context, g engine.Generation, c *device.Collector, found *readDevices) error {
	w, err := s.cfg.Blobs.Create(ctx, setKey(found.files))
	if err != nil {
		return fmt.Errorf("store devices: %w", err)
	}
	defer w.Abort() //nolint:errcheck // of no effect after Commit
	set := device.NewSetWriter(counting{w, &found.bytes})
	var owners []query.RowSet
	for _, f := range device.Families() {
		if c.Taken(f) == 0 {
			continue
		}
		if err := set.Begin(f, c.Taken(f)); err != nil {
			return err
		}
		rows, err := s.keepFamily(ctx, g, c, f, set, &found.counts.Devices)
		if err != nil {
			return err
		}
		owners = append(owners, rows)
	}
	if err := set.Close(); err != nil {
		return err
	}
	if err := w.Commit(); err != nil {
		return fmt.Errorf("store devices: %w", err)
	}
	if c.HasMA() {
		rows, err := s.keepMA(ctx, g, c, linesKey(found.files), &found.bytes)
		if err != nil {
			return err
		}
		owners = append(owners, rows)
	}
	found.counts.Duplicate = found.counts.Rows - found.counts.Invalid - found.counts.Devices
	if g == nil {
		return nil
	}
	people, err := union(ctx, g, owners)
	if err != nil {
		return err
	}
	found.counts.People = people.Len()
	return s.rows.Write(ctx, g, found.files, people)
}

// keepFamily writes the devices of a family and counts them.
func (s *Service) keepFamily(
	ctx context.Context, g engine.Generation, c *device.Collector, f device.Family, set *device.SetWriter, n *uint64,
) (query.RowSet, error) {
	var digits [hexkey.SumLen]byte
	return passing(ctx, g, f.MD5(), func(yield func([]byte) bool) error {
		var writeErr error
		err := c.Each(ctx, f, func(k hexkey.Key) bool {
			*n++
			writeErr = set.Add(k)
			return writeErr == nil && yield(k.Append(digits[:0]))
		})
		return errors.Join(err, writeErr)
	})
}

// keepMA writes raw advertising ids one a line, for later generations: those
// that the dataset has as ma_id alone are of no family, and found by nothing
// else.
func (s *Service) keepMA(ctx context.Context, g engine.Generation, c *device.Collector, key string, size *int64) (query.RowSet, error) {
	w, err := s.cfg.Blobs.Create(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("store devices: %w", err)
	}
	defer w.Abort() //nolint:errcheck // of no effect after Commit
	out := bufio.NewWriterSize(counting{w, size}, writeBuffer)
	rows, err := passing(ctx, g, maType, func(yield func([]byte) bool) error {
		var writeErr error
		err := c.EachMA(ctx, func(text []byte) bool {
			writeErr = lines.Write(out, text)
			return writeErr == nil && yield(text)
		})
		return errors.Join(err, writeErr)
	})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(out.Flush(), w.Commit()); err != nil {
		return nil, fmt.Errorf("store devices: %w", err)
	}
	return rows, nil
}

// finishDevices makes the devices of an audience visible, all of them or none.
func (s *Service) finishDevices(ctx context.Context, tx *sqldb.Tx, row sqldb.Audience, d details, found readDevices) error {
	d.Files = found.files
	d.Devices.Counts, d.Devices.Lists = &found.counts, found.lists
	warnings := slices.Concat(d.Devices.Given, found.warnings)
	people := int64(found.counts.People)
	size := &people
	err := s.endDevices(ctx, tx, row, d, sqldb.AudienceUpdate{
		Size: &size, Warnings: &warnings, Generation: &found.info.ID, AsOf: &found.info.AsOf, Bytes: &found.bytes,
	}, nil)
	if err != nil {
		return err
	}
	return s.withinOf(ctx, tx, row.CallerID)
}

// refuseDevices ends an audience whose files are of no use. Those before stay
// in use; where there were none, what was found shows what is wrong.
func (s *Service) refuseDevices(
	ctx context.Context, tx *sqldb.Tx, row sqldb.Audience, d details, found readDevices, bad *throng.Failure,
) error {
	u := sqldb.AudienceUpdate{}
	if d.Devices.Counts == nil {
		warnings := slices.Concat(d.Devices.Given, found.warnings)
		d.Files, d.Devices.Lists, u.Warnings = found.files, found.lists, &warnings
	}
	return s.endDevices(ctx, tx, row, d, u, bad)
}

// endDevices writes down that the files of an audience are not being read any
// more.
func (s *Service) endDevices(
	ctx context.Context, tx *sqldb.Tx, row sqldb.Audience, d details, u sqldb.AudienceUpdate, bad *throng.Failure,
) error {
	raw, err := json.Marshal(d)
	if err != nil {
		return err
	}
	status, step, progress, now, failure := sqldb.StatusDone, "", 1.0, s.now(), json.RawMessage(nil)
	if bad != nil {
		status = sqldb.StatusFailed
		if failure, err = json.Marshal(bad); err != nil {
			return err
		}
	}
	details := json.RawMessage(raw)
	u.IfStatus, u.Status, u.Step, u.Progress, u.Details, u.Error = sqldb.StatusRunning, &status, &step, &progress, &details, &failure
	u.HeartbeatAt, u.FinishedAt = &now, &now
	return tx.UpdateAudience(ctx, row.ID, u)
}

// devicesFailed ends an audience whose files could not be read for good.
func (s *Service) devicesFailed(ctx context.Context, tx *sqldb.Tx, j job.Job, cause error) error {
	row, err := tx.Audience(ctx, 0, j.OwnerRef)
	if nothingToDo(row.Status, err) {
		return nil
	}
	if err != nil {
		return err
	}
	s.cfg.Logger.ErrorContext(ctx, "reading devices failed", "audience", row.ID, "err", cause)
	d, err := readDetails(row)
	if err != nil {
		return err
	}
	failure := failureOf(cause)
	return s.endDevices(ctx, tx, row, d, sqldb.AudienceUpdate{}, &failure)
}

// writeJSON stores a small thing.
func (s *Service) writeJSON(ctx context.Context, key string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w, err := s.cfg.Blobs.Create(ctx, key)
	if err != nil {
		return fmt.Errorf("store %T: %w", v, err)
	}
	defer w.Abort() //nolint:errcheck // of no effect after Commit
	if _, err := w.Write(raw); err != nil {
		return fmt.Errorf("store %T: %w", v, err)
	}
	return w.Commit()
}

// addInvalidLines tells of the lines that were refused.
func (s *Service) addInvalidLines(ctx context.Context, row sqldb.Audience, a *throng.DeviceAudience) error {
	d, err := readDetails(row)
	if err != nil || !slices.ContainsFunc(a.Files, func(f throng.DeviceFile) bool { return f.Invalid > 0 }) {
		return err
	}
	r, err := s.cfg.Blobs.Open(ctx, invalidKey(d.Files))
	if errors.Is(err, blob.ErrNotFound) {
		return nil // other files took their place just now
	}
	if err != nil {
		return fmt.Errorf("read invalid lines: %w", err)
	}
	defer r.Close()
	var lines [][]throng.InvalidLine
	raw, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("read invalid lines: %w", err)
	}
	if err := json.Unmarshal(raw, &lines); err != nil {
		return fmt.Errorf("read invalid lines: %w", err)
	}
	for i := range min(len(lines), len(a.Files)) {
		a.Files[i].InvalidLines = lines[i]
	}
	return nil
}
