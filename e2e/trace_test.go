package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// tracedSpan is a span as a collector gets it, in JSON.
type tracedSpan struct {
	TraceID, SpanID, ParentSpanID, Name string
	Attributes                          []struct {
		Key   string
		Value map[string]any
	}
}

func (s tracedSpan) attribute(key string) any {
	for _, a := range s.Attributes {
		if a.Key == key {
			for _, v := range a.Value {
				return v
			}
		}
	}
	return nil
}

// collector takes traces over OTLP/HTTP.
type collector struct {
	url string

	mu    sync.Mutex
	spans []tracedSpan
	text  strings.Builder
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		var got struct {
			ResourceSpans []struct {
				ScopeSpans []struct{ Spans []tracedSpan }
			}
		}
		if err == nil {
			err = json.Unmarshal(text, &got)
		}
		if err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("collector: %s %s: %v", r.Method, r.URL.Path, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.text.Write(text)
		for _, resource := range got.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				c.spans = append(c.spans, scope.Spans...)
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "{}")
	}))
	t.Cleanup(s.Close)
	c.url = s.URL
	return c
}

// of gives the spans of a trace; ids are compared without case, since the
// exporter of JSON writes capitals.
func (c *collector) of(trace string) []tracedSpan {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(c.spans), func(s tracedSpan) bool { return !strings.EqualFold(s.TraceID, trace) })
}

// logLine is a line of the log, in JSON.
type logLine struct {
	Level, Msg, Request, Trace, Kind, Route, Method, Outcome string
	Job, Audience, Callback, Caller, Status                  int64
}

func logLines(t *testing.T, p *process) []logLine {
	t.Helper()
	var all []logLine
	for line := range strings.Lines(p.log.String()) {
		var l logLine
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("log line %q: %v", line, err)
		}
		all = append(all, l)
	}
	return all
}

// TestTrace follows one trace from the POST of an audience over its build to
// the callback, through the collector, the log and the receiver, and makes sure
// that nothing of it tells what must not be told.
func TestTrace(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the whole population")
	}
	const trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	spans := newCollector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
	data := newData(t)
	server := start(t, data, "--allow-private-callbacks", "--log-level", "debug", "--otlp-endpoint", spans.url)
	_, token := addCaller(t, server, data, "traced", allGrants()...)
	url, messages := receiver(t, http.StatusOK)
	url += "/hook?planted=planted-in-url"
	made := exchange(t, server, token, http.MethodPost, "/platform/v0/audiences?planted=planted-in-query", "application/json",
		strings.Replace(definition(`"callback_url":"`+url+`"`), `"name":"x"`, `"name":"planted-in-name"`, 1), "Traceparent", "00-"+trace+"-"+parent+"-01")
	audience := int64(atoi(t, value(t, made, "response.id")))
	called := await(t, messages)
	eventually(t, server, token, "/platform/v0/callbacks?limit=1", "response.data.0.status", "delivered")

	byName := map[string]tracedSpan{}
	within(t, 10*time.Second, "the whole trace", func() bool {
		for _, s := range spans.of(trace) {
			byName[s.Name] = s
		}
		_, ok := byName["job callback"]
		return ok && byName["job build"].Name != ""
	})
	request, build, callback := byName["POST /platform/v0/audiences"], byName["job build"], byName["job callback"]
	for _, link := range []struct{ what, got, want string }{
		{"request", request.ParentSpanID, parent},
		{"build", build.ParentSpanID, request.SpanID},
		{"files", byName["build files"].ParentSpanID, build.SpanID},
		{"select", byName["engine select"].ParentSpanID, build.SpanID},
		{"callback", callback.ParentSpanID, build.SpanID},
	} {
		if link.want == "" || !strings.EqualFold(link.got, link.want) {
			t.Errorf("parent of the %s span = %q, want %q", link.what, link.got, link.want)
		}
	}
	if want := "00-" + trace + "-" + strings.ToLower(callback.SpanID) + "-01"; called.header.Get("Traceparent") != want {
		t.Errorf("callback has traceparent %q, want %q", called.header.Get("Traceparent"), want)
	}
	if got := build.attribute("throng.job.of"); got != value(t, made, "response.id") {
		t.Errorf("the build's span is of %v, want the audience %d", got, audience)
	}
	checkTraceLines(t, server, made.header.Get("X-Request-Id"), trace, audience)
	server.stop(t)
	for what, text := range map[string]string{"traces": spans.text.String(), "log": server.log.String()} {
		for _, secret := range []string{token, "planted", "whsec_"} {
			if strings.Contains(text, secret) {
				t.Errorf("the %s hold %q", what, secret)
			}
		}
	}
}

