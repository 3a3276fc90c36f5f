// Package observe makes what the other packages do visible: metrics for
// Prometheus, traces for OpenTelemetry, and lines of the log that name what they
// belong to. It is the one place that knows how; the others offer observers
// (job.Observer, service.Observer) or interfaces that are decorated here.
//
// Labels are of closed sets: kinds of jobs, steps, operations, routes, codes.
// No label holds an id (but the one of the current generation), a caller or
// anything that a client can choose. Spans hold ids of audiences and jobs, and
// nothing of people, no path, no query, no token.
package observe

import (
	"context"
	"log/slog"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"throng"
	"throng/internal/logs"
	"throng/job"
	"throng/service"
	"throng/sqldb"
	"throng/webhook"
)

// Config is how an [Observer] works.
type Config struct {
	// Version and Node say which program this is, and which of several.
	Version, Node string
	// OTLPEndpoint is the base URL of a collector of OpenTelemetry, to which
	// /v1/traces is added. Where it is empty the variables of OpenTelemetry say
	// where traces go (OTEL_EXPORTER_OTLP_ENDPOINT); without them there are none.
	OTLPEndpoint string
	// Logger takes the lines. Defaults to slog.Default().
	Logger *slog.Logger
}

// Observer counts, times and traces. It is safe for concurrent use.
type Observer struct {
	log      *slog.Logger
	registry *prometheus.Registry
	tracing  tracing

	requests     *prometheus.HistogramVec
	inFlight     prometheus.Gauge
	refused      *prometheus.CounterVec
	attempts     *prometheus.CounterVec
	attemptTime  *prometheus.HistogramVec
	wait         *prometheus.HistogramVec
	deaths       *prometheus.CounterVec
	steps        *prometheus.HistogramVec
	callbacks    *prometheus.HistogramVec
	ended        *prometheus.CounterVec
	lines        *prometheus.CounterVec
	engineTime   *prometheus.HistogramVec
	engineErrors *prometheus.CounterVec
	blobTime     *prometheus.HistogramVec
	blobErrors   *prometheus.CounterVec
	blobBytes    *prometheus.CounterVec
	txTime       prometheus.Histogram
	txWait       prometheus.Histogram
	txErrors     prometheus.Counter
}

// The buckets of histograms, in seconds: of what answers at once, and of work
// that may take an hour.
var (
	quick = prometheus.ExponentialBuckets(0.0005, 2, 16) // 0.5 ms to 16 s
	fine  = prometheus.ExponentialBuckets(0.00001, 4, 11)
	slow  = prometheus.ExponentialBuckets(0.005, 2.5, 16)
)

// New makes an observer. Close it, for what is not sent yet.
func New(ctx context.Context, cfg Config) (*Observer, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	o := &Observer{log: cfg.Logger, registry: prometheus.NewRegistry()}
	var err error
	if o.tracing, err = newTracing(ctx, cfg); err != nil {
		return nil, err
	}
	o.register(cfg.Version)
	return o, nil
}

// Close sends the spans that are not sent yet, for as long as ctx allows.
func (o *Observer) Close(ctx context.Context) error { return o.tracing.close(ctx) }

// Metrics answers the requests of Prometheus. Where a source does not answer,
// the others' metrics are there.
func (o *Observer) Metrics() http.Handler {
	return promhttp.HandlerFor(o.registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError,
		ErrorLog:      errorLog{o.log},
	})
}

type errorLog struct{ log *slog.Logger }

// Println implements promhttp.Logger.
func (l errorLog) Println(v ...any) { l.log.Error("gather metrics", "err", v) }

func (o *Observer) register(version string) {
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "throng_" + name, Help: help, Buckets: buckets}, labels)
		o.registry.MustRegister(h)
		return h
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "throng_" + name, Help: help}, labels)
		o.registry.MustRegister(c)
		return c
	}
	o.requests = histogram("http_request_seconds", "Time to answer a request.", quick, "method", "route", "status")
	o.inFlight = prometheus.NewGauge(prometheus.GaugeOpts{Name: "throng_http_requests_in_flight", Help: "Requests that are being answered."})
	o.refused = counter("refused_total", "Requests that were refused, by the code of the error.", "reason")
	o.attempts = counter("job_attempts_total", "Attempts at jobs that ended in this process.", "kind", "outcome")
	o.attemptTime = histogram("job_attempt_seconds", "Time that an attempt at a job took.", slow, "kind")
	o.wait = histogram("job_wait_seconds", "Time from when a job was due to when a worker began it.", slow, "kind")
	o.deaths = counter("job_deaths_total", "Jobs taken up after the process that ran them had died.", "kind")
	o.steps = histogram("step_seconds", "Time that a step of a job took.", slow, "kind", "step")
	o.callbacks = histogram("callback_attempt_seconds", "Time that an attempt to deliver a callback took.", quick, "outcome")
	o.ended = counter("callbacks_ended_total", "Callbacks that will not be tried any more.", "status")
	o.lines = counter("upload_lines_total", "Lines of uploads that were stored.", "fate")
	o.engineTime = histogram("engine_seconds", "Time of the engine's operations.", fine, "op")
	o.engineErrors = counter("engine_errors_total", "Operations of the engine that failed.", "op")
	o.blobTime = histogram("blob_seconds", "Time of operations on the store of files; of writes from the first byte to the commit.", quick, "op")
	o.blobErrors = counter("blob_errors_total", "Operations on the store of files that failed.", "op")
	o.blobBytes = counter("blob_bytes_total", "Bytes read from the store of files and written to it.", "direction")
	o.txTime = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "throng_database_transaction_seconds", Help: "Time of write transactions, without the wait for their turn.", Buckets: quick})
	o.txWait = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "throng_database_wait_seconds", Help: "Time that write transactions wait for their turn in this process.", Buckets: quick})
	o.txErrors = prometheus.NewCounter(prometheus.CounterOpts{Name: "throng_database_errors_total", Help: "Write transactions that the database failed."})
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "throng_build_info", Help: "Always 1; says what runs."}, []string{"version", "go"})
	build.WithLabelValues(version, runtime.Version()).Set(1)
	o.registry.MustRegister(
		o.inFlight, o.txTime, o.txWait, o.txErrors, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	o.beginAtZero()
}

