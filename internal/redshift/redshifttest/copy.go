package redshifttest

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"arbalest"
)

// A copying is a COPY that runs.
type copying struct {
	copyStatement
	session *session
	columns []column
	paths   paths // nil is auto
	id      int64
	start   time.Time
	rows    []byte // in PostgreSQL's text format
	count   int64
	errors  []reported
}

// A reported error is one row of the views.
type reported struct {
	loadError
	url    string
	line   int64
	column column
	raw    []byte // the document
	value  string
}

// copy runs a COPY.
func (s *session) copy(st statement) (ok bool, err error) {
	c := &copying{session: s, start: time.Now().UTC()}
	names := func(name string) string { return s.server.names.short(s.server.names.fold(name)) }
	c.copyStatement, err = parseCopy(st, names)
	if err == nil {
		err = c.prepare()
	}
	if err == nil {
		err = c.load()
	}
	if err == nil && !c.noLoad && c.count > 0 {
		err = s.up.copyIn(c.into(), c.rows)
	}
	if err != nil {
		return false, s.fail(err)
	}
	s.copyCount = c.count
	done := fmt.Sprintf("Load into table '%s' completed, %d record(s) loaded successfully.", c.name, c.count)
	s.client.Send(&pgproto3.NoticeResponse{Severity: "INFO", SeverityUnlocalized: "INFO", Code: "00000", Message: done})
	if len(c.errors) > 0 {
		s.client.Send(&pgproto3.NoticeResponse{Severity: "INFO", SeverityUnlocalized: "INFO", Code: "00000",
			Message: fmt.Sprintf("Load into table '%s' completed, %d record(s) could not be loaded.  Check 'stl_load_errors' system table for details.", c.name, len(c.errors))})
	}
	s.client.Send(&pgproto3.CommandComplete{CommandTag: []byte("COPY")})
	return true, nil
}

func (c *copying) into() string {
	list := make([]string, len(c.columns))
	for i, col := range c.columns {
		list[i] = quote(col.here)
	}
	return "COPY " + c.table + " (" + strings.Join(list, ", ") + ") FROM STDIN"
}

// typeOf splits a type as PostgreSQL spells it.
var typeOf = regexp.MustCompile(`^([a-z]+(?: varying| precision)?)(?:\((\d+)(?:,(\d+))?\))?( with(?:out)? time zone)?$`)

// prepare finds the table's columns and reads the JSONPaths file.
func (c *copying) prepare() error {
	rows, err := c.session.up.rows(`SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute
		WHERE attrelid = ` + literal(c.table) + `::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`)
	if err != nil {
		return err
	}
	known := map[string]column{}
	var all []string
	for _, r := range rows {
		m := typeOf.FindStringSubmatch(r[1])
		if m == nil {
			return unsupported("emulator: COPY into a column of type " + r[1])
		}
		col := column{name: c.session.server.names.original(r[0]), here: r[0], kind: m[1] + m[4], notNull: r[2] == "t"}
		col.length, _ = strconv.Atoi(m[2])
		col.digits = col.length
		col.scale, _ = strconv.Atoi(m[3])
		known[r[0]] = col
		all = append(all, r[0])
	}
	if c.copyStatement.columns == nil {
		c.copyStatement.columns = all
	}
	for _, name := range c.copyStatement.columns {
		col, ok := known[name]
		if !ok {
			return &refusal{"42703", fmt.Sprintf(`column "%s" of relation "%s" does not exist`, name, c.name), ""}
		}
		c.columns = append(c.columns, col)
	}
	if !strings.HasPrefix(c.json, "s3://") {
		return nil
	}
	body, err := c.session.server.read(c.json)
	if errors.Is(err, arbalest.ErrUnknown) {
		return s3Error("Problem reading JSONPaths file", c.json)
	}
	if err != nil {
		return err
	}
	p, auto, err := parsePaths(body)
	switch {
	case err != nil:
		return err
	case auto:
		c.json = "auto"
	case len(p) != len(c.columns):
		return jsonpathsError(fmt.Sprintf("%d paths for %d columns", len(p), len(c.columns)))
	default:
		c.paths = p
	}
	return nil
}

