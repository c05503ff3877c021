package pgwire

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"arbalest/internal/sqltext"
)

// A rewriter makes DuckDB's SQL of what clients ask PostgreSQL's catalog. SQL
// that names nothing of the catalog stays as it is.
type rewriter struct {
	catalog *catalog
	setting func(name string) (string, bool) // of the session
	pid     uint32
	cast    func(n int) string // of parameter n
}

// A rewriting is a rewriter at work on one statement.
type rewriting struct {
	rewriter
	in       []token // not blank
	out      []token
	at       int
	open     []int // where in out each open parenthesis is
	catalogs bool  // it asks the catalog
	gap      bool  // a blank is due
}

// rewrite returns a statement for DuckDB, and whether it asks the catalog.
func (r rewriter) rewrite(tokens []token) (sql string, catalogs bool) {
	w := rewriting{rewriter: r, in: solid(tokens)}
	for _, t := range w.in {
		name := t.name()
		w.catalogs = w.catalogs || r.catalog.views[name] || name == "pg_catalog" || name == "information_schema"
	}
	for w.at < len(w.in) {
		w.next()
	}
	if name := w.header(); name != "" {
		w.sql("AS")
		w.sql(name)
	}
	return w.text(tokens), w.catalogs
}

// text returns the statement: as it was, blanks and all, if nothing of it
// changed.
func (w *rewriting) text(tokens []token) string {
	same := len(w.in) == len(w.out)
	for i := 0; same && i < len(w.in); i++ {
		same = w.in[i] == w.out[i]
	}
	if same {
		return join(tokens)
	}
	var b strings.Builder
	for i, t := range w.out {
		if i > 0 && t.spaced {
			b.WriteByte(' ')
		}
		b.WriteString(t.text)
	}
	return b.String()
}

// next rewrites what is next, or lets it stay.
func (w *rewriting) next() {
	gap := w.gap
	w.gap = true
	if w.step() {
		w.gap = true
		return
	}
	w.gap = gap
	w.keep()
}

// keep lets the next token stay.
func (w *rewriting) keep() {
	if w.at < len(w.in) {
		w.emit(w.in[w.at])
		w.at++
	}
}

func (w *rewriting) emit(tokens ...token) {
	for _, t := range tokens {
		switch t.text {
		case "(":
			w.open = append(w.open, len(w.out))
		case ")":
			if len(w.open) > 0 {
				w.open = w.open[:len(w.open)-1]
			}
		}
		t.spaced, w.gap = t.spaced || w.gap, false
		w.out = append(w.out, t)
	}
}

// sql emits text that is not looked at again.
func (w *rewriting) sql(text string) { w.out = append(w.out, token{sqltext.Word, text, true}) }

func (w *rewriting) peek(n int) token {
	if i := w.at + n; i >= 0 && i < len(w.in) {
		return w.in[i]
	}
	return token{}
}

// step rewrites what is next, and returns false if it can stay.
func (w *rewriting) step() bool {
	t := w.peek(0)
	switch t.kind {
	case sqltext.Parameter:
		if n, err := strconv.Atoi(t.text[1:]); err == nil && w.rewriter.cast != nil {
			w.sql(w.rewriter.cast(n))
			w.at++
			return true
		}
	case sqltext.Text:
		return w.array() || w.pattern()
	case sqltext.Symbol:
		return t.is("::") && w.castTo() || w.ignoreCase() || w.anyOf()
	case sqltext.Word, sqltext.Quoted:
		return w.word(t)
	}
	return false
}

func (w *rewriting) word(t token) bool {
	switch {
	case t.is("operator") && w.peek(1).is("(") && w.peek(2).name() == "pg_catalog" && w.peek(3).is("."):
		w.at += 4
		for !w.peek(0).is(")") && w.at < len(w.in) {
			w.next()
		}
		w.at++
		return true
	case t.is("collate") && w.peek(1).name() == "pg_catalog" && w.peek(2).is("."):
		w.at += 4
		return true
	case t.is("collate") && w.peek(1).name() == "default":
		w.at += 2
		return true
	case t.is("as"):
		return w.castAs()
	}
	if w.peek(-1).is(".") || w.peek(-1).is("as") {
		return false
	}
	return w.qualified(t.name()) || w.called(t)
}

// qualified rewrites what begins with the database's or a schema's name.
func (w *rewriting) qualified(name string) bool {
	if !w.peek(1).is(".") {
		return false
	}
	second := w.peek(2).name()
	switch name {
	case "arbalest":
		switch second {
		case "public", "main", "arbalest", "pg_catalog", "information_schema":
			if w.peek(3).is(".") {
				w.at += 2
				if !w.qualified(second) {
					w.keep()
				}
				return true
			}
		}
	case "public":
		w.at++
		w.sql("main")
		return true
	case "pg_catalog":
		w.at += 2
		if !w.called(w.peek(0)) && !w.view(second) {
			w.keep()
		}
		return true
	case "information_schema":
		if w.catalog.info[second] {
			w.at += 3
			w.sql("pg.info." + second)
			return true
		}
		if w.catalog.macros[second] && w.peek(3).is("(") {
			w.at += 3
			w.sql("pg.main." + second)
			return true
		}
	}
	return false
}

