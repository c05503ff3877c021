package duckdb

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"arbalest"
	"arbalest/internal/sqltext"
)

// denied returns the functions that SELECT can call and that do more than read: they
// change DuckDB for all (logging ends the process if it is to a file), write the
// warehouse's file, hold threads that nothing wakes, take addresses, or run SQL
// that is in a text. DuckDB has no setting against them.
func denied() []string {
	return []string{
		"enable_logging", "disable_logging", "truncate_duckdb_logs", "write_log", "enable_profiling", "disable_profiling",
		"enable_peg_parser", "disable_peg_parser", "checkpoint", "force_checkpoint", "sleep_ms", "arrow_scan", "arrow_scan_dumb", "seq_scan",
		"query", "json_execute_serialized_sql",
	}
}

// checkCalls refuses a statement that calls a function that is denied. It takes
// for a call whatever looks like one, in a text or after a letter that is not
// ASCII, too, so that nothing depends on where DuckDB sees texts and names begin.
// The error wraps arbalest.ErrInvalid.
func checkCalls(sql string) error {
	folded := []byte(sql)
	for i, c := range folded {
		if 'A' <= c && c <= 'Z' {
			folded[i] = c + 'a' - 'A'
		}
	}
	text := string(folded)
	for _, name := range denied() {
		for from := 0; ; {
			i := strings.Index(text[from:], name)
			if i < 0 {
				break
			}
			start := from + i
			from = start + len(name)
			if (start == 0 || text[start-1] >= utf8.RuneSelf || !sqltext.IsName(text[start-1])) && calls(text[from:]) {
				return fmt.Errorf("%w: the function %s is not for queries: it does more than read", arbalest.ErrInvalid, name)
			}
		}
	}
	return nil
}

// checkExport refuses what may be EXPORT DATABASE, before DuckDB looks at it: it makes
// the directory then. The error wraps arbalest.ErrInvalid.
func checkExport(sql string) error { return checkWords(sql, "export", "database") }

// checkCopy refuses EXPLAIN of what may be a COPY: EXPLAIN ANALYZE runs it, and writes
// wherever SQL may read. The error wraps arbalest.ErrInvalid.
func checkCopy(sql string) error { return checkWords(sql, "copy") }

// checkWords refuses a statement that has all of some words, in names and texts, too, so
// that nothing depends on where DuckDB sees those begin.
func checkWords(sql string, words ...string) error {
	missing := slices.Clone(words)
	for word := range strings.FieldsFuncSeq(strings.ToLower(sql), func(r rune) bool { return r >= utf8.RuneSelf || !sqltext.IsName(byte(r)) }) {
		missing = slices.DeleteFunc(missing, func(w string) bool { return w == word })
	}
	if len(missing) > 0 {
		return nil
	}
	return fmt.Errorf("%w: the statement may write files, which SQL does not here: it has the words %s", arbalest.ErrInvalid, strings.ToUpper(strings.Join(words, " ")))
}

// calls says whether what comes after a function's name is its arguments.
func calls(rest string) bool {
	for p := range sqltext.Pieces(strings.TrimPrefix(rest, `"`)) {
		if p.Kind.Solid() {
			return p.Text == "("
		}
	}
	return false
}
