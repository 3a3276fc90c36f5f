package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"throng/client"
)

// powerCuts is how often the power is cut where THRONG_TEST_KILLS does not say.
const powerCuts = 12

// The windows of power cuts, beside those in which processes are killed.
var powerWindows = []window{
	{name: windowAny, weight: 1},
	{name: "create answered", weight: 2, spread: time.Millisecond},
	{name: "step files", weight: 1, spread: 20 * time.Millisecond},
	{name: "step finishing", weight: 1, spread: 5 * time.Millisecond},
	{name: windowFile, weight: 2, spread: 5 * time.Millisecond},
	{name: "audience done", weight: 2},
	{name: "cancel answered", weight: 1},
	{name: "delete answered", weight: 1},
	{name: "upload answered", weight: 2},
	{name: "put sent", weight: 1},
	{name: "devices ready", weight: 1},
	{name: "delivery running", weight: 1, spread: 20 * time.Millisecond},
	{name: "delivery done", weight: 2},
	{name: "report running", weight: 1, spread: 30 * time.Millisecond},
	{name: "report done", weight: 1},
	{name: "callback answered", weight: 1, spread: 2 * time.Millisecond},
	{name: windowBeside, weight: 1},
	{name: windowSwitch, weight: 1, spread: 5 * time.Millisecond},
	{name: windowLoaded, weight: 2},
	{name: windowAdded, weight: 1},
	{name: windowStart, weight: 1},
}

const (
	windowLoaded = "load ended"
	windowAdded  = "caller added"
)

// blackout is a storm on a machine whose power is cut.
type blackout struct {
	*storm
	m     *machine
	added []*caller // by commands that had ended before a cut
}

// TestPowerCut cuts the power at aimed moments while callers go on, as
// TestCrash kills: whatever was answered is there afterwards, and no file that
// has a name is torn.
//
// Each folder has a disk of its own, so that no sync of one file carries out
// what was not asked for another, and the disks' file systems keep as little as
// ext4 can be made to.
func TestPowerCut(t *testing.T) {
	t.Parallel() // it waits, mostly
	cutPower(t, "data=writeback,noauto_da_alloc", ".", "data/blobs", "data/index", "drop")
}

// TestPowerCutOneDisk is TestPowerCut with what most have: one disk, with the
// file system's own defaults.
func TestPowerCutOneDisk(t *testing.T) {
	t.Parallel() // it waits, mostly
	if os.Getenv("THRONG_TEST_KILLS") == "" {
		t.Skip("THRONG_TEST_KILLS is not set: the power is only cut on disks that keep less")
	}
	cutPower(t, "data=ordered", ".")
}

