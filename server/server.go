// Package server wires everything: it is the one place where the engine, the
// store of files and the database are chosen. The commands work through it.
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"throng"
	"throng/api/mintegral"
	"throng/api/silhouette"
	"throng/blob"
	"throng/blob/file"
	"throng/blob/s3"
	"throng/dataset"
	"throng/delivery"
	"throng/delivery/drop"
	platform "throng/delivery/mintegral"
	"throng/engine"
	"throng/engine/bitmap"
	"throng/internal/durable"
	"throng/internal/seal"
	"throng/job"
	"throng/observe"
	"throng/replica"
	"throng/service"
	"throng/sqldb"
	"throng/webhook"
)

// Server is everything opened. It serves, or lets a command work beside one
// that serves. Safe for concurrent use.
type Server struct {
	cfg     Config
	db      *sqldb.DB
	engine  engine.Engine
	blobs   store
	temp    *tempFolder
	sender  *webhook.Sender
	drop    *file.Store // nil where none is set up
	vendor  *platform.Kind
	jobs    *job.Runner
	service *service.Service
	observe *observe.Observer
	replica *replica.Engine // nil where generations are this folder's own
	peers   atomic.Int64    // servers that answer callers; 0 where that is not known

	runsJobs  atomic.Bool // from the start of the runner on
	probe     prober
	stopWatch func() // nil before the sources of metrics are open

	silhouette, mintegral http.Handler // the APIs

	mu  sync.Mutex
	url string // guarded by mu; begins every URL given out
}

// store is a store of files that is given back.
type store interface {
	blob.Store
	io.Closer
}

// The names of engine's types that the commands need.
type (
	// Report tells what a load did with every row.
	Report = engine.Report
	// Progress is how far a long operation is.
	Progress = engine.Progress
	// Generation describes a loaded dataset.
	Generation = engine.Info
)

// Open opens the data folder, the database, the index and the store of files,
// and makes what is not there yet.
func Open(ctx context.Context, cfg Config) (_ *Server, err error) {
	cfg, err = cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, url: strings.TrimRight(cfg.PublicURL, "/")}
	if s.url == "" {
		s.url = "http://" + cfg.Listen
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := durable.MkdirAll(cfg.Data); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	if err := checkRestored(cfg.Data); err != nil {
		return nil, err
	}
	key, err := s.key()
	if err != nil {
		return nil, err
	}
	s.warnOfModes(ctx)
	if err := s.openObserver(ctx); err != nil {
		return nil, err
	}
	if err := s.openDatabase(ctx, key.ID()); err != nil {
		return nil, err
	}
	if s.engine, err = bitmap.Open(s.path("index"), bitmap.Config{}); err != nil {
		return nil, err
	}
	if s.blobs, err = s.openBlobs(ctx); err != nil {
		return nil, err
	}
	if s.temp, err = openTemp(s.path("tmp")); err != nil {
		return nil, err
	}
	if err := s.share(); err != nil {
		return nil, err
	}
	s.sender = webhook.NewSender(webhook.Config{
		AllowPrivate: cfg.AllowPrivateCallbacks, Now: cfg.Now, Observe: s.observe.Callback, Trace: s.observe.Traceparent,
	})
	s.vendor = platform.New(platform.Config{AllowPrivate: cfg.AllowPrivateCallbacks, Now: cfg.Now})
	if cfg.Drop != "" {
		if s.drop, err = file.Open(cfg.Drop); err != nil {
			return nil, fmt.Errorf("open drop: %w", err)
		}
	}
	return s, s.wire(key)
}

// openDatabase opens the database, unless it was sealed with another key.
func (s *Server) openDatabase(ctx context.Context, keyID string) (err error) {
	url := s.cfg.Database
	if url == "" {
		url = s.path("throng.db")
	}
	if s.db, err = sqldb.Open(ctx, sqldb.Config{URL: url, Observe: s.observe.Transaction}); err != nil {
		return err
	}
	stands, err := s.db.InitMeta(ctx, "secret_key", keyID)
	if err == nil && stands != keyID {
		err = usage("secret-key", "the database was sealed with another key; give that one")
	}
	return err
}

