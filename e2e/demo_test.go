package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestDemo reads what the demo prints, and follows it.
func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the whole population")
	}
	out := &lockedBuffer{}
	ctx := context.WithoutCancel(t.Context()) // which ends before the test's cleanup, which is what ends the process
	cmd := exec.CommandContext(ctx, binary, "demo", "--log-format", "json", "--data", newData(t), "--listen", "127.0.0.1:0")
	cmd.Stdout = out
	p, _, err := launchCommand(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	for deadline := time.Now().Add(3 * time.Minute); !strings.Contains(out.String(), "Serving until interrupted."); {
		select {
		case <-p.done:
			t.Fatalf("the demo ended: %v\n%s", p.err, p.log.String())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("the demo is not ready after three minutes:\n%s", out.String())
		}
	}
	text := out.String()
	for _, want := range []string{
		`(?m)^01-affinities +1 +done +2310 `,
		`(?m)^20-everything +20 +done +50 `,
		`(?m)^people like audience 1 +21 +done +4620 `,
		`(?m)^a group in audience 1 +22 +done +\d{3,4} `,
	} {
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("the demo does not print %s:\n%s", want, text)
		}
	}
	printed := func(pattern string) string {
		t.Helper()
		found := regexp.MustCompile(pattern).FindStringSubmatch(text)
		if found == nil {
			t.Fatalf("the demo does not print %s:\n%s", pattern, text)
		}
		return found[1]
	}
	p.URL = printed(`(?m)^Page: +(http://\S+)/ `)
	token, report := printed(`(?m)^Token: +(\S+)$`), printed(`(?m)^Report: (\S+) `)
	for _, line := range regexp.MustCompile(`(?m)^ +curl .*$`).FindAllString(text, -1) {
		path, body := strings.TrimPrefix(regexp.MustCompile(`http://\S+`).FindString(line), p.URL), ""
		method, kind := http.MethodGet, ""
		if _, after, ok := strings.Cut(line, " -d '"); ok {
			method, kind, body = http.MethodPost, "application/json", strings.TrimSuffix(after, "'")
		}
		if got := exchange(t, p, token, method, path, kind, body); got.status != http.StatusOK || len(got.body) == 0 {
			t.Errorf("%s answers %d with %d bytes", line, got.status, len(got.body))
		}
	}
	if got := pageStatus(t, report); got != http.StatusOK {
		t.Errorf("the report answers %d, want 200", got)
	}
	checkExamples(t, p, token)
	checkMadeOf(t, newBrowser(t, p.URL), token)
	if status := p.stop(t); status != 0 {
		t.Errorf("the demo ends with status %d, want 0", status)
	}
}

// checkExamples sends every example of the documentation as it stands.
func checkExamples(t *testing.T, p *process, token string) {
	t.Helper()
	doc, err := document()
	if err != nil {
		t.Fatal(err)
	}
	examples := doc.Paths.Value("/audiences").Post.RequestBody.Value.Content["application/json"].Examples
	if len(examples) < 20 {
		t.Errorf("the document has %d examples of audiences, want the 20 of the vendor", len(examples))
	}
	for name, example := range examples {
		body, err := json.Marshal(example.Value.Value)
		if err != nil {
			t.Fatal(err)
		}
		got := exchange(t, p, token, http.MethodPost, "/platform/v0/audiences", "application/json", string(body))
		if got.status != http.StatusOK {
			t.Errorf("the example %s answers %d: %s", name, got.status, got.body)
		}
	}
}

// checkMadeOf looks at the pages of the demo's audiences that have no
// definition, and at that of the one they were made of.
func checkMadeOf(t *testing.T, b *browser, token string) {
	t.Helper()
	const parameters, madeOf = "<h2>Parameters</h2>", "What it was made of"
	b.want("/login", url.Values{"token": {token}}, http.StatusOK, "Demo: affinities")
	for path, texts := range map[string][]string{
		"/audiences/21": {"People who resemble", `href="/audiences/1"`, "times 2", "AUC ", "Weight"},
		"/audiences/22": {"A group within", `href="/audiences/1"`, "<dd>1: "},
	} {
		if got := b.want(path, nil, http.StatusOK, append(texts, madeOf)...); bytes.Contains(got.body, []byte(parameters)) {
			t.Errorf("%s shows parameters of an audience that has none", path)
		}
	}
	if got := b.want("/audiences/1", nil, http.StatusOK, parameters); bytes.Contains(got.body, []byte(madeOf)) {
		t.Error("/audiences/1 says what an audience with a definition was made of")
	}
}
