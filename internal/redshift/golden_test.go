package redshift

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/load"
	"arbalest/internal/load/warehousetest"
	"arbalest/internal/redshift/redshifttest"
	"arbalest/internal/warehouse"
)

var update = flag.Bool("update", false, "write the golden files")

var (
	ulids  = regexp.MustCompile(`_staging/[0-9A-HJKMNP-TV-Z]{26}`)
	tokens = regexp.MustCompile(`"load [A-Z2-7]{26}"`)
	times  = regexp.MustCompile(`"20[2-9]\d-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?\+00"`)
)

// golden compares a trace with testdata/<name>.golden.
func golden(t *testing.T, name string, lines []string) {
	t.Helper()
	got := strings.Join(lines, "\n;\n") + "\n"
	got = tokens.ReplaceAllString(got, `"load TOKEN"`)
	got = ulids.ReplaceAllString(got, "_staging/ULID")
	got = times.ReplaceAllString(got, `"NOW"`)
	noSecrets(t, got)
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs: see what changed, and run with -update\n%s", path, got)
	}
}

// noSecrets fails if a text shows one.
func noSecrets(t *testing.T, text string) {
	t.Helper()
	for _, secret := range []string{redshifttest.Password, "AKIANOTTOBESHOWN0001", "secret/not+to+be/shown", "token//not=to=be=shown"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is shown in: %.300s", secret[:6]+"…", text)
		}
	}
}

// A tracing bucket tells what is written, in clear.
type tracing struct {
	*redshifttest.Bucket
	trace []string
}

func (b *tracing) Put(ctx context.Context, key arbalest.Key, body io.ReadSeeker) error {
	text, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	plain := text
	if strings.HasSuffix(string(key), ".zst") {
		d, err := zstd.NewReader(nil)
		if err != nil {
			return err
		}
		defer d.Close()
		if plain, err = d.DecodeAll(text, nil); err != nil {
			return err
		}
	}
	shown := regexp.MustCompile(`"content_length":\d+`).ReplaceAllString(string(plain), `"content_length":N`)
	b.trace = append(b.trace, fmt.Sprintf("-- put %s\n%s", key, strings.TrimRight(shown, "\n")))
	return b.Bucket.Put(ctx, key, bytes.NewReader(text))
}

func (b *tracing) Delete(ctx context.Context, key arbalest.Key) error {
	b.trace = append(b.trace, fmt.Sprintf("-- delete %s", key))
	return b.Bucket.Delete(ctx, key)
}

// stage makes an emulator, a bucket that traces and a database on both.
func newTraced(t *testing.T, opts Options) (*redshifttest.Server, *tracing, *Database) {
	server := redshifttest.Start(t)
	bucket := &tracing{Bucket: server.NewBucket()}
	opts.Bucket = bucket
	d := open(t, server, opts)
	return server, bucket, d
}

// everyType are columns of all kinds, and rows of them.
func everyType() ([]arbalest.Column, []warehouse.Page) {
	col := warehousetest.Col
	columns := []arbalest.Column{
		col("bool_", "BOOLEAN"), col("small_", "SMALLINT"), col("int_", "INTEGER"), col("big_", "BIGINT"), col("dec_", "DECIMAL(38,4)"), col("real_", "REAL"),
		col("double_", "DOUBLE PRECISION"), col("char_", "CHAR(5)"), col("text_", "VARCHAR(MAX)"), col("date_", "DATE"), col("ts_", "TIMESTAMP"), col("tz_", "TIMESTAMPTZ"), col("doc_", "JSON"),
	}
	return columns, pagesOf(columns,
		[]any{true, 1, 2, int64(9007199254740993), "-1234567890123456789012345678901234.5678", 0.1, 0.1, "a", "it's \\ \"quoted\"\n", "2015-08-18", "2015-08-18T06:36:40.5Z", "2015-08-18T06:36:40Z", `{"a":[1.10,"x"]}`},
		[]any{false, nil, nil, -9007199254740992, "0.0001", nil, 1e300, nil, "", nil, nil, nil, nil})
}

// pagesOf makes pages of rows, whose values are as warehousetest.Row's.
func pagesOf(columns []arbalest.Column, rows ...[]any) []warehouse.Page {
	var events []warehousetest.Row
	for _, r := range rows {
		events = append(events, warehousetest.Row{Time: "2015-08-18T06:00:00Z", Values: r})
	}
	b := warehousetest.Batch(warehousetest.Declared("page", columns...), 1000, warehousetest.Object{Rows: events})
	var pages []warehouse.Page
	for _, c := range b.Chunks {
		pages = append(pages, warehouse.Page{Rows: c.Rows, Columns: c.Columns[len(arbalest.SystemColumns):]})
	}
	return pages
}

func TestGoldenOpen(t *testing.T) {
	server, _, _ := newTraced(t, Options{IAMRole: role})
	golden(t, "open", server.Statements())
}

