package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"throng"
	"throng/device"
	"throng/identifier"
	"throng/job"
	"throng/service/deviceset"
	"throng/service/page"
	"throng/service/record"
	"throng/sqldb"
)

// maxDeviceFiles is how many files a device audience may have.
const maxDeviceFiles = 100

// DeviceList is a request for a device audience as an API read it. Problems and
// Warnings are what the API found in it; the service adds its own under the
// paths name, platform, files and those of the files, so that one answer tells
// all. It may be incomplete where it has problems: what is absent is then not
// told again.
type DeviceList struct {
	Name     string
	Platform throng.Platform
	Files    []DeviceSource
	Problems []throng.Detail
	Warnings []string
}

// DeviceSource is a file that a caller has sent, and what they say it holds.
type DeviceSource struct {
	Type identifier.Type
	Path string // as PresignFile gave it
	At   string // path of the field in the request; files[i] where it is empty
}

// DeviceFilter says which device audiences are listed. What is zero does not
// limit; IDs limit unless they are nil.
type DeviceFilter struct {
	IDs      []int64
	Query    string // the name contains it, case ignored
	Platform throng.Platform
	Page     int // from 1
	Limit    int // defaults to 50, at most 500
}

// CreateDevices accepts files of devices as an audience, and has them read. When
// it returns, the audience and the job are durable.
func (s *Service) CreateDevices(ctx context.Context, c *throng.Caller, d DeviceList) (*throng.DeviceAudience, error) {
	sources, err := s.deviceSources(ctx, c, d.Platform, d.Files)
	if err != nil {
		return nil, err
	}
	if err := refuse(slices.Concat(d.Problems, checkDeviceList(d), sources.problems), nil); err != nil {
		return nil, err
	}
	warnings := slices.Concat(d.Warnings, sources.warnings)
	more, err := json.Marshal(record.Details{Devices: &record.Devices{Sources: sources.list, Given: warnings}})
	if err != nil {
		return nil, fmt.Errorf("store sources: %w", err)
	}
	now := s.now()
	row := sqldb.Audience{
		CallerID: c.ID, Kind: string(throng.Device), Name: d.Name, Platform: int64(d.Platform), Status: sqldb.StatusRunning,
		Step: stepQueued, CreatedAt: now, UpdatedAt: now, HeartbeatAt: now, Details: more,
		Warnings: warnings,
	}
	err = s.db.Tx(ctx, func(tx *sqldb.Tx) error {
		err := s.mayWait(ctx, tx, c, jobDevices)
		if err != nil {
			return err
		}
		if _, err := s.room(ctx, tx, c); err != nil {
			return err
		}
		if row.ID, err = tx.InsertAudience(ctx, row); err != nil {
			return err
		}
		return s.startReading(ctx, tx, row, sources.list)
	})
	if err != nil {
		return nil, err
	}
	return s.deviceView(row)
}

// startReading has the files of an audience read.
func (s *Service) startReading(ctx context.Context, tx *sqldb.Tx, row sqldb.Audience, sources []deviceset.Source) error {
	for _, f := range sources {
		if err := tx.AddUses(ctx, row.ID, sqldb.UseIncoming, f.Incoming); err != nil {
			return err
		}
	}
	_, err := s.cfg.Jobs.Enqueue(ctx, tx, job.Job{
		Kind: jobDevices, Key: strconv.FormatInt(row.ID, 10), OwnerRef: row.ID,
		Group: group(row.CallerID), MaxAttempts: buildAttempts,
	})
	return err
}

// UpdateDevices replaces the files of a device audience. Until the new ones are
// read, and where they cannot be used, the old ones stay in use. NotFound for
// another's audience; Invalid; then Conflict where its files are being read, or
// were given so short a time ago that they may not be replaced yet.
func (s *Service) UpdateDevices(
	ctx context.Context, c *throng.Caller, id int64, files []DeviceSource, problems []throng.Detail,
) (*throng.DeviceAudience, error) {
	row, err := s.deviceRow(ctx, s.db, c, id)
	if err != nil {
		if id <= 0 && len(problems) > 0 { // the id is among them
			return nil, refuse(problems, nil)
		}
		return nil, err
	}
	sources, err := s.deviceSources(ctx, c, throng.Platform(row.Platform), files)
	if err != nil {
		return nil, err
	}
	if len(files) == 0 && len(problems) == 0 {
		problems = append(problems, throng.Detail{Path: "files", Message: "must list at least one file"})
	}
	if err := refuse(slices.Concat(problems, sources.problems), nil); err != nil {
		return nil, err
	}
	err = s.db.Tx(ctx, func(tx *sqldb.Tx) error {
		if row, err = s.deviceRow(ctx, tx, c, id); err != nil {
			return err
		}
		if err := s.mayWait(ctx, tx, c, jobDevices); err != nil {
			return err
		}
		return s.replaceFiles(ctx, tx, &row, sources)
	})
	if err != nil {
		return nil, err
	}
	return s.deviceView(row)
}

