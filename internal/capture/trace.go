package capture

import "net/http"

// Traceparent returns a request's traceparent where it is a valid one of W3C's
// Trace Context, else nothing: one header of a version, a trace, a parent and
// flags, in lower-case hexadecimal digits, of which trace and parent are not all
// zeros. A later version may have more after those; such is not kept.
func Traceparent(header http.Header) string {
	if all := header["Traceparent"]; len(all) == 1 && isTraceparent(all[0]) {
		return all[0]
	}
	return ""
}

// traceForm is a traceparent with a letter for each digit.
const traceForm = "vv-tttttttttttttttttttttttttttttttt-pppppppppppppppp-ff"

func isTraceparent(s string) bool {
	if len(s) != len(traceForm) || s[:2] == "ff" {
		return false
	}
	trace, parent := false, false // there is another digit than zero
	for i := range len(s) {
		c, want := s[i], traceForm[i]
		switch {
		case want == '-' && c == '-':
		case want == '-' || (c < '0' || c > '9') && (c < 'a' || c > 'f'):
			return false
		case c != '0':
			trace, parent = trace || want == 't', parent || want == 'p'
		}
	}
	return trace && parent
}

// trace gives all events of the request their attribute, if it has a valid
// traceparent.
func (in *intake) trace(traceparent string) {
	if !isTraceparent(traceparent) {
		return
	}
	in.traced = append(append(append(in.traced[:0], `{"traceparent":"`...), traceparent...), `"}`...)
	in.reader.attributes = in.traced
}
