package dataset

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadCSV(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"plain", "person,network,account\na,twitter,1\nb,twitch,2\n", []string{"0:2 a|twitter|1", "0:3 b|twitch|2"}},
		{"no last line end", "person,network,account\na,twitter,1", []string{"0:2 a|twitter|1"}},
		{"only a header", "person,network,account", []string{}},
		{"CRLF", "person,network,account\r\na,twitter,1\r\n\r\nb,twitch,\r\n", []string{"0:2 a|twitter|1", "0:4 b|twitch|-"}},
		{"byte order mark", "\uFEFFperson,network,account\na,twitter,1\n", []string{"0:2 a|twitter|1"}},
		{"byte order mark and quotes", "\uFEFF\"person\",\"network\",\"account\"\n\"a\",\"twitter\",\"1\"\n", []string{"0:2 a|twitter|1"}},
		{"any order", "account,more,person,network\n1,x,a,twitter\n", []string{"0:2 a|twitter|1"}},
		{"case and spaces of a header", " Person ,NETWORK,account\na,twitter,1\n", []string{"0:2 a|twitter|1"}},
		{"empty lines", "\n\nperson,network,account\n\n\na,twitter,1\n\n", []string{"0:6 a|twitter|1"}},
		{"quoted", "person,network,account\n\"a,b\",\"twi\"\"tter\",\"\"\n", []string{"0:2 a,b|twi\"tter|-"}},
		{"quoted line ends", "person,network,account\n\"a\nb\r\nc\",x,1\nd,y,2\n", []string{"0:2 a\nb\r\nc|x|1", "0:5 d|y|2"}},
		{"quoted line end in the header", "person,network,account,\"x\n\"\"y\"\na,twitter,1,2\n", []string{"0:3 a|twitter|1"}},
		{"quote within a field", "person,network,account\na\"b,6\",\"1\"\n", []string{"0:2 a\"b|6\"|1"}},
		{"too few", "person,network,account\na,b\nc,d,e\n", []string{"0:2 BAD wrong number of columns", "0:3 c|d|e"}},
		{"too many", "person,network,account\na,b,c,d\nc,d,e\n", []string{"0:2 BAD wrong number of columns", "0:3 c|d|e"}},
		{"too many, quoted", "person,network,account\na,b,c,\"\"\n\"\"\n\"c\",d,e\n", []string{"0:2 BAD wrong number of columns", "0:3 BAD wrong number of columns", "0:4 c|d|e"}},
		{"not UTF-8", "person,network,account\na,b,\xff\nc,d,\xc3\xa9\n", []string{"0:2 BAD not UTF-8", "0:3 c|d|é"}},
		{"not UTF-8, quoted", "person,network,account\na,b,\"\"\"\xff\"\nc,\"d\",\xc3\xa9\n\xff,\"\",\n", []string{"0:2 BAD not UTF-8", "0:3 c|d|é", "0:4 BAD not UTF-8"}},
		{"text behind a quote", "person,network,account\n\"a\"b,c,d\n\"e\" ,f,g\nh,i,j\n", []string{"0:2 BAD malformed quotes", "0:3 BAD malformed quotes", "0:4 h|i|j"}},
		{"unclosed quote", "person,network,account\na,\"b\nc,d\ne,f,g\n", []string{"0:2 BAD unterminated quote", "0:3 BAD wrong number of columns", "0:4 e|f|g"}},
		{"unclosed quote in the last row", "person,network,account\na,b,c\nd,e,\"f", []string{"0:2 a|b|c", "0:3 BAD unterminated quote"}},
		{"unclosed quote behind a quoted line end", "person,network,account\n\"a\nb\",\"c\nd,e,f", []string{"0:2 BAD unterminated quote", "0:4 d|e|f"}},
		{"lone CR", "person,network,account\na\rb,c,d\r\r\n", []string{"0:2 a\rb|c|d\r"}},
		{"NUL", "person,network,account\na\x00b,c,d\n", []string{"0:2 a\x00b|c|d"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tab := table(t, folder(t, map[string]string{"follows.csv": c.text}), Follows)
			got, err := readAll(t, tab, 2)
			if err != nil {
				t.Fatalf("Read: %v", err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("rows of %q (-want +got):\n%s", c.text, diff)
			}
		})
	}
}

