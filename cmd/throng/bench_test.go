package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"throng/bench"
)

func TestBench(t *testing.T) {
	f := func(want int, says string, args ...string) string {
		t.Helper()
		t.Chdir(t.TempDir())
		var out, errOut bytes.Buffer
		status := run(append([]string{"bench"}, args...), strings.NewReader(""), &out, &errOut)
		if status != want || !strings.Contains(errOut.String(), says) {
			t.Errorf("throng bench %q: status %d, want %d, saying %q\n%s", args, status, want, says, errOut.String())
		}
		return out.String()
	}
	f(exitUsage, "people", "--people", "999")
	f(exitUsage, "people", "--people", "0")
	f(exitUsage, "rounds", "--rounds", "0")
	f(exitUsage, `no row "12"`, "--only", "1a,12")
	f(exitUsage, "unexpected argument", "twice")
	f(exitFailed, "", "--child", "--dir", "absent")

	text := f(exitDone, "measuring", "--people", "2000", "--rounds", "1", "--only", "2,9", "--clustered", "--json")
	var report bench.Report
	if err := json.Unmarshal([]byte(text), &report); err != nil {
		t.Fatalf("throng bench --json printed no JSON: %v", err)
	}
	if len(report.Rows) != 2 || report.People != 2000 || !report.Clustered || report.Rounds != 1 {
		t.Errorf("throng bench --json = %d rows of %d people, clustered %t, %d rounds, want 2, 2000, true, 1",
			len(report.Rows), report.People, report.Clustered, report.Rounds)
	}
	table := f(exitDone, "measuring", "--people", "2000", "--rounds", "1", "--only", "2")
	if !strings.Contains(table, "row 2: union of 10 terms") || !strings.Contains(table, "targets met") {
		t.Errorf("throng bench printed no table:\n%s", table)
	}
}
