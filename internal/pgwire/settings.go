package pgwire

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"arbalest"
)

// settings are a session's parameters, by their names in lower case.
type settings struct {
	values  map[string]string
	names   map[string]string // as they are written
	timeout time.Duration     // of a statement
	limit   time.Duration     // of timeout
}

// defaults are the parameters and their values.
func defaults() [][2]string {
	return [][2]string{
		{"application_name", ""}, {"bytea_output", "hex"}, {"client_encoding", "UTF8"}, {"client_min_messages", "notice"}, {"DateStyle", "ISO, MDY"},
		{"default_transaction_isolation", "read committed"}, {"default_transaction_read_only", "on"}, {"extra_float_digits", "1"}, {"in_hot_standby", "off"},
		{"integer_datetimes", "on"}, {"IntervalStyle", "postgres"}, {"is_superuser", "off"}, {"lc_collate", "C"}, {"lc_ctype", "C"}, {"lc_messages", "C"}, {"lc_monetary", "C"},
		{"max_identifier_length", "63"}, {"max_index_keys", "32"}, {"role", "none"}, {"row_security", "on"}, {"search_path", "main"}, {"server_encoding", "UTF8"},
		{"server_version", postgresVersion}, {"server_version_num", "130000"}, {"session_authorization", "arbalest"}, {"standard_conforming_strings", "on"},
		{"statement_timeout", "0"}, {"TimeZone", "UTC"}, {"transaction_isolation", "read committed"}, {"transaction_read_only", "on"},
	}
}

// reported are the parameters that clients are told of.
func reported() []string {
	return []string{"application_name", "client_encoding", "DateStyle", "integer_datetimes", "IntervalStyle", "is_superuser", "server_encoding", "server_version", "session_authorization", "standard_conforming_strings", "TimeZone"}
}

func newSettings(timeout time.Duration) *settings {
	s := &settings{values: map[string]string{}, names: map[string]string{}, limit: timeout}
	for _, d := range defaults() {
		s.values[strings.ToLower(d[0])], s.names[strings.ToLower(d[0])] = d[1], d[0]
	}
	s.setTimeout(timeout)
	return s
}

func (s *settings) setTimeout(d time.Duration) {
	s.timeout = d
	s.values["statement_timeout"] = strconv.FormatInt(d.Milliseconds(), 10) + "ms"
}

func (s *settings) get(name string) (string, bool) {
	value, ok := s.values[strings.ToLower(name)]
	return value, ok
}

// set sets a parameter. notice says what of that has no effect. The error wraps
// arbalest.ErrInvalid.
func (s *settings) set(name, value string) (notice string, err error) {
	name = strings.ToLower(name)
	refused := fmt.Errorf("%w value for parameter %q: %q", arbalest.ErrInvalid, name, value)
	fold := strings.ToLower(value)
	switch name {
	case "client_encoding":
		if !slices.Contains([]string{"utf8", "utf-8", "unicode", "sql_ascii", "auto"}, fold) {
			return "", fmt.Errorf("%w: only UTF8 is known", refused)
		}
		value = "UTF8"
	case "datestyle":
		if !strings.Contains(fold, "iso") && !slices.Contains([]string{"mdy", "us", "noneuropean"}, fold) {
			return "", fmt.Errorf("%w: dates are ISO", refused)
		}
		value = "ISO, MDY"
	case "intervalstyle":
		if fold != "postgres" {
			return "", fmt.Errorf("%w: it is postgres", refused)
		}
	case "standard_conforming_strings":
		if fold != "on" && fold != "true" {
			return "", fmt.Errorf("%w: it is on", refused)
		}
		value = "on"
	case "timezone":
		if !slices.Contains([]string{"utc", "etc/utc", "gmt", "etc/gmt", "z", "0", "universal", "zulu"}, fold) {
			notice = "times are in UTC, whatever the time zone is set to"
		}
		value = "UTC"
	case "search_path":
		if path := strings.NewReplacer(`"`, "", "'", "", " ", "", "$user,", "").Replace(fold); path != "main" && path != "public" && path != "" {
			notice = "names without a schema are looked for in main, whatever search_path is set to"
		}
		value = "main"
	case "statement_timeout":
		d, err := parseTimeout(fold)
		if err != nil {
			return "", refused
		}
		if d == 0 || d > s.limit {
			d = s.limit
		}
		s.setTimeout(d)
		return "", nil
	case "server_version", "server_version_num", "server_encoding", "integer_datetimes", "is_superuser", "max_identifier_length", "max_index_keys", "lc_collate", "lc_ctype", "in_hot_standby", "transaction_isolation", "transaction_read_only":
		if name == "transaction_isolation" || name == "transaction_read_only" {
			return "", nil
		}
		return "", fail("55P02", "parameter %q cannot be changed", name)
	}
	if len(s.values) >= 200 {
		return "", fmt.Errorf("%w: there are too many parameters", arbalest.ErrTooLarge)
	}
	s.values[name] = value
	return notice, nil
}

// reset gives a parameter its default again; "all" all of them.
func (s *settings) reset(name string) {
	fresh := newSettings(s.limit)
	name = strings.ToLower(name)
	if name == "all" {
		*s = *fresh
		return
	}
	if value, ok := fresh.values[name]; ok {
		s.values[name] = value
		if name == "statement_timeout" {
			s.timeout = s.limit
		}
		return
	}
	delete(s.values, name)
}

// parseTimeout reads 5000, 5s or 1min.
func parseTimeout(value string) (time.Duration, error) {
	value = strings.TrimSpace(value)
	digits := strings.TrimRight(value, "abcdefghijklmnopqrstuvwxyz ")
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%w timeout %q", arbalest.ErrInvalid, value)
	}
	unit, ok := map[string]time.Duration{"": time.Millisecond, "us": time.Microsecond, "ms": time.Millisecond, "s": time.Second, "min": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[strings.TrimSpace(value[len(digits):])]
	if !ok {
		return 0, fmt.Errorf("%w timeout %q", arbalest.ErrInvalid, value)
	}
	return time.Duration(n) * unit, nil
}