// load reads all files. With too many errors the COPY fails, and the views say
// why.
func (c *copying) load() error {
	files, err := c.session.server.files(c.copyStatement)
	if err != nil {
		return err
	}
	s := c.session.server
	s.mu.Lock()
	s.lastCopy++
	c.id = s.lastCopy
	s.mu.Unlock()
	c.session.copyID = c.id
	for _, f := range files {
		documents(f.data, func(d document) bool {
			err = c.document(f.url, d)
			return err == nil
		})
		if err != nil {
			break
		}
	}
	if wrong := c.report(); wrong != nil {
		return wrong
	}
	if err == nil && !c.ignoreAll && len(c.errors) >= max(c.maxErrors, 1) {
		err = &refusal{"XX000", fmt.Sprintf("Load into table '%s' failed.  Check '%s' system table for details.", c.name, s.errorView()), ""}
	}
	return err
}

// errorView is the view that errors point to.
func (s *Server) errorView() string {
	if s.denies("sys_load_error_detail") != nil {
		return "stl_load_errors"
	}
	return "sys_load_error_detail"
}

// document loads one document. An error fails the COPY, whatever MAXERROR.
func (c *copying) document(url string, d document) error {
	wrong := func(code int, reason string, col column, value string) {
		c.errors = append(c.errors, reported{loadError{code, reason}, url, d.line, col, d.raw, value})
	}
	if len(d.raw) > maxDocument {
		return &refusal{"XX000", "JSON object is larger than 4 MB", url}
	}
	if !d.ok {
		wrong(1224, "Invalid JSON value", column{}, "")
		return nil
	}
	values := make([]json.RawMessage, len(c.columns))
	var err error
	if c.paths == nil {
		if values, err = automatic(d.raw, c.columns, c.json == "auto ignorecase"); err != nil {
			wrong(1224, err.Error(), column{}, "")
			return nil
		}
	}
	row := make([]byte, 0, len(d.raw))
	from := root{raw: d.raw}
	for i, col := range c.columns {
		if c.paths != nil {
			if values[i], err = from.follow(c.paths[i]); err != nil {
				wrong(1224, err.Error(), col, "")
				return err
			}
		}
		value, null, err := c.convert(col, values[i])
		var bad *loadError
		if errors.As(err, &bad) {
			wrong(bad.code, bad.reason, col, shown(values[i]))
			return nil
		}
		if null && col.notNull {
			return &refusal{"XX000", "Missing data for not-null field", col.name}
		}
		if i > 0 {
			row = append(row, '\t')
		}
		if null {
			row = append(row, `\N`...)
		} else {
			row = append(row, escapes.Replace(value)...)
		}
	}
	c.rows = append(append(c.rows, row...), '\n')
	c.count++
	return nil
}

// escapes are those of PostgreSQL's text format.
var escapes = strings.NewReplacer(`\`, `\\`, "\t", `\t`, "\n", `\n`, "\r", `\r`)

// shown is a value as the views have it: a string without its quotes.
func shown(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

// cut returns the first n characters of a text, without NUL, which PostgreSQL
// cannot hold.
func cut(s string, n int) string {
	r := []rune(strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "?"), "?"))
	return string(r[:min(len(r), n)])
}

// report writes the errors into the system tables, apart from the transaction.
func (c *copying) report() error {
	if len(c.errors) == 0 {
		return nil
	}
	side, err := c.session.onSide()
	if err != nil {
		return err
	}
	at := literal(c.start.Format("2006-01-02 15:04:05.000000"))
	for _, e := range c.errors {
		kind, length := "", ""
		if e.column.name != "" {
			kind = strings.Fields(e.column.kind)[0]
			if e.column.length > 0 {
				length = strconv.Itoa(e.column.length)
			}
		}
		name, col, reason := literal(cut(e.url, 256)), literal(cut(e.column.name, 127)), e.reason
		kind, length = literal(cut(kind, 10)), literal(length)
		if err := side.run(fmt.Sprintf(`INSERT INTO redshift.sys_load_error_detail VALUES (100, %d, 1, %d, '%s', 1, %s, %s, %d, %s, %s, %s, 0, %d, %s)`,
			c.id, c.session.pid, Database, at, name, e.line, col, kind, length, e.code, literal(cut(reason, 512)))); err != nil {
			return err
		}
		if err := side.run(fmt.Sprintf(`INSERT INTO redshift.stl_load_errors VALUES (100, 0, 1, %s, %d, %d, %s, %d, %s, %s, %s, 0, %s, %s, %d, %s, 0, 0, 0)`,
			at, c.session.pid, c.id, name, e.line, col, kind, length, literal(cut(string(e.raw), 1024)), literal(cut(e.value, 1024)), e.code, literal(cut(reason, 100)))); err != nil {
			return err
		}
	}
	return nil
}
