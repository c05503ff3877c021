package source

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"arbalest"
)

// A message is what a broker delivered. All of it is the same when it is
// delivered again, except perhaps attributes.
type message struct {
	payload    []byte
	id         string    // of the message at the broker
	time       time.Time // that the broker has of it; zero if it has none
	attributes []byte    // of its events
	headers    []header
	// contentType is what the broker says of it beside the headers.
	contentType string
}

// A header is one of a message's. A name may be there several times.
type header struct {
	name  string
	value []byte
}

// size is what the message holds, about.
func (m *message) size() int { return len(m.payload) + 2*len(m.attributes) + 256 }

// An attributes builds the JSON object of what is known of a message.
type attributes struct{ b []byte }

func newAttributes(source string) *attributes {
	a := &attributes{b: []byte{'{'}}
	a.text("source", source)
	return a
}

func (a *attributes) name(name string) {
	if len(a.b) > 1 {
		a.b = append(a.b, ',')
	}
	a.b = append(arbalest.AppendString(a.b, name), ':')
}

func (a *attributes) text(name, value string) {
	if value != "" {
		a.name(name)
		a.b = appendText(a.b, []byte(value))
	}
}

func (a *attributes) number(name string, n int64) {
	a.name(name)
	a.b = strconv.AppendInt(a.b, n, 10)
}

// headers writes headers by name, as an array where there are several of one.
func (a *attributes) headers(headers []header) {
	if len(headers) == 0 {
		return
	}
	a.name("headers")
	a.b = append(a.b, '{')
	done := make(map[string]bool, len(headers))
	for i, h := range headers {
		name := strings.ToValidUTF8(h.name, "\uFFFD")
		if done[name] {
			continue
		}
		done[name] = true
		if a.b[len(a.b)-1] != '{' {
			a.b = append(a.b, ',')
		}
		a.b = append(arbalest.AppendString(a.b, name), ':')
		var more [][]byte
		for _, other := range headers[i+1:] {
			if strings.ToValidUTF8(other.name, "\uFFFD") == name {
				more = append(more, other.value)
			}
		}
		if more == nil {
			a.b = appendText(a.b, h.value)
			continue
		}
		a.b = appendText(append(a.b, '['), h.value)
		for _, v := range more {
			a.b = appendText(append(a.b, ','), v)
		}
		a.b = append(a.b, ']')
	}
	a.b = append(a.b, '}')
}

func (a *attributes) end() []byte { return append(a.b, '}') }

// appendText appends bytes as a JSON string or, if they are no text that SQL
// holds, as {"base64":"…"}.
func appendText(dst, value []byte) []byte {
	text := string(value)
	if utf8.ValidString(text) && strings.IndexByte(text, 0) < 0 {
		return arbalest.AppendString(dst, text)
	}
	dst = append(dst, `{"base64":"`...)
	return append(base64.StdEncoding.AppendEncode(dst, value), `"}`...)
}

// eventID returns an id as events may have it: the same, or its hash.
func eventID(id string) string {
	if len(id) <= arbalest.MaxEventID && utf8.ValidString(id) && strings.IndexByte(id, 0) < 0 {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:16])
}
