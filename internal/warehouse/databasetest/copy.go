package databasetest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/load/warehousetest"
	"arbalest/internal/warehouse"
)

// A folder is a store with objects to copy.
type folder struct {
	s       *suite
	store   blob.Store
	objects []blob.Info
}

func (s *suite) folder() *folder { return &folder{s: s, store: s.store(s.T)} }

// put writes an object, compressed as its name says.
func (f *folder) put(key arbalest.Key, text string) {
	f.s.Helper()
	body := []byte(text)
	switch warehouse.Codec(key) {
	case "gzip":
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write(body) // to memory
		if err := w.Close(); err != nil {
			f.s.Fatal(err)
		}
		body = b.Bytes()
	case "zstd":
		w, err := zstd.NewWriter(nil)
		if err != nil {
			f.s.Fatal(err)
		}
		body = w.EncodeAll(body, nil)
	}
	if err := f.store.Put(f.s.Context(), key, bytes.NewReader(body)); err != nil {
		f.s.Fatal(err)
	}
	f.objects = append(f.objects, blob.Info{Key: key, Size: int64(len(body))})
}

// copy copies all that was put.
func (f *folder) copy(table string, c warehouse.Copy) (done warehouse.Copied, err error) {
	c.Store, c.Objects = f.store, f.objects
	err = f.s.transact(func(tx warehouse.Tx) error {
		done, err = tx.Copy(f.s.Context(), table, c)
		return err
	})
	return done, err
}

func numbers() []arbalest.Column {
	return []arbalest.Column{warehousetest.Col("n", "INTEGER"), warehousetest.Col("text_", "VARCHAR(100)")}
}

func lines(from, to int) string {
	var b strings.Builder
	for n := from; n < to; n++ {
		fmt.Fprintf(&b, "{\"n\":%d,\"text_\":\"é %d\"}\n", n, n)
	}
	return b.String()
}

// testCopy copies plain and compressed objects.
func testCopy(s *suite) {
	s.create("copied", append(numbers(), warehousetest.Col("other", "DATE"))...)
	f := s.folder()
	f.put("in/plain.json", lines(0, 1000))
	f.put("in/small.json.gz", lines(1000, 3000))
	f.put("in/small.ndjson.zst", lines(3000, 5000))
	f.put("in/empty.json", "")
	done, err := f.copy("copied", warehouse.Copy{Columns: numbers()})
	if err != nil || done.Rows != 5000 || done.Errors != 0 || len(done.Reports) != 0 {
		s.Errorf("%+v, %v", done, err)
	}
	s.want("SELECT count(*), count(DISTINCT n), CAST(sum(n) AS BIGINT), min(text_), count(other) FROM copied", []any{int64(5000), int64(5000), int64(4999 * 5000 / 2), "é 0", int64(0)})
	// Nothing is known of what was copied before: that is the caller's.
	if done, err := f.copy("copied", warehouse.Copy{Columns: numbers()}); err != nil || done.Rows != 5000 {
		s.Errorf("again: %+v, %v", done, err)
	}
	s.want("SELECT count(*) FROM copied", []any{int64(10_000)})
	if done, err := s.folder().copy("copied", warehouse.Copy{Columns: numbers()}); err != nil || done.Rows != 0 {
		s.Errorf("nothing: %+v, %v", done, err)
	}
}

