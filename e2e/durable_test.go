package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// TestDurableOrder looks at what the command asks of the system while it loads
// a dataset and while it serves: whatever takes its name by a rename was synced
// after it was last written and before it was renamed, and its folder is synced
// afterwards. So no power cut leaves a file torn that has a name.
func TestDurableOrder(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the whole population")
	}
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed: the order of syncs is not looked at")
	}
	src, err := population()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	traced := func(name string, args ...string) (log string, cmd *exec.Cmd) {
		log = filepath.Join(dir, name)
		return log, exec.CommandContext(t.Context(), strace, append([]string{
			"-f", "-y", "-s", "4096", "-o", log, "--seccomp-bpf", "-e",
			"trace=write,pwrite64,writev,pwritev,copy_file_range,ftruncate,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat", binary,
		}, args...)...)
	}

	log, cmd := traced("load", "load", src, "--data", data)
	if out, err := cmd.CombinedOutput(); err != nil {
		if strings.Contains(string(out), "ptrace") || strings.Contains(string(out), "Operation not permitted") {
			t.Skipf("processes cannot be traced here: %s", out)
		}
		t.Fatalf("load, traced: %v\n%s", err, out)
	}
	checkOrder(t, log, data, 5)

	log, cmd = traced("serve", "serve", "--data", data, "--listen", "127.0.0.1:0", "--log-format", "json")
	p := startCommand(t, cmd)
	c, token := addCaller(t, p, data, "durable", allGrants()...)
	got := exchange(t, p, token, http.MethodPost, "/platform/v0/uploads?type=md5", "text/plain", md5Of("a")+"\n")
	key := value(t, got, "response.key")
	made := exchange(t, p, token, http.MethodPost, "/platform/v0/audiences", "application/json",
		strings.Replace(definition(""), anybody, anybody+`,{"operation":"OR","upload":{"type":"md5","keys":["`+key+`"]}}`, 1))
	a := waitDone(t, c, int64(atoi(t, value(t, made, "response.id"))))
	download(t, c, a.ID, "md5", "csv")
	if err := syscall.Kill(tracedBy(t, cmd.Process.Pid), syscall.SIGTERM); err != nil {
		t.Fatalf("stop the traced process: %v", err)
	}
	<-p.done
	checkOrder(t, log, data, 10)
}

// tracedBy is the process that a tracer started.
func tracedBy(t *testing.T, tracer int) int {
	t.Helper()
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", tracer, tracer))
	if err != nil {
		t.Fatalf("find the traced process: %v", err)
	}
	return atoi(t, strings.TrimSpace(string(children)))
}

var (
	callOf   = regexp.MustCompile(`^(\d+) +(\w+)\((.*)$`)
	resumed  = regexp.MustCompile(`^(\d+) +<\.\.\. (\w+) resumed>`)
	handleOf = regexp.MustCompile(`^\d+<([^>]*)>`)
	paths    = regexp.MustCompile(`(?:(AT_FDCWD|\d+)<([^>]*)>, )?"((?:[^"\\]|\\.)*)"`)
)

// order is what has happened to the files below a folder, each at the number
// of its line.
type order struct {
	t             *testing.T
	below         string
	written       map[string]int
	synced        map[string]int
	renamed       map[string]int // to what
	wrong, checks int
}

func checkOrder(t *testing.T, log, below string, atLeast int) {
	t.Helper()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	o := &order{t: t, below: below, written: map[string]int{}, synced: map[string]int{}, renamed: map[string]int{}}
	waiting := map[string]string{} // what a thread's call that has not returned was asked
	n := 0
	for line := range strings.SplitSeq(string(text), "\n") {
		n++
		if m := resumed.FindStringSubmatch(line); m != nil {
			o.see(n, m[2], waiting[m[1]], strings.Contains(line, "= 0") || !strings.Contains(line, "= -1"))
			continue
		}
		m := callOf.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if strings.Contains(line, "<unfinished ...>") {
			waiting[m[1]] = m[3]
			if strings.HasPrefix(m[2], "rename") || strings.HasPrefix(m[2], "link") {
				o.before(n, m[3]) // what is to be synced must have been by now
			}
			continue
		}
		if strings.HasPrefix(m[2], "rename") || strings.HasPrefix(m[2], "link") {
			o.before(n, m[3])
		}
		o.see(n, m[2], m[3], !strings.Contains(line, "= -1"))
	}
	for name, at := range o.renamed {
		if folder := filepath.Dir(name); o.synced[folder] < at {
			o.fail("%s took its name in line %d, and its folder was not synced afterwards", name, at)
		}
	}
	if o.checks < atLeast {
		t.Errorf("%d files took their names, want at least %d: the trace was not understood", o.checks, atLeast)
	}
	t.Logf("%s: %d calls, %d files or folders took their names, all synced before and their folders afterwards: %v", filepath.Base(log), n, o.checks, o.wrong == 0)
}

func (o *order) fail(format string, args ...any) {
	o.t.Helper()
	if o.wrong++; o.wrong <= 10 {
		o.t.Errorf(format, args...)
	}
}

// names gives the two paths of a rename, "" where they are not below the folder.
func (o *order) names(args string) (from, to string) {
	var both [2]string
	for i, m := range paths.FindAllStringSubmatch(args, 2) {
		both[i] = m[3]
		if !filepath.IsAbs(both[i]) {
			both[i] = filepath.Join(m[2], both[i])
		}
	}
	if !strings.HasPrefix(both[0], o.below+"/") || !strings.HasPrefix(both[1], o.below+"/") {
		return "", ""
	}
	return both[0], both[1]
}

// before looks at what is about to take its name.
func (o *order) before(line int, args string) {
	from, to := o.names(args)
	if from == "" {
		return
	}
	o.checks++
	found := false
	for name, at := range o.written {
		if name != from && !strings.HasPrefix(name, from+"/") {
			continue
		}
		found = true
		if o.synced[name] < at {
			o.fail("line %d: %s becomes %s, was written in line %d and not synced since", line, name, to, at)
		}
	}
	if !found && o.synced[from] == 0 { // an empty file, or a folder
		o.fail("line %d: %s becomes %s and was never synced", line, from, to)
	}
}

// see takes a call that has returned.
func (o *order) see(line int, call, args string, ok bool) {
	if !ok {
		return
	}
	switch call {
	case "rename", "renameat", "renameat2", "link", "linkat":
		from, to := o.names(args)
		if from == "" {
			return
		}
		for _, of := range []map[string]int{o.written, o.synced, o.renamed} {
			for name, at := range of {
				if rest, below := strings.CutPrefix(name, from); below && (rest == "" || rest[0] == '/') {
					delete(of, name)
					of[to+rest] = at
				}
			}
		}
		o.renamed[to] = line
		return
	case "unlink", "unlinkat":
		if m := paths.FindStringSubmatch(args); m != nil {
			name := m[3]
			if !filepath.IsAbs(name) {
				name = filepath.Join(m[2], name)
			}
			delete(o.written, name)
			delete(o.renamed, name)
		}
		return
	}
	m := handleOf.FindStringSubmatch(args)
	if m == nil || m[1] != o.below && !strings.HasPrefix(m[1], o.below+"/") {
		return
	}
	if call == "fsync" || call == "fdatasync" {
		o.synced[m[1]] = line
	} else {
		o.written[m[1]] = line
	}
}
