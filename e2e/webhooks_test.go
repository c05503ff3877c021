package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// The webhooks' payloads are stored byte for byte, compacted, and all their
// tables exist.
func TestWebhooks(t *testing.T) {
	wire := lines(t, data(t, "github-webhooks.ndjson.gz"))
	dir := t.TempDir()
	s := serve(t, dir)
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	want, kinds := map[string]string{}, map[string]bool{}
	var receipt string
	for i, line := range wire {
		var hook struct {
			Event   string          `json:"event"`
			Payload json.RawMessage `json:"payload"`
		}
		if err := json.Unmarshal([]byte(line), &hook); err != nil {
			t.Fatal(err)
		}
		id := fmt.Sprintf("delivery-%03d", i)
		body := fmt.Sprintf(`{"event":%q,"id":%q,"timestamp":%q,"data":%s}`, hook.Event, id, begin.Add(time.Duration(i)*time.Hour).Format(time.RFC3339), hook.Payload)
		status, a, err := post(s.url, body)
		if err != nil || status != 200 || a.Accepted != 1 {
			t.Fatalf("%s: status %d, %+v, %v", hook.Event, status, a, err)
		}
		receipt = a.Receipt
		var compact bytes.Buffer
		if err := json.Compact(&compact, hook.Payload); err != nil {
			t.Fatal(err)
		}
		want[id] = compact.String()
		kinds[hook.Event] = true
	}
	loaded(t, s.url, receipt)
	s.stop()
	var selects []string
	for _, table := range query(t, dir, "SELECT DISTINCT table_name FROM arbalest.journal WHERE table_name IS NOT NULL") {
		selects = append(selects, fmt.Sprintf(`SELECT event_id, properties::VARCHAR AS p FROM %q`, table))
	}
	if len(selects) != len(kinds) || len(kinds) != 161 {
		t.Errorf("%d tables for %d kinds", len(selects), len(kinds))
	}
	sameProperties(t, dir, selects, want)
	if got := query(t, dir, "SELECT count(*) FROM arbalest.load_errors WHERE NOT loaded")[0]; got != "0" {
		t.Errorf("%s events were not loaded", got)
	}
	must(t, "verify", "--data", dir)
}

// sameProperties holds what selects give, event_id and p of each event, against what
// is wanted of p, by id.
func sameProperties(t *testing.T, dir string, selects []string, want map[string]string) {
	t.Helper()
	rows := strings.Split(strings.TrimSpace(must(t, "query", "--data", dir, "--format", "ndjson", strings.Join(selects, " UNION ALL "))), "\n")
	if len(rows) != len(want) {
		t.Errorf("%d rows, want %d", len(rows), len(want))
	}
	for _, row := range rows {
		var r struct {
			ID string `json:"event_id"`
			P  string `json:"p"`
		}
		if err := json.Unmarshal([]byte(row), &r); err != nil {
			t.Fatal(err)
		}
		if r.P != want[r.ID] {
			t.Errorf("%s:\n got %s\nwant %s", r.ID, r.P, want[r.ID])
		}
	}
}
