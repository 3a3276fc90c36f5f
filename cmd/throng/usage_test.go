package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"throng/server"
)

// throng runs a command in a folder of its own, and wants it to end so and to
// say that on its standard error.
func throng(t *testing.T, want int, says string, args ...string) (out string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status := run(args, strings.NewReader(""), &stdout, &stderr)
	if status != want || !strings.Contains(stderr.String(), says) {
		t.Errorf("throng %q: status %d, want %d, saying %q\n%s", args, status, want, says, stderr.String())
	}
	return stdout.String()
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestCallerFlags gives flags in all the ways in which they may be given.
func TestCallerFlags(t *testing.T) {
	t.Chdir(t.TempDir())
	throng(t, exitDone, "", "caller", "add", "one", "--builds", "-1", "--insights=-1", "--expansions", "7", "--can-generate", "md5", "--can-generate", "twitter_id, ma_id", "--grant", "all")
	throng(t, exitDone, "", "caller", "set", "one", "--insights", "0", "--can-generate", "")
	throng(t, exitUsage, "--builds: want -1 for unlimited", "caller", "add", "two", "--builds", "-2")
	throng(t, exitUsage, "--concurrent-builds: want a number from 0", "caller", "add", "two", "--concurrent-builds", "-1")
	throng(t, exitUsage, "1 to 255 characters", "caller", "add", "")
	throng(t, exitUsage, `--grant: "b" is none of`, "caller", "add", "two", "--grant", "age_first", "--grant", "b")
	throng(t, exitFailed, "is there already", "caller", "add", "one")
	throng(t, exitDone, "", "caller", "add", "--", "-1")

	var got []server.Caller
	if err := json.Unmarshal([]byte(throng(t, exitDone, "", "caller", "list", "--json")), &got); err != nil || len(got) != 2 {
		t.Fatalf("callers = %+v, %v, want two", got, err)
	}
	c := got[1]
	if c.Builds != -1 || c.Insights != 0 || c.Expansions != 7 || len(c.Grants) != 4 || strings.Join(c.CanGenerate, " ") != "ss_id" {
		t.Errorf("caller = %+v", c)
	}
	throng(t, exitDone, "", "caller", "set", "one", "--can-generate", "md5", "--can-generate", "twitter_id, ma_id")
	if err := json.Unmarshal([]byte(throng(t, exitDone, "", "caller", "list", "--json")), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"ss_id", "twitter_id", "md5", "ma_id"}, got[1].CanGenerate); diff != "" {
		t.Errorf("files of a flag given twice (-want +got):\n%s", diff)
	}
}

func TestJoinNegative(t *testing.T) {
	parser, err := kong.New(&cli{}, kong.Name("throng"), vars())
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		"caller add x --builds -1":          "caller add x --builds=-1",
		"--minimum-size -0.5 serve":         "--minimum-size=-0.5 serve",
		"caller rotate x --overlap -1h":     "caller rotate x --overlap=-1h",
		"caller add x --json -1":            "caller add x --json -1", // takes no value
		"caller add x --builds -- -1":       "caller add x --builds -- -1",
		"caller add -- --builds -1":         "caller add -- --builds -1",
		"caller add x --builds --json":      "caller add x --builds --json",
		"caller add x --builds":             "caller add x --builds",
		"caller add x --builds=1 --grant a": "caller add x --builds=1 --grant a",
	} {
		if diff := cmp.Diff(strings.Fields(want), joinNegative(parser.Model, strings.Fields(in))); diff != "" {
			t.Errorf("joinNegative(%s) (-want +got):\n%s", in, diff)
		}
	}
}

