package pgwire

import (
	"context"
	"fmt"
	"strings"

	"arbalest/internal/sqltext"

	"github.com/jackc/pgx/v5/pgproto3"
)

// A copyForm is how COPY writes rows.
type copyForm struct {
	csv               bool
	header            bool
	delimiter, null   string
	quote, escape     string
	forceQuote        bool // of all
	hasNull, hasDelim bool
}

// understandCopy reads COPY (query) TO STDOUT and COPY table TO STDOUT.
func (c *session) understandCopy(ctx context.Context, st *statement, oids []uint32) error {
	depth, to := 0, -1
	for i, t := range st.all {
		switch {
		case t.is("("):
			depth++
		case t.is(")"):
			depth--
		case depth == 0 && t.is("to"):
			to = i
		case depth == 0 && t.is("from"):
			return fail("25006", "cannot execute COPY FROM in a read-only transaction: send events to POST /v1/events")
		}
		if to >= 0 {
			break
		}
	}
	if to < 0 {
		return fail("42601", "syntax error in COPY: write COPY (SELECT …) TO STDOUT")
	}
	rest := solid(st.all[to+1:])
	if len(rest) == 0 || !rest[0].is("stdout") {
		return fail("42501", "COPY writes to STDOUT only: files of this machine are out of reach; use \\copy in psql")
	}
	what := st.all[1:to]
	tokens := solid(what)
	if len(tokens) == 0 {
		return fail("42601", "syntax error in COPY: what is to be copied is missing")
	}
	query := what
	if !tokens[0].is("(") {
		columns, name := "*", what
		for i, t := range what {
			if t.is("(") {
				name = what[:i]
				columns = strings.TrimSuffix(strings.TrimSpace(join(what[i+1:])), ")")
				break
			}
		}
		query = tokenize("SELECT " + columns + " FROM " + join(name))
	}
	inner, err := c.understand(ctx, query, oids)
	if err != nil {
		return err
	}
	if inner.sql == "" {
		return fail("42601", "COPY is for a SELECT or a table")
	}
	if _, err := copyFormOf(rest[1:]); err != nil {
		return err
	}
	st.inner, st.oids = inner, inner.oids
	return nil
}

// copyFormOf reads COPY's options: (FORMAT csv, HEADER, …), or as they were
// written before PostgreSQL 9: CSV HEADER DELIMITER ','.
func copyFormOf(tokens []token) (copyForm, error) {
	f := copyForm{}
	for i := 0; i < len(tokens); i++ {
		t := tokens[i]
		value := token{}
		if i+1 < len(tokens) {
			value = tokens[i+1]
		}
		if value.is("as") && i+2 < len(tokens) {
			value, i = tokens[i+2], i+1
		}
		switch {
		case t.is("with"), t.is("("), t.is(")"), t.is(","):
		case t.is("csv"):
			f.csv = true
		case t.is("format"):
			switch value.name() + strings.Trim(value.text, "'") {
			case "csvcsv", "CSV", "csv", "csvCSV":
				f.csv = true
			case "texttext", "text", "textTEXT", "TEXT":
			default:
				return f, fail("0A000", "COPY format %s is not supported: use text or csv", value.text)
			}
			i++
		case t.is("header"):
			f.header = true
			if value.is("false") || value.is("off") || value.text == "0" {
				f.header = false
			}
			if value.kind == sqltext.Word && !value.is("delimiter") && !value.is("null") && !value.is("quote") && !value.is("force") && !value.is("escape") && !value.is("encoding") {
				i++
			}
		case t.is("delimiter"), t.is("null"), t.is("quote"), t.is("escape"), t.is("encoding"):
			if value.kind != sqltext.Text {
				return f, fail("42601", "COPY option %s wants a string", t.text)
			}
			f.option(strings.ToLower(t.text), unquote(value.text))
			i++
		case t.is("force_quote"), t.is("force"):
			f.forceQuote = true
			for i+1 < len(tokens) && (tokens[i+1].is("*") || tokens[i+1].is("quote")) {
				i++
			}
		default:
			return f, fail("42601", "COPY option %q is not recognized", t.text)
		}
	}
	return f.withDefaults()
}

func (f *copyForm) option(name, value string) {
	switch name {
	case "delimiter":
		f.delimiter, f.hasDelim = value, true
	case "null":
		f.null, f.hasNull = value, true
	case "quote":
		f.quote = value
	case "escape":
		f.escape = value
	}
}

