package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"throng/dataset"
	"throng/engine"
	"throng/engine/bitmap/storage"
	"throng/internal/durable"
)

// report tells what became of every row.
func (l *loader) report() *engine.Report {
	r := &engine.Report{Dataset: l.source.Meta.Name, AsOf: l.env.AsOf, People: uint64(l.rows)}
	for _, name := range dataset.Names() {
		t := l.source.Tables[name]
		if t == nil {
			continue
		}
		c := l.rejects.Counts(name)
		r.Tables = append(r.Tables, engine.TableReport{
			Table: name, Files: len(t.Files), Rows: c.Rows, Loaded: c.Loaded,
			Rejected: c.Rejected, Skipped: c.Skipped, Dropped: c.Dropped, Ignored: t.Ignored(),
		})
	}
	for _, name := range l.source.Unknown {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%s is no table and was ignored", name))
	}
	return r
}

// refuse reports a load with too many rejects. The rejected rows are listed in
// a file beside the generations until the next load.
func (l *loader) refuse(start time.Time, cause error) (*engine.Report, error) {
	r := l.report()
	path := filepath.Join(l.dir, refusedName)
	w, err := durable.Create(path)
	if err != nil {
		return r, errors.Join(cause, err)
	}
	defer w.Abort() //nolint:errcheck // nothing is left to abort after Commit
	if err := errors.Join(l.rejects.WriteCSV(w), w.Commit()); err != nil {
		return r, errors.Join(cause, err)
	}
	r.Rejects, r.Elapsed, r.Steps = path, time.Since(start), l.progress.steps()
	return r, cause
}

// commit writes what is about the load itself, and makes the generation
// current.
func (l *loader) commit(ctx context.Context, id string, start time.Time) (*engine.Report, error) {
	l.progress.begin("make current", 0)
	final := filepath.Join(l.dir, id)
	r := l.report()
	r.Generation = id
	if l.rejects.Any() {
		if err := l.writeRejects(); err != nil {
			return nil, err
		}
		r.Rejects = filepath.Join(final, storage.RejectsName)
	}
	for _, f := range l.files {
		r.Bytes += f.Size
	}
	r.Elapsed, r.Steps = time.Since(start), l.progress.steps()
	b, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return nil, err
	}
	if err := durable.WriteFile(l.built(storage.ReportName), append(b, '\n')); err != nil {
		return nil, err
	}
	if err := l.file(storage.Sum(l.tmp, storage.ReportName)); err != nil {
		return nil, err
	}
	slices.SortFunc(l.files, func(a, b storage.FileSum) int { return strings.Compare(a.Name, b.Name) })
	m := &storage.Manifest{Format: storage.ManifestFormat, Rows: l.rows, Files: l.files}
	m.Parts = (int(l.rows) + storage.PartRows - 1) / storage.PartRows
	meta := l.source.Meta
	m.Info = engine.Info{
		ID: id, Name: meta.Name, AsOf: l.env.AsOf, LoadedAt: l.opt.Now.UTC(), People: uint64(l.rows),
		Source: meta.Source, License: meta.License, PersonalityThreshold: meta.PersonalityThreshold, Bytes: r.Bytes,
	}
	if err := l.release(); err != nil {
		return nil, err
	}
	if err := errors.Join(os.RemoveAll(l.work), durable.SyncDir(l.built("parts"))); err != nil {
		return nil, err
	}
	if err := storage.WriteManifest(l.tmp, m); err != nil {
		return nil, err
	}
	if err := durable.Rename(l.tmp, final); err != nil {
		return nil, err
	}
	if l.opt.Publish != nil {
		if err := l.opt.Publish(ctx, id); err != nil {
			return nil, errors.Join(err, os.RemoveAll(final))
		}
	}
	return r, storage.WriteCurrent(l.dir, id)
}

func (l *loader) writeRejects() error {
	w, err := durable.Create(l.built(storage.RejectsName))
	if err != nil {
		return err
	}
	defer w.Abort() //nolint:errcheck // nothing is left to abort after Commit
	if err := errors.Join(l.rejects.WriteCSV(w), w.Commit()); err != nil {
		return err
	}
	return l.file(storage.Sum(l.tmp, storage.RejectsName))
}

// lastReport is the report of the current generation; nil where there is none
// that can be read.
func (l *loader) lastReport() *engine.Report {
	id, err := storage.ReadCurrent(l.dir)
	if err != nil || id == "" {
		return nil
	}
	b, err := os.ReadFile(filepath.Join(l.dir, id, storage.ReportName))
	if err != nil {
		return nil
	}
	r := &engine.Report{}
	if json.Unmarshal(b, r) != nil {
		return nil
	}
	return r
}
