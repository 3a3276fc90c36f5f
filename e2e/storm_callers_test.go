package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"throng/client"
	"throng/engine/enginetest/model"
)

const stormBase = "/platform/v0"

// post sends a request that makes something, with an idempotency key, until it
// is answered, and now and then once more: the answer must be the same.
func (c *caller) post(ctx context.Context, what, path, body string, into any) error {
	key := fmt.Sprintf("%s-%016x", what, c.rng.Uint64())
	r := request{
		method: http.MethodPost, path: stormBase + path, contentType: "application/json", body: spoken(body),
		headers: []string{"Idempotency-Key", key}, what: what,
	}
	first, err := c.ask(ctx, r)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if first.lost > 0 {
		c.s.count(what + " repeated until answered")
	}
	if c.rng.IntN(4) == 0 {
		again, err := c.ask(ctx, r)
		if err != nil {
			return fmt.Errorf("repeat %s: %w", what, err)
		}
		if again.status != first.status || !bytes.Equal(again.body, first.body) {
			return fmt.Errorf("repeat %s with its key: %d %s, want the first answer %d %s", what, again.status, again.body, first.status, first.body)
		}
		c.s.count(what + " repeated though answered")
	}
	return decode(first, http.StatusOK, into)
}

// decode reads what an answer's envelope holds.
func decode(r reply, status int, into any) error {
	if r.status != status {
		return fmt.Errorf("answer %d %s, want %d", r.status, r.body, status)
	}
	if into == nil {
		return nil
	}
	envelope := struct{ Response any }{into}
	return json.Unmarshal(r.body, &envelope)
}

// get asks for something until there is an answer.
func (c *caller) get(ctx context.Context, path string, into any) error {
	r, err := c.ask(ctx, request{method: http.MethodGet, path: stormBase + path})
	if err == nil {
		err = decode(r, http.StatusOK, into)
	}
	if err != nil {
		return fmt.Errorf("GET %s: %w", path, err)
	}
	return nil
}

// order words a create and accepts it.
func (c *caller) order(ctx context.Context, what, path, parameters string, more ...string) (*entry, error) {
	e := &entry{caller: c, name: fmt.Sprintf("%s-%016x", c.Name, c.rng.Uint64()), callback: c.rng.IntN(2) == 0}
	fields := append([]string{fmt.Sprintf(`"audience":{"name":%q}`, e.name)}, more...)
	if parameters != "" {
		fields = append(fields, `"parameters":`+parameters)
	}
	if e.callback {
		fields = append(fields, fmt.Sprintf(`"callback_url":%q`, c.s.receiver.address(c)))
	}
	if c.rng.IntN(2) == 0 {
		fields = append(fields, `"outputs":["ss_id","md5","ma_id"]`)
	}
	var made struct{ ID int64 }
	if err := c.post(ctx, what, path, "{"+strings.Join(fields, ",")+"}", &made); err != nil {
		return nil, err
	}
	e.id = made.ID
	return c.s.accept(e), nil
}

// parametersOf gives the list of a definition alone.
func parametersOf(def json.RawMessage) (string, error) {
	var d struct{ Parameters json.RawMessage }
	err := json.Unmarshal(def, &d)
	return string(d.Parameters), err
}

// await waits until an audience has ended, and writes down how.
func (c *caller) await(ctx context.Context, e *entry) (*client.Audience, error) {
	began := time.Now()
	for {
		r, err := c.ask(ctx, request{method: http.MethodGet, path: fmt.Sprintf("%s/audiences/%d", stormBase, e.id)})
		if err != nil {
			return nil, err
		}
		if r.lost > 0 {
			began = time.Now() // a server died; from here on there is one
		}
		a := new(client.Audience)
		if err := decode(r, http.StatusOK, a); err != nil {
			return nil, fmt.Errorf("audience %d: %w", e.id, err)
		}
		if a.Status != "running" {
			c.s.waited("build", began, fmt.Sprintf("audience %d", e.id))
			c.s.event("audience "+a.Status, nil)
			e.status = a.Status
			return a, nil
		}
		if a.Size != nil || len(a.Outputs) > 0 {
			return nil, fmt.Errorf("audience %d is running and shows %s", e.id, r.body)
		}
		c.s.event("step "+a.Step, nil)
		if err := c.s.glance(ctx); err != nil {
			return nil, err
		}
	}
}