// TestConfigFile: an error names the file where the value came from it, and
// not where something stronger was used.
func TestConfigFile(t *testing.T) {
	t.Chdir(t.TempDir())
	f := func(file string, want int, says string, args ...string) {
		t.Helper()
		writeFile(t, "throng.yaml", file)
		throng(t, want, says, append([]string{"caller", "list"}, args...)...)
	}
	f("minimum-size: x\n", exitUsage, "--minimum-size: expected a valid 64 bit uint but got \"x\" (from throng.yaml)\n")
	f("minimum-size: x\n", exitUsage, "got \"y\"\n", "--minimum-size", "y")
	f("keep-generations: 0\n", exitUsage, "--keep-generations: want at least 1 (from throng.yaml)\n")
	f("max-connections: 0\n", exitUsage, "--max-connections: want at least 1 (from throng.yaml)\n")
	f("# two\ndata: [a, b]\n", exitUsage, "read settings in throng.yaml: line 2: data: want one value\n")
	f("- data\n", exitUsage, "want a setting a line, as in 'listen: 127.0.0.1:9090'")
	throng(t, exitDone, "", "help", "load")
	throng(t, exitDone, "", "version")
	f("data:\nminimum-size: 0010\nallow-private-callbacks: true\n", exitDone, "")
	if _, err := os.Stat("throng-data/throng.db"); err != nil {
		t.Errorf("an empty value is not as if absent: %v", err)
	}
}

// TestAddresses are refused before anything is served.
func TestAddresses(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, a := range []string{"nonsense", "127.0.0.1", "127.0.0.1:", "127.0.0.1:99999", "::1:80", ":x"} {
		throng(t, exitUsage, "--listen: want HOST:PORT", "serve", "--listen", a)
		throng(t, exitUsage, "--admin-listen: want HOST:PORT", "serve", "--admin-listen", a)
	}
}

// TestBackupNames refuses what would become a folder that looks like a file.
func TestBackupNames(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"b.tar.gz", "b.tgz", "b.zip", "b.tar.zst"} {
		throng(t, exitUsage, "want a folder, or a file that ends in .tar, not "+name, "backup", name)
	}
	throng(t, exitUsage, "the overlap must be from 0", "caller", "rotate", "x", "--token", "--overlap", "-1h")
}

// TestFlagsRefused: what a flag may not say is wrong usage, told by its name.
func TestFlagsRefused(t *testing.T) {
	var out bytes.Buffer
	refuse := func(code server.Code, paths ...string) error {
		out.Reset()
		refusal := &server.Refusal{Code: code, Message: "all of it"}
		for _, p := range paths {
			refusal.Details = append(refusal.Details, server.Detail{Path: p, Message: "must not be"})
		}
		return tellFlags(&out, refusal, "to", "ma-id-as")
	}
	for _, tt := range []struct {
		code   server.Code
		paths  []string
		status int
		want   string
	}{
		{server.Invalid, []string{"to", "ma_id_as"}, exitUsage, "throng: --to: must not be\nthrong: --ma-id-as: must not be\n"},
		{server.Invalid, []string{"to", "audience"}, exitFailed, "throng: --to: must not be\nthrong: audience: must not be\n"},
		{"conflict", []string{"to"}, exitFailed, "throng: to: must not be\n"},
		{server.Invalid, nil, exitFailed, "throng: all of it\n"},
	} {
		if got := status(refuse(tt.code, tt.paths...), &out); got != tt.status || out.String() != tt.want {
			t.Errorf("refused %s %q: status %d %q, want %d %q", tt.code, tt.paths, got, out.String(), tt.status, tt.want)
		}
	}
	t.Chdir(t.TempDir())
	throng(t, exitUsage, "--credentials: set THRONG_DELIVER_ACCESS_KEY and", "deliver", "1", "--to", "mintegral", "--name", "x")
}

// TestInsightOfNothing says why nothing is listed.
func TestInsightOfNothing(t *testing.T) {
	var out bytes.Buffer
	i := &server.Insight{Name: "few"}
	made(&i.Report).Minimum = 10
	if err := printInsight(&out, 5, i); err != nil {
		t.Fatal(err)
	}
	if want := "No term has 10 members or more"; !strings.Contains(out.String(), want) || strings.Contains(out.String(), "Each line") {
		t.Errorf("printed %q, want it to say %q", out.String(), want)
	}
}

// made puts a new value where p points to, of a type that has no name here.
func made[T any](p **T) *T {
	*p = new(T)
	return *p
}

// TestInterrupted says what happened, not how it came to be known.
func TestInterrupted(t *testing.T) {
	var out bytes.Buffer
	if got := status(fmt.Errorf("load dataset: %w", context.Canceled), &out); got != exitFailed || out.String() != "throng: interrupted\n" {
		t.Errorf("status of a command that was interrupted = %d, saying %q", got, out.String())
	}
}

