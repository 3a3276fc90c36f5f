package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
)

// TestSettings sets the data folder in each of the ways, weakest first, and
// looks which folder a command made.
func TestSettings(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	made := func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name, "throng.db"))
		return err == nil
	}
	f := func(want string, args ...string) {
		t.Helper()
		var out, errOut bytes.Buffer
		if status := run(append(args, "caller", "list"), strings.NewReader(""), &out, &errOut); status != exitDone {
			t.Fatalf("throng %q: status %d\n%s", args, status, errOut.String())
		}
		if !made(want) {
			t.Errorf("throng %q did not use the folder %s", args, want)
		}
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f("throng-data")
	write("throng.yaml", "data: from-file\nminimum-size: 10\n")
	f("from-file")
	write("other.yaml", "data: from-other\n")
	f("from-other", "--config", "other.yaml")
	t.Setenv("THRONG_DATA", "from-environment")
	f("from-environment")
	f("from-flag", "--data", "from-flag")
	f("from-flag2", "--data=from-flag2")
}

func TestSettingsRefused(t *testing.T) {
	f := func(file, says string, args ...string) {
		t.Helper()
		t.Chdir(t.TempDir())
		if file != "" {
			if err := os.WriteFile("throng.yaml", []byte(file), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var out, errOut bytes.Buffer
		status := run(append(args, "caller", "list"), strings.NewReader(""), &out, &errOut)
		if status != exitUsage || !strings.Contains(errOut.String(), says) {
			t.Errorf("throng %q with %q: status %d, want %d, saying %q\n%s", args, file, status, exitUsage, says, errOut.String())
		}
	}
	f("listne: 127.0.0.1:80\n", `"listne" is no setting`)
	f("listen: [\n", "throng.yaml")
	f("help: true\n", `"help" is no setting`)
	f("", "absent.yaml", "--config", "absent.yaml")
	f("", "log-format", "--log-format", "xml")
	f("", "minimum-size", "--minimum-size", "-1")
	f("keep-generations: 0.5\n", "keep-generations")
	f("keep-generations: -1\n", "keep-generations")
	f("", "keep-audiences", "--keep-audiences", "-1")
	f("keep-audiences: 40000\n", "keep-audiences")
	f("", "public-url", "--public-url", "example.com")
	f("", "database", "--database", "mysql://127.0.0.1")
}

func TestCommandFirst(t *testing.T) {
	parser, err := kong.New(&cli{}, vars())
	if err != nil {
		t.Fatal(err)
	}
	f := func(in, want string) {
		t.Helper()
		if diff := cmp.Diff(strings.Fields(want), commandFirst(parser.Model, strings.Fields(in))); diff != "" {
			t.Errorf("commandFirst(%s) (-want +got):\n%s", in, diff)
		}
	}
	f("load x --data d", "load x --data d")
	f("--data d load x", "load --data d x")
	f("--data=d load x", "load --data=d x")
	f("--data load load x", "load --data load x")
	f("--json count -", "count --json -")
	f("caller --json add load --grant all", "caller add --json load --grant all")
	f("--allow-private-callbacks serve", "serve --allow-private-callbacks")
	f("-- load x", "-- load x")
	f("--data", "--data")
}
