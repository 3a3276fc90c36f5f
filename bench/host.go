package bench

import (
	"bufio"
	"bytes"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"time"

	"throng/engine/bitmap/kernel"
)

// started is when the process began, for machines without a better clock.
var started = time.Now()

// machine describes the one that this runs on, as far as it tells.
func machine() Machine {
	return Machine{
		OS: runtime.GOOS, Arch: runtime.GOARCH, Cores: runtime.GOMAXPROCS(0),
		CPU: procValue("/proc/cpuinfo", "model name"), Memory: procBytes("/proc/meminfo", "MemTotal"),
		Kernel: kernel.Name(),
	}
}

// procValue finds a value in a file of lines "name : value"; "" where there is
// none.
func procValue(file, name string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		if k, v, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// procBytes reads a value of so many kB.
func procBytes(file, name string) int64 {
	n, err := strconv.ParseInt(strings.TrimSuffix(procValue(file, name), " kB"), 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}

// commit is that of the source the program was built from, where it is known.
func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	revision, changed := "", ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				changed = "+changes"
			}
		}
	}
	if revision == "" {
		return ""
	}
	return revision + changed
}

// Samples of runtime/metrics.
const (
	heapLive   = "/memory/classes/heap/objects:bytes"
	heapTotal  = "/gc/heap/allocs:bytes"
	heapHeld   = "/memory/classes/total:bytes"
	heapGivenB = "/memory/classes/heap/released:bytes"
)

func readMetric(name string) uint64 {
	s := []metrics.Sample{{Name: name}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// memoryPeak watches how much memory Go holds, until stop, which gives the
// most that it was, and the most that was resident, mapped files included (0
// where the system does not tell).
func memoryPeak() (stop func() (held, resident int64)) {
	// Not every system lets a process forget its peak; then it is that of the
	// whole run, which is an upper bound.
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)
	done, ended := make(chan struct{}), make(chan struct{})
	var most uint64
	go func() {
		defer close(ended)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			most = max(most, readMetric(heapHeld)-readMetric(heapGivenB))
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	}()
	return sync.OnceValues(func() (int64, int64) {
		close(done)
		<-ended
		return int64(most), procBytes("/proc/self/status", "VmHWM")
	})
}
