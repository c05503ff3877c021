package redshifttest

import (
	"testing"
)

// FuzzCopy parses COPY: it never panics, and what it takes for a COPY is said
// with words that it knows.
func FuzzCopy(f *testing.F) {
	for _, s := range []string{
		"COPY t FROM 's3://b/k' IAM_ROLE default JSON 'auto'", `COPY "s"."t" (a, "B") FROM 's3://b/m' IAM_ROLE 'arn:aws:iam::1:role/x' REGION 'r' MANIFEST FORMAT AS JSON 's3://b/p' ZSTD TIMEFORMAT 'auto' MAXERROR 0 COMPUPDATE OFF STATUPDATE OFF`,
		"COPY t FROM 's3://b/k' WITH CREDENTIALS AS 'aws_iam_role=x' JSON AS 'auto' GZIP NOLOAD", "COPY t FROM 's3://b/k' ACCESS_KEY_ID 'a' SECRET_ACCESS_KEY 'b'", "COPY", "COPY t (", `COPY t FROM '\`,
	} {
		f.Add(s)
	}
	n := &names{}
	f.Fuzz(func(t *testing.T, sql string) {
		statements, err := tokenize(sql)
		if err != nil {
			return
		}
		for _, tokens := range statements {
			st := statement(significant(tokens))
			if !st.is(0, "copy") {
				continue
			}
			c, err := parseCopy(st, n.fold)
			if err == nil && (c.table == "" || c.json == "" || len(c.from) < 5 || c.maxErrors < 0 || c.maxErrors > 100000) {
				t.Fatalf("%q is %+v", sql, c)
			}
		}
	})
}

// FuzzRewrite rewrites any statement: tokens make up the statement, and nothing
// panics.
func FuzzRewrite(f *testing.F) {
	for _, s := range []string{
		"CREATE TABLE t (a VARCHAR(MAX) ENCODE zstd, b SUPER) DISTSTYLE KEY DISTKEY (a) SORTKEY AUTO", "ALTER TABLE t ADD COLUMN a INT", "LOCK t", "SELECT 'a\\'b', \"C\" /* x */ -- y", "SELECT pg_last_copy_id()::super",
		"CREATE TABLE t (a", "CREATE TABLE t (PRIMARY KEY", "BEGIN ISOLATION LEVEL", "CREATE VIEW v AS SELECT 1 WITH NO SCHEMA BINDING", "ALTER TABLE", "CAST(x AS char varying (", "a::varchar(",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		statements, err := tokenize(sql)
		if err != nil {
			return
		}
		for _, tokens := range statements {
			s := &session{server: &Server{}}
			_, _ = s.rewrite(tokens, true)
		}
	})
}

// FuzzPaths parses JSONPaths files and follows what it finds.
func FuzzPaths(f *testing.F) {
	f.Add(`{"jsonpaths":["$['a']['b'][0]","$"]}`, `{"a":{"b":[1]}}`)
	f.Add(`{"jsonpaths":["$.a.b[1].c"]}`, `[1]`)
	f.Add(`{"jsonpaths":["$['a'"]}`, `{`)
	f.Fuzz(func(t *testing.T, file, data string) {
		p, _, err := parsePaths([]byte(file))
		if err != nil {
			return
		}
		documents([]byte(data), func(d document) bool {
			r := root{raw: d.raw}
			for _, path := range p {
				if d.ok {
					_, _ = r.follow(path)
				}
			}
			return true
		})
	})
}
