package e2e

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func cmdGot(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: got NAME REGEXP")
	}
	want, err := regexp.Compile("^(?:" + args[1] + ")$")
	ts.Check(err)
	if got := last(ts).got.Get(args[0]); want.MatchString(got) == neg {
		ts.Fatalf("header %s is %q, want %s (not: %v)", args[0], got, args[1], neg)
	}
}

func cmdKeep(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: keep VAR PATH")
	}
	got, err := lookup(last(ts).body, args[1])
	if err != nil {
		ts.Fatalf("%s: %v\n%s", args[1], err, last(ts).body)
	}
	ts.Setenv(args[0], got)
}

func cmdRefused(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: refused CODE [PATH...]")
	}
	var said struct {
		Error *struct {
			Code    string
			Details []detail
		}
	}
	ts.Check(json.Unmarshal(last(ts).body, &said))
	if said.Error == nil || said.Error.Code != args[0] {
		ts.Fatalf("want an error %s, not\n%s", args[0], last(ts).body)
	}
	paths := []string{}
	for _, d := range said.Error.Details {
		paths = append(paths, d.Path)
	}
	if !slices.Equal(paths, args[1:]) {
		ts.Fatalf("details are of %q, want %q", paths, args[1:])
	}
}

func cmdSame(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: same FILE")
	}
	if want := ts.ReadFile(args[0]); (string(last(ts).body) == want) == neg {
		ts.Fatalf("the answer has %d bytes, %s %d; same: %v", len(last(ts).body), args[0], len(want), neg)
	}
}

func cmdSaved(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: saved FILE")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), last(ts).body, 0o600))
}

func cmdGzip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: gzip FILE")
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write([]byte(ts.ReadFile(args[0])))
	ts.Check(err)
	ts.Check(w.Close())
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), packed.Bytes(), 0o600))
}

func cmdGunzip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: gunzip FILE")
	}
	r, err := gzip.NewReader(bytes.NewReader([]byte(ts.ReadFile(args[0]))))
	ts.Check(err)
	plain, err := io.ReadAll(r)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), plain, 0o600))
}

func cmdPut(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: put URL FILE")
	}
	sendTo(ts, http.MethodPut, args[0], strings.NewReader(ts.ReadFile(args[1])))
}

func cmdFetch(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: fetch URL")
	}
	sendTo(ts, http.MethodGet, args[0], http.NoBody)
}

// sendTo speaks to an address, which needs no token.
func sendTo(ts *testscript.TestScript, method, address string, body io.Reader) {
	req, err := http.NewRequestWithContext(context.Background(), method, address, body)
	ts.Check(err)
	resp, err := http.DefaultTransport.RoundTrip(req)
	ts.Check(err)
	defer resp.Body.Close()
	a := last(ts)
	a.status, a.got = resp.StatusCode, resp.Header
	a.body, err = io.ReadAll(resp.Body)
	ts.Check(err)
	ts.Logf("%d\n%s", a.status, a.body)
}

func cmdMD5(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: md5 VAR FILE")
	}
	sum := md5.Sum([]byte(ts.ReadFile(args[1])))
	ts.Setenv(args[0], hex.EncodeToString(sum[:]))
}

func cmdSum(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sum VAR FILE")
	}
	sum := sha256.Sum256([]byte(ts.ReadFile(args[1])))
	ts.Setenv(args[0], hex.EncodeToString(sum[:]))
}

// cmdReported waits until a report ends.
func cmdReported(ts *testscript.TestScript, _ bool, args []string) {
	deadline := time.Now().Add(time.Minute)
	for {
		send(ts, http.MethodGet, "/platform/v0/audiences/"+args[0]+"/insight", nil)
		got, err := lookup(last(ts).body, "response.status")
		ts.Check(err)
		if got == args[1] {
			return
		}
		if got != "running" || time.Now().After(deadline) {
			ts.Fatalf("the insight of audience %s is %s, want %s\n%s", args[0], got, args[1], last(ts).body)
		}
		time.Sleep(5 * time.Millisecond) // between two polls, as a client would
	}
}

// cmdDelivered waits until a delivery ends.
func cmdDelivered(ts *testscript.TestScript, _ bool, args []string) {
	deadline := time.Now().Add(time.Minute)
	for {
		send(ts, http.MethodGet, "/platform/v0/audiences/"+args[0]+"/deliveries/"+args[1], nil)
		got, err := lookup(last(ts).body, "response.status")
		ts.Check(err)
		if got == args[2] {
			return
		}
		if got != "running" || time.Now().After(deadline) {
			ts.Fatalf("delivery %s is %s, want %s\n%s", args[1], got, args[2], last(ts).body)
		}
		time.Sleep(5 * time.Millisecond) // between two polls, as a client would
	}
}
