package job

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"throng/sqldb"
)

// A process that is killed in the middle of a job: the next of its owner takes
// the job up at once; one that kills its process each time fails in the end.
func TestKilledProcess(t *testing.T) {
	if dir := os.Getenv("JOB_TEST_DIR"); dir != "" {
		runUntilKilled(dir)
	}
	dir := t.TempDir()
	db := openDB(t, sqldb.Config{Dir: dir})
	c := &clock{now: time.Now()}
	failed := make(chan error, 1)
	seen := make(chan Job, 1)
	kind := Kind{
		Name:   "k",
		Run:    func(_ context.Context, j Job) error { seen <- j; return nil },
		Failed: func(_ context.Context, _ *sqldb.Tx, _ Job, cause error) error { failed <- cause; return nil },
	}
	reader := newRunner(t, db, c)
	survives := enqueue(t, reader, Job{Kind: "k", MaxAttempts: 3})
	for range 2 {
		killChild(t, dir)
		wantState(t, reader, survives, Running, 1)
	}
	for _, owner := range []string{"another", "owner"} {
		r, err := New(db, Config{Owner: owner})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Register(kind); err != nil {
			t.Fatal(err)
		}
		n, err := r.ReleaseOwned(t.Context())
		if want := map[string]int{"another": 0, "owner": 1}[owner]; err != nil || n != want {
			t.Errorf("ReleaseOwned by %s = %d, %v, want %d", owner, n, err, want)
		}
	}
	r, err := New(db, Config{Owner: "owner"})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Register(kind); err != nil {
		t.Fatal(err)
	}
	start(t, r)
	waitFor(t, r, survives, Done)
	if j := <-seen; j.Attempts != 1 || j.Deaths != 2 || j.LastError != ErrDied.Error() {
		t.Errorf("attempt %d after %d deaths was told %q, want 1, 2 and %q", j.Attempts, j.Deaths, j.LastError, ErrDied)
	}
	stop(t, r)

	deadly := enqueue(t, reader, Job{Kind: "k"})
	killChild(t, dir)
	r, err = New(db, Config{Owner: "owner", MaxDeaths: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Register(kind); err != nil {
		t.Fatal(err)
	}
	start(t, r)
	defer stop(t, r)
	j := waitFor(t, r, deadly, Failed)
	if want := ErrDied.Error() + ", for the 1. time"; j.LastError != want {
		t.Errorf("last error = %q, want %q", j.LastError, want)
	}
	if cause := <-failed; !errors.Is(cause, ErrDied) {
		t.Errorf("Failed was told %v, want %v", cause, ErrDied)
	}
}

// runUntilKilled is the child: it runs the job that it finds and never ends it.
func runUntilKilled(dir string) {
	db, err := sqldb.Open(context.Background(), sqldb.Config{Dir: dir})
	if err != nil {
		os.Exit(3)
	}
	r, err := New(db, Config{Owner: "owner"})
	if err != nil {
		os.Exit(4)
	}
	r.Register(Kind{Name: "k", Run: func(context.Context, Job) error {
		os.Stdout.WriteString("running\n")
		select {}
	}})
	if err := r.Start(context.Background()); err != nil {
		os.Exit(5)
	}
	select {}
}

func killChild(t *testing.T, dir string) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledProcess$")
	child.Env = append(os.Environ(), "JOB_TEST_DIR="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "running\n" {
		t.Fatalf("child said %q, %v", line, err)
	}
	child.Process.Kill()
	child.Wait()
}