// destinations are the kinds of places that audiences can be delivered to.
func (s *Server) destinations() []delivery.Kind {
	var dropped blob.Store // nil, not a nil *file.Store, where none is set up
	if s.drop != nil {
		dropped = s.drop
	}
	return []delivery.Kind{s.vendor, drop.New(dropped)}
}

// openBlobs opens the store of files, nil where it fails.
func (s *Server) openBlobs(ctx context.Context) (store, error) {
	if s.cfg.Blobs == "" {
		folder, err := file.Open(s.path("blobs"))
		if err != nil {
			return nil, err
		}
		return folder, nil
	}
	cfg, err := s.cfg.bucket()
	if err != nil {
		return nil, err
	}
	bucket, err := s3.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return bucket, nil
}

// wire makes the service of its parts.
func (s *Server) wire(key *seal.Key) error {
	owner, err := s.node()
	if err != nil {
		return err
	}
	if s.jobs, err = job.New(s.db, job.Config{
		Owner: owner, Lease: s.cfg.JobLease, Observe: s.observe.Jobs(), Logger: s.cfg.Logger, Now: s.cfg.Now,
	}); err != nil {
		return err
	}
	render := silhouette.Renderer{URL: s.publicURL}
	s.service, err = service.New(service.Config{
		DB: s.db, Engine: s.observe.Engine(s.engine), Blobs: s.observe.Blobs(s.blobs), Jobs: s.jobs, Sender: s.sender, Secrets: key,
		Destinations: s.destinations(), Render: render.Audience, RenderInsight: render.Insight, InsightMinimum: s.cfg.InsightMinimum, URL: s.publicURL, Now: s.cfg.Now, MinimumSize: s.cfg.MinimumSize,
		ExpandByAgeAndGender:  s.cfg.ExpandByAgeAndGender,
		AllowPrivateCallbacks: s.cfg.AllowPrivateCallbacks, KeepGenerations: s.cfg.KeepGenerations, DeviceLock: s.cfg.DeviceLock,
		KeepAudiences: time.Duration(s.cfg.KeepAudiences) * 24 * time.Hour, CountTimeout: s.cfg.CountTimeout,
		TempDir: s.temp.dir, Peers: s.Peers, Sweep: s.sweepStore, Repairs: s.replica != nil, Observe: s.observe.Service(), Logger: s.cfg.Logger,
	})
	if err != nil {
		return err
	}
	s.watchStores()
	s.silhouette = silhouette.New(silhouette.Config{Service: s.service, URL: s.publicURL, Logger: s.cfg.Logger})
	s.mintegral = mintegral.New(mintegral.Config{Service: s.service, Now: s.cfg.Now, Logger: s.cfg.Logger})
	return nil
}

// Close gives back what Open took. A server that serves must have ended.
func (s *Server) Close() error {
	errs := []error{s.closeObserver()}
	if s.sender != nil {
		s.sender.Close()
	}
	if s.vendor != nil {
		s.vendor.Close()
	}
	if s.drop != nil {
		errs = append(errs, s.drop.Close())
	}
	if s.engine != nil {
		errs = append(errs, s.engine.Close())
	}
	if s.blobs != nil {
		errs = append(errs, s.blobs.Close())
	}
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	if s.temp != nil {
		errs = append(errs, s.temp.close())
	}
	return errors.Join(errs...)
}

func (s *Server) path(name string) string { return filepath.Join(s.cfg.Data, name) }

func (s *Server) key() (*seal.Key, error) {
	if s.cfg.SecretKey != "" {
		return seal.ParseKey(s.cfg.SecretKey)
	}
	key, err := seal.LoadOrCreate(s.path("secret.key"))
	if err != nil {
		return nil, fmt.Errorf("open secret key: %w", err)
	}
	return key, nil
}

// node is the name under which the server of this data folder takes jobs; it
// is the same after a restart, so that what a dead server was doing can be
// told from what another server does.
func (s *Server) node() (string, error) {
	key, err := seal.LoadOrCreate(s.path("node"))
	if err != nil {
		return "", fmt.Errorf("open node name: %w", err)
	}
	return "node-" + key.ID(), nil
}

func (s *Server) publicURL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.url
}

func (s *Server) setPublicURL(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.url = url
}

func (s *Server) secure() bool { return strings.HasPrefix(s.publicURL(), "https://") }