// called rewrites a function's call, a key word that is a value, and a view.
func (w *rewriting) called(t token) bool {
	name := t.name()
	if !w.peek(1).is("(") {
		if t.kind == sqltext.Word && !w.peek(1).is(".") {
			switch name {
			case "current_user", "session_user", "current_role", "current_catalog":
				w.at++
				w.sql("'arbalest'")
				return true
			}
		}
		before := w.peek(-1)
		return (before.is("from") || before.is("join") || before.is(",") || before.is("(") || w.peek(1).is(".")) && w.view(name)
	}
	switch name {
	case "current_setting":
		if arg := w.peek(2); arg.kind == sqltext.Text {
			end := w.at + 3
			for end < len(w.in) && !w.in[end].is(")") {
				end++
			}
			value, ok := w.setting(strings.ToLower(unquote(arg.text)))
			w.at = end + 1
			if w.sql(quote(value)); !ok {
				w.out[len(w.out)-1].text = "NULL"
			}
			return true
		}
	case "pg_backend_pid":
		if w.peek(2).is(")") {
			w.at += 3
			w.sql(strconv.FormatUint(uint64(w.pid), 10))
			return true
		}
	}
	switch {
	case name == "json_build_object", name == "json_build_array":
		w.at++
		w.sql(strings.Replace(name, "build_", "", 1))
		return true
	case name == "generate_series" && w.catalogs && (w.peek(-1).is(",") || w.peek(-1).is("select")):
		w.at++
		w.sql("pg.main._pg_series") // rows, not a list
		return true
	case name == "format", name == "to_char", name == "to_date", name == "to_timestamp":
		return w.formatted(name)
	case w.catalog.macros[name]:
		w.at++
		w.sql("pg.main." + name)
		return true
	}
	return false
}

// view rewrites the name of one of the catalog's views.
func (w *rewriting) view(name string) bool {
	if !w.catalog.views[name] {
		return false
	}
	w.at++
	w.sql("pg.main." + name)
	return true
}

// header returns the name that PostgreSQL gives the column of SELECT name(…),
// where DuckDB's would show how it was rewritten.
func (w *rewriting) header() string {
	n := len(w.in)
	if n < 2 || !w.in[0].is("select") || w.in[1].kind != sqltext.Word || len(w.out) > 1 && w.out[1] == w.in[1] {
		return ""
	}
	i := 1
	if w.in[1].is("pg_catalog") && n > 3 {
		i = 3
	}
	if i == n-1 || n > i+2 && w.in[i+1].is("(") && w.in[n-1].is(")") && n <= i+4 {
		return w.in[i].name()
	}
	return ""
}

// numbers matches an array of numbers.
var numbers = regexp.MustCompile(`^'\{[0-9, ]*\}'$`)

// array rewrites '{a,b}'::type[], and in the catalog '{0}'.
func (w *rewriting) array() bool {
	t := w.peek(0).text
	if !strings.HasPrefix(t, "'{") {
		return false
	}
	typed := false
	if w.peek(1).is("::") {
		i := 2
		for w.peek(i + 1).is(".") {
			i += 2
		}
		typed = w.peek(i + 1).is("[")
	}
	if !typed && !(w.catalogs && numbers.MatchString(t)) {
		return false
	}
	values, err := splitArray(unquote(t))
	if err != nil {
		return false
	}
	list := make([]string, len(values))
	for i, v := range values {
		switch {
		case v == nil:
			list[i] = "NULL"
		case typed:
			list[i] = quote(*v)
		default:
			list[i] = *v
		}
	}
	w.at++
	w.sql("[" + strings.Join(list, ", ") + "]")
	return true
}

// pattern lets ~ find within a text, as PostgreSQL does, where DuckDB's matches
// all of it. Only the catalog is asked so.
func (w *rewriting) pattern() bool {
	if before := w.lastOut(); !w.catalogs || !before.is("~") && !before.is("!~") {
		return false
	}
	w.sql(quote("(?s).*(?:" + unquote(w.peek(0).text) + ").*"))
	w.at++
	return true
}

// ignoreCase rewrites ~* and !~* before a string, which DuckDB does not have.
func (w *rewriting) ignoreCase() bool {
	operator, ok := strings.CutSuffix(w.peek(0).text, "*")
	if !ok || operator != "~" && operator != "!~" || w.peek(1).kind != sqltext.Text {
		return false
	}
	w.emit(token{sqltext.Symbol, operator, true})
	w.sql(quote("(?is).*(?:" + unquote(w.peek(1).text) + ").*"))
	w.at += 2
	return true
}

func (w *rewriting) lastOut() token {
	if len(w.out) == 0 {
		return token{}
	}
	return w.out[len(w.out)-1]
}

// anyOf rewrites x = ANY(y.list) in the catalog, since DuckDB does not join by
// what it makes of it.
func (w *rewriting) anyOf() bool {
	if !w.catalogs || !w.peek(0).is("=") || !w.peek(1).is("any") || !w.peek(2).is("(") || w.peek(3).name() == "" || len(w.out) == 0 {
		return false
	}
	list, n := w.peek(3).text, 4
	if w.peek(4).is(".") {
		list, n = list+"."+w.peek(5).text, 6
	}
	if !w.peek(n).is(")") {
		return false
	}
	start := w.operand()
	w.out = slices.Insert(w.out, start, token{sqltext.Word, "list_contains(" + list + ",", true})
	w.sql(")")
	w.at += n + 1
	return true
}
