package e2e

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// axe is the checker of accessibility.
//
//go:embed testdata/axe/axe.min.js
var axe string

// tab is a page in a real browser.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	asked    []string // URLs that the page asked for
	problems []string // of its console
}

// newTab opens a browser; the test is skipped where there is none.
func newTab(t *testing.T) *tab {
	t.Helper()
	path := os.Getenv("THRONG_TEST_CHROMIUM")
	if path == "" {
		t.Skip("needs a browser: run it by scripts/chromium")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-dev-shm-usage", true), chromedp.WindowSize(1100, 900))...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx}
	b.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, network.Enable, network.EnableParams{})
		return err
	}))
	err := chromedp.Listen(ctx, func(event any) {
		if e, ok := event.(*network.EventRequestWillBeSent); ok {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.asked = append(b.asked, e.Request.URL)
		}
	})
	if err != nil {
		t.Fatalf("listen to browser: %v", err)
	}
	console := chromedp.Console(ctx)
	go func() {
		for m, err := range console {
			if err != nil {
				return
			}
			if m.Type == chromedp.ConsoleError || m.IsException() {
				b.mu.Lock()
				b.problems = append(b.problems, m.String())
				b.mu.Unlock()
			}
		}
	}()
	return b
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatalf("browser: %v", err)
	}
}

// open goes to a page and waits until it is loaded.
func (b *tab) open(address string) {
	b.t.Helper()
	b.do(chromedp.Navigate(address))
}

// eval evaluates an expression in the page.
func eval[T any](b *tab, expression string, opts ...chromedp.EvaluateOption) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, opts...))
	if err != nil {
		b.t.Fatalf("browser: %s: %v", cutText(expression, 120), err)
	}
	return v
}

// texts gives the texts of all elements that a selector finds.
func (b *tab) texts(selector string) []string {
	b.t.Helper()
	return eval[[]string](b, fmt.Sprintf(`[...document.querySelectorAll(%q)].map(e => e.textContent.trim())`, selector))
}

// login opens the page and gives the token as a caller does.
func (b *tab) login(base, token string) {
	b.t.Helper()
	b.open(base + "/")
	b.do(chromedp.SendKeys(chromedp.CSS(`input[name=token]`), token),
		chromedp.Click(chromedp.CSS(`button[type=submit]`)),
		chromedp.WaitVisible(chromedp.CSS(`form[action="/logout"]`)))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.problems = nil // a browser complains that the page asks for a token by a 401
}

// look sets what the browser says of its user's preferences.
func (b *tab) look(scheme string, width, height int64, mobile bool) {
	b.t.Helper()
	b.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		if _, err := cdp.Call(ctx, target, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
			Width: width, Height: height, DeviceScaleFactor: 1, Mobile: mobile,
		}); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	}))
}

// accessible fails for every serious finding of axe-core.
func (b *tab) accessible(what string) {
	b.t.Helper()
	eval[bool](b, axe+"; true")
	found := eval[string](b, `axe.run(document, {resultTypes: ["violations"]}).then(r => JSON.stringify(r.violations.map(
		v => ({id: v.id, impact: v.impact, help: v.help, nodes: v.nodes.map(n => n.html.slice(0, 200) + " " + (n.failureSummary || "").slice(0, 300)).slice(0, 3)}))))`,
		chromedp.EvalAwaitPromise)
	var violations []struct {
		ID, Impact, Help string
		Nodes            []string
	}
	if err := json.Unmarshal([]byte(found), &violations); err != nil {
		b.t.Fatalf("read findings: %v", err)
	}
	for _, v := range violations {
		if v.Impact == "serious" || v.Impact == "critical" {
			b.t.Errorf("%s: %s (%s): %s\n%s", what, v.Help, v.ID, v.Impact, strings.Join(v.Nodes, "\n"))
		} else {
			b.t.Logf("%s: %s (%s): %s", what, v.Help, v.ID, v.Impact)
		}
	}
}

// quiet fails where the page asked another host for anything, or complained.
func (b *tab) quiet(base string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	want, err := url.Parse(base)
	if err != nil {
		b.t.Fatal(err)
	}
	if len(b.asked) == 0 {
		b.t.Error("no request of the page was seen, not even its own")
	}
	for _, a := range b.asked {
		if u, err := url.Parse(a); err != nil || u.Host != want.Host && u.Scheme != "data" {
			b.t.Errorf("the page asked for %s", a)
		}
	}
	for _, p := range b.problems {
		b.t.Errorf("the page's console: %s", p)
	}
}

// shoot takes a picture of what is to be seen. THRONG_TEST_SCREENSHOTS=DIR keeps
// it under that name; those of docs are made so.
func (b *tab) shoot(name string) {
	b.t.Helper()
	picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatalf("screenshot: %v", err)
	}
	if len(picture) < 5000 {
		b.t.Errorf("screenshot %s has %d bytes: the page is empty", name, len(picture))
	}
	if dir := os.Getenv("THRONG_TEST_SCREENSHOTS"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name), picture, 0o644); err != nil {
			b.t.Fatal(err)
		}
	}
}

func cutText(s string, n int) string {
	if len(s) > n {
		return s[:n] + "…"
	}
	return s
}

// TestBrowserPages looks at the pages that every caller sees, in a browser.
func TestBrowserPages(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the whole population")
	}
	b := newTab(t)
	data := newData(t)
	server := start(t, data)
	mine, token := addCaller(t, server, data, "browser", allGrants()...)
	id, err := mine.CreateAudience(t.Context(), []byte(definition("")))
	if err != nil {
		t.Fatal(err)
	}
	waitDone(t, mine, id)
	b.open(server.URL)
	b.accessible("login")
	b.login(server.URL, token)
	for _, scheme := range []string{"light", "dark"} {
		b.look(scheme, 1100, 900, false)
		b.do(chromedp.Reload()) // colours do not change at once
		b.accessible("audiences, " + scheme)
	}
	b.do(chromedp.Click(chromedp.CSS(fmt.Sprintf(`a[href="/audiences/%d"]`, id))), chromedp.WaitVisible(chromedp.CSS(`#audience`)))
	b.accessible("audience")
	if got := b.texts("#audience h1"); len(got) != 1 {
		t.Errorf("headings = %q, want one", got)
	}
	b.quiet(server.URL)
}
