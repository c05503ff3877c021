package form

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"arbalest/internal/capture"
)

// cloudHeader begins the names of headers that are attributes, as net/http
// spells them.
const cloudHeader = "Ce-"

// binary returns the event of a request in binary mode.
func binary(header http.Header, body []byte) capture.Foreign {
	a, bad := headerAttributes(header)
	properties, badData := byteProperties(body, a.text("datacontenttype"))
	e := cloudEvent(&a, properties, firstOf(bad, firstOf(a.check(), badData)))
	if e.Form = formCloudHTTP; e.Bad != nil {
		e.Raw = asHTTP(header, body)
	}
	return e
}

// headerAttributes reads attributes out of headers, in the order of their names.
func headerAttributes(header http.Header) (a attributes, bad *capture.Refusal) {
	for _, key := range cloudHeaders(header) {
		name := strings.ToLower(key[len(cloudHeader):])
		bad = firstOf(bad, checkName(name))
		if name == "datacontenttype" {
			bad = firstOf(bad, refusef(capture.BadForm, "there is a header ce-datacontenttype: in binary mode Content-Type is that attribute"))
			continue
		}
		if len(header[key]) != 1 {
			bad = firstOf(bad, refusef(capture.BadForm, "the header ce-%s is there %d times: an attribute is there once", name, len(header[key])))
		}
		value := headerValue(name, header[key][0])
		if refused := checkText(name, value); refused != nil {
			bad = firstOf(bad, refused)
			continue
		}
		a.set(name, quote(value))
	}
	if types := header["Content-Type"]; len(types) > 0 && utf8.ValidString(types[0]) {
		bad = firstOf(bad, checkText("datacontenttype", types[0]))
		a.set("datacontenttype", quote(types[0]))
	}
	return a, bad
}

// cloudHeaders returns the headers that are attributes, sorted.
func cloudHeaders(header http.Header) (keys []string) {
	for key := range header {
		if len(key) > len(cloudHeader) && strings.EqualFold(key[:len(cloudHeader)], cloudHeader) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// headerValue decodes a header's value (HTTP binding, section 3.1.3.2): without
// its quotes, then one round of percent-decoding. Published senders do not
// percent-encode, so a URI that has escapes of its own would no longer be one:
// it is then taken as it is.
func headerValue(name, raw string) string {
	raw = unquoted(raw)
	value := unescaped(raw)
	if (name == "source" || name == "dataschema") && !isReference(value) && isReference(raw) {
		return raw
	}
	return value
}

// unquoted returns what a quoted string says (RFC 7230, section 3.2.6).
func unquoted(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	var b []byte
	for i := 1; i < len(s)-1; i++ {
		if s[i] == '"' {
			return s // it ends before the end: it is not one quoted string
		}
		if s[i] == '\\' {
			if i++; i == len(s)-1 {
				return s
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

// unescaped decodes %xy. A percent sign that begins no escape stays.
func unescaped(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			b = append(b, hexDigit(s[i+1])<<4|hexDigit(s[i+2]))
			i += 2
			continue
		}
		b = append(b, s[i])
	}
	return string(b)
}

func hexDigit(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// asHTTP returns what came in binary mode: its headers, without those that are
// not the event's, an empty line, and the body.
func asHTTP(header http.Header, body []byte) []byte {
	var b bytes.Buffer
	keys := cloudHeaders(header)
	if len(header["Content-Type"]) > 0 {
		keys = append(keys, "Content-Type")
	}
	for _, key := range keys {
		for _, value := range header[key] {
			b.WriteString(key + ": " + value + "\r\n")
		}
	}
	b.WriteString("\r\n")
	b.Write(body)
	return b.Bytes()
}