// TestPowerCutUnsynced cuts the power under a server whose syncs do nothing,
// and say that they did: what it answered is lost. So what the tests above find
// is there because it was synced, and not because these disks lose nothing.
func TestPowerCutUnsynced(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed: not tested that a machine loses what is not synced")
	}
	m := newMachine(t, "data=ordered", ".")
	data := filepath.Join(m.root(), "data")
	throng(t, "load", smallDataset(t), "--data", data)
	token := strings.TrimSpace(throng(t, append([]string{"caller", "add", "trusting", "--data", data}, allGrants()...)...))
	p := startCommand(t, exec.CommandContext(context.WithoutCancel(t.Context()), strace, "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", "inject=fsync,fdatasync,sync_file_range:retval=0",
		binary, "serve", "--data", data, "--listen", "127.0.0.1:0", "--log-format", "json"))
	c := client.New(p.URL, token)
	id, err := c.CreateAudience(t.Context(), []byte(crashDefinition))
	if err != nil {
		t.Fatal(err)
	}
	if a := waitDone(t, c, id); a.Status != "done" {
		t.Fatalf("audience = %+v", a)
	}
	server, err := os.FindProcess(tracedBy(t, p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	m.cut(server)
	<-p.done
	if got := column(t, openRows(t, "", data), `SELECT name FROM callers`); !slices.Equal(got, []string{"trusting"}) {
		t.Errorf("callers after a power cut = %q, want the one who was added with syncs", got)
	}
	if got := column(t, openRows(t, "", data), `SELECT id FROM audiences`); len(got) > 0 {
		t.Errorf("the audience that was never synced is there after a power cut: %q", got)
	}
	if m.lost == 0 {
		t.Errorf("%d files were not there any more after a power cut, want those of the audience", m.lost)
	}
}

func cutPower(t *testing.T, options string, folders ...string) {
	t.Helper()
	m := newMachine(t, options, folders...)
	b := &blackout{m: m, storm: newStorm(t, "", "", 2)}
	b.drop = filepath.Join(m.root(), "drop")
	b.addNode("one", filepath.Join(m.root(), "data"))
	cuts := powerCuts
	if os.Getenv("THRONG_TEST_KILLS") != "" || testing.Short() {
		cuts = stormCount(t)
	}
	b.blow(plan(b.rng, powerWindows, cuts, true), b.strike)
	t.Logf("over %d cuts %d files were not there any more, %d were otherwise, and %d were there again", m.cuts, m.lost, m.torn, m.back)
	if m.lost+m.torn == 0 {
		t.Error("no cut took anything from a disk: these are no power cuts")
	}
}

// strike cuts the power once, in the window or where that does not come in
// time, and has everything run again.
func (b *blackout) strike(ctx context.Context, i int, w window) {
	b.t.Helper()
	n, where := b.nodes[0], w.name
	switch w.name {
	case windowStart:
		b.out(n)
		p, _ := b.launch(n)
		moment := time.NewTimer(time.Duration(b.rng.Int64N(int64(300 * time.Millisecond))))
		<-moment.C
		b.m.cut(p.cmd.Process)
		<-p.done
	case windowLoaded:
		load, err := b.beginLoad(ctx, n)
		if err != nil {
			b.t.Fatal(err)
		}
		<-load.done
		current := b.current(n)
		b.out(n)
		if now := b.current(n); !load.cmd.ProcessState.Success() || now != current {
			b.t.Errorf("after a power cut generation %q is current, and not that of the load that had ended, %q (%v)", now, current, load.cmd.ProcessState)
		}
	case windowAdded:
		b.added = append(b.added, b.newCaller(fmt.Sprintf("late-%d", i)).worker(uint64(200+i)))
		b.out(n)
	default:
		var load *loading
		where, _, load = b.await(ctx, w)
		if load == nil {
			b.out(n)
			break
		}
		b.out(n, load.cmd.Process)
		<-load.done
	}
	b.struck(i, w, where)
	b.look(n)
	b.start(n)
	if _, err := n.command("check"); err != nil {
		b.t.Errorf("check after a power cut: %v", err)
	}
	for _, c := range b.added {
		if err := c.get(ctx, "/credits", nil); err != nil {
			b.t.Errorf("%s, who had been added before a power cut: %v", c.Name, err)
		}
	}
}

// out cuts the power under a node's server, and under others.
func (b *blackout) out(n *node, others ...*os.Process) {
	b.t.Helper()
	n.mu.Lock()
	p := n.p
	n.p = nil
	n.mu.Unlock()
	b.m.cut(append(others, p.cmd.Process)...)
	<-p.done
}

// current is the generation that is named as the current one.
func (b *blackout) current(n *node) string {
	b.t.Helper()
	text, err := os.ReadFile(filepath.Join(n.data, "index", "CURRENT"))
	if err != nil {
		b.t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// look looks at what the disks hold before a server mends it: rows that
// are whole, and every file that they tell of. The rows are read
// in a copy, so that the server finds the database as the cut left it.
func (b *blackout) look(n *node) {
	b.t.Helper()
	copied := b.t.TempDir()
	for _, name := range []string{"throng.db", "throng.db-wal"} {
		text, err := os.ReadFile(filepath.Join(n.data, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(copied, name), text, 0o600)
		}
		if err != nil && !os.IsNotExist(err) {
			b.t.Fatal(err)
		}
	}
	blobs := filepath.Join(n.data, "blobs")
	if _, missing := b.compareFiles(copied, blobs); len(missing) > 0 {
		b.t.Errorf("after a power cut files that rows tell of are not there: %q", missing)
	}
	db := openRows(b.t, "", copied)
	defer db.Close()
	if got := column(b.t, db, `PRAGMA integrity_check`); !slices.Equal(got, []string{"ok"}) {
		b.t.Errorf("after a power cut the database is not whole: %q", got)
	}
	for _, row := range column(b.t, db, `SELECT o.blob_key || ' ' || o.sha256 FROM outputs o JOIN audiences a ON a.id = o.audience_id WHERE a.deleted_at IS NULL`) {
		key, want, _ := strings.Cut(row, " ")
		text, err := os.ReadFile(filepath.Join(blobs, filepath.FromSlash(key)))
		if sum := sha256.Sum256(text); err != nil || hex.EncodeToString(sum[:]) != want {
			b.t.Errorf("after a power cut %s has %d bytes and not the SHA-256 of its row: %v", key, len(text), err)
		}
	}
}
