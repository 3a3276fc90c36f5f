package mintegral

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"throng/delivery"
	"throng/webhook"
)

const (
	basePath = "/api/open/v1"
	// maxAnswer is how much of an answer is read.
	maxAnswer = 16 << 20
	// pageLimit is the length of a page of audiences, a fifth of what is allowed:
	// of each a receiver may list every file and what it found in it.
	pageLimit = 100
	// maxPages bounds how many audiences of similar names are looked through.
	maxPages = 200
)

// api speaks to one receiver as one client. It is for one goroutine at a time.
type api struct {
	client  *http.Client
	timeout time.Duration
	now     func() time.Time
	base    string // ends with basePath
	secret  delivery.Secret
}

func newAPI(k *Kind, endpoint string, s delivery.Secret) (*api, error) {
	if endpoint == "" {
		endpoint = Endpoint
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, errors.New("the address of the receiver is malformed")
	}
	base := strings.TrimSuffix(u.Scheme+"://"+u.Host+strings.TrimRight(u.Path, "/"), basePath) + basePath
	return &api{client: k.client, timeout: k.cfg.Timeout, now: k.cfg.Now, base: base, secret: s}, nil
}

// Token is what signs a request: the MD5 of the API key and of the MD5 of the
// time in Unix seconds, in lower-case hex.
func Token(apiKey string, at time.Time) string {
	return md5Hex(apiKey + md5Hex(strconv.FormatInt(at.Unix(), 10)))
}

