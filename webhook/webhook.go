// Package webhook delivers signed messages to addresses that users have given,
// and knows no product. What else calls such addresses does so over its
// [Transport].
//
// Messages are signed by the Standard Webhooks scheme. Since the address is a
// user's, connections to private, loopback, link-local and other special
// addresses are refused where they are made: after name resolution, for every
// redirect, so that neither DNS nor a redirect leads into the operator's own
// network. Proxies of the environment are not used.
//
// A redirect with status 307 or 308 is followed with the same message, three
// times at most, and not from https to http; 301, 302 and 303 would turn the
// message into a GET, and count as failures, as does any other status but 2xx.
package webhook

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const (
	maxRedirects = 3
	// maxAnswer is how much of an answer is read, so that the connection can
	// be used again. What it says is of no interest.
	maxAnswer = 64 << 10

	secretPrefix = "whsec_"
	secretBytes  = 32
)

// Config is how a [Sender] works. Zero means the default.
type Config struct {
	// AllowPrivate permits addresses of the operator's own network.
	AllowPrivate bool
	// Timeout bounds one delivery, redirects included. Defaults to 15 seconds.
	Timeout time.Duration
	// UserAgent defaults to "throng".
	UserAgent string
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
	// Observe, if not nil, is told how each delivery ended.
	Observe func(Result)
	// Trace, if not nil, gives the header traceparent (W3C) of what is sent in a
	// context; "" for none.
	Trace func(ctx context.Context) string
}

// Sender delivers messages. It is safe for concurrent use.
type Sender struct {
	cfg    Config
	client *http.Client
}

// NewSender makes a sender; close it with Close.
func NewSender(cfg Config) *Sender {
	if cfg.Timeout == 0 {
		cfg.Timeout = 15 * time.Second
	}
	if cfg.UserAgent == "" {
		cfg.UserAgent = "throng"
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Observe == nil {
		cfg.Observe = func(Result) {}
	}
	if cfg.Trace == nil {
		cfg.Trace = func(context.Context) string { return "" }
	}
	transport := Transport(cfg.AllowPrivate, cfg.Timeout)
	transport.DisableCompression = true
	return &Sender{cfg: cfg, client: &http.Client{Transport: transport, CheckRedirect: checkRedirect}}
}

// Close closes the connections that are kept for later. It must not be called
// during Send.
func (s *Sender) Close() { s.client.CloseIdleConnections() }

// Message is one thing to deliver. The same message, sent again, has the same
// ID, by which the receiver knows it.
type Message struct {
	ID     string // for the header webhook-id: letters, digits, - and _
	URL    string
	Secret string // whsec_ and base64; see NewSecret
	// Older are secrets that the receiver may still hold. The message is signed
	// with each, and verified with any.
	Older []string
	Body  []byte // JSON
}

// Result is how a delivery ended. Its texts hold nothing of what the receiver
// answered, of the URL, or of the secret.
type Result struct {
	Status   int           // HTTP status of the last answer; 0 when none came
	Err      string        // "" after a 2xx, else why it is none, for the user
	Duration time.Duration // of this attempt
	// Refused: the address is one that must not be called. Trying again is of
	// no use.
	Refused bool
	// Gone: the receiver wants no more of these (410).
	Gone bool
	// RetryAfter is how long the receiver asks to be left alone; 0 if it does not.
	RetryAfter time.Duration
	// Aborted: our own context ended first. It should not count as an attempt.
	Aborted bool
}

// OK tells whether the message was delivered.
func (r Result) OK() bool { return r.Err == "" }

// Send delivers a message once. It signs it anew with the present time.
func (s *Sender) Send(ctx context.Context, m Message) Result {
	start := time.Now()
	result := s.send(ctx, m)
	result.Duration = time.Since(start)
	if !result.OK() && result.Status == 0 && ctx.Err() != nil {
		result = Result{Err: "canceled", Aborted: true, Duration: result.Duration}
	}
	s.cfg.Observe(result)
	return result
}

func (s *Sender) send(ctx context.Context, m Message) Result {
	if problem, _ := CheckURL(m.URL); problem != "" {
		return Result{Err: "the address " + problem, Refused: true}
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	request, err := s.request(ctx, m)
	if err != nil {
		return Result{Err: err.Error()}
	}
	response, err := s.client.Do(request)
	if err != nil {
		text, refused := Explain(err, s.cfg.Timeout)
		return Result{Err: text, Refused: refused}
	}
	defer response.Body.Close()
	io.CopyN(io.Discard, response.Body, maxAnswer) //nolint:errcheck // the status has come; the rest is of no interest
	if response.StatusCode/100 == 2 {
		return Result{Status: response.StatusCode}
	}
	result := Result{
		Status:     response.StatusCode,
		Err:        fmt.Sprintf("the receiver answered with status %d", response.StatusCode),
		Gone:       response.StatusCode == http.StatusGone,
		RetryAfter: RetryAfter(response.Header.Get("Retry-After"), s.cfg.Now()),
	}
	if response.StatusCode/100 == 3 {
		result.Err = fmt.Sprintf("the receiver answered with a redirect (status %d) that is not followed", response.StatusCode)
	}
	return result
}

func (s *Sender) request(ctx context.Context, m Message) (*http.Request, error) {
	now := s.cfg.Now()
	signature, err := m.sign(now)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, m.URL, bytes.NewReader(m.Body))
	if err != nil {
		return nil, errors.New("the address is malformed")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", s.cfg.UserAgent)
	request.Header.Set(standardwebhooks.HeaderWebhookID, m.ID)
	request.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	request.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	if trace := s.cfg.Trace(ctx); trace != "" {
		request.Header.Set("traceparent", trace)
	}
	return request, nil
}

// sign gives the signatures by all secrets, the newest first.
func (m Message) sign(now time.Time) (string, error) {
	var all []string
	for _, secret := range append([]string{m.Secret}, m.Older...) {
		signer, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			return "", errors.New("the secret for signing is malformed")
		}
		signature, err := signer.Sign(m.ID, now, m.Body)
		if err != nil {
			return "", errors.New("the message could not be signed")
		}
		all = append(all, signature)
	}
	return strings.Join(all, " "), nil
}

var (
	errRedirects = errors.New("too many redirects")
	errRedirect  = errors.New("a redirect to an address that must not be called")
)

// checkRedirect says whether a redirect is followed; the address it leads to is
// checked when it is dialed.
func checkRedirect(next *http.Request, via []*http.Request) error {
	switch next.Response.StatusCode {
	case http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return http.ErrUseLastResponse
	}
	if len(via) > maxRedirects {
		return errRedirects
	}
	if next.URL.Scheme == "http" && via[len(via)-1].URL.Scheme == "https" {
		return http.ErrUseLastResponse // the message would travel in the clear
	}
	if problem, _ := CheckURL(next.URL.String()); problem != "" {
		return errRedirect
	}
	return nil
}

// NewSecret returns a fresh secret for signing: whsec_ and 32 random bytes.
func NewSecret() string {
	b := make([]byte, secretBytes)
	rand.Read(b) // never fails: it ends the program instead
	return secretPrefix + base64.StdEncoding.EncodeToString(b)
}
