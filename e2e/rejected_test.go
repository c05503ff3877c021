package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"arbalest/internal/s3/s3test"
)

// A rejection is a line of rejected list --json.
type rejection struct {
	Place, Event, ID, Code, Reason, Origin string
	Landing                                bool
	Replayed                               *time.Time
	Body                                   string
}

func rejections(t *testing.T, dir string, args ...string) (all []rejection) {
	t.Helper()
	for line := range strings.Lines(must(t, append([]string{"rejected", "list", "--data", dir, "--json"}, args...)...)) {
		var r rejection
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all = append(all, r)
	}
	return all
}

func codes(all []rejection) string {
	var codes []string
	for _, r := range all {
		codes = append(codes, r.Code)
	}
	return strings.Join(codes, " ")
}

// TestInvariant5RejectedIsReplayed posts bad events of many kinds, beside a serve
// and without one, on a directory and on S3, finds them, mends what can be and
// replays them: each is in its table once, however often that is done.
func TestInvariant5RejectedIsReplayed(t *testing.T) {
	for name, store := range map[string]func(testing.TB) string{"directory": func(testing.TB) string { return "" }, "S3": s3test.Start} {
		for _, beside := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/beside=%v", name, beside), func(t *testing.T) {
				s := site{name: name}
				dir := s.directory(t, store(t), "", "linger: 1ms\nsort_every: 200ms\nlimits:\n  event: 1KiB\n")
				rejectAndReplay(t, dir, beside)
			})
		}
	}
}

func rejectAndReplay(t *testing.T, dir string, beside bool) {
	large := func(id string) string {
		return fmt.Sprintf(`{"event":"order.placed"%s,"data":{"x":%q}}`, id, strings.Repeat("x", 2000))
	}
	s := serve(t, dir)
	for _, body := range []string{
		`{"event":"bad name","id":"1"}`,
		`{"event":"user.created","id":"2","timestamp":"soon"}`,
		`hello`,
		large(`,"id":"3"`) + "\n" + large(``) + "\n" + `{"event":"order.placed","id":"4"}`,
		`[{"event":"user.created","id":"5"},{"event":tru},{"event":"user.created","id":"6"}]`,
	} {
		if _, _, err := post(s.url, body); err != nil {
			t.Fatal(err)
		}
	}
	r, _ := http.NewRequest("POST", s.url+"/v1/events", strings.NewReader(`[{"event":"user.created","id":"7"},{"event":"user.created"}]`))
	r.Header.Set("Content-Encoding", "gzip")
	if resp, err := http.DefaultClient.Do(r); err != nil || resp.StatusCode != 400 {
		t.Fatal(resp, err)
	}
	if all := rejections(t, dir); len(all) != 7 { // at once, whether they are sorted or not
		t.Errorf("%d are listed: %+v", len(all), all)
	}
	if !beside {
		s.stop()
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--reason", "bad_name,bad_time"}, "bad_time bad_name"},
		{[]string{"--event", "user.*"}, "bad_time"},
		{[]string{"--event", "order.placed"}, "event_too_large event_too_large"},
		{[]string{"--from", "1h", "--limit", "1"}, "bad_encoding"},
		{[]string{"--to", "1h"}, ""},
		{[]string{"--from", "2000-01-01", "--to", "2001-01-01"}, ""},
	} {
		if got := codes(rejections(t, dir, c.args...)); got != c.want {
			t.Errorf("%v: %s, want %s", c.args, got, c.want)
		}
	}
	if out := must(t, "rejected", "list", "--data", dir, "--summary"); !strings.Contains(out, "event_too_large │ order.placed │      2") {
		t.Errorf("summary:\n%s", out)
	}
	if out := must(t, "rejected", "list", "--data", dir, "--limit", "2"); !strings.Contains(out, "there are more") {
		t.Errorf("list:\n%s", out)
	}
	place := rejections(t, dir, "--reason", "bad_encoding")[0].Place
	if got := must(t, "rejected", "show", "--data", dir, "--raw", place); got != `[{"event":"user.created","id":"7"},{"event":"user.created"}]` {
		t.Errorf("raw: %s", got)
	}
	var shown rejection
	if err := json.Unmarshal([]byte(must(t, "rejected", "show", "--data", dir, "--json", place)), &shown); err != nil || shown.Code != "bad_encoding" || !strings.Contains(shown.Body, `"7"`) {
		t.Errorf("%+v %v", shown, err)
	}
	if got := must(t, "rejected", "show", "--data", dir, place); !strings.Contains(got, "code        bad_encoding\n") {
		t.Errorf("show: %s", got)
	}
	// Under the limit of then it is left.
	if _, stderr, exit := run(t, "rejected", "replay", "--data", dir, "--reason", "event_too_large"); exit != 2 || !strings.Contains(stderr, "none of 2 places") {
		t.Errorf("exit %d: %s", exit, stderr)
	}
	config := filepath.Join(dir, "arbalest.yaml")
	b, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	write(t, config, strings.Replace(string(b), "1KiB", "1MiB", 1))
	if out := must(t, "rejected", "replay", "--data", dir, "--dry-run"); !strings.Contains(out, "4 of 7 places would be replayed: 5 events accepted; 1 of theirs would be rejected again") {
		t.Errorf("dry run:\n%s", out)
	}
	const rows = "SELECT count(*), count(DISTINCT event_id) FROM (SELECT event_id FROM order_placed UNION ALL SELECT event_id FROM user_created)"
	if got := query(t, dir, rows)[0]; got != "2,2" {
		t.Errorf("rows after a dry run: %s", got)
	}
	must(t, "rejected", "replay", "--data", dir, place)
	must(t, "rejected", "replay", "--data", dir)
	for i := range 3 {
		if got := query(t, dir, rows)[0]; got != "7,7" {
			t.Errorf("rows: %s", got)
		}
		if got := codes(rejections(t, dir)); len(strings.Fields(got)) != 4+i/2 || strings.Contains(got, "large") {
			t.Errorf("left: %s", got)
		}
		args := []string{"rejected", "replay", "--data", dir}
		if i == 1 {
			args = append(args, "--all") // what is invalid in the array is then kept once more
		}
		if _, stderr, exit := run(t, args...); i != 1 && exit != 2 || i == 1 && exit != 0 {
			t.Errorf("%v: exit %d, %s", args, exit, stderr)
		}
	}
	if got := query(t, dir, "SELECT string_agg(event_id, ' ' ORDER BY event_id) FROM (SELECT event_id FROM order_placed UNION ALL SELECT event_id FROM user_created) WHERE length(event_id) = 1")[0]; got != "3 4 5 6 7" {
		t.Errorf("ids %s", got)
	}
	if got := query(t, dir, "SELECT sum(received) - sum(stored) - sum(rejected), sum(stored) - sum(loaded) - sum(repeats) FROM arbalest.books")[0]; got != "0,0" {
		t.Errorf("books: %s", got)
	}
	all := rejections(t, dir, "--all")
	replayed := 0
	for _, r := range all {
		if r.Replayed != nil {
			replayed++
		}
	}
	if replayed != 4 {
		t.Errorf("%d are marked of %+v", replayed, all)
	}
	var status struct{ Balanced bool }
	if err := json.Unmarshal([]byte(must(t, "status", "--data", dir, "--json")), &status); err != nil || !status.Balanced {
		t.Errorf("status: %+v %v", status, err)
	}
	must(t, "verify", "--data", dir)
	for _, c := range []struct {
		args []string
		exit int
		says string
	}{
		{[]string{"show", "2026-11-22/20/none-000001#1"}, 3, "rejected list --all"},
		{[]string{"show", "nowhere"}, 2, "rejected list"},
		{[]string{"replay", "2026-11-22/20/none-000001#1"}, 3, "rejected list --all"},
		{[]string{"replay", place, "--reason", "bad_time"}, 2, "not both"},
		{[]string{"list", "--reason", "bad_tme"}, 2, "bad_time"},
		{[]string{"list", "--event", "[a"}, 2, "pattern"},
		{[]string{"list", "--from", "soon"}, 2, "how long ago"},
		{[]string{"list", "--from", "1h", "--to", "2h"}, 2, "not before"},
		{[]string{"lst"}, 2, "--help"},
	} {
		args := append([]string{"rejected"}, c.args...)
		if c.args[0] != "lst" {
			args = append(args, "--data", dir)
		}
		stdout, stderr, exit := run(t, args...)
		if exit != c.exit || !strings.Contains(stderr, c.says) {
			t.Errorf("%v: exit %d, want %d with %q: %s%s", args, exit, c.exit, c.says, stdout, stderr)
		}
	}
}

