package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"throng/api/mintegral"
	"throng/internal/pgtest"
	"throng/internal/s3test"
)

// TestScripts runs the contracts of the API: every script speaks to a server
// of its own kind of data with a caller who may do everything.
//
// Beside testscript's own commands:
//
//	api METHOD PATH [FILE]     send a request; the answer is kept
//	header NAME VALUE          send this header with the next requests; "" ends it
//	got NAME REGEXP            a header of the last answer
//	status CODE                the last answer's HTTP status
//	like [-more] FILE          the last answer has the shape of FILE: same keys in the same
//	                           order, same texts; numbers may differ. -more: it may have more keys
//	json PATH WANT             a value of the last answer, as in response.data.0.id
//	keep VAR PATH              put a value of the last answer into a variable
//	refused CODE [PATH...]     the last answer is an error of this code with details of these paths
//	same FILE                  the last answer's body is this file, byte for byte
//	saved FILE                 write the last answer's body to a file
//	gzip FILE, gunzip FILE     pack or unpack a file in place
//	sum VAR FILE               put the SHA-256 of a file into a variable
//	reported ID STATUS         wait until the insight of an audience ends so
//	finish STATUS              wait until the audience just made ends so
//	delivered ID N STATUS      wait until a delivery of an audience ends so
//	people FILE                write the keys of some people
//	upload TYPE FILE           upload a file; $KEY is its key
//	replace FILE OLD NEW       replace text in a file
//	put URL FILE               send a file to an address, as a client without a token does
//	fetch URL                  read from an address, as a client without a token does
//	md5 VAR FILE               put the MD5 of a file into a variable
//	caller NAME [FLAG...]      make a caller and be it from now on
//
// The condition [bucket] holds where files are kept in one.
//
// Paths of the Mintegral API are signed with the caller's keys:
//
//	code CODE [PATH...]        the last answer has HTTP's 200 and this code, and details of these paths
//	sent VAR FILE [NAME]       have an upload pre-signed and send the file; VAR is its data_path
//	become STATUS ID           wait until a device audience stands so; it is the only one of the answer
//	soon CODE METHOD PATH      send a request until it is answered so, within 2 s
func TestScripts(t *testing.T) {
	if testing.Short() {
		t.Skip("the scripts need the whole population")
	}
	data := newData(t)
	server := start(t, data, "--drop", filepath.Join(t.TempDir(), "drop"))
	for _, dir := range []string{"testdata/vendor", "testdata/api", "testdata/mintegral"} {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			testscript.Run(t, scripts(testscript.Params{Dir: dir}, data, server, nil))
		})
	}
}

// TestScriptsBucket runs those that are about files beside a bucket, some of
// them with PostgreSQL, too.
func TestScriptsBucket(t *testing.T) {
	if testing.Short() {
		t.Skip("the scripts need the whole population")
	}
	f := func(t *testing.T, names []string, settings ...string) {
		t.Helper()
		settings = append(settings, "--blobs", s3test.URL(t))
		data := newData(t)
		server := start(t, data, settings...)
		var files []string
		for _, name := range names {
			files = append(files, filepath.Join("testdata", name+".txtar"))
		}
		testscript.Run(t, scripts(testscript.Params{Files: files}, data, server, settings))
		if entries, err := os.ReadDir(filepath.Join(data, "blobs")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("there are files beside the bucket: %v, %v", entries, err)
		}
	}
	t.Run("sqlite", func(t *testing.T) {
		f(t, []string{
			"api/files", "api/outputs", "api/presign", "api/uploads",
			"mintegral/create", "mintegral/incoming", "mintegral/offer", "mintegral/delete",
		})
	})
	t.Run("postgres", func(t *testing.T) {
		f(t, []string{"api/outputs", "api/presign", "api/insight", "api/clusters", "api/expand", "mintegral/create", "mintegral/offer"}, "--database", pgtest.URL(t))
	})
}

