package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"arbalest"
	"arbalest/internal/archive"
	"arbalest/internal/capture"
	"arbalest/internal/warehouse"
)

// A ruin is a lake and its warehouse, to be damaged.
type ruin struct {
	t      *testing.T
	dir    string
	engine *engine
	moved  string // an object that was merged, and what it was
	was    []byte
}

// Places of the ruins' objects: commits 1, 2 and 4 have events of January and
// February, of which commit 3 merged January's.
const (
	mergedObject = "order/2026-01-01/00000000000000000003.ndjson.zst"
	movedObject  = "order/2026-01-01/01/00000000000000000002.ndjson.zst"
	firstObject  = "order/2026-02-01/01/00000000000000000001.ndjson.zst"
	secondObject = "order/2026-02-01/01/00000000000000000002.ndjson.zst"
	otherHour    = "order/2026-02-01/02/00000000000000000001.ndjson.zst"
	userObject   = "user.created/2026-02-01/02/00000000000000000002.ndjson.zst"
	movesObject  = "_moved/00000000000000000003.json.zst"
	definition   = "_tables/user_created/00000001.json"
)

var ruinConfig = config{Events: map[string]eventConfig{"order": {Columns: []columnConfig{
	{Name: "amount", Type: "DECIMAL(12,2)"}, {Name: "paid", Type: "BOOLEAN"}, {Name: "due", Type: "DATE"}, {Name: "at", Type: "TIMESTAMPTZ"}, {Name: "rate", Type: "REAL"},
	{Name: "weight", Type: "DOUBLE PRECISION"}, {Name: "items", Type: "SMALLINT"}, {Name: "note", Type: "VARCHAR(20)"}, {Name: "parts", Type: "JSON"},
}}}}

// buildRuin makes a whole lake: some ten events of two tables in each of some hours,
// with repeats, rejected events, and one that does not fit its table.
func buildRuin(t *testing.T, dir string) (moved []byte) {
	t.Helper()
	ctx := t.Context()
	e, err := openEngine(ctx, place{dir: dir}, ruinConfig)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	h, err := capture.New(capture.Options{Appender: e.lake.NewWriter()})
	if err != nil {
		t.Fatal(err)
	}
	for commit := range 4 {
		if commit == 2 {
			if moved, err = os.ReadFile(filepath.Join(dir, "store", movedObject)); err != nil {
				t.Fatal(err)
			}
			if c, err := e.lake.Compact(ctx, arbalest.HourOf(time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC))); err != nil || c.Commit != 3 {
				t.Fatal(c, err)
			}
			continue
		}
		var b strings.Builder
		for i := range 24 {
			id := commit*20 + i // four of the commit before again
			month, hour := 1+i%2, 1+i/2%3
			fmt.Fprintf(&b, `{"event":"order","id":"o%d","timestamp":"2026-%02d-01T%02d:%02d:00Z","data":{"amount":"%d.50","paid":%t,"due":"2026-03-%02d","at":"2026-03-01T12:00:00.25+02:00","rate":0.1,"weight":%d.0625,"items":%d,"note":"n %d","parts":{"b":[1, 2.50],"a":%d}}}`+"\n",
				id, month, hour, id%60, id, i%3 == 0, 1+i, id, i, id, id)
			fmt.Fprintf(&b, `{"event":"user.created","id":"u%d","timestamp":"2026-%02d-01T%02d:%02d:00Z","data":{"email":"%d@doe.com","n":%d%s}}`+"\n", id, month, hour, id%60, id, id, strings.Repeat(`,"later":1.5`, commit/3))
		}
		fmt.Fprintf(&b, `{"event":"order","id":"x%d","timestamp":"2026-02-01T01:00:00Z","data":{"amount":1.001}}`+"\n", commit)
		fmt.Fprintf(&b, `{"event":"sighting","id":"s%d","data":{"n":1}}`+"\n", commit/2) // with the time of its receipt
		b.WriteString("not json\n")
		if _, err := h.Take(ctx, []byte(b.String())); err != nil {
			t.Fatal(err)
		}
		if r, err := e.Sync(ctx, func(progress) {}); err != nil || r.err() != nil {
			t.Fatal(err, r.err())
		}
	}
	return moved
}