// LoadOptions are the settings of one load.
type LoadOptions struct {
	AllowRejects float64 // share of a table's rows, 0..1
	Memory       int64   // bytes
	Progress     func(Progress)
}

// Load builds a generation from a dataset folder and makes it current; a
// server on the same data folder uses it within 2 s. Where files are kept in a
// bucket it is copied there first, and every server of the database fetches it. The
// report is there also where too many rows were rejected.
func (s *Server) Load(ctx context.Context, dir string, opt LoadOptions) (*Report, error) {
	if err := s.checkShared(ctx); err != nil {
		return nil, err
	}
	if err := checkBaselines(dir); err != nil {
		return nil, err
	}
	share := opt.AllowRejects
	if share == 0 {
		share = -1 // engine's zero is the default, not none
	}
	report, err := s.engine.Load(ctx, dir, engine.LoadOptions{AllowRejects: share, Memory: opt.Memory, Progress: opt.Progress, Now: s.cfg.Now()})
	if err != nil {
		return report, err
	}
	return report, s.service.SweepGenerations(ctx)
}

// Check reads everything of the current generation and verifies it.
func (s *Server) Check(ctx context.Context, progress func(Progress)) (Generation, error) {
	if err := s.sync(ctx); err != nil {
		return Generation{}, err
	}
	g, err := s.engine.Acquire(ctx, "")
	if errors.Is(err, engine.ErrNoGeneration) {
		return Generation{}, fmt.Errorf("%w; run: throng load SOURCE", err)
	}
	if err != nil {
		return Generation{}, err
	}
	defer g.Release()
	err = s.engine.Check(ctx, g.Info().ID, progress)
	if errors.Is(err, engine.ErrCorrupt) {
		err = fmt.Errorf("%w; run: throng load SOURCE", err)
	}
	return g.Info(), err
}

// Current describes the current generation; false where there is none.
func (s *Server) Current(ctx context.Context) (Generation, bool, error) {
	if err := s.sync(ctx); err != nil {
		return Generation{}, false, err
	}
	g, err := s.engine.Acquire(ctx, "")
	if errors.Is(err, engine.ErrNoGeneration) {
		return Generation{}, false, nil
	}
	if err != nil {
		return Generation{}, false, err
	}
	defer g.Release()
	return g.Info(), true, nil
}

// Count counts a definition, JSON as for POST /audiences, with every grant
// and the uploads and audiences of the caller of that name, or of any for "".
// It returns the preview's answer as the API gives it.
func (s *Server) Count(ctx context.Context, body []byte, caller string) ([]byte, error) {
	if err := throng.ReadJSON(body); err != nil {
		return nil, err
	}
	if err := s.sync(ctx); err != nil {
		return nil, err
	}
	preview, err := s.service.Count(ctx, caller, silhouette.DecodeDefinition(body))
	if err != nil {
		return nil, err
	}
	return silhouette.RenderPreview(preview)
}

// What is wrong with a request: its problems one by one, and its sort.
type (
	Refusal = throng.Error
	Detail  = throng.Detail
	Code    = throng.Code
)

// Invalid is the sort of what is wrong in itself.
const Invalid = throng.Invalid

// RefusalOf finds the refusal in an error.
func RefusalOf(err error) (*Refusal, bool) { return errors.AsType[*throng.Error](err) }

// IsMalformedDataset tells whether a load failed because of its dataset.json.
func IsMalformedDataset(err error) bool {
	_, ok := errors.AsType[*dataset.MetaError](err)
	return ok
}

// notReady is what may be told of the reason to everybody.
func notReady(err error) string {
	if throng.IsAway(err) {
		return throng.MessageOf(err)
	}
	if errors.Is(err, replica.ErrFetching) {
		return "the generation in use is being fetched from the store; the server's log tells how that goes"
	}
	if errors.Is(err, engine.ErrNoGeneration) || throng.CodeOf(err) == throng.Unavailable {
		return "no generation is loaded; run: throng load SOURCE"
	}
	if errors.Is(err, engine.ErrCorrupt) {
		return "a file of the index is damaged, the server's log tells which; run: throng load SOURCE"
	}
	if errors.Is(err, engine.ErrFormat) {
		return "the index was written by another version; run: throng load SOURCE"
	}
	return "not ready; the server's log tells more"
}
