package redshifttest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A copyStatement is a COPY from S3, as far as JSON needs one (Developer Guide,
// "COPY").
type copyStatement struct {
	table       string   // as SQL spells it
	name        string   // without its schema
	columns     []string // names; nil is all
	from        string
	json        string // auto, auto ignorecase, or the URL of a JSONPaths file
	manifest    bool
	codec       string // gzip, zstd or empty
	timeFormat  string
	dateFormat  string
	maxErrors   int
	ignoreAll   bool
	noLoad      bool
	truncate    bool // TRUNCATECOLUMNS
	round       bool // ROUNDEC
	emptyIsNull bool
	blankIsNull bool
}

// A copyParser reads a COPY.
type copyParser struct {
	statement
	at   int
	copy copyStatement
	seen map[string]bool // options, by what excludes what
}

// withoutJSON are the options that JSON excludes ("Data format parameters"), and
// unemulated are those that the emulator has not.
var (
	withoutJSON = strings.Fields("csv delimiter escape fillrecord fixedwidth ignoreblanklines null readratio removequotes quote ignoreheader")
	unemulated  = strings.Fields("bzip2 lzop acceptanydate acceptinvchars trimblanks explicit_ids encrypted master_symmetric_key ssh avro parquet orc shapefile job")
)

// parseCopy reads a COPY. names folds a name as Redshift does.
func parseCopy(st statement, names func(string) string) (c copyStatement, err error) {
	p := &copyParser{statement: st, at: 1, seen: map[string]bool{}}
	p.copy.timeFormat, p.copy.dateFormat = "YYYY-MM-DD HH:MI:SS", "YYYY-MM-DD"
	if err := p.target(names); err != nil {
		return c, err
	}
	if !p.accept("from") {
		return c, syntaxError(st.at(p.at))
	}
	if p.is(p.at, "stdin") {
		return c, unsupported("COPY FROM STDIN")
	}
	if p.copy.from, err = p.text(); err != nil {
		return c, err
	}
	if !strings.HasPrefix(p.copy.from, "s3://") {
		return c, unsupported("emulator: COPY from anything but s3://")
	}
	for p.at < len(st) {
		if err := p.option(); err != nil {
			return c, err
		}
	}
	switch {
	case !p.seen["credentials"]:
		return c, &refusal{"42601", "CREDENTIALS argument is required but not present", "use IAM_ROLE, ACCESS_KEY_ID and SECRET_ACCESS_KEY, or CREDENTIALS"}
	case p.seen["access_key_id"] != p.seen["secret_access_key"] || p.seen["session_token"] && !p.seen["access_key_id"]:
		return c, &refusal{"42601", "ACCESS_KEY_ID and SECRET_ACCESS_KEY go together", ""}
	case p.copy.json == "":
		return c, unsupported("emulator: COPY of anything but JSON")
	}
	return p.copy, nil
}

// target reads the table and its columns.
func (p *copyParser) target(names func(string) string) error {
	from := p.at
	for p.name(p.at) {
		p.copy.name = names(p.statement[p.at].value)
		if p.at++; !p.accept(".") {
			break
		}
	}
	if p.at == from {
		return syntaxError(p.statement.at(p.at))
	}
	for _, t := range p.statement[from:p.at] {
		if t.kind == symbol {
			p.copy.table += t.raw
		} else {
			p.copy.table += quote(names(t.value))
		}
	}
	if !p.accept("(") {
		return nil
	}
	for {
		if !p.name(p.at) {
			return syntaxError(p.statement.at(p.at))
		}
		p.copy.columns = append(p.copy.columns, names(p.statement[p.at].value))
		switch p.at++; {
		case p.accept(")"):
			return nil
		case !p.accept(","):
			return syntaxError(p.statement.at(p.at))
		}
	}
}

func (p *copyParser) accept(words ...string) bool {
	if !p.is(p.at, words...) {
		return false
	}
	p.at += len(words)
	return true
}

// text reads a literal, after an optional AS.
func (p *copyParser) text() (string, error) {
	p.accept("as")
	if p.at >= len(p.statement) || p.statement[p.at].kind != text {
		return "", syntaxError(p.statement.at(p.at))
	}
	p.at++
	return p.statement[p.at-1].value, nil
}

func (p *copyParser) number() (int, error) {
	p.accept("as")
	n, err := strconv.Atoi(p.statement.at(p.at))
	if err != nil {
		return 0, syntaxError(p.statement.at(p.at))
	}
	p.at++
	return n, nil
}

// once notes an option, which may not be given twice.
func (p *copyParser) once(option string) error {
	if p.seen[option] {
		return &refusal{"42601", "conflicting or redundant options", option}
	}
	p.seen[option] = true
	return nil
}

// option reads one.
func (p *copyParser) option() (err error) {
	w := p.word(p.at)
	switch {
	case slices.Contains(withoutJSON, w):
		return &refusal{"0A000", fmt.Sprintf("%s is not supported with JSON", strings.ToUpper(w)), ""}
	case slices.Contains(unemulated, w):
		return unsupported("emulator: " + strings.ToUpper(w))
	}
	if handled, err := p.authorization(w); handled || err != nil {
		return err
	}
	p.at++
	switch w {
	case "format":
		p.accept("as")
		if !p.is(p.at, "json") {
			return unsupported("emulator: COPY of anything but JSON")
		}
		return nil
	case "json":
		return p.format()
	case "manifest":
		p.copy.manifest = true
	case "region":
		_, err = p.text()
	case "gzip", "zstd":
		p.copy.codec, w = w, "codec"
	case "encoding":
		p.accept("as")
		if !p.accept("utf8") {
			return unsupported("emulator: an encoding other than UTF8")
		}
	case "timeformat":
		p.copy.timeFormat, err = p.text()
	case "dateformat":
		p.copy.dateFormat, err = p.text()
	case "truncatecolumns":
		p.copy.truncate = true
	case "roundec":
		p.copy.round = true
	case "emptyasnull":
		p.copy.emptyIsNull = true
	case "blanksasnull":
		p.copy.blankIsNull = true
	case "maxerror":
		w = "errors"
		if p.copy.maxErrors, err = p.number(); err == nil && (p.copy.maxErrors < 0 || p.copy.maxErrors > 100000) {
			err = &refusal{"22023", "MAXERROR must be between 0 and 100000", ""}
		}
	case "ignoreallerrors":
		p.copy.ignoreAll, w = true, "errors"
	case "noload":
		p.copy.noLoad = true
	case "compupdate":
		_ = p.accept("preset") || p.accept("on") || p.accept("true") || p.accept("off") || p.accept("false")
	case "statupdate":
		_ = p.accept("on") || p.accept("true") || p.accept("off") || p.accept("false")
	case "comprows":
		_, err = p.number()
	default:
		return syntaxError(p.statement.at(p.at - 1))
	}
	if err != nil {
		return err
	}
	return p.once(w)
}

// format reads what JSON is loaded by.
func (p *copyParser) format() (err error) {
	if p.copy.json, err = p.text(); err != nil {
		return err
	}
	switch j := p.copy.json; {
	case j == "noshred":
		return unsupported("emulator: JSON 'noshred'")
	case j != "auto" && j != "auto ignorecase" && !strings.HasPrefix(j, "s3://"):
		return &refusal{"22023", "Invalid JSONPaths argument", j}
	}
	return p.once("json")
}

// authorization reads one of the ways to be allowed to read, which exclude each
// other ("Authorization parameters").
func (p *copyParser) authorization(w string) (handled bool, err error) {
	switch w {
	case "iam_role":
		p.at++
		if !p.accept("default") {
			var role string
			if role, err = p.text(); err == nil && !strings.HasPrefix(role, "arn:") {
				err = &refusal{"22023", "Invalid IAM_ROLE argument", ""}
			}
		}
	case "access_key_id", "secret_access_key", "session_token":
		p.at++
		if _, err := p.text(); err != nil {
			return true, err
		}
		if err := p.once(w); err != nil {
			return true, err
		}
		if p.seen["credentials"] && !p.seen["keys"] {
			return true, &refusal{"42601", "conflicting or redundant options", ""}
		}
		p.seen["keys"], p.seen["credentials"] = true, true
		return true, nil
	case "with", "credentials":
		p.accept("with")
		if !p.accept("credentials") {
			return true, syntaxError(p.statement.at(p.at))
		}
		var args string
		if args, err = p.text(); err == nil && (strings.Contains(args, " ") || !strings.HasPrefix(args, "aws_")) {
			err = &refusal{"22023", "Invalid credentials", ""}
		}
	default:
		return false, nil
	}
	if err == nil {
		err = p.once("credentials")
	}
	return true, err
}
