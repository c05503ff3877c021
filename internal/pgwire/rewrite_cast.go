package pgwire

import (
	"slices"

	"arbalest/internal/sqltext"
)

// castTypes are what types are called in DuckDB that only PostgreSQL has.
func castTypes() map[string]string {
	return map[string]string{
		"oid": "BIGINT", "xid": "BIGINT", "cid": "BIGINT", "name": "VARCHAR", "cstring": "VARCHAR", "pg_node_tree": "VARCHAR",
		"aclitem": "VARCHAR", "bpchar": "VARCHAR", "character_data": "VARCHAR", "sql_identifier": "VARCHAR", "yes_or_no": "VARCHAR",
		"citext": "VARCHAR", "cardinal_number": "INTEGER", "time_stamp": "TIMESTAMPTZ", "int2vector": "BIGINT[]", "oidvector": "BIGINT[]",
		"jsonb": "JSON",
	}
}

// registered are the types whose values are names to read and numbers to
// compare.
func registered(name string) bool {
	switch name {
	case "regclass", "regtype", "regproc", "regprocedure", "regnamespace", "regrole":
		return true
	}
	return false
}

// typeAt returns the name of the type at an offset from here, and how many
// tokens that is.
func (w *rewriting) typeAt(offset int) (name string, n int) {
	if schema := w.peek(offset).name(); (schema == "pg_catalog" || schema == "information_schema") && w.peek(offset+1).is(".") {
		return w.peek(offset + 2).name(), 3
	}
	return w.peek(offset).name(), 1
}

// castTo rewrites ::type.
func (w *rewriting) castTo() bool {
	name, n := w.typeAt(1)
	if registered(name) {
		w.at += 1 + n
		start := w.operand()
		w.wrap(start, w.castFunction(name, w.out[start:]))
		return true
	}
	duck, ok := w.catalog.casts[name]
	if w.peek(n).kind == sqltext.Quoted && name == "char" {
		duck, ok = "VARCHAR", true
	}
	if !ok && n == 1 {
		return false
	}
	w.at += 1 + n
	w.emit(token{sqltext.Symbol, "::", false})
	if ok {
		w.sql(duck)
	} else {
		w.emit(token{sqltext.Word, name, true})
	}
	return true
}

// castAs rewrites the type in CAST(… AS type).
func (w *rewriting) castAs() bool {
	name, n := w.typeAt(1)
	if len(w.open) == 0 || !w.peek(n+1).is(")") {
		return false
	}
	open := w.open[len(w.open)-1]
	if open == 0 || !w.out[open-1].is("cast") && !w.out[open-1].is("try_cast") {
		return false
	}
	duck, ok := w.catalog.casts[name]
	switch {
	case registered(name):
		w.out[open-1] = token{sqltext.Word, w.castFunction(name, w.out[open+1:]), true}
	case ok:
		w.emit(token{sqltext.Word, "AS", true})
		w.sql(duck)
	case n == 3:
		w.emit(token{sqltext.Word, "AS", true}, token{sqltext.Word, name, true})
	default:
		return false
	}
	w.at += 1 + n
	return true
}

// castFunction returns the macro that a cast of an operand is: a string becomes
// a number, and a number a name.
func (w *rewriting) castFunction(name string, operand []token) string {
	if len(operand) == 1 && (operand[0].kind == sqltext.Text || w.peek(-3).kind == sqltext.Parameter || w.peek(-5).kind == sqltext.Parameter) {
		return "pg.main.to_" + name
	}
	return "pg.main." + name + "_name"
}

// farthest is how many tokens an expression before a cast may have.
const farthest = 10_000

// operand returns where in out the expression begins that a cast is behind: a
// value, a name with its qualifiers, or what is in parentheses, with the
// function that it is called of. It does not look farther back than farthest.
func (w *rewriting) operand() int {
	i := len(w.out) - 1
	if i < 0 {
		return 0
	}
	if w.out[i].is(")") {
		end := max(0, i-farthest)
		for depth := 0; i > end; i-- {
			if w.out[i].is(")") {
				depth++
			} else if w.out[i].is("(") {
				if depth--; depth == 0 {
					break
				}
			}
		}
		if i > 0 && (w.out[i-1].kind == sqltext.Word || w.out[i-1].kind == sqltext.Quoted) && !keyword(w.out[i-1]) {
			i--
		}
	}
	for n := 0; i > 1 && n < farthest && w.out[i-1].is("."); n++ {
		i -= 2
	}
	return i
}

// keyword says whether a word before a parenthesis is not a function's name.
func keyword(t token) bool {
	for _, k := range []string{"select", "in", "and", "or", "not", "where", "on", "then", "else", "when", "case", "any", "all", "as", "from", "join", "values", "by", "having", "like", "ilike", "union", "except", "intersect", "between", "is", "limit", "offset", "using", "distinct"} {
		if t.is(k) {
			return true
		}
	}
	return false
}

// wrap makes what is in out from start on a function's argument.
func (w *rewriting) wrap(start int, function string) {
	w.out = slices.Insert(w.out, start, token{sqltext.Word, function, true}, token{sqltext.Symbol, "(", false})
	w.out = append(w.out, token{sqltext.Symbol, ")", false})
}