func md5Hex(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// envelope is every answer. The vendor calls the text by both names.
type envelope struct {
	Code    int             `json:"code"`
	Message string          `json:"message"`
	Msg     string          `json:"msg"`
	Data    json.RawMessage `json:"data"`
}

// detail tells one thing that is wrong with a request.
type detail struct {
	Path    string `json:"path"`
	Message string `json:"message"`
}

// ask sends a request and reads the data of its answer into out. doing is what
// it was for, as in "make the audience".
func (a *api) ask(ctx context.Context, doing, method, path string, body, out any) error {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	req, err := a.request(ctx, method, path, body)
	if err != nil {
		return err
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return a.unreachable(ctx, doing, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return a.unreachable(ctx, doing, err)
	}
	if resp.StatusCode != http.StatusOK {
		return a.refused(doing, resp, envelope{Code: resp.StatusCode}, true)
	}
	var e envelope
	if err := json.Unmarshal(text, &e); err != nil || e.Code == 0 {
		return &delivery.Problem{Message: "the receiver could not be asked to " + doing +
			": its answer is not one of this API; see whether the endpoint is right", Final: true}
	}
	if e.Code != http.StatusOK {
		return a.refused(doing, resp, e, false)
	}
	if err := json.Unmarshal(e.Data, out); err != nil {
		return &delivery.Problem{Message: "the receiver was asked to " + doing + ", but its answer lacks what is documented", Final: true}
	}
	return nil
}

func (a *api) request(ctx context.Context, method, path string, body any) (*http.Request, error) {
	var r io.Reader = http.NoBody
	if body != nil {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(body); err != nil {
			return nil, fmt.Errorf("word request: %w", err)
		}
		r = &b
	}
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, r)
	if err != nil {
		return nil, errors.New("the address of the receiver is malformed")
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	now := a.now()
	req.Header.Set("User-Agent", "throng")
	req.Header.Set("access-key", a.secret.AccessKey)
	req.Header.Set("timestamp", strconv.FormatInt(now.Unix(), 10))
	req.Header.Set("token", Token(a.secret.APIKey, now))
	return req, nil
}

// remoteAudience is an audience as the receiver lists it. Next and Files are
// throng's own: the vendor does not tell.
type remoteAudience struct {
	ID         int64           `json:"ta_id"`
	Platform   int             `json:"platform"`
	Name       string          `json:"ta_name"`
	DeviceType string          `json:"device_type"` // "2,8,9"
	Updated    int64           `json:"utime"`       // Unix seconds
	Next       json.RawMessage `json:"next_update_at"`
	Files      []wireFile      `json:"files"`
}

// tells tells whether the receiver says itself from when it takes new files.
func (r remoteAudience) tells() bool { return !r.next().IsZero() }

// next reads seconds or a text; zero where there is neither.
func (r remoteAudience) next() time.Time {
	var seconds int64
	if json.Unmarshal(r.Next, &seconds) == nil && seconds > 0 {
		return time.Unix(seconds, 0)
	}
	var at time.Time
	if json.Unmarshal(r.Next, &at) == nil {
		return at
	}
	return time.Time{}
}

// lockedUntil is from when the audience takes new files.
func (r remoteAudience) lockedUntil() time.Time {
	if r.tells() {
		return r.next()
	}
	return time.Unix(r.Updated, 0).Add(lockTime)
}

// list asks for one page of audiences.
func (a *api) list(ctx context.Context, q url.Values) (all []remoteAudience, err error) {
	var out struct {
		List []remoteAudience `json:"list"`
	}
	err = a.ask(ctx, "list audiences", http.MethodGet, "/audience?"+q.Encode(), nil, &out)
	return out.List, err
}

// audience finds an audience by its number.
func (a *api) audience(ctx context.Context, id int64) (remoteAudience, error) {
	all, err := a.list(ctx, url.Values{"ta_ids": {strconv.FormatInt(id, 10)}, "limit": {"1"}, "page": {"1"}})
	if err != nil {
		return remoteAudience{}, err
	}
	for _, r := range all {
		if r.ID == id {
			return r, nil
		}
	}
	return remoteAudience{}, &delivery.Problem{
		Message: fmt.Sprintf("the receiver knows no audience %d of these credentials; see whether the number and the endpoint are right", id), Final: true,
	}
}

// named finds the audiences of exactly this name.
func (a *api) named(ctx context.Context, name string) (found []remoteAudience, err error) {
	seen := map[int64]bool{}
	for page := 1; page <= maxPages; page++ {
		all, err := a.list(ctx, url.Values{"ta_name": {name}, "limit": {strconv.Itoa(pageLimit)}, "page": {strconv.Itoa(page)}})
		if err != nil {
			return nil, err
		}
		news := false
		for _, r := range all {
			// A receiver that does not know pages gives the first again.
			news = news || !seen[r.ID]
			if !seen[r.ID] && r.Name == name {
				found = append(found, r)
			}
			seen[r.ID] = true
		}
		if len(all) < pageLimit || !news {
			break
		}
	}
	return found, nil
}

// target is where a file goes.
type target struct {
	URL      string `json:"url"`
	DataPath string `json:"data_path"`
}

// presign asks where to send a file.
func (a *api) presign(ctx context.Context, name, sum string) (target, error) {
	var out struct {
		S3 struct {
			target
			Method string `json:"method"`
		} `json:"s3"`
	}
	q := url.Values{"area_type": {"1"}, "file_name": {name}, "file_md5": {sum}}
	err := a.ask(ctx, "say where a file goes", http.MethodGet, "/audience/presigned-upload-data?"+q.Encode(), nil, &out)
	if err != nil {
		return target{}, err
	}
	if problem, _ := webhook.CheckURL(out.S3.URL); problem != "" || out.S3.DataPath == "" || out.S3.Method != http.MethodPut {
		return target{}, &delivery.Problem{Message: "the receiver was asked where a file goes, but its answer lacks what is documented", Final: true}
	}
	if u, err := url.Parse(out.S3.URL); err != nil || u.Scheme == "http" && strings.HasPrefix(a.base, "https:") {
		return target{}, &delivery.Problem{Message: "the receiver, which is asked over https, wants the files over http, where others can read them; " +
			"a throng gives out the addresses of its --public-url", Final: true}
	}
	return out.S3.target, nil
}

// wireFiles are files as requests name them.
type wireFile struct {
	DeviceType int    `json:"device_type"`
	DataPath   string `json:"data_path"`
}

func wireFiles(files []sentFile) []wireFile {
	out := make([]wireFile, len(files))
	for i, f := range files {
		out[i] = wireFile{deviceTypes[f.Type], f.Path}
	}
	return out
}

type made struct {
	ID int64 `json:"ta_id"`
}

// create makes an audience of files and gives its number.
func (a *api) create(ctx context.Context, o delivery.Order, files []sentFile) (int64, error) {
	body := struct {
		Name     string     `json:"ta_name"`
		Area     int        `json:"area_type"`
		Platform int        `json:"platform"`
		Files    []wireFile `json:"data_path"`
	}{o.Name, 1, int(o.Platform), wireFiles(files)}
	var out made
	if err := a.ask(ctx, "make the audience", http.MethodPost, "/audience", body, &out); err != nil {
		return 0, err
	}
	if out.ID <= 0 {
		return 0, &delivery.Problem{Message: "the receiver was asked to make the audience, but its answer has no number of it (ta_id)"}
	}
	return out.ID, nil
}

// update gives an audience other files.
func (a *api) update(ctx context.Context, id int64, files []sentFile) error {
	body := struct {
		ID    int64      `json:"ta_id"`
		Files []wireFile `json:"data_path"`
	}{id, wireFiles(files)}
	return a.ask(ctx, "update the audience", http.MethodPut, "/audience", body, &made{})
}

// refusal is an answer that is no success.
type refusal struct {
	delivery.Problem
	code int
}

func (r *refusal) Unwrap() error { return &r.Problem }

func asRefusal(err error) (*refusal, bool) { return errors.AsType[*refusal](err) }

func locked(err error) (*delivery.Problem, bool) {
	p, ok := errors.AsType[*delivery.Problem](err)
	return p, ok && !p.Until.IsZero()
}

// mayBeLock tells whether the code can mean that an audience takes no files yet:
// the vendor documents none, so it is any that has no other meaning.
func (r *refusal) mayBeLock() bool {
	return !slices.Contains([]int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusRequestEntityTooLarge}, r.code) &&
		r.code/100 != 5
}

// refused words what the receiver refused, and what to do.
func (a *api) refused(doing string, resp *http.Response, e envelope, status bool) error {
	r := &refusal{code: e.Code}
	kind := "code"
	if status {
		kind = "status"
	}
	r.Message = fmt.Sprintf("the receiver refused to %s (%s %d)", doing, kind, e.Code)
	if said := a.said(e); said != "" {
		r.Message += ": " + said
	}
	switch {
	case e.Code == http.StatusTooManyRequests, e.Code == http.StatusRequestTimeout, e.Code >= 500 && e.Code < 600:
		r.RetryAfter = webhook.RetryAfter(resp.Header.Get("Retry-After"), a.now())
		return r
	case e.Code == http.StatusUnauthorized, status && e.Code == http.StatusForbidden:
		if off := a.off(resp); off > signatureWindow {
			r.Message += fmt.Sprintf("; the clock of this machine is %v off the receiver's, which takes 5 minutes at most: set it right", off.Round(time.Second))
			return r // not final, since nothing is wrong with the order
		}
		r.Message += "; see whether the access key and the API key are right, and the clock of this machine within 5 minutes"
	case status && (e.Code == http.StatusNotFound || e.Code/100 == 3):
		r.Message += "; see whether the endpoint is right"
	}
	r.Final = true
	return r
}

// signatureWindow is how far clocks may differ, less what an answer may take, and
// what is lost in whole seconds.
const signatureWindow = 290 * time.Second

// off is how far the clock is off the receiver's, either way; 0 where the answer
// does not tell.
func (a *api) off(resp *http.Response) time.Duration {
	at, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return 0
	}
	return a.now().Sub(at).Abs()
}

