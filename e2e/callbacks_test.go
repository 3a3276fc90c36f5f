package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// eventually asks until a value of the answer is as wanted, for a minute.
func eventually(t testing.TB, p *process, token, path, at, want string) exchanged {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		got := exchange(t, p, token, http.MethodGet, path, "", "")
		if v, err := lookup(got.body, at); err == nil && v == want {
			return got
		}
		if time.Now().After(deadline) {
			t.Fatalf("GET %s: %s is not %s after a minute\n%s", path, at, want, got.body)
		}
		time.Sleep(10 * time.Millisecond) // between two polls, as a client would
	}
}

// message is one delivery.
type message struct {
	header http.Header
	body   []byte
}

// receiver takes callbacks and answers each with the next of its statuses, the
// last one for ever.
func receiver(t *testing.T, statuses ...int) (url string, got <-chan message) {
	t.Helper()
	messages := make(chan message, 64)
	next := make(chan int, len(statuses))
	for _, s := range statuses {
		next <- s
	}
	last := statuses[len(statuses)-1]
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read callback: %v", err)
		}
		messages <- message{r.Header.Clone(), body}
		status := last
		select {
		case status = <-next:
		default:
		}
		if status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "1")
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(s.Close)
	return s.URL, messages
}

func await(t *testing.T, messages <-chan message) message {
	t.Helper()
	select {
	case m := <-messages:
		return m
	case <-time.After(time.Minute):
		t.Fatal("no callback came for a minute")
		return message{}
	}
}

// TestCallbacks has builds announced to a receiver that verifies them with
// the library that the signature's scheme publishes.
func TestCallbacks(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the whole population")
	}
	data := newData(t)
	server := start(t, data, "--allow-private-callbacks")
	var secrets struct {
		Token         string
		WebhookSecret string `json:"webhook_secret"`
	}
	made := throng(t, append([]string{"caller", "add", "listener", "--json", "--data", data}, allGrants()...)...)
	if err := json.Unmarshal([]byte(made), &secrets); err != nil || !strings.HasPrefix(secrets.WebhookSecret, "whsec_") {
		t.Fatalf("caller add --json printed %s: %v", made, err)
	}
	verifier, err := standardwebhooks.NewWebhook(secrets.WebhookSecret)
	if err != nil {
		t.Fatalf("read webhook secret: %v", err)
	}
	verify := func(t *testing.T, m message) {
		t.Helper()
		if err := verifier.Verify(m.body, m.header); err != nil {
			t.Errorf("signature: %v", err)
		}
		if err := verifier.Verify(append(bytes.Clone(m.body), ' '), m.header); err == nil {
			t.Error("the signature holds for another body, too")
		}
	}
	build := func(t *testing.T, url string) string {
		t.Helper()
		made := exchange(t, server, secrets.Token, http.MethodPost, "/platform/v0/audiences", "application/json", definition(`"callback_url":"`+url+`"`))
		return value(t, made, "response.id")
	}

	t.Run("delivered", func(t *testing.T) {
		url, messages := receiver(t, http.StatusNoContent)
		id := build(t, url)
		first := await(t, messages)
		verify(t, first)
		now := exchange(t, server, secrets.Token, http.MethodGet, "/platform/v0/audiences/"+id, "", "")
		if !bytes.Equal(first.body, now.body) {
			t.Errorf("callback = %s, want what GET answers: %s", first.body, now.body)
		}
		list := eventually(t, server, secrets.Token, "/platform/v0/callbacks?limit=1", "response.data.0.status", "delivered")
		if got := value(t, list, "response.data.0.attempts.0.http_status"); got != "204" {
			t.Errorf("attempt has status %s, want 204", got)
		}
		callback := value(t, list, "response.data.0.id")
		if got := value(t, list, "response.data.0.audience_id"); got != id {
			t.Errorf("callback is of audience %s, want %s", got, id)
		}

		replayed := exchange(t, server, secrets.Token, http.MethodPost, "/platform/v0/callbacks/"+callback+"/replay", "", "", "Idempotency-Key", "again")
		if got := value(t, replayed, "response.status"); got != "pending" {
			t.Errorf("replayed callback is %s, want pending", got)
		}
		second := await(t, messages)
		verify(t, second)
		if !bytes.Equal(first.body, second.body) || first.header.Get("Webhook-Id") != second.header.Get("Webhook-Id") {
			t.Errorf("replayed callback is %s %s, want %s %s", second.header.Get("Webhook-Id"), second.body, first.header.Get("Webhook-Id"), first.body)
		}
		eventually(t, server, secrets.Token, "/platform/v0/callbacks/"+callback, "response.attempts.len", "2")
		again := exchange(t, server, secrets.Token, http.MethodPost, "/platform/v0/callbacks/"+callback+"/replay", "", "", "Idempotency-Key", "again")
		if !bytes.Equal(again.body, replayed.body) {
			t.Errorf("repeated replay answers %s, want %s", again.body, replayed.body)
		}
	})

	t.Run("tried again", func(t *testing.T) {
		url, messages := receiver(t, http.StatusServiceUnavailable, http.StatusOK)
		build(t, url)
		first, second := await(t, messages), await(t, messages)
		verify(t, second)
		if first.header.Get("Webhook-Id") != second.header.Get("Webhook-Id") || !bytes.Equal(first.body, second.body) {
			t.Error("the second attempt is another message")
		}
		list := eventually(t, server, secrets.Token, "/platform/v0/callbacks?limit=1", "response.data.0.status", "delivered")
		for path, want := range map[string]string{"attempts.len": "2", "attempts.0.http_status": "503", "attempts.1.http_status": "200", "attempts.1.error": "null", "next_attempt_at": "null"} {
			if got := value(t, list, "response.data.0."+path); got != want {
				t.Errorf("%s = %s, want %s", path, got, want)
			}
		}
	})

	t.Run("gone", func(t *testing.T) {
		url, messages := receiver(t, http.StatusGone)
		build(t, url)
		await(t, messages)
		list := eventually(t, server, secrets.Token, "/platform/v0/callbacks?limit=1", "response.data.0.status", "failed")
		if got := value(t, list, "response.data.0.attempts.len"); got != "1" {
			t.Errorf("after 410 there are %s attempts, want 1", got)
		}
	})

	t.Run("wrong status", func(t *testing.T) {
		got := exchange(t, server, secrets.Token, http.MethodGet, "/platform/v0/callbacks?status=lost", "", "")
		if got.status != http.StatusBadRequest || value(t, got, "error.details.0.path") != "status" {
			t.Errorf("GET /callbacks?status=lost = %d %s, want 400 of status", got.status, got.body)
		}
	})
}

