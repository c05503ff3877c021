package redshifttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A column is one of the table's that a COPY fills.
type column struct {
	name    string // Redshift's
	here    string // PostgreSQL's
	kind    string // PostgreSQL's type without parameters
	length  int    // of character types, in bytes
	scale   int
	digits  int // precision
	notNull bool
}

// A loadError is why a value or a document is not loaded. Codes are those of the
// Developer Guide's "Load error reference" as far as they are known; 1224 stands
// for the others.
type loadError struct {
	code   int
	reason string
}

func (e *loadError) Error() string { return e.reason }

// convert makes PostgreSQL's text of a JSON value for a column; null says NULL.
func (c copyStatement) convert(col column, raw json.RawMessage) (text string, null bool, err error) {
	switch {
	case raw == nil:
		return "", true, nil
	case col.kind == "json":
		return convertSuper(raw)
	case string(raw) == "null":
		return "", true, nil
	}
	isString := raw[0] == '"'
	text = string(raw)
	if isString {
		if bytes.Contains(raw, []byte(`\u`)) && lonely.Match(raw) || !utf8.Valid(raw) {
			return "", false, &loadError{1220, "String contains invalid or unsupported UTF8 code"}
		}
		if err := json.Unmarshal(raw, &text); err != nil {
			return "", false, &loadError{1224, err.Error()}
		}
		if strings.Contains(text, "\x00") {
			return "", false, &loadError{1224, "emulator: NUL, of which nothing is documented"}
		}
	}
	if col.kind == "character varying" || col.kind == "character" {
		return c.convertText(col, text)
	}
	if text == "" {
		return "", true, nil // "an empty string for INT etc. is NULL"
	}
	switch col.kind {
	case "boolean":
		text, err = convertBoolean(text)
	case "smallint", "integer", "bigint":
		text, err = c.convertDecimal(col, text, isString)
	case "numeric":
		text, err = c.convertDecimal(col, text, isString)
	case "real", "double precision":
		text, err = convertFloat(text, col.kind == "real")
	case "date", "timestamp without time zone", "timestamp with time zone":
		text, err = c.convertTime(col, text, isString)
	default:
		err = &loadError{1224, "emulator: type " + col.kind}
	}
	return text, false, err
}

// lonely matches a surrogate that is no half of a pair.
var lonely = regexp.MustCompile(`(?i)(^|[^\\])(\\\\)*(\\ud[89ab][0-9a-f]{2}($|[^\\]|\\[^u]|\\u[^d]|\\ud[^c-f])|\\ud[c-f][0-9a-f]{2})`)

// convertSuper keeps the text as it came. How Redshift spells a SUPER, and whether
// JSON's null is NULL in one, is not documented.
func convertSuper(raw json.RawMessage) (string, bool, error) {
	if !utf8.Valid(raw) || bytes.Contains(raw, []byte(`\u0000`)) && !bytes.Contains(raw, []byte(`\\u0000`)) {
		return "", false, &loadError{1220, "String contains invalid or unsupported UTF8 code"}
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	for {
		t, err := d.Token()
		if err != nil {
			return string(raw), false, nil
		}
		if s, ok := t.(string); ok && len(s) > 65535 {
			return "", false, &loadError{1224, "String value exceeds the max size of 65535 bytes"}
		}
	}
}

// convertText holds a text to its column's length, in bytes. Blanks in excess do
// not count.
func (c copyStatement) convertText(col column, text string) (string, bool, error) {
	if text == "" && c.emptyIsNull || c.blankIsNull && strings.TrimSpace(text) == "" {
		return "", true, nil
	}
	if col.kind == "character" && utf8.RuneCountInString(text) < len(text) {
		return "", false, &loadError{1220, "String contains invalid or unsupported UTF8 code"}
	}
	if len(text) > col.length {
		head := text[:col.length]
		for !utf8.ValidString(head) {
			head = head[:len(head)-1]
		}
		if !c.truncate && strings.TrimRight(text[len(head):], " ") != "" {
			return "", false, &loadError{1204, "String length exceeds DDL length"}
		}
		text = head
	}
	return text, false, nil
}

func convertBoolean(text string) (string, error) {
	switch fold(text) {
	case "true", "t", "1", "yes", "y":
		return "t", nil
	case "false", "f", "0", "no", "n":
		return "f", nil
	}
	return "", &loadError{1210, "Unknown boolean format"}
}

// convertDecimal makes a number of a column's scale. JSON's numbers go through a
// double ("Loss of numeric precision"), strings do not; what is beyond the scale
// is cut off, unless there is ROUNDEC.
func (c copyStatement) convertDecimal(col column, text string, isString bool) (string, error) {
	digit := &loadError{1207, fmt.Sprintf("Invalid digit, Value '%.1s', Pos 0, Type: %s", text, kinds[col.kind])}
	if !isString {
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return "", digit
		}
		text = strconv.FormatFloat(f, 'f', -1, 64)
	}
	text = strings.TrimSpace(text)
	if !decimals.MatchString(text) {
		return "", digit
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return "", digit
	}
	ten := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(col.scale)), nil)
	scaled := new(big.Rat).Mul(r, new(big.Rat).SetInt(ten))
	if c.round {
		half := big.NewRat(int64(scaled.Sign()), 2)
		scaled.Add(scaled, half)
	}
	whole := new(big.Int).Quo(scaled.Num(), scaled.Denom())
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(col.digits)), nil)
	switch col.kind {
	case "smallint":
		limit = big.NewInt(math.MaxInt16 + 1)
	case "integer":
		limit = big.NewInt(math.MaxInt32 + 1)
	case "bigint":
		limit = new(big.Int).Lsh(big.NewInt(1), 63)
	}
	over := whole.CmpAbs(limit) >= 0
	if over && col.kind != "numeric" && whole.Sign() < 0 && whole.CmpAbs(limit) == 0 {
		over = false // the least integer
	}
	if over {
		return "", &loadError{1224, fmt.Sprintf("Overflow, Value '%.40s', Type: %s", text, kinds[col.kind])}
	}
	return new(big.Rat).SetFrac(whole, ten).FloatString(col.scale), nil
}

