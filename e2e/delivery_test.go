package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"throng/client"
)

// deliveredDefinition is an audience of some ten thousand people.
const deliveredDefinition = `{"audience":{"name":"deliver"},"outputs":["ss_id","ma_id"],"parameters":[
	{"operation":"OR","affinities":{"affinities":[{"id":"a197"}]}}]}`

// deliveryState is what the API tells of a delivery.
type deliveryState struct {
	ID       int64
	Status   string
	Step     string
	RemoteID string `json:"remote_id"`
	Platform string
	Warnings []string
	Lists    []struct {
		Type string
		Rows int64
	}
	Sent []struct {
		Type, MD5, SHA256, Path string
		Rows, Bytes             int64
	}
	Error *struct {
		Message string
		Retry   bool
	}
}

func (d deliveryState) rows() (n int64) {
	for _, f := range d.Sent {
		n += f.Rows
	}
	return n
}

// sender is a data folder with an audience to be delivered.
type sender struct {
	data, token string
	audience    int64
	members     []byte // the audience's file of ma_id
}

// newSender builds an audience over the API and stops the server.
func newSender(t *testing.T) *sender {
	t.Helper()
	s := &sender{data: newData(t)}
	p := start(t, s.data)
	c, token := addCaller(t, p, s.data, "sender", allGrants()...)
	id, err := c.CreateAudience(t.Context(), []byte(deliveredDefinition))
	if err != nil {
		t.Fatalf("create audience: %v", err)
	}
	if a := waitDone(t, c, id); a.Status != "done" {
		t.Fatalf("audience = %+v", a)
	}
	s.token, s.audience, s.members = token, id, download(t, c, id, "ma_id", "text")
	p.stop(t)
	return s
}

// deliver runs the command, which is given secrets by the environment alone.
func (s *sender) deliver(t *testing.T, env []string, args ...string) (out, stderr string, err error) {
	t.Helper()
	args = append([]string{"deliver", fmt.Sprint(s.audience), "--data", s.data, "--name", "from e2e"}, args...)
	cmd := exec.CommandContext(context.Background(), binary, args...)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	cmd.Env = append(os.Environ(), env...)
	err = cmd.Run()
	return o.String(), e.String(), err
}

func decodeDelivery(t *testing.T, answer string) deliveryState {
	t.Helper()
	var envelope struct{ Response deliveryState }
	if err := json.Unmarshal([]byte(answer), &envelope); err != nil {
		t.Fatalf("read delivery %q: %v", answer, err)
	}
	return envelope.Response
}

// dropFiles holds a drop to its manifest and returns its distinct device ids by
// type.
func dropFiles(t *testing.T, dir string, d deliveryState) map[string]map[string]bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, d.RemoteID))
	if err != nil {
		t.Fatalf("read manifest: %v", err)
	}
	var m struct {
		Rows  int64
		Files []struct {
			Name, Type, SHA256 string
			Rows, Bytes        int64
		}
	}
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	found := map[string]map[string]bool{}
	rows := 0
	for _, f := range m.Files {
		text, err := os.ReadFile(filepath.Join(dir, filepath.Dir(d.RemoteID), f.Name))
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != f.SHA256 || int64(len(text)) != f.Bytes {
			t.Errorf("%s is not what the manifest says", f.Name)
		}
		ids := map[string]bool{}
		lines := bufio.NewScanner(bytes.NewReader(text))
		for lines.Scan() {
			ids[lines.Text()] = true
		}
		if int64(len(ids)) != f.Rows {
			t.Errorf("%s has %d distinct ids, the manifest says %d rows", f.Name, len(ids), f.Rows)
		}
		found[f.Type], rows = ids, rows+len(ids)
	}
	if int64(rows) != m.Rows || int64(rows) != d.rows() || rows == 0 {
		t.Errorf("%d ids have arrived, the manifest says %d, the delivery %d", rows, m.Rows, d.rows())
	}
	return found
}

