package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

const typesFile = "testdata/clients/types.sql"

// sqlServed is a serve with two events loaded, and where PostgreSQL's clients
// find it.
func sqlServed(t *testing.T) (s *served, dir, host, port string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	ln.Close()
	dir = t.TempDir()
	s = serve(t, dir, "--sql", address)
	_, a, err := post(s.url, `[{"event":"user.created","data":{"email_address":"jane@doe.com","plan":{"seats":3,"price":9.5}}},{"event":"user.created","data":{"email_address":"joe@doe.com","plan":{"seats":4,"price":9.5}}}]`)
	if err != nil {
		t.Fatal(err)
	}
	loaded(t, s.url, a.Receipt)
	host, port, _ = net.SplitHostPort(address)
	return s, dir, host, port
}

// typesRow is the statement that has a value of every type, and what arbalest
// query says of it.
func typesRow(t *testing.T, dir string) (sql string, row map[string]any) {
	t.Helper()
	b, err := os.ReadFile(typesFile)
	if err != nil {
		t.Fatal(err)
	}
	var rows []map[string]any
	dec := json.NewDecoder(strings.NewReader(must(t, "query", "--data", dir, "--format", "json", string(b))))
	dec.UseNumber()
	if err := dec.Decode(&rows); err != nil || len(rows) != 1 {
		t.Fatalf("%v, %v", rows, err)
	}
	return string(b), rows[0]
}

