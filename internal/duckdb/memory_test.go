package duckdb

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"arbalest"
)

// TestMemoryOfALoad loads rows with the default memory limit in a process of
// its own, which must stay below 350 MiB: LOAD_ROWS of them (five million take
// some ten seconds).
func TestMemoryOfALoad(t *testing.T) {
	rows := os.Getenv("LOAD_ROWS")
	if rows == "" {
		rows = "600000"
	}
	if raceEnabled {
		t.Skip("the race detector takes memory of its own")
	}
	out, err := child(t, "TestMemoryInChild", "LOAD_ROWS="+rows, "LOAD_INTO="+filepath.Join(t.TempDir(), "w.duckdb")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	_, after, _ := bytes.Cut(out, []byte("peak "))
	field, _, _ := bytes.Cut(after, []byte(" "))
	if peak, err := strconv.Atoi(string(field)); err != nil || peak > 350 {
		t.Errorf("process took %d MiB at its peak, over 350: %v", peak, err)
	}
}

// TestMemoryInChild is TestMemoryOfALoad's process.
func TestMemoryInChild(t *testing.T) {
	path := os.Getenv("LOAD_INTO")
	if path == "" {
		t.Skip("for TestMemoryOfALoad")
	}
	total, err := strconv.Atoi(os.Getenv("LOAD_ROWS"))
	if err != nil {
		t.Fatal(err)
	}
	w := mustOpen(t, path, Options{})
	random := rand.New(rand.NewPCG(1, 2))
	const step = 150_000 // some 32 MiB of lines, the loader's batch
	for first := 0; first < total; first += step {
		commit := arbalest.Seq(first/step + 1)
		mustLoad(t, w, commit, benchBatch(benchTable(), commit, first, min(step, total-first), time.Second/100, random))
	}
	loaded := statusMiB(t, "VmRSS:")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	fmt.Printf("peak %d MiB, after the loads %d MiB, after Close %d MiB\n", statusMiB(t, "VmHWM:"), loaded, statusMiB(t, "VmRSS:"))
}

// TestMemoryOfAnExport exports a table that is larger than the default memory limit in a
// process of its own, which must stay below 350 MiB.
func TestMemoryOfAnExport(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector takes memory of its own")
	}
	out, err := child(t, "TestExportInChild", "EXPORT_TO="+t.TempDir()).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	_, after, _ := bytes.Cut(out, []byte("peak "))
	field, _, _ := bytes.Cut(after, []byte(" "))
	if peak, err := strconv.Atoi(string(field)); err != nil || peak > 350 {
		t.Errorf("process took %d MiB at its peak, over 350: %v", peak, err)
	}
}

// TestExportInChild is TestMemoryOfAnExport's process.
func TestExportInChild(t *testing.T) {
	dir := os.Getenv("EXPORT_TO")
	if dir == "" {
		t.Skip("for TestMemoryOfAnExport")
	}
	w := mustOpen(t, filepath.Join(dir, "w.duckdb"), Options{Files: dir})
	defer w.Close()
	const n = 400_000
	if err := w.note(t.Context(), func(tx *transaction) error {
		return tx.exec(fmt.Sprintf(`CREATE TABLE a AS SELECT i || '-id' AS event_id, TIMESTAMP '2015-08-18' + to_seconds((hash(i) %% 86400)::BIGINT) AS event_time,
			('{"a":"' || i || repeat(' and more text', 20) || '"}')::JSON AS properties FROM range(%d) r(i)`, n))
	}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "a.parquet")
	rows, size, err := w.Export(t.Context(), "a", path)
	if err != nil || rows != n {
		t.Fatalf("%d rows, %v", rows, err)
	}
	fmt.Printf("peak %d MiB, %d bytes\n", statusMiB(t, "VmHWM:"), size)
	if got := mustQuery(t, w, `SELECT count(*) FROM (SELECT event_time, event_id, lag((event_time, event_id)) OVER (ORDER BY file_row_number) AS before FROM read_parquet(`+literal(path)+`, file_row_number = true))
		WHERE (event_time, event_id) < before`); got[0][0] != "0" {
		t.Errorf("%s rows are out of order", got[0][0])
	}
}

// statusMiB returns one of the sizes of /proc/self/status.
func statusMiB(t *testing.T, field string) int {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip(err)
	}
	_, after, _ := bytes.Cut(status, []byte(field))
	line, _, _ := bytes.Cut(after, []byte("kB"))
	kib, err := strconv.Atoi(string(bytes.TrimSpace(line)))
	if err != nil {
		t.Fatal(err)
	}
	return kib / 1024
}
