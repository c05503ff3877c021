package postgres

import (
	"strconv"
	"time"
)

// The OIDs of the types that have values of their own in Go (PostgreSQL,
// src/include/catalog/pg_type.dat).
const (
	oidBool        = 16
	oidInt8        = 20
	oidInt2        = 21
	oidInt4        = 23
	oidText        = 25
	oidOID         = 26
	oidJSON        = 114
	oidFloat4      = 700
	oidFloat8      = 701
	oidVarchar     = 1043
	oidDate        = 1082
	oidTimestamp   = 1114
	oidTimestampTZ = 1184
	oidNumeric     = 1700
	oidJSONB       = 3802
)

// parse reads a value as the server spells it; nil is NULL. Times that are not
// of the years 1 to 9999 are text, as infinity is.
func parse(oid uint32, text []byte) (any, error) {
	if text == nil {
		return nil, nil
	}
	switch oid {
	case oidBool:
		return len(text) == 1 && text[0] == 't', nil
	case oidInt2, oidInt4, oidInt8, oidOID:
		return strconv.ParseInt(string(text), 10, 64)
	case oidFloat4:
		return strconv.ParseFloat(string(text), 32)
	case oidFloat8:
		return strconv.ParseFloat(string(text), 64)
	case oidDate, oidTimestamp, oidTimestampTZ:
		if t, ok := parseTime(text); ok {
			return t, nil
		}
	}
	return string(text), nil
}

// parseTime reads "2006-01-02", "2006-01-02 15:04:05.999999" and the latter
// with "+00".
func parseTime(s []byte) (time.Time, bool) {
	if n := len(s); n > 3 && string(s[n-3:]) == "+00" {
		s = s[:n-3]
	}
	if len(s) != 10 && len(s) < 19 || len(s) > 26 || s[4] != '-' || s[7] != '-' {
		return time.Time{}, false
	}
	year, ok1 := digits(s[0:4])
	month, ok2 := digits(s[5:7])
	day, ok3 := digits(s[8:10])
	if !ok1 || !ok2 || !ok3 {
		return time.Time{}, false
	}
	if len(s) == 10 {
		return time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC), true
	}
	hour, ok1 := digits(s[11:13])
	minute, ok2 := digits(s[14:16])
	second, ok3 := digits(s[17:19])
	nano := 0
	if len(s) > 20 {
		var ok bool
		if nano, ok = digits(s[20:]); !ok {
			return time.Time{}, false
		}
		for range 9 - len(s[20:]) {
			nano *= 10
		}
	}
	return time.Date(year, time.Month(month), day, hour, minute, second, nano, time.UTC), ok1 && ok2 && ok3
}

func digits(s []byte) (n int, ok bool) {
	for _, c := range s {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}
