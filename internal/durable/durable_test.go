package durable

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// leftovers returns the names in dir that look like temporary files.
func leftovers(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, TempPattern))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "a")
	for _, data := range []string{"one", "", "three"} {
		if err := WriteFile(name, []byte(data)); err != nil {
			t.Fatalf("WriteFile = %v", err)
		}
		if got := read(t, name); got != data {
			t.Errorf("read %q, want %q", got, data)
		}
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("mode = %o, want 600", got)
	}
	if err := WriteFile(filepath.Join(dir, "absent", "a"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("WriteFile in an absent folder = %v, want ErrNotExist", err)
	}
	if err := WriteFile(dir, nil); err == nil {
		t.Error("WriteFile over a folder = nil, want an error")
	}
	if got := append(leftovers(t, dir), leftovers(t, filepath.Dir(dir))...); len(got) != 0 {
		t.Errorf("left over: %v", got)
	}
}

func TestWriter(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "a")
	if err := WriteFile(name, []byte("old")); err != nil {
		t.Fatal(err)
	}
	write := func() *Writer {
		w, err := Create(name)
		if err != nil {
			t.Fatalf("Create = %v", err)
		}
		if _, err := w.Write([]byte("new")); err != nil {
			t.Fatalf("Write = %v", err)
		}
		if got := read(t, name); got != "old" {
			t.Errorf("before Commit the file holds %q, want old", got)
		}
		return w
	}

	w := write()
	for range 2 {
		if err := w.Abort(); err != nil {
			t.Errorf("Abort = %v", err)
		}
	}
	if err := w.Commit(); err == nil {
		t.Error("Commit after Abort = nil, want an error")
	}
	if got := read(t, name); got != "old" {
		t.Errorf("after Abort the file holds %q, want old", got)
	}

	w = write()
	if err := w.Commit(); err != nil {
		t.Errorf("Commit = %v", err)
	}
	if got := read(t, name); got != "new" {
		t.Errorf("after Commit the file holds %q, want new", got)
	}
	if err := w.Commit(); err == nil {
		t.Error("second Commit = nil, want an error")
	}
	if err := w.Abort(); err != nil {
		t.Errorf("Abort after Commit = %v", err)
	}
	if _, err := w.Write(nil); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Write after Commit = %v, want ErrClosed", err)
	}
	if got := leftovers(t, dir); len(got) != 0 {
		t.Errorf("left over: %v", got)
	}
}

// A write that failed must not become a file with a hole.
func TestWriterFailedWrite(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a")
	w, err := Create(name)
	if err != nil {
		t.Fatal(err)
	}
	w.file.Close()
	if _, err := w.Write([]byte("x")); err == nil {
		t.Fatal("Write to a closed file = nil, want an error")
	}
	if err := w.Commit(); err == nil {
		t.Error("Commit after a failed Write = nil, want an error")
	}
	if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is there: %v", err)
	}
}

func TestCreateFile(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "a")
	var wg sync.WaitGroup
	var mu sync.Mutex
	var winners []string
	for data := range strings.FieldsSeq("a b c d e f g h") {
		wg.Go(func() {
			err := CreateFile(name, []byte(data))
			if err != nil && !errors.Is(err, fs.ErrExist) {
				t.Errorf("CreateFile = %v", err)
			}
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				winners = append(winners, data)
			}
		})
	}
	wg.Wait()
	if len(winners) != 1 || read(t, name) != winners[0] {
		t.Errorf("winners %v, file %q, want one and its data", winners, read(t, name))
	}
	if got := leftovers(t, dir); len(got) != 0 {
		t.Errorf("left over: %v", got)
	}
}

func TestMkdirAll(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, "a", "b", "c")
	for range 2 {
		if err := MkdirAll(deep); err != nil {
			t.Fatalf("MkdirAll = %v", err)
		}
	}
	for d := deep; d != dir; d = filepath.Dir(d) {
		info, err := os.Stat(d)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != 0o700 {
			t.Errorf("mode of %s = %o, want 700", d, got)
		}
	}
	file := filepath.Join(dir, "file")
	if err := WriteFile(file, nil); err != nil {
		t.Fatal(err)
	}
	if err := MkdirAll(file); !errors.Is(err, fs.ErrExist) {
		t.Errorf("MkdirAll over a file = %v, want ErrExist", err)
	}
	if err := MkdirAll(filepath.Join(file, "a")); err == nil {
		t.Error("MkdirAll below a file = nil, want an error")
	}
}

func TestRenameAndRemove(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "sub", "to")
	if err := WriteFile(from, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := MkdirAll(filepath.Dir(to)); err != nil {
		t.Fatal(err)
	}
	if err := Rename(from, to); err != nil {
		t.Errorf("Rename = %v", err)
	}
	if got := read(t, to); got != "x" {
		t.Errorf("renamed file holds %q, want x", got)
	}
	for range 2 {
		if err := Remove(to); err != nil {
			t.Errorf("Remove = %v", err)
		}
	}
	if _, err := os.Stat(to); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removed file: %v, want ErrNotExist", err)
	}
}

func TestLock(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	unlock, err := Lock(name)
	if err != nil {
		t.Fatalf("Lock = %v", err)
	}
	if _, err := Lock(name); !errors.Is(err, ErrLocked) {
		t.Errorf("second Lock = %v, want ErrLocked", err)
	}
	if err := unlock(); err != nil {
		t.Errorf("unlock = %v", err)
	}
	unlock, err = Lock(name)
	if err != nil {
		t.Fatalf("Lock after unlock = %v", err)
	}
	defer unlock()
}

// The lock of a process that is killed is free at once.
func TestLockOfKilledProcess(t *testing.T) {
	if name := os.Getenv("DURABLE_TEST_LOCK"); name != "" {
		if _, err := Lock(name); err != nil {
			os.Exit(3)
		}
		os.Stdout.WriteString("locked\n")
		select {} // until killed
	}
	name := filepath.Join(t.TempDir(), "lock")
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLockOfKilledProcess$")
	child.Env = append(os.Environ(), "DURABLE_TEST_LOCK="+name)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "locked\n" {
		t.Fatalf("child said %q, %v", line, err)
	}
	if _, err := Lock(name); !errors.Is(err, ErrLocked) {
		t.Errorf("Lock beside the child = %v, want ErrLocked", err)
	}
	child.Process.Kill()
	child.Wait()
	unlock, err := Lock(name)
	if err != nil {
		t.Fatalf("Lock after the child was killed = %v", err)
	}
	unlock()
}
