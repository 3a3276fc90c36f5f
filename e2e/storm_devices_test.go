package e2e

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"throng/client"
)

// deliver delivers an audience to the drop, and holds what lies there to its
// manifest and to what another audience of the same definition left.
func (c *caller) deliver(ctx context.Context, a *client.Audience, definition int) error {
	var d deliveryState
	body := fmt.Sprintf(`{"to":"drop","name":%q,"ma_id_as":"gaid"}`, a.Name)
	if err := c.post(ctx, "delivery", fmt.Sprintf("/audiences/%d/deliveries", a.ID), body, &d); err != nil {
		return err
	}
	began := time.Now()
	path := fmt.Sprintf("/audiences/%d/deliveries/%d", a.ID, d.ID)
	for d.Status == "running" {
		r, err := c.ask(ctx, request{method: http.MethodGet, path: stormBase + path})
		if err == nil {
			err = decode(r, http.StatusOK, &d)
		}
		if err != nil {
			return fmt.Errorf("GET %s: %w", path, err)
		}
		if r.lost > 0 {
			began = time.Now()
		}
		if d.Step != "" && d.Step != "queued" {
			c.s.event("delivery running", nil)
		}
		if err := c.s.glance(ctx); err != nil {
			return err
		}
	}
	c.s.waited("delivery", began, path)
	c.s.event("delivery "+d.Status, nil)
	if d.Status != "done" {
		return fmt.Errorf("delivery %d of audience %d is %s: %+v", d.ID, a.ID, d.Status, d.Error)
	}
	sums, err := holdDrop(c.s.drop, d)
	if err != nil {
		return fmt.Errorf("delivery %d: %w", d.ID, err)
	}
	c.s.count("deliveries held to their manifests")
	like := fmt.Sprintf("%d of %s", definition, a.AsOf)
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if before, known := c.s.drops[like]; known && before != sums {
		return fmt.Errorf("delivery %d holds %s, another one of the same members %s", d.ID, sums, before)
	}
	c.s.drops[like] = sums
	return nil
}

// holdDrop holds the files of a delivery to their manifest and gives their sums.
func holdDrop(drop string, d deliveryState) (sums string, err error) {
	text, err := os.ReadFile(filepath.Join(drop, d.RemoteID))
	if err != nil {
		return "", err
	}
	var m struct {
		Rows  int64
		Files []struct{ Name, SHA256 string }
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return "", err
	}
	if m.Rows == 0 || m.Rows != d.rows() {
		return "", fmt.Errorf("the manifest tells of %d rows, the delivery of %d", m.Rows, d.rows())
	}
	for _, f := range m.Files {
		text, err := os.ReadFile(filepath.Join(drop, filepath.Dir(d.RemoteID), f.Name))
		if err != nil {
			return "", err
		}
		if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != f.SHA256 {
			return "", fmt.Errorf("%s is not what the manifest says", f.Name)
		}
		sums += f.Name + " " + f.SHA256 + " "
	}
	return sums, nil
}

// stormList is a list of devices, of which some are in no other one.
type stormList struct {
	text  []byte
	sum   string // MD5, hex
	own   string // a device that no other list has
	lines int
}

const (
	sharedDevices = 4_000
	ownDevices    = 2_000
	imeiMD5       = 6 // the vendor's number of that sort of ids
	stormOffer    = 71
)

func deviceSum(n int) string {
	sum := md5.Sum([]byte("device " + strconv.Itoa(n)))
	return hex.EncodeToString(sum[:])
}

// stormLists makes two lists that share some devices.
func stormLists() (lists [2]stormList) {
	for i := range lists {
		var b bytes.Buffer
		for n := range sharedDevices {
			b.WriteString(deviceSum(n) + "\n")
		}
		for n := range ownDevices {
			b.WriteString(deviceSum((i+1)*1_000_000+n) + "\n")
		}
		sum := md5.Sum(b.Bytes())
		lists[i] = stormList{b.Bytes(), hex.EncodeToString(sum[:]), deviceSum((i+1)*1_000_000 + 7), sharedDevices + ownDevices}
	}
	return lists
}

// devices has device audiences given one list and the other in turn, while an
// offer that they are in is asked for devices: whatever is killed, its answers
// are those of one list or of the other, whole.
func (s *storm) devices(ctx context.Context, c *caller) {
	lists := stormLists()
	m := &stormDevices{caller: c, lists: lists}
	for _, n := range s.nodes {
		m.clients = append(m.clients, client.NewMintegral(n.url(), c.AccessKey, c.APIKey))
	}
	var asking sync.WaitGroup
	stop := make(chan struct{})
	for round := 0; s.goesOn() && ctx.Err() == nil; round++ {
		if err := m.round(ctx, round); err != nil {
			s.t.Errorf("devices, round %d: %v", round, err)
			break
		}
		if round == 0 {
			bidder := &stormDevices{caller: c.worker(99), lists: lists, clients: m.clients}
			asking.Go(func() { bidder.bid(ctx, stop) })
		}
	}
	close(stop)
	asking.Wait()
}

