package mintegral

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"throng/delivery"
	"throng/delivery/deliverytest"
	"throng/identifier"
	"throng/internal/hexkey"
)

// counting is a list of made-up GAIDs that is nowhere.
func counting(rows int64) delivery.List {
	return delivery.List{Type: identifier.GAID, Rows: rows, Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(&counter{rows: rows}), nil
	}}
}

type counter struct {
	n, rows int64
	left    []byte
	line    []byte
}

// Read implements io.Reader.
func (c *counter) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if len(c.left) == 0 {
			if c.n == c.rows {
				return n, io.EOF
			}
			c.n++
			x := uint64(c.n) * 0x9e3779b97f4a7c15
			c.line = append(hexkey.Key{Hi: x, Lo: ^x}.AppendUUID(c.line[:0]), '\n')
			c.left = c.line
		}
		k := copy(p[n:], c.left)
		n, c.left = n+k, c.left[k:]
	}
	return n, nil
}

// BenchmarkSend brings a list up to a receiver that forgets it.
func BenchmarkSend(b *testing.B) {
	for _, rows := range []int64{1e5, 1e6} {
		b.Run(fmt.Sprintf("rows=%.0e", float64(rows)), func(b *testing.B) {
			s := forgetful(b)
			var sent int64
			for b.Loop() {
				sent = sendAll(b, s, rows)
			}
			b.SetBytes(37 * rows)
			b.ReportMetric(float64(sent)/1e6, "MB-sent")
		})
	}
}

// forgetful answers as the API does, and keeps nothing.
func forgetful(t testing.TB) *httptest.Server {
	var url string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/bucket":
			io.Copy(io.Discard, r.Body)
		case r.Method == http.MethodPost:
			io.WriteString(w, `{"code":200,"data":{"ta_id":1}}`)
		case r.URL.Query().Has("file_md5"):
			fmt.Fprintf(w, `{"code":200,"data":{"s3":{"method":"PUT","url":"%s/bucket","data_path":"s3://b/x"}}}`, url)
		default:
			io.WriteString(w, `{"code":200,"data":{"list":[]}}`)
		}
	}))
	url = s.URL
	t.Cleanup(s.Close)
	return s
}

func sendAll(t testing.TB, s *httptest.Server, rows int64) (sent int64) {
	t.Helper()
	k := New(Config{AllowPrivate: true})
	defer k.Close()
	o := deliverytest.NewOrder()
	o.Endpoint = s.URL
	d, err := k.Open(o, testSecret)
	if err != nil {
		t.Fatal(err)
	}
	var state json.RawMessage
	for {
		res, err := d.Step(t.Context(), []delivery.List{counting(rows)}, state)
		if err != nil {
			t.Fatal(err)
		}
		if state = res.State; res.Done {
			return res.Sent[0].Bytes
		}
	}
}

// A list of any length goes up in the same little memory.
func TestBoundedMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("sends 74 MB")
	}
	s := forgetful(t)
	sendAll(t, s, 1000)
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	var peak atomic.Uint64
	done, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak.Store(max(peak.Load(), m.HeapAlloc))
			}
		}
	}()
	sent := sendAll(t, s, 2_000_000)
	close(done)
	<-watched
	if grown := int64(peak.Load()) - int64(before.HeapAlloc); grown > 16<<20 {
		t.Errorf("sending %d MB took %d MiB of memory, want at most 16", sent>>20, grown>>20)
	} else {
		t.Logf("sent %d MB in %d KiB", sent>>20, grown>>10)
	}
}