// scripts fills in what scripts need to speak to a server; commands beside it
// are given its settings.
func scripts(p testscript.Params, data string, server *process, settings []string) testscript.Params {
	p.Setup = func(e *testscript.Env) error {
		name := "caller of " + strings.ReplaceAll(filepath.Base(e.WorkDir), "script-", "")
		made, err := newCaller(data, slices.Concat([]string{name}, settings, allGrants())...)
		if err != nil {
			return err
		}
		e.Setenv("URL", server.URL)
		e.Setenv("DATA", data)
		made.into(e.Setenv)
		e.Setenv("PATH", filepath.Dir(binary)+string(os.PathListSeparator)+e.Getenv("PATH"))
		e.Values[answerKey{}] = &answer{header: http.Header{}, settings: settings}
		return nil
	}
	p.Condition = func(name string) (bool, error) {
		if name != "bucket" {
			return false, fmt.Errorf("unknown condition %s", name)
		}
		return slices.Contains(settings, "--blobs"), nil
	}
	p.Cmds = map[string]func(*testscript.TestScript, bool, []string){
		"api": cmdAPI, "header": cmdHeader, "status": cmdStatus, "like": cmdLike, "json": cmdJSON, "finish": cmdFinish,
		"people": cmdPeople, "upload": cmdUpload, "replace": cmdReplace, "caller": cmdCaller, "saved": cmdSaved,
		"got": cmdGot, "keep": cmdKeep, "refused": cmdRefused, "same": cmdSame, "gzip": cmdGzip, "gunzip": cmdGunzip, "sum": cmdSum,
		"put": cmdPut, "fetch": cmdFetch, "md5": cmdMD5, "delivered": cmdDelivered, "reported": cmdReported, "code": cmdCode, "sent": cmdSent, "become": cmdBecome, "soon": cmdSoon,
	}
	return p
}

// answer is what a script knows of its last request.
type answer struct {
	header   http.Header // sent with each request
	settings []string    // of the server
	status   int
	got      http.Header
	body     []byte
}

type answerKey struct{}

func last(ts *testscript.TestScript) *answer { return ts.Value(answerKey{}).(*answer) }

func cmdAPI(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: api METHOD PATH [FILE]")
	}
	var body []byte
	if len(args) == 3 {
		body = []byte(ts.ReadFile(args[2]))
	}
	send(ts, args[0], args[1], body)
	ts.Logf("%d\n%s", last(ts).status, last(ts).body)
}

// send carries out a request and holds it, and the answer, to the document.
func send(ts *testscript.TestScript, method, path string, body []byte) {
	a := last(ts)
	req, err := http.NewRequestWithContext(context.Background(), method, ts.Getenv("URL")+path, bytes.NewReader(body))
	ts.Check(err)
	req.Header = a.header.Clone()
	if strings.HasPrefix(path, mintegral.Base) {
		sign(ts, req)
	} else if ts.Getenv("TOKEN") != "" {
		req.Header.Set("Authorization", "Bearer "+ts.Getenv("TOKEN"))
	}
	if body != nil && req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if req.Header.Get("Accept-Encoding") == "" { // else the transport asks for gzip on its own
		req.Header.Set("Accept-Encoding", "identity")
	}
	got, err := roundTrip(req, body)
	a.status, a.got, a.body = got.status, got.header, got.body
	if err != nil {
		ts.Fatalf("%s %s: %v\n%s", method, path, err, a.body)
	}
}

// roundTrip sends a request and holds the exchange to the document.
func roundTrip(req *http.Request, body []byte) (exchanged, error) {
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return exchanged{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	got := exchanged{resp.StatusCode, resp.Header, text}
	if err != nil {
		return got, err
	}
	if err := holdToDocument(req, body, resp, text); err != nil {
		return got, fmt.Errorf("not as the OpenAPI document says: %w", err)
	}
	return got, nil
}

func cmdHeader(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: header NAME VALUE")
	}
	if last(ts).header.Set(args[0], args[1]); args[1] == "" {
		last(ts).header.Del(args[0])
	}
}

func cmdStatus(ts *testscript.TestScript, _ bool, args []string) {
	if want := args[0]; strconv.Itoa(last(ts).status) != want {
		ts.Fatalf("status %d, want %s\n%s", last(ts).status, want, last(ts).body)
	}
}

