package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"arbalest"
	"arbalest/internal/archive"
	"arbalest/internal/capture"
	"arbalest/internal/s3/s3test"
)

// TestArchiveAndRestore has days leave their table, asks across tiers, and brings some
// back, into the table and into one of their own.
func TestArchiveAndRestore(t *testing.T) {
	ctx := t.Context()
	p := place{dir: t.TempDir()}
	c := config{Retention: retentionConfig{HotFor: 30, ColdAfter: 700}}
	e, err := openEngine(ctx, p, c)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	h, err := capture.New(capture.Options{Appender: e.lake.NewWriter()})
	if err != nil {
		t.Fatal(err)
	}
	quiet := func(progress) {}
	take := func(text string) {
		t.Helper()
		if _, err := h.Take(ctx, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Sync(ctx, quiet); err != nil {
			t.Fatal(err)
		}
	}
	day := func(ago int) time.Time { return time.Now().UTC().AddDate(0, 0, -ago).Truncate(24 * time.Hour) }
	var b strings.Builder
	for ago := 40; ago >= 0; ago -= 10 {
		for i := range 3 {
			fmt.Fprintf(&b, `{"event":"order","id":"%d-%d","timestamp":"%s","data":{"amount":%d}}`+"\n", ago, i, day(ago).Add(time.Duration(i)*time.Hour).Format(time.RFC3339), i)
		}
	}
	take(b.String())
	ids := func(from string) string {
		t.Helper()
		var rows rowList
		if err := e.Query(ctx, "SELECT count(*), count(DISTINCT event_id), sum(amount) FROM "+from, &rows); err != nil {
			t.Fatal(err)
		}
		return strings.Join(rows[0], " ")
	}
	said := func(r result) string {
		t.Helper()
		var out bytes.Buffer
		if err := r.print(&out, false); err != nil || r.err() != nil {
			t.Fatal(err, r.err())
		}
		return out.String()
	}
	plan, err := e.Archive(ctx, archiveRequest{Dry: true}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if text := said(plan); !strings.Contains(text, "3 rows of 1 day would leave their tables") || !strings.Contains(text, "would free about") || ids("\"order\"") != "15 15 15" {
		t.Errorf("planned:\n%s", text)
	}
	done, err := e.Archive(ctx, archiveRequest{}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if text := said(done); !strings.Contains(text, "3 rows of 1 day left their tables, into ") {
		t.Errorf("done:\n%s", text)
	}
	if hot, all := ids("\"order\""), ids("order_all"); hot != "12 12 12" || all != "15 15 15" {
		t.Errorf("hot %s, all %s", hot, all)
	}
	again, err := e.Archive(ctx, archiveRequest{}, quiet)
	if err != nil || !strings.HasPrefix(said(again), "Nothing to do: no day of 1 table") {
		t.Errorf("%v: %s", err, said(again))
	}
	agrees := func() {
		t.Helper()
		r, err := e.Verify(ctx, verifyRequest{Content: true}, quiet)
		if err != nil || r.Err() != nil {
			t.Fatalf("%v: %v", err, r.Err())
		}
	}
	agrees()

	q := restoreRequest{Event: "order", From: day(40), To: day(39), Days: 2, Speed: "Standard"}
	into := q
	into.Into = "then"
	r, err := e.Restore(ctx, into, quiet)
	if err != nil || r.Rows != 3 || r.Table != "then" || r.Until != nil || ids("\"then\"") != "3 3 3" || ids("order_all") != "15 15 15" {
		t.Fatalf("%v: %+v", err, r)
	}
	if r, err = e.Restore(ctx, q, quiet); err != nil || r.Rows != 3 || r.Days != 2 || !strings.Contains(said(r), "3 rows of 2 days are in table order, and stay until") {
		t.Fatalf("%v: %+v", err, r)
	}
	if hot, all := ids("\"order\""), ids("order_all"); hot != "15 15 15" || all != "15 15 15" {
		t.Errorf("hot %s, all %s", hot, all)
	}
	take(b.String()) // all of it again
	take(fmt.Sprintf(`{"event":"order","id":"late","timestamp":"%s","data":{"amount":100}}`, day(40).Format(time.RFC3339)))
	held, err := e.Archive(ctx, archiveRequest{}, quiet)
	if err != nil || len(held.Days) != 0 || held.Held != 1 {
		t.Fatalf("%v: %+v", err, held)
	}
	agrees()
	if err := e.warehouse.Hold(ctx, "order", arbalest.HourOf(day(40)), arbalest.HourOf(day(38)), time.Time{}); err != nil {
		t.Fatal(err)
	}
	gone, err := e.Archive(ctx, archiveRequest{}, quiet)
	if n, sum := gone.Sum(archive.Warmed); err != nil || n != 1 || sum.Rows != 4 || ids("order_all") != "16 16 115" {
		t.Fatalf("%v: %+v: %s", err, gone, ids("order_all"))
	}
	agrees()

	// What is erased goes from what is warm, too.
	erased, err := e.Erase(ctx, eraseRequest{Where: "event_id IN ('late', '40-1', '0-1')", By: "test"}, quiet)
	if err != nil || erased.err() != nil || erased.Lines != 5 || ids("order_all") != "13 13 13" || ids("\"order\"") != "11 11 11" {
		t.Fatalf("%v: %+v: %s", err, erased, ids("order_all"))
	}
	if stale := answerOf(t, e, "SELECT count(*) FROM arbalest.days WHERE stale"); stale != "[0]" {
		t.Errorf("%s days are stale", stale)
	}
	files, err := filepath.Glob(filepath.Join(p.store(c), "_warm", "order", "*", "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v: warm are %q", err, files)
	}
	if b, err := os.ReadFile(files[0]); err != nil || bytes.Contains(b, []byte("late")) {
		t.Errorf("what was erased is in %s: %v", files[0], err)
	}
	agrees()
	if _, err := e.Archive(ctx, archiveRequest{Spectrum: true}, quiet); err == nil || !strings.Contains(err.Error(), "S3") {
		t.Errorf("of a directory: %v", err)
	}
}

// TestColdThroughCommands has a day go cold on a server that answers as S3 is documented
// to, thaws it, and brings it back; and sets the bucket's rules.
func TestColdThroughCommands(t *testing.T) {
	ctx := t.Context()
	server := s3test.Cold(t)
	p := place{dir: t.TempDir()}
	e, err := openEngine(ctx, p, config{Store: server.URL, Retention: retentionConfig{HotFor: 30, ColdAfter: 35}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	h, err := capture.New(capture.Options{Appender: e.lake.NewWriter()})
	if err != nil {
		t.Fatal(err)
	}
	quiet := func(progress) {}
	day := func(ago int) time.Time { return time.Now().UTC().AddDate(0, 0, -ago).Truncate(24 * time.Hour) }
	random := rand.NewChaCha8([32]byte{1})
	noise := make([]byte, 100<<10) // not to be compressed to less than is worth an archive
	for i, ago := range []int{40, 40, 31, 0} {
		if _, err := random.Read(noise); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Take(ctx, fmt.Appendf(nil, `{"event":"order","id":"%d","timestamp":"%s","data":{"noise":"%x"}}`, i, day(ago).Format(time.RFC3339), noise)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.Sync(ctx, quiet); err != nil {
		t.Fatal(err)
	}
	ids := func() string {
		t.Helper()
		return answerOf(t, e, "SELECT string_agg(event_id, ' ' ORDER BY event_id) FROM order_all")
	}
	r, err := e.Archive(ctx, archiveRequest{}, quiet)
	if n, sum := r.Sum(archive.Cooled); err != nil || r.err() != nil || n != 1 || sum.Rows != 2 || sum.Frozen < 200<<10 {
		t.Fatalf("%v: %+v", err, r)
	}
	if got := ids(); got != "[2 3]" {
		t.Errorf("all but what is cold are %s", got)
	}
	if again, err := e.Archive(ctx, archiveRequest{}, quiet); err != nil || len(again.Days) != 0 {
		t.Errorf("%v: %+v", err, again)
	}
	v, err := e.Verify(ctx, verifyRequest{}, quiet)
	if err != nil || v.Err() != nil || v.Frozen == nil || v.Frozen.Events != 2 {
		t.Errorf("%v, %v: %+v", err, v.Err(), v.Frozen)
	}
	// What is cold is asked to be erased, and cannot be looked into.
	unread, err := e.Erase(ctx, eraseRequest{Where: "event_id = '0'", By: "test"}, quiet)
	if err != nil || len(unread.Unread) != 1 || unread.err() == nil || !strings.Contains(unread.err().Error(), "arbalest restore thaws") {
		t.Errorf("%v, %v: %+v", err, unread.err(), unread)
	}
	q := restoreRequest{Event: "order", From: day(40), To: day(40), Days: 3, Speed: "Standard"}
	impatient, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	if _, err := e.Restore(impatient, q, quiet); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "the same command goes on") {
		t.Fatal(err)
	}
	server.Advance(6 * time.Hour)
	back, err := e.Restore(ctx, q, quiet)
	if err != nil || back.Rows != 2 || back.Thawed.Objects != 1 || ids() != "[0 1 2 3]" {
		t.Fatalf("%v: %+v: %s", err, back, ids())
	}
	rules, err := e.Archive(ctx, archiveRequest{Rules: true}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := rules.print(&out, false); err != nil || out.String() != "S3 moves order to GLACIER after 35 days.\n" {
		t.Errorf("%v: %s", err, out.String())
	}
	if xml, _ := server.Lifecycle(); !strings.Contains(xml, "order/") {
		t.Errorf("the bucket has %s", xml)
	}
}
