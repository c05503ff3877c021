package form

import (
	"encoding/json"
	"errors"
	"iter"
	"strings"

	"arbalest"
	"arbalest/internal/capture"
	"arbalest/internal/decode"
)

// maxDepth is how deep what came may be nested, which is what capture's default
// allows of properties and one more.
const maxDepth = 65

// elements returns the elements of an array that json.Valid takes, and where
// each begins.
func elements(array []byte) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		for at := skipSpace(array, 1); at < len(array) && array[at] != ']'; {
			end := skipValue(array, at)
			if !yield(at, array[at:end]) {
				return
			}
			if at = skipSpace(array, end); at < len(array) && array[at] == ',' {
				at = skipSpace(array, at+1)
			}
		}
	}
}

// skipValue returns the index after the value that begins at b[i].
func skipValue(b []byte, i int) int {
	for depth := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			for i++; i < len(b) && b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			depth++
			continue
		case '}', ']':
			depth--
		default:
			if depth > 0 {
				continue
			}
			for i+1 < len(b) && strings.IndexByte(",]} \t\r\n", b[i+1]) < 0 {
				i++
			}
		}
		if depth == 0 {
			return i + 1
		}
	}
	return len(b)
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// trim returns JSON text without the white space around it.
func trim(b []byte) []byte {
	b = b[skipSpace(b, 0):]
	for len(b) > 0 && strings.IndexByte(" \t\r\n", b[len(b)-1]) >= 0 {
		b = b[:len(b)-1]
	}
	return b
}

// object says what is wrong with an object that json.Valid takes, or nil: what
// is refused of our own form is refused of others too.
func object(b []byte) *capture.Refusal {
	if len(b) == 0 || b[0] != '{' {
		return refusef(capture.NotObject, "an event is a JSON object: this is %.40q", b)
	}
	if _, _, err := decode.Scan(b, 0, maxDepth); err != nil {
		var syntax *decode.SyntaxError
		if errors.As(err, &syntax) {
			return refusef(codeOf(syntax.Reason), "byte %d of the event: %s", syntax.Offset, syntax.Reason)
		}
		return refusef(capture.NotJSON, "%s", err)
	}
	return nil
}

// tooLarge says of what is larger than an event may be that it is, or returns
// nil: nothing else is looked at then.
func (f *Handler) tooLarge(b []byte) *capture.Refusal {
	if most := f.capture.MaxEvent(); len(b) > most {
		return refusef(capture.EventTooLarge, "the event has %d bytes: send no more than %d in it, or raise the limit for events", len(b), most)
	}
	return nil
}

// codeOf returns the code of a reason of decode.Scan.
func codeOf(reason string) capture.Code {
	for _, c := range [...]struct {
		part string
		code capture.Code
	}{
		{"too deep", capture.TooDeep}, {"key twice", capture.DuplicateKey}, {"not valid UTF-8", capture.InvalidUTF8}, {"surrogate", capture.LoneSurrogate},
	} {
		if strings.Contains(reason, c.part) {
			return c.code
		}
	}
	return capture.NotJSON
}

// isJSON says whether b is one JSON value that our own form would take.
func isJSON(b []byte) bool {
	end, _, err := decode.Scan(b, 0, maxDepth)
	return err == nil && skipSpace(b, end) == len(b)
}

// text returns the text of a JSON string; ok is false if raw is none.
func text(raw []byte) (_ string, ok bool) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	return string(decode.Unquote(nil, raw)), true
}

// isNull says whether a member is left out or null.
func isNull(raw []byte) bool { return len(raw) == 0 || string(raw) == "null" }

// appendMember appends a member to an object that is open.
func appendMember(dst []byte, key string, value []byte) []byte {
	if len(dst) > 0 && dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	dst = append(arbalest.AppendString(dst, key), ':')
	return decode.Compact(dst, value)
}

// isValid says whether a body is JSON.
func isValid(body []byte) bool { return json.Valid(body) }
