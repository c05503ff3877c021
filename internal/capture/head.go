package capture

import "bytes"

// A request is what the front needs of a request's head.
type request struct {
	length int64
	id     []byte // the client's X-Request-Id, nil if it sent none that is sane
	trace  []byte // its Traceparent, nil if it sent none or several
	key    []byte // its key, nil if it sent none
	// barred says that where there is a gate the request is for net/http: its key
	// is spelled in another way than as a Bearer or an X-Api-Key alone.
	barred bool
}

// keyed notes a key that was sent.
func (r *request) keyed(key []byte) {
	r.barred = r.barred || r.key != nil || len(key) == 0
	r.key = key
}

// requestLine is the only one that the front answers.
const requestLine = "POST /v1/events HTTP/1.1\r\n"

// parseHead reads a request's head, with its blank line. It is ok only if it is
// a request that the front understands whole; anything else, wrong or merely
// rare, is for net/http. What is ok here net/http would take too, and answer in
// the same way (FuzzFront).
func parseHead(head []byte, maxBody int) (r request, ok bool) {
	rest, ok := bytes.CutPrefix(head, []byte(requestLine))
	if !ok {
		return r, false
	}
	r.length = -1
	hosts, ids, traces := 0, 0, 0
	for {
		line, more, found := bytes.Cut(rest, []byte("\r\n"))
		if !found {
			return r, false
		}
		if rest = more; len(line) == 0 {
			return r, len(rest) == 0 && hosts == 1 && r.length >= 0
		}
		colon := bytes.IndexByte(line, ':')
		if colon <= 0 || !isToken(line[:colon]) {
			return r, false
		}
		name, value := line[:colon], bytes.Trim(line[colon+1:], " \t")
		if !isText(value) {
			return r, false
		}
		switch {
		case is(name, "host"):
			if hosts++; !isHost(value) {
				return r, false
			}
		case is(name, "content-length"):
			if r.length >= 0 {
				return r, false
			}
			if r.length, ok = decimal(value); !ok || r.length > int64(maxBody) {
				return r, false
			}
		case is(name, "x-request-id"):
			if ids++; ids == 1 && sane(string(value)) {
				r.id = value
			} else {
				r.id = nil
			}
		case is(name, "traceparent"):
			if traces++; traces == 1 {
				r.trace = value
			} else {
				r.trace = nil
			}
		case is(name, "authorization"):
			const scheme = "bearer "
			if len(value) < len(scheme) || !is(value[:len(scheme)], scheme) {
				r.barred = true
				continue
			}
			r.keyed(bytes.Trim(value[len(scheme):], " \t"))
		case is(name, "x-api-key"):
			r.keyed(value)
		case is(name, "connection"):
			if !is(value, "keep-alive") {
				return r, false
			}
		case is(name, "content-type"):
			if len(value) >= len(cloudType) && is(value[:len(cloudType)], cloudType) {
				return r, false // a CloudEvent, as is what has its version
			}
		case is(name, "transfer-encoding"), is(name, "content-encoding"), is(name, "expect"), is(name, "upgrade"), is(name, "trailer"),
			is(name, "ce-specversion"), is(name, "origin"): // a browser's, which is told of origins
			return r, false
		}
	}
}

// is compares ASCII without case; lower is in lower case.
func is(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// isToken says whether b is a header's name (RFC 9110, section 5.6.2), but for
// characters that nobody uses.
func isToken(b []byte) bool {
	for _, c := range b {
		if (c|0x20 < 'a' || c|0x20 > 'z') && c-'0' > 9 && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// isText says whether b has no control characters, but for tabs.
func isText(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// isHost says whether b is a host and port in plain characters.
func isHost(b []byte) bool {
	for _, c := range b {
		if (c|0x20 < 'a' || c|0x20 > 'z') && c-'0' > 9 && c != '-' && c != '.' && c != ':' && c != '[' && c != ']' {
			return false
		}
	}
	return len(b) > 0
}

// decimal reads a number of at most nine digits.
func decimal(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > 9 {
		return 0, false
	}
	for _, c := range b {
		if c -= '0'; c > 9 {
			return 0, false
		}
		n = n*10 + int64(c)
	}
	return n, true
}
