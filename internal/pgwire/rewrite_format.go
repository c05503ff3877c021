package pgwire

import (
	"strings"

	"arbalest/internal/sqltext"
)

// timeFormats are PostgreSQL's patterns of times, and DuckDB's. The first that
// fits is taken.
var timeFormats = strings.NewReplacer(
	"%", "%%", "YYYY", "%Y", "YY", "%y", "MM", "%m", "MI", "%M", "DDD", "%j", "DD", "%d", "HH24", "%H", "HH12", "%I", "HH", "%I",
	"SS", "%S", "US", "%f", "MS", "%g", "AM", "%p", "PM", "%p", "Month", "%B", "Mon", "%b", "Day", "%A", "Dy", "%a", "IYYY", "%G", "IW", "%V", `"`, "",
)

// formatted rewrites a call whose literal format DuckDB spells otherwise.
func (w *rewriting) formatted(name string) bool {
	first, last := w.at+2, w.closing()-1
	switch {
	case last < first || name == "format" && w.in[first].kind != sqltext.Text:
		return false
	case name == "format":
		if !strings.Contains(w.in[first].text, "%") {
			return false // DuckDB's own
		}
		w.at++
		w.sql("printf")
		w.keep()
		w.at++
		w.sql(strings.NewReplacer("%I", "%s", "%L", "%s").Replace(w.in[first].text))
		return true
	case w.in[last].kind != sqltext.Text || !w.in[last-1].is(","):
		return false
	}
	w.at++
	w.sql(map[string]string{"to_char": "strftime", "to_date": "strptime", "to_timestamp": "strptime"}[name])
	for w.at < last {
		w.next()
	}
	w.sql(timeFormats.Replace(w.in[last].text))
	w.at++
	w.keep()
	if name == "to_date" {
		w.sql("::DATE")
	}
	return true
}

// closing returns where the parenthesis is that closes the call that is next; the
// end if there is none.
func (w *rewriting) closing() int {
	depth := 0
	for i := w.at + 1; i < len(w.in); i++ {
		switch {
		case w.in[i].is("("):
			depth++
		case w.in[i].is(")"):
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(w.in)
}
