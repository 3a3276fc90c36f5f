package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"throng"
	"throng/bench/population"
	"throng/blob/file"
	"throng/client"
	"throng/engine"
	"throng/engine/bitmap"
	"throng/engine/bitmap/storage"
	"throng/internal/durable"
	"throng/internal/seal"
	"throng/job"
	"throng/query"
	"throng/reference"
	"throng/server"
	"throng/service"
	"throng/sqldb"
)

// The names in the folder of a run.
const (
	dataName  = "data"   // the tables
	indexName = "throng" // the data folder of a server
	aboutName = "population.json"
	caller    = "bench"
)

// about says which population a folder holds.
type about struct {
	Layout    int    `json:"layout"`
	People    int    `json:"people"`
	Seed      uint64 `json:"seed"`
	Clustered bool   `json:"clustered"`
	Rows      int64  `json:"rows"`
}

// layout is what the tables depend on beside the population's own settings.
const layout = 1

// stack is the product, opened as a server opens it, and beside it as an
// engine of one core and one of all, on the same index.
type stack struct {
	dir     string
	people  *population.Population
	rows    int64 // of all tables
	server  *server.Server
	stop    func() error // ends the server's Serve
	client  *client.Client
	url     string
	token   string
	upload  string // key of the uploaded file
	country []string

	db    *sqldb.DB
	blobs *file.Store
	jobs  *job.Runner
	key   *seal.Key
	files *storage.Files

	// one evaluates on one core, all on as many as there are. Neither keeps
	// answers.
	one, all *side
}

// side is an engine, and the service on it.
type side struct {
	engine     *bitmap.Engine
	generation engine.Generation
	service    *service.Service
}

