package model

import (
	"slices"
	"strings"

	"arbalest/internal/sqltext"
)

// findRefs finds the tables that a SELECT reads, by its words: for dialects that
// we have no parser of. Names of WITH are told from tables; functions that give
// rows are left out.
func findRefs(sql string) []Ref {
	f := &finder{tokens: tokenize(sql), levels: []level{{}}}
	for f.at < len(f.tokens) {
		f.step()
	}
	return f.refs
}

// A finder goes through the tokens once.
type finder struct {
	tokens []token
	at     int
	levels []level // of parentheses
	expect bool    // a table comes next
	refs   []Ref
}

// A level is what is between two parentheses.
type level struct {
	with      bool     // in a WITH, whose names come
	recursive bool     // they know themselves
	from      bool     // in a FROM, where a comma brings another table
	call      string   // the function whose arguments these are
	defines   string   // the name of WITH that this is the query of
	names     []string // of WITH, that are known here
}

func (f *finder) top() *level { return &f.levels[len(f.levels)-1] }

func (f *finder) peek(n int) token {
	if i := f.at + n; i >= 0 && i < len(f.tokens) {
		return f.tokens[i]
	}
	return token{kind: sqltext.Symbol}
}

// ends are the words after which no table is expected.
var ends = strings.Fields("select where group order having limit union except intersect window qualify offset fetch")

// takesFrom are the functions with a FROM among their arguments.
var takesFrom = strings.Fields("extract substring trim overlay")

func (f *finder) step() {
	t, l := f.peek(0), f.top()
	w := t.fold()
	f.at++
	switch {
	case w == "(":
		f.open()
	case w == ")":
		f.close()
	case w == ",":
		f.expect = l.from
	case w == "with":
		l.with = true
	case w == "recursive" && l.with:
		l.recursive = true
	case w == "from":
		distinct := f.peek(-2).fold() == "distinct" && slices.Contains([]string{"is", "not"}, f.peek(-3).fold())
		if !distinct && !slices.Contains(takesFrom, l.call) {
			l.from, f.expect = true, true
		}
	case w == "join":
		f.expect = true
	case slices.Contains(ends, w):
		l.from, l.with, f.expect = false, false, false
	case f.expect && (w == "lateral" || w == "only"):
	case f.expect && t.isName():
		f.table(t)
	case l.with && t.isName() && w != "as" && w != "not" && w != "materialized":
		f.named(t)
	}
}

// open begins a level: a subquery, arguments, or tables in parentheses.
func (f *finder) open() {
	next := level{}
	if f.expect {
		next.from = true // until a SELECT comes
	} else if before := f.peek(-2); before.kind == sqltext.Word {
		next.call = before.fold()
	}
	f.levels = append(f.levels, next)
}

func (f *finder) close() {
	f.expect = false
	if len(f.levels) == 1 {
		return
	}
	defines := f.top().defines
	f.levels = f.levels[:len(f.levels)-1]
	if defines != "" {
		f.top().names = append(f.top().names, defines)
	}
}

// named takes a name of WITH up to the parenthesis of its query.
func (f *finder) named(t token) {
	i := f.at
	if f.peek(0).text == "(" { // its columns
		for i < len(f.tokens) && f.tokens[i].text != ")" {
			i++
		}
		i++
	}
	for i < len(f.tokens) && slices.Contains([]string{"as", "not", "materialized"}, f.tokens[i].fold()) {
		i++
	}
	if i >= len(f.tokens) || f.tokens[i].text != "(" {
		return
	}
	if f.top().recursive {
		f.top().names = append(f.top().names, t.name())
	}
	f.levels = append(f.levels, level{defines: t.name()})
	f.at = i + 1
}

// table takes the name of a table, which may be qualified.
func (f *finder) table(t token) {
	name, parts := t.name(), 1
	for f.peek(0).text == "." && f.peek(1).isName() {
		name += "." + f.peek(1).name()
		f.at += 2
		parts++
	}
	f.expect = false
	if f.peek(0).text == "(" {
		return // a function
	}
	if parts == 1 {
		for _, l := range f.levels {
			if slices.Contains(l.names, name) {
				return
			}
		}
	}
	if parts == 3 { // of a database
		_, name, _ = strings.Cut(name, ".")
	}
	name = withoutDefault(name)
	if !slices.ContainsFunc(f.refs, func(r Ref) bool { return r.Name == name }) {
		f.refs = append(f.refs, Ref{name, t.line})
	}
}

// lineOf returns the line, from 0, on which a name is first used.
func lineOf(tokens []token, name string) int {
	last := name[strings.LastIndexByte(name, '.')+1:]
	for _, t := range tokens {
		if t.isName() && t.name() == last {
			return t.line
		}
	}
	return 0
}
