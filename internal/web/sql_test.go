package web

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"arbalest"
	"arbalest/internal/saved"
	"arbalest/internal/warehouse"
)

// An asker is a Program that answers statements by a function.
type asker struct {
	Program
	ask func(ctx context.Context, sql string, to warehouse.Sink) error
}

func (a asker) Ask(ctx context.Context, sql string, to warehouse.Sink) error {
	return a.ask(ctx, sql, to)
}

// answer gives a result with a column for each value of the first row.
func answer(to warehouse.Sink, rows ...[]warehouse.Value) error {
	var columns []warehouse.ResultColumn
	for i := range rows[0] {
		columns = append(columns, warehouse.ResultColumn{Name: fmt.Sprintf("c%d", i), Type: "VARCHAR"})
	}
	err := to.Columns(columns)
	for i := 0; i < len(rows) && err == nil; i++ {
		err = to.Row(rows[i])
	}
	return err
}

func texts(values ...string) []warehouse.Value {
	row := make([]warehouse.Value, len(values))
	for i, v := range values {
		row[i].Text = v
	}
	return row
}

func newTestSite(t *testing.T, opts Options, ask func(context.Context, string, warehouse.Sink) error) *Site {
	t.Helper()
	opts.Program = asker{ask: ask}
	s, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// send sends a form, or gets a page if there is none.
func send(s http.Handler, path string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if form != nil {
		r = httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Host = "127.0.0.1:8081"
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func statement(sql string) url.Values { return url.Values{"sql": {sql}} }

// A told is what /sql/run answers.
type told struct {
	Columns []struct{ Name, Type, Kind string }
	Rows    [][]any
	More    bool
	Error   *fault
}

func tell(t *testing.T, w *httptest.ResponseRecorder) told {
	t.Helper()
	var r told
	if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil {
		t.Fatalf("%v in %.300s", err, w.Body)
	}
	return r
}

func TestAResultIsBounded(t *testing.T) {
	for name, text := range map[string]string{"rows": "x", "bytes": strings.Repeat("é", 20_000)} {
		given, stopped := 0, error(nil)
		s := newTestSite(t, Options{}, func(_ context.Context, _ string, to warehouse.Sink) error {
			err := to.Columns([]warehouse.ResultColumn{{Name: "a", Type: "VARCHAR"}})
			for ; err == nil && given < 2*maxRows; given++ {
				err = to.Row(texts(text))
			}
			stopped = err
			return err
		})
		w := send(s, "/sql/run", statement("SELECT a"))
		r := tell(t, w)
		if w.Code != http.StatusOK || !r.More || r.Error != nil || stopped == nil {
			t.Errorf("%s: status %d, more %t, error %v, stopped %v", name, w.Code, r.More, r.Error, stopped)
		}
		if len(r.Rows) > maxRows || w.Body.Len() > maxBytes+maxCell+1000 || name == "rows" && len(r.Rows) != maxRows {
			t.Errorf("%s: %d rows, %d bytes", name, len(r.Rows), w.Body.Len())
		}
		given = 0
		w = send(s, "/sql", statement("SELECT a"))
		if given > maxShown+1 || w.Body.Len() > 2*maxShownBytes || !strings.Contains(w.Body.String(), "The first ") {
			t.Errorf("%s: %d rows, %d bytes in the page", name, given, w.Body.Len())
		}
	}
}

func TestAResultIsWhatWasGiven(t *testing.T) {
	hostile := "\"</script>\\\u2028\x00\xff é"
	s := newTestSite(t, Options{}, func(_ context.Context, sql string, to warehouse.Sink) error {
		if sql != "SELECT\n1" {
			t.Errorf("asked %q", sql)
		}
		err := to.Columns([]warehouse.ResultColumn{{Name: hostile, Type: "VARCHAR"}, {Name: "n", Type: "BIGINT", Kind: warehouse.NumberValue}, {Name: "j", Type: "JSON", Kind: warehouse.JSONValue}})
		return errors.Join(err, to.Row([]warehouse.Value{{Text: hostile}, {Text: "12345678901234567890"}, {Null: true}}), to.Row([]warehouse.Value{{Text: ""}, {Null: true}, {Text: strings.Repeat("é", maxCell)}}))
	})
	w := send(s, "/sql/run", statement("SELECT\r\n1"))
	r := tell(t, w)
	clean := strings.ToValidUTF8(hostile, "\ufffd")
	if r.Columns[0].Name != clean || r.Columns[1].Kind != "number" || r.Columns[2].Kind != "json" || r.More {
		t.Errorf("columns %+v, more %t", r.Columns, r.More)
	}
	if r.Rows[0][0] != clean || r.Rows[0][1] != "12345678901234567890" || r.Rows[0][2] != nil || r.Rows[1][0] != "" || r.Rows[1][1] != nil {
		t.Errorf("rows %.200v", r.Rows)
	}
	if cut, ok := r.Rows[1][2].(map[string]any); !ok || cut["bytes"] != float64(2*maxCell) || len(cut["cut"].(string)) != maxCell {
		t.Errorf("a long value is %.100v", r.Rows[1][2])
	}
	if kind := w.Header().Get("Content-Type"); kind != "application/json" {
		t.Errorf("type is %s", kind)
	}
}

func TestFaultsAreToldAtTheirPlace(t *testing.T) {
	wrong := fmt.Errorf("%w: Parser Error: syntax error at or near \"wher\"\n\nLINE 2:  wher x\n         ^", arbalest.ErrInvalid)
	after := 0
	s := newTestSite(t, Options{}, func(_ context.Context, _ string, to warehouse.Sink) error {
		if after == 0 {
			return wrong
		}
		return errors.Join(answer(to, texts("a")), wrong)
	})
	w := send(s, "/sql/run", statement("SELECT 1\n wher x"))
	if r := tell(t, w); w.Code != http.StatusBadRequest || r.Error == nil || r.Error.Line != 2 || r.Error.Column != 2 || r.Error.Message != `Parser Error: syntax error at or near "wher"` {
		t.Errorf("status %d, %+v", w.Code, r.Error)
	}
	w = send(s, "/sql", statement("SELECT 1\n wher x"))
	if body := w.Body.String(); w.Code != http.StatusBadRequest || !strings.Contains(body, "Line 2, column 2") || !strings.Contains(body, "SELECT 1\n wher x</textarea>") {
		t.Errorf("status %d, %s", w.Code, body)
	}
	after = 1
	w = send(s, "/sql/run", statement("SELECT 1\n wher x"))
	if r := tell(t, w); w.Code != http.StatusOK || r.Error == nil || len(r.Rows) != 1 {
		t.Errorf("after a row: status %d, %+v", w.Code, r)
	}
	if w = send(s, "/sql/run", statement(" \n")); w.Code != http.StatusBadRequest {
		t.Errorf("no statement: status %d", w.Code)
	}
	if w = send(s, "/sql/run", statement(strings.Repeat("x", maxStatement))); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a long statement: status %d", w.Code)
	}
}

func TestPlaceOf(t *testing.T) {
	for _, c := range []struct {
		message, sql string
		line, column int
	}{
		{"E\n\nLINE 1: SELECT foo\n               ^", "SELECT foo", 1, 8},
		{"E\n\nLINE 3: b = é AND x\n                  ^", "SELECT\na\nb = é AND x", 3, 11},
		{"E\n\nLINE 2: SELECT foo\n               ^", "SELECT foo", 1, 8},                                    // within another
		{"E\n\nLINE 2: ...cd foo ef...\n              ^", "x\nab cd foo ef gh", 2, 7},                        // cut
		{"E\n\nLINE 1:  \tfoo\n          ^", " \tfoo", 1, 3},                                                 // tab
		{"E\n\nLINE 9: foo\n        ^", "SELECT foo", 0, 0},                                                  // of another
		{"E\n\nLINE 99999999999999999999: foo\n        ^", "SELECT foo", 0, 0},                               // no number
		{"E\n\nLINE 1: foo\n ^", "foo", 0, 0},                                                                // no place
		{"no place", "SELECT", 0, 0},                                                                         //
		{"E\n\nLINE 1: SELECT 'LINE 1: x' a\n                             ^", "SELECT 'LINE 1: x' a", 1, 22}, // twice
	} {
		said, line, column := placeOf(c.message, c.sql)
		if line != c.line || column != c.column || c.line > 0 && said != "E" {
			t.Errorf("%q: got %q, %d, %d, want %d, %d", c.message, said, line, column, c.line, c.column)
		}
	}
}

func TestTheRequestsEndEndsTheStatement(t *testing.T) {
	for _, path := range []string{"/sql", "/sql/run", "/sql/csv"} {
		asked, ended := make(chan bool), make(chan error)
		s := newTestSite(t, Options{}, func(ctx context.Context, _ string, _ warehouse.Sink) error {
			asked <- true
			<-ctx.Done()
			ended <- context.Cause(ctx)
			return ctx.Err()
		})
		server := httptest.NewServer(s)
		ctx, cancel := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+path, strings.NewReader("sql=SELECT"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		failed := make(chan error)
		go func() {
			resp, err := server.Client().Do(r)
			if err == nil {
				resp.Body.Close()
			}
			failed <- err
		}()
		<-asked
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: ended by %v", path, err)
		}
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: the browser has %v", path, err)
		}
		server.Close()
	}
}

func TestAStatementHasItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestSite(t, Options{Statement: time.Minute}, func(ctx context.Context, _ string, _ warehouse.Sink) error {
			<-ctx.Done()
			return ctx.Err()
		})
		begin := time.Now()
		w := send(s, "/sql/run", statement("SELECT"))
		if r := tell(t, w); w.Code != http.StatusServiceUnavailable || r.Error == nil || !r.Error.Retry || !strings.Contains(r.Error.Message, "1m0s") || time.Since(begin) != time.Minute {
			t.Errorf("status %d, %+v after %s", w.Code, r.Error, time.Since(begin))
		}
	})
}

func TestOnlySoManyStatementsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := make(chan bool)
		s := newTestSite(t, Options{}, func(ctx context.Context, _ string, to warehouse.Sink) error {
			<-end
			return answer(to, texts("a"))
		})
		statuses := make(chan int, statementsAtATime)
		for range statementsAtATime {
			go func() { statuses <- send(s, "/sql/run", statement("SELECT")).Code }()
		}
		synctest.Wait()
		w := send(s, "/sql/run", statement("SELECT"))
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" || !tell(t, w).Error.Retry {
			t.Errorf("one more has status %d: %s", w.Code, w.Body)
		}
		close(end)
		for range statementsAtATime {
			if status := <-statuses; status != http.StatusOK {
				t.Errorf("status %d", status)
			}
		}
		if w := send(s, "/sql/run", statement("SELECT")); w.Code != http.StatusOK {
			t.Errorf("after them status %d", w.Code)
		}
	})
}

func TestCSV(t *testing.T) {
	row := []warehouse.Value{{Text: "plain"}, {Null: true}, {Text: ""}, {Text: "a,b"}, {Text: `say "hi"`}, {Text: "two\nlines"}, {Text: "two\r\nlines"}, {Text: " spaced "}, {Text: "=1+1"}, {Text: "é\xff"}}
	s := newTestSite(t, Options{}, func(_ context.Context, _ string, to warehouse.Sink) error { return answer(to, row, row) })
	w := send(s, "/sql/csv", url.Values{"sql": {"SELECT"}, "name": {"../x"}})
	line := "plain,,\"\",\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\",\"two\r\nlines\",\" spaced \",=1+1,é\xff\r\n"
	if want := "c0,c1,c2,c3,c4,c5,c6,c7,c8,c9\r\n" + line + line; w.Body.String() != want {
		t.Errorf("got  %q\nwant %q", w.Body, want)
	}
	records, err := csv.NewReader(w.Body).ReadAll()
	if err != nil || len(records) != 3 {
		t.Fatalf("%v, %v", records, err)
	}
	for i, v := range row {
		if got := records[2][i]; got != strings.ReplaceAll(v.Text, "\r\n", "\n") { // which Go's reader does
			t.Errorf("%q reads as %q", v.Text, got)
		}
	}
	if h := w.Header(); h.Get("Content-Disposition") != "attachment; filename=result.csv" || !strings.HasPrefix(h.Get("Content-Type"), "text/csv; charset=utf-8") {
		t.Errorf("head is %v", h)
	}
	w = send(s, "/sql/csv", url.Values{"sql": {"SELECT"}, "name": {"by-week"}})
	if got := w.Header().Get("Content-Disposition"); got != "attachment; filename=by-week.csv" {
		t.Errorf("the name is %s", got)
	}
}

