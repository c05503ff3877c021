package duckdb

import (
	"context"
	"slices"
	"strings"
	"testing"
)

func TestTableNames(t *testing.T) {
	w, err := Open(t.Context(), "", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	db := w.Database().(interface {
		TableNames(ctx context.Context, query string) ([]string, error)
	})
	for _, c := range []struct{ sql, want string }{
		{"SELECT 1", ""},
		{"FROM a", "a"},
		{`SELECT * FROM main."A b" x JOIN raw.c AS y USING (id)`, "a b raw.c"},
		{"WITH a AS (SELECT * FROM a), b AS MATERIALIZED (SELECT * FROM a) SELECT * FROM b JOIN c USING (id)", "a c"},
		{"WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT * FROM t, u", "u"},
		{"SELECT (SELECT max(n) FROM b) FROM a WHERE x IN (SELECT x FROM c) UNION ALL SELECT n FROM d", "a b c d"},
		{"SELECT * FROM range(3), e", "e"},
		{"SELECT 'FROM x' -- FROM y\nFROM a", "a"},
	} {
		got, err := db.TableNames(t.Context(), c.sql)
		slices.Sort(got)
		if strings.Join(got, " ") != c.want || err != nil {
			t.Errorf("%s: %q, %v, want %q", c.sql, got, err, c.want)
		}
	}
	if _, err := db.TableNames(t.Context(), "SELECT FROM WHERE"); err == nil {
		t.Error("no error")
	}
}
