package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"arbalest/internal/capture"
)

// A receipt of a serve that died is known to the next one from its first answer
// on, before it has sorted anything.
func TestReceiptAfterARestart(t *testing.T) {
	ctx := context.Background()
	before := place{dir: t.TempDir()}
	e, err := openEngine(ctx, before, config{})
	if err != nil {
		t.Fatal(err)
	}
	h, err := capture.New(capture.Options{Appender: e.lake.NewGatherer()})
	if err != nil {
		t.Fatal(err)
	}
	taken, err := h.Take(ctx, []byte(`{"event":"a"}`))
	if err != nil {
		t.Fatal(err)
	}
	after := place{dir: t.TempDir()} // a copy, in which no slot is locked
	if err := os.CopyFS(filepath.Join(after.dir, "store"), os.DirFS(filepath.Join(before.dir, "store"))); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if e, err = openEngine(ctx, after, config{}); err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if h, err = capture.New(capture.Options{Appender: e.lake.NewGatherer(), Tracker: e}); err != nil {
		t.Fatal(err)
	}
	state := func() string {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/receipts/"+string(taken.Receipt), nil))
		return w.Body.String()
	}
	if got := state(); !strings.Contains(got, `"state":"landed"`) {
		t.Errorf("after a restart: %s", got)
	}
	if _, err := e.Sync(ctx, func(progress) {}); err != nil {
		t.Fatal(err)
	}
	if got := state(); !strings.Contains(got, `"state":"loaded","commit":1`) {
		t.Errorf("after a sync: %s", got)
	}
}
