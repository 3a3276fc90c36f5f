// Package drop delivers to a place where somebody else collects files: a folder,
// which may be one that an SFTP server shows, or a bucket.
//
// A delivery is a folder of its own, caller-ID/delivery-ID, with a file for each
// type of device id, one id a line, as in gaid.txt, and manifest.json, which
// tells their names, types, rows, bytes and SHA-256 sums. The manifest is
// written last and in one step: where it is, everything is.
package drop

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"throng"
	"throng/blob"
	"throng/delivery"
	"throng/identifier"
)

// Manifest is what manifest.json holds.
type Manifest struct {
	Version    int       `json:"version"` // 1
	Delivery   int64     `json:"delivery"`
	Audience   int64     `json:"audience"`
	Name       string    `json:"name"`
	Platform   string    `json:"platform"` // android, ios or mix
	OrderedAt  time.Time `json:"ordered_at"`
	Files      []File    `json:"files"`
	TotalRows  int64     `json:"rows"`
	TotalBytes int64     `json:"bytes"`
}

// File is one file of the delivery.
type File struct {
	Name   string          `json:"name"` // beside the manifest
	Type   identifier.Type `json:"type"`
	Rows   int64           `json:"rows"`
	Bytes  int64           `json:"bytes"`
	SHA256 string          `json:"sha256"` // lower-case hex
}

// ManifestName is the file that is written last.
const ManifestName = "manifest.json"

// Kind makes drops in one store.
type Kind struct{ store blob.Store }

var _ delivery.Kind = (*Kind)(nil)

// New gives the kind. A nil store is a drop that the operator has not set up:
// its orders are refused.
func New(store blob.Store) *Kind { return &Kind{store: store} }

// Name implements [delivery.Kind].
func (k *Kind) Name() string { return "drop" }

// Check implements [delivery.Kind].
func (k *Kind) Check(o delivery.Order, s delivery.Secret) (problems []throng.Detail) {
	bad := func(path, message string) { problems = append(problems, throng.Detail{Path: path, Message: message}) }
	if k.store == nil {
		bad("to", "must not be drop: the operator has set up none (--drop DIR)")
	}
	if o.Endpoint != "" {
		bad("endpoint", "must be left out: the operator says where drops are made")
	}
	if o.Update != "" {
		bad("update", "must be left out: every delivery to a drop is a new folder")
	}
	if s.Given() {
		bad("credentials", "must be left out: a drop needs none")
	}
	return problems
}

// Open implements [delivery.Kind].
func (k *Kind) Open(o delivery.Order, _ delivery.Secret) (delivery.Destination, error) {
	if k.store == nil {
		return nil, &delivery.Problem{Message: "no drop is set up here; start the server with --drop DIR", Final: true}
	}
	return &destination{store: k.store, order: o}, nil
}

type destination struct {
	store blob.Store
	order delivery.Order
}

// state is which files are there.
type state struct {
	Files []File `json:"files"`
	Done  bool   `json:"done"`
}

// folder holds one delivery.
func (d *destination) folder() string {
	return fmt.Sprintf("caller-%d/delivery-%d/", d.order.CallerID, d.order.ID)
}

// Step implements [delivery.Destination]: a file a step, then the manifest.
func (d *destination) Step(ctx context.Context, lists []delivery.List, raw json.RawMessage) (delivery.Result, error) {
	var s state
	if raw != nil {
		if err := json.Unmarshal(raw, &s); err != nil {
			return delivery.Result{}, fmt.Errorf("read state of delivery: %w", err)
		}
	}
	switch {
	case s.Done:
	case len(s.Files) < len(lists):
		f, err := d.write(ctx, lists[len(s.Files)])
		if err != nil {
			return delivery.Result{}, err
		}
		s.Files = append(s.Files, f)
	default:
		if err := d.writeManifest(ctx, s.Files); err != nil {
			return delivery.Result{}, err
		}
		s.Done = true
	}
	return d.result(lists, s)
}

func (d *destination) result(lists []delivery.List, s state) (r delivery.Result, err error) {
	for _, f := range s.Files {
		r.Sent = append(r.Sent, delivery.Sent{Type: f.Type, Rows: f.Rows, Bytes: f.Bytes, SHA256: f.SHA256, Path: d.folder() + f.Name})
	}
	switch {
	case s.Done:
		r.Done, r.RemoteID = true, d.folder()+ManifestName
	case len(s.Files) < len(lists):
		r.Next = "writing " + string(lists[len(s.Files)].Type)
	default:
		r.Next = "writing the manifest"
	}
	r.State, err = json.Marshal(s)
	return r, err
}

// write copies a list into its file. A repeat writes the same bytes.
func (d *destination) write(ctx context.Context, l delivery.List) (f File, err error) {
	f = File{Name: string(l.Type) + ".txt", Type: l.Type}
	in, err := l.Open(ctx)
	if err != nil {
		return f, err
	}
	defer in.Close()
	out, err := d.store.Create(ctx, d.folder()+f.Name)
	if err != nil {
		return f, err
	}
	defer out.Abort() //nolint:errcheck // of no effect after Commit
	sum, rows := sha256.New(), &lineCounter{}
	if f.Bytes, err = io.CopyBuffer(io.MultiWriter(out, sum, rows), struct{ io.Reader }{in}, make([]byte, copyBuffer)); err != nil {
		return f, err
	}
	if rows.n != l.Rows {
		return f, fmt.Errorf("list of %s has %d lines, want %d", l.Type, rows.n, l.Rows)
	}
	f.Rows, f.SHA256 = rows.n, hex.EncodeToString(sum.Sum(nil))
	return f, out.Commit()
}

const copyBuffer = 128 << 10

// lineCounter counts what is written to it.
type lineCounter struct{ n int64 }

func (c *lineCounter) Write(p []byte) (int, error) {
	c.n += int64(bytes.Count(p, []byte{'\n'}))
	return len(p), nil
}

func (d *destination) writeManifest(ctx context.Context, files []File) error {
	if len(files) == 0 {
		return errors.New("a delivery of no list")
	}
	m := Manifest{
		Version: 1, Delivery: d.order.ID, Audience: d.order.AudienceID, Name: d.order.Name,
		Platform: delivery.PlatformName(d.order.Platform), OrderedAt: d.order.CreatedAt.UTC(), Files: files,
	}
	for _, f := range files {
		m.TotalRows += f.Rows
		m.TotalBytes += f.Bytes
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("word manifest: %w", err)
	}
	out, err := d.store.Create(ctx, d.folder()+ManifestName)
	if err != nil {
		return err
	}
	defer out.Abort() //nolint:errcheck // of no effect after Commit
	if _, err := out.Write(append(text, '\n')); err != nil {
		return err
	}
	return out.Commit()
}
