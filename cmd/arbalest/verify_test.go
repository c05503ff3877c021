package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zeebo/xxh3"

	"arbalest"
	"arbalest/internal/archive"
	"arbalest/internal/blob"
	"arbalest/internal/duckdb"
	"arbalest/internal/lake"
	"arbalest/internal/load"
	"arbalest/internal/warehouse"
)

// TestVerifyWhatLeft verifies a warehouse that days have left, with and without the
// values of what is still in the table.
func TestVerifyWhatLeft(t *testing.T) {
	ctx := t.Context()
	l, err := lake.Open(blob.NewMemory(), lake.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w, err := duckdb.Open(ctx, filepath.Join(t.TempDir(), "w.duckdb"), duckdb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	loader := load.New(l, w, load.Options{})
	noon := time.Date(2015, 8, 18, 12, 0, 0, 0, time.UTC)
	sort := func(from, to int) {
		t.Helper()
		var lines []byte
		for i := range to - from {
			p := fmt.Appendf(nil, `{"n":%d}`, from+i)
			at := noon.Add(time.Duration(from+i) * time.Hour)
			lines = arbalest.AppendLine(lines, arbalest.Event{ID: fmt.Sprint(from + i), Name: "a", Time: at, Received: at, Hash: xxh3.Hash(p), Properties: p})
		}
		if _, err := l.NewWriter().AppendLines(ctx, lines); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Sort(ctx); err != nil {
			t.Fatal(err)
		}
		for {
			r, err := loader.Once(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if r.Idle {
				return
			}
		}
	}
	verify := func(content bool) archive.Report {
		t.Helper()
		opts := archive.Options{Table: loader.Table}
		if content {
			opts.Values = w.Database()
		}
		r, err := archive.Verify(ctx, l, w, opts)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	sound := func(rows, compared int64) {
		t.Helper()
		for _, content := range []bool{false, true} {
			want := compared
			if !content {
				want = 0
			}
			if r := verify(content); len(r.Findings) > 0 || r.Tables[0].Rows != rows || r.Tables[0].Compared != want {
				t.Errorf("with content %v: %d rows, %d compared, of %d and %d: %+v", content, r.Tables[0].Rows, r.Tables[0].Compared, rows, want, r.Findings)
			}
		}
	}
	leave := func(day time.Time, hot, left int64) {
		t.Helper()
		if err := w.Leave(ctx, load.Departure{Table: "a", Day: arbalest.HourOf(day), Hot: hot, Left: left}); err != nil {
			t.Fatal(err)
		}
	}
	sort(0, 40)
	sound(40, 40)
	leave(noon.Add(-12*time.Hour), 12, 0)
	sound(40, 28)
	sort(5, 45) // again, and more
	sound(45, 33)
	leave(noon.Add(12*time.Hour), 24, 0)
	sound(45, 9)
	exec := func(sql string) {
		t.Helper()
		if err := tamper(ctx, w, sql); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		sql  string
		kind archive.Kind
	}{
		{"UPDATE arbalest.archived SET event_hash = '0000000000000000' WHERE event_id = '3'", archive.Changed},
		{"DELETE FROM arbalest.archived WHERE event_id = '4'", archive.Missing},
		{"UPDATE arbalest.archived SET event_id = 'new' WHERE event_id = '6'", archive.Extra},
		{"INSERT INTO arbalest.archived SELECT 'a', event_id, event_time, received_at, event_hash FROM a WHERE event_id = '44'", archive.Duplicate},
	} {
		exec(c.sql)
		if r := verify(false); r.Found[c.kind] != 1 {
			t.Errorf("%s: found %v, want %s", c.sql, r.Found, c.kind)
		}
	}
}

// tamper runs a statement behind a warehouse's back.
func tamper(ctx context.Context, w *duckdb.Warehouse, sql string) error {
	return w.Database().Transact(ctx, "tamper", func(tx warehouse.Tx) error {
		_, err := tx.Exec(ctx, sql)
		return err
	})
}

// People are told what verify did not look at, and that the rest agrees.
func TestVerifyTellsWhatIsFrozen(t *testing.T) {
	r := archive.Report{Frozen: &archive.Frozen{Objects: 12, Events: 3400, Listed: []arbalest.Key{"user.created/2015-08-18/06/1.ndjson.zst"}}}
	v := verification{r}
	var out strings.Builder
	if err := v.print(&out, false); err != nil || v.err() != nil {
		t.Fatal(err, v.err())
	}
	want := `Not looked at: 12 objects with 3,400 events in a cold storage class, user.created/2015-08-18/06/1.ndjson.zst first. arbalest restore thaws them.
Store and warehouse agree in all that was looked at.
`
	if !strings.HasSuffix(out.String(), want) {
		t.Errorf("got %s", out.String())
	}
}