// TestPrivateCallbacksRefused makes sure that a server that was not told
// otherwise calls nothing in its own network.
func TestPrivateCallbacksRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the whole population")
	}
	data := newData(t)
	server := start(t, data)
	_, token := addCaller(t, server, data, "listener", allGrants()...)
	url, messages := receiver(t, http.StatusOK)
	as := func(host string) string { return strings.Replace(url, "127.0.0.1", host, 1) }
	for _, test := range []struct {
		url      string
		warnings string // how many
	}{
		{url, "1"},
		{as("localhost"), "1"},
		{as("LOCALHOST."), "1"},
		{as("[::1]"), "1"},
		{as("[::ffff:127.0.0.1]"), "1"},
		{as("2130706433"), "1"},
		{as("0x7f.1"), "1"},
		{as("0177.0.0.1"), "1"},
		{as("127.1"), "1"},
		{as("１２７.0.0.1"), "1"},
		{as("example.com@127.0.0.1"), "1"},
		{as("[64:ff9b::7f00:1]"), "1"},
		{as("0.0.0.0"), "1"},
		{"http://169.254.169.254/latest/meta-data/", "1"},
		{"http://100.64.0.1/", "1"},
	} {
		made := exchange(t, server, token, http.MethodPost, "/platform/v0/audiences", "application/json", definition(`"callback_url":"`+test.url+`"`))
		eventually(t, server, token, "/platform/v0/callbacks?limit=1", "response.data.0.audience_id", value(t, made, "response.id"))
		list := eventually(t, server, token, "/platform/v0/callbacks?limit=1", "response.data.0.status", "refused")
		if got := value(t, list, "response.data.0.url"); got != test.url {
			t.Errorf("refused callback is to %s, want %s", got, test.url)
		}
		if value(t, list, "response.data.0.attempts.0.http_status") != "null" || value(t, list, "response.data.0.attempts.0.error") == "null" {
			t.Errorf("attempt has a status or no error: %s", list.body)
		}
		a := exchange(t, server, token, http.MethodGet, "/platform/v0/audiences/"+value(t, made, "response.id"), "", "")
		if got := value(t, a, "response.warnings.len"); got != test.warnings {
			t.Errorf("callback to %s gives %s warnings, want %s: %s", test.url, got, test.warnings, a.body)
		}
		deleteAudience(t, server, token, value(t, made, "response.id"))
	}
	select {
	case <-messages:
		t.Error("a private address was called")
	default:
	}
}

func deleteAudience(t *testing.T, server *process, token, id string) {
	t.Helper()
	if got := exchange(t, server, token, http.MethodDelete, "/platform/v0/audiences/"+id, "", ""); got.status != http.StatusOK {
		t.Errorf("DELETE audience = %d %s, want 200", got.status, got.body)
	}
}
