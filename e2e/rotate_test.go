package e2e

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"throng/api/mintegral"
	"throng/internal/pgtest"
)

// TestRotate replaces every secret of a caller while a server runs.
func TestRotate(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the whole population")
	}
	t.Run("sqlite", func(t *testing.T) { testRotate(t) })
	t.Run("postgres", func(t *testing.T) { testRotate(t, "--database", pgtest.URL(t)) })
}

type rotated struct {
	Token         string
	AccessKey     string               `json:"access_key"`
	APIKey        string               `json:"api_key"`
	WebhookSecret string               `json:"webhook_secret"`
	OldEndsAt     map[string]time.Time `json:"old_ends_at"`
}

func testRotate(t *testing.T, settings ...string) {
	t.Helper()
	data := newData(t)
	settings = append(settings, "--data", data)
	server := start(t, data, append(settings, "--allow-private-callbacks")...)
	command := func(args ...string) (r rotated) {
		t.Helper()
		if err := json.Unmarshal([]byte(throng(t, append(append([]string{"caller"}, args...), settings...)...)), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	made := command(append([]string{"add", "listener", "--json"}, allGrants()...)...)

	// The token, at once, and the page's session with it.
	knows := func(token string, want int) {
		t.Helper()
		if got := exchange(t, server, token, http.MethodGet, "/platform/v0/credits", "", ""); got.status != want {
			t.Errorf("GET /credits = %d, want %d", got.status, want)
		}
	}
	b := newBrowser(t, server.URL)
	b.want("/login", url.Values{"token": {made.Token}}, http.StatusOK)
	token := strings.TrimSpace(throng(t, append([]string{"caller", "rotate", "listener", "--token"}, settings...)...))
	knows(made.Token, http.StatusUnauthorized)
	knows(token, http.StatusOK)
	b.want("/", nil, http.StatusUnauthorized)
	with := command("rotate", "listener", "--token", "--overlap", "1h", "--json")
	knows(token, http.StatusOK)
	knows(with.Token, http.StatusOK)
	if left := time.Until(with.OldEndsAt["token"]); left < 50*time.Minute || left > time.Hour || with.APIKey != "" || with.WebhookSecret != "" {
		t.Errorf("caller rotate --json = %+v, want a token and an hour", with)
	}

	// The API key, within 2 s.
	signed := func(apiKey string) string {
		t.Helper()
		stamp := strconv.FormatInt(time.Now().Unix(), 10)
		got := exchange(t, server, "", http.MethodGet, mintegral.Base+"/audience", "", "", "access-key", made.AccessKey, "timestamp", stamp, "token", md5Of(apiKey+md5Of(stamp)))
		return value(t, got, "code")
	}
	if got := signed(made.APIKey); got != "200" {
		t.Errorf("signed by the API key: %s, want 200", got)
	}
	key := command("rotate", "listener", "--api-key", "--json")
	if key.AccessKey != made.AccessKey {
		t.Errorf("access key = %q, want it to stay", key.AccessKey)
	}
	within(t, time.Minute, "the new API key is known, and the old one is not", func() bool { return signed(key.APIKey) == "200" && signed(made.APIKey) == "401" })

	// The webhook secret: both, then the newest alone.
	address, messages := receiver(t, http.StatusOK)
	verify := func(what string, secrets map[string]bool) {
		t.Helper()
		exchange(t, server, with.Token, http.MethodPost, "/platform/v0/audiences", "application/json", definition(`"callback_url":"`+address+`"`))
		m := await(t, messages)
		for secret, want := range secrets {
			v, err := standardwebhooks.NewWebhook(secret)
			if err != nil {
				t.Fatal(err)
			}
			if err := v.Verify(m.body, m.header); (err == nil) != want {
				t.Errorf("%s: Verify = %v, want it to hold: %t; signature %q", what, err, want, m.header.Get("Webhook-Signature"))
			}
		}
	}
	verify("before", map[string]bool{made.WebhookSecret: true})
	second := strings.TrimSpace(throng(t, append([]string{"caller", "rotate", "listener", "--webhook-secret"}, settings...)...))
	verify("in the overlap", map[string]bool{made.WebhookSecret: true, second: true})
	third := command("rotate", "listener", "--webhook-secret", "--overlap", "0s", "--json")
	verify("after it", map[string]bool{made.WebhookSecret: false, second: false, third.WebhookSecret: true})

	f := func(status int, args ...string) {
		t.Helper()
		_, err := run(append(append([]string{"caller", "rotate"}, args...), settings...)...)
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != status {
			t.Errorf("throng caller rotate %q = %v, want status %d", args, err, status)
		}
	}
	f(2, "listener")
	f(2, "listener", "--token", "--overlap", "-1s")
	f(2, "listener", "--token", "--overlap", "10000h")
	f(1, "nobody", "--token")
}
