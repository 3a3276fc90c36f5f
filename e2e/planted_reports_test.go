package e2e

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// reports has reports made, on an audience of a list and on one that resembles
// another, whose names and addresses hold what must not be told, and keeps
// everything that tells of them: files, pages and comparisons. The name is its
// owner's, who is told it; nobody else is.
func (p *plant) reports(t *testing.T) {
	t.Helper()
	const base = "/platform/v0/audiences/"
	name := p.mail()
	address := strings.Replace(p.away, "http://", "http://"+p.mail()[:12]+"planted:planted@", 1) + "/gone?to=" + p.mail()
	made := p.send(t, http.MethodPost, "/platform/v0/audiences", strings.Replace(
		definition(fmt.Sprintf(`"generate_insights_automatically":true,"insight_callback_url":%q,"outputs":["ss_id"]`, address)), `"x"`, `"`+name+`"`, 1))
	first := value(t, made, "response.id")
	eventually(t, p.process, p.owner.Token, base+first+"/insight", "response.status", "done")
	made = p.send(t, http.MethodPost, base+first+"/expand", fmt.Sprintf(
		`{"expansion_factor":2,"expansion_name":%q,"generate_insights_automatically":true,"insight_callback_url":%q}`, name, address))
	second := value(t, made, "response.id")
	eventually(t, p.process, p.owner.Token, base+second+"/insight", "response.status", "done")

	// What may be told: the owner's names, cut short in a picture, also those of
	// other audiences that can be chosen, and what the dataset says of itself.
	number, _, _ := strings.Cut(name, ".")
	own := regexp.MustCompile(regexp.QuoteMeta(number) + `\.planted[^<"]*|<option value="audience:[^<]*</option>|What the published API examples name is planted`)
	told := func(what string, text []byte) {
		t.Helper()
		if len(text) < 100 {
			t.Errorf("%s has %d bytes: %s", what, len(text), text)
		}
		p.note(what, own.ReplaceAllString(string(text), ""))
	}
	pages := newBrowser(t, p.URL)
	pages.want("/login", url.Values{"token": {p.owner.Token}}, http.StatusOK)
	for _, id := range []string{first, second} {
		told("audience", p.send(t, http.MethodGet, base+id, "").body)
		told("report", p.send(t, http.MethodGet, base+id+"/insight?limit=1000", "").body)
		told("report in csv", p.send(t, http.MethodGet, base+id+"/insight?format=csv&limit=1000", "").body)
		told("report in xlsx", unzipped(t, p.send(t, http.MethodGet, base+id+"/insight?format=xlsx&limit=1000", "").body))
		told("page of the report", pages.want("/audiences/"+id+"/report", nil, http.StatusOK).body)
		link := value(t, p.send(t, http.MethodGet, base+id+"/insight/public-link", ""), "response.public_link")
		token := link[strings.LastIndexByte(link, '/')+1:]
		p.secrets = append(p.secrets, token)
		public := p.send(t, http.MethodGet, "/public/"+token, "").body
		if bytes.Contains(public, []byte("<option")) || bytes.Contains(public, []byte("/audiences/")) {
			t.Errorf("the public page lets its reader choose, or leads to pages of the owner:\n%.2000s", public)
		}
		told("public page", public)
		p.send(t, http.MethodGet, "/public/"+strings.ToUpper(token), "")
		p.send(t, http.MethodPost, base+id+"/insight/public-link", `{"baseline":"usa"}`)
		p.send(t, http.MethodGet, "/public/"+token, "") // replaced
	}
	told("comparison", p.send(t, http.MethodGet, base+"compare?limit=1000&ids="+first+","+second, "").body)
	told("page of the comparison", pages.want("/compare?ids="+first+"&ids="+second, nil, http.StatusOK).body)
	p.send(t, http.MethodPost, base+first+"/insight/clusters/1", fmt.Sprintf(`{"callback_url":%q}`, address))
}

// unzipped gives all that is in the files of an archive.
func unzipped(t *testing.T, text []byte) []byte {
	t.Helper()
	archive, err := zip.NewReader(bytes.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, f := range archive.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		more, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Close() // it was read to its end
		all = append(append(all, f.Name...), more...)
	}
	return all
}