// glance is the time between two looks at what runs.
func (s *storm) glance(ctx context.Context) error {
	if s.aimedAtStep() {
		return pause(ctx, 500*time.Microsecond)
	}
	return pause(ctx, 10*time.Millisecond)
}

// waited keeps the longest wait.
func (s *storm) waited(what string, since time.Time, which string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := time.Since(since); d > s.waits[what].d {
		s.waits[what] = longest{d, which}
	}
}

// build makes an audience of a definition of the pool, holds it to the twin,
// and sometimes builds it again or delivers it.
func (c *caller) build(ctx context.Context, _ int) error {
	i := c.rng.IntN(len(c.s.pooled))
	list, err := parametersOf(c.s.pooled[i])
	if err != nil {
		return err
	}
	e, err := c.order(ctx, "create", "/audiences", list)
	if err != nil {
		return err
	}
	want := func(sc *scenery) (wanted, error) { return sc.known[i], nil }
	a, err := c.await(ctx, e)
	if err == nil {
		err = c.hold(ctx, a, want)
	}
	if err != nil {
		return err
	}
	c.s.count("audiences built and held to the twin")
	if c.rng.IntN(4) == 0 {
		if err := c.deliver(ctx, a, i); err != nil {
			return err
		}
	}
	if c.rng.IntN(6) > 0 {
		return nil
	}
	again, err := c.again(ctx, e)
	if err != nil {
		return err
	}
	if a, err = c.await(ctx, again); err == nil {
		err = c.hold(ctx, a, want)
	}
	c.s.count("audiences regenerated and held to the twin")
	return err
}

// again regenerates an audience.
func (c *caller) again(ctx context.Context, e *entry) (*entry, error) {
	n := &entry{caller: c, name: e.name, callback: c.rng.IntN(2) == 0}
	body := "{}"
	if n.callback {
		body = fmt.Sprintf(`{"callback_url":%q}`, c.s.receiver.address(c))
	}
	var made struct{ ID int64 }
	if err := c.post(ctx, "regenerate", fmt.Sprintf("/audiences/%d/regenerate", e.id), body, &made); err != nil {
		return nil, err
	}
	n.id = made.ID
	return c.s.accept(n), nil
}

// hold holds a finished audience to what the twin of its dataset says.
func (c *caller) hold(ctx context.Context, a *client.Audience, want func(*scenery) (wanted, error)) error {
	sc := c.s.sceneryOf(a.AsOf)
	if sc == nil || a.Status != "done" || a.Size == nil {
		return fmt.Errorf("audience %d is %s, of %v, with %s people: %+v", a.ID, a.Status, a.AsOf, sizeText(a.Size), a.Error)
	}
	w, err := want(sc)
	if err != nil {
		return err
	}
	if *a.Size != w.size || len(a.Parameters) != len(w.parameters) {
		return fmt.Errorf("audience %d has %d people, want %d", a.ID, *a.Size, w.size)
	}
	for i, p := range a.Parameters {
		var has struct{ Size uint64 }
		if err := json.Unmarshal(p, &has); err != nil || has.Size != w.parameters[i] {
			return fmt.Errorf("audience %d: parameter %d has %d people (%w), want %d", a.ID, i, has.Size, err, w.parameters[i])
		}
	}
	for _, o := range a.Outputs {
		if x := w.outputs[o.Type]; int(o.People) != x.people || int(o.Rows) != x.rows {
			return fmt.Errorf("audience %d: %s has %d people and %d rows, want %d and %d", a.ID, o.Type, o.People, o.Rows, x.people, x.rows)
		}
	}
	if len(a.Outputs) == 0 {
		return fmt.Errorf("audience %d has no files", a.ID)
	}
	o := a.Outputs[c.rng.IntN(len(a.Outputs))]
	return c.holdFile(ctx, a.ID, o, w.outputs[o.Type])
}

