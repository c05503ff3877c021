package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestServeCommitsEarly has so much land that the time of the next commit is
// not waited for.
func TestServeCommitsEarly(t *testing.T) {
	s, err := startServer(t.Context(), place{dir: t.TempDir()}, config{Listen: "127.0.0.1:0", SortEvery: duration(time.Hour), SortBytes: 4 << 10}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	post := func(id string, size int) {
		t.Helper()
		body := fmt.Sprintf(`{"event":"early","id":%q,"data":{"text":%q}}`, id, strings.Repeat("x", size))
		resp, err := http.Post(s.url+"/v1/events", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatal(resp.Status)
		}
	}
	count := func() string {
		var rows rowList
		if err := s.engine.Query(t.Context(), "SELECT count(*) FROM early", &rows); err != nil {
			return err.Error()
		}
		return rows[0][0]
	}
	// The pass at the start finds the first event, or nothing; the next is in an hour.
	post("small", 10)
	post("large", 5<<10)
	for deadline := time.Now().Add(20 * time.Second); count() != "2" && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
	}
	if got := count(); got != "2" {
		t.Errorf("%s rows after enough landed", got)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
