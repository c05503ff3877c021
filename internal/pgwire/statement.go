package pgwire

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"arbalest/internal/duckdb"
	"arbalest/internal/sqltext"
)

// A statement is one that was understood.
type statement struct {
	verb    string  // its first word, "" if there is none
	all     []token // of it, blanks too
	tokens  []token // without blanks
	sql     string  // for DuckDB; "" if it is none of DuckDB's
	oids    []uint32
	columns []column   // of its result; nil if there is none, or it is not known yet
	inner   *statement // what a cursor or COPY is of
	catalog bool       // it asks the catalog
	kept    int        // bytes, while it is prepared
}

// A column is one of a result.
type column struct {
	name string
	duck string // DuckDB's type
	wire columnType
}

func textColumn(name string) column {
	return column{name, "VARCHAR", columnType{25, 0, -1, -1}}
}

// understand reads a statement. oids are the types that the client says its
// parameters have, 0 if it does not. Parameters are found, but for the types of
// columns see columnsOf.
func (c *session) understand(ctx context.Context, tokens []token, oids []uint32) (*statement, error) {
	st := &statement{all: tokens, tokens: solid(tokens)}
	i := 0
	for i < len(st.tokens) && st.tokens[i].is("(") {
		i++
	}
	switch {
	case len(st.tokens) == 0:
		return st, nil
	case i == len(st.tokens):
		i = 0 // DuckDB says what is wrong
	}
	if st.verb = st.tokens[i].name(); st.verb == "" {
		st.verb = st.tokens[i].text
	}
	switch st.verb {
	case "begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release", "set", "reset", "discard", "deallocate", "close", "move", "unlisten":
	case "insert", "update", "delete", "merge", "create", "drop", "alter", "truncate", "grant", "revoke", "comment", "vacuum", "reindex", "refresh", "call":
		return nil, fail("25006", "cannot execute %s in a read-only transaction: tables are derived from events", strings.ToUpper(st.verb))
	case "prepare", "execute", "listen", "notify", "lock", "do":
		return nil, fail("0A000", "%s is not supported", strings.ToUpper(st.verb))
	case "show":
		if showsTables(st.tokens) {
			return st, c.ask(ctx, st, oids)
		}
		return st, c.show(st)
	case "fetch":
		cur, err := c.cursorOf(st)
		if err != nil {
			return nil, err
		}
		st.columns = cur.columns
	case "declare", "copy":
		if c.nested {
			return nil, fail("42601", "%s cannot be within DECLARE or COPY: write a SELECT there", strings.ToUpper(st.verb))
		}
		c.nested = true
		defer func() { c.nested = false }()
		if st.verb == "copy" {
			return st, c.understandCopy(ctx, st, oids)
		}
		return st, c.understandDeclare(ctx, st, oids)
	default:
		return st, c.ask(ctx, st, oids)
	}
	return st, nil
}

// showsTables says whether a SHOW is DuckDB's.
func showsTables(tokens []token) bool {
	last := tokens[len(tokens)-1]
	return len(tokens) > 1 && (last.is("tables") || last.is("databases") || last.is("schemas"))
}

// ask readies a statement for DuckDB: rewritten, with its parameters cast to
// their types.
func (c *session) ask(ctx context.Context, st *statement, oids []uint32) error {
	n, err := parametersOf(st.tokens)
	if err != nil {
		return err
	}
	st.oids = make([]uint32, max(n, len(oids)))
	copy(st.oids, oids)
	r := rewriter{catalog: c.server.catalog, setting: c.settings.get, pid: c.pid}
	if err := c.typeParameters(ctx, st, n, r); err != nil {
		return err
	}
	if n > 0 {
		r.cast = func(i int) string { return c.server.types.castArgument(i, st.oids[i-1]) }
	}
	st.sql, st.catalog = r.rewrite(st.all)
	st.all, st.tokens = nil, nil // many times as large, and all is in sql now
	return nil
}

// parametersOf returns how many parameters a statement has.
func parametersOf(tokens []token) (n int, err error) {
	for _, t := range tokens {
		if t.kind == sqltext.Parameter {
			i, err := strconv.Atoi(t.text[1:])
			if err != nil || i < 1 || i > 65535 {
				return 0, fail("42P02", "there is no parameter %s", t.text)
			}
			n = max(n, i)
		}
	}
	return n, nil
}

// typeParameters finds the types of parameters of which the client does not say
// them: from a cast, else DuckDB says what they are compared with.
func (c *session) typeParameters(ctx context.Context, st *statement, n int, r rewriter) error {
	types, lists := c.server.types, map[int]bool{}
	for i, t := range st.tokens {
		if t.kind != sqltext.Parameter {
			continue
		}
		p, _ := strconv.Atoi(t.text[1:])
		if st.oids[p-1] == 0 {
			st.oids[p-1] = castBehind(types, st.tokens, i)
		}
		if i > 1 && st.tokens[i-1].is("(") && (st.tokens[i-2].is("any") || st.tokens[i-2].is("all") || st.tokens[i-2].is("some")) {
			lists[p] = true
		}
	}
	if !slices.Contains(st.oids[:n], 0) {
		return nil
	}
	r.cast = func(i int) string {
		switch p := "$" + strconv.Itoa(i); {
		case st.oids[i-1] != 0:
			return types.castArgument(i, st.oids[i-1])
		case lists[i]:
			return "[" + p + "]"
		default:
			return p
		}
	}
	sql, _ := r.rewrite(st.all)
	found, err := c.server.opts.Warehouse.Parameters(ctx, sql)
	if err != nil {
		return err
	}
	if len(found) != n {
		return fail("42P18", "the statement has %d parameters, the last of which is $%d: use all", len(found), n)
	}
	for i, duck := range found {
		if st.oids[i] != 0 {
			continue
		}
		st.oids[i] = 25
		if duck != "" {
			st.oids[i] = types.of(duck).oid
		}
		if lists[i+1] {
			st.oids[i] = types.byOID[st.oids[i]].array
		}
	}
	return nil
}

// columnsOf finds the columns of a statement's result.
func (c *session) columnsOf(ctx context.Context, st *statement) error {
	if st.sql == "" || st.columns != nil {
		return nil
	}
	columns, err := c.server.opts.Warehouse.Columns(ctx, st.sql)
	if err != nil {
		return err
	}
	st.columns = c.wireColumns(st, columns)
	return nil
}

// wireColumns returns columns as they go over the wire. In the catalog UINTEGERs
// are oids.
func (c *session) wireColumns(st *statement, columns []duckdb.Column) []column {
	out := make([]column, len(columns))
	for i, d := range columns {
		out[i] = column{d.Name, d.Type, c.server.types.of(d.Type)}
		if st.catalog && d.Type == "UINTEGER" {
			out[i].wire = columnType{26, 0, 4, -1}
		}
	}
	return out
}

// castBehind returns the type that a token is cast to at once, which is a
// parameter's, else 0.
func castBehind(s *typeSet, tokens []token, i int) uint32 {
	at := func(i int) token {
		if i >= 0 && i < len(tokens) {
			return tokens[i]
		}
		return token{}
	}
	switch {
	case at(i + 1).is("::"), at(i+1).is("as") && at(i-1).is("(") && at(i-2).is("cast"):
		if at(i+2).name() == "pg_catalog" && at(i+3).is(".") {
			i += 2
		}
		return s.named(tokens[min(i+2, len(tokens)):])
	}
	return 0
}
