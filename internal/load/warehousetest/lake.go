package warehousetest

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/zeebo/xxh3"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/lake"
	"arbalest/internal/load"
)

// randomLake has random events of few ids and hours, with and without a time of
// their own, of one declared table and one that is not. Most ids have several
// events, of which some have other properties; of those some have a text that
// not every warehouse can have.
func randomLake(s *suite, random *rand.Rand) *lake.Lake {
	s.Helper()
	l, err := lake.Open(blob.NewMemory(), lake.Options{})
	if err != nil {
		s.Fatal(err)
	}
	ids := 5 + random.IntN(40)
	var sent []byte
	for range 8 {
		var lines []byte
		for range 1 + random.IntN(40) {
			if begin := bytes.IndexByte(sent, '\n') + 1; begin > 0 && random.IntN(8) == 0 { // again
				lines = append(lines, sent[:begin]...)
				sent = sent[begin:]
			}
			lines = appendRandom(lines, random, ids)
		}
		sent = append(sent, lines...)
		s.sort(l, lines)
	}
	return l
}

// appendRandom appends the line of a random event, of one of so many ids.
func appendRandom(lines []byte, random *rand.Rand, ids int) []byte {
	start := time.Date(2015, 8, 18, 0, 0, 0, 0, time.UTC)
	received := start.Add(time.Duration(random.IntN(50*60)) * time.Minute)
	at := start.Add(time.Duration(random.IntN(50*6)) * 10 * time.Minute)
	if random.IntN(3) == 0 {
		at = received
	}
	p := fmt.Appendf(nil, `{"n":%d}`, random.IntN(3))
	if random.IntN(8) == 0 {
		p = []byte(`{"n":7,"v":"a\u0000b"}`)
	}
	return arbalest.AppendLine(lines, arbalest.Event{ID: fmt.Sprint(random.IntN(ids)), Name: []arbalest.EventName{"strict", "open"}[random.IntN(2)], Time: at, Received: received, Hash: xxh3.Hash(p), Properties: p})
}

// land adds random events to a lake.
func (s *suite) land(l *lake.Lake, random *rand.Rand, events int) {
	s.Helper()
	var lines []byte
	for range events {
		lines = appendRandom(lines, random, 40)
	}
	s.sort(l, lines)
}

// sort makes a commit of lines.
func (s *suite) sort(l *lake.Lake, lines []byte) {
	s.Helper()
	if _, err := l.NewWriter().AppendLines(s.Context(), lines); err != nil {
		s.Fatal(err)
	}
	for {
		sorted, err := l.Sort(s.Context())
		if err != nil {
			s.Fatal(err)
		}
		if sorted.Commit == 0 {
			return
		}
	}
}

// many returns how many rounds or rows a test has: fewer in its short form, which is
// for the race detector.
func many(whole, short int) int {
	if testing.Short() {
		return short
	}
	return whole
}

// testBatchesOfAnySize loads random lakes in batches of one object each, of
// some, and of all there is: tables, books and conflicts are the same.
func testBatchesOfAnySize(s *suite) {
	queries := []string{
		"SELECT event_id, event_time, received_at, event_hash, n, v FROM strict",
		"SELECT event_id, event_time, received_at, event_hash, n, v, properties FROM open",
		"SELECT table_name, event_id, event_time, kept_hash, other_hash, object, line FROM arbalest.conflicts",
		"SELECT table_name, object, line, event_id, event_time, column_name, value, loaded FROM arbalest.load_errors",
		`SELECT "commit", table_name, event, hour, CAST(sum(objects) AS BIGINT), CAST(sum(stored) AS BIGINT), CAST(sum(loaded) AS BIGINT), CAST(sum(repeats) AS BIGINT),
			CAST(sum(conflicts) AS BIGINT), CAST(sum(errors) AS BIGINT) FROM arbalest.journal GROUP BY "commit", table_name, event, hour`,
		"SELECT event, hour, received, stored, rejected, loaded, repeats, conflicts, errors, not_loaded FROM arbalest.books",
	}
	opts := load.Options{Workers: 2, Declared: []arbalest.Table{{Name: "strict", Event: "strict", Version: 1, Columns: []arbalest.Column{Col("n", "INTEGER"), Col("v", "VARCHAR(10)")}}}}
	for range many(2, 1) {
		seed := rand.Uint64()
		s.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 0))
		l := randomLake(s, random)
		var first [][]string
		for _, opts.BatchBytes = range []int64{1, 1 + random.Int64N(3000), 1 + random.Int64N(20_000), math.MaxInt32} {
			if err := s.w.Reset(s.Context()); err != nil {
				s.Fatal(err)
			}
			s.loadLake(l, opts, func() {})
			for i, sql := range queries {
				var rows []string
				for _, row := range s.query(sql) {
					rows = append(rows, strings.Join(row, " | "))
				}
				if len(first) < len(queries) {
					first = append(first, rows)
				}
				s.wantSame(fmt.Sprintf("seed %d, in batches of %d bytes: %s", seed, opts.BatchBytes, sql), rows, first[i])
			}
			if s.Failed() {
				return
			}
		}
		if len(first[2]) == 0 {
			s.Errorf("seed %d: no conflicts", seed)
		}
	}
}

