package observe

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"throng/internal/logs"
	"throng/job"
)

func nothing(context.Context, job.Job) error { return nil }

// exported is what a collector gets.
type exported struct {
	ResourceSpans []struct {
		ScopeSpans []struct{ Spans []exportedSpan }
	}
}

type exportedSpan struct {
	TraceID, SpanID, ParentSpanID, Name string
	Status                              struct{ Code int }
}

// collector takes traces as JSON, at base's /v1/traces.
func collectorAt(t *testing.T) (base string, spans func() []exportedSpan) {
	t.Helper()
	var mu sync.Mutex
	var all []exportedSpan
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		var got exported
		if err == nil {
			err = json.Unmarshal(text, &got)
		}
		if err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, rs := range got.ResourceSpans {
			for _, ss := range rs.ScopeSpans {
				for _, s := range ss.Spans { // the exporter writes ids in capitals
					s.TraceID, s.SpanID, s.ParentSpanID = strings.ToLower(s.TraceID), strings.ToLower(s.SpanID), strings.ToLower(s.ParentSpanID)
					all = append(all, s)
				}
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "{}")
	}))
	t.Cleanup(s.Close)
	return s.URL, func() []exportedSpan {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}
}

// TestTrace follows a trace from a request over a job to what the job does.
func TestTrace(t *testing.T) {
	base, spans := collectorAt(t)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
	o, err := New(t.Context(), Config{OTLPEndpoint: base, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/audiences/7?token=secret", nil)
	request.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	ctx, answering := o.Begin(request)
	carried := o.Jobs().Carry(ctx)
	if line := logs.Of(ctx); len(line) != 1 || line[0].Value.String() != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("lines carry %v, want the trace", line)
	}
	answering.End(Answered{Route: "/audiences/{id}", Status: http.StatusOK})

	work, ended := o.Jobs().Start(t.Context(), job.Job{ID: 1, Kind: "build", OwnerRef: 7, Trace: carried, RunAt: time.Now(), HeartbeatAt: time.Now()})
	o.Service().Step(work, "build", "files")()
	o.tracing.start(work, "engine select")(errors.New("broken"))
	next := o.Traceparent(work)
	ended(job.AttemptDone)
	o.Service().Step(t.Context(), "build", "outside")() // of no trace: no span
	if err := o.Close(t.Context()); err != nil {
		t.Fatalf("Close = %v", err)
	}

	byName := map[string]exportedSpan{}
	for _, s := range spans() {
		if s.TraceID != "0af7651916cd43dd8448eb211c80319c" {
			t.Errorf("span %s is of trace %s", s.Name, s.TraceID)
		}
		byName[s.Name] = s
	}
	parent := map[string]string{"POST /audiences/{id}": "b7ad6b7169203331"}
	parent["job build"] = byName["POST /audiences/{id}"].SpanID
	parent["build files"] = byName["job build"].SpanID
	parent["engine select"] = byName["job build"].SpanID
	if len(byName) != len(parent) {
		t.Errorf("spans %v, want %v", byName, parent)
	}
	for name, want := range parent {
		if got := byName[name].ParentSpanID; got != want || want == "" {
			t.Errorf("parent of %s = %q, want %q", name, got, want)
		}
	}
	if got := byName["engine select"].Status.Code; got != 2 {
		t.Errorf("status of a span with an error = %d, want 2", got)
	}
	if !strings.Contains(next, byName["job build"].SpanID) {
		t.Errorf("traceparent %q does not name the job's span %s", next, byName["job build"].SpanID)
	}
}

// TestTraceOff makes sure that nothing is traced unless an endpoint is known.
func TestTraceOff(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	o := newObserver(t, Config{})
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
	request.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	ctx, answering := o.Begin(request)
	answering.End(Answered{Route: "/", Status: http.StatusOK})
	if got := o.Traceparent(ctx); got != "" || len(logs.Of(ctx)) != 0 {
		t.Errorf("traceparent %q, lines %v, want none", got, logs.Of(ctx))
	}
}

// BenchmarkRequestOff is what a request costs where traces are off: its
// metrics.
func BenchmarkRequestOff(b *testing.B) { benchmarkRequest(b, Config{}) }

// BenchmarkRequestOn is what it costs with traces that nobody takes.
func BenchmarkRequestOn(b *testing.B) {
	benchmarkRequest(b, Config{OTLPEndpoint: "http://127.0.0.1:9"})
}

func benchmarkRequest(b *testing.B, cfg Config) {
	cfg.Logger = slog.New(slog.DiscardHandler)
	o, err := New(b.Context(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/", nil)
	b.ReportAllocs()
	for b.Loop() {
		_, answering := o.Begin(r)
		answering.End(Answered{Route: "/x", Status: http.StatusOK})
	}
	b.StopTimer()
	done, cancel := context.WithCancel(b.Context())
	cancel()
	_ = o.Close(done) // nobody is there to take them
}
