package redshift

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/oklog/ulid/v2"

	"arbalest"
	"arbalest/internal/decode"
	"arbalest/internal/load/warehousetest"
	"arbalest/internal/redshift/redshifttest"
	"arbalest/internal/warehouse"
)

func contains(text, part string) bool { return strings.Contains(text, part) }

func TestParseLocation(t *testing.T) {
	var opts Options
	loc, err := parseLocation("redshift://IAM%3Aloader:p%40ss@host/dev?iam_role=default&region=eu-west-1&staging=_tmp&distkey=t:a&sortkey=t:b,c&encode=t:a:zstd&diststyle=u:even&max_conns=3&backoff=2s&attempts=4&object_bytes=5&sslmode=verify-full", &opts)
	if err != nil {
		t.Fatal(err)
	}
	if loc.user != "IAM:loader" || loc.password != "p@ss" || loc.port != "5439" || loc.connection["sslmode"] != "verify-full" {
		t.Errorf("%+v", loc)
	}
	if opts.IAMRole != "default" || opts.Region != "eu-west-1" || opts.Staging != "_tmp" || opts.MaxConns != 3 || opts.Backoff != 2*time.Second || opts.Attempts != 4 || opts.ObjectBytes != 5 {
		t.Errorf("%+v", opts)
	}
	if got := opts.withTableOptions(`create table if not exists "s"."T" ("a" VARCHAR(10) DEFAULT 'a,)', b INT)`); got != `create table if not exists "s"."T" ("a" VARCHAR(10) DEFAULT 'a,)' ENCODE ZSTD, b INT) DISTSTYLE KEY DISTKEY ("a") COMPOUND SORTKEY ("b", "c")` {
		t.Error(got)
	}
	if got := opts.withTableOptions("CREATE TABLE u_update AS SELECT 1 AS a"); got != "CREATE TABLE u_update DISTSTYLE EVEN AS SELECT 1 AS a" {
		t.Error(got)
	}
	for _, sql := range []string{"CREATE TABLE other (a INT)", "CREATE TABLE t (LIKE other)", "SELECT 1", "CREATE VIEW t AS SELECT 1"} {
		if got := opts.withTableOptions(sql); got != sql {
			t.Error(got)
		}
	}
	for _, url := range []string{
		"postgres://u:secret@h/dev", "redshift://u:secret@h", "redshift://u:secret@h/dev?unknown=secret", "redshift://u:secret@h/dev?attempts=secret%zz", "redshift://h/dev",
		"redshift://u:secret@h/dev?attempts=x", "redshift://u:se cret@h/dev", "redshift://u@h/dev?cluster=a&workgroup=b", "redshift://u@h/dev?distkey=x", "redshift://u:secret%zz@h/dev",
	} {
		if _, err := parseLocation(url, &Options{}); !errors.Is(err, arbalest.ErrInvalid) || contains(err.Error(), "secret") || contains(err.Error(), "se cret") {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, o := range []Options{{IAMRole: "arn:aws:iam::1:user/x"}, {IAMRole: "x' y"}, {Staging: "a'b"}, {Staging: `a\b`}, {Region: "x'"}, {MaxConns: -1},
		{Tables: map[string]TableOptions{"t": {DistStyle: "KEY"}}}, {Tables: map[string]TableOptions{"t": {DistStyle: "ALL", DistKey: "a"}}}, {Tables: map[string]TableOptions{"t": {Encode: map[string]string{"a": "x"}}}}} {
		if _, err := o.withDefaults(); !errors.Is(err, arbalest.ErrInvalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestDialect(t *testing.T) {
	d := dialect(Options{})
	for kind, want := range map[string]string{
		"JSON": "SUPER", "VARCHAR(MAX)": "VARCHAR(65535)", "VARCHAR(36)": "VARCHAR(36)", "CHAR(MAX)": "VARCHAR(65535)", "CHAR(3)": "VARCHAR(3)",
		"DECIMAL(38,37)": "DECIMAL(38,37)", "DOUBLE": "DOUBLE PRECISION", "TIMESTAMPTZ": "TIMESTAMPTZ", "BOOL": "BOOLEAN", "INT2": "SMALLINT", "REAL": "REAL",
	} {
		if got := d.Type(warehousetest.Col("x", kind).Type); got != want {
			t.Errorf("%s is %s, want %s", kind, got, want)
		}
	}
	long := strings.Repeat("x", 65536)
	for _, c := range []struct {
		kind arbalest.Kind
		text string
		fit  bool
	}{
		{arbalest.Varchar, long[1:], true}, {arbalest.Varchar, long, false}, {arbalest.Varchar, "\x00", false}, {arbalest.Varchar, "\xff", false},
		{arbalest.JSON, `{"a":"` + long[1:] + `"}`, true}, {arbalest.JSON, `{"a":"` + long + `"}`, false}, {arbalest.JSON, `{"` + long + `":1}`, false},
		{arbalest.JSON, `{"a":"\u0000"}`, false}, {arbalest.JSON, `{"a":"\\u0000"}`, true}, {arbalest.JSON, `{"a":"\ud800"}`, false}, {arbalest.JSON, `["\ud83e\udd86"]`, true},
		{arbalest.JSON, `["\udd86"]`, false}, {arbalest.JSON, `["` + strings.Repeat(`\u20ac`, 21845) + `"]`, true}, {arbalest.JSON, `["` + strings.Repeat(`\u20ac`, 21846) + `"]`, false},
		{arbalest.JSON, `[` + strings.Repeat(`"`+long[:60000]+`",`, 70) + `1]`, false},
	} {
		if got := d.Unfit(c.kind, []byte(c.text)); (got == "") != c.fit {
			t.Errorf("%v %.40q: %q", c.kind, c.text, got)
		}
	}
}

func TestDecimals(t *testing.T) {
	for _, s := range []string{"0", "1", "-1", "18446744073709551616", "-18446744073709551616", "99999999999999999999999999999999999999", "-99999999999999999999999999999999999999", "-9223372036854775808"} {
		n, _ := new(big.Int).SetString(s, 10)
		m := new(big.Int).And(n, new(big.Int).SetUint64(1<<64-1))
		v := decode.Int128{Lo: m.Uint64(), Hi: new(big.Int).Rsh(n, 64).Int64()}
		for scale := range 38 {
			got := string(appendDecimal(nil, v, scale))
			want := new(big.Rat).SetFrac(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)).FloatString(scale)
			if got != want {
				t.Errorf("%s at %d: %s, want %s", s, scale, got, want)
			}
		}
	}
}

// FuzzLiteral holds that a literal reads back as the text, whether or not a
// backslash escapes, and ends where it ends.
func FuzzLiteral(f *testing.F) {
	for _, s := range []string{"", "'", `\`, `\'; DROP TABLE t --`, "''", "a\x00", "é'", "s3://b/k'--"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		sql, err := literal(s)
		if err != nil {
			if !errors.Is(err, arbalest.ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		inside := sql[1 : len(sql)-1]
		if strings.Contains(inside, `\`) || strings.Contains(strings.ReplaceAll(inside, "''", ""), "'") || strings.ReplaceAll(inside, "''", "'") != s || !utf8.ValidString(sql) {
			t.Fatalf("%q is spelled %q", s, sql)
		}
		if err := single("SELECT " + sql); err != nil {
			t.Fatal(err)
		}
		if path, err := jsonPath([]string{s}); err == nil && (strings.Count(path, "'") != 2 || strings.Contains(path, `\`)) {
			t.Fatalf("path %q", path)
		}
	})
}

func TestCopyRefusals(t *testing.T) {
	server := redshifttest.Start(t)
	bucket := server.NewBucket()
	d := open(t, server, Options{Bucket: bucket, IAMRole: role})
	list := objects(t, bucket, "a.json", `{"n":1}`)
	column := func(path ...string) []arbalest.Column {
		return []arbalest.Column{{Name: "n", Path: path, Type: arbalest.Type{Kind: arbalest.Integer}}}
	}
	elsewhere := *bucket
	elsewhere.In = "eu-central-1"
	for name, c := range map[string]warehouse.Copy{
		"a quote":         {Columns: column("it's"), Store: bucket, Objects: list},
		"a backslash":     {Columns: column(`a\b`), Store: bucket, Objects: list},
		"not S3":          {Columns: column("n"), Store: bucket.Store, Objects: list},
		"another region":  {Columns: column("n"), Store: &elsewhere, Objects: list},
		"too many errors": {Columns: column("n"), Store: bucket, Objects: list, MaxErrors: 100001},
		"two of a name":   {Columns: append(column("n"), arbalest.Column{Name: "N", Path: []string{"m"}, Type: arbalest.Type{Kind: arbalest.Integer}}), Store: bucket, Objects: list},
		"no columns":      {Store: bucket, Objects: list},
	} {
		err := d.Transact(t.Context(), "refused", func(tx warehouse.Tx) error {
			_, err := tx.Copy(t.Context(), "t", c)
			return err
		})
		if !errors.Is(err, arbalest.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := staged(t, bucket); n != 0 {
		t.Errorf("%d objects are left", n)
	}
}

// TestViews reads load errors from the view that there is.
func TestViews(t *testing.T) {
	for _, c := range []struct {
		views redshifttest.Views
		value string
	}{{redshifttest.Present, "two"}, {redshifttest.Absent, "two"}, {redshifttest.Denied, "two"}} {
		server := redshifttest.Start(t)
		server.SetViews(c.views)
		bucket := server.NewBucket()
		d := open(t, server, Options{Bucket: bucket, IAMRole: role})
		columns := []arbalest.Column{warehousetest.Col("n", "INTEGER")}
		// Of names that are cut at 256 characters, one with a fellow and one without.
		long := strings.Repeat("d/", 120)
		list := objects(t, bucket, long+"one-and-much-more.json", `{"n":"two"}`, "short.json", `{"n":1}{"n":"two"}`)
		var done warehouse.Copied
		err := d.Transact(t.Context(), "views", func(tx warehouse.Tx) error {
			if _, err := tx.Exec(t.Context(), "CREATE TABLE t (n INTEGER)"); err != nil {
				return err
			}
			var err error
			done, err = tx.Copy(t.Context(), "t", warehouse.Copy{Columns: columns, Store: bucket, Objects: list, MaxErrors: 10})
			return err
		})
		if err != nil || done.Rows != 1 || done.Errors != 2 || len(done.Reports) != 2 {
			t.Fatalf("views %d: %+v, %v", c.views, done, err)
		}
		for i, r := range done.Reports {
			if r.Object != list[i].Key || r.Line != 1 || r.Column != "n" || r.Value != c.value || r.Reason == "" {
				t.Errorf("views %d: %+v", c.views, r)
			}
		}
	}
}

// TestRedaction makes every kind of error with keys in the statement.
func TestRedaction(t *testing.T) {
	server, _, d := newTraced(t, Options{Attempts: 2})
	columns := []arbalest.Column{warehousetest.Col("n", "INTEGER")}
	pages := pagesOf(columns, []any{1})
	insert := func(table string, columns []arbalest.Column) error {
		return d.Transact(t.Context(), "secret", func(tx warehouse.Tx) error {
			_, err := tx.Insert(t.Context(), table, columns, pages)
			return err
		})
	}
	server.SetFaults(redshifttest.Fault{Kind: redshifttest.Conflict, Transaction: 1, Statement: "copy"}, redshifttest.Fault{Kind: redshifttest.Conflict, Transaction: 2, Statement: "copy"})
	errs := []error{insert("t", columns), insert("nowhere", columns), insert("syntax error here", columns)}
	wrong := func(_ context.Context, sql string) error {
		return d.Query(t.Context(), sql, func([]any) error { return nil })
	}
	errs = append(errs, wrong(t.Context(), "SELECT 'secret/not+to+be/shown'::INTEGER"), wrong(t.Context(), `SELECT * FROM "AKIANOTTOBESHOWN0001"`))
	for _, err := range errs {
		if err == nil {
			t.Fatal("no error")
		}
		noSecrets(t, err.Error())
		noSecrets(t, fmt.Sprintf("%+v %#v", err, err))
	}
	for _, s := range server.Statements() {
		if strings.HasPrefix(s, "COPY") {
			noSecrets(t, s)
		}
	}
}

// TestSweep deletes what is a day old, and nothing else.
func TestSweep(t *testing.T) {
	server := redshifttest.Start(t)
	bucket := server.NewBucket()
	at := func(age time.Duration) arbalest.Key {
		id := ulid.MustNew(ulid.Timestamp(time.Now().Add(-age)), bytes.NewReader(make([]byte, 10)))
		return arbalest.Key("_staging/" + id.String() + "/rows-00001.ndjson.zst")
	}
	for _, key := range []arbalest.Key{at(48 * time.Hour), at(25 * time.Hour), at(23 * time.Hour), at(0), "_staging/others/x", "user.created/x"} {
		if err := bucket.Put(t.Context(), key, bytes.NewReader(nil)); err != nil {
			t.Fatal(err)
		}
	}
	open(t, server, Options{Bucket: bucket})
	if n := staged(t, bucket); n != 3 {
		t.Errorf("%d objects are left", n)
	}
}

// TestSplit divides rows among objects, all of which come in.
func TestSplit(t *testing.T) {
	_, bucket, d := newTraced(t, Options{IAMRole: role, ObjectBytes: 1})
	columns := []arbalest.Column{warehousetest.Col("text_", "VARCHAR(MAX)")}
	var rows [][]any
	for i := range 20 {
		rows = append(rows, []any{strings.Repeat(fmt.Sprint(i%10), 60000)})
	}
	if err := d.Transact(t.Context(), "split", func(tx warehouse.Tx) error {
		if _, err := tx.Exec(t.Context(), "CREATE TABLE split (text_ VARCHAR(MAX))"); err != nil {
			return err
		}
		n, err := tx.Insert(t.Context(), "split", columns, pagesOf(columns, rows...))
		if n != 20 {
			t.Errorf("%d rows", n)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	puts := 0
	for _, line := range bucket.trace {
		if head, _, _ := strings.Cut(line, "\n"); contains(head, "-- put") && contains(head, "/rows-") {
			puts++
		}
	}
	if puts != 4 {
		t.Errorf("%d objects", puts)
	}
}

// A loginStub counts how often it is asked.
type loginStub struct {
	expires time.Time
	asked   int
	err     error
}

func (l *loginStub) Login(context.Context) (user, password string, expires time.Time, err error) {
	l.asked++
	return redshifttest.User, redshifttest.Password, l.expires, l.err
}

func TestLogin(t *testing.T) {
	stub := &loginStub{}
	l := &logins{login: stub, secrets: &secrets{}}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		expires time.Time
		asked   int
	}{{now.Add(time.Hour), 1}, {now.Add(time.Hour), 1}, {now.Add(30 * time.Second), 1}} {
		stub.expires = c.expires
		if _, _, err := l.current(t.Context(), now); err != nil || stub.asked != c.asked {
			t.Errorf("asked %d times, %v", stub.asked, err)
		}
	}
	now = now.Add(time.Hour)
	for asked := 2; asked <= 3; asked++ { // its answer is over at once
		if _, _, err := l.current(t.Context(), now); err != nil || stub.asked != asked {
			t.Errorf("asked %d times, %v", stub.asked, err)
		}
	}
	if got := l.secrets.redact("x" + redshifttest.Password); got != "x"+hidden {
		t.Error(got)
	}
	server := redshifttest.Start(t)
	open(t, server, Options{Login: &loginStub{}})
	if _, err := Open(t.Context(), server.URL(), Options{Login: &loginStub{err: fmt.Errorf("%w: refused", arbalest.ErrInvalid)}}); !errors.Is(err, arbalest.ErrInvalid) {
		t.Error(err)
	}
}

func TestSingle(t *testing.T) {
	for sql, one := range map[string]bool{
		"SELECT 1": true, "SELECT 1;": true, "SELECT 1; -- ;": true, "SELECT ';'": true, `SELECT ";" /* ; */`: true, "SELECT 'it''s; ' ;  ": true, `SELECT '\';'`: true,
		"": false, ";": false, " -- x": false, "SELECT 1; SELECT 2": false, "SELECT ';'; SELECT 2": false,
	} {
		if err := single(sql); (err == nil) != one {
			t.Errorf("%q: %v", sql, err)
		}
	}
}

// TestLongNames uses names that PostgreSQL would cut.
func TestLongNames(t *testing.T) {
	_, _, d := newTraced(t, Options{IAMRole: role})
	long := strings.Repeat("n", 120)
	columns := []arbalest.Column{warehousetest.Col(long+"_1", "INTEGER"), warehousetest.Col(long+"_2", "INTEGER"), warehousetest.Col(strings.Repeat("m", 200), "INTEGER")}
	if err := d.Transact(t.Context(), "names", func(tx warehouse.Tx) error {
		if _, err := tx.Exec(t.Context(), "CREATE TABLE "+warehouse.Ident(long)+" ("+d.Dialect().Define(columns)+")"); err != nil {
			return err
		}
		_, err := tx.Insert(t.Context(), warehouse.Ident(strings.ToUpper(long)), columns, pagesOf(columns, []any{1, 2, 3}))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	s := &sink{}
	if err := d.Ask(t.Context(), "SELECT column_name FROM information_schema.columns WHERE table_name = '"+long+"' ORDER BY ordinal_position", s); err != nil || len(s.rows) != 3 || s.rows[1][0] != long+"_2" || len(s.rows[2][0]) != 127 {
		t.Errorf("%v, %v", s.rows, err)
	}
}
