package e2e

import (
	"path/filepath"
	"strings"
	"testing"
)

// Reports say the same beside a running serve as without, and what they cannot
// find exits with 3.
func TestReports(t *testing.T) {
	dir := t.TempDir()
	must(t, "import", "--data", dir, write(t, filepath.Join(dir, "in.ndjson"), `{"event":"a.b","id":"1","timestamp":"2026-08-21T16:00:00Z","data":{"n":5}}`+"\n"))
	must(t, "run", "--data", dir, write(t, filepath.Join(dir, "p.yaml"), "name: nightly\nsteps:\n  - sync: {}\n"))
	commands := [][]string{
		{"events"}, {"events", "a.b"}, {"events", "a.b", "--format", "csv"}, {"tables"}, {"tables", "a_b", "--format", "json"}, {"runs"},
		{"runs", "--pipeline", "nightly", "--format", "ndjson"}, {"status", "--format", "csv"}, {"__complete", "events", "--data", dir, ""}, {"__complete", "tables", "--data", dir, "a"},
	}
	ask := func(c []string) string {
		if c[0] == "__complete" {
			return must(t, c...)
		}
		return must(t, append(c, "--data", dir)...)
	}
	var alone []string
	for _, c := range commands {
		alone = append(alone, ask(c))
	}
	if got := strings.Split(alone[2], "\n")[1]; got != "n,n,BIGINT,1,1,0,5" {
		t.Errorf("events a.b: %s", got)
	}
	if got := strings.TrimSpace(strings.Split(alone[6], "\n")[0]); !strings.HasPrefix(got, `{"pipeline":"nightly","run":"`) || !strings.Contains(got, `"state":"done"`) {
		t.Errorf("runs: %s", got)
	}
	if alone[8] != "a.b\n:4\n" || alone[9] != "a_b\n:4\n" {
		t.Errorf("completed as %q and %q", alone[8], alone[9])
	}
	serve(t, dir)
	for i, c := range commands {
		// Only how long ago something was may differ.
		got, want := strings.Fields(ask(c)), strings.Fields(alone[i])
		for k := range want {
			if len(got) != len(want) || got[k] != want[k] && k+2 < len(want) && want[k+2] != "ago" {
				t.Errorf("%v: %s beside serve, %s without", c, got, want)
				break
			}
		}
	}
	for _, c := range [][]string{{"events", "nope"}, {"tables", "nope"}, {"runs", "nope"}} {
		if _, stderr, exit := run(t, append(c, "--data", dir)...); exit != 3 || !strings.Contains(stderr, "arbalest "+c[0]) {
			t.Errorf("%v: exit %d, %s", c, exit, stderr)
		}
	}
	for _, c := range [][]string{{"events", "a", "b"}, {"tables", "--limit", "-1"}, {"runs", "--state", "odd"}, {"events", "--format", "xml"}, {"runs", "--from", "never"}} {
		if _, stderr, exit := run(t, append(c, "--data", dir)...); exit != 2 {
			t.Errorf("%v: exit %d, %s", c, exit, stderr)
		}
	}
}
