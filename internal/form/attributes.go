package form

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"arbalest"
	"arbalest/internal/capture"
)

// Attributes are a CloudEvent's context: names and the JSON texts of their
// values, in the order in which they came.
type attributes struct {
	names  []string
	values [][]byte
}

// set adds an attribute whose name has been checked.
func (a *attributes) set(name string, value []byte) {
	a.names, a.values = append(a.names, name), append(a.values, value)
}

// text returns an attribute that is a string, or "".
func (a *attributes) text(name string) string {
	if i := slices.Index(a.names, name); i >= 0 {
		s, _ := text(a.values[i])
		return s
	}
	return ""
}

// json returns all as a JSON object.
func (a *attributes) json() []byte {
	b := []byte{'{'}
	for i, name := range a.names {
		b = appendMember(b, name, a.values[i])
	}
	return append(b, '}')
}

// checkName holds the rule for names (CloudEvents 1.0.2, Naming Conventions).
func checkName(name string) *capture.Refusal {
	if name == "data" || name == "" {
		return refusef(capture.BadForm, "%q cannot be the name of an attribute", name)
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return refusef(capture.BadForm, "the attribute %.80q has %q in its name: names have only a to z and 0 to 9", name, rune(c))
		}
	}
	return nil
}

// checkValue holds the type system: strings of allowed characters, Booleans and
// Integers of 32 bits.
func checkValue(name string, raw []byte) *capture.Refusal {
	switch c := raw[0]; {
	case c == '"':
		s, _ := text(raw)
		return checkText(name, s)
	case c == 't', c == 'f':
	case c == '{', c == '[':
		return refusef(capture.BadForm, "the attribute %s is an object or array: attributes are strings, whole numbers or Booleans", name)
	default:
		if _, err := strconv.ParseInt(string(raw), 10, 32); err != nil {
			return refusef(capture.BadForm, "the attribute %s is %.40s: numbers are whole, from -2147483648 to 2147483647, without a fraction or exponent", name, raw)
		}
	}
	return nil
}

// checkText holds what a String may not have: control characters, and code
// points that are no characters.
func checkText(name, s string) *capture.Refusal {
	if !utf8.ValidString(s) {
		return refusef(capture.InvalidUTF8, "the attribute %s is not valid UTF-8", name)
	}
	for _, r := range s {
		if r < 0x20 || 0x7f <= r && r <= 0x9f || 0xfdd0 <= r && r <= 0xfdef || r&0xfffe == 0xfffe {
			return refusef(capture.BadForm, "the attribute %s has the character U+%04X, which attributes may not have", name, r)
		}
	}
	return nil
}

// check holds what is demanded of the attributes that the specification names,
// after checkName and checkValue of each.
func (a *attributes) check() *capture.Refusal {
	for _, name := range [...]string{"specversion", "id", "source", "type"} {
		i := slices.Index(a.names, name)
		if i < 0 {
			return refusef(capture.BadForm, "the attribute %s is missing: a CloudEvent has id, source, specversion and type", name)
		}
		if s, ok := text(a.values[i]); !ok || s == "" {
			return refusef(capture.BadForm, "the attribute %s is not a string that is not empty", name)
		}
	}
	if v := a.text("specversion"); v != "1.0" {
		return refusef(capture.BadForm, "specversion is %.20q: only CloudEvents 1.0 is understood", v)
	}
	if s := a.text("source"); !isReference(s) {
		return refusef(capture.BadForm, "source is %.80q, which is not a URI-reference", s)
	}
	for i, name := range a.names {
		s, ok := text(a.values[i])
		switch name {
		case "subject", "dataschema", "datacontenttype", "time":
			if !ok || s == "" {
				return refusef(capture.BadForm, "the attribute %s is not a string that is not empty: leave it out where there is none", name)
			}
		}
		switch {
		case name == "dataschema" && !isURI(s):
			return refusef(capture.BadForm, "dataschema is %.80q, which is not an absolute URI", s)
		case name == "datacontenttype" && mediaType(s) == "":
			return refusef(capture.BadForm, "datacontenttype is %.80q, which is not a media type (RFC 2046)", s)
		case name == "time" && !isRFC3339(s):
			return refusef(capture.BadTime, "time is %.80q, which is not RFC 3339: send a time such as 2018-04-05T17:31:00Z", s)
		}
	}
	return nil
}

// isReference says whether s is a URI-reference that is not empty, in the
// characters of RFC 3986.
func isReference(s string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~:/?#[]@!$&'()*+,;=", c) >= 0:
		case c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
		default:
			return false
		}
	}
	return s != "" && strings.Count(s, "#") <= 1
}

// isURI says whether s is a URI with a scheme.
func isURI(s string) bool {
	scheme, rest, found := strings.Cut(s, ":")
	if !found || rest == "" || !isReference(s) || scheme == "" || scheme[0]|0x20 < 'a' || scheme[0]|0x20 > 'z' {
		return false
	}
	for _, c := range []byte(scheme) {
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '+' && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

// isRFC3339 says whether s has the shape that RFC 3339, section 5.6, gives times;
// whether there is such a time is seen when it is read.
func isRFC3339(s string) bool {
	const shape = "dddd-dd-ddTdd:dd:dd"
	if len(s) <= len(shape) {
		return false
	}
	for i, want := range []byte(shape) {
		if c := s[i]; want == 'd' && (c < '0' || c > '9') || want == 'T' && c|0x20 != 't' || want != 'd' && want != 'T' && c != want {
			return false
		}
	}
	rest := s[len(shape):]
	if rest[0] == '.' {
		digits := len(rest) - len(strings.TrimLeft(rest[1:], "0123456789")) - 1
		if digits == 0 {
			return false
		}
		rest = rest[1+digits:]
	}
	if rest == "Z" || rest == "z" {
		return true
	}
	return len(rest) == len("+00:00") && (rest[0] == '+' || rest[0] == '-') && rest[3] == ':' &&
		strings.Trim(rest[1:3]+rest[4:], "0123456789") == ""
}

// mediaType returns a media type in lower case without its parameters, or ""
// where it is none.
func mediaType(s string) string {
	s, _, _ = strings.Cut(s, ";")
	s = strings.ToLower(strings.Trim(s, " \t"))
	major, minor, found := strings.Cut(s, "/")
	if !found || !isTokens(major) || !isTokens(minor) {
		return ""
	}
	return s
}

// isTokens says whether s is a token (RFC 2045, section 5.1).
func isTokens(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?=`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// quote returns s as a JSON string.
func quote(s string) []byte { return arbalest.AppendString(nil, s) }

// time returns the attribute time. It is zero if there is none.
func (a *attributes) time() (t time.Time, bad *capture.Refusal) {
	if s := a.text("time"); s != "" {
		return readTime("time", s)
	}
	return t, nil
}