func TestGoldenInsert(t *testing.T) {
	server, bucket, d := newTraced(t, Options{IAMRole: role, Region: "eu-west-1"})
	columns, pages := everyType()
	server.Statements()
	if err := d.Transact(t.Context(), "golden", func(tx warehouse.Tx) error {
		if _, err := tx.Exec(t.Context(), "CREATE TABLE typed ("+d.Dialect().Define(columns)+")"); err != nil {
			return err
		}
		n, err := tx.Insert(t.Context(), warehouse.Ident("typed"), columns, pages)
		if n != 2 {
			t.Errorf("%d rows", n)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	golden(t, "insert", append(bucket.trace, server.Statements()...))
	want := []string{
		`true | 1 | 2 | 9007199254740993 | -1234567890123456789012345678901234.5678 | 0.1 | 0.1 | a | it's \ "quoted"` + "\n" + ` | 2015-08-18 | 2015-08-18 06:36:40.5 | 2015-08-18 06:36:40+00 | {"a":[1.10,"x"]}`,
		"false | NULL | NULL | -9007199254740992 | 0.0001 | NULL | 1e+300 | NULL |  | NULL | NULL | NULL | NULL",
	}
	s := &sink{}
	if err := d.Ask(t.Context(), "SELECT * FROM typed ORDER BY bool_ DESC", s); err != nil || len(s.rows) != 2 {
		t.Fatalf("%v, %v", s.rows, err)
	}
	for i := range want {
		if got := strings.Join(s.rows[i], " | "); got != want[i] {
			t.Errorf("row %d\n got %s\nwant %s", i, got, want[i])
		}
	}
}

// compressed is a text as an object's name says.
func compressed(t *testing.T, key arbalest.Key, text string) []byte {
	t.Helper()
	switch warehouse.Codec(key) {
	case "gzip":
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = io.WriteString(w, text)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	case "zstd":
		w, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		return w.EncodeAll([]byte(text), nil)
	}
	return []byte(text)
}

// objects puts objects into a bucket, and lists them.
func objects(t *testing.T, bucket *redshifttest.Bucket, texts ...string) (list []blob.Info) {
	t.Helper()
	for i := 0; i < len(texts); i += 2 {
		key := arbalest.Key(texts[i])
		body := compressed(t, key, texts[i+1])
		if err := bucket.Put(t.Context(), key, bytes.NewReader(body)); err != nil {
			t.Fatal(err)
		}
		list = append(list, blob.Info{Key: key, Size: int64(len(body))})
	}
	return list
}

func TestGoldenCopy(t *testing.T) {
	server, bucket, d := newTraced(t, Options{IAMRole: "default"})
	columns := []arbalest.Column{warehousetest.Col("n", "INTEGER"), {Name: "deep", Path: []string{"a.b", "c[0]"}, Type: arbalest.Type{Kind: arbalest.Varchar, Length: 10}}}
	copyAll := func(c warehouse.Copy) (done warehouse.Copied, err error) {
		err = d.Transact(t.Context(), "golden", func(tx warehouse.Tx) error {
			done, err = tx.Copy(t.Context(), "public.copied", c)
			return err
		})
		return done, err
	}
	if err := d.Transact(t.Context(), "golden", func(tx warehouse.Tx) error {
		_, err := tx.Exec(t.Context(), "CREATE TABLE copied ("+d.Dialect().Define(columns)+")")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	list := objects(t, bucket.Bucket, "in/a.json", `{"n":1,"a.b":{"c[0]":"x"}}`, "in/b.json.gz", `{"n":2}{"n":"two"}`, "in/c.json.zst", `{"n":3}`)
	server.Statements()
	bucket.trace = nil
	done, err := copyAll(warehouse.Copy{Columns: columns, Store: bucket, Objects: list, MaxErrors: 5})
	if err != nil || done.Rows != 3 || done.Errors != 1 || done.Reports[0].Object != "in/b.json.gz" || done.Reports[0].Value != "two" {
		t.Errorf("%+v, %v", done, err)
	}
	golden(t, "copy", append(bucket.trace, server.Statements()...))
	if done, err := copyAll(warehouse.Copy{Columns: columns, Store: bucket, Objects: list, NoLoad: true}); err == nil || done.Errors != 1 {
		t.Errorf("%+v, %v", done, err)
	}
	golden(t, "copy-failed", server.Statements())
	if done, err := copyAll(warehouse.Copy{Columns: columns, Store: bucket}); err != nil || done.Rows != 0 {
		t.Errorf("no objects: %+v, %v", done, err)
	}
	golden(t, "copy-nothing", server.Statements())
}

func TestGoldenKeys(t *testing.T) {
	server, _, d := newTraced(t, Options{})
	server.Statements()
	columns := []arbalest.Column{warehousetest.Col("n", "INTEGER")}
	if err := d.Transact(t.Context(), "golden", func(tx warehouse.Tx) error {
		if _, err := tx.Exec(t.Context(), "CREATE TABLE keyed (n INTEGER)"); err != nil {
			return err
		}
		_, err := tx.Insert(t.Context(), "keyed", columns, pagesOf(columns, []any{1}))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	golden(t, "keys", server.Statements())
}

// TestGoldenLoad is what loading asks of Redshift, from nothing.
func TestGoldenLoad(t *testing.T) {
	server, _, d := newTraced(t, Options{IAMRole: role, Tables: map[string]TableOptions{"user_created": {DistKey: "event_id", Encode: map[string]string{"plan": "zstd"}}}})
	w := warehouse.New(d)
	table := warehousetest.Declared("user.created", warehousetest.Col("plan", "VARCHAR(16)"))
	server.Statements()
	for commit := range 2 {
		prev, next := load.Progress{Cursor: load.Cursor{Commit: arbalest.Seq(commit)}}, load.Progress{Cursor: load.Cursor{Commit: arbalest.Seq(commit + 1)}}
		if commit == 1 {
			table.Columns = append(table.Columns, warehousetest.Col("amount", "DECIMAL(12,2)"))
		}
		row := warehousetest.Row{ID: fmt.Sprint(commit), Time: "2015-08-18T06:36:40Z", Values: []any{"gold", "1.50"}[:len(table.Columns)]}
		b := warehousetest.Batch(table, 10, warehousetest.Object{Commit: next.Commit, Rows: []warehousetest.Row{row}})
		if _, err := w.Load(t.Context(), prev, load.Batch{Tables: []load.TableBatch{b}, Next: next}); err != nil {
			t.Fatal(err)
		}
		golden(t, fmt.Sprintf("load-%d", commit+1), server.Statements())
	}
}
