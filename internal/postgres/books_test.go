package postgres

import (
	"context"
	"errors"
	"testing"
	"time"

	"arbalest"
	"arbalest/internal/load"
	"arbalest/internal/postgres/postgrestest"
	"arbalest/internal/warehouse"
)

func TestBooksOfANewerFormat(t *testing.T) {
	dsn := postgrestest.Start(t)
	d := mustOpen(t, dsn, Options{})
	if _, err := loadCommit(t.Context(), warehouse.New(d), 1); err != nil {
		t.Fatal(err)
	}
	run(t, d, "UPDATE arbalest.format SET version = 99")
	if _, err := loadCommit(t.Context(), warehouse.New(d), 2); !errors.Is(err, arbalest.ErrNewer) {
		t.Errorf("load into a newer warehouse: %v", err)
	}
	if err := warehouse.New(d).Reset(t.Context()); !errors.Is(err, arbalest.ErrNewer) {
		t.Errorf("reset of a newer warehouse: %v", err)
	}
	wantCommits(t, d, 1)
}

// TestInvariant3BooksDropped drops the books under a loader, which makes them
// again and finds the rows of before to be repeats.
func TestInvariant3BooksDropped(t *testing.T) {
	d := mustOpen(t, postgrestest.Start(t), Options{})
	w := warehouse.New(d)
	if _, err := loadCommit(t.Context(), w, 1); err != nil {
		t.Fatal(err)
	}
	run(t, d, "DROP SCHEMA arbalest CASCADE")
	if p, err := w.Progress(t.Context()); err != nil || p.Commit != 0 {
		t.Errorf("progress without books is %+v, %v", p, err)
	}
	if _, err := loadCommit(t.Context(), w, 1); !errors.Is(err, arbalest.ErrUnknown) {
		t.Errorf("load without books: %v", err)
	}
	if c, err := loadCommit(t.Context(), w, 1); err != nil || c != (load.Counts{Stored: 3, Repeats: 2, Errors: 1}) {
		t.Errorf("load after that: %+v, %v", c, err)
	}
	if got := rows(t, d, "SELECT count(*) FROM crashed"); got[0] != "2" {
		t.Errorf("table has %s rows", got[0])
	}
}

// TestLoadStops ends loads that a silent server holds up.
func TestLoadStops(t *testing.T) {
	dsn := postgrestest.Start(t)
	direct := mustOpen(t, dsn, Options{})
	proxy := postgrestest.NewProxy(t, dsn)
	commit := arbalest.Seq(1)
	if _, err := loadCommit(t.Context(), warehouse.New(direct), commit); err != nil {
		t.Fatal(err)
	}
	d := mustOpen(t, proxy.DSN(), Options{CommitTimeout: 200 * time.Millisecond})
	for _, match := range []string{"BEGIN", "arbalest.cursor", "COPY", "COMMIT"} {
		commit++
		proxy.Set(postgrestest.Fault{Kind: postgrestest.Delay, Match: match, N: 1, Delay: time.Hour})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		w := warehouse.New(d)
		began := time.Now()
		_, err := loadCommit(ctx, w, commit)
		cancel()
		if err == nil && match != "COMMIT" || err != nil && !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 10*time.Second {
			t.Errorf("silent at %s: %v after %v", match, err, time.Since(began))
		}
		proxy.Set()
		proxy.Cut() // the delayed message holds its connection, and the server's lock
		if err != nil {
			if _, err := loadCommit(t.Context(), w, commit); err != nil {
				t.Fatalf("after silence at %s: %v", match, err)
			}
		}
		wantCommits(t, direct, commit)
	}
}