func (r *ruin) path(key string) string { return filepath.Join(r.dir, "store", key) }

// edit changes what is stored under a key.
func (r *ruin) edit(key string, change func([]byte) []byte) {
	r.t.Helper()
	b, err := os.ReadFile(r.path(key))
	if err == nil {
		err = os.WriteFile(r.path(key), change(b), 0o644)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// replace changes a part of what is stored under a key.
func (r *ruin) replace(key, from, to string) {
	r.t.Helper()
	r.edit(key, func(b []byte) []byte {
		if !strings.Contains(string(b), from) {
			r.t.Fatalf("%s has no %s: %s", key, from, b)
		}
		return []byte(strings.Replace(string(b), from, to, 1))
	})
}

func (r *ruin) remove(key string) {
	r.t.Helper()
	if err := os.Remove(r.path(key)); err != nil {
		r.t.Fatal(err)
	}
}

// sql changes rows of the warehouse.
func (r *ruin) sql(statement string) {
	r.t.Helper()
	n := int64(0)
	err := r.engine.database.Transact(r.t.Context(), "damage", func(tx warehouse.Tx) (err error) {
		n, err = tx.Exec(r.t.Context(), statement)
		return err
	})
	if err != nil || n == 0 {
		r.t.Fatalf("%s: %d rows, %v", statement, n, err)
	}
}

func flip(b []byte) []byte   { b[len(b)/2] ^= 1; return b }
func halve(b []byte) []byte  { return b[:len(b)/2] }
func longer(b []byte) []byte { return append(b, "and more"...) }

// rejectedKey is that of a rejected object.
func (r *ruin) rejectedKey() string {
	files, err := filepath.Glob(r.path("_rejected/*/*/*"))
	if err != nil || len(files) == 0 {
		r.t.Fatal("nothing was rejected", err)
	}
	key, _ := filepath.Rel(filepath.Join(r.dir, "store"), files[0])
	return key
}

// A damage is what is done to a ruin, and what verify has to say of it.
type damage struct {
	name string
	do   func(r *ruin)
	kind archive.Kind
	says string         // in a finding's place or sentence
	also []archive.Kind // what else follows from it
}

var damages = []damage{
	{"a row is gone", func(r *ruin) { r.sql(`DELETE FROM "order" WHERE event_id = 'o1'`) }, archive.Missing, "2026-02-01/01", nil},
	{"a row is of nothing", func(r *ruin) {
		r.sql(`INSERT INTO user_created SELECT * REPLACE ('nobody' AS event_id) FROM user_created WHERE event_id = 'u3'`)
	}, archive.Extra, "nobody", nil},
	{"a row has another hash", func(r *ruin) {
		r.sql(`UPDATE user_created SET event_hash = '0123456789abcdef' WHERE event_id = 'u5'`)
	}, archive.Changed, "u5", nil},
	{"a row has another time", func(r *ruin) {
		r.sql(`UPDATE user_created SET event_time = event_time + INTERVAL 1 SECOND WHERE event_id = 'u5'`)
	}, archive.Changed, "u5", nil},
	{"a row is there twice", func(r *ruin) { r.sql(`INSERT INTO "order" SELECT * FROM "order" WHERE event_id = 'o7'`) }, archive.Duplicate, "o7", nil},
	{"a value is another", func(r *ruin) { r.sql(`UPDATE "order" SET amount = amount + 0.01 WHERE event_id = 'o9'`) }, archive.Value, `column amount of event o9 is "9.51"`, nil},
	{"a value is gone", func(r *ruin) { r.sql(`UPDATE user_created SET email = NULL WHERE event_id = 'u9'`) }, archive.Value, "email", nil},
	{"JSON is another", func(r *ruin) {
		r.sql(`UPDATE "order" SET parts = '{"a":9,"b":[1,2.50]}' WHERE event_id = 'o9'`)
	}, archive.Value, "parts", nil},
	{"an object is gone", func(r *ruin) { r.remove(firstObject) }, archive.MissingObject, firstObject, nil},
	{"a byte of an object is another", func(r *ruin) { r.edit(firstObject, flip) }, archive.CorruptObject, firstObject, nil},
	{"an object is cut off", func(r *ruin) { r.edit(firstObject, halve) }, archive.CorruptObject, firstObject, nil},
	{"an object is empty", func(r *ruin) { r.edit(firstObject, func([]byte) []byte { return nil }) }, archive.CorruptObject, firstObject, nil},
	{"an object has other lines of its hour", func(r *ruin) {
		b, _ := os.ReadFile(r.path(secondObject))
		r.edit(firstObject, func([]byte) []byte { return b })
	}, archive.CorruptObject, firstObject, nil},
	{"two objects are swapped", func(r *ruin) {
		b, _ := os.ReadFile(r.path(otherHour))
		r.edit(firstObject, func(a []byte) []byte {
			a, b = b, a
			return a
		})
		r.edit(otherHour, func([]byte) []byte { return b })
	}, archive.CorruptObject, "is an event order of 2026-02-01/01", nil},
	{"the log has a gap", func(r *ruin) { r.remove("_log/00000000000000000002.json") }, archive.MissingCommit, "commit 2", nil},
	{"a commit is not JSON", func(r *ruin) { r.edit("_log/00000000000000000002.json", halve) }, archive.CorruptCommit, "00000000000000000002.json", nil},
	{"a commit counts an object wrongly", func(r *ruin) {
		r.replace("_log/00000000000000000002.json", `"key":"`+userObject+`","event":"user.created","hour":"2026-02-01/02","events":4`, `"key":"`+userObject+`","event":"user.created","hour":"2026-02-01/02","events":5`)
	}, archive.WrongCommit, userObject, []archive.Kind{archive.Journal}},
	{"a commit has an object's hash wrongly", func(r *ruin) {
		r.edit("_log/00000000000000000004.json", func(b []byte) []byte {
			return regexp.MustCompile(`"hash":"\d+"`).ReplaceAll(b, []byte(`"hash":"1"`))
		})
	}, archive.WrongCommit, "commit 4", nil},
	{"a commit counts an object wrongly that was moved", func(r *ruin) {
		r.replace("_log/00000000000000000002.json", `"key":"`+movedObject+`","event":"order","hour":"2026-01-01/01","events":4`, `"key":"`+movedObject+`","event":"order","hour":"2026-01-01/01","events":3`)
	}, archive.WrongCommit, "commit 3 took 4", []archive.Kind{archive.Journal}},
	{"the log ends early", func(r *ruin) { r.remove("_log/00000000000000000004.json") }, archive.Behind, "ends at commit 3", nil},
	{"what was rejected is gone", func(r *ruin) { r.remove(r.rejectedKey()) }, archive.MissingRejected, "rejected", nil},
	{"what was rejected is damaged", func(r *ruin) { r.edit(r.rejectedKey(), flip) }, archive.CorruptRejected, "rejected", nil},
	{"the books do not balance", func(r *ruin) {
		r.sql(`UPDATE arbalest.journal SET loaded = loaded + 1 WHERE event = 'order' AND "commit" = 4 AND hour = '2026-02-01 02:00:00'`)
	}, archive.Books, "2026-02-01/02", nil},
	{"the journal says otherwise", func(r *ruin) {
		r.sql(`UPDATE arbalest.journal SET stored = stored + 1, loaded = loaded + 1 WHERE event = 'order' AND "commit" = 4 AND hour = '2026-02-01 02:00:00'`)
	}, archive.Journal, "2026-02-01/02", nil},
	{"the journal knows nothing", func(r *ruin) {
		r.sql(`DELETE FROM arbalest.journal WHERE event = 'order' AND hour = '2026-02-01 02:00:00'`)
	}, archive.Journal, "knows nothing", nil},
	{"a merged object is gone", func(r *ruin) { r.remove(mergedObject) }, archive.MissingMerged, mergedObject, nil},
	{"a byte of a merged object is another", func(r *ruin) { r.edit(mergedObject, flip) }, archive.CorruptMerged, mergedObject, nil},
	{"a merged object is cut off", func(r *ruin) { r.edit(mergedObject, halve) }, archive.CorruptMerged, mergedObject, nil},
	{"a merged object has more at its end", func(r *ruin) { r.edit(mergedObject, longer) }, archive.CorruptMerged, mergedObject, nil},
	{"moves are gone", func(r *ruin) { r.remove(movesObject) }, archive.MissingMoves, "commit 3", nil},
	{"moves are damaged", func(r *ruin) { r.edit(movesObject, flip) }, archive.CorruptMoves, "commit 3", nil},
	{"an object is of nothing", func(r *ruin) {
		b, _ := os.ReadFile(r.path(firstObject))
		if err := os.WriteFile(r.path("order/2026-02-01/01/00000000000000000001-000007.ndjson.zst"), b, 0o644); err != nil {
			r.t.Fatal(err)
		}
	}, archive.Orphan, "00000000000000000001-000007", nil},
	{"a merged object's input is there", func(r *ruin) {
		if err := errors.Join(os.MkdirAll(filepath.Dir(r.path(r.moved)), 0o755), os.WriteFile(r.path(r.moved), r.was, 0o644)); err != nil {
			r.t.Fatal(err)
		}
	}, archive.Leftover, movedObject, nil},
	{"a definition is damaged", func(r *ruin) { r.edit("_tables/user_created/00000002.json", halve) }, archive.Definition, "user_created/00000002.json", nil},
	{"a definition is another's", func(r *ruin) { r.replace(definition, `"user_created"`, `"user_deleted"`) }, archive.Definition, definition, nil},
	{"a definition is gone", func(r *ruin) { r.remove(definition) }, archive.Definition, definition, nil},
}

// TestVerifyNamesDamage makes more than twenty kinds of damage, each to a whole lake
// of its own: verify finds it, at its place, by its name, and nothing else.
func TestVerifyNamesDamage(t *testing.T) {
	whole := t.TempDir()
	was := buildRuin(t, whole)
	for _, d := range append([]damage{{name: "nothing", do: func(*ruin) {}}}, damages...) {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			r := &ruin{t: t, dir: filepath.Join(t.TempDir(), "data"), moved: movedObject, was: was}
			if err := os.CopyFS(r.dir, os.DirFS(whole)); err != nil {
				t.Fatal(err)
			}
			var err error
			if r.engine, err = openEngine(context.Background(), place{dir: r.dir}, ruinConfig); err != nil {
				t.Fatal(err)
			}
			defer r.engine.Close()
			d.do(r)
			report, err := r.engine.Verify(t.Context(), verifyRequest{Content: true}, func(progress) {})
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, f := range report.Findings {
				place := fmt.Sprint(f.Hour, " ", f.Object, " ", f.What)
				found = found || f.Kind == d.kind && strings.Contains(place, d.says)
				if f.Kind != d.kind && !slices.Contains(d.also, f.Kind) {
					t.Errorf("beside it: %s: %s: %s", f.Kind, place, f.What)
				}
			}
			if d.kind == "" {
				if report.Err() != nil || len(report.Tables) != 3 || report.Listed == 0 {
					t.Errorf("%+v", report)
				}
				for _, table := range report.Tables {
					if table.Rows == 0 || table.Compared != table.Rows || table.IDs != table.RowIDs || len(table.Hours) > 0 {
						t.Errorf("%+v", table)
					}
				}
				return
			}
			if !found || !errors.Is(report.Err(), arbalest.ErrDiffers) {
				t.Errorf("%s, %q was not found: %v %+v", d.kind, d.says, slices.Collect(maps.Keys(report.Found)), report.Findings)
			}
		})
	}
}