// client runs a client's program, and skips without it, but not in CI.
func client(t *testing.T, there func() error, name string, args ...string) string {
	t.Helper()
	if err := there(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("CI must have this client (make tools): %v", err)
		}
		t.Skipf("this client is not here (make tools installs it): %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "PYTHONUTF8=1", "PGTZ=UTC")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestClients lets PostgreSQL's clients ask for a value of every type, and
// compares with what arbalest query says. Each checks its own abilities besides.
func TestClients(t *testing.T) {
	_, dir, host, port := sqlServed(t)
	sql, want := typesRow(t, dir)
	found := func(what ...string) func() error {
		return func() error {
			for _, w := range what {
				if _, err := os.Stat(w); err != nil {
					if _, err := exec.LookPath(w); err != nil {
						return err
					}
				}
			}
			return nil
		}
	}
	module := func(name string) func() error {
		return func() error { return exec.Command("/usr/bin/python3", "-c", "import "+name).Run() }
	}
	address := "host=" + host + " port=" + port + " user=arbalest dbname=arbalest"
	t.Run("psql", func(t *testing.T) {
		out := client(t, found("psql"), "psql", "-X", "-At", "-z", "--record-separator-zero", "--field-separator-zero", "-P", `null=\N`, "-c", sql, address)
		values := strings.Split(strings.TrimRight(out, "\x00"), "\x00")
		names := client(t, found("psql"), "psql", "-X", "-A", "-F", ",", "-c", "SELECT * FROM ("+sql+") LIMIT 0", address)
		got := map[string]string{}
		for i, name := range strings.Split(strings.SplitN(names, "\n", 2)[0], ",") {
			got[name] = values[i]
		}
		compare(t, want, got)
		for command, says := range map[string]string{
			`\d`: "user_created", `\dt`: "user_created", `\l`: "arbalest", `\d user_created`: "email_address", `\dn`: "main", `\du`: "arbalest", `\d+ arbalest.books`: "View definition", `\dt arbalest.*`: "journal", `\df`: "0 rows", `\dv arbalest.*`: "books",
			`\copy (SELECT email_address, NULL FROM user_created ORDER BY 1) to stdout`: "jane@doe.com\t\\N\njoe@doe.com\t\\N\n", `\copy (SELECT email_address AS a FROM user_created ORDER BY 1) to stdout csv header`: "a\njane@doe.com\n", `SELECT count(*) FROM user_created`: "2",
		} {
			if out := client(t, found("psql"), "psql", "-X", "-v", "ON_ERROR_STOP=1", "-c", command, address); !strings.Contains(out, says) {
				t.Errorf("%s: %s", command, out)
			}
		}
	})
	t.Run("pgx", func(t *testing.T) {
		conn, err := pgx.Connect(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(context.Background())
		r := conn.PgConn().ExecParams(t.Context(), sql, nil, nil, nil, nil).Read()
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		got := map[string]string{}
		for i, f := range r.FieldDescriptions {
			if got[f.Name] = `\N`; r.Rows[0][i] != nil {
				got[f.Name] = string(r.Rows[0][i])
			}
		}
		compare(t, want, got)
		var email string
		if err := conn.QueryRow(t.Context(), "SELECT email_address FROM user_created WHERE plan_seats = $1", 4).Scan(&email); err != nil || email != "joe@doe.com" {
			t.Errorf("%s, %v", email, err)
		}
	})
	for _, name := range []string{"psycopg2", "sqlalchemy", "odbc"} {
		t.Run(name, func(t *testing.T) {
			there := module(map[string]string{"psycopg2": "psycopg2", "sqlalchemy": "sqlalchemy, psycopg2", "odbc": "pyodbc; assert 'PostgreSQL Unicode' in pyodbc.drivers()"}[name])
			compare(t, want, printed(t, client(t, there, "/usr/bin/python3", "testdata/clients/python.py", name, host, port, typesFile)))
		})
	}
	t.Run("jdbc", func(t *testing.T) {
		const jar = "/usr/share/java/postgresql.jar"
		compareTwo(t, want, client(t, found("java", "javac", jar), "java", "-Duser.timezone=UTC", "-cp", jar, "testdata/clients/Jdbc.java", net.JoinHostPort(host, port), typesFile))
	})
}

// TestNode does so with pg, parsed by it and not.
func TestNode(t *testing.T) {
	npm(t, "clients")
	_, dir, host, port := sqlServed(t)
	_, want := typesRow(t, dir)
	compareTwo(t, want, client(t, func() error { return nil }, "node", "--no-deprecation", "clients/pg.js", host, port, typesFile))
}

// compareTwo compares a row that a client's program printed twice.
func compareTwo(t *testing.T, want map[string]any, out string) {
	t.Helper()
	all := strings.SplitAfter(out, "\n")
	half := strings.Count(out, "\n") / 2
	compare(t, want, printed(t, strings.Join(all[:half], "")))
	compare(t, want, printed(t, strings.Join(all[half:], "")))
}

// printed reads what a client's program printed.
func printed(t *testing.T, out string) map[string]string {
	t.Helper()
	got := map[string]string{}
	for line := range strings.Lines(out) {
		name, value, _ := strings.Cut(line, "\t")
		var text string
		if err := json.Unmarshal([]byte(value), &text); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		got[name] = text
	}
	return got
}

func compare(t *testing.T, want map[string]any, got map[string]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d columns, want %d: %v", len(got), len(want), got)
	}
	for name, w := range want {
		if g, ok := got[name]; !ok || !same(w, g) {
			t.Errorf("%s is %q, want %v", name, g, w)
		}
	}
}

// same says whether a client's text is a value that arbalest query gave as JSON.
func same(want any, got string) bool {
	switch w := want.(type) {
	case nil:
		return got == `\N`
	case bool:
		return w == strings.Contains(" t true 1 ", " "+strings.ToLower(got)+" ")
	case json.Number:
		a, okA := new(big.Rat).SetString(w.String())
		b, okB := new(big.Rat).SetString(got)
		return okA && okB && a.Cmp(b) == 0
	case string:
		if strings.HasPrefix(w, `\x`) {
			return strings.EqualFold(strings.ReplaceAll(w, `\x`, ""), strings.TrimPrefix(got, `\x`))
		}
		if a, ok := new(big.Rat).SetString(w); ok { // of more digits than JSON's readers keep
			b, ok := new(big.Rat).SetString(got)
			return ok && a.Cmp(b) == 0
		}
		folded := strings.ToLower(got)
		return got == w || folded == strings.ToLower(w) && len(w) == 36 || w == "inf" && strings.HasPrefix(folded, "inf") || isTime(w) && sameTime(w, got)
	}
	var g any
	dec := json.NewDecoder(strings.NewReader(got))
	dec.UseNumber()
	if dec.Decode(&g) == nil && reflect.DeepEqual(g, want) {
		return true
	}
	list, ok := want.([]any)
	return ok && got == pgArray(list)
}

func isTime(s string) bool { return strings.Count(s, ":") == 2 }

// sameTime compares times that have a fraction or a zone in one form or another;
// ODBC leaves the zone, which is UTC, out.
func sameTime(a, b string) bool {
	plain := func(s string) string {
		s = strings.TrimSuffix(strings.TrimSuffix(s, ":00"), "+00")
		if head, fraction, ok := strings.Cut(s, "."); ok {
			s = head + "." + strings.TrimRight(fraction, "0")
		}
		return s
	}
	return plain(a) == plain(b) || strings.TrimSuffix(a, "+00") == strings.TrimSuffix(b, "+00:00")
}

func pgArray(list []any) string {
	parts := make([]string, len(list))
	for i, v := range list {
		switch v := v.(type) {
		case nil:
			parts[i] = "NULL"
		case string:
			parts[i] = v
			if v == "" || v == "null" || strings.ContainsAny(v, `" `) {
				parts[i] = `"` + strings.ReplaceAll(v, `"`, `\"`) + `"`
			}
		default:
			parts[i] = fmt.Sprint(v)
		}
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// TestSQLAddress has serve go on without the default address, and not without
// one that was asked for.
func TestSQLAddress(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if _, stderr, exit := run(t, "serve", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--sql", taken.Addr().String()); exit == 0 || !strings.Contains(stderr, "--sql") {
		t.Errorf("address taken: exit %d, %s", exit, stderr)
	}
	if _, stderr, exit := run(t, "serve", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--sql", "0.0.0.0:0"); exit != 2 || !strings.Contains(stderr, "password") {
		t.Errorf("other machines without a password: exit %d, %s", exit, stderr)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "arbalest.yaml"), []byte("sql: {listen: \"off\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	serve(t, dir).stop()
	if ln, err := net.Listen("tcp", "127.0.0.1:5439"); err == nil { // else another has it already
		defer ln.Close()
	}
	s := serve(t, t.TempDir())
	s.stop()
	if !strings.Contains(s.log.String(), "address=127.0.0.1:5439") {
		t.Errorf("nothing is said of the address: %s", s.log)
	}
}