// maxSaid is how much of what a receiver says is passed on, in bytes.
const maxSaid = 300

// said is the receiver's own text, made fit to be shown.
func (a *api) said(e envelope) string {
	text := e.Message
	if text == "" {
		text = e.Msg
	}
	var data struct{ Details []detail }
	if json.Unmarshal(e.Data, &data) == nil {
		for _, d := range data.Details[:min(len(data.Details), 3)] {
			if !strings.Contains(text, d.Message) {
				text += "; " + d.Path + " " + d.Message
			}
		}
	}
	for _, secret := range []string{a.secret.AccessKey, a.secret.APIKey} {
		if secret != "" && strings.Contains(text, secret) {
			return ""
		}
	}
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) > maxSaid {
		text = strings.ToValidUTF8(text[:maxSaid], "") + "…"
	}
	return text
}

// unreachable words why no answer came.
func (a *api) unreachable(ctx context.Context, doing string, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.DeadlineExceeded) && !errors.Is(cause, errStalled) {
		return cause // our own end
	}
	if errors.Is(context.Cause(ctx), errStalled) {
		err = context.DeadlineExceeded
	}
	text, refused := webhook.Explain(err, a.timeout)
	p := &delivery.Problem{Message: "the receiver could not be asked to " + doing + ": " + text, Final: refused}
	if refused {
		p.Message += "; an operator may allow private addresses with --allow-private-callbacks"
	}
	return p
}
