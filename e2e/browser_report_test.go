package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"throng/client"
)

// reported is what these tests read of a report.
type reported struct {
	Status     string `json:"status"`
	Size       uint64 `json:"size"`
	Dimensions map[string][]struct {
		ID    string   `json:"id"`
		Name  string   `json:"name"`
		Count uint64   `json:"count"`
		Share float64  `json:"share"`
		Index *float64 `json:"index"`
	} `json:"dimensions"`
}

// reportOf orders a report and waits for it.
func reportOf(t *testing.T, p *process, token string, id int64) reported {
	t.Helper()
	path := fmt.Sprintf("/platform/v0/audiences/%d/insight", id)
	if got := exchange(t, p, token, http.MethodPost, path, "application/json", "{}"); got.status != http.StatusOK {
		t.Fatalf("POST %s = %d %s", path, got.status, got.body)
	}
	eventually(t, p, token, path, "response.status", "done")
	got := exchange(t, p, token, http.MethodGet, path+"?order=count&limit=1000", "", "")
	var answer struct{ Response reported }
	if err := json.Unmarshal(got.body, &answer); err != nil {
		t.Fatalf("read report: %v", err)
	}
	return answer.Response
}

// TestBrowserReport looks at the report of an audience: by its owner, and by
// whoever has the public link.
func TestBrowserReport(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the whole population")
	}
	b := newTab(t)
	data := newData(t)
	server := start(t, data)
	mine, token := addCaller(t, server, data, "reporter", allGrants()...)
	id, err := mine.CreateAudience(t.Context(), []byte(strings.Replace(definition(""), `"x"`, `"Fans of <soccer>"`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	waitDone(t, mine, id)
	want := reportOf(t, server, token, id)

	path := fmt.Sprintf("/platform/v0/audiences/%d/insight/public-link", id)
	first := value(t, exchange(t, server, token, http.MethodPost, path, "application/json", `{"expire_at":"2099-01-01"}`), "response.public_link")
	b.look("light", 1100, 1700, false)
	b.open(first)
	checkReport(t, b, want)
	b.accessible("public report, light")
	b.shoot("report-light.png")
	b.look("dark", 1100, 1700, false)
	b.do(chromedp.Reload())
	b.accessible("public report, dark")
	b.shoot("report-dark.png")
	checkTelephone(t, b)
	checkPrint(t, b)
	checkKeyboard(t, b)
	b.quiet(server.URL)

	second := value(t, exchange(t, server, token, http.MethodPost, path, "application/json", `{}`), "response.public_link")
	if first == second {
		t.Error("the new link is the old one")
	}
	if got := pageStatus(t, first); got != http.StatusNotFound {
		t.Errorf("the replaced link answers %d, want 404", got)
	}
	if got := pageStatus(t, second); got != http.StatusOK {
		t.Errorf("the new link answers %d, want 200", got)
	}
	b.open(first)
	if text := strings.Join(b.texts("main"), " "); !strings.Contains(text, "does not work") || strings.Contains(text, "Fans of") {
		t.Errorf("the replaced link shows %q", text)
	}
	checkOwnReport(t, b, server, token, mine, id, want)
}

// checkReport compares a page with the API's answer.
func checkReport(t *testing.T, b *tab, want reported) {
	t.Helper()
	if got := b.texts("h1"); len(got) != 1 || got[0] != "Fans of <soccer>" {
		t.Errorf("heading = %q", got)
	}
	if got := digitsOf(strings.Join(b.texts("#size"), "")); got != strconv.FormatUint(want.Size, 10) {
		t.Errorf("size on the page = %s, want %d", got, want.Size)
	}
	if n := len(b.texts(".findings li")); n < 3 {
		t.Errorf("%d findings, want at least 3", n)
	}
	if bars := eval[int](b, `document.querySelectorAll("#report svg.index rect[width], #report svg.share rect[width]").length`); bars < 50 {
		t.Errorf("%d bars are drawn, want at least 50", bars)
	}
	checked := 0
	for name, terms := range want.Dimensions {
		rows := eval[map[string][]string](b, fmt.Sprintf(`Object.fromEntries([...document.querySelectorAll("section[aria-labelledby=dimension-%s] tbody tr")].map(
			r => [r.dataset.term, [...r.querySelectorAll("th, td.number")].map(c => c.textContent.trim())]))`, name))
		if len(terms) > 0 && len(rows) == 0 {
			t.Errorf("%s is not on the page", name)
		}
		for _, term := range terms {
			cells, ok := rows[term.ID]
			if !ok {
				continue
			}
			checked++
			if cells[0] != term.Name {
				t.Errorf("%s %s is called %q, want %q", name, term.ID, cells[0], term.Name)
			}
			if len(cells) == 6 { // name, index, interval, people, here, baseline
				if got := digitsOf(cells[3]); got != strconv.FormatUint(term.Count, 10) {
					t.Errorf("%s %s: %s people, want %d", name, term.ID, cells[3], term.Count)
				}
				if term.Index != nil && cells[1] != fmt.Sprintf("%.0f", *term.Index) {
					t.Errorf("%s %s: index %s, want %.1f", name, term.ID, cells[1], *term.Index)
				}
			}
			delete(rows, term.ID)
		}
		for id := range rows {
			t.Errorf("%s %s is on the page and not in the API's answer: it may be below the minimum", name, id)
		}
	}
	if checked < 50 {
		t.Errorf("%d terms of the page were compared, want at least 50", checked)
	}
}

// digitsOf drops what groups the digits of a number.
func digitsOf(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}

// checkTelephone has a page on a small screen: nothing may be wider than it.
func checkTelephone(t *testing.T, b *tab) {
	t.Helper()
	b.look("light", 390, 844, true)
	b.do(chromedp.Reload())
	if over := eval[int](b, `document.documentElement.scrollWidth - window.innerWidth`); over > 0 {
		t.Errorf("on a telephone the page is %d pixels too wide", over)
	}
	b.accessible("public report, telephone")
	b.shoot("report-telephone.png")
	b.look("light", 1100, 1700, false)
	b.do(chromedp.Reload())
}

func checkPrint(t *testing.T, b *tab) {
	t.Helper()
	pdf, err := chromedp.Run(b.ctx, chromedp.PrintToPDF(chromedp.PDFPaper(chromedp.PaperA4), chromedp.PDFPrintBackground()))
	if err != nil || len(pdf) < 20_000 {
		t.Errorf("print: %d bytes, %v", len(pdf), err)
	}
}

// checkKeyboard goes through a page by the tabulator alone.
func checkKeyboard(t *testing.T, b *tab) {
	t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](`document.activeElement && document.activeElement.blur()`))
	b.do(chromedp.KeyEvent("\t"))
	if first := eval[string](b, `document.activeElement.textContent`); first != "To the report" {
		t.Errorf("the first tab stop is %q, want the link to the report", first)
	}
	if !eval[bool](b, `(r => r.left >= 0 && r.top >= 0 && r.width > 0)(document.activeElement.getBoundingClientRect())`) {
		t.Error("the focused link is not to be seen")
	}
}