func cmdLike(ts *testscript.TestScript, _ bool, args []string) {
	more := args[0] == "-more"
	want := ts.ReadFile(args[len(args)-1])
	got, err := parseOrdered(last(ts).body)
	ts.Check(err)
	wanted, err := parseOrdered([]byte(want))
	ts.Check(err)
	if diff := unlike(wanted, got, more, "$"); diff != "" {
		ts.Fatalf("%s\n%s", diff, last(ts).body)
	}
}

func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: json PATH WANT")
	}
	got, err := lookup(last(ts).body, args[0])
	if err != nil {
		ts.Fatalf("%s: %v\n%s", args[0], err, last(ts).body)
	}
	if (got == args[1]) == neg {
		ts.Fatalf("%s is %s, want %s (not: %v)", args[0], got, args[1], neg)
	}
}

// lookup gives a value as text: strings bare, everything else as JSON; len is
// the length of a list.
func lookup(body []byte, path string) (string, error) {
	var v any
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return "", err
	}
	for key := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			next, ok := x[key]
			if !ok {
				return "", fmt.Errorf("no key %q", key)
			}
			v = next
		case []any:
			if key == "len" {
				return strconv.Itoa(len(x)), nil
			}
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(x) {
				return "", fmt.Errorf("no element %q of %d", key, len(x))
			}
			v = x[i]
		default:
			return "", fmt.Errorf("nothing below %q", key)
		}
	}
	if s, ok := v.(string); ok {
		return s, nil
	}
	text, err := json.Marshal(v)
	return string(text), err
}

func cmdFinish(ts *testscript.TestScript, _ bool, args []string) {
	id, err := lookup(last(ts).body, "response.id")
	ts.Check(err)
	ts.Setenv("ID", id)
	deadline := time.Now().Add(time.Minute)
	for {
		send(ts, http.MethodGet, "/platform/v0/audiences/"+id, nil)
		got, err := lookup(last(ts).body, "response.status")
		ts.Check(err)
		if got == args[0] {
			return
		}
		if got != "running" || time.Now().After(deadline) {
			ts.Fatalf("audience %s is %s, want %s\n%s", id, got, args[0], last(ts).body)
		}
		time.Sleep(5 * time.Millisecond) // between two polls, as a client would
	}
}

func cmdPeople(ts *testscript.TestScript, _ bool, args []string) {
	send(ts, http.MethodPost, "/platform/v0/audiences", []byte(`{"audience":{"name":"some people"},"outputs":[],"parameters":[{"operation":"OR","affinities":{"affinities":[{"id":"a759"}]}}]}`))
	cmdFinish(ts, false, []string{"done"})
	send(ts, http.MethodGet, "/platform/v0/audiences/"+ts.Getenv("ID")+"/outputs/ss_id", nil)
	lines := strings.SplitAfterN(string(last(ts).body), "\n", 501)
	text := strings.Join(lines[:min(500, len(lines)-1)], "")
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

func cmdUpload(ts *testscript.TestScript, _ bool, args []string) {
	a := last(ts)
	old := a.header.Get("Content-Type")
	a.header.Set("Content-Type", "text/plain")
	send(ts, http.MethodPost, "/platform/v0/uploads?"+url.Values{"type": {args[0]}}.Encode(), []byte(ts.ReadFile(args[1])))
	if a.header.Set("Content-Type", old); old == "" {
		a.header.Del("Content-Type")
	}
	cmdStatus(ts, false, []string{"200"})
	key, err := lookup(a.body, "response.key")
	ts.Check(err)
	ts.Setenv("KEY", key)
}

func cmdReplace(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile(args[0])
	if !strings.Contains(text, args[1]) {
		ts.Fatalf("%s does not hold %s", args[0], args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.ReplaceAll(text, args[1], args[2])), 0o600))
}

func cmdCaller(ts *testscript.TestScript, _ bool, args []string) {
	made, err := newCaller(ts.Getenv("DATA"), slices.Concat(last(ts).settings, args)...)
	ts.Check(err)
	made.into(ts.Setenv)
}