// writePopulation makes the tables unless they are there. A folder that holds
// other ones is an error.
func (s *stack) writePopulation(ctx context.Context, workers int, tell func(string)) error {
	path := filepath.Join(s.dir, aboutName)
	want := about{Layout: layout, People: s.people.People, Seed: s.people.Seed, Clustered: s.people.Clustered}
	text, err := os.ReadFile(path)
	if err == nil {
		var have about
		if err := json.Unmarshal(text, &have); err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		if s.rows, have.Rows = have.Rows, 0; have != want {
			return usage("dir", "%s holds another population than the one asked for; name another folder, or remove it", s.dir)
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// What is left of a run that did not come to its end is of no use.
	if err := os.RemoveAll(s.dataDir()); err != nil {
		return err
	}
	tell(fmt.Sprintf("writing %d people", s.people.People))
	if want.Rows, err = s.people.Write(ctx, s.dataDir(), workers, nil); err != nil {
		return err
	}
	s.rows = want.Rows
	if text, err = json.Marshal(want); err != nil {
		return err
	}
	return durable.WriteFile(path, append(text, '\n'))
}

// openServer opens the server, which answers on a port of its own choice.
func (s *stack) openServer(ctx context.Context) error {
	var err error
	s.server, err = server.Open(ctx, server.Config{
		Data: filepath.Join(s.dir, indexName), Listen: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler),
	})
	return err
}

// loaded tells whether the index is there and of this version.
func (s *stack) loaded(ctx context.Context) bool {
	info, ok, err := s.server.Current(ctx)
	return err == nil && ok && info.People == uint64(s.people.People)
}

// serve starts the server.
func (s *stack) serve(ctx context.Context) error {
	token, err := s.server.DemoCaller(ctx, caller)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended, ready := make(chan error, 1), make(chan string, 1)
	go func() { ended <- s.server.Serve(ctx, func(url string) { ready <- url }) }()
	s.stop = func() error { cancel(); return <-ended }
	select {
	case url := <-ready:
		s.client, s.url, s.token = client.New(url, token), url, token
	case err := <-ended:
		ended <- nil
		return errors.Join(errors.New("server ended"), err)
	}
	return nil
}

// sendUpload uploads the file that the query excludes.
func (s *stack) sendUpload(ctx context.Context) error {
	f, err := os.Open(filepath.Join(s.dataDir(), "_"+population.UploadName))
	if err != nil {
		return err
	}
	defer f.Close()
	u, err := s.client.Upload(ctx, "md5", population.UploadName, f)
	if err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	if u.Matched != u.Rows {
		return fmt.Errorf("upload: %d of %d lines matched, want all", u.Matched, u.Rows)
	}
	s.upload = u.Key
	return nil
}

// openSides opens the two engines, and what services need, as the server has
// it.
func (s *stack) openSides(ctx context.Context) (err error) {
	folder := filepath.Join(s.dir, indexName)
	if s.db, err = sqldb.Open(ctx, sqldb.Config{Dir: folder}); err != nil {
		return err
	}
	if s.blobs, err = file.Open(filepath.Join(folder, "blobs")); err != nil {
		return err
	}
	if s.jobs, err = job.New(s.db, job.Config{Logger: slog.New(slog.DiscardHandler)}); err != nil {
		return err
	}
	if s.key, err = seal.LoadOrCreate(filepath.Join(folder, "secret.key")); err != nil {
		return err
	}
	if s.one, err = s.openSide(ctx, forgetting(1)); err != nil {
		return err
	}
	if s.all, err = s.openSide(ctx, forgetting(0)); err != nil {
		return err
	}
	places := reference.BuiltIn()
	for _, code := range []string{"FR", "DE"} {
		id, ok := places.Resolve(reference.Country, code)
		if !ok {
			return fmt.Errorf("country %s is not built in", code)
		}
		s.country = append(s.country, id)
	}
	s.files, err = storage.OpenGeneration(s.generationDir())
	return err
}

// dataDir is the folder of the tables.
func (s *stack) dataDir() string { return filepath.Join(s.dir, dataName) }

// generationDir is the folder of the generation's files.
func (s *stack) generationDir() string {
	return filepath.Join(s.dir, indexName, "index", s.one.generation.Info().ID)
}

// forgetting is an engine that keeps no answers; 0 workers are as many as there
// are cores.
func forgetting(workers int) bitmap.Config { return bitmap.Config{Workers: workers, Forget: true} }

// keeping is an engine as servers have it.
func keeping() bitmap.Config { return bitmap.Config{} }

func (s *stack) openSide(ctx context.Context, cfg bitmap.Config) (_ *side, err error) {
	d := &side{}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	if d.engine, err = bitmap.Open(filepath.Join(s.dir, indexName, "index"), cfg); err != nil {
		return nil, err
	}
	if d.generation, err = d.engine.Acquire(ctx, ""); err != nil {
		return nil, err
	}
	d.service, err = service.New(service.Config{
		DB: s.db, Engine: d.engine, Blobs: s.blobs, Jobs: s.jobs, Secrets: s.key,
		Logger: slog.New(slog.DiscardHandler), TempDir: filepath.Join(s.dir, indexName, "tmp"),
	})
	return d, err
}

func (d *side) close() error {
	if d == nil {
		return nil
	}
	if d.generation != nil {
		d.generation.Release()
	}
	if d.engine != nil {
		return d.engine.Close()
	}
	return nil
}

// compile reads parameters as they come over HTTP and compiles them for the
// side's generation. Warnings, as of an account that nobody follows, would be
// mistakes here, except in populations of very few.
func (d *side) compile(ctx context.Context, raw json.RawMessage) (query.Definition, error) {
	q, warnings, err := d.compileAny(ctx, raw)
	if err == nil && len(warnings) > 0 && d.generation.Info().People >= 1_000_000 {
		err = fmt.Errorf("compile parameters: %s", strings.Join(warnings, "; "))
	}
	return q, err
}

// compileAny is compile that leaves warnings to the caller.
func (d *side) compileAny(ctx context.Context, raw json.RawMessage) (query.Definition, []string, error) {
	params, problems, ignored := throng.ParseParameters(raw)
	if len(problems) > 0 {
		return query.Definition{}, nil, fmt.Errorf("parse parameters: %v", problems)
	}
	q, warnings, err := d.service.Compile(ctx, d.generation, caller, params)
	if err != nil {
		return query.Definition{}, nil, fmt.Errorf("compile parameters: %w", err)
	}
	return q, append(ignored, warnings...), nil
}

// close gives back everything; the error is the first that matters.
func (s *stack) close() error {
	var errs []error
	if s.stop != nil {
		errs = append(errs, s.stop())
	}
	errs = append(errs, s.one.close(), s.all.close())
	if s.files != nil {
		errs = append(errs, s.files.Close())
	}
	if s.blobs != nil {
		errs = append(errs, s.blobs.Close())
	}
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	if s.server != nil {
		errs = append(errs, s.server.Close())
	}
	return errors.Join(errs...)
}
