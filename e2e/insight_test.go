package e2e

import (
	"encoding/csv"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// TestInsightKilled kills the server while reports are ordered, waiting and
// being made. All are made by the next one, each is told of once it is done, and
// nowhere is anything of fewer people than the operator's minimum.
func TestInsightKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the whole population")
	}
	data := newData(t)
	settings := []string{"--allow-private-callbacks", "--insight-minimum", "100"}
	server := start(t, data, settings...)
	var secrets struct {
		Token         string
		WebhookSecret string `json:"webhook_secret"`
	}
	made := throng(t, append([]string{"caller", "add", "listener", "--json", "--data", data}, allGrants()...)...)
	if err := json.Unmarshal([]byte(made), &secrets); err != nil {
		t.Fatal(err)
	}
	verifier, err := standardwebhooks.NewWebhook(secrets.WebhookSecret)
	if err != nil {
		t.Fatal(err)
	}
	url, messages := receiver(t, http.StatusOK)
	var ids []string
	for i := range 4 {
		more := `"generate_insights_automatically":true,"insight_callback_url":"` + url + `"`
		if i == 3 {
			more = ""
		}
		a := exchange(t, server, secrets.Token, http.MethodPost, "/platform/v0/audiences", "application/json", definition(more))
		ids = append(ids, value(t, a, "response.id"))
	}
	// The last one's is ordered while it is being built.
	last := exchange(t, server, secrets.Token, http.MethodPost, "/platform/v0/audiences/"+ids[3]+"/insight", "application/json", `{"insight_callback_url":"`+url+`"}`)
	if last.status != http.StatusOK {
		t.Fatalf("order: %d %s", last.status, last.body)
	}
	for _, id := range []string{ids[0], ids[2]} { // some time after the first report, some time into another
		eventually(t, server, secrets.Token, "/platform/v0/audiences/"+id, "response.status", "done")
		server.kill()
		server = start(t, data, settings...)
	}
	reports := map[string]string{}
	for _, id := range ids {
		got := eventually(t, server, secrets.Token, "/platform/v0/audiences/"+id+"/insight", "response.status", "done")
		reports[id] = string(got.body)
		csvText := exchange(t, server, secrets.Token, http.MethodGet, "/platform/v0/audiences/"+id+"/insight?format=csv&order=count&limit=1000", "", "")
		checkCSV(t, string(csvText.body), 100)
	}
	for len(reports) > 0 {
		m := await(t, messages)
		if err := verifier.Verify(m.body, m.header); err != nil {
			t.Fatalf("signature: %v", err)
		}
		id, err := lookup(m.body, "response.audience_id")
		if err != nil {
			t.Fatal(err)
		}
		if want, ok := reports[id]; ok {
			if diff := cmp.Diff(want, string(m.body)); diff != "" {
				t.Errorf("callback of the report on audience %s (-read +told):\n%.2000s", id, diff)
			}
		}
		delete(reports, id) // what was told before a kill may be told again
	}
	if got := value(t, exchange(t, server, secrets.Token, http.MethodGet, "/platform/v0/credits", "", ""), "response.insights"); got != "-1" {
		t.Errorf("insights left = %s, want unlimited", got)
	}
}

// checkCSV holds the counts of a report to the minimum.
func checkCSV(t *testing.T, text string, minimum int) {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(rows) < 10 {
		t.Fatalf("report has %d rows, %v, want many", len(rows), err)
	}
	for _, row := range rows[1:] {
		if n, err := strconv.Atoi(row[3]); err != nil || n < minimum {
			t.Errorf("report tells of %s members with %s %s, fewer than %d", row[3], row[0], row[1], minimum)
		}
	}
}
