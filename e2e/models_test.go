package e2e

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Models over events: built by sync, followed by serve beside which the commands
// work, tested, and wrong.
func TestModels(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "models", "hourly.sql"), "-- materialized: incremental\n-- partition: hour\n-- key: hour\n-- tests: accepted_values(times: 1)\nSELECT date_trunc('hour', event_time) AS hour, count(*) AS times FROM order_placed GROUP BY 1\n")
	write(t, filepath.Join(dir, "models", "busy.sql"), "SELECT * FROM hourly WHERE times > 1\n")
	events := write(t, filepath.Join(dir, "events.ndjson"), `{"event":"order.placed","id":"1","timestamp":"2015-08-18T07:38:40Z","data":{"n":1}}
{"event":"order.placed","id":"2","timestamp":"2015-08-18T07:39:40Z","data":{"n":1}}
`)
	if _, stderr, exit := run(t, "sync", "--data", dir); exit != 3 || !strings.Contains(stderr, "hourly.sql:5: not found: table order_placed") {
		t.Errorf("without its table: exit %d, %s", exit, stderr)
	}
	must(t, "import", "--data", dir, events)
	if got := must(t, "build", "--plan", "--data", dir); !strings.Contains(got, "it was never built") || !strings.Contains(got, "busy (view)\n└─ hourly (incremental)\n   └─ order_placed\n") {
		t.Error(got)
	}
	if got := must(t, "sync", "--data", dir); !strings.Contains(got, "Models: built hourly, busy.") {
		t.Error(got)
	}
	if got := query(t, dir, "SELECT * FROM busy"); got[0] != "2015-08-18 07:00:00,2" {
		t.Error(got)
	}
	stdout, stderr, exit := run(t, "test", "--data", dir)
	if exit != 2 || !strings.Contains(stdout, "accepted_values(times: 1) │ fails: 1 row") || !strings.Contains(stderr, "1 of 3 tests fail") {
		t.Errorf("exit %d\n%s%s", exit, stdout, stderr)
	}

	s := serve(t, dir)
	if _, _, err := post(s.url, `{"event":"order.placed","id":"3","timestamp":"2014-01-01T00:00:00Z","data":{"n":1}}`); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if rows := query(t, dir, "SELECT * FROM hourly ORDER BY hour"); rows[0] == "2014-01-01 00:00:00,1" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("serve does not build\n%s", s.log)
		}
	}
	write(t, filepath.Join(dir, "models", "bad.sql"), "SELECT nothing FROM order_placed\n")
	if stdout, stderr, exit := run(t, "build", "--data", dir); exit != 3 || !strings.Contains(stderr, "bad.sql") || !strings.Contains(stdout, "current") {
		t.Errorf("exit %d\n%s%s", exit, stdout, stderr)
	}
	var built struct {
		Models []struct{ Model, State, How string } `json:"models"`
	}
	if err := json.Unmarshal([]byte(must(t, "build", "hourly", "--full", "--json", "--data", dir)), &built); err != nil || len(built.Models) != 1 || built.Models[0].How != "full" {
		t.Errorf("%+v, %v", built, err)
	}
	write(t, filepath.Join(dir, "p.yaml"), "steps:\n  - sync: {}\n  - model: busy\n")
	if got := must(t, "run", filepath.Join(dir, "p.yaml"), "--data", dir); !strings.Contains(got, "model busy") {
		t.Error(got)
	}
	if _, _, exit := run(t, "test", "busy", "--data", dir); exit != 0 {
		t.Errorf("exit %d", exit)
	}
	if got := must(t, "models", "--json", "--data", dir); !strings.Contains(got, `"state":"failed"`) {
		t.Error(got)
	}
	s.stop()
}