var decimals = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$`)

// kinds are types as error 1207 names them.
var kinds = map[string]string{"smallint": "Short", "integer": "Integer", "bigint": "Long", "numeric": "Decimal"}

func convertFloat(text string, short bool) (string, error) {
	bits := 64
	if short {
		bits = 32
	}
	f, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if short && err == nil {
		f = float64(float32(f))
	}
	if err != nil || math.IsInf(f, 0) {
		return "", &loadError{1207, fmt.Sprintf("Invalid digit, Value '%.1s', Pos 0, Type: Float%d", text, bits/8)}
	}
	return strconv.FormatFloat(f, 'g', -1, bits), nil
}

// automaticTime are the forms of 'auto' that the emulator knows ("Using
// automatic recognition"): ISO 8601 and what is near it.
var automaticTime = regexp.MustCompile(`^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(\.\d+)?)?)? ?(Z|[+-]\d\d(?::?\d\d)?)?$`)

// convertTime reads a time. The zone of a value for a TIMESTAMP is left out, as
// CAST does, by which the documentation has one test what 'auto' does.
func (c copyStatement) convertTime(col column, text string, isString bool) (string, error) {
	bad := &loadError{1206, "Invalid timestamp format or value [" + c.timeFormat + "]"}
	format := c.timeFormat
	if col.kind == "date" {
		bad, format = &loadError{1205, "Invalid Date Format"}, c.dateFormat
	}
	switch format {
	case "epochsecs", "epochmillisecs":
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || col.kind == "date" {
			return "", bad
		}
		t := time.Unix(n, 0)
		if format == "epochmillisecs" {
			t = time.UnixMilli(n)
		}
		return t.UTC().Format("2006-01-02 15:04:05.000-07"), nil
	case "auto", "YYYY-MM-DD HH:MI:SS", "YYYY-MM-DD":
	default:
		return "", &loadError{1224, "emulator: format " + format}
	}
	m := automaticTime.FindStringSubmatch(text)
	if !isString || m == nil || format == "YYYY-MM-DD HH:MI:SS" && (m[6] == "" || text[10] != ' ') {
		return "", bad
	}
	if _, err := time.Parse(time.DateOnly, text[:10]); err != nil {
		return "", bad
	}
	clock := "00:00:00"
	if m[4] != "" {
		clock = m[4] + ":" + m[5] + ":" + or(m[6], "00")
		if _, err := time.Parse(time.TimeOnly, clock); err != nil {
			return "", bad
		}
	}
	switch col.kind {
	case "date":
		return text[:10], nil
	case "timestamp without time zone":
		return text[:10] + " " + clock + m[7], nil
	}
	return text[:10] + " " + clock + m[7] + or(m[8], "Z"), nil
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