// replaceFiles starts the reading of other files, where that is allowed.
func (s *Service) replaceFiles(ctx context.Context, tx *sqldb.Tx, row *sqldb.Audience, sources deviceSources) error {
	now := s.now()
	if next := s.nextUpdate(*row, now); now.Before(next) {
		return throng.Errorf(throng.Conflict, "audience %d may be given other files from %s on, %v after the last ones",
			row.ID, next.Format(time.RFC3339), s.cfg.DeviceLock)
	}
	if row.Status == sqldb.StatusRunning {
		return throng.Errorf(throng.Conflict, "the files of audience %d are still being read; try again when that has ended", row.ID)
	}
	d, err := record.Read(*row)
	if err != nil {
		return err
	}
	if d.Devices == nil {
		d.Devices = &record.Devices{}
	}
	d.Devices.Sources, d.Devices.Given = sources.list, sources.warnings
	raw, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("store sources: %w", err)
	}
	before := row.Status
	row.Status, row.Step, row.Progress, row.Details = sqldb.StatusRunning, stepQueued, 0, raw
	row.UpdatedAt, row.HeartbeatAt, row.FinishedAt, row.Error = now, now, time.Time{}, nil
	err = tx.UpdateAudience(ctx, row.ID, sqldb.AudienceUpdate{
		IfStatus: before, Status: &row.Status, Step: &row.Step, Progress: &row.Progress, Details: &row.Details,
		UpdatedAt: &row.UpdatedAt, HeartbeatAt: &row.HeartbeatAt, FinishedAt: &row.FinishedAt, Error: &row.Error,
	})
	if err != nil {
		return err
	}
	return s.startReading(ctx, tx, *row, sources.list)
}

// nextUpdate is when an audience may be given other files. One that was given
// files by a clock that was ahead by more than the time they stay is not locked.
func (s *Service) nextUpdate(row sqldb.Audience, now time.Time) time.Time {
	lock := max(s.cfg.DeviceLock, 0)
	if row.UpdatedAt.After(now.Add(lock)) {
		return now
	}
	return row.UpdatedAt.Add(lock)
}

