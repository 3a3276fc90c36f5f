package server

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"throng/client"
)

// BenchmarkMatch asks POST /offer/match over real HTTP, on 16 connections and
// with 100 devices in a question, of which the offer is for a half: as fast as
// it is answered, and at 2,000 requests a second. The offer's audience has
// THRONG_BENCH_DEVICES devices, 10 million unless that is set. Beside the
// requests a second it reports the median and the 99th percentile in ms, and the
// time of the cores that a request takes, of which what asks has its share.
func BenchmarkMatch(b *testing.B) {
	devices := 10_000_000
	if s := os.Getenv("THRONG_BENCH_DEVICES"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			b.Fatal(err)
		}
		devices = n
	}
	if testing.Short() {
		devices = min(devices, 100_000)
	}
	s, at := serving(b, Config{})
	made, err := s.AddCaller(b.Context(), "bidder", CallerSpec{})
	if err != nil {
		b.Fatal(err)
	}
	c := client.NewMintegral(at, made.AccessKey, made.APIKey)
	target(b, c, devices)
	bodies := questions(devices)
	for _, load := range []struct {
		name string
		rate int
	}{{"rate=all", 0}, {"rate=2000", 2000}} {
		b.Run(fmt.Sprintf("devices=%d/connections=16/ids=100/%s", devices, load.name), func(b *testing.B) {
			ask(b, at+"/api/open/v1/offer/match", made, bodies, load.rate)
		})
	}
}

// target makes an audience of so many devices, and an offer for it.
func target(b *testing.B, c *client.Mintegral, devices int) {
	b.Helper()
	ctx := b.Context()
	sum := md5.New()
	if _, err := io.Copy(sum, newIDs(devices)); err != nil {
		b.Fatal(err)
	}
	p, err := c.Presign(ctx, "gaid.txt", hex.EncodeToString(sum.Sum(nil)))
	if err != nil {
		b.Fatal(err)
	}
	if err := c.Put(ctx, p, newIDs(devices)); err != nil {
		b.Fatal(err)
	}
	begin := time.Now()
	id, err := c.Create(ctx, "many", 1, []client.DataPath{{DeviceType: 3, DataPath: p.S3.DataPath}})
	if err != nil {
		b.Fatal(err)
	}
	a, err := c.Wait(ctx, id, 50*time.Millisecond)
	if err != nil || a.Status != "ready" || *a.Devices != uint64(devices) {
		b.Fatalf("the audience is %+v, %v", a, err)
	}
	b.Logf("%d devices, create to ready in %v", devices, time.Since(begin).Round(time.Millisecond))
	if err := c.PutOffer(ctx, client.Offer{ID: 1, Include: []int64{id}}); err != nil {
		b.Fatal(err)
	}
}

// question is what is asked, and how many devices the offer is for.
type question struct {
	body   []byte
	wanted int
}

func questions(devices int) []question {
	list := make([]question, 256)
	for i := range list {
		var b bytes.Buffer
		b.WriteString(`{"offer_id":1,"devices":[`)
		for j := range 100 {
			n := (i*7919 + j*104_729) % devices
			if j%2 == 1 {
				n += devices // beyond those that are there
			}
			fmt.Fprintf(&b, `{"device_type":3,"id":"%s"},`, idOf(n))
		}
		b.Truncate(b.Len() - 1)
		b.WriteString("]}")
		list[i] = question{b.Bytes(), 50}
	}
	return list
}

// ask sends b.N questions on 16 connections: as fast as they are answered, or
// so many a second, each with its time counted from when it was due.
func ask(b *testing.B, to string, keys *Secrets, bodies []question, rate int) {
	const connections = 16
	transport := &http.Transport{MaxIdleConnsPerHost: connections}
	defer transport.CloseIdleConnections()
	took := make([][]time.Duration, connections)
	var next atomic.Int64
	var wg sync.WaitGroup
	spent := cpuTime()
	b.ResetTimer()
	start := time.Now()
	for i := range connections {
		wg.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				q := bodies[int(n)%len(bodies)]
				begin := time.Now()
				if rate > 0 {
					begin = start.Add(time.Duration(n) * time.Second / time.Duration(rate))
					time.Sleep(time.Until(begin)) // the load of so many a second
				}
				text, err := post(b.Context(), transport, to, keys, q.body)
				took[i] = append(took[i], time.Since(begin))
				if got := strings.Count(text, "true"); err != nil || got != q.wanted {
					b.Errorf("%d devices match, %v, want %d: %s", got, err, q.wanted, text)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	all := slices.Sorted(slices.Values(slices.Concat(took...)))
	if len(all) == 0 {
		return
	}
	ms := func(share float64) float64 { return all[int(share*float64(len(all)-1))].Seconds() * 1000 }
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
	b.ReportMetric(ms(0.5), "ms-median")
	b.ReportMetric(ms(0.99), "ms-p99")
	b.ReportMetric(float64((cpuTime()-spent).Microseconds())/float64(b.N), "cpu-µs/request")
}

// cpuTime is what this process has had of the cores.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// post sends a signed question, as an ad server would.
func post(ctx context.Context, via http.RoundTripper, to string, keys *Secrets, body []byte) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	req.Header.Set("access-key", keys.AccessKey)
	req.Header.Set("timestamp", stamp)
	req.Header.Set("token", sum(keys.APIKey+sum(stamp)))
	resp, err := via.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

// idOf is the n-th of a sequence of ids that look random.
func idOf(n int) string {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(n))
	h := md5.Sum(b[:])
	return string(appendUUID(nil, h[:]))
}

func appendUUID(dst, b []byte) []byte {
	for i, part := range [][]byte{b[:4], b[4:6], b[6:8], b[8:10], b[10:16]} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, part)
	}
	return dst
}

// idReader is a file of ids, with a header.
type idReader struct {
	n, of int
	left  []byte
}

func newIDs(of int) *idReader { return &idReader{of: of, left: []byte("gaid\n")} }

// Read implements io.Reader.
func (r *idReader) Read(p []byte) (int, error) {
	for len(r.left) == 0 {
		if r.n == r.of {
			return 0, io.EOF
		}
		r.left = append(r.left[:0], idOf(r.n)...)
		r.left = append(r.left, '\n')
		r.n++
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}
