package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"throng/client"
)

// TestServersIdempotency sends the same request with the same key to two servers
// at the same moment, many times: it is carried out once, and both answer alike.
func TestServersIdempotency(t *testing.T) {
	c := newCluster(t)
	atA, atB := c.folder(), c.folder()
	c.must(atA, "load", smallDataset(t))
	token := c.caller(atA, "twice")
	c.must(atA, "caller", "set", "twice", "--builds", "1000")
	a, b := c.start(atA), c.start(atB)
	within(t, 5*time.Second, "the generation at the second server", func() bool {
		code, _ := b.get(t, "/readyz")
		return code == http.StatusOK
	})
	const rounds, each = 12, 3
	for path, text := range map[string]string{"/audiences": crashDefinition, "/uploads?type=md5": "0123456789abcdef0123456789abcdef\n"} {
		for round := range rounds {
			body := text
			if strings.HasPrefix(path, "/uploads") { // whose key is that of their bytes
				body += fmt.Sprintf("%032x\n", round)
			}
			answers := make([]string, 2*each)
			begin := make(chan struct{})
			var wg sync.WaitGroup
			for i := range answers {
				at := []*process{a, b}[i%2]
				wg.Go(func() {
					<-begin
					answers[i] = post(t.Context(), at.URL+"/platform/v0"+path, token, fmt.Sprint("key-", round), body)
				})
			}
			close(begin)
			wg.Wait()
			for _, got := range answers {
				if got != answers[0] || !strings.HasPrefix(got, "20") {
					t.Fatalf("%s, round %d: answers\n%s\nwant the same for all, and no failure", path, round, strings.Join(answers, "\n"))
				}
			}
		}
	}
	for what, query := range map[string]string{
		"audiences": `SELECT COUNT(*) FROM audiences`, "uploads": `SELECT COUNT(*) FROM uploads`,
		"credits spent": `SELECT 1000 - builds FROM callers WHERE name = 'twice'`, "builds ordered": `SELECT COUNT(*) FROM jobs WHERE kind = 'build'`,
	} {
		if n := c.ask(query); n != rounds {
			t.Errorf("%d %s, want one for each of %d keys", n, what, rounds)
		}
	}
	if n := c.ask(`SELECT COUNT(*) FROM jobs WHERE kind = 'sweep' AND state IN ('queued', 'running')`); n != 1 {
		t.Errorf("%d sweeps are due for two servers, want 1", n)
	}
}

// post sends a request with an idempotency key and tells status and answer.
func post(ctx context.Context, address, token, key, body string) string {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Idempotency-Key", key)
	req.Header.Set("Content-Type", "application/json")
	if strings.Contains(address, "/uploads") {
		req.Header.Set("Content-Type", "text/plain")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d %s", resp.StatusCode, text)
}

// TestServersShareState uses at one server what was made at the other.
func TestServersShareState(t *testing.T) {
	c := newCluster(t)
	atA, atB := c.folder(), c.folder()
	c.must(atA, "load", smallDataset(t))
	var made struct {
		Token     string `json:"token"`
		AccessKey string `json:"access_key"`
		APIKey    string `json:"api_key"`
	}
	if err := json.Unmarshal([]byte(c.must(atA, append([]string{"caller", "add", "state", "--json"}, allGrants()...)...)), &made); err != nil {
		t.Fatal(err)
	}
	token := made.Token
	a, b := c.start(atA), c.start(atB)
	atOther := client.New(b.URL, token)
	within(t, 5*time.Second, "the generation at the second server", func() bool { return size(t, atOther) > 0 })

	// An upload made at A is a criterion at B.
	upload, err := client.New(a.URL, token).Upload(t.Context(), "md5", "list.txt", strings.NewReader("0123456789abcdef0123456789abcdef\n"))
	if err != nil {
		t.Fatal(err)
	}
	definition := fmt.Sprintf(`{"audience":{"name":"x"},"parameters":[{"operation":"OR","upload":{"type":"md5","keys":[%q]}}]}`, upload.Key)
	if _, err := atOther.Preview(t.Context(), []byte(definition)); err != nil {
		t.Errorf("preview at the other server of an upload made at one: %v", err)
	}
	// So is a file sent to an address that A gave.
	address := a.presign(t, token, "")
	if code, err := put(t.Context(), address.URL, strings.NewReader("0123456789abcdef0123456789abcdef\n"), 33); err != nil || code != http.StatusOK {
		t.Fatalf("PUT = %d, %v", code, err)
	}
	var u struct{ Rows uint64 }
	b.request(t, token, "/uploads?type=md5&path="+strings.ReplaceAll(address.Path, ":", "%3A"), nil, &u)
	if u.Rows != 1 {
		t.Errorf("the file sent to an address of the one has %d rows at the other, want 1", u.Rows)
	}
	// An address for reading that A gives leads to the bucket; B gives one as well.
	done := c.build(atOther)
	for name, p := range map[string]*process{"one": a, "other": b} {
		got := exchange(t, p, token, http.MethodGet, fmt.Sprintf("/platform/v0/audiences/%d/outputs/ss_id/address", done.ID), "", "")
		if got.status != http.StatusOK {
			t.Errorf("address at the %s = %d %s", name, got.status, got.body)
		}
	}
	// Whoever signed in at A is signed in at B, and signs out there.
	cookie := login(t, a, token)
	if code := page(t, b, cookie); code != http.StatusOK {
		t.Errorf("the page at the other server with the cookie of the one = %d, want 200", code)
	}
	// Who is revoked at one is refused at both within 2 s, in every way to come in.
	keys := client.NewMintegral(b.URL, made.AccessKey, made.APIKey)
	if _, err := keys.List(t.Context(), nil); err != nil {
		t.Errorf("list at the other server with an access key made at one: %v", err)
	}
	c.must(atA, "caller", "revoke", "state")
	within(t, 2*time.Second, "the revocation of the access key", func() bool {
		_, err := keys.List(t.Context(), nil)
		return err != nil
	})
	for name, p := range map[string]*process{"one": a, "other": b} {
		within(t, 2*time.Second, "the revocation at the "+name, func() bool {
			return exchange(t, p, token, http.MethodGet, "/platform/v0/credits", "", "").status == http.StatusUnauthorized &&
				page(t, p, cookie) == http.StatusUnauthorized
		})
	}
}

// login signs in and returns the cookie.
func login(t testing.TB, p *process, token string) *http.Cookie {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.URL+"/login", strings.NewReader("token="+token))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if len(resp.Cookies()) != 1 {
		t.Fatalf("login = %d, want one cookie", resp.StatusCode)
	}
	return resp.Cookies()[0]
}

func page(t testing.TB, p *process, cookie *http.Cookie) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL+"/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.AddCookie(cookie)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}