type stormDevices struct {
	caller  *caller
	clients []*client.Mintegral // by node
	lists   [2]stormList
	id      int64 // of the audience that is used; 0 is none yet
	made    int
}

// try asks one of the servers until one answers. lost tells that a request was
// not answered, and may have been carried out.
func (m *stormDevices) try(ctx context.Context, ask func(c *client.Mintegral) error) (lost bool, err error) {
	for {
		i := m.caller.rng.IntN(len(m.clients))
		if m.caller.s.nodes[i].living() != nil {
			err = ask(m.clients[i])
			if _, refused := errors.AsType[*client.MintegralError](err); err == nil || refused || ctx.Err() != nil {
				return lost, err
			}
			lost = true
		}
		if err := pause(ctx, 2*time.Millisecond); err != nil {
			return lost, err
		}
	}
}

// round gives the audience the other list, or makes a new audience of it.
func (m *stormDevices) round(ctx context.Context, n int) error {
	list := m.lists[n%2]
	file, err := m.send(ctx, list)
	if err != nil {
		return fmt.Errorf("send file: %w", err)
	}
	files := []client.DataPath{{DeviceType: imeiMD5, DataPath: file}}
	old := int64(0)
	if n%8 == 0 {
		old = m.id
		if m.id, err = m.create(ctx, files); err != nil {
			return fmt.Errorf("create: %w", err)
		}
	} else if err = m.update(ctx, files); err != nil {
		return fmt.Errorf("update: %w", err)
	}
	if err := m.ready(ctx, list); err != nil {
		return err
	}
	m.caller.s.count("lists of devices read")
	if n%8 == 0 {
		if err := m.target(ctx, old); err != nil {
			return err
		}
	}
	return m.used(ctx, n%2)
}

// send has an address for a list and sends it there, slowly, until it is taken.
func (m *stormDevices) send(ctx context.Context, list stormList) (path string, err error) {
	c := m.caller
	var at *client.Presigned
	if _, err := m.try(ctx, func(p *client.Mintegral) (err error) {
		at, err = p.Presign(ctx, "list.txt", list.sum)
		return err
	}); err != nil {
		return "", err
	}
	for {
		address := at.S3.URL
		n, err := c.living(ctx)
		if err != nil {
			return "", err
		}
		if c.s.blobs == "" { // and not to the bucket
			u, err := url.Parse(address)
			if err != nil {
				return "", err
			}
			u.Host = n.listen
			address = u.String()
		}
		req, err := http.NewRequestWithContext(ctx, at.S3.Method, address, c.halfway(n, list.text, "put half"))
		if err != nil {
			return "", err
		}
		req.ContentLength = int64(len(list.text))
		resp, err := stormHTTP.Do(req)
		if err != nil {
			if err := pause(ctx, 2*time.Millisecond); err != nil {
				return "", err
			}
			c.s.count("files sent again, since the first was not answered")
			continue
		}
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return "", fmt.Errorf("PUT is answered %d", resp.StatusCode)
		}
		if err == nil {
			c.s.event("put sent", n)
			return at.S3.DataPath, nil
		}
	}
}

// create makes an audience. The vendor's API has no idempotency keys: where no
// answer came the list tells whether it was made.
func (m *stormDevices) create(ctx context.Context, files []client.DataPath) (id int64, err error) {
	c := m.caller
	for {
		m.made++
		name := fmt.Sprintf("devices-%d", m.made)
		e := &entry{caller: c, name: name}
		tried := false
		_, err := m.try(ctx, func(p *client.Mintegral) (err error) {
			if tried {
				return nil
			}
			tried = true
			id, err = p.Create(ctx, name, 1, files)
			c.s.event("devices sent", nil)
			return err
		})
		if err != nil {
			return 0, err
		}
		if id == 0 {
			var page *client.DevicePage
			if _, err := m.try(ctx, func(p *client.Mintegral) (err error) {
				page, err = p.List(ctx, url.Values{"ta_name": {name}})
				return err
			}); err != nil {
				return 0, err
			}
			i := slices.IndexFunc(page.List, func(a client.DeviceAudience) bool { return a.Name == name })
			if i < 0 {
				c.s.count("device audiences not made, and not answered")
				continue // nor will it ever be: the process is dead
			}
			id = page.List[i].ID
			c.s.count("device audiences made, though not answered")
		}
		e.id = id
		c.s.accept(e)
		return id, nil
	}
}

