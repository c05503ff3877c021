package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A figure is one that SQL must give, and that is computed from the file by
// other means.
type figure struct {
	sql  string
	want string
}

// A commit is a line of commits.ndjson, as encoding/json sees it.
type commit struct {
	Event     string `json:"event"`
	ID        string `json:"id"`
	Timestamp string `json:"timestamp"`
	Data      struct {
		Repository    string   `json:"repository"`
		Author        string   `json:"author"`
		AuthorTLD     *string  `json:"author_tld"`
		AuthoredAt    string   `json:"authored_at"`
		SelfCommitted bool     `json:"self_committed"`
		Parents       []string `json:"parents"`
		Message       struct {
			SubjectChars int `json:"subject_chars"`
			BodyLines    int `json:"body_lines"`
		} `json:"message"`
	} `json:"data"`
}

// figuresOf computes what SQL must say of the commits.
func figuresOf(t *testing.T, wire []string) []figure {
	t.Helper()
	type sums struct {
		rows, chars, lines, self, parents int
		first, last, authored             time.Time
		repos, authors, tlds              map[string]bool
	}
	all := map[string]*sums{}
	for _, line := range wire {
		var c commit
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		s := all[c.Event]
		if s == nil {
			s = &sums{repos: map[string]bool{}, authors: map[string]bool{}, tlds: map[string]bool{}}
			all[c.Event] = s
		}
		at, err := time.Parse(time.RFC3339, c.Timestamp)
		if err != nil {
			t.Fatal(err)
		}
		authored, err := time.Parse(time.RFC3339, c.Data.AuthoredAt)
		if err != nil {
			t.Fatal(err)
		}
		s.rows++
		s.chars += c.Data.Message.SubjectChars
		s.lines += c.Data.Message.BodyLines
		s.parents += len(c.Data.Parents)
		if c.Data.SelfCommitted {
			s.self++
		}
		if s.first.IsZero() || at.Before(s.first) {
			s.first = at
		}
		if at.After(s.last) {
			s.last = at
		}
		if authored.After(s.authored) {
			s.authored = authored
		}
		s.repos[c.Data.Repository] = true
		s.authors[c.Data.Author] = true
		if c.Data.AuthorTLD != nil {
			s.tlds[*c.Data.AuthorTLD] = true
		}
	}
	const second = "2006-01-02 15:04:05"
	var out []figure
	for event, s := range all {
		table := strings.ReplaceAll(event, ".", "_")
		for sql, want := range map[string]any{
			"count(*)":                                              s.rows,
			"count(DISTINCT event_id)":                              s.rows,
			"sum(message_subject_chars)":                            s.chars,
			"sum(message_body_lines)":                               s.lines,
			"count(*) FILTER (self_committed)":                      s.self,
			"sum(json_array_length(parents))":                       s.parents,
			"strftime(min(event_time), '%Y-%m-%d %H:%M:%S')":        s.first.UTC().Format(second),
			"strftime(max(event_time), '%Y-%m-%d %H:%M:%S')":        s.last.UTC().Format(second),
			"strftime(max(authored_at), '%Y-%m-%d %H:%M:%S')":       s.authored.UTC().Format(second),
			"count(DISTINCT repository)":                            len(s.repos),
			"count(DISTINCT author)":                                len(s.authors),
			"count(DISTINCT author_tld)":                            len(s.tlds),
			"count(DISTINCT properties->>'$.message.body_lines')>0": true,
		} {
			out = append(out, figure{fmt.Sprintf("SELECT %s FROM %s", sql, table), fmt.Sprint(want)})
		}
	}
	return out
}

func checkFigures(t *testing.T, dir string, figures []figure) {
	t.Helper()
	parts := make([]string, len(figures))
	for i, f := range figures {
		parts[i] = fmt.Sprintf("(%s)::VARCHAR", f.sql)
	}
	got := strings.Split(query(t, dir, "SELECT "+strings.Join(parts, ", "))[0], ",")
	for i, f := range figures {
		if got[i] != f.want {
			t.Errorf("%s = %s, want %s", f.sql, got[i], f.want)
		}
	}
}