// holdFile reads a file, and a part of it, and holds both to what is known.
func (c *caller) holdFile(ctx context.Context, id int64, o client.Output, want wantedOutput) error {
	path := fmt.Sprintf("%s/audiences/%d/outputs/%s", stormBase, id, o.Type)
	var parts [][]byte // of downloads that broke off
	whole, err := c.ask(ctx, request{method: http.MethodGet, path: path, read: func(n *node, r io.Reader) ([]byte, error) {
		half := make([]byte, o.Bytes/2)
		k, err := io.ReadFull(r, half)
		if err != nil {
			parts = append(parts, half[:k])
			return nil, err
		}
		c.s.event("download half", n)
		rest, err := io.ReadAll(r)
		if err != nil {
			parts = append(parts, append(half, rest...))
		}
		return append(half, rest...), err
	}})
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(whole.body); whole.status != http.StatusOK || hex.EncodeToString(sum[:]) != o.SHA256 || int64(len(whole.body)) != o.Bytes {
		return fmt.Errorf("audience %d: the file of %s is answered %d with %d bytes, not with those of the SHA-256 told", id, o.Type, whole.status, len(whole.body))
	}
	lines := strings.Split(string(whole.body), "\n")
	if sortedSum(lines[:len(lines)-1]) != want.lines {
		return fmt.Errorf("audience %d: the file of %s has other lines than the twin", id, o.Type)
	}
	for _, p := range parts {
		c.s.count("downloads that broke off")
		if !bytes.HasPrefix(whole.body, p) {
			return fmt.Errorf("audience %d: a download of %s that broke off began otherwise than the file", id, o.Type)
		}
	}
	c.s.count("files downloaded")
	if len(whole.body) < 2 {
		return nil
	}
	from := c.rng.IntN(len(whole.body) - 1)
	to := from + c.rng.IntN(len(whole.body)-from)
	part, err := c.ask(ctx, request{method: http.MethodGet, path: path, headers: []string{"Range", fmt.Sprintf("bytes=%d-%d", from, to)}})
	if err == nil && (part.status != http.StatusPartialContent || !bytes.Equal(part.body, whole.body[from:to+1])) {
		err = fmt.Errorf("audience %d: bytes %d to %d of %s are answered %d and are not those of the whole file", id, from, to, o.Type, part.status)
	}
	return err
}

// changeMind makes an audience and cancels or deletes it at some moment.
func (c *caller) changeMind(ctx context.Context, _ int) error {
	i := c.rng.IntN(len(c.s.pooled))
	list, err := parametersOf(c.s.pooled[i])
	if err != nil {
		return err
	}
	e, err := c.order(ctx, "create", "/audiences", list)
	if err != nil {
		return err
	}
	if err := pause(ctx, time.Duration(c.rng.Int64N(int64(150*time.Millisecond)))); err != nil {
		return err
	}
	if c.rng.IntN(3) == 0 { // while it runs, perhaps
		return c.remove(ctx, e)
	}
	r, err := c.ask(ctx, request{method: http.MethodPost, path: fmt.Sprintf("%s/audiences/%d/cancel", stormBase, e.id), what: "cancel"})
	if err != nil {
		return err
	}
	a, err := c.await(ctx, e)
	if err != nil {
		return err
	}
	switch {
	case r.status == http.StatusOK && a.Status == "canceled":
		c.s.count("builds canceled")
		if a.Size != nil || len(a.Outputs) > 0 {
			return fmt.Errorf("canceled audience %d = %+v", e.id, a)
		}
	case r.status == http.StatusConflict && a.Status == "done":
		if err := c.hold(ctx, a, func(sc *scenery) (wanted, error) { return sc.known[i], nil }); err != nil {
			return err
		}
	default:
		return fmt.Errorf("audience %d is %s after its cancel was answered %d %s", e.id, a.Status, r.status, r.body)
	}
	if c.rng.IntN(2) == 0 {
		return c.remove(ctx, e)
	}
	return nil
}

