package client

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
	"strconv"
	"strings"
	"time"
)

// Mintegral calls one server over Mintegral's open API, version 1, with one
// caller's keys. It is safe for concurrent use.
type Mintegral struct {
	// Now is the clock that requests are signed by; time.Now unless it is set
	// before the first.
	Now func() time.Time

	base, accessKey, apiKey string
	http                    *http.Client
}

// NewMintegral makes a client of the server at base, as in http://127.0.0.1:8080.
func NewMintegral(base, accessKey, apiKey string) *Mintegral {
	// What is asked on every bid must not wait for a connection: 16 at once
	// are what one machine is measured with.
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute}
	return &Mintegral{Now: time.Now, base: strings.TrimRight(base, "/"), accessKey: accessKey, apiKey: apiKey, http: &http.Client{Transport: transport}}
}

// MintegralError is a refusal of the server.
type MintegralError struct {
	Code    int // of the envelope, or of HTTP where there was none
	Message string
	Details []Detail
}

// Error tells everything that the server said.
func (e *MintegralError) Error() string {
	return fmt.Sprintf("%s (%d)", e.Message, e.Code) + lines(e.Details)
}

// Presigned is an address to send one file to.
type Presigned struct {
	AreaType int    `json:"area_type"`
	FileName string `json:"file_name"`
	FileMD5  string `json:"file_md5"`
	TTL      int    `json:"ttl"` // seconds
	S3       struct {
		Method   string `json:"method"`
		URL      string `json:"url"`
		DataPath string `json:"data_path"`
	} `json:"s3"`
}

// DataPath is a file that was sent, and the sort of its ids.
type DataPath struct {
	DeviceType int    `json:"device_type"`
	DataPath   string `json:"data_path"`
}

// DeviceAudience is what the server lists of one.
type DeviceAudience struct {
	ID           int64    `json:"ta_id"`
	Platform     int      `json:"platform"`
	Name         string   `json:"ta_name"`
	Type         int      `json:"ta_type"`
	DeviceType   string   `json:"device_type"`
	AreaType     int      `json:"area_type"`
	CTime        int64    `json:"ctime"`
	UTime        int64    `json:"utime"`
	Status       string   `json:"status"`
	Devices      *uint64  `json:"devices"`
	People       *uint64  `json:"people"`
	Rows         *uint64  `json:"rows"`
	Invalid      *uint64  `json:"invalid"`
	Duplicate    *uint64  `json:"duplicate"`
	NextUpdateAt int64    `json:"next_update_at"`
	Error        *string  `json:"error"`
	Warnings     []string `json:"warnings"`
}

// DevicePage is one page of the list.
type DevicePage struct {
	Page         int              `json:"page"`
	Limit        int              `json:"limit"`
	CurrentTotal int              `json:"current_total"`
	Total        int              `json:"total"`
	List         []DeviceAudience `json:"list"`
}

// Offer says whom an advertisement is for.
type Offer struct {
	ID      int64   `json:"offer_id"`
	Include []int64 `json:"audience"`
	Exclude []int64 `json:"audience_exclude"`
}

// Device is one that is asked for.
type Device struct {
	Type int    `json:"device_type"`
	ID   string `json:"id"`
}

// Presign asks for an address for a file of this name and MD5 (hex).
func (m *Mintegral) Presign(ctx context.Context, name, md5 string) (*Presigned, error) {
	p := new(Presigned)
	q := url.Values{"area_type": {"1"}, "file_name": {name}, "file_md5": {md5}}
	if err := m.ask(ctx, http.MethodGet, "/audience/presigned-upload-data?"+q.Encode(), nil, p); err != nil {
		return nil, err
	}
	return p, nil
}

// Put sends the bytes of a file to its address.
func (m *Mintegral) Put(ctx context.Context, p *Presigned, file io.Reader) error {
	req, err := http.NewRequestWithContext(ctx, p.S3.Method, p.S3.URL, file)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	resp, err := m.http.Do(req)
	if err != nil {
		return fmt.Errorf("send file: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return &MintegralError{Code: resp.StatusCode, Message: strings.TrimSpace(string(text))}
	}
	return nil
}

// Create makes an audience and returns its id.
func (m *Mintegral) Create(ctx context.Context, name string, platform int, files []DataPath) (int64, error) {
	var made struct {
		ID int64 `json:"ta_id"`
	}
	err := m.ask(ctx, http.MethodPost, "/audience", map[string]any{"ta_name": name, "area_type": 1, "platform": platform, "data_path": files}, &made)
	return made.ID, err
}

// Update replaces an audience's files.
func (m *Mintegral) Update(ctx context.Context, id int64, files []DataPath) error {
	return m.ask(ctx, http.MethodPut, "/audience", map[string]any{"ta_id": id, "data_path": files}, nil)
}

// Delete deletes all of the audiences, or none.
func (m *Mintegral) Delete(ctx context.Context, ids ...int64) error {
	return m.ask(ctx, http.MethodDelete, "/audience", map[string]any{"ta_id": ids}, nil)
}

// List asks for a page of audiences by ta_ids, ta_name, platform, limit, page.
func (m *Mintegral) List(ctx context.Context, filter url.Values) (*DevicePage, error) {
	page := new(DevicePage)
	if err := m.ask(ctx, http.MethodGet, "/audience?"+filter.Encode(), nil, page); err != nil {
		return nil, err
	}
	return page, nil
}

// Wait asks every interval until an audience is no longer processing.
func (m *Mintegral) Wait(ctx context.Context, id int64, interval time.Duration) (a *DeviceAudience, err error) {
	err = until(ctx, interval, func() (ended bool, err error) {
		page, err := m.List(ctx, url.Values{"ta_ids": {strconv.FormatInt(id, 10)}})
		if err != nil {
			return false, err
		}
		if len(page.List) != 1 {
			return false, &MintegralError{Code: http.StatusNotFound, Message: fmt.Sprintf("audience %d is not listed", id)}
		}
		a = &page.List[0]
		return a.Status != "processing", nil
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}

// PutOffer says whom an offer is for.
func (m *Mintegral) PutOffer(ctx context.Context, o Offer) error {
	return m.ask(ctx, http.MethodPut, "/offer/audience", o, nil)
}

// Offer reads whom an offer is for.
func (m *Mintegral) Offer(ctx context.Context, id int64) (*Offer, error) {
	o := new(Offer)
	if err := m.ask(ctx, http.MethodGet, "/offer/audience?offer_id="+strconv.FormatInt(id, 10), nil, o); err != nil {
		return nil, err
	}
	return o, nil
}

// Match asks which devices an offer is for; the answer is in their order.
func (m *Mintegral) Match(ctx context.Context, offer int64, devices []Device) ([]bool, error) {
	var out struct {
		Matches []bool `json:"matches"`
	}
	body := struct {
		Offer   int64    `json:"offer_id"`
		Devices []Device `json:"devices"`
	}{offer, append([]Device{}, devices...)} // none is an empty list, too
	err := m.ask(ctx, http.MethodPost, "/offer/match", body, &out)
	return out.Matches, err
}

// ask sends a signed request and decodes the answer's data into out, unless
// that is nil. Whatever is no success is a *MintegralError.
func (m *Mintegral) ask(ctx context.Context, method, path string, body, out any) error {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return fmt.Errorf("make request: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, m.base+"/api/open/v1"+path, bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	m.sign(req)
	resp, err := m.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask server: %w", err)
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	return readMintegral(resp, said, out)
}

func (m *Mintegral) sign(req *http.Request) {
	stamp := strconv.FormatInt(m.Now().Unix(), 10)
	req.Header.Set("access-key", m.accessKey)
	req.Header.Set("timestamp", stamp)
	req.Header.Set("token", md5Hex(m.apiKey+md5Hex(stamp)))
	req.Header.Set("Content-Type", "application/json")
}

func md5Hex(text string) string {
	sum := md5.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

func readMintegral(resp *http.Response, said []byte, out any) error {
	var envelope struct {
		Code    int             `json:"code"`
		Message string          `json:"message"`
		Data    json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(said, &envelope); err != nil || envelope.Code == 0 {
		return &MintegralError{Code: resp.StatusCode, Message: "the server answered " + resp.Status}
	}
	if envelope.Code != http.StatusOK {
		var data struct{ Details []Detail }
		err := json.Unmarshal(envelope.Data, &data)
		return errors.Join(&MintegralError{Code: envelope.Code, Message: envelope.Message, Details: data.Details}, err)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(envelope.Data, out); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	return nil
}