func shuffled(wire []string, seed uint64) []string {
	out := slices.Clone(wire)
	rand.New(rand.NewPCG(seed, 1)).Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func TestCommitsImported(t *testing.T) {
	path := data(t, "commits.ndjson.gz")
	wire := lines(t, path)
	figures := figuresOf(t, wire)
	dir := t.TempDir()
	start := time.Now()
	must(t, "import", "--data", dir, path)
	checkFigures(t, dir, figures)
	took := time.Since(start)
	t.Logf("import to queryable: %.1f s", took.Seconds())
	if took > time.Minute {
		t.Errorf("import to queryable took %v, more than a minute", took)
	}
	// Compacted, the store has a sixth of the objects, and makes the same tables.
	rebuild := func() float64 {
		var r struct{ Seconds float64 }
		if err := json.Unmarshal([]byte(must(t, "rebuild", "--json", "--data", dir)), &r); err != nil {
			t.Fatal(err)
		}
		return r.Seconds
	}
	objects, seconds := partitions(t, dir), rebuild()
	t.Log(strings.TrimSpace(must(t, "compact", "--data", dir)))
	merged, mergedSeconds := partitions(t, dir), rebuild()
	t.Logf("%d objects became %d; rebuild took %.1f s, and takes %.1f s", objects, merged, seconds, mergedSeconds)
	if objects != 45_295 || merged > objects/5 {
		t.Errorf("%d objects became %d", objects, merged)
	}
	checkFigures(t, dir, figures)
	// In another order, all of it and some twice over.
	again := filepath.Join(t.TempDir(), "again.ndjson")
	mixed := append(shuffled(wire, 7), shuffled(wire, 8)[:20_000]...)
	if err := os.WriteFile(again, []byte(strings.Join(mixed, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	start = time.Now()
	must(t, "import", "--data", dir, again)
	t.Logf("import of %d repeats: %.1f s", len(mixed), time.Since(start).Seconds())
	checkFigures(t, dir, figures)
	if got := query(t, dir, "SELECT sum(stored), sum(loaded), sum(repeats), sum(conflicts), sum(errors), sum(not_loaded) FROM arbalest.books")[0]; got != fmt.Sprintf("%d,%d,%d,0,0,0", len(wire)+len(mixed), len(wire), len(mixed)) {
		t.Errorf("books: %s", got)
	}
	if hours := query(t, dir, "SELECT count(*) FROM (SELECT DISTINCT event, hour FROM arbalest.books)")[0]; hours == "0" {
		t.Error("no hours")
	}
	must(t, "verify", "--data", dir)
}

// partitions counts the objects of commits' partitions in a data directory.
func partitions(t *testing.T, dir string) (n int) {
	t.Helper()
	folders, err := filepath.Glob(filepath.Join(dir, "store", "commit.*"))
	if err != nil || len(folders) != 2 {
		t.Fatalf("folders %q: %v", folders, err)
	}
	for _, folder := range folders {
		err := filepath.WalkDir(folder, func(_ string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				n++
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return n
}

func TestCommitsPosted(t *testing.T) {
	path := data(t, "commits.ndjson.gz")
	wire := lines(t, path)
	figures := figuresOf(t, wire)
	dir := t.TempDir()
	write(t, dir+"/arbalest.yaml", "compact: {off: true}\n") // it would begin in the middle; TestCompact has it
	s := serve(t, dir)
	start := time.Now()
	for round := range uint64(2) {
		mixed := shuffled(wire, round)
		var receipt string
		for i := 0; i < len(mixed); i += 1000 {
			batch := mixed[i:min(i+1000, len(mixed))]
			body := strings.Join(batch, "\n")
			if i%2000 == 0 {
				body = "[" + strings.Join(batch, ",") + "]"
			}
			status, a, err := post(s.url, body)
			if err != nil || status != 200 || a.Accepted != len(batch) || a.Durability != "fsync" {
				t.Fatalf("status %d, %+v, %v", status, a, err)
			}
			receipt = a.Receipt
		}
		loaded(t, s.url, receipt)
		must(t, "sync", "--data", dir)
		t.Logf("round %d in SQL after %.1f s", round, time.Since(start).Seconds())
		checkFigures(t, dir, figures)
	}
	must(t, "verify", "--data", dir)
	s.stop()
	checkFigures(t, dir, figures)
}