// checkTraceLines looks at the lines of a request and of what it set off.
func checkTraceLines(t *testing.T, server *process, request, trace string, audience int64) {
	t.Helper()
	found := map[string]int{}
	for _, l := range logLines(t, server) {
		switch {
		case l.Msg == "request" && l.Request == request:
			found["request"]++
			if l.Trace != trace || l.Status != http.StatusOK || l.Caller != 1 || l.Method != http.MethodPost || l.Route != "/platform/v0/audiences" || l.Level != "INFO" {
				t.Errorf("line of the request: %+v", l)
			}
		case (l.Msg == "job started" || l.Msg == "job ended") && l.Kind != "sweep": // which nobody asked for
			found[l.Msg+" "+l.Kind]++
			if l.Trace != trace || l.Job == 0 || l.Kind == "build" && l.Audience != audience || l.Kind == "callback" && l.Callback == 0 {
				t.Errorf("line of a job: %+v", l)
			}
			if l.Msg == "job ended" && l.Outcome != "done" {
				t.Errorf("a job ended %s: %+v", l.Outcome, l)
			}
		}
	}
	for _, what := range []string{"request", "job started build", "job ended build", "job started callback", "job ended callback"} {
		if found[what] != 1 {
			t.Errorf("%d lines %q, want 1", found[what], what)
		}
	}
}

// TestTraceNowhere has traces go where nobody takes them: the server works, says
// so in its log, and ends in time.
func TestTraceNowhere(t *testing.T) {
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "500")
	data := t.TempDir()
	server := start(t, data, "--otlp-endpoint", "http://127.0.0.1:9")
	_, token := addCaller(t, server, data, "untraced")
	if got := exchange(t, server, token, http.MethodGet, "/platform/v0/credits", "", ""); got.status != http.StatusOK {
		t.Errorf("GET /credits = %d %s", got.status, got.body)
	}
	within(t, 10*time.Second, "the warning", func() bool { return strings.Contains(server.log.String(), "send traces") })
	if status := server.stop(t); status != 0 {
		t.Errorf("ended with %d, want 0", status)
	}
}

// TestObserveUsage refuses what cannot be meant.
func TestObserveUsage(t *testing.T) {
	data := t.TempDir()
	if out, err := run("serve", "--data", data, "--log-level", "loud"); err == nil || !strings.Contains(err.Error(), "log-level") {
		t.Errorf("--log-level loud = %q, %v, want a refusal", out, err)
	}
	if out, err := run("serve", "--data", data, "--otlp-endpoint", "collector:4318"); err == nil || !strings.Contains(err.Error(), "otlp-endpoint") {
		t.Errorf("--otlp-endpoint collector:4318 = %q, %v, want a refusal", out, err)
	}
}

// TestTraceReport follows a trace from the order of a report to its callback.
func TestTraceReport(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the whole population")
	}
	const trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	spans := newCollector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
	data := newData(t)
	server := start(t, data, "--allow-private-callbacks", "--log-level", "debug", "--otlp-endpoint", spans.url)
	c, token := addCaller(t, server, data, "traced", allGrants()...)
	url, messages := receiver(t, http.StatusOK)
	id := value(t, exchange(t, server, token, http.MethodPost, "/platform/v0/audiences", "application/json", definition("")), "response.id")
	audience := int64(atoi(t, id))
	waitDone(t, c, audience)
	ordered := exchange(t, server, token, http.MethodPost, "/platform/v0/audiences/"+id+"/insight", "application/json",
		`{"insight_callback_url":"`+url+`"}`, "Traceparent", "00-"+trace+"-"+parent+"-01")
	if ordered.status != http.StatusOK {
		t.Fatalf("order: %d %s", ordered.status, ordered.body)
	}
	called := await(t, messages)
	byName := map[string]tracedSpan{}
	within(t, 10*time.Second, "the whole trace", func() bool {
		for _, s := range spans.of(trace) {
			byName[s.Name] = s
		}
		_, ok := byName["job callback"]
		return ok
	})
	request, report, callback := byName["POST /platform/v0/audiences/{id}/insight"], byName["job insight"], byName["job callback"]
	for _, link := range []struct{ what, got, want string }{
		{"request", request.ParentSpanID, parent},
		{"report", report.ParentSpanID, request.SpanID},
		{"callback", callback.ParentSpanID, report.SpanID},
	} {
		if link.got == "" || !strings.EqualFold(link.got, link.want) {
			t.Errorf("%s has the parent %q, want %q", link.what, link.got, link.want)
		}
	}
	if want := "00-" + trace + "-" + strings.ToLower(callback.SpanID) + "-01"; called.header.Get("Traceparent") != want {
		t.Errorf("callback has traceparent %q, want %q", called.header.Get("Traceparent"), want)
	}
	lines := map[string]bool{}
	for _, l := range logLines(t, server) {
		if l.Trace == trace && l.Kind == "insight" && l.Audience == audience {
			lines[l.Msg] = true
		}
	}
	if !lines["job started"] || !lines["job ended"] {
		t.Errorf("the log has of the report %v, want its begin and its end, with trace and audience", lines)
	}
}