// pageStatus is how an address answers one who has nothing but it.
func pageStatus(t *testing.T, address string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// checkOwnReport looks at the same report, and at a comparison, as their owner.
func checkOwnReport(t *testing.T, b *tab, server *process, token string, mine *client.Client, id int64, want reported) {
	t.Helper()
	other, err := mine.CreateAudience(t.Context(), []byte(strings.Replace(crashDefinition, `"crash"`, `"Women who <code>"`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	waitDone(t, mine, other)
	b.login(server.URL, token)
	b.open(fmt.Sprintf("%s/audiences/%d/report", server.URL, id))
	checkReport(t, b, want)
	b.accessible("own report")
	b.do(chromedp.SetValue(chromedp.CSS(`select[name=baseline]`), fmt.Sprintf("audience:%d", other)),
		chromedp.Click(chromedp.CSS(`form.controls button`)),
		chromedp.WaitReady(chromedp.CSS(fmt.Sprintf(`option[value="audience:%d"][selected]`, other))))

	b.open(fmt.Sprintf("%s/compare?ids=%d&ids=%d", server.URL, id, other))
	got := exchange(t, server, token, http.MethodGet, fmt.Sprintf("/platform/v0/audiences/compare?ids=%d,%d", id, other), "", "")
	both := value(t, got, "response.intersections.2.size")
	cells := b.texts(fmt.Sprintf(`#intersections tr[data-ids="%d,%d"] td`, id, other))
	if len(cells) != 2 || digitsOf(cells[0]) != both {
		t.Errorf("in both = %q on the page, %s by the API", cells, both)
	}
	if n := eval[int](b, `document.querySelectorAll("svg.upset circle:not(.off)").length`); n < 3 {
		t.Errorf("%d dots in the chart, want at least 3", n)
	}
	b.accessible("comparison")
	b.shoot("compare-light.png")

	like, err := mine.Expand(t.Context(), id, client.Expanding{Factor: 2})
	if err != nil {
		t.Fatal(err)
	}
	waitDone(t, mine, like)
	b.open(fmt.Sprintf("%s/audiences/%d", server.URL, like))
	if n := len(b.texts("#made-of tbody tr")); n < 5 {
		t.Errorf("%d terms tell what the expansion was made of, want at least 5", n)
	}
	b.accessible("expanded audience")
	b.shoot("expanded-light.png")
}

// TestPublicLinkExpires has a link end with its day.
func TestPublicLinkExpires(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the whole population")
	}
	data := newData(t)
	server := start(t, data)
	mine, token := addCaller(t, server, data, "expiry", allGrants()...)
	id, err := mine.CreateAudience(t.Context(), []byte(definition("")))
	if err != nil {
		t.Fatal(err)
	}
	waitDone(t, mine, id)
	reportOf(t, server, token, id)
	path := fmt.Sprintf("/platform/v0/audiences/%d/insight/public-link", id)
	today := time.Now().UTC()
	if untilMidnight := today.Truncate(24 * time.Hour).Add(24 * time.Hour).Sub(today); untilMidnight < time.Minute {
		t.Skip("the day is about to end")
	}
	link := value(t, exchange(t, server, token, http.MethodPost, path, "application/json",
		fmt.Sprintf(`{"expire_at":%q}`, today.Format(time.DateOnly))), "response.public_link")
	if got := pageStatus(t, link); got != http.StatusOK {
		t.Errorf("on its last day the link answers %d, want 200", got)
	}
	got := exchange(t, server, token, http.MethodPost, path, "application/json",
		fmt.Sprintf(`{"expire_at":%q}`, today.AddDate(0, 0, -1).Format(time.DateOnly)))
	if got.status != http.StatusBadRequest {
		t.Errorf("a link that has expired already = %d %s, want 400", got.status, got.body)
	}
	if got := pageStatus(t, link); got != http.StatusOK {
		t.Errorf("after a refused replacement the link answers %d, want 200", got)
	}
}
