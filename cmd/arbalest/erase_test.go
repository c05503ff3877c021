package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"arbalest"
	"arbalest/internal/capture"
	"arbalest/internal/load"
)

// bytesWith returns the files of a store that have a text, once they are decompressed.
// The slots of drafts are not looked at: they are written over, and go with serve.
func bytesWith(t *testing.T, dir, text string) (files []string) {
	t.Helper()
	dec, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == ".drafts" {
				return filepath.SkipDir
			}
			return nil
		}
		b, err := os.ReadFile(path)
		if err == nil && strings.HasSuffix(path, ".zst") {
			b, err = dec.DecodeAll(b, nil)
		} else if err == nil && strings.HasSuffix(path, ".s2") {
			var out bytes.Buffer
			_, err = out.ReadFrom(s2.NewReader(bytes.NewReader(b)))
			b = out.Bytes()
		}
		if bytes.Contains(b, []byte(text)) {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestErase erases a person's events by a condition: from tables, load errors, the
// store, and what was rejected; again, and after a rebuild; and what comes late is
// refused. Other events stay, and all balances.
func TestErase(t *testing.T) {
	ctx := t.Context()
	p := place{dir: t.TempDir()}
	e, err := openEngine(ctx, p, config{Events: map[string]eventConfig{"order": {Columns: []columnConfig{{Name: "email", Type: "VARCHAR(40)"}, {Name: "amount", Type: "INTEGER"}}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { e.Close() }()
	quiet := func(progress) {}
	h, err := capture.New(capture.Options{Appender: e.lake.NewWriter()})
	if err != nil {
		t.Fatal(err)
	}
	take := func(text string) {
		t.Helper()
		if _, err := h.Take(ctx, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	const jane = "jane@doe.com"
	for _, text := range []string{
		`{"event":"user.created","id":"1","timestamp":"2026-01-01T00:00:00Z","data":{"email":"jane@doe.com","plan":"free"}}`,
		`{"event":"user.created","id":"2","timestamp":"2026-01-01T00:10:00Z","data":{"email":"john@doe.com"}}`,
		`{"event":"user.created","id":"1","timestamp":"2026-01-01T00:00:00Z","data":{"email":"jane@doe.com","plan":"other"}}`, // a conflict
		`{"event":"order","id":"1","timestamp":"2026-01-02T00:00:00Z","data":{"email":"jane@doe.com","amount":"jane's"}}`,
		`{"event":"order","id":"2","timestamp":"2026-01-02T00:00:00Z","data":{"email":"john@doe.com","amount":2}}`,
		`{"event":"other","id":"1","timestamp":"2026-01-02T00:00:00Z","data":{"n":1}}`,
		`{"event":"order.all","id":"7","timestamp":"2026-01-02T00:00:00Z","data":{"n":1}}`, // its table is order_all
		// What is rejected: by the id, by the condition, of another, and no JSON.
		`{"event":"user.created","id":"1","timestamp":"never","data":{"note":"jane@doe.com 1"}}`,
		`{"event":"user.created","id":"9","timestamp":"never","data":{"email":"jane@doe.com"}}`,
		`{"event":"user.created","id":"8","timestamp":"never","data":{"email":"john@doe.com"}}`,
		`{"event":"user.created","jane@doe.com`,
	} {
		take(text)
		if _, err := e.Sync(ctx, quiet); err != nil {
			t.Fatal(err)
		}
	}
	verified := func() {
		t.Helper()
		r, err := e.Verify(ctx, verifyRequest{}, quiet)
		if err != nil || r.Err() != nil {
			t.Errorf("verify: %v, %v: %+v", err, r.Err(), r.Findings)
		}
	}
	verified()
	q := eraseRequest{Where: "email = 'jane@doe.com' -- she asked", By: "test", Why: "request 17", Dry: true}
	r, err := e.Erase(ctx, q, quiet)
	if err != nil || len(r.Tables) != 2 || r.Tables[0].Events+r.Tables[1].Events != 1 || r.Unloaded != 1 || len(r.Skipped) != 2 || r.Rejected != 2 || r.Opaque != 1 || r.Commits != nil {
		t.Fatalf("dry: %+v, %v", r, err)
	}
	if got := answerOf(t, e, "SELECT count(*) FROM user_created"); got != "[2]" {
		t.Errorf("after a dry run: %s", got)
	}
	q.Dry = false
	if r, err = e.Erase(ctx, q, quiet); err != nil || r.err() != nil || r.Lines != 3 || r.Rejected != 2 || len(r.Commits) != 1 {
		t.Fatalf("%+v, %v, %v", r, err, r.err())
	}
	left := func() {
		t.Helper()
		if got := answerOf(t, e, `SELECT event_id FROM user_created UNION ALL SELECT event_id FROM "order" UNION ALL SELECT event_id FROM other`); len(strings.Fields(got)) != 3 || strings.Contains(got, "9") {
			t.Errorf("rows are left: %s", got)
		}
		for _, sql := range []string{"SELECT * FROM arbalest.conflicts", "SELECT * FROM arbalest.load_errors"} {
			if got := answerOf(t, e, sql); got != "" {
				t.Errorf("%s: %s", sql, got)
			}
		}
		if got := answerOf(t, e, "SELECT CAST(sum(not_loaded) AS BIGINT), CAST(sum(stored) - sum(loaded) - sum(repeats) - sum(erased) AS BIGINT) FROM arbalest.books"); got != "[0 0]" {
			t.Errorf("books: %s", got)
		}
		verified()
		events, err := e.Events(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range events.Events {
			if l.NotLoaded != 0 || l.Event == "order" && l.Erased != 1 {
				t.Errorf("%+v", l)
			}
		}
		if s, err := e.Status(ctx); err != nil || !s.Balanced {
			t.Errorf("status: %+v, %v", s, err)
		}
	}
	left()
	store := filepath.Join(p.dir, "store")
	if _, err := os.Stat(store); err != nil {
		store = p.dir
	}
	// Bodies that are no JSON go by their text.
	if r, err = e.Erase(ctx, eraseRequest{Text: jane}, quiet); err != nil || r.Rejected != 1 {
		t.Errorf("by text: %+v, %v", r, err)
	}
	var files []string
	for _, f := range bytesWith(t, store, jane) {
		if !strings.Contains(filepath.Base(f), ".duckdb") { // it writes over what is free
			files = append(files, f)
		}
	}
	if len(files) > 0 {
		t.Errorf("%q have what was erased", files)
	}
	q.Why = "again"
	if r, err = e.Erase(ctx, q, quiet); err != nil || r.Commits != nil || r.Lines+r.Rejected != 0 {
		t.Errorf("again: %+v, %v", r, err)
	}
	var out bytes.Buffer
	if err := r.print(&out, false); err != nil || !strings.Contains(out.String(), "Nothing matches.") {
		t.Errorf("%s, %v", out.String(), err)
	}
	// It comes late, and is refused; a rebuild does not bring it back.
	take(`{"event":"user.created","id":"1","timestamp":"2026-01-01T00:00:00Z","data":{"email":"jane@doe.com"}}`)
	if s, err := e.Sync(ctx, quiet); err != nil || s.Rejected != 1 || s.Sorted != 0 {
		t.Errorf("late: %+v, %v", s, err)
	}
	left()
	if _, err := e.Rebuild(ctx, rebuildRequest{}, quiet); err != nil {
		t.Fatal(err)
	}
	left()
	// The record says who and why, and nothing else.
	c, err := e.lake.Commit(ctx, 12)
	if err != nil || c.Kind != arbalest.KindErase {
		t.Fatalf("%+v, %v", c, err)
	}
	record, err := e.lake.Erasure(ctx, c.Seq)
	if err != nil || record.By != "test" || record.Why != "request 17" || len(record.Fingerprints) != 2 {
		t.Errorf("%+v, %v", record, err)
	}
	for _, bad := range []eraseRequest{{Where: "email ="}, {Where: "nothing = 1"}, {Events: []string{"nothing"}, Where: "1 = 1"}, {Events: []string{"other"}, Where: "email = ''"}} {
		if r, err := e.Erase(ctx, bad, quiet); !errors.Is(err, arbalest.ErrInvalid) && !errors.Is(err, arbalest.ErrUnknown) {
			t.Errorf("%+v: %+v, %v", bad, r, err)
		}
	}
}

// TestEraseOfWhatLeft erases an event whose rows left their table: it goes from the
// warm object, too, and others of its day are there still.
func TestEraseOfWhatLeft(t *testing.T) {
	ctx := t.Context()
	p := place{dir: t.TempDir()}
	e, err := openEngine(ctx, p, config{Retention: retentionConfig{HotFor: 30}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	quiet := func(progress) {}
	h, err := capture.New(capture.Options{Appender: e.lake.NewWriter()})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().UTC().AddDate(0, 0, -40).Truncate(24 * time.Hour).Format(time.RFC3339)
	for i := range 3 {
		if _, err := h.Take(ctx, fmt.Appendf(nil, `{"event":"order","id":"%d","timestamp":"%s","data":{"buyer":"person%d"}}`, i, at, i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.Sync(ctx, quiet); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Archive(ctx, archiveRequest{}, quiet); err != nil {
		t.Fatal(err)
	}
	warm := func() load.Day {
		t.Helper()
		days, err := e.warehouse.Days(ctx, "order", arbalest.EndHour)
		if err != nil || len(days) != 1 || days[0].Warm.Key == "" {
			t.Fatalf("%+v, %v", days, err)
		}
		return days[0]
	}
	before := warm()
	r, err := e.Erase(ctx, eraseRequest{Where: "buyer = 'person1'"}, quiet)
	if err != nil || r.err() != nil || r.Lines != 1 || r.Tables[0].Events != 1 {
		t.Fatalf("%+v, %v, %v", r, err, r.err())
	}
	after := warm()
	if before.Left != 3 || after.Left != 2 || after.Stale || after.Warm.Key == before.Warm.Key {
		t.Errorf("%+v, and then %+v", before, after)
	}
	if _, err := e.store.Get(ctx, before.Warm.Key, 0, 1); !errors.Is(err, arbalest.ErrUnknown) {
		t.Errorf("the warm object from before: %v", err)
	}
	var rows rowList
	if err := e.Query(ctx, "SELECT buyer FROM order_all ORDER BY buyer", &rows); err != nil || fmt.Sprint(rows) != "[[person0] [person2]]" {
		t.Errorf("%v, %v", rows, err)
	}
	if v, err := e.Verify(ctx, verifyRequest{}, quiet); err != nil || v.Err() != nil {
		t.Errorf("verify: %v, %v", err, v.Err())
	}
}