// remove deletes an audience.
func (c *caller) remove(ctx context.Context, e *entry) error {
	path := fmt.Sprintf("%s/audiences/%d", stormBase, e.id)
	r, err := c.ask(ctx, request{method: http.MethodDelete, path: path, what: "delete"})
	if err != nil {
		return err
	}
	if r.status != http.StatusOK && (r.lost == 0 || r.status != http.StatusNotFound) {
		return fmt.Errorf("delete audience %d: %d %s", e.id, r.status, r.body)
	}
	e.deleted = true
	c.s.count("audiences deleted")
	gone, err := c.ask(ctx, request{method: http.MethodGet, path: path})
	if err == nil && gone.status != http.StatusNotFound {
		err = fmt.Errorf("deleted audience %d is answered %d", e.id, gone.status)
	}
	return err
}

// look counts definitions: every answer is one of a dataset that was loaded.
func (c *caller) look(ctx context.Context, _ int) error {
	i := c.rng.IntN(len(c.s.pooled))
	r, err := c.ask(ctx, request{
		method: http.MethodPost, path: stormBase + "/audiences/preview", contentType: "application/json", body: bytesOf(c.s.pooled[i]),
	})
	if err != nil {
		return err
	}
	var p struct{ Size uint64 }
	if err := decode(r, http.StatusOK, &p); err != nil {
		return fmt.Errorf("preview: %w", err)
	}
	if !slices.ContainsFunc(c.s.sceneries, func(sc *scenery) bool { return sc.known[i].size == p.Size }) {
		return fmt.Errorf("preview = %d, which is right on no dataset", p.Size)
	}
	c.s.count("previews")
	return pause(ctx, time.Duration(c.rng.Int64N(int64(30*time.Millisecond))))
}

// sendUpload sends a file of identifiers, holds its account to the twin, and
// builds an audience of it.
func (c *caller) sendUpload(ctx context.Context, _ int) error {
	typ, file := c.s.sceneries[0].randomUpload(c.rng)
	path := stormBase + "/uploads?" + url.Values{"type": {typ}, "name": {"storm"}}.Encode()
	r, err := c.ask(ctx, request{
		method: http.MethodPost, path: path, contentType: "text/plain", what: "upload", size: int64(len(file)),
		body:    func(n *node) io.Reader { return c.halfway(n, file, "upload half") },
		headers: []string{"Idempotency-Key", fmt.Sprintf("upload-%016x", c.rng.Uint64())},
	})
	if err != nil {
		return err
	}
	var u client.Upload
	if err := decode(r, http.StatusOK, &u); err != nil {
		return fmt.Errorf("upload %s: %w", typ, err)
	}
	got := model.UploadResult{Rows: int(u.Rows), Matched: int(u.Matched), Unmatched: int(u.Unmatched), Duplicate: int(u.Duplicate), Invalid: int(u.Invalid)}
	if !slices.ContainsFunc(c.s.sceneries, func(sc *scenery) bool { return sc.judge(typ, file) == got }) {
		return fmt.Errorf("upload of %s is answered %+v, which is right on no dataset", typ, got)
	}
	c.s.count("uploads")
	list := fmt.Sprintf(`[{"operation":"OR","upload":{"keys":[%q],"type":%q}}]`, u.Key, typ)
	e, err := c.order(ctx, "create", "/audiences", list)
	if err != nil {
		return err
	}
	a, err := c.await(ctx, e)
	if err != nil {
		return err
	}
	ext := model.External{Uploads: map[string]model.UploadedFile{u.Key: {Type: typ, Content: file}}}
	err = c.hold(ctx, a, func(sc *scenery) (wanted, error) { return sc.evaluate(json.RawMessage(`{"parameters":`+list+`}`), ext) })
	if err != nil {
		return fmt.Errorf("of an upload: %w", err)
	}
	if c.rng.IntN(2) == 0 {
		return nil
	}
	gone, err := c.ask(ctx, request{method: http.MethodDelete, path: stormBase + u.Key})
	if err == nil && gone.status != http.StatusOK && (gone.lost == 0 || gone.status != http.StatusNotFound) {
		err = fmt.Errorf("delete upload: %d %s", gone.status, gone.body)
	}
	return err
}

// halfway gives a file whose reader is told of when it is half read.
func (c *caller) halfway(n *node, file []byte, what string) io.Reader {
	half := len(file) / 2
	return io.MultiReader(bytes.NewReader(file[:half]), readerFunc(func([]byte) (int, error) {
		c.s.event(what, n)
		return 0, io.EOF
	}), bytes.NewReader(file[half:]))
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