// testCompactedMeanwhile loads random lakes, in batches of any size, while they are
// compacted, and again when they are: tables and books come out the same. Of
// repeats that compaction leaves out the books know that they are some, no more:
// what is a conflict or a load error is told of once each.
func testCompactedMeanwhile(s *suite) {
	queries := []string{
		"SELECT event_id, event_time, received_at, event_hash, n, v FROM strict",
		"SELECT event_id, event_time, received_at, event_hash, n, v, properties FROM open",
		"SELECT DISTINCT table_name, event_id, event_time, other_hash FROM arbalest.conflicts",
		"SELECT DISTINCT table_name, event_id, event_time, column_name, value, loaded FROM arbalest.load_errors",
		`SELECT "commit", table_name, event, hour, CAST(sum(objects) AS BIGINT), CAST(sum(stored) AS BIGINT), CAST(sum(loaded) AS BIGINT), CAST(sum(repeats) + sum(errors) AS BIGINT)
			FROM arbalest.journal GROUP BY "commit", table_name, event, hour`,
		"SELECT event, hour, received, stored, rejected, loaded, repeats + errors, not_loaded FROM arbalest.books",
	}
	opts := load.Options{Workers: 2, Declared: []arbalest.Table{{Name: "strict", Event: "strict", Version: 1, Columns: []arbalest.Column{Col("n", "INTEGER"), Col("v", "VARCHAR(10)")}}}}
	left := int64(0)
	rounds := many(3, 1)
	for range rounds {
		seed := rand.Uint64()
		s.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 0))
		l := randomLake(s, random)
		compact := func() {
			c, err := l.Compact(s.Context(), arbalest.HourOf(time.Date(2015, 8, 18, random.IntN(80), 0, 0, 0, time.UTC)))
			if err != nil {
				s.Fatal(err)
			}
			left += c.Repeats
		}
		var first [][]string
		for i, meanwhile := range []func(){func() {}, compact, compact, compact} {
			opts.BatchBytes = 1 + random.Int64N(3000)
			if err := s.w.Reset(s.Context()); err != nil {
				s.Fatal(err)
			}
			s.loadLake(l, opts, meanwhile)
			for k, sql := range queries {
				var rows []string
				for _, row := range s.query(sql) {
					rows = append(rows, strings.Join(row, " | "))
				}
				if i == 0 {
					first = append(first, rows)
				}
				s.wantSame(fmt.Sprintf("seed %d, load %d: %s", seed, i, sql), rows, first[k])
			}
			if s.Failed() {
				return
			}
		}
		for _, row := range s.query("SELECT object, line, other_hash FROM arbalest.conflicts") {
			s.wantLine(l, row[0], row[1], row[2])
		}
	}
	if left == 0 && rounds > 1 {
		s.Error("nothing was left out")
	}
}

// wantLine holds that a line of an object, by the number that it was committed with,
// is of an event with a hash.
func (s *suite) wantLine(l *lake.Lake, key, line, hash string) {
	s.Helper()
	lines, stored, err := l.AppendLines(s.Context(), nil, arbalest.Object{Key: arbalest.Key(key)})
	if err != nil {
		s.Fatal(err)
	}
	n, err := strconv.ParseInt(line, 10, 64)
	if err != nil {
		s.Fatal(err)
	}
	if text := strings.Split(string(lines), "\n")[stored.Now(n)-1]; !strings.Contains(text, hash) {
		s.Errorf("line %d of %s has not the hash %s: %s", n, key, hash, text)
	}
}

// loadLake loads all there is. meanwhile is called after each batch.
func (s *suite) loadLake(l *lake.Lake, opts load.Options, meanwhile func()) {
	s.Helper()
	for loader := load.New(l, s.w, opts); ; meanwhile() {
		r, err := loader.Once(s.Context())
		if err != nil {
			s.Fatal(err)
		}
		for table, stall := range r.Progress.Stalled {
			s.Fatalf("%s is stalled: %s", table, stall.Reason)
		}
		if r.Idle {
			return
		}
	}
}

// without returns the lines that others have not.
func without(lines, others []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return slices.Contains(others, line) })
}
