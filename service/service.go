// Package service is what the product does, one method per verb. It is the
// only place that checks permissions and spends credits. It knows contracts,
// not choices: which engine, which store, which database, and who calls, is
// decided by package server. How things are done that take no permission is in the
// packages below it.
package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"throng"
	"throng/blob"
	"throng/delivery"
	"throng/engine"
	"throng/insight"
	"throng/internal/cache"
	"throng/internal/durable"
	"throng/internal/keylock"
	"throng/internal/limit"
	"throng/internal/seal"
	"throng/job"
	"throng/service/deviceset"
	"throng/service/export"
	"throng/service/reportstore"
	"throng/service/rowstore"
	"throng/sqldb"
	"throng/webhook"
)

// Config wires a Service. DB, Jobs, Engine, Blobs and Secrets are required.
type Config struct {
	DB *sqldb.DB
	// Jobs takes the builds and callbacks. It must not have been started.
	Jobs   *job.Runner
	Engine engine.Engine
	Blobs  blob.Store
	// Secrets seals what must be read again.
	Secrets *seal.Key
	// Sender delivers callbacks. Required where jobs are run.
	Sender *webhook.Sender
	// Render gives the body of a callback: what the API answers to a question
	// for the audience, envelope and all. Required where jobs are run.
	Render func(throng.Audience) ([]byte, error)
	// RenderInsight gives the body of the callback of a report, as Render does
	// of an audience. Required where reports are made that have one.
	RenderInsight func(*Insight) ([]byte, error)
	// Destinations are the kinds of places that audiences can be delivered to.
	Destinations []delivery.Kind
	// DeliveryRetry is how long a delivery waits after so many failures in a
	// row. Defaults to the schedule of callbacks, webhook.Schedule.
	DeliveryRetry func(failures int) time.Duration
	// URL gives what begins the addresses to which files are sent. Defaults to
	// none, so that they begin with their path.
	URL func() string
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
	// MinimumSize hides the sizes of what is smaller and makes no files of
	// it. In people; 0 hides nothing.
	MinimumSize uint64
	// InsightMinimum is the number of members below which no term is listed in a
	// report. Defaults to insight.DefaultMinimum; 1 lists them all.
	InsightMinimum uint64
	// ExpandByAgeAndGender lets age and gender weigh in expansions.
	ExpandByAgeAndGender bool
	// AllowPrivateCallbacks leaves out the warning on literal private
	// addresses.
	AllowPrivateCallbacks bool
	// KeepGenerations is how many of the last generations stay, used or not.
	// Defaults to 2.
	KeepGenerations int
	// KeepAudiences is for how long audiences stay after their end, and uploads
	// after the last audience that used them. 0 is for ever.
	KeepAudiences time.Duration
	// DeviceLock is for how long the files of a device audience stay as they
	// are after they were given. Defaults to 12 hours; -1 is none.
	DeviceLock time.Duration
	// UploadLimit is the greatest file that a caller may send, in bytes as sent.
	// Defaults to 5 GiB.
	UploadLimit int64
	// SortMemory is how many bytes of one upload are sorted in memory before
	// a temporary file takes them. Defaults to 12 MiB, with which an upload takes
	// less than 64 MiB in all; more is no faster.
	SortMemory int
	// RowCacheBytes is how much of the rows of uploads and audiences is kept in
	// memory between requests. Defaults to 64 MiB.
	RowCacheBytes int64
	// TempDir holds these files. Defaults to os.TempDir().
	TempDir string
	// BuildWorkers is how many builds run at once in this process, and how many
	// lists of devices are read. Defaults to 2.
	BuildWorkers int
	// CountTimeout bounds a preview, and a look-up, its time in the queue
	// included. Defaults to 30 s; -1 is no bound.
	CountTimeout time.Duration
	// Peers tells how many servers answer callers now, who share limits of
	// requests a second. Defaults to one.
	Peers func() int
	// Observe is told what is done. Defaults to nobody.
	Observe Observer
	// Sweep removes what was written before the instant and belongs to nothing that
	// the service knows of. Defaults to nothing.
	Sweep func(ctx context.Context, before time.Time) error
	// Repairs says that a damaged index is made whole by itself, so that a build
	// which met the damage is tried again.
	Repairs bool
	// Logger takes what nobody is answered. Defaults to slog.Default().
	Logger *slog.Logger
}

