package silhouette_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"throng"
	"throng/identifier"
	"throng/service"
)

type deliveryAnswer struct {
	ID       int64
	Status   string
	RemoteID string `json:"remote_id"`
	Lists    []struct {
		Type string
		Rows int64
	}
	Sent []struct{ Type, SHA256, Path string }
}

func (s *site) delivered(path string, id int64) (d deliveryAnswer) {
	s.t.Helper()
	deadline, tick := time.After(20*time.Second), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for d.Status == "" || d.Status == "running" {
		s.get(fmt.Sprintf("%s/%d", path, id), &d)
		select {
		case <-tick.C:
		case <-deadline:
			s.t.Fatalf("delivery %d is still running", id)
		}
	}
	return d
}

func TestDeliveries(t *testing.T) {
	s := newSite(t, true)
	a := s.built(`{"audience":{"name":"n"},"parameters":[{"operation":"OR","age":{"ranges":["18-24","25-34"]}}]}`)
	path := fmt.Sprintf("/audiences/%d/deliveries", a.ID)
	const order = `{"to":"drop","name":"tea","ma_id_as":"gaid"}`
	first := s.send(s.token, "POST", path, order, "Idempotency-Key", "k")
	again := s.send(s.token, "POST", path, order, "Idempotency-Key", "k")
	if string(first.text) != string(again.text) {
		t.Errorf("with the same key: %s, then %s", first.text, again.text)
	}
	if r := s.send(s.token, "POST", path, `{"to":"drop","name":"other"}`, "Idempotency-Key", "k"); r.StatusCode != http.StatusConflict {
		t.Errorf("another body with the same key: %s %s", r.Status, r.text)
	}
	var made deliveryAnswer
	s.decode(first, &made)
	d := s.delivered(path, made.ID)
	if d.Status != "done" || len(d.Sent) != 1 || d.Sent[0].Type != "gaid" || d.Lists[0].Rows != 2 || d.RemoteID == "" {
		t.Errorf("delivery = %+v, want one file of two gaid", d)
	}
	var list struct{ Data []deliveryAnswer }
	s.get(path+"?limit=5", &list)
	if len(list.Data) != 1 || list.Data[0].ID != d.ID {
		t.Errorf("list = %+v, want delivery %d alone", list, d.ID)
	}

	types := []identifier.Type{identifier.MD5}
	grants := throng.Grants()
	other := s.add("other", service.CallerSettings{CanDownload: &types, Grants: &grants})
	one := fmt.Sprintf("%s/%d", path, d.ID)
	for _, test := range []struct {
		name, token, method, path, body string
		status                          int
		part                            string
	}{
		{"another caller's", other, "GET", one, "", 404, ""},
		{"another caller's list", other, "GET", path, "", 404, ""},
		{"another caller's audience", other, "POST", path, order, 404, ""},
		{"another caller's cancel", other, "POST", one + "/cancel", "", 404, ""},
		{"no token", "", "GET", one, "", 401, ""},
		{"no such", s.token, "GET", path + "/999", "", 404, "no delivery 999"},
		{"no number", s.token, "GET", path + "/x", "", 404, ""},
		{"of another audience", s.token, "GET", fmt.Sprintf("/audiences/999/deliveries/%d", d.ID), "", 404, ""},
		{"ended", s.token, "POST", one + "/cancel", "", 409, "not running"},
		{"no body", s.token, "POST", path, "", 400, ""},
		{"bad", s.token, "POST", path, `{"to":"moon","platform":"x","wait":true}`, 400, `"path":"platform"`},
		{"secrets", s.token, "POST", path, `{"to":"drop","name":"n","credentials":{"access_key":"visible-key","api_key":"secret-key"}}`, 400, `"path":"credentials"`},
		{"page", s.token, "GET", path + "?limit=0", "", 400, ""},
	} {
		r := s.send(test.token, test.method, test.path, test.body)
		if r.StatusCode != test.status || !strings.Contains(string(r.text), test.part) {
			t.Errorf("%s: %s %s, want %d with %q", test.name, r.Status, r.text, test.status, test.part)
		}
		if strings.Contains(string(r.text), "secret-key") || strings.Contains(string(r.text), "visible-key") {
			t.Errorf("%s: the answer tells a secret", test.name)
		}
	}
}

func TestCredentials(t *testing.T) {
	s := newSite(t, true)
	var list struct{ Data []struct{ Name string } }
	s.get("/credentials", &list)
	if len(list.Data) != 0 {
		t.Errorf("credentials = %+v, want none", list)
	}
	if r := s.send(s.token, "DELETE", "/credentials/main", ""); r.StatusCode != http.StatusNotFound {
		t.Errorf("delete of what is not there: %s %s", r.Status, r.text)
	}
}
