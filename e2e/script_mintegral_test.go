package e2e

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"throng/api/mintegral"
)

// secrets are what `throng caller add --json` prints.
type secrets struct {
	Token     string `json:"token"`
	AccessKey string `json:"access_key"`
	APIKey    string `json:"api_key"`
}

// newCaller makes a caller of a data folder.
func newCaller(data string, args ...string) (s secrets, err error) {
	out, err := run(append([]string{"caller", "add", "--json", "--data", data}, args...)...)
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal([]byte(out), &s)
}

// into puts them where requests take them from.
func (s secrets) into(setenv func(key, value string)) {
	setenv("TOKEN", s.Token)
	setenv("ACCESS_KEY", s.AccessKey)
	setenv("API_KEY", s.APIKey)
}

// sign signs a request as the vendor's documentation tells. Headers that a
// script sets itself stay.
func sign(ts *testscript.TestScript, req *http.Request) {
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	for name, value := range map[string]string{
		"access-key": ts.Getenv("ACCESS_KEY"), "timestamp": stamp, "token": md5Of(ts.Getenv("API_KEY") + md5Of(stamp)),
	} {
		if req.Header.Get(name) == "" {
			req.Header.Set(name, value)
		}
	}
}

func md5Of(text string) string {
	sum := md5.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

func cmdCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: code CODE [PATH...]")
	}
	var said struct {
		Code         int
		Message, Msg string
		Data         json.RawMessage
	}
	a := last(ts)
	ts.Check(json.Unmarshal(a.body, &said))
	if a.status != http.StatusOK || strconv.Itoa(said.Code) != args[0] || said.Message == "" || said.Msg != said.Message {
		ts.Fatalf("status %d, code %d, want 200, %s\n%s", a.status, said.Code, args[0], a.body)
	}
	if said.Code == http.StatusOK {
		return
	}
	var data struct{ Details []detail }
	ts.Check(json.Unmarshal(said.Data, &data))
	paths := []string{}
	for _, d := range data.Details {
		paths = append(paths, d.Path)
	}
	if !slices.Equal(paths, args[1:]) {
		ts.Fatalf("details are of %q, want %q\n%s", paths, args[1:], a.body)
	}
}

func cmdSent(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: sent VAR FILE [NAME]")
	}
	q := url.Values{"area_type": {"1"}, "file_name": {filepath.Base(args[len(args)-1])}, "file_md5": {md5Of(ts.ReadFile(args[1]))}}
	send(ts, http.MethodGet, mintegral.Base+"/audience/presigned-upload-data?"+q.Encode(), nil)
	cmdCode(ts, false, []string{"200"})
	to, err := lookup(last(ts).body, "data.s3.url")
	ts.Check(err)
	path, err := lookup(last(ts).body, "data.s3.data_path")
	ts.Check(err)
	cmdPut(ts, false, []string{to, args[1]})
	cmdStatus(ts, false, []string{"200"})
	ts.Setenv(args[0], path)
}

func cmdBecome(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: become STATUS ID")
	}
	for deadline := time.Now().Add(time.Minute); ; {
		send(ts, http.MethodGet, fmt.Sprintf("%s/audience?ta_ids=%s", mintegral.Base, args[1]), nil)
		got, err := lookup(last(ts).body, "data.list.0.status")
		ts.Check(err)
		if got == args[0] {
			return
		}
		if got != "processing" || time.Now().After(deadline) {
			ts.Fatalf("audience %s is %s, want %s\n%s", args[1], got, args[0], last(ts).body)
		}
		time.Sleep(5 * time.Millisecond) // between two polls, as a client would
	}
}

func cmdSoon(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: soon CODE METHOD PATH")
	}
	for deadline := time.Now().Add(2 * time.Second); ; time.Sleep(20 * time.Millisecond) { // as a client would ask again
		send(ts, args[1], args[2], nil)
		if got, err := lookup(last(ts).body, "code"); err == nil && got == args[0] {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("want code %s within 2 s\n%s", args[0], last(ts).body)
		}
	}
}