// beginAtZero makes the counters of closed sets be there before the first
// event, so that its rate is seen, too.
func (o *Observer) beginAtZero() {
	for _, status := range []string{sqldb.CallbackDelivered, sqldb.CallbackFailed, sqldb.CallbackRefused} {
		o.ended.WithLabelValues(status)
	}
	for _, code := range []throng.Code{throng.RateLimited, throng.Unauthorized, throng.Unavailable, throng.Internal} {
		o.refused.WithLabelValues(string(code))
	}
	for _, fate := range []string{"matched", "unmatched", "duplicate", "invalid"} {
		o.lines.WithLabelValues(fate)
	}
	for _, op := range []string{opCount, opSelect, opMatch, opStream, opBreakdown, opAcquire} {
		o.engineErrors.WithLabelValues(op)
	}
	for _, op := range []string{opWrite, opOpen, opRead, opStat, opDelete, opList} {
		o.blobErrors.WithLabelValues(op)
	}
	o.blobBytes.WithLabelValues("in")
	o.blobBytes.WithLabelValues("out")
}

// Jobs gives what a runner of jobs is to be observed by: attempts are counted
// and timed, traced as part of what the job was added for, and told in the log.
func (o *Observer) Jobs() job.Observer {
	return job.Observer{
		Carry: o.Traceparent,
		Start: o.startJob,
		Died:  func(j job.Job) { o.deaths.WithLabelValues(j.Kind).Inc() },
	}
}

func (o *Observer) startJob(ctx context.Context, j job.Job) (context.Context, func(job.Outcome)) {
	start := time.Now()
	o.wait.WithLabelValues(j.Kind).Observe(max(j.HeartbeatAt.Sub(j.RunAt), 0).Seconds())
	ctx = logs.With(ctx, slog.Int64("job", j.ID), slog.String("kind", j.Kind))
	if name := subject(j.Kind); name != "" {
		ctx = logs.With(ctx, slog.Int64(name, j.OwnerRef))
	}
	ctx, span := o.tracing.startJob(ctx, j)
	o.log.DebugContext(ctx, "job started", "attempt", j.Attempts)
	return ctx, func(outcome job.Outcome) {
		took := time.Since(start)
		o.attempts.WithLabelValues(j.Kind, string(outcome)).Inc()
		o.attemptTime.WithLabelValues(j.Kind).Observe(took.Seconds())
		level := slog.LevelInfo
		if outcome == job.AttemptFailed || outcome == job.AttemptLost {
			level = slog.LevelWarn
		}
		o.log.Log(ctx, level, "job ended", "outcome", string(outcome), "attempt", j.Attempts, "ms", took.Milliseconds())
		span(outcome)
	}
}

// subject names what a job of a kind is about, as other lines of the log do; ""
// for a job that is about nothing that has a number.
func subject(kind string) string {
	switch kind {
	case "build", "devices", "insight":
		return "audience"
	case "callback", "delivery":
		return kind
	case "sweep":
		return ""
	}
	return "of"
}

// Service gives what the service is to be observed by.
func (o *Observer) Service() service.Observer {
	return service.Observer{
		Step: func(ctx context.Context, kind, step string) func() {
			start := time.Now()
			end := o.tracing.start(ctx, kind+" "+step)
			return func() {
				o.steps.WithLabelValues(kind, step).Observe(time.Since(start).Seconds())
				end(nil)
			}
		},
		CallbackEnded: func(status string) { o.ended.WithLabelValues(status).Inc() },
		UploadRead: func(u *throng.Upload) {
			o.lines.WithLabelValues("matched").Add(float64(u.Matched))
			o.lines.WithLabelValues("unmatched").Add(float64(u.Unmatched))
			o.lines.WithLabelValues("duplicate").Add(float64(u.Duplicate))
			o.lines.WithLabelValues("invalid").Add(float64(u.Invalid))
		},
	}
}

// Transaction takes how a transaction of the database went.
func (o *Observer) Transaction(t sqldb.Transaction) {
	o.txWait.Observe(t.Waited.Seconds())
	o.txTime.Observe(t.Took.Seconds())
	if t.Err != nil {
		o.txErrors.Inc()
	}
}

// Callback takes how an attempt to deliver a callback ended.
func (o *Observer) Callback(r webhook.Result) {
	outcome := "failed"
	switch {
	case r.OK():
		outcome = "delivered"
	case r.Refused:
		outcome = "refused"
	case r.Gone:
		outcome = "gone"
	case r.Aborted:
		outcome = "aborted"
	}
	o.callbacks.WithLabelValues(outcome).Observe(r.Duration.Seconds())
}