// testCopyPaths finds columns by their paths, in documents with white space
// between and within.
func testCopyPaths(s *suite) {
	col := func(name, kind string, path ...string) arbalest.Column {
		c := warehousetest.Col(name, kind)
		c.Path = path
		return c
	}
	columns := []arbalest.Column{
		col("id", "VARCHAR(36)", "id"), col("plan", "VARCHAR(36)", "subscription", "plan"), col("amount", "DECIMAL(12,2)", "amount"),
		col("active", "BOOLEAN", "active"), col("at", "TIMESTAMP", "at"), col("day", "DATE", "day"), col("score", "DOUBLE PRECISION", "score"),
	}
	s.create("paths", columns...)
	f := s.folder()
	f.put("a.json", `{"id":"1","subscription":{"plan":"gold","more":[1,2]},"amount":12.5,"active":true,"at":"2015-08-18T06:36:40Z","day":"2015-08-18","score":1.5e3}`+
		"\n\n  {\n  \"id\": \"2\",\n  \"subscription\": {\"plan\": null},\n  \"unknown\": 1\n}\n{\"id\":\"3\"}")
	done, err := f.copy("paths", warehouse.Copy{Columns: columns})
	if err != nil || done.Rows != 3 {
		s.Fatalf("%+v, %v", done, err)
	}
	s.want("SELECT * FROM paths ORDER BY id",
		[]any{"1", "gold", "12.50", true, at("2015-08-18T06:36:40Z"), at("2015-08-18T00:00:00Z"), 1500.0},
		[]any{"2", nil, nil, nil, nil, nil, nil},
		[]any{"3", nil, nil, nil, nil, nil, nil})
}

// testCopyErrors copies around rows that are wrong, up to so many.
func testCopyErrors(s *suite) {
	s.create("copied", numbers()...)
	f := s.folder()
	f.put("bad.json", `{"n":1,"text_":"one"}`+"\n"+`{"n":"many","text_":"two"}`+"\n"+`{"n":3,"text_":"three"}`+"\n")
	done, err := f.copy("copied", warehouse.Copy{Columns: numbers(), MaxErrors: 2})
	if err != nil || done.Rows != 2 || done.Errors != 1 || len(done.Reports) != 1 {
		s.Fatalf("%+v, %v", done, err)
	}
	if r := done.Reports[0]; r.Object != "bad.json" || r.Line != 2 || r.Column != "n" || r.Reason == "" || !strings.Contains(r.Value, "many") {
		s.Errorf("%+v", r)
	}
	s.want("SELECT n FROM copied ORDER BY n", []any{int64(1)}, []any{int64(3)})
	for _, most := range []int{0, 1} {
		done, err := f.copy("copied", warehouse.Copy{Columns: numbers(), MaxErrors: most})
		var too *warehouse.CopyError
		if !errors.As(err, &too) || !errors.Is(err, arbalest.ErrInvalid) || too.Errors != 1 || len(too.Reports) != 1 || done.Errors != 1 {
			s.Errorf("with %d errors: %+v, %v", most, done, err)
		}
	}
	s.want("SELECT count(*) FROM copied", []any{int64(2)})
	f.put("worse.json.gz", "not json\n"+`{"n":4,"text_":"four"}`+"\n")
	done, err = f.copy("copied", warehouse.Copy{Columns: numbers(), MaxErrors: 100})
	if err != nil || done.Rows != 3 || done.Errors != 2 {
		s.Errorf("%+v, %v", done, err)
	}
	s.want("SELECT count(*) FROM copied", []any{int64(5)})
}

// testCopyNoLoad checks objects and loads nothing.
func testCopyNoLoad(s *suite) {
	s.create("copied", numbers()...)
	f := s.folder()
	f.put("good.json", lines(0, 10))
	if done, err := f.copy("copied", warehouse.Copy{Columns: numbers(), NoLoad: true}); err != nil || done.Errors != 0 {
		s.Errorf("%+v, %v", done, err)
	}
	f.put("bad.json", `{"n":true}`)
	if _, err := f.copy("copied", warehouse.Copy{Columns: numbers(), NoLoad: true}); !errors.Is(err, arbalest.ErrInvalid) {
		s.Errorf("a bad row: %v", err)
	}
	s.want("SELECT count(*) FROM copied", []any{int64(0)})
}

// testCopyMissing copies an object that is not there, beside one that is.
func testCopyMissing(s *suite) {
	s.create("copied", numbers()...)
	f := s.folder()
	f.put("good.json", lines(0, 10))
	f.objects = append(f.objects, blob.Info{Key: "gone.json", Size: 10})
	if _, err := f.copy("copied", warehouse.Copy{Columns: numbers(), MaxErrors: 100}); !errors.Is(err, arbalest.ErrUnknown) {
		s.Errorf("a missing object: %v", err)
	}
	s.want("SELECT count(*) FROM copied", []any{int64(0)})
}
