package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const exampleFile = `
name: example
store: raw
steps:
  - bulk_copy:
      source: events/bulk
      table: destination_table_name
      max_errors: ${MAX_ERRORS}
      properties:
        - {name: id, type: VARCHAR(36)}
        - {name: someNumber, type: INTEGER, as: custom_column_name}
  - manifest_copy:
      source: events/incremental
      table: incremental_destination_table_name
      properties: [{name: id, type: VARCHAR(36)}]
  - sql:
      - DROP TABLE IF EXISTS some_olap_table
      - CREATE TABLE some_olap_table AS SELECT custom_column_name + 1 AS n FROM destination_table_name
`

// exits runs the program and returns its exit code and all that it said.
func exits(t *testing.T, args ...string) (code int, said string) {
	t.Helper()
	out, errors, code := run(t, args...)
	return code, out + errors
}

// The example of the original, as a file: planned, validated, run, run again,
// failed and resumed, beside no serve and beside one.
func TestPipelineFile(t *testing.T) {
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "example.yaml"), exampleFile)
	for i := range 3 {
		write(t, filepath.Join(dir, "raw/events/bulk", fmt.Sprint(i)), fmt.Sprintf(`{"id":"b%d","someNumber":%d}`, i, i))
		write(t, filepath.Join(dir, "raw/events/incremental", fmt.Sprint(i)), fmt.Sprintf(`{"id":"i%d"}`, i))
	}
	write(t, filepath.Join(dir, "raw/events/bulk2/not-this"), `{"id":"no","someNumber":9}`)
	home := filepath.Join(dir, "data")
	with := func(verb string, more ...string) []string {
		return append([]string{verb, file, "--data", home, "--set", "MAX_ERRORS=0"}, more...)
	}
	if code, out := exits(t, "run", file, "--data", home); code != 2 || !strings.Contains(out, "example.yaml:5:") || !strings.Contains(out, "--set MAX_ERRORS=") {
		t.Errorf("without a variable: exit %d, %s", code, out)
	}
	if out := must(t, with("plan")...); !strings.Contains(out, "3 objects, 78 bytes") || !strings.Contains(out, `RENAME TO "destination_table_name"`) {
		t.Errorf("plan: %s", out)
	}
	must(t, with("validate")...)
	if code, out := exits(t, "query", "--data", home, "SELECT * FROM destination_table_name"); code != 3 {
		t.Errorf("validating and planning made the table: %d %s", code, out)
	}
	must(t, with("run")...)
	must(t, with("run")...)
	want := func(sql, want string) {
		t.Helper()
		if got := strings.Join(query(t, home, sql), " "); got != want {
			t.Errorf("%s: %q, want %q", sql, got, want)
		}
	}
	want("SELECT n FROM some_olap_table ORDER BY n", "1 2 3")
	want("SELECT count(*) FROM incremental_destination_table_name", "3")

	s := serve(t, home)
	bad := write(t, filepath.Join(dir, "raw/events/incremental/bad"), `{"id":"`+strings.Repeat("x", 37)+`"}`)
	if code, out := exits(t, with("run")...); code != 2 || !strings.Contains(out, "column id") {
		t.Errorf("a value that is too long: exit %d, %s", code, out)
	}
	if code, out := exits(t, with("validate")...); code != 2 || !strings.Contains(out, "would fail") {
		t.Errorf("validate: exit %d, %s", code, out)
	}
	write(t, bad, `{"id":"good"}`)
	var report struct {
		Runs []struct {
			Steps []struct {
				Earlier bool `json:"earlier"`
				Rows    int  `json:"rows"`
			} `json:"steps"`
		} `json:"runs"`
	}
	if err := json.Unmarshal([]byte(must(t, with("run", "--json")...)), &report); err != nil {
		t.Fatal(err)
	}
	if steps := report.Runs[0].Steps; !steps[0].Earlier || steps[1].Rows != 1 {
		t.Errorf("resumed: %+v", report)
	}
	want("SELECT count(*) FROM incremental_destination_table_name", "4")
	want("SELECT object, line, column_name FROM arbalest.copy_errors", "events/incremental/bad,1,id")
	if out := must(t, "status", "--data", home); !strings.Contains(out, "example") || !strings.Contains(out, "done") {
		t.Errorf("status: %s", out)
	}
	if err := os.RemoveAll(filepath.Join(dir, "raw/events/bulk")); err != nil {
		t.Fatal(err)
	}
	if code, said := exits(t, with("run")...); code != 3 {
		t.Errorf("a source that is gone: exit %d, want 3: %s", code, said)
	}
	s.stop()
}

// serve runs a pipeline by the clock, with those that it requires.
func TestPipelineSchedule(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "base.yaml"), "store: raw\nsteps: [{manifest_copy: {source: s, table: base, properties: [{name: n, type: INTEGER}]}}]\n")
	write(t, filepath.Join(dir, "ticks.yaml"), "schedule: \"@every 1s\"\nrequires: [base.yaml]\nsteps:\n  - sql: CREATE TABLE IF NOT EXISTS ticks (n INTEGER)\n  - sql: INSERT INTO ticks SELECT count(*) FROM base\n")
	write(t, filepath.Join(dir, "arbalest.yaml"), "pipelines: [ticks.yaml]\n")
	write(t, filepath.Join(dir, "raw/s/1"), `{"n":1}`)
	s := serve(t, dir)
	deadline := time.Now().Add(20 * time.Second)
	for {
		if code, out := exits(t, "query", "--data", dir, "--format", "csv", "SELECT count(*) >= 2 FROM ticks"); code == 0 && strings.Contains(out, "true") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the pipeline was not run by the clock")
		}
		time.Sleep(200 * time.Millisecond)
	}
	s.stop()
	in := bufio.NewScanner(strings.NewReader(must(t, "query", "--data", dir, "--format", "csv", "SELECT DISTINCT n FROM ticks")))
	in.Scan()
	if in.Scan(); in.Text() != "1" {
		t.Errorf("ticks have %q", in.Text())
	}
	write(t, filepath.Join(dir, "ticks.yaml"), "schedule: \"every day\"\nsteps: [{sync: {}}]\n")
	if code, out := exits(t, "serve", "--data", dir, "--listen", "127.0.0.1:0"); code != 2 || !strings.Contains(out, "every day") {
		t.Errorf("a bad schedule: exit %d, %s", code, out)
	}
}
