package model_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zeebo/xxh3"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/duckdb"
	"arbalest/internal/lake"
	"arbalest/internal/load"
	"arbalest/internal/model"
	"arbalest/internal/postgres"
	"arbalest/internal/postgres/postgrestest"
	"arbalest/internal/redshift"
	"arbalest/internal/redshift/redshifttest"
	"arbalest/internal/warehouse"
)

// A place is a lake, a warehouse and a folder of models of a test.
type place struct {
	*testing.T
	kind   string
	lake   *lake.Lake
	db     warehouse.Database
	loader *load.Loader
	dir    string
	sent   int
}

// kinds are the warehouses that the tests run on. Redshift is an emulator, whose
// bucket is in memory.
var kinds = []struct {
	name string
	open func(t *testing.T) (load.Warehouse, warehouse.Database)
}{
	{"duckdb", func(t *testing.T) (load.Warehouse, warehouse.Database) {
		w, err := duckdb.Open(t.Context(), filepath.Join(t.TempDir(), "w.duckdb"), duckdb.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { w.Close() })
		return w, w.Database()
	}},
	{"postgres", func(t *testing.T) (load.Warehouse, warehouse.Database) {
		db, err := postgres.Open(t.Context(), postgrestest.Start(t), postgres.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return warehouse.New(db), db
	}},
	{"redshift", func(t *testing.T) (load.Warehouse, warehouse.Database) {
		server := redshifttest.Start(t)
		db, err := redshift.Open(t.Context(), server.URL(), redshift.Options{Bucket: server.NewBucket(), IAMRole: "arn:aws:iam::123456789012:role/loader"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return warehouse.New(db), db
	}},
}

// onEach runs a test on every kind of warehouse.
func onEach(t *testing.T, test func(p *place)) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			l, err := lake.Open(blob.NewMemory(), lake.Options{})
			if err != nil {
				t.Fatal(err)
			}
			w, db := k.open(t)
			test(&place{T: t, kind: k.name, lake: l, db: db, loader: load.New(l, w, load.Options{BatchBytes: 2000}), dir: t.TempDir()})
		})
	}
}

var noon = time.Date(2015, 8, 18, 12, 0, 0, 0, time.UTC)

// send lands an event for each properties' JSON, at an hour counted from noon.
func (p *place) send(name string, hour int, properties ...string) {
	p.Helper()
	var lines []byte
	for _, props := range properties {
		p.sent++
		lines = arbalest.AppendLine(lines, arbalest.Event{ID: fmt.Sprintf("id%d", p.sent), Name: arbalest.EventName(name), Time: noon.Add(time.Duration(hour)*time.Hour + time.Duration(p.sent%60)*time.Minute),
			Received: noon.Add(96 * time.Hour), Hash: xxh3.Hash([]byte(props)), Properties: []byte(props)})
	}
	if _, err := p.lake.NewWriter().AppendLines(p.Context(), lines); err != nil {
		p.Fatal(err)
	}
}

// sort makes a commit of what landed.
func (p *place) sort() {
	p.Helper()
	if _, err := p.lake.Sort(p.Context()); err != nil {
		p.Fatal(err)
	}
}

// load sorts and loads all.
func (p *place) load() {
	p.Helper()
	p.sort()
	for {
		r, err := p.loader.Once(p.Context())
		if err != nil {
			p.Fatal(err)
		}
		for table, s := range r.Progress.Stalled {
			if r.Idle {
				p.Fatalf("%s: %s", table, s.Reason)
			}
		}
		if r.Idle {
			return
		}
	}
}

// rebuild makes an event's table again, beside the live one.
func (p *place) rebuild(table string) {
	p.Helper()
	p.rebuildPart(table, load.Part{})
}

// rebuildPart makes hours of an event's table again.
func (p *place) rebuildPart(table string, part load.Part) {
	p.Helper()
	r, err := p.loader.Rebuild(p.Context(), map[string]arbalest.EventName{table: arbalest.EventName(strings.ReplaceAll(table, "_", "."))}, part)
	if err != nil {
		p.Fatal(err)
	}
	for {
		result, err := r.Once(p.Context())
		if err != nil {
			p.Fatal(err)
		}
		if result.Idle {
			break
		}
		p.load()
	}
	p.load()
	if err := r.Swap(p.Context()); err != nil {
		p.Fatal(err)
	}
}

// write writes a model's file.
func (p *place) write(name, text string) {
	p.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name+".sql"), []byte(text), 0o644); err != nil {
		p.Fatal(err)
	}
}

func (p *place) builder(opts model.Options) *model.Builder {
	p.Helper()
	set, err := model.Read(p.dir)
	if err != nil {
		p.Fatal(err)
	}
	return model.New(p.Context(), p.db, set, opts)
}

// build makes a pass and returns what became of each, "name:state:how:hours".
func (p *place) build(names ...string) string {
	p.Helper()
	return p.pass(model.Options{Parallel: 2}, names...)
}

func (p *place) pass(opts model.Options, names ...string) string {
	p.Helper()
	results, err := p.builder(opts).Once(p.Context(), names...)
	if err != nil {
		p.Fatal(err)
	}
	return told(results)
}

func told(results []model.Result) string {
	var out []string
	for _, r := range results {
		s := r.Model + ":" + r.State
		if r.How != "" {
			s += ":" + r.How
		}
		if r.Hours > 0 {
			s += fmt.Sprintf(":%d", r.Hours)
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

func (p *place) is(got, want string) {
	p.Helper()
	if got != want {
		p.Errorf("\n got %s\nwant %s", got, want)
	}
}

// rows returns a query's rows, values joined by "|".
func (p *place) rows(sql string) (rows []string) {
	p.Helper()
	err := p.db.Query(p.Context(), sql, func(values []any) error {
		var row []string
		for _, v := range values {
			if v == nil {
				v = "NULL"
			}
			if at, ok := v.(time.Time); ok {
				v = at.Format(time.DateTime)
			}
			row = append(row, fmt.Sprint(v))
		}
		rows = append(rows, strings.Join(row, "|"))
		return nil
	})
	if err != nil {
		p.Fatalf("%s: %v", sql, err)
	}
	return rows
}

func (p *place) want(sql string, want ...string) {
	p.Helper()
	if got := p.rows(sql); strings.Join(got, "\n") != strings.Join(want, "\n") {
		p.Errorf("%s\n got %q\nwant %q", sql, got, want)
	}
}

// exec runs statements by hand.
func (p *place) exec(statements ...string) {
	p.Helper()
	err := p.db.Transact(p.Context(), "test", func(tx warehouse.Tx) error {
		for _, s := range statements {
			if _, err := tx.Exec(p.Context(), s); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		p.Fatal(err)
	}
}

func sorted(s []string) []string { slices.Sort(s); return s }
