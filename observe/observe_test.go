package observe

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"throng/blob"
	"throng/blob/blobtest"
	"throng/blob/file"
	"throng/engine"
	"throng/engine/bitmap"
	"throng/engine/enginetest"
	"throng/job"
	"throng/sqldb"
	"throng/webhook"
)

func newObserver(t *testing.T, cfg Config) *Observer {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	o, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatalf("New = %v", err)
	}
	t.Cleanup(func() {
		if err := o.Close(t.Context()); err != nil && t.Context().Err() == nil {
			t.Errorf("Close = %v", err)
		}
	})
	return o
}

// gather gives the metrics as Prometheus reads them.
func gather(t *testing.T, o *Observer) string {
	t.Helper()
	w := httptest.NewRecorder()
	o.Metrics().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("GET /metrics = %d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// metric gives the value of a series, 0 where it is not there.
func metric(t *testing.T, text, series string) float64 {
	t.Helper()
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatalf("%s: %v", series, err)
			}
			return v
		}
	}
	return 0
}

// An engine that is observed keeps every promise of one.
func TestEngineConformance(t *testing.T) {
	if testing.Short() {
		t.Skip("the engine itself is held to its promises where it lives")
	}
	o := newObserver(t, Config{})
	enginetest.Run(t, func(t *testing.T) engine.Engine {
		e, err := bitmap.Open(filepath.Join(t.TempDir(), "index"), bitmap.Config{})
		if err != nil {
			t.Fatal(err)
		}
		return o.Engine(e)
	})
	text := gather(t, o)
	for _, op := range []string{opAcquire, opCount, opSelect, opMatch, opStream, opBreakdown} {
		if metric(t, text, `throng_engine_seconds_count{op="`+op+`"}`) == 0 {
			t.Errorf("no %s was timed", op)
		}
	}
}

// So does a store, which is not made to promise what it cannot do.
func TestStoreConformance(t *testing.T) {
	o := newObserver(t, Config{})
	blobtest.Run(t, func(t *testing.T) blob.Store {
		s, err := file.Open(filepath.Join(t.TempDir(), "blobs"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return o.Blobs(s)
	})
}

type (
	presigning struct {
		blob.Store
		blob.Presigner
	}
	sweeping struct {
		blob.Store
		blob.Sweeper
	}
	both struct {
		blob.Store
		blob.Presigner
		blob.Sweeper
	}
)

func TestStoreKeepsWhatItCan(t *testing.T) {
	o := newObserver(t, Config{})
	for _, test := range []struct {
		store            blob.Store
		presigns, sweeps bool
	}{{struct{ blob.Store }{}, false, false}, {presigning{}, true, false}, {sweeping{}, false, true}, {both{}, true, true}} {
		got := o.Blobs(test.store)
		if _, ok := got.(blob.Presigner); ok != test.presigns {
			t.Errorf("%T observed: presigns: %t, want %t", test.store, ok, test.presigns)
		}
		if _, ok := got.(blob.Sweeper); ok != test.sweeps {
			t.Errorf("%T observed: sweeps: %t, want %t", test.store, ok, test.sweeps)
		}
	}
}

// TestBlobMetrics counts the bytes of one file, and what is and is no error.
func TestBlobMetrics(t *testing.T) {
	o := newObserver(t, Config{})
	folder, err := file.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	s := o.Blobs(folder)
	w, err := s.Create(t.Context(), "audiences/1/x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "0123456789"); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	r, err := s.Open(t.Context(), "audiences/1/x")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.ReadAll(r); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReadAt(make([]byte, 4), 3); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(t.Context(), "absent"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Open = %v, want ErrNotFound", err)
	}
	if _, err := s.Stat(t.Context(), "../x"); !errors.Is(err, blob.ErrInvalidKey) {
		t.Errorf("Stat = %v, want ErrInvalidKey", err)
	}
	text := gather(t, o)
	for series, want := range map[string]float64{
		`throng_blob_bytes_total{direction="in"}`:  10,
		`throng_blob_bytes_total{direction="out"}`: 14,
		`throng_blob_seconds_count{op="write"}`:    1,
		`throng_blob_seconds_count{op="open"}`:     2,
		`throng_blob_errors_total{op="open"}`:      0,
		`throng_blob_errors_total{op="stat"}`:      1,
	} {
		if got := metric(t, text, series); got != want {
			t.Errorf("%s = %g, want %g", series, got, want)
		}
	}
}

// TestWatch gathers what is there: the queue, the files, the database.
func TestWatch(t *testing.T) {
	o := newObserver(t, Config{Version: "v1"})
	db, err := sqldb.Open(t.Context(), sqldb.Config{Dir: t.TempDir(), Observe: o.Transaction})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	jobs, err := job.New(db, job.Config{Observe: o.Jobs(), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	if err := jobs.Register(job.Kind{Name: "build", Run: nothing}); err != nil {
		t.Fatal(err)
	}
	err = db.Tx(t.Context(), func(tx *sqldb.Tx) error {
		_, err := jobs.Enqueue(t.Context(), tx, job.Job{Kind: "build", RunAt: now.Add(-time.Minute)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	e, err := bitmap.Open(t.TempDir(), bitmap.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	folder, err := file.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	for key, size := range map[string]int{"audiences/1/a": 5, "audiences/2/b": 7, "uploads/x": 11, "strange": 13} {
		w, err := folder.Create(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	stop := o.Watch(Sources{Jobs: jobs, Engine: e, Blobs: folder, Free: func() (uint64, error) { return 99, nil }, Now: func() time.Time { return now }})
	o.Callback(webhook.Result{Status: 200, Duration: time.Second})
	o.Callback(webhook.Result{Err: "refused", Refused: true})
	for gather(t, o); metric(t, gather(t, o), `throng_stored_bytes{of="audiences"}`) == 0; { // the first look begins the listing
	}
	text := gather(t, o)
	for series, want := range map[string]float64{
		`throng_jobs_waiting{kind="build"}`:                          1,
		`throng_jobs_due{kind="build"}`:                              1,
		`throng_jobs_running{kind="build"}`:                          0,
		`throng_jobs_oldest_due_seconds{kind="build"}`:               60,
		`throng_database_up`:                                         1,
		`throng_generation_people`:                                   0,
		`throng_generation_damaged`:                                  0,
		`throng_stored_bytes{of="audiences"}`:                        12,
		`throng_stored_files{of="audiences"}`:                        2,
		`throng_stored_bytes{of="uploads"}`:                          11,
		`throng_stored_bytes{of="other"}`:                            13,
		`throng_disk_free_bytes`:                                     99,
		`throng_callback_attempt_seconds_count{outcome="delivered"}`: 1,
		`throng_callback_attempt_seconds_count{outcome="refused"}`:   1,
	} {
		if got := metric(t, text, series); got != want {
			t.Errorf("%s = %g, want %g", series, got, want)
		}
	}
	if metric(t, text, "throng_database_transaction_seconds_count") < 2 {
		t.Error("the transactions of the migration and of the job were not timed")
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatalf("lint metrics: %v", err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	stop()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if got := metric(t, gather(t, o), "throng_database_up"); got != 0 {
		t.Errorf("throng_database_up = %g of a closed database, want 0", got)
	}
}