func TestAStatementThatServeStopsIsToldSo(t *testing.T) {
	s := newTestSite(t, Options{}, func(context.Context, string, warehouse.Sink) error { return context.Canceled })
	w := send(s, "/sql/run", statement("SELECT"))
	if r := tell(t, w); w.Code != http.StatusServiceUnavailable || r.Error == nil || !r.Error.Retry {
		t.Errorf("status %d, %s", w.Code, w.Body)
	}
}

// TestCSVIsNotHeld holds that a result is on its way before it ends, whatever it
// has.
func TestCSVIsNotHeld(t *testing.T) {
	w := httptest.NewRecorder()
	held := 0
	s := newTestSite(t, Options{}, func(_ context.Context, _ string, to warehouse.Sink) error {
		given := 0
		err := to.Columns([]warehouse.ResultColumn{{Name: "a"}})
		for range 100_000 {
			err = errors.Join(err, to.Row(texts(strings.Repeat("x", 100))))
			given += 102
			held = max(held, given-w.Body.Len())
		}
		return err
	})
	r := httptest.NewRequest(http.MethodPost, "/sql/csv", strings.NewReader("sql=SELECT"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Host = "localhost"
	s.ServeHTTP(w, r)
	if w.Body.Len() != 3+102*100_000 || held > 65<<10 {
		t.Errorf("%d bytes, at most %d of them held", w.Body.Len(), held)
	}
}

func TestAHalfOfACSVIsNoCSV(t *testing.T) {
	s := newTestSite(t, Options{}, func(_ context.Context, sql string, to warehouse.Sink) error {
		if sql == "wrong" {
			return fmt.Errorf("%w: <i>no</i>", arbalest.ErrInvalid)
		}
		return errors.Join(answer(to, texts(strings.Repeat("x", 1<<20))), fmt.Errorf("%w: a value", arbalest.ErrInvalid))
	})
	server := httptest.NewServer(s)
	defer server.Close()
	resp, err := server.Client().PostForm(server.URL+"/sql/csv", statement("SELECT"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Error("a download that broke off ends as if it were whole")
	}
	w := send(s, "/sql/csv", statement("wrong"))
	if w.Code != http.StatusBadRequest || w.Header().Get("Content-Disposition") != "" || !strings.Contains(w.Body.String(), "&lt;i&gt;no&lt;/i&gt;") {
		t.Errorf("status %d, %v, %s", w.Code, w.Header(), w.Body)
	}
}

func TestNothingRunsByBeingOpened(t *testing.T) {
	queries := saved.NewFolder(t.TempDir())
	if _, err := queries.Save(saved.Query{Name: "q", SQL: "SELECT 1"}); err != nil {
		t.Fatal(err)
	}
	s := newTestSite(t, Options{Queries: queries}, func(_ context.Context, sql string, _ warehouse.Sink) error {
		t.Errorf("%q was asked", sql)
		return nil
	})
	for path, has := range map[string]string{"/sql": "<textarea", "/sql?q=SELECT+2": ">SELECT 2</textarea>", "/sql?saved=q": ">SELECT 1</textarea>", "/sql/charts": "<code>SELECT 1</code>"} {
		if w := send(s, path, nil); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), has) {
			t.Errorf("%s: status %d, %s", path, w.Code, w.Body)
		}
	}
	if body := send(s, "/sql?q=SELECT+2", nil).Body.String(); strings.Contains(body, "data-saved") {
		t.Error("a link's statement would be run")
	}
	for _, path := range []string{"/sql/run?sql=SELECT", "/sql/csv?sql=SELECT"} {
		if w := send(s, path, nil); w.Code == http.StatusOK {
			t.Errorf("%s is answered", path)
		}
	}
	for _, path := range []string{"/sql", "/sql/run", "/sql/csv", "/sql/saved", "/sql/saved/delete"} {
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader("sql=SELECT&name=p"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		r.Host = "127.0.0.1:8081"
		w := httptest.NewRecorder()
		if s.ServeHTTP(w, r); w.Code != http.StatusForbidden {
			t.Errorf("another site's %s has status %d", path, w.Code)
		}
	}
}

func TestSavedQueriesByForm(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "queries")
	s := newTestSite(t, Options{Queries: saved.NewFolder(folder)}, nil)
	form := func(kv ...string) url.Values {
		v := url.Values{}
		for i := 0; i < len(kv); i += 2 {
			v.Add(kv[i], kv[i+1])
		}
		return v
	}
	for _, name := range []string{"", "../evil", "a/b", "..", "a.sql", "a\x00b"} {
		if w := send(s, "/sql/saved", form("name", name, "sql", "SELECT 1")); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), ">SELECT 1</textarea>") {
			t.Errorf("%q: status %d", name, w.Code)
		}
		if w := send(s, "/sql?saved="+url.QueryEscape(name)+"&q=x", nil); name != "" && w.Code != http.StatusBadRequest {
			t.Errorf("%q opens with status %d", name, w.Code)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Fatalf("something was written: %v, %v", entries, err)
	}
	w := send(s, "/sql/saved", form("name", "q", "title", "T", "sql", "SELECT 1", "chart", "bar", "x", "a", "y", "b", "y", "", "y", "c", "series", "d"))
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/sql?saved=q" {
		t.Fatalf("status %d to %s: %s", w.Code, w.Header().Get("Location"), w.Body)
	}
	if b, err := os.ReadFile(filepath.Join(folder, "q.sql")); err != nil || string(b) != "-- title: T\n-- chart: bar\n-- x: a\n-- y: b,c\n-- series: d\n\nSELECT 1\n" {
		t.Errorf("the file has %q, %v", b, err)
	}
	page := send(s, "/sql?saved=q", nil).Body.String()
	version := regexp.MustCompile(`name="version" value="([0-9a-f]+)"`).FindStringSubmatch(page)
	if version == nil || !strings.Contains(page, `data-saved="q"`) {
		t.Fatalf("no version in %s", page)
	}
	if w := send(s, "/sql/saved", form("name", "q", "sql", "SELECT 2")); w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), ">SELECT 2</textarea>") || strings.Contains(w.Body.String(), "data-saved") {
		t.Errorf("another of that name: status %d", w.Code)
	}
	if w := send(s, "/sql/saved", form("name", "p", "was", "q", "version", version[1], "sql", "SELECT 3")); w.Code != http.StatusSeeOther {
		t.Errorf("under another name: status %d", w.Code)
	}
	if w := send(s, "/sql/saved", form("name", "q", "was", "q", "version", version[1], "sql", "SELECT 4")); w.Code != http.StatusSeeOther {
		t.Errorf("a change: status %d", w.Code)
	}
	if w := send(s, "/sql/saved/delete", form("name", "q", "was", "q", "version", version[1])); w.Code != http.StatusConflict {
		t.Errorf("the change is deleted unseen: status %d", w.Code)
	}
	version = regexp.MustCompile(`name="version" value="([0-9a-f]+)"`).FindStringSubmatch(send(s, "/sql?saved=q", nil).Body.String())
	if w := send(s, "/sql/saved/delete", form("name", "q", "was", "q", "version", version[1])); w.Code != http.StatusSeeOther {
		t.Errorf("delete: status %d, %s", w.Code, w.Body)
	}
	if w := send(s, "/sql?saved=q", nil); w.Code != http.StatusNotFound {
		t.Errorf("a deleted query opens with status %d", w.Code)
	}
	none := newTestSite(t, Options{}, nil)
	if w := send(none, "/sql/saved", form("name", "q", "sql", "SELECT 1")); w.Code != http.StatusNotFound {
		t.Errorf("saved nowhere: status %d", w.Code)
	}
	if w := send(none, "/sql/charts", nil); w.Code != http.StatusOK {
		t.Errorf("charts of none: status %d", w.Code)
	}
}

