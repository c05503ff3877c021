package model

import (
	"strings"
	"testing"
)

// selects are SELECTs with the tables that they read.
var selects = []struct{ sql, want string }{
	{"SELECT 1", ""},
	{"SELECT * FROM a", "a"},
	{"SELECT * FROM public.a JOIN raw.b USING (id), c", "a raw.b c"},
	{`SELECT * FROM "A b" x, "c""d" AS y`, `a b c"d`},
	{"SELECT * FROM a WHERE x IN (SELECT y FROM b) AND EXISTS (SELECT 1 FROM c WHERE c.z = a.z)", "a b c"},
	{"SELECT extract(hour FROM t), trim(both ' ' from s), substring(s from 2) FROM a", "a"},
	{"SELECT a.x IS DISTINCT FROM b.x, a.y IS NOT DISTINCT FROM q FROM a LEFT JOIN b ON a.id = b.id", "a b"},
	{"WITH x AS (SELECT * FROM a), y (n, m) AS (SELECT n, m FROM x) SELECT * FROM y JOIN b ON true", "a b"},
	{"WITH users AS (SELECT * FROM users WHERE n > 1) SELECT * FROM users", "users"},
	{"WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t WHERE n < 9) SELECT * FROM t, a", "a"},
	{"SELECT * FROM (a JOIN b ON a.id = b.id) LEFT JOIN (SELECT * FROM c) d ON true", "a b c"},
	{"SELECT * FROM generate_series(1, 3) g, a", "a"},
	{"SELECT 'FROM x', $$ FROM y $$, E'it\\'s FROM z' -- FROM w\nFROM /* FROM /* v */ u */ a", "a"},
	{"SELECT n FROM a UNION ALL SELECT n FROM b ORDER BY 1, 2", "a b"},
	{"SELECT max(x), min(y) FROM a GROUP BY u, v HAVING count(*) > 1", "a"},
	{"SELECT * FROM a, LATERAL (SELECT * FROM b WHERE b.id = a.id) l", "a b"},
	{"SELECT (SELECT count(*) FROM b), c FROM a", "b a"},
	{"SELECT * FROM a JOIN b ON a.x = b.x AND a.y IN (1, 2), c WHERE a.z > 0", "a b c"},
}

func TestFindRefs(t *testing.T) {
	for _, s := range selects {
		var got []string
		for _, r := range findRefs(s.sql) {
			got = append(got, r.Name)
		}
		if strings.Join(got, " ") != s.want {
			t.Errorf("%s\n got %q\nwant %q", s.sql, strings.Join(got, " "), s.want)
		}
	}
}

func FuzzFindRefs(f *testing.F) {
	for _, s := range selects {
		f.Add(s.sql)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		lines := strings.Count(sql, "\n")
		for _, r := range findRefs(sql) {
			if r.Line < 0 || r.Line > lines {
				t.Errorf("%q: line %d of %d", sql, r.Line, lines)
			}
		}
	})
}