// update gives the audience other files.
func (m *stormDevices) update(ctx context.Context, files []client.DataPath) error {
	for {
		lost, err := m.try(ctx, func(p *client.Mintegral) error {
			err := p.Update(ctx, m.id, files)
			m.caller.s.event("devices sent", nil)
			return err
		})
		refusal, refused := errors.AsType[*client.MintegralError](err)
		switch {
		case err == nil:
			return nil
		case refused && lost && refusal.Code == http.StatusConflict:
			// Still being read: by the request that was not answered, or rather.
			if _, err := m.ended(ctx); err != nil {
				return err
			}
		default:
			return err
		}
	}
}

// ended waits until the audience is not being read.
func (m *stormDevices) ended(ctx context.Context) (a client.DeviceAudience, err error) {
	s, began := m.caller.s, time.Now()
	for {
		var page *client.DevicePage
		lost, err := m.try(ctx, func(p *client.Mintegral) (err error) {
			page, err = p.List(ctx, url.Values{"ta_ids": {strconv.FormatInt(m.id, 10)}})
			return err
		})
		if err != nil {
			return a, err
		}
		if len(page.List) != 1 {
			return a, fmt.Errorf("audience %d is listed %d times", m.id, len(page.List))
		}
		if lost {
			began = time.Now()
		}
		if a = page.List[0]; a.Status != "processing" {
			s.waited("reading of devices", began, fmt.Sprintf("audience %d", m.id))
			s.event("devices "+a.Status, nil)
			return a, nil
		}
		s.event("devices processing", nil)
		if err := s.glance(ctx); err != nil {
			return a, err
		}
	}
}

// ready waits until a list was read, and holds the account of it to its lines.
func (m *stormDevices) ready(ctx context.Context, list stormList) error {
	a, err := m.ended(ctx)
	if err != nil {
		return err
	}
	if a.Error != nil || a.Devices == nil || *a.Devices != uint64(list.lines) || *a.Rows != uint64(list.lines) {
		return fmt.Errorf("audience %d of %d devices = %+v", m.id, list.lines, a)
	}
	return nil
}

// target puts the offer to the audience, and deletes the one before it.
func (m *stormDevices) target(ctx context.Context, old int64) error {
	if _, err := m.try(ctx, func(p *client.Mintegral) error {
		return p.PutOffer(ctx, client.Offer{ID: stormOffer, Include: []int64{m.id}})
	}); err != nil {
		return fmt.Errorf("put offer: %w", err)
	}
	if old == 0 {
		return nil
	}
	lost, err := m.try(ctx, func(p *client.Mintegral) error { return p.Delete(ctx, old) })
	if refusal, ok := errors.AsType[*client.MintegralError](err); ok && lost && refusal.Code == http.StatusNotFound {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("delete audience %d: %w", old, err)
	}
	s := m.caller.s
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.ledger {
		if e.id == old {
			e.deleted = true
		}
	}
	return nil
}

// asked are a device of each list, one of both, and one of none.
func (m *stormDevices) asked() []client.Device {
	devices := make([]client.Device, 0, 4)
	for _, id := range []string{m.lists[0].own, m.lists[1].own, deviceSum(1), deviceSum(-1)} {
		devices = append(devices, client.Device{Type: imeiMD5, ID: id})
	}
	return devices
}

// match asks for them and tells whose list it is that answers.
func (m *stormDevices) match(ctx context.Context) (list int, err error) {
	var got []bool
	if _, err := m.try(ctx, func(p *client.Mintegral) (err error) {
		got, err = p.Match(ctx, stormOffer, m.asked())
		return err
	}); err != nil {
		return 0, fmt.Errorf("match: %w", err)
	}
	switch {
	case slices.Equal(got, []bool{true, false, true, false}):
		return 0, nil
	case slices.Equal(got, []bool{false, true, true, false}):
		return 1, nil
	}
	return 0, fmt.Errorf("matches = %v, which is right of neither list", got)
}

// used waits until the list that was read last is the one that answers.
func (m *stormDevices) used(ctx context.Context, list int) error {
	for began := time.Now(); ; {
		now, err := m.match(ctx)
		if err != nil || now == list {
			return err
		}
		if time.Since(began) > 5*time.Minute {
			return fmt.Errorf("five minutes after list %d was read the other one still answers", list)
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}

// bid asks for devices all the time.
func (m *stormDevices) bid(ctx context.Context, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		default:
		}
		if _, err := m.match(ctx); err != nil && ctx.Err() == nil {
			m.caller.s.t.Errorf("while lists change: %v", err)
			return
		}
		m.caller.s.count("questions for devices")
		if err := pause(ctx, 3*time.Millisecond); err != nil {
			return
		}
	}
}