func TestReadCSVSingleColumn(t *testing.T) {
	tab := table(t, folder(t, map[string]string{"people.csv": "person\na\n\n\"\"\n\"b\"\n"}), People)
	got, err := readAll(t, tab, 1)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"0:2 a|-|-|-|-|-|-|-|-|-|-", "0:4 -|-|-|-|-|-|-|-|-|-|-", "0:5 b|-|-|-|-|-|-|-|-|-|-"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestReadCSVError(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "read follows.csv: file is empty: want a header row"},
		{"blank", "\n\r\n\n", "read follows.csv: file is empty: want a header row"},
		{"missing column", "person,network\n", "read follows.csv: required column account is missing"},
		{"semicolons", "person;network;account\na;b;c\n", "read follows.csv: required column person is missing: columns seem to be separated by semicolons, want commas"},
		{"tabs", "person\tnetwork\taccount\n", "read follows.csv: required column person is missing: columns seem to be separated by tabs, want commas"},
		{"no header", "p;1,twitter,11\n", "read follows.csv: required column person is missing"},
		{"twice", "person,network,account,Account\n", "read follows.csv: column account is there twice"},
		{"bad header", "\"person\"x,network,account\n", "read follows.csv: header row: malformed quotes"},
		{"open header", "\"person,network,account\na,b,c\n", "read follows.csv: first row does not end"},
		{"CR", "person,network,account\ra,twitter,1\rb,twitter,2\r", "read follows.csv: lines end in CR alone: want LF or CRLF"},
		{"CR and LF", "person,network,account,x\ra,twitter,1,\r\nb,twitter,2,\r\n", "read follows.csv: lines end in CR alone: want LF or CRLF"},
		{"gzip", "\x1f\x8b\x08", "read follows.csv: text is compressed: want a name that ends in .gz"},
		{"workbook", "PK\x03\x04\x14\x00", "read follows.csv: file is a zip archive or a workbook: want text"},
		{"Parquet", "PAR1\x15", "read follows.csv: file is Parquet: want a name that ends in .parquet"},
		{"UTF-16", "\xff\xfep\x00,\x00\n\x00", "read follows.csv: text is UTF-16: want UTF-8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tab := table(t, folder(t, map[string]string{"follows.csv": c.text}), Follows)
			if _, err := readAll(t, tab, 1); err == nil || err.Error() != c.want {
				t.Errorf("Read of %q = %v, want %s", c.text, err, c.want)
			}
		})
	}
}

// TestHeaderOfLines reads a header that has a line end within a name.
func TestHeaderOfLines(t *testing.T) {
	tab := table(t, folder(t, map[string]string{"interests.csv": "person,\"notes\r\nof ours\",affinity\r\na,x,b\r\n"}), Interests)
	got, err := readAll(t, tab, 1)
	if diff := cmp.Diff([]string{"0:3 a|b"}, got); err != nil || diff != "" {
		t.Errorf("rows, %v (-want +got):\n%s", err, diff)
	}
}

func TestIgnored(t *testing.T) {
	tab := table(t, folder(t, map[string]string{
		"interests/1.csv":    "person,z,affinity,a\n",
		"interests/2.ndjson": `{"person":"a","affinity":"b","k":1,"z":{"q":2}}` + "\n",
	}), Interests)
	if _, err := readAll(t, tab, 2); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "k", "z"}, tab.Ignored()); diff != "" {
		t.Errorf("Ignored (-want +got):\n%s", diff)
	}
}

// TestReadLargeCSV reads a file of many chunks, some of whose records are
// longer than a chunk, with quotes and without.
func TestReadLargeCSV(t *testing.T) {
	for _, quoted := range []bool{false, true} {
		var text strings.Builder
		var want []string
		text.WriteString("person,network,text\n")
		line := 2
		for i := range 30_000 {
			bio := fmt.Sprintf("bio %d", i)
			if i%10_000 == 7 {
				bio = strings.Repeat("long ", chunkSize/2)
			}
			next := line + 1
			if quoted && i%3 == 0 {
				bio += "\n\"two\""
				fmt.Fprintf(&text, "p%d,twitter,\"%s\"\n", i, strings.ReplaceAll(bio, `"`, `""`))
				next++
			} else {
				fmt.Fprintf(&text, "p%d,twitter,%s\n", i, bio)
			}
			want = append(want, fmt.Sprintf("0:%d p%d|twitter|%s", line, i, bio))
			line = next
		}
		tab := table(t, folder(t, map[string]string{"bios.csv": text.String()}), Bios)
		got, err := readAll(t, tab, 3)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(want) {
			t.Fatalf("quoted=%t: %d rows, want %d", quoted, len(got), len(want))
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("quoted=%t: row %d = %.60q, want %.60q", quoted, i, got[i], want[i])
			}
		}
	}
}

// TestReadHugeRecord leaves out what no record can be, and goes on.
func TestReadHugeRecord(t *testing.T) {
	huge := strings.Repeat("x", 2*maxRecord)
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"row", "a,b," + huge + "\nc,d,e\n", []string{"0:2 BAD row is too long", "0:3 c|d|e"}},
		{"last row", "a,b," + huge, []string{"0:2 BAD row is too long"}},
		{"quote", "a,b,\"c\nd,e," + huge + "\nf,g,h\n", []string{"0:2 BAD unterminated quote", "0:3 BAD row is too long", "0:4 f|g|h"}},
		{"quoted", "a,b,\"" + huge + "\"\nf,g,h\n", []string{"0:2 BAD unterminated quote", "0:3 f|g|h"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tab := table(t, folder(t, map[string]string{"follows.csv": "person,network,account\n" + c.text}), Follows)
			got, err := readAll(t, tab, 2)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
		})
	}
}
