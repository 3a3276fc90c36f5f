package service

import (
	"compress/gzip"
	"io"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"throng"
	"throng/identifier"
	"throng/internal/hexkey"
)

// gaids writes a gz file of distinct ids, and some of them again.
func gaids(w io.Writer, rows, repeat int) error {
	z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(1, 2))
	buf := []byte("gaid\n")
	for i := range rows {
		if i < rows-repeat || i == 0 {
			buf = hexkey.Key{Hi: rng.Uint64()&^0xf000 | 0x4000, Lo: rng.Uint64()>>2 | 1<<63}.AppendUUID(buf)
		} else {
			buf = append(buf, gaid2...)
		}
		if buf = append(buf, '\n'); len(buf) > 1<<20 || i == rows-1 {
			if _, err := z.Write(buf); err != nil {
				return err
			}
			buf = buf[:0]
		}
	}
	return z.Close()
}

// sendStream sends a file while it is written.
func (s *testService) sendStream(write func(io.Writer) error) string {
	s.t.Helper()
	in, token := s.presign("devices.txt.gz", "")
	r, w := io.Pipe()
	go func() { w.CloseWithError(write(w)) }()
	if _, err := s.Receive(s.t.Context(), token, -1, r); err != nil {
		s.t.Fatal(err)
	}
	return in.Path
}

func usage(t testing.TB) (cpu time.Duration, peak int64) {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), u.Maxrss << 10
}

// Ten million devices in one file are ready in less than 30 s on two cores,
// with less than 512 MiB.
func TestTenMillionDevices(t *testing.T) {
	if os.Getenv("THRONG_TEST_LONG") == "" {
		t.Skip("set THRONG_TEST_LONG=1 to read ten million devices")
	}
	const rows, repeated = 10_000_000, 1000
	s := withDevices(t)
	path := s.sendStream(func(w io.Writer) error { return gaids(w, rows, repeated) })
	file, err := s.received(t.Context(), s.caller, path)
	if err != nil {
		t.Fatal(err)
	}
	cpu, peak := usage(t)
	t.Logf("before: a file of %.0f MB, peak %d MiB", float64(file.Size)/1e6, peak>>20)
	start := time.Now()
	a, err := s.CreateDevices(t.Context(), s.caller, DeviceList{
		Name: "ten million", Platform: throng.Android, Files: []DeviceSource{{Type: identifier.GAID, Path: path}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for tick := time.Tick(20 * time.Millisecond); a.Status == throng.Running; <-tick {
		if a, err = s.DeviceAudience(t.Context(), s.caller, a.ID); err != nil {
			t.Fatal(err)
		}
	}
	elapsed := time.Since(start)
	after, peak := usage(t)
	t.Logf("create to ready: %.1f s, %.1f s of processors, peak %d MiB", elapsed.Seconds(), (after - cpu).Seconds(), peak>>20)
	s.wantDevices(a, throng.DeviceCounts{Rows: rows, Devices: rows - repeated + 1, Duplicate: repeated - 1, People: 1})
	// Where others use the processors, what it took of them counts.
	if elapsed > 30*time.Second && after-cpu > 25*time.Second {
		t.Errorf("ready after %v, want 30s at most", elapsed)
	}
	if peak > 512<<20 {
		t.Errorf("peak %d MiB, want 512 at most", peak>>20)
	}
	start = time.Now()
	s.wantInSet(a.ID, identifier.GAID, gaid2, true)
	t.Logf("the first question: %v", time.Since(start))
	start = time.Now()
	s.wantInSet(a.ID, identifier.GAID, maid6, false)
	t.Logf("the second question: %v", time.Since(start))
}
