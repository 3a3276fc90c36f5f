package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"

	"throng"
	"throng/service"
)

// audiencesView is what the list shows, in the words in which it shows it.
type audiencesView struct {
	Caller, Data, Query string
	Rows                []audienceRow
	Running             bool
	Self, Next          string // URLs
}

// audienceRow is one audience.
type audienceRow struct {
	ID                  int64
	Name, Status, Step  string
	Progress, Size, URL string
	Created, CreatedISO string
	Files               []fileRow
}

type fileRow struct {
	Type, People, Rows, Bytes, SHA256 string
	URL                               string // "" where it is not the caller's to download
}

// audienceView is what the page of one audience shows.
type audienceView struct {
	Caller, Description, Data, Failure string
	Report                             string // how it stands; "" where none is asked for
	Row                                audienceRow
	Warnings                           []string
	Parameters                         []parameterRow
	MadeOf                             *madeOfView // nil where there are parameters
}

type parameterRow struct{ Operation, Criterion, JSON, Size string }

const pageSize = 50

func (p *pages) audiences(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	q := r.URL.Query()
	list, next, err := p.cfg.Service.ListAudiences(r.Context(), c, service.AudienceFilter{
		Query: q.Get("query"), Page: throng.Page{Limit: pageSize, Next: q.Get("next")},
	})
	if err != nil {
		return err
	}
	v := audiencesView{Caller: c.Name, Query: q.Get("query"), Self: r.URL.RequestURI()}
	v.Data = "Newest first."
	for _, a := range list {
		v.Rows = append(v.Rows, row(c, a))
		v.Running = v.Running || a.Status == throng.Running
	}
	if next != "" {
		q.Set("next", next)
		v.Next = "/?" + q.Encode()
	}
	if partial(r) {
		p.show(w, r, http.StatusOK, audienceTable(v))
	} else {
		p.show(w, r, http.StatusOK, audiencesPage(v))
	}
	return nil
}

func (p *pages) audience(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	id, err := audienceID(r)
	if err != nil {
		return err
	}
	a, err := p.cfg.Service.Audience(r.Context(), c, id)
	if err != nil {
		return err
	}
	v := audienceView{Caller: c.Name, Description: a.Description, Row: row(c, *a), Warnings: a.Warnings, Data: "not yet chosen"}
	if a.Generation != "" {
		v.Data = fmt.Sprintf("generation %s, as of %s", a.Generation, a.AsOf.UTC().Format("2 January 2006"))
	}
	if a.Failure != nil {
		v.Failure = a.Failure.Message
	}
	if a.Insight != nil {
		v.Report = string(a.Insight.Status)
	}
	v.MadeOf = madeOf(*a)
	for i, raw := range a.Parameters {
		v.Parameters = append(v.Parameters, parameter(*a, i, raw))
	}
	if partial(r) {
		p.show(w, r, http.StatusOK, audienceBody(v))
	} else {
		p.show(w, r, http.StatusOK, audiencePage(v))
	}
	return nil
}

func (p *pages) file(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	id, err := audienceID(r)
	if err != nil {
		return err
	}
	format := service.Format(r.URL.Query().Get("format"))
	if format == "" {
		format = service.Text
	}
	f, err := p.cfg.Service.OpenOutput(r.Context(), c, id, chi.URLParam(r, "type"), format)
	if err != nil {
		return err
	}
	defer f.Close()
	w.Header().Set("Content-Type", f.ContentType)
	w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", f.Name))
	http.ServeContent(w, r, "", f.ModTime, f)
	return nil
}

// partial tells whether a page asks for its own newer half.
func partial(r *http.Request) bool { return r.Header.Get("HX-Request") == "true" }

func audienceID(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(chi.URLParam(r, "id"), 10, 64)
	if err != nil {
		return 0, throng.Errorf(throng.NotFound, "there is no such audience")
	}
	return id, nil
}

func row(c *throng.Caller, a throng.Audience) audienceRow {
	v := audienceRow{
		ID: a.ID, Name: a.Name, Status: string(a.Status), Step: a.Step,
		Progress: strconv.FormatFloat(a.Progress, 'f', 3, 64), Size: size(a.Size),
		URL:     fmt.Sprintf("/audiences/%d", a.ID),
		Created: a.CreatedAt.UTC().Format("2 Jan 2006 15:04 MST"), CreatedISO: a.CreatedAt.UTC().Format(time.RFC3339),
	}
	if a.SizeHidden != "" {
		v.Size = a.SizeHidden
	}
	for _, o := range a.Outputs {
		v.Files = append(v.Files, file(c, a.ID, o))
	}
	return v
}

func file(c *throng.Caller, id int64, o throng.Output) fileRow {
	f := fileRow{Type: string(o.Type), People: group(o.People), Rows: group(o.Rows), Bytes: bytesText(o.Bytes), SHA256: o.SHA256}
	if c.MayDownload(o.Type) {
		f.URL = fmt.Sprintf("/audiences/%d/files/%s", id, url.PathEscape(string(o.Type)))
	}
	return f
}

func parameter(a throng.Audience, i int, raw json.RawMessage) parameterRow {
	v := parameterRow{JSON: string(raw)}
	var pretty bytes.Buffer
	if json.Indent(&pretty, raw, "", "  ") == nil {
		v.JSON = pretty.String()
	}
	params, _, _ := throng.ParseParameters(json.RawMessage("[" + string(raw) + "]"))
	if len(params) == 1 && params[0].Criterion != nil {
		v.Operation, v.Criterion = string(params[0].Operation), string(params[0].Criterion.Kind())
	}
	if i < len(a.ParameterSizes) {
		v.Size = size(a.ParameterSizes[i])
	}
	return v
}

func size(n *uint64) string {
	if n == nil {
		return "–"
	}
	return group(*n)
}

// group writes a number with thin spaces between its thousands.
func group(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u2009" + s[i:]
	}
	return s
}

func bytesText(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d bytes", n)
}
