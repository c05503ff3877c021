package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"arbalest"
)

// A fault is why a statement gave no result.
type fault struct {
	Message string `json:"message"`
	// Line and Column are of the statement, from 1, in characters; zero if it is
	// not known where the fault is.
	Line   int  `json:"line,omitempty"`
	Column int  `json:"column,omitempty"`
	Retry  bool `json:"retry,omitempty"`
	status int
}

// faultOf returns what is told of an error; nil if there is none.
func (c *console) faultOf(r *http.Request, sql string, err error) *fault {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled): // by the browser, which is gone, or by serve
		return &fault{Message: "The statement was stopped, for arbalest serve is being stopped: try again when it runs.", Retry: true, status: http.StatusServiceUnavailable}
	case errors.Is(err, context.DeadlineExceeded):
		return &fault{Message: fmt.Sprintf("The statement took longer than %s and was stopped: narrow it, by event_time say, or raise sql: {timeout: …} in arbalest.yaml.", c.opts.Statement), Retry: true, status: http.StatusServiceUnavailable}
	}
	o := arbalest.OutcomeOf(err)
	f := &fault{Retry: o.Retry, status: o.HTTP}
	if f.status >= http.StatusInternalServerError {
		c.log.Warn("statement", "path", r.URL.Path, "error", err)
	}
	message := err.Error()
	for _, said := range []error{arbalest.ErrInvalid, arbalest.ErrUnknown} {
		message = strings.TrimPrefix(message, said.Error()+": ")
	}
	f.Message, f.Line, f.Column = placeOf(message, sql)
	return f
}

func (f *fault) json() []byte {
	b, err := json.Marshal(f)
	if err != nil {
		return []byte(`{"message":"the fault cannot be told"}`)
	}
	return b
}

func (f *fault) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(f.status)
	fmt.Fprintf(w, "{\"error\":%s}\n", f.json())
}

// excerpt matches how DuckDB ends a message: with the line and a caret below the
// fault. What the line has before or after is dots.
var excerpt = regexp.MustCompile(`\n\nLINE (\d+): ([^\n]*)\n( *)\^\s*$`)

// placeOf parts a message of DuckDB in what it says, and where that is in a
// statement: line and column from 1, in characters, or zero. DuckDB may be asked
// the statement within another, whose lines do not count the same.
func placeOf(message, sql string) (said string, line, column int) {
	m := excerpt.FindStringSubmatchIndex(message)
	if m == nil {
		return message, 0, 0
	}
	said = strings.TrimSpace(message[:m[0]])
	n, err := strconv.Atoi(message[m[2]:m[3]])
	if err != nil {
		return message, 0, 0
	}
	text := message[m[4]:m[5]]
	at := (m[7] - m[6]) - utf8.RuneCountInString("LINE "+message[m[2]:m[3]]+": ") // of the caret, in text
	if after, ok := strings.CutPrefix(text, "..."); ok {
		text, at = after, at-len("...")
	}
	text = strings.TrimSuffix(text, "...")
	lines := strings.Split(sql, "\n")
	for _, n := range []int{n, n - 1} {
		if n < 1 || n > len(lines) || at < 0 {
			continue
		}
		whole := strings.ReplaceAll(lines[n-1], "\t", " ")
		if i := strings.Index(whole, strings.ReplaceAll(text, "\t", " ")); i >= 0 {
			return said, n, utf8.RuneCountInString(whole[:i]) + at + 1
		}
	}
	return said, 0, 0
}
