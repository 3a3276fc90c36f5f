package dataset

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
)

// TestToken reads dictionaries of several row groups and columns, with nulls
// and with texts that are none: cells with one token must have one text, and
// what rows mean must not depend on tokens.
func TestToken(t *testing.T) {
	type record struct {
		Person  string  `parquet:"person,dict"`
		Network string  `parquet:"network,dict"`
		Account *string `parquet:"account,optional,dict"`
	}
	var records []record
	var want []string
	for i := range 9000 {
		r := record{Person: fmt.Sprint("p", i/7%300), Network: []string{"twitter", "TikTok", "usenet"}[i%3]}
		account := fmt.Sprint(i % 77)
		switch i % 50 {
		case 9:
			if account = "a\xff"; i < 6000 { // a row group without is left with codes
				account = "b"
			}
		case 13:
			account = "a\x01"
		case 17:
			account = strings.Repeat("x", maxName+1)
		case 19:
			account = ""
		}
		if i%11 != 0 {
			r.Account = &account
		} else {
			account = ""
		}
		records = append(records, r)
		outcome := ""
		switch {
		case account == "a\xff":
			outcome = "BAD " + NotUTF8
		case r.Network == "usenet":
			outcome = "unknown network"
		case account == "":
			outcome = "account is empty"
		case account == "a\x01":
			outcome = "control character in account"
		case len(account) > maxName:
			outcome = "account is too long"
		default:
			outcome = r.Person + " " + strings.ToLower(r.Network) + " " + account
		}
		want = append(want, outcome)
	}
	dir := t.TempDir()
	var data strings.Builder
	w := parquet.NewGenericWriter[record](&data, parquet.MaxRowsPerRowGroup(2000), parquet.PageBufferSize(512))
	if _, err := w.Write(records); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "follows.parquet", []byte(data.String()))
	var mu sync.Mutex
	texts := map[uint64]string{}
	got := make([]string, len(records))
	tokens, coded := 0, 0
	type code struct {
		group uint32
		col   int
		code  int32
	}
	byCode := map[code]string{}
	var row FollowRow
	err := table(t, dir, Follows).Read(t.Context(), 2, nil, func(b *Batch) error {
		mu.Lock()
		defer mu.Unlock()
		for _, bad := range b.Bad {
			got[bad.Line-1] = "BAD " + bad.Reason
		}
		for i, line := range b.Lines {
			for col := range 3 {
				token, text := b.Token(i, col), string(b.Cell(i, col))
				if codes, n := b.Codes(col); codes != nil {
					coded++
					c := code{b.Group(), col, codes[i]}
					if c.code < 0 && text != "" || int(c.code) >= n {
						t.Errorf("code of %q = %d, want below %d", text, c.code, n)
					}
					if c.code >= 0 && string(b.Text(col, c.code)) != text {
						t.Errorf("text of code %v = %q, want %q", c, b.Text(col, c.code), text)
					}
					if old, ok := byCode[c]; ok && old != text {
						t.Errorf("code %v is of %q and of %q", c, old, text)
					}
					byCode[c] = text
				}
				if token == 0 {
					continue
				}
				tokens++
				if old, ok := texts[token]; ok && old != text {
					t.Errorf("token %x is of %q and of %q", token, old, text)
				}
				texts[token] = text
			}
			if o := row.Decode(b, i); !o.OK() {
				got[line-1] = o.Reject
			} else {
				got[line-1] = string(row.Key) + " " + string(row.Network) + " " + string(row.Account)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if coded < 2*len(records) {
		t.Errorf("%d cells have a code, want those of two columns at least", coded)
	}
	if tokens < 2*len(records) {
		t.Errorf("%d cells have a token, want nearly all", tokens)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("row %d = %q, want %q", i+1, got[i], want[i])
		}
	}
}

// TestTokenScores reads the same scores with and without dictionaries.
func TestTokenScores(t *testing.T) {
	type plain struct {
		Person string  `parquet:"person"`
		Term   string  `parquet:"term"`
		Score  float64 `parquet:"score"`
	}
	type dictionary struct {
		Person string  `parquet:"person,dict"`
		Term   string  `parquet:"term,dict"`
		Score  float64 `parquet:"score,dict"`
	}
	var a []plain
	var b []dictionary
	for i := range 5000 {
		p := plain{fmt.Sprint("p", i/5), []string{"anger", "Love", "none", "hate"}[i%4], float64(i%130) / 100}
		a, b = append(a, p), append(b, dictionary(p))
	}
	outcomes := func(data []byte) []string {
		dir := t.TempDir()
		write(t, dir, "personality.parquet", data)
		got := make([]string, len(a))
		var row ScoreRow
		if err := table(t, dir, Personality).Read(t.Context(), 1, nil, func(b *Batch) error {
			for i, line := range b.Lines {
				if o := row.Decode(b, i); !o.OK() {
					got[line-1] = o.Reject
				} else {
					got[line-1] = fmt.Sprint(string(row.Key), row.Term, row.Score)
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return got
	}
	want := outcomes(parquetOf(t, a, 2000))
	if diff := cmp.Diff(want, outcomes(parquetOf(t, b, 2000))); diff != "" {
		t.Errorf("outcomes (-plain +dictionary):\n%s", diff)
	}
	for _, some := range []string{"malformed score", "unknown term"} {
		if !slices.Contains(want, some) {
			t.Errorf("no row is rejected for %s", some)
		}
	}
}