func (f copyForm) withDefaults() (copyForm, error) {
	if !f.hasDelim {
		f.delimiter = "\t"
		if f.csv {
			f.delimiter = ","
		}
	}
	if !f.hasNull && !f.csv {
		f.null = `\N`
	}
	if f.quote == "" {
		f.quote = `"`
	}
	if f.escape == "" {
		f.escape = f.quote
	}
	if len(f.delimiter) != 1 || len(f.quote) != 1 || len(f.escape) != 1 {
		return f, fail("22023", "COPY delimiter, quote and escape must be one character each")
	}
	return f, nil
}

// copyOut runs COPY … TO STDOUT.
func (c *session) copyOut(p *portal) error {
	tokens := p.statement.tokens
	depth, to := 0, 0
	for i, t := range tokens {
		switch {
		case t.is("("):
			depth++
		case t.is(")"):
			depth--
		case depth == 0 && t.is("stdout") && to == 0:
			to = i + 1
		}
	}
	f, err := copyFormOf(tokens[to:])
	if err != nil {
		return err
	}
	of := &portal{statement: p.statement.inner, args: p.args}
	defer of.close()
	if err := c.open(of); err != nil {
		return err
	}
	columns := of.statement.columns
	c.backend.Send(&pgproto3.CopyOutResponse{ColumnFormatCodes: make([]uint16, len(columns))})
	rows := 0
	err = c.work(of.task, func() error {
		if f.header {
			names := make([]*string, len(columns))
			for i := range columns {
				names[i] = &columns[i].name
			}
			c.backend.Send(&pgproto3.CopyData{Data: f.line(names)})
		}
		size := 0
		for of.rows.Next() {
			values := make([]*string, len(columns))
			for i, v := range of.rows.Values() {
				if v.Null {
					continue
				}
				b, err := c.server.types.encode(columns[i].wire, v.Text, textFormat)
				if err != nil {
					return err
				}
				s := string(b)
				values[i] = &s
			}
			line := f.line(values)
			c.backend.Send(&pgproto3.CopyData{Data: line})
			rows++
			if size += len(line); size >= flushBytes {
				if err := c.backend.Flush(); err != nil {
					return errGone
				}
				size = 0
			}
		}
		return of.rows.Err()
	})
	if err != nil {
		return err
	}
	c.backend.Send(&pgproto3.CopyDone{})
	c.backend.Send(&pgproto3.CommandComplete{CommandTag: fmt.Appendf(nil, "COPY %d", rows)})
	return nil
}

// line returns a row as COPY writes it; nil is NULL.
func (f copyForm) line(values []*string) []byte {
	var b strings.Builder
	for i, v := range values {
		if i > 0 {
			b.WriteString(f.delimiter)
		}
		switch {
		case v == nil:
			b.WriteString(f.null)
		case f.csv:
			f.writeCSV(&b, *v, len(values) == 1)
		default:
			f.writeText(&b, *v)
		}
	}
	b.WriteByte('\n')
	return []byte(b.String())
}

func (f copyForm) writeCSV(b *strings.Builder, v string, alone bool) {
	if !f.forceQuote && v != f.null && !strings.ContainsAny(v, f.delimiter+f.quote+"\r\n") && !(alone && v == `\.`) {
		b.WriteString(v)
		return
	}
	b.WriteString(f.quote)
	for i := range len(v) {
		if v[i] == f.quote[0] || v[i] == f.escape[0] {
			b.WriteString(f.escape)
		}
		b.WriteByte(v[i])
	}
	b.WriteString(f.quote)
}

func (f copyForm) writeText(b *strings.Builder, v string) {
	for i := range len(v) {
		switch c := v[i]; c {
		case '\\':
			b.WriteString(`\\`)
		case '\n':
			b.WriteString(`\n`)
		case '\r':
			b.WriteString(`\r`)
		case '\t':
			b.WriteString(`\t`)
		case '\b':
			b.WriteString(`\b`)
		case '\f':
			b.WriteString(`\f`)
		case '\v':
			b.WriteString(`\v`)
		default:
			if c == f.delimiter[0] {
				b.WriteByte('\\')
			}
			b.WriteByte(c)
		}
	}
}
