package e2e

import (
	"encoding/base64"
	varint "encoding/binary" // the name of the tested program is taken
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// settleReports gives the owner a report with a link that works, and links that
// do not.
func (h *household) settleReports(t *testing.T, b *belongings) {
	t.Helper()
	mine := func(method, path, body string) exchanged {
		t.Helper()
		got := exchange(t, h.process, h.owner.Token, method, "/platform/v0"+path, "application/json", body)
		if got.status != http.StatusOK {
			t.Fatalf("%s %s = %d %s", method, path, got.status, got.body)
		}
		return got
	}
	token := func(method, id string) string {
		t.Helper()
		link := value(t, mine(method, "/audiences/"+id+"/insight/public-link", ""), "response.public_link")
		return link[strings.LastIndexByte(link, '/')+1:]
	}
	reported := func() (id string) {
		t.Helper()
		id = value(t, mine(http.MethodPost, "/audiences", strings.Replace(definition(`"outputs":["ss_id"]`), `"x"`, `"`+ownName+`"`, 1)), "response.id")
		mine(http.MethodPost, "/audiences/"+id+"/insight", "{}")
		eventually(t, h.process, h.owner.Token, "/platform/v0/audiences/"+id+"/insight", "response.status", "done")
		return id
	}
	first := b.audiences[0]
	mine(http.MethodPost, "/audiences/"+first+"/insight", "{}")
	eventually(t, h.process, h.owner.Token, "/platform/v0/audiences/"+first+"/insight", "response.status", "done")
	b.links = map[string]string{"replaced": token(http.MethodGet, first)}
	works := token(http.MethodPost, first)
	h.opens(t, works)

	expired, deleted := reported(), reported()
	b.links["expired"], b.links["deleted"] = token(http.MethodGet, expired), token(http.MethodGet, deleted)
	h.opens(t, b.links["expired"])
	h.opens(t, b.links["deleted"])
	mine(http.MethodDelete, "/audiences/"+deleted, "")
	db := openRows(t, h.database, h.data)
	if _, err := db.ExecContext(t.Context(), `UPDATE public_links SET expires_at = 1 WHERE audience_id = `+expired); err != nil {
		t.Fatalf("let a link expire: %v", err)
	}

	raw, err := base64.RawURLEncoding.DecodeString(works)
	if err != nil {
		t.Fatal(err)
	}
	_, n := varint.Uvarint(raw)
	of := func(id string) string {
		return base64.RawURLEncoding.EncodeToString(append(varint.AppendUvarint(nil, uint64(atoi(t, id))), raw[n:]...))
	}
	b.links["of another audience"], b.links["of one without a report"] = of(expired), of(b.audiences[1])
	b.links["of nobody's audience"] = of("123456789")
	for i := range raw {
		altered := append([]byte(nil), raw...)
		altered[i] ^= 1
		b.links["altered at "+strconv.Itoa(i)] = base64.RawURLEncoding.EncodeToString(altered)
	}
	b.links["too short"], b.links["too long"], b.links["in capitals"] = works[:len(works)-1], works+"A", strings.ToUpper(works)
	b.links["no token"], b.links["number"], b.links["padded"] = "x", first, works+"="
}

// opens makes sure that a link works for whoever has it, so that others that are
// made of it are refused for what is wrong with them.
func (h *household) opens(t *testing.T, token string) {
	t.Helper()
	got := exchange(t, h.process, "", http.MethodGet, "/public/"+token, "", "")
	if got.status != http.StatusOK || !strings.Contains(string(got.body), ownName) && !strings.Contains(string(got.body), strings.ReplaceAll(ownName, "'", "&#39;")) {
		t.Fatalf("the link's page = %d, want the report\n%.2000s", got.status, got.body)
	}
	for name, want := range map[string]string{"Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex", "Cache-Control": "no-store"} {
		if v := got.header[http.CanonicalHeaderKey(name)]; len(v) != 1 || v[0] != want {
			t.Errorf("the link's page has %s %q, want %q", name, v, want)
		}
	}
}

// reportAttempts names the owner's audiences where reports and comparisons are
// asked for, in queries and bodies, and on pages; and tries links.
func reportAttempts(b *belongings) (all []attempt) {
	const api = "/platform/v0/audiences/"
	add := func(a attempt, want ...string) {
		a.want = want
		all = append(all, a)
	}
	for _, id := range b.audiences {
		for _, ids := range []string{"1," + id, id + ",1", id + "," + b.audiences[0], "1,2," + id} {
			for _, who := range strangers {
				add(attempt{who: who, method: http.MethodGet, path: api + "compare?ids=" + ids}, "400", "404")
				add(attempt{who: who, method: http.MethodGet, path: "/compare?ids=" + ids, page: true}, "400", "404")
			}
			add(attempt{who: "gone", method: http.MethodGet, path: "/compare?ids=" + ids, page: true}, "401")
			add(attempt{method: http.MethodGet, path: api + "compare?ids=" + ids}, "401")
		}
		baseline := "audience:" + id
		for _, query := range []string{"?baseline=" + baseline, "?format=csv&baseline=" + baseline, "?format=xlsx&baseline=" + baseline} {
			add(attempt{who: "other", method: http.MethodGet, path: api + "1/insight" + query}, "400")
		}
		add(attempt{who: "other", method: http.MethodGet, path: api + "compare?ids=1,2&baseline=" + baseline}, "400")
		add(attempt{who: "other", method: http.MethodPost, path: api + "1/insight/public-link", body: `{"baseline":"` + baseline + `"}`}, "400")
		for _, page := range []string{"/report?baseline=", "/report/csv?baseline=", "/report/xlsx?baseline="} {
			add(attempt{who: "other", method: http.MethodGet, path: "/audiences/1" + page + baseline, page: true}, "400")
		}
		for _, page := range []string{"/report", "/report/csv", "/report/xlsx", "/report/x", "/report?baseline=usa"} {
			for _, who := range strangers {
				add(attempt{who: who, method: http.MethodGet, path: "/audiences/" + id + page, page: true}, "404")
			}
			add(attempt{who: "gone", method: http.MethodGet, path: "/audiences/" + id + page, page: true}, "401")
		}
		for _, who := range strangers {
			add(attempt{who: who, method: http.MethodPost, path: "/audiences/" + id + "/report", page: true}, "404")
			add(attempt{who: who, method: http.MethodGet, path: "/audiences/" + id + "/report", header: "HX-Request: true", page: true}, "404")
		}
		add(attempt{who: "gone", method: http.MethodPost, path: "/audiences/" + id + "/report", page: true}, "401")
	}
	for _, token := range sortedKeys(b.links) {
		path := "/public/" + b.links[token]
		add(attempt{method: http.MethodGet, path: path}, "404")
		add(attempt{who: "other", method: http.MethodGet, path: path, page: true}, "404")
		add(attempt{method: http.MethodGet, path: path + "/csv"}, "404")
	}
	return all
}