// TestLoadRefused tells what to do where rows are rejected, and refuses a place
// for the report before the work.
func TestLoadRefused(t *testing.T) {
	t.Chdir(t.TempDir())
	writeFile(t, "ds/people.csv", "person\na\na\n")
	out := throng(t, exitFailed, "1 of 2 rows of table people, where a share of 0.05 may be; mend them, or let more be rejected with --allow-rejects\n",
		"load", "ds", "--report", "report.json")
	if !strings.Contains(out, "people: 1 rejected: duplicate person\n") || !strings.Contains(out, "nothing was loaded") {
		t.Errorf("the report is\n%s", out)
	}
	text, err := os.ReadFile("report.json")
	var report server.Report
	if err != nil || json.Unmarshal(text, &report) != nil || report.Rejects == "" {
		t.Errorf("report.json = %s, %v", text, err)
	}
	throng(t, exitUsage, "--report: there is no folder absent", "load", "ds", "--report", "absent/report.json")
	throng(t, exitUsage, "--report: want a file; ds is a folder", "load", "ds", "--report", "ds")
	throng(t, exitUsage, "--allow-rejects: want a share from 0 to 1", "load", "ds", "--allow-rejects", "-0.5")
	throng(t, exitFailed, "no generation is loaded; run: throng load SOURCE", "check")
	writeFile(t, "odd/people.csv", "person,,shoe size\n")
	writeFile(t, "odd/interests.ndjson", "{\"person\": \"a\", \"\\u001b[2J\": 1}\n")
	out = throng(t, exitDone, "", "load", "odd", "--allow-rejects", "1")
	for _, want := range []string{
		"people: column \"\" is not known", "people: column shoe size is not known", `interests: column "\x1b[2J" is not known`,
		"warning: nobody was loaded; the generation is empty\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the report does not say %q:\n%s", want, out)
		}
	}
	throng(t, exitDone, "", "load", "ds", "--allow-rejects", "0.5")

	writeFile(t, "women.json", `{"parameters":[{"operation":"OR","gender":{"genders":["female"]}}]}`)
	if out := throng(t, exitDone, "", "count", "women.json", "--json"); !strings.HasSuffix(out, "}\n") || strings.HasSuffix(out, "\n\n") {
		t.Errorf("count --json prints %q, want one line", out)
	}
	writeFile(t, "wrong.json", `{"parameters":[{"operation":"XOR","gender":{"genders":["female"]}}]}`)
	throng(t, exitFailed, "throng: wrong.json: parameters[0].operation must be OR, AND or NOT\n  parameters[0].operation: must be", "count", "wrong.json")
	throng(t, exitFailed, "throng: standard input: the body is not JSON", "count", "-")
	throng(t, exitFailed, "throng: no caller is named \"nobody\"\n", "count", "women.json", "--caller", "nobody")
}

// TestHelp has every flag's default in words, with what is a command's own
// before what all commands have.
func TestHelp(t *testing.T) {
	parser, err := kong.New(&cli{}, kong.Name("throng"), vars())
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range parser.Model.Leaves(true) {
		for _, f := range n.Flags {
			if f.HasDefault && f.Default != "" && !strings.Contains(strings.ToLower(f.Help), "default") {
				t.Errorf("throng %s: the help of --%s does not tell its default %s", n.Name, f.Name, f.Default)
			}
		}
		out := throng(t, exitDone, "", append([]string{"help"}, strings.Fields(strings.TrimPrefix(n.FullPath(), "throng "))...)...)
		for _, f := range n.Flags {
			own, settings := strings.Index(out, "--"+f.Name), strings.Index(out, "\nSettings:")
			if !f.Hidden && (own < 0 || settings < own) {
				t.Errorf("throng help %s: --%s is not shown before the settings", n.Name, f.Name)
			}
		}
	}
	for _, f := range parser.Model.Flags {
		if f.HasDefault && !f.Hidden && !strings.Contains(strings.ToLower(f.Help), "default") {
			t.Errorf("the help of --%s does not tell its default %q", f.Name, f.Default)
		}
	}
}