func TestHostileTextsAreTexts(t *testing.T) {
	evil := `"'><script>alert(1)</script>`
	queries := saved.NewFolder(t.TempDir())
	if _, err := queries.Save(saved.Query{Name: "q", Title: evil, Description: evil, SQL: "SELECT '</textarea>" + evil + "'", Chart: saved.Chart{Kind: "bar", X: evil, Y: []string{evil}, Series: evil}}); err != nil {
		t.Fatal(err)
	}
	fails := false
	s := newTestSite(t, Options{Queries: queries}, func(_ context.Context, _ string, to warehouse.Sink) error {
		if fails {
			return fmt.Errorf("%w: %s", arbalest.ErrInvalid, evil)
		}
		return errors.Join(to.Columns([]warehouse.ResultColumn{{Name: evil, Type: evil}}), to.Row(texts(evil)))
	})
	pages := map[string]*httptest.ResponseRecorder{"saved": send(s, "/sql?saved=q", nil), "charts": send(s, "/sql/charts", nil), "link": send(s, "/sql?q="+url.QueryEscape("</textarea>"+evil), nil), "result": send(s, "/sql", statement(evil))}
	fails = true
	pages["fault"] = send(s, "/sql", statement(evil))
	pages["name"] = send(s, "/sql/saved", url.Values{"name": {evil}, "title": {evil}, "sql": {evil}, "was": {evil}, "version": {evil}})
	for name, w := range pages {
		if body := w.Body.String(); strings.Contains(body, "<script>alert") || !strings.Contains(body, "alert(1)") || strings.Count(body, "</textarea>") > 1 {
			t.Errorf("%s: %s", name, body)
		}
	}
}