// DeleteDevices removes device audiences, all or none of them. NotFound where
// any is unknown or another's, else Conflict where an offer or a running build
// uses any; details have the paths ids[i].
func (s *Service) DeleteDevices(ctx context.Context, c *throng.Caller, ids []int64) error {
	if len(ids) == 0 {
		return refuse([]throng.Detail{{Path: "ids", Message: "must have at least one id"}}, nil)
	}
	err := s.db.Tx(ctx, func(tx *sqldb.Tx) error {
		var missing, used []throng.Detail
		for i, id := range ids {
			if slices.Contains(ids[:i], id) {
				continue
			}
			row, err := s.deviceRow(ctx, tx, c, id)
			if err == nil {
				err = s.remove(ctx, tx, row)
			}
			if err == nil {
				continue
			}
			d := throng.Detail{Path: fmt.Sprintf("ids[%d]", i), Message: strings.TrimPrefix(throng.MessageOf(err), fmt.Sprintf("audience %d ", id))}
			switch throng.CodeOf(err) {
			case throng.NotFound:
				missing = append(missing, d)
			case throng.Conflict:
				used = append(used, d)
			default:
				return err
			}
		}
		switch {
		case len(missing) > 0:
			return throng.Refuse(throng.NotFound, append(missing, used...))
		case len(used) > 0:
			return throng.Refuse(throng.Conflict, used)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, id := range distinct(ids) {
		s.dropFiles(ctx, id)
	}
	return nil
}

// ListDevices lists a caller's device audiences, newest first, and how many
// there are on all pages. Invalid lines are told of a single one alone.
func (s *Service) ListDevices(ctx context.Context, c *throng.Caller, f DeviceFilter) (list []throng.DeviceAudience, total int64, err error) {
	limit, number := min(max(f.Limit, 0), page.Max), max(f.Page, 1)
	if limit == 0 {
		limit = page.Default
	}
	filter := sqldb.AudienceFilter{
		CallerID: c.ID, Kind: string(throng.Device), IDs: f.IDs, Query: f.Query, Platform: int64(f.Platform),
		Limit: limit, Offset: int64(number-1) * int64(limit),
	}
	if total, err = s.db.CountAudiences(ctx, filter); err != nil {
		return nil, 0, err
	}
	rows, _, err := s.db.ListAudiences(ctx, filter)
	if err != nil {
		return nil, 0, err
	}
	list = make([]throng.DeviceAudience, len(rows))
	for i, row := range rows {
		a, err := s.deviceView(row)
		if err == nil && len(rows) == 1 {
			err = s.addInvalidLines(ctx, row, a)
		}
		if err != nil {
			return nil, 0, err
		}
		list[i] = *a
	}
	return list, total, nil
}

// DeviceAudience tells how a device audience stands.
func (s *Service) DeviceAudience(ctx context.Context, c *throng.Caller, id int64) (*throng.DeviceAudience, error) {
	row, err := s.deviceRow(ctx, s.db, c, id)
	if err != nil {
		return nil, err
	}
	a, err := s.deviceView(row)
	if err != nil {
		return nil, err
	}
	return a, s.addInvalidLines(ctx, row, a)
}

// deviceRow finds a caller's device audience: one that was built is none.
func (s *Service) deviceRow(ctx context.Context, q queries, c *throng.Caller, id int64) (sqldb.Audience, error) {
	row, err := s.audienceRow(ctx, q, c, id)
	if err == nil && row.Kind != string(throng.Device) {
		err = throng.Errorf(throng.NotFound, "audience %d does not exist", id)
	}
	return row, err
}

// deviceSources are files that were found, and what is wrong with a request for
// them.
type deviceSources struct {
	list     []deviceset.Source
	problems []throng.Detail
	warnings []string
}

// deviceSources finds what a caller has sent. An error is of the machinery.
func (s *Service) deviceSources(ctx context.Context, c *throng.Caller, p throng.Platform, files []DeviceSource) (out deviceSources, err error) {
	if len(files) > maxDeviceFiles {
		out.problems = append(out.problems, throng.Detail{
			Path: "files", Message: fmt.Sprintf("lists %d files, more than the %d allowed", len(files), maxDeviceFiles),
		})
		return out, nil
	}
	found := map[string]receivedFile{} // a path may be listed under several types
	told := map[string]string{}
	for i, f := range files {
		if f.At == "" {
			f.At = fmt.Sprintf("files[%d]", i)
		}
		bad := func(message string) { out.problems = append(out.problems, throng.Detail{Path: f.At, Message: message}) }
		if !slices.Contains(identifier.Devices(), f.Type) {
			bad("must be of one of the types " + strings.Join(retype[string](identifier.Devices()), ", "))
		}
		if f.Path == "" {
			bad("is required")
			continue
		}
		file, ok := found[f.Path]
		if !ok && told[f.Path] == "" {
			file, err = s.received(ctx, c, f.Path)
			switch code := throng.CodeOf(err); {
			case err == nil:
				found[f.Path], ok = file, true
			case code == throng.Invalid || code == throng.TooLarge:
				told[f.Path] = throng.MessageOf(err)
			default:
				return out, err
			}
		}
		if !ok {
			bad(told[f.Path])
			continue
		}
		out.warn(p, f)
		out.list = append(out.list, deviceset.Source{Type: f.Type, Path: f.Path, At: f.At, Key: file.Key, Size: file.Size, Incoming: file.ID})
	}
	return out, nil
}

// warn tells of what is accepted although it may be a mistake.
func (d *deviceSources) warn(p throng.Platform, f DeviceSource) {
	if slices.ContainsFunc(d.list, func(o deviceset.Source) bool { return o.Path == f.Path && o.Type == f.Type }) {
		d.warnings = append(d.warnings, fmt.Sprintf("%s: is listed twice as %s", f.At, f.Type))
	}
	family, _, ok := device.FamilyOf(f.Type)
	if !ok {
		return
	}
	apple := family == device.IDFA || family == device.IDFV
	switch {
	case p == throng.IOS && !apple:
		d.warnings = append(d.warnings, fmt.Sprintf("%s: %s names Android devices, and the platform is iOS", f.At, f.Type))
	case p == throng.Android && apple:
		d.warnings = append(d.warnings, fmt.Sprintf("%s: %s names iOS devices, and the platform is Android", f.At, f.Type))
	}
}

// checkDeviceList finds what is wrong with a request beside its files.
func checkDeviceList(d DeviceList) (problems []throng.Detail) {
	bad := func(path, format string, args ...any) {
		problems = append(problems, throng.Detail{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	told := len(d.Problems) > 0
	switch n := utf8.RuneCountInString(d.Name); {
	case strings.TrimSpace(d.Name) == "" && !told:
		bad("name", "is required")
	case n > throng.MaxName:
		bad("name", "has %d characters, more than the %d allowed", n, throng.MaxName)
	case !utf8.ValidString(d.Name) || strings.ContainsRune(d.Name, 0):
		bad("name", "must be UTF-8 without NUL characters")
	}
	known := d.Platform == throng.Android || d.Platform == throng.IOS || d.Platform == throng.Mixed
	if !known && (d.Platform != 0 || !told) {
		bad("platform", "must be Android, iOS or mixed")
	}
	if len(d.Files) == 0 && !told {
		bad("files", "must list at least one file")
	}
	return problems
}

// remove ends what is being done for an audience and deletes its row, within a
// transaction. Conflict while a running build or an offer uses it.
func (s *Service) remove(ctx context.Context, tx *sqldb.Tx, row sqldb.Audience) error {
	used, err := tx.UsedByRunning(ctx, sqldb.UseAudience, row.ID)
	if err != nil {
		return err
	}
	if used {
		return throng.Errorf(throng.Conflict, "audience %d is used by a running build", row.ID)
	}
	offers, err := tx.TargetedAudiences(ctx, row.ID)
	if err != nil {
		return err
	}
	if len(offers) > 0 {
		return throng.Errorf(throng.Conflict, "audience %d is used by an offer", row.ID)
	}
	switch {
	case row.Status != sqldb.StatusRunning:
	case row.Kind == string(throng.Device):
		_, err = s.cfg.Jobs.CancelTx(ctx, tx, jobDevices, strconv.FormatInt(row.ID, 10))
	default:
		err = s.cancel(ctx, tx, row)
	}
	if err != nil {
		return err
	}
	if err := s.removeInsight(ctx, tx, row); err != nil {
		return err
	}
	now := s.now()
	return tx.UpdateAudience(ctx, row.ID, sqldb.AudienceUpdate{DeletedAt: &now})
}

// dropFiles removes the files of a deleted audience. What stays behind is found
// by Sweep.
func (s *Service) dropFiles(ctx context.Context, id int64) {
	s.sets.Change(id)("", s.cfg.Now())
	cleanup := context.WithoutCancel(ctx)
	if err := errors.Join(s.deleteFiles(cleanup, record.AudiencePrefix(id), ""), s.deleteFiles(cleanup, record.InsightPrefix(id), "")); err != nil {
		s.cfg.Logger.ErrorContext(ctx, "delete files", "audience", id, "err", err)
	}
}

// deviceView is a device audience as its caller sees it, without the lines that
// were refused.
func (s *Service) deviceView(row sqldb.Audience) (*throng.DeviceAudience, error) {
	d, err := record.Read(row)
	if err != nil {
		return nil, err
	}
	a := &throng.DeviceAudience{
		ID: row.ID, Name: row.Name, Platform: throng.Platform(row.Platform), Status: throng.Status(row.Status),
		CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt, NextUpdateAt: s.nextUpdate(row, s.now()), Warnings: row.Warnings,
	}
	if err := unmarshalAll(pair{row.Error, &a.Failure}); err != nil {
		return nil, fmt.Errorf("read audience %d: %w", row.ID, err)
	}
	if d.Devices == nil {
		return a, nil
	}
	a.Counts, a.Files = d.Devices.Counts, d.Devices.Lists
	add := func(t identifier.Type) {
		if !slices.Contains(a.Types, t) {
			a.Types = append(a.Types, t)
		}
	}
	for _, f := range a.Files {
		add(f.Type)
	}
	if len(a.Files) == 0 {
		for _, f := range d.Devices.Sources {
			add(f.Type)
		}
	}
	return a, nil
}