func (c Config) withDefaults() (Config, error) {
	switch {
	case c.DB == nil, c.Jobs == nil, c.Engine == nil, c.Blobs == nil, c.Secrets == nil:
		return c, errors.New("service: DB, Jobs, Engine, Blobs and Secrets are required")
	case c.KeepGenerations < 0:
		return c, fmt.Errorf("service: keep %d generations: want at least 1", c.KeepGenerations)
	}
	if c.URL == nil {
		c.URL = func() string { return "" }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.KeepGenerations == 0 {
		c.KeepGenerations = 2
	}
	if c.InsightMinimum == 0 {
		c.InsightMinimum = insight.DefaultMinimum
	}
	if c.UploadLimit == 0 {
		c.UploadLimit = 5 << 30
	}
	if c.DeviceLock == 0 {
		c.DeviceLock = 12 * time.Hour
	}
	if c.SortMemory == 0 {
		c.SortMemory = 12 << 20
	}
	if c.RowCacheBytes == 0 {
		c.RowCacheBytes = 64 << 20
	}
	if c.DeliveryRetry == nil {
		c.DeliveryRetry = retryDelivery
	}
	if c.BuildWorkers == 0 {
		c.BuildWorkers = 2
	}
	if c.CountTimeout == 0 {
		c.CountTimeout = 30 * time.Second
	}
	if c.Peers == nil {
		c.Peers = func() int { return 1 }
	}
	c.Observe = c.Observe.withDefaults()
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c, nil
}

// Service does what the product does. It is safe for concurrent use; several
// processes may serve one database, one store and one engine folder.
type Service struct {
	cfg   Config
	db    *sqldb.DB
	files keylock.Lock // that were sent straight to the store, by slot
	rows  *rowstore.Store
	sets  *deviceset.Sets // of device audiences

	rates  *limit.Rates
	counts turns // previews
	reads  turns // uploads that are read

	reports *reportstore.Store
	forms   *export.Maker // of files of identifiers

	owners *cache.Recent[string, keyOwner] // by access key
	nobody string                          // the sealed secret of an access key that nobody has
	offers *cache.Recent[offerKey, *throng.Offer]
}

// New makes a Service of its parts. It owns none of them. With Render and
// Sender it tells Jobs how to run builds and callbacks; they are run once that
// is started.
func New(cfg Config) (*Service, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if cfg.TempDir != "" {
		if err := durable.MkdirAll(cfg.TempDir); err != nil {
			return nil, fmt.Errorf("make folder for temporary files: %w", err)
		}
	}
	s := &Service{
		cfg: cfg, db: cfg.DB, sets: deviceset.New(cfg.Blobs, cfg.TempDir), rows: rowstore.New(cfg.Blobs, cfg.RowCacheBytes, cfg.Logger), reports: reportstore.New(cfg.Blobs, reportstore.Bytes), forms: export.NewMaker(cfg.Blobs),
		rates: limit.NewRates(cfg.Now), counts: newCounts(), reads: newReads(),
		owners: cache.NewRecent[string, keyOwner](cfg.Now), nobody: cfg.Secrets.Seal(seal.NewSecret(), apiKeyBinding("")),
		offers: cache.NewRecent[offerKey, *throng.Offer](cfg.Now),
	}
	if cfg.Render == nil || cfg.Sender == nil {
		return s, nil
	}
	return s, s.register()
}

// now is the clock in UTC, as precise as the database keeps it.
func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }
