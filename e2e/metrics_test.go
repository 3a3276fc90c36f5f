package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"gopkg.in/yaml.v3"
)

// scrape gives the metrics of a server: the values by series, and the text.
func scrape(t testing.TB, url string) (map[string]float64, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatalf("scrape: %v", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("scrape = %d %s, %v", response.StatusCode, text, err)
	}
	series := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && !strings.HasPrefix(line, "#") {
			if at := strings.LastIndex(line, "} "); at > 0 { // labels may hold spaces
				name, value = line[:at+1], strings.TrimSpace(line[at+2:])
			}
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatalf("scrape: %q: %v", line, err)
			}
			series[name] = v
		}
	}
	return series, string(text)
}

// families are the names of the metrics of a text, as Prometheus types them.
func families(text string) map[string]bool {
	found := map[string]bool{}
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, _, _ := strings.Cut(rest, " ")
			found[name] = true
		}
	}
	return found
}

// TestMetrics does one of everything and looks at what moved. What the
// documents name is there, and what is there is documented.
func TestMetrics(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the whole population")
	}
	data, drop := newData(t), t.TempDir()
	server := start(t, data, "--allow-private-callbacks", "--admin-listen", "127.0.0.1:0", "--drop", drop)
	c, token := addCaller(t, server, data, "watched", allGrants()...)
	url := server.Admin + "/metrics"
	before, _ := scrape(t, url)

	receiver, messages := receiver(t, http.StatusServiceUnavailable, http.StatusOK)
	made := exchange(t, server, token, http.MethodPost, "/platform/v0/audiences", "application/json", definition(`"callback_url":"`+receiver+`"`))
	id := value(t, made, "response.id")
	a := waitDone(t, c, int64(atoi(t, id)))
	await(t, messages)
	await(t, messages)
	eventually(t, server, token, "/platform/v0/callbacks?limit=1", "response.data.0.status", "delivered")
	lines := download(t, c, int64(atoi(t, id)), "md5", "text")
	upload, err := c.Upload(t.Context(), "md5", "", strings.NewReader(string(lines)+"no sum\n"))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		exchange(t, server, token, http.MethodPost, "/platform/v0/audiences/preview", "application/json", definition(""))
	}
	exchange(t, server, "wrong", http.MethodGet, "/platform/v0/credits", "", "")
	exchange(t, server, token, http.MethodGet, "/platform/v0/audiences/999999", "", "")
	throng(t, "deliver", id, "--to", "drop", "--name", "metrics", "--ma-id-as", "gaid", "--data", data, "--drop", drop)

	var after map[string]float64
	var text string
	within(t, 10*time.Second, "the sum of the files", func() bool { // which are listed in the background
		after, text = scrape(t, url)
		return after[`throng_stored_bytes{of="audiences"}`] > float64(a.Outputs[0].Bytes)
	})
	for series, least := range map[string]float64{
		`throng_job_attempts_total{kind="build",outcome="done"}`:                                                          1,
		`throng_job_attempts_total{kind="callback",outcome="done"}`:                                                       1,
		`throng_job_attempts_total{kind="callback",outcome="retried"}`:                                                    1,
		`throng_job_attempts_total{kind="delivery",outcome="done"}`:                                                       1,
		`throng_job_attempt_seconds_count{kind="build"}`:                                                                  1,
		`throng_job_wait_seconds_count{kind="build"}`:                                                                     1,
		`throng_step_seconds_count{kind="build",step="members"}`:                                                          1,
		`throng_step_seconds_count{kind="build",step="files"}`:                                                            1,
		`throng_callback_attempt_seconds_count{outcome="delivered"}`:                                                      1,
		`throng_callback_attempt_seconds_count{outcome="failed"}`:                                                         1,
		`throng_callbacks_ended_total{status="delivered"}`:                                                                1,
		`throng_engine_seconds_count{op="count"}`:                                                                         1,
		`throng_engine_seconds_count{op="select"}`:                                                                        1,
		`throng_engine_seconds_count{op="stream"}`:                                                                        1,
		`throng_engine_seconds_count{op="match"}`:                                                                         1,
		`throng_blob_bytes_total{direction="in"}`:                                                                         float64(a.Outputs[0].Bytes),
		`throng_blob_bytes_total{direction="out"}`:                                                                        float64(len(lines)),
		`throng_blob_seconds_count{op="write"}`:                                                                           float64(len(a.Outputs)),
		`throng_upload_lines_total{fate="matched"}`:                                                                       float64(upload.Matched),
		`throng_upload_lines_total{fate="invalid"}`:                                                                       1,
		`throng_database_transaction_seconds_count`:                                                                       5,
		`throng_refused_total{reason="unauthorized"}`:                                                                     1,
		`throng_refused_total{reason="not_found"}`:                                                                        1,
		`throng_http_request_seconds_count{method="POST",route="/platform/v0/audiences/preview",status="200"}`:            3,
		`throng_http_request_seconds_count{method="GET",route="/platform/v0/audiences/{id}/outputs/{type}",status="200"}`: 1,
	} {
		if got := after[series] - before[series]; got < least {
			t.Errorf("%s moved by %g, want at least %g", series, got, least)
		}
	}
	for series, want := range map[string]float64{
		`throng_generation_people`: 100_000, `throng_generation_damaged`: 0, `throng_database_up`: 1,
		`throng_generation_info{id="` + a.Generation + `"}`: 1, `throng_jobs_waiting{kind="build"}`: 0, `throng_jobs_running{kind="build"}`: 0,
		`throng_upload_lines_total{fate="unmatched"}`: float64(upload.Unmatched),
	} {
		if got, ok := after[series]; got != want || !ok {
			t.Errorf("%s = %g, want %g", series, got, want)
		}
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatalf("lint metrics: %v", err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	checkDocuments(t, families(text))
	for _, secret := range []string{token, `caller="`, receiver} {
		if strings.Contains(text, secret) {
			t.Errorf("metrics hold %q", secret)
		}
	}
}

var metricName = regexp.MustCompile(`\bthrong_[a-z_]+[a-z]\b`)

// checkDocuments holds the operator's documents to the metrics that there are.
func checkDocuments(t *testing.T, have map[string]bool) {
	t.Helper()
	suffixes := regexp.MustCompile(`_(bucket|count|sum)$`)
	for _, name := range []string{"operate.md", "operate/dashboard.json", "operate/alerts.yml"} {
		text, err := os.ReadFile("../docs/" + name)
		if err != nil {
			t.Fatal(err)
		}
		named := map[string]bool{}
		for _, metric := range metricName.FindAllString(string(text), -1) {
			if family := suffixes.ReplaceAllString(metric, ""); have[family] {
				metric = family
			}
			named[metric] = true
		}
		if len(named) == 0 {
			t.Errorf("docs/%s names no metric", name)
		}
		for metric := range named {
			if !have[metric] {
				t.Errorf("docs/%s names %s, which the server does not have", name, metric)
			}
		}
		if name != "operate.md" {
			continue
		}
		for metric := range have {
			if strings.HasPrefix(metric, "throng_") && !named[metric] {
				t.Errorf("docs/%s does not tell of %s", name, metric)
			}
		}
	}
	checkBoard(t)
	checkAlerts(t)
}

// checkBoard makes sure that every panel of the dashboard shows something.
func checkBoard(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile("../docs/operate/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatalf("docs/operate/dashboard.json: %v", err)
	}
	if len(board.Panels) == 0 {
		t.Error("docs/operate/dashboard.json has no panel")
	}
	for _, p := range board.Panels {
		if p.Title == "" || len(p.Targets) == 0 || p.Targets[0].Expr == "" {
			t.Errorf("docs/operate/dashboard.json: panel %q shows nothing", p.Title)
		}
	}
}

// checkAlerts makes sure that every rule has what Prometheus wants of one.
func checkAlerts(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile("../docs/operate/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	var rules struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&rules); err != nil {
		t.Fatalf("docs/operate/alerts.yml: %v", err)
	}
	if len(rules.Groups) == 0 {
		t.Error("docs/operate/alerts.yml has no group")
	}
	for _, group := range rules.Groups {
		for _, r := range group.Rules {
			if r.Alert == "" || !metricName.MatchString(r.Expr) || r.Labels["severity"] == "" || r.Annotations["summary"] == "" {
				t.Errorf("docs/operate/alerts.yml: rule %q is not whole", r.Alert)
			}
		}
	}
}