func TestTheEditorsStylesHaveANonce(t *testing.T) {
	s := newTestSite(t, Options{}, nil)
	seen := map[string]bool{}
	for range 2 {
		w := send(s, "/sql", nil)
		nonce := regexp.MustCompile(`data-nonce="([A-Z2-7]{26})"`).FindStringSubmatch(w.Body.String())
		if nonce == nil || !strings.Contains(w.Header().Get("Content-Security-Policy"), "style-src 'self' 'nonce-"+nonce[1]+"';") || seen[nonce[1]] {
			t.Fatalf("nonce %v, policy %s", nonce, w.Header().Get("Content-Security-Policy"))
		}
		seen[nonce[1]] = true
	}
	if policy := send(s, "/sql", nil).Header().Get("Content-Security-Policy"); !strings.Contains(policy, "script-src 'self';") {
		t.Errorf("scripts may be %s", policy)
	}
}

func TestSchemaListsTables(t *testing.T) {
	s := newTestSite(t, Options{}, func(_ context.Context, sql string, to warehouse.Sink) error {
		return answer(to, texts("main", "a", "x", "BIGINT"), texts("main", "a", "y\"", "VARCHAR"), texts("other", "a", "x", "DATE"))
	})
	want := `{"tables":[{"schema":"main","name":"a","columns":[["x","BIGINT"],["y\"","VARCHAR"]]},{"schema":"other","name":"a","columns":[["x","DATE"]]}],"more":false}`
	if w := send(s, "/sql/schema", nil); w.Body.String() != want || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("got %s", w.Body)
	}
}
