package pgwire

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"arbalest"
)

// The formats of values on the wire.
const (
	textFormat   = 0
	binaryFormat = 1
)

// encode returns a value on the wire, of the text that castOf gives.
func (s *typeSet) encode(t columnType, value string, format int16) ([]byte, error) {
	var err error
	if t.element != 0 {
		value, err = arrayText(t.element, value)
	} else {
		value = pgText(t.oid, value)
	}
	if err != nil || format == textFormat {
		return []byte(value), err
	}
	switch t.oid {
	case 25, 114:
		return []byte(value), nil
	}
	return s.convert(t.oid, []byte(value), textFormat, binaryFormat)
}

// convert returns a value in another format.
func (s *typeSet) convert(oid uint32, value []byte, from, to int16) ([]byte, error) {
	t, ok := s.codec.TypeForOID(oid)
	if !ok {
		return nil, fmt.Errorf("%w: type %d is not known in binary: ask for text", arbalest.ErrInvalid, oid)
	}
	v, err := t.Codec.DecodeValue(s.codec, oid, from, value)
	if err == nil {
		value, err = s.codec.Encode(oid, to, v, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("%w value of type %s: %w", arbalest.ErrInvalid, t.Name, err)
	}
	return value, nil
}

// pgText returns the text that PostgreSQL has for what is DuckDB's.
func pgText(oid uint32, value string) string {
	switch oid {
	case 16:
		return value[:1]
	case 17:
		return `\x` + strings.ToLower(value)
	case 700, 701:
		switch value {
		case "inf":
			return "Infinity"
		case "-inf":
			return "-Infinity"
		case "nan":
			return "NaN"
		}
		return strings.TrimSuffix(value, ".0")
	case 1082, 1114, 1184:
		if head, tail, ok := strings.Cut(value, " (BC)"); ok {
			return head + tail + " BC"
		}
	case 1186:
		return intervalText(value)
	}
	return value
}

// intervalText returns "1 year 2 mons -3 days +04:05:06" for DuckDB's "1 year 2
// months -3 days 04:05:06".
func intervalText(value string) string {
	words := strings.Fields(value)
	var out []string
	negative := false // what came before
	for i := 0; i < len(words); i++ {
		w := words[i]
		if negative && w[0] != '-' {
			w = "+" + w
		}
		negative = w[0] == '-'
		if i+1 < len(words) {
			unit := strings.TrimSuffix(words[i+1], "s")
			if unit == "month" {
				unit = "mon"
			}
			if w != "1" && w != "+1" {
				unit += "s"
			}
			w += " " + unit
			i++
		}
		out = append(out, w)
	}
	return strings.Join(out, " ")
}

// arrayText returns PostgreSQL's array of a JSON list of texts.
func arrayText(element uint32, list string) (string, error) {
	var values []*string
	if err := json.Unmarshal([]byte(list), &values); err != nil {
		return "", fmt.Errorf("read list: %w", err)
	}
	var b strings.Builder
	b.WriteByte('{')
	for i, v := range values {
		if i > 0 {
			b.WriteByte(',')
		}
		if v == nil {
			b.WriteString("NULL")
			continue
		}
		b.WriteString(arrayElement(pgText(element, *v)))
	}
	b.WriteByte('}')
	return b.String(), nil
}

// arrayElement quotes an element where it must be.
func arrayElement(s string) string {
	if s != "" && !strings.EqualFold(s, "null") && !strings.ContainsAny(s, "{}\",\\ \t\n\r\v\f") {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// splitArray returns the elements of an array's text, nil for NULL. Arrays of
// arrays are refused.
func splitArray(s string) ([]*string, error) {
	wrong := fmt.Errorf("%w array %.40q: write {1,2}", arbalest.ErrInvalid, s)
	s = strings.TrimSpace(s)
	if len(s) < 2 || s[0] != '{' || s[len(s)-1] != '}' {
		return nil, wrong
	}
	values := []*string{}
	s = strings.TrimSpace(s[1 : len(s)-1])
	for len(s) > 0 {
		var b strings.Builder
		isQuoted, i := false, 0
		for ; i < len(s) && s[i] != ','; i++ {
			switch {
			case s[i] == '{' || s[i] == '}':
				return nil, wrong
			case s[i] == '\\' && i+1 < len(s):
				i++
				b.WriteByte(s[i])
			case s[i] == '"':
				isQuoted = true
				for i++; i < len(s) && s[i] != '"'; i++ {
					if s[i] == '\\' && i+1 < len(s) {
						i++
					}
					b.WriteByte(s[i])
				}
				if i >= len(s) {
					return nil, wrong
				}
			default:
				b.WriteByte(s[i])
			}
		}
		v := b.String()
		if !isQuoted {
			v = strings.TrimSpace(v)
		}
		if !isQuoted && strings.EqualFold(v, "null") {
			values = append(values, nil)
		} else {
			values = append(values, &v)
		}
		if i == len(s)-1 {
			return nil, wrong // ends with a comma
		}
		s = s[min(i+1, len(s)):]
	}
	return values, nil
}

// argument returns a parameter's value as castArgument takes it.
func (s *typeSet) argument(oid uint32, value []byte, format int16) (any, error) {
	if value == nil {
		return nil, nil
	}
	if format == binaryFormat && oid != 25 && oid != 1043 && oid != 114 {
		var err error
		if value, err = s.convert(oid, value, binaryFormat, textFormat); err != nil {
			return nil, err
		}
	}
	v := string(value)
	if strings.ContainsRune(v, 0) {
		return nil, fmt.Errorf("%w: a parameter has a byte 0", arbalest.ErrInvalid)
	}
	switch element := s.elementOf(oid); {
	case element != 0:
		values, err := splitArray(v)
		if err != nil {
			return nil, err
		}
		list, err := json.Marshal(values)
		return string(list), err
	case oid == 17:
		if hex, ok := strings.CutPrefix(v, `\x`); ok {
			return hex, nil
		}
		return fmt.Sprintf("%x", v), nil
	}
	return v, nil
}

// castArgument returns the expression for parameter n of a type.
func (s *typeSet) castArgument(n int, oid uint32) string {
	p, t := "$"+strconv.Itoa(n), s.duckOf(oid)
	switch element := s.elementOf(oid); {
	case element == 17:
		return "list_transform(from_json(CAST(" + p + ` AS VARCHAR), '["VARCHAR"]'), lambda x: unhex(x[3:]))`
	case element != 0:
		return "CAST(from_json(CAST(" + p + ` AS VARCHAR), '["VARCHAR"]') AS ` + t + ")"
	case oid == 17:
		return "unhex(CAST(" + p + " AS VARCHAR))"
	}
	return "CAST(CAST(" + p + " AS VARCHAR) AS " + t + ")"
}