// TestDeliverToDrop delivers by the command alone, and beside a server.
func TestDeliverToDrop(t *testing.T) {
	s, dir := newSender(t), filepath.Join(t.TempDir(), "drop")
	out, stderr, err := s.deliver(t, nil, "--to", "drop", "--drop", dir, "--ma-id-as", "gaid", "--json")
	if err != nil {
		t.Fatalf("throng deliver: %v\n%s", err, stderr)
	}
	alone := dropFiles(t, dir, decodeDelivery(t, out))
	// Every advertising id of the members is there, as what it is or as it was
	// ordered.
	ids := map[string]bool{}
	for _, typ := range []string{"idfa", "gaid"} {
		for id := range alone[typ] {
			ids[strings.ToLower(id)] = true
		}
	}
	members := strings.Fields(string(s.members))
	if len(ids) != len(members) {
		t.Errorf("%d advertising ids have arrived, the members have %d", len(ids), len(members))
	}
	for _, id := range members {
		if !ids[id] {
			t.Fatal("an advertising id of a member has not arrived")
		}
	}

	p := start(t, s.data, "--drop", dir)
	out, stderr, err = s.deliver(t, nil, "--to", "drop", "--drop", dir, "--ma-id-as", "gaid", "--json")
	if err != nil {
		t.Fatalf("throng deliver beside a server: %v\n%s", err, stderr)
	}
	beside := dropFiles(t, dir, decodeDelivery(t, out))
	if fmt.Sprint(lengths(alone)) != fmt.Sprint(lengths(beside)) {
		t.Errorf("alone %v arrived, beside a server %v", lengths(alone), lengths(beside))
	}
	var list struct{ Data []deliveryState }
	if err := client.New(p.URL, s.token).Get(t.Context(), fmt.Sprintf("/platform/v0/audiences/%d/deliveries", s.audience), &list); err != nil || len(list.Data) != 2 {
		t.Errorf("deliveries = %+v, %v, want 2", list, err)
	}
	out, stderr, err = s.deliver(t, nil, "--to", "drop", "--drop", dir)
	if err != nil || !strings.Contains(out, "devices; the receiver calls the audience") || !strings.Contains(stderr, "warning: ") {
		t.Errorf("throng deliver = %q, %q, %v", out, stderr, err)
	}
}

func lengths(sets map[string]map[string]bool) map[string]int {
	n := map[string]int{}
	for k, v := range sets {
		n[k] = len(v)
	}
	return n
}

func TestDeliverRefusals(t *testing.T) {
	s := newSender(t)
	secret := []string{"THRONG_DELIVER_ACCESS_KEY=visible-access-key", "THRONG_DELIVER_API_KEY=secret-api-key"}
	refuse := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"code":401,"message":"token is invalid","data":null}`)
	}))
	defer refuse.Close()
	for _, test := range []struct {
		name   string
		env    []string
		args   []string
		status int
		parts  []string
	}{
		{"no drop", nil, []string{"--to", "drop"}, 2, []string{"--drop DIR"}},
		{"no such place", nil, []string{"--to", "moon"}, 2, []string{"--to: must be mintegral or drop"}},
		{"no place", nil, nil, 2, []string{"--to"}},
		{"no secret", nil, []string{"--to", "mintegral"}, 2, []string{"--credentials: set THRONG_DELIVER_ACCESS_KEY and THRONG_DELIVER_API_KEY in the environment"}},
		{"private", secret, []string{"--to", "mintegral", "--endpoint", refuse.URL}, 2, []string{"endpoint: must not be a private address"}},
		{"wrong key", secret, []string{"--to", "mintegral", "--endpoint", refuse.URL, "--allow-private-callbacks"}, 1, []string{"code 401", "see whether the access key and the API key are right"}},
	} {
		out, stderr, err := s.deliver(t, test.env, test.args...)
		exit, ok := err.(*exec.ExitError) //nolint:errorlint // of Run, bare
		if !ok || exit.ExitCode() != test.status {
			t.Errorf("%s: %v, want exit status %d\n%s", test.name, err, test.status, stderr)
		}
		for _, part := range test.parts {
			if !strings.Contains(stderr, part) {
				t.Errorf("%s: %q, want %q in it", test.name, stderr, part)
			}
		}
		if strings.Contains(out+stderr, "secret-api-key") || strings.Contains(out+stderr, "visible-access-key") {
			t.Errorf("%s: a secret is told: %q", test.name, out+stderr)
		}
	}
}
