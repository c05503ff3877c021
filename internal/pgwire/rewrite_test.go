package pgwire

import (
	"strings"
	"testing"
)

func testRewriter() rewriter {
	s := newSettings(0)
	return rewriter{catalog: newCatalog(postgresVersion), setting: s.get, pid: 7}
}

func TestRewrite(t *testing.T) {
	r := testRewriter()
	for _, test := range [][2]string{
		{"SELECT 1 -- as it is\n", "SELECT 1 -- as it is\n"},
		{"SELECT x'ab', .5, a->>'b', 'pg_class', \"pg_catalog\" FROM t", "SELECT x'ab', .5, a->>'b', 'pg_class', \"pg_catalog\" FROM t"},
		{"SELECT a ~ 'b' FROM t", "SELECT a ~ 'b' FROM t"},
		{"select version()", "select pg.main.version () AS version"},
		{"SELECT pg_catalog.count(*) FROM pg_catalog.pg_class", "SELECT count (*) FROM pg.main.pg_class"},
		{"SELECT count(*) FROM pg_class c, pg_type AS pg_type", "SELECT count(*) FROM pg.main.pg_class c, pg.main.pg_type AS pg_type"},
		{"SELECT a FROM public.t", "SELECT a FROM main .t"},
		{"SELECT a FROM arbalest.public.t, arbalest.books, arbalest.arbalest.books", "SELECT a FROM main .t, arbalest.books, arbalest .books"},
		{"SELECT * FROM information_schema.tables", "SELECT * FROM pg.info.tables"},
		{"SELECT c.relname OPERATOR(pg_catalog.~) '^(t)$' COLLATE pg_catalog.default FROM pg_catalog.pg_class c", "SELECT c.relname ~ '(?s).*(?:^(t)$).*' FROM pg.main.pg_class c"},
		{"SELECT 't'::regclass, a.b::pg_catalog.regtype::text, f(x)::regclass", "SELECT pg.main.to_regclass( 't') , pg.main.regtype_name( a.b) ::text, pg.main.regclass_name( f(x))"},
		{"SELECT CAST('t' AS regclass), CAST(a AS name)", "SELECT pg.main.to_regclass('t' ), CAST(a AS VARCHAR )"},
		{"SELECT a::\"char\", b::oid", "SELECT a :: VARCHAR , b :: BIGINT"},
		{"SELECT current_setting('server_version_num'), pg_backend_pid(), current_user", "SELECT '130000' , 7 , 'arbalest'"},
		{"SELECT '{1,\"a b\",NULL}'::text[]", "SELECT ['1', 'a b', NULL] ::text[]"},
		{"SELECT format('%s.%I', a, b), format('{}', a)", "SELECT printf ( '%s.%s' , a, b), format('{}', a)"},
		{"SELECT to_timestamp(f(a, ')'), 'YYYY-MM-DD HH24:MI:SS.US'), to_timestamp(1.5), to_date(a, 'DD.MM.YYYY') FROM t", "SELECT strptime (f(a, ')'), '%Y-%m-%d %H:%M:%S.%f') , to_timestamp(1.5), strptime (a, '%d.%m.%Y') ::DATE FROM t"},
		{"SELECT to_char(a, 'HH24 \"Uhr\"'), to_char(", "SELECT strftime (a, '%H Uhr') , to_char("},
		{"SELECT a ~* 'B''c'", "SELECT a ~ '(?is).*(?:B''c).*'"},
	} {
		got, _ := r.rewrite(tokenize(test[0]))
		if got != test[1] {
			t.Errorf("%s\n got %s\nwant %s", test[0], got, test[1])
		}
	}
}

func TestValues(t *testing.T) {
	for in, want := range map[string]string{
		"1 year 2 months -3 days 04:05:06.7": "1 year 2 mons -3 days +04:05:06.7", "00:00:00": "00:00:00", "2 years": "2 years", "-1 months": "-1 mons", "1 day -00:00:01": "1 day -00:00:01",
	} {
		if got := intervalText(in); got != want {
			t.Errorf("%s is %s, want %s", in, got, want)
		}
	}
	for _, s := range []string{"{}", "{1,2}", `{a,NULL,"","b\"\\c","null"," x "}`} {
		values, err := splitArray(s)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, v := range values {
			if v == nil {
				out = append(out, "NULL")
			} else {
				out = append(out, arrayElement(*v))
			}
		}
		if got := "{" + strings.Join(out, ",") + "}"; got != s {
			t.Errorf("%s came back as %s", s, got)
		}
	}
	for _, s := range []string{"", "{", "1", "{{1}}", `{"a}`, "{1,}", "}{"} {
		if _, err := splitArray(s); err == nil {
			t.Errorf("%s was read", s)
		}
	}
}

// FuzzRewrite holds that tokens are all of the SQL, that nothing panics, and that
// SQL without names of the catalog stays as it is.
func FuzzRewrite(f *testing.F) {
	for _, s := range []string{"SELECT 1", "SELECT $1::regclass", "E'\\'", "$a$b$a$", "x = ANY(y.z)", "CAST(a AS regclass)", "::", "OPERATOR(pg_catalog.", "COLLATE pg_catalog", "SET x TO 'a'", "/* /* */", "'{1,2}'::int[]", "~* 'x'", "pg_catalog.", "arbalest.public.pg_catalog.", "current_setting('"} {
		f.Add(s)
	}
	r := testRewriter()
	r.cast = func(n int) string { return "CAST($1 AS VARCHAR)" }
	f.Fuzz(func(t *testing.T, sql string) {
		tokens := tokenize(sql)
		if join(tokens) != sql {
			t.Fatalf("tokens are %v", tokens)
		}
		out, _ := r.rewrite(tokens)
		if !strings.ContainsAny(sql, "$~:{") && !containsFold(sql, "pg_", "arbalest", "public", "information_schema", "current_", "session_user", "version", "set_config", "txid", "has_", "quote_", "array_", "description", "format_type", "operator", "collate", "cast", "json_build", "to_reg", "_name") && out != sql {
			t.Fatalf("%q became %q", sql, out)
		}
		for _, statement := range split(sql) {
			solid(statement)
		}
		_, _ = copyFormOf(solid(tokens))
		_, _ = countOf(solid(tokens))
		_, _ = splitArray(sql)
		_ = intervalText(sql)
		_ = parameterOf(solid(tokens))
	})
}

func containsFold(s string, parts ...string) bool {
	for _, p := range parts {
		if strings.Contains(strings.ToLower(s), p) {
			return true
		}
	}
	return false
}
