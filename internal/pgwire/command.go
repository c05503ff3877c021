package pgwire

import (
	"slices"
	"strings"

	"arbalest/internal/sqltext"
	"arbalest/internal/warehouse"

	"github.com/jackc/pgx/v5/pgproto3"
)

// command runs a statement that has no rows, and returns its tag.
func (c *session) command(p *portal) (string, error) {
	st := p.statement
	second := token{}
	if len(st.tokens) > 1 {
		second = st.tokens[1]
	}
	switch st.verb {
	case "begin", "start":
		if c.tx != 'I' {
			c.warn("there is already a transaction in progress")
		}
		c.tx = 'T'
		if st.verb == "start" {
			return "START TRANSACTION", nil
		}
		return "BEGIN", nil
	case "commit", "end":
		tag := "COMMIT"
		switch c.tx {
		case 'E':
			tag = "ROLLBACK"
		case 'I':
			c.warn("there is no transaction in progress")
		}
		c.endTransaction()
		return tag, nil
	case "rollback", "abort":
		if slices.ContainsFunc(st.tokens, func(t token) bool { return t.is("to") }) && c.tx != 'I' {
			c.tx = 'T'
			return "ROLLBACK", nil
		}
		if c.tx == 'I' {
			c.warn("there is no transaction in progress")
		}
		c.endTransaction()
		return "ROLLBACK", nil
	case "savepoint", "release":
		if c.tx == 'I' {
			return "", fail("25P01", "%s can only be used in transaction blocks", strings.ToUpper(st.verb))
		}
		return strings.ToUpper(st.verb), nil
	case "set":
		return "SET", c.set(st.tokens[1:])
	case "reset":
		if second.is("time") {
			second = token{kind: sqltext.Word, text: "timezone"}
		}
		c.settings.reset(second.name())
		return "RESET", nil
	case "discard":
		if second.is("all") {
			c.closeAll(true)
			c.dropStatements()
			c.settings.reset("all")
		}
		return "DISCARD " + strings.ToUpper(second.text), nil
	case "deallocate":
		last := st.tokens[len(st.tokens)-1]
		if last.is("all") {
			c.dropStatements()
			return "DEALLOCATE ALL", nil
		}
		c.dropStatement(last.name())
		return "DEALLOCATE", nil
	case "declare":
		return "DECLARE CURSOR", c.declare(p)
	case "close":
		return "CLOSE CURSOR", c.closeCursor(second)
	case "move":
		return c.move(st)
	}
	return strings.ToUpper(st.verb), nil
}

// set is SET, whose tokens come after that word.
func (c *session) set(tokens []token) error {
	local := false
	for len(tokens) > 1 && (tokens[0].is("session") || tokens[0].is("local")) {
		local = tokens[0].is("local")
		tokens = tokens[1:]
	}
	if len(tokens) < 2 {
		return fail("42601", "SET is without a value")
	}
	name := tokens[0].name()
	switch {
	case name == "transaction", name == "characteristics", name == "role", name == "authorization":
		return nil // it only reads, whatever they say
	case name == "time" && tokens[1].is("zone"):
		name, tokens = "timezone", tokens[2:]
	case name == "names":
		name, tokens = "client_encoding", tokens[1:]
	default:
		i := 1
		for i+1 < len(tokens) && tokens[i].is(".") {
			name += "." + tokens[i+1].name()
			i += 2
		}
		if i >= len(tokens) || !tokens[i].is("to") && !tokens[i].is("=") {
			return fail("42601", "syntax error in SET %s: write SET name = value", name)
		}
		tokens = tokens[i+1:]
	}
	if len(tokens) == 1 && tokens[0].is("default") {
		c.settings.reset(name)
		return nil
	}
	var value strings.Builder
	for _, t := range tokens {
		switch {
		case t.kind == sqltext.Text:
			value.WriteString(unquote(t.text))
		case t.is(","):
			value.WriteString(", ")
		case t.kind == sqltext.Quoted:
			value.WriteString(t.name())
		default:
			value.WriteString(t.text)
		}
	}
	old, known := c.settings.get(name)
	notice, err := c.settings.set(name, value.String())
	if err != nil {
		return err
	}
	c.warn(notice)
	if local && known && c.tx != 'I' {
		if c.locals == nil {
			c.locals = map[string]string{}
		}
		if _, again := c.locals[name]; !again {
			c.locals[name] = old
		}
	}
	for _, r := range reported() {
		if strings.EqualFold(r, name) {
			now, _ := c.settings.get(name)
			c.backend.Send(&pgproto3.ParameterStatus{Name: r, Value: now})
		}
	}
	return nil
}

// parameterOf returns the name of the parameter that SHOW is of.
func parameterOf(tokens []token) string {
	switch {
	case len(tokens) < 2:
		return ""
	case tokens[1].is("time"):
		return "timezone"
	case tokens[1].is("transaction") && len(tokens) > 2:
		return "transaction_isolation"
	case tokens[1].is("session"):
		return "session_authorization"
	}
	name := ""
	for _, t := range tokens[1:] {
		if t.is(".") {
			name += "."
		} else {
			name += t.name()
		}
	}
	return name
}

// show readies SHOW.
func (c *session) show(st *statement) error {
	name := parameterOf(st.tokens)
	if name == "all" {
		st.columns = []column{textColumn("name"), textColumn("setting"), textColumn("description")}
		return nil
	}
	if _, ok := c.settings.get(name); !ok {
		return fail("42704", "unrecognized configuration parameter %q", name)
	}
	if written, ok := c.settings.names[name]; ok {
		name = written
	}
	st.columns = []column{textColumn(name)}
	return nil
}

// shown returns the rows of SHOW.
func (c *session) shown(st *statement) source {
	name := parameterOf(st.tokens)
	if name != "all" {
		value, _ := c.settings.get(name)
		return &fixedRows{rows: [][]warehouse.Value{{{Text: value}}}}
	}
	all := &fixedRows{}
	for _, d := range defaults() {
		value, _ := c.settings.get(d[0])
		all.rows = append(all.rows, []warehouse.Value{{Text: d[0]}, {Text: value}, {}})
	}
	return all
}

// fixedRows are rows that are there already.
type fixedRows struct {
	rows [][]warehouse.Value
	row  []warehouse.Value
}

func (r *fixedRows) Next() bool {
	if len(r.rows) == 0 {
		return false
	}
	r.row, r.rows = r.rows[0], r.rows[1:]
	return true
}

func (r *fixedRows) Values() []warehouse.Value { return r.row }
func (r *fixedRows) Err() error                { return nil }
func (r *fixedRows) Drop()                     {}
func (r *fixedRows) Close() error              { return nil }
