// Package saved is queries that are kept as files: one statement each, with a
// title and how its result is drawn, in a comment before it.
//
// What it stores is a folder of NAME.sql, which people may edit as well. The
// commit point of a query is the renaming of its file into place.
package saved

import (
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"arbalest"
)

// A Query is a saved query.
type Query struct {
	// Name is its file's without .sql: letters, digits, _ and -, at most 80, the
	// first a letter or digit.
	Name        string
	Title       string // a line; defaults to Name
	Description string // a line, may be empty
	Chart       Chart
	SQL         string
	// Version is of the bytes of its file. Empty is of a query that has none yet.
	Version string
	// Err is what is wrong with the file's header. It wraps arbalest.ErrInvalid.
	Err error
}

// A Chart says how a result is drawn. Columns are named as in the result; what is
// left out is chosen by the columns' types.
type Chart struct {
	Kind   string   // "line", "bar", "stacked", or "none"; empty is to be chosen
	X      string   // the column along the chart
	Y      []string // the columns of numbers
	Series string   // the column that makes a series of each of its values
}

// Kinds are the kinds of charts.
func Kinds() []string { return []string{"line", "bar", "stacked", "none"} }

var validName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,79}$`)

// CheckName refuses what is no name of a query. The error wraps
// arbalest.ErrInvalid.
func CheckName(name string) error {
	if !validName.MatchString(name) {
		return fmt.Errorf("%w name of a query %q: use letters, digits, _ and -, at most 80, beginning with a letter or digit", arbalest.ErrInvalid, name)
	}
	return nil
}

// headerLine matches a line of a header.
var headerLine = regexp.MustCompile(`^--[ \t]*(title|description|chart|x|y|series):[ \t]*(.*?)[ \t]*$`)

// parse reads a file. Its header is the lines at its beginning that are one of a
// header, up to an empty line or another; all that follows is SQL.
func parse(name string, file []byte) Query {
	q := Query{Name: name, Version: version(file)}
	rest := strings.ReplaceAll(string(file), "\r\n", "\n")
	for line := 1; ; line++ {
		first, after, more := strings.Cut(rest, "\n")
		h := headerLine.FindStringSubmatch(first)
		if h == nil {
			if more && strings.TrimSpace(first) == "" {
				rest = after
			}
			break
		}
		if err := q.header(h[1], h[2]); err != nil && q.Err == nil {
			q.Err = fmt.Errorf("%s.sql, line %d: %w", name, line, err)
		}
		if rest = after; !more {
			break
		}
	}
	q.SQL = strings.TrimRight(rest, " \t\n")
	if q.Title == "" {
		q.Title = name
	}
	return q
}

func (q *Query) header(key, value string) error {
	switch key {
	case "title":
		q.Title = value
	case "description":
		q.Description = strings.TrimSpace(q.Description + " " + value)
	case "chart":
		if !slices.Contains(Kinds(), value) {
			return fmt.Errorf("%w chart %q: want %s", arbalest.ErrInvalid, value, strings.Join(Kinds(), ", "))
		}
		q.Chart.Kind = value
	case "x":
		q.Chart.X = value
	case "y":
		r := csv.NewReader(strings.NewReader(value))
		r.TrimLeadingSpace = true
		fields, err := r.Read()
		if err != nil && value != "" {
			return fmt.Errorf("%w y %q: want columns with commas between, those with a comma or quote in quotes", arbalest.ErrInvalid, value)
		}
		q.Chart.Y = append(q.Chart.Y, fields...)
	case "series":
		q.Chart.Series = value
	}
	return nil
}

// format writes a file, which parse reads as the same query but for white space
// at the ends of its texts.
func (q Query) format() ([]byte, error) {
	if err := CheckName(q.Name); err != nil {
		return nil, err
	}
	if q.Chart.Kind != "" && !slices.Contains(Kinds(), q.Chart.Kind) {
		return nil, fmt.Errorf("%w chart %q: want %s", arbalest.ErrInvalid, q.Chart.Kind, strings.Join(Kinds(), ", "))
	}
	if strings.TrimSpace(q.SQL) == "" {
		return nil, fmt.Errorf("%w query %s: there is no SQL: write a statement first", arbalest.ErrInvalid, q.Name)
	}
	var b strings.Builder
	put := func(key, value string) {
		if value = strings.Join(strings.Fields(value), " "); value != "" {
			fmt.Fprintf(&b, "-- %s: %s\n", key, value)
		}
	}
	title := q.Title
	if strings.TrimSpace(title) == "" {
		title = q.Name // a header is needed: SQL may begin with what looks like one
	}
	put("title", title)
	put("description", q.Description)
	put("chart", q.Chart.Kind)
	put("x", q.Chart.X)
	if len(q.Chart.Y) > 0 {
		var y strings.Builder
		w := csv.NewWriter(&y)
		if err := w.Write(q.Chart.Y); err != nil {
			return nil, fmt.Errorf("write y: %w", err)
		}
		w.Flush()
		put("y", y.String())
	}
	put("series", q.Chart.Series)
	sql := strings.TrimRight(strings.ReplaceAll(q.SQL, "\r\n", "\n"), " \t\n")
	b.WriteString("\n" + sql + "\n")
	if b.Len() > maxFile {
		return nil, fmt.Errorf("query %s: %w: it has %d bytes, at most %d can be saved", q.Name, arbalest.ErrTooLarge, b.Len(), maxFile)
	}
	return []byte(b.String()), nil
}

func version(file []byte) string {
	sum := sha256.Sum256(file)
	return hex.EncodeToString(sum[:8])
}