// What a definition refused is stored once that is mended, and what privacy rules
// did to it when it was kept is not done again.
func TestReplayOfWhatADefinitionRefused(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "arbalest.yaml")
	const rules = "sort_every: 100ms\nprivacy: {key: %s}\nevents:\n  user.tested:\n    privacy:\n      hash: [email]\n"
	private := fmt.Sprintf(rules, strings.Repeat("k", 32))
	write(t, config, private+"    required: [plan]\n")
	s := serve(t, dir)
	if status, a, err := post(s.url, `{"event":"user.tested","id":"p","data":{"email":"jane@doe.com"}}`); err != nil || status != 400 || len(a.Rejected) != 1 {
		t.Fatalf("%d %+v %v", status, a, err)
	}
	if status, _, err := post(s.url, `{"event":"user.tested","id":"q","data":{"email":"jane@doe.com","plan":"free"}}`); err != nil || status != 200 {
		t.Fatal(status, err)
	}
	all := rejections(t, dir, "--reason", "bad_schema")
	if len(all) != 1 || strings.Contains(must(t, "rejected", "show", "--data", dir, "--raw", all[0].Place), "jane@doe.com") {
		t.Fatalf("%+v", all)
	}
	if _, stderr, exit := run(t, "rejected", "replay", "--data", dir); exit != 2 || !strings.Contains(stderr, "none of 1 place") {
		t.Errorf("exit %d: %s", exit, stderr)
	}
	write(t, config, private)
	must(t, "rejected", "replay", "--data", dir)
	if got := query(t, dir, "SELECT count(*), count(DISTINCT event_id), count(DISTINCT email) FROM user_tested")[0]; got != "2,2,1" {
		t.Errorf("rows, ids and hashes: %s", got)
	}
	if _, _, exit := run(t, "rejected", "replay", "--data", dir); exit != 0 || len(rejections(t, dir)) != 0 {
		t.Errorf("exit %d, %v", exit, rejections(t, dir))
	}
	s.stop()
	must(t, "verify", "--data", dir)
}
