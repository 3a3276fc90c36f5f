package observe

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"throng/internal/logs"
	"throng/job"
)

// tracing makes spans where tracing is on, and does nothing where it is off.
type tracing struct {
	tracer   trace.Tracer // nil: off
	provider *sdktrace.TracerProvider
}

var w3c propagation.TraceContext

// newTracing is on where the endpoint of a collector is known.
func newTracing(ctx context.Context, cfg Config) (tracing, error) {
	var opts []otlptracehttp.Option
	if cfg.OTLPEndpoint != "" {
		u, err := url.Parse(cfg.OTLPEndpoint)
		if err != nil {
			return tracing{}, fmt.Errorf("trace: endpoint is no URL")
		}
		opts = append(opts, otlptracehttp.WithEndpointURL(u.JoinPath("v1/traces").String()))
	} else if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
		return tracing{}, nil
	}
	exporter, err := otlptracehttp.New(ctx, opts...)
	if err != nil {
		return tracing{}, fmt.Errorf("trace: %w", err)
	}
	about, err := resource.New(ctx,
		resource.WithAttributes(
			attribute.String("service.name", "throng"), attribute.String("service.version", cfg.Version),
			attribute.String("service.instance.id", cfg.Node),
		),
		resource.WithFromEnv(), // OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES are stronger
	)
	if err != nil {
		return tracing{}, fmt.Errorf("trace: %w", err)
	}
	provider := sdktrace.NewTracerProvider( // OTEL_TRACES_SAMPLER says what is kept, OTEL_BSP_… how it is sent
		sdktrace.WithBatcher(loggingExporter{exporter, cfg.Logger}), sdktrace.WithResource(about),
	)
	return tracing{provider: provider, tracer: provider.Tracer("throng")}, nil
}

// loggingExporter tells our own log of spans that could not be sent.
type loggingExporter struct {
	sdktrace.SpanExporter
	log *slog.Logger
}

// ExportSpans implements sdktrace.SpanExporter.
func (e loggingExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if err := e.SpanExporter.ExportSpans(ctx, spans); err != nil {
		e.log.WarnContext(ctx, "send traces", "spans", len(spans), "err", err)
	}
	return nil // it was told
}

func (t tracing) close(ctx context.Context) error {
	if t.provider == nil {
		return nil
	}
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("send traces: %w", err)
	}
	return nil
}

// startRequest begins the span of a request, as part of the trace that its
// headers name, if any. Lines that are logged in the context name the trace.
func (t tracing) startRequest(ctx context.Context, method string, header http.Header) (context.Context, func(route string, status int)) {
	if t.tracer == nil {
		return ctx, func(string, int) {}
	}
	ctx = w3c.Extract(ctx, propagation.HeaderCarrier(header))
	ctx, span := t.tracer.Start(ctx, method, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attribute.String("http.request.method", method)))
	return withTrace(ctx), func(route string, status int) {
		span.SetName(method + " " + route)
		span.SetAttributes(attribute.String("http.route", route), attribute.Int("http.response.status_code", status))
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

// startJob begins the span of an attempt at a job, as part of the trace that
// the job was added in.
func (t tracing) startJob(ctx context.Context, j job.Job) (context.Context, func(job.Outcome)) {
	if t.tracer == nil {
		return ctx, func(job.Outcome) {}
	}
	if j.Trace != "" {
		ctx = w3c.Extract(ctx, propagation.MapCarrier{"traceparent": j.Trace})
	}
	ctx, span := t.tracer.Start(ctx, "job "+j.Kind, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
		attribute.Int64("throng.job.id", j.ID), attribute.String("throng.job.kind", j.Kind),
		attribute.Int64("throng.job.of", j.OwnerRef), attribute.Int("throng.job.attempt", j.Attempts),
	))
	return withTrace(ctx), func(outcome job.Outcome) {
		span.SetAttributes(attribute.String("throng.job.outcome", string(outcome)))
		if outcome != job.AttemptDone && outcome != job.AttemptReleased {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

// start begins a span inside of another; where there is none it makes none.
func (t tracing) start(ctx context.Context, name string) (ended func(error)) {
	if t.tracer == nil || !trace.SpanContextFromContext(ctx).IsValid() {
		return func(error) {}
	}
	_, span := t.tracer.Start(ctx, name)
	return func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, "") // what the error says belongs into the log
		}
		span.End()
	}
}

// withTrace has lines that are logged name the trace that they belong to.
func withTrace(ctx context.Context) context.Context {
	if span := trace.SpanContextFromContext(ctx); span.IsSampled() {
		return logs.With(ctx, slog.String("trace", span.TraceID().String()))
	}
	return ctx
}

// Traceparent words the span of a context as W3C has it, for who goes on with
// the trace; "" where there is none.
func (o *Observer) Traceparent(ctx context.Context) string {
	if o.tracing.tracer == nil {
		return ""
	}
	carrier := propagation.MapCarrier{}
	w3c.Inject(ctx, carrier)
	return strings.TrimSpace(carrier["traceparent"])
}
