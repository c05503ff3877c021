package form

import (
	"encoding/base64"
	"strings"
	"time"
	"unicode/utf8"

	"arbalest"
	"arbalest/internal/capture"
	"arbalest/internal/decode"
)

// A CloudEvent's data becomes properties: an object as it is; another JSON value
// as {"data":value}, text as {"data":"text"}, and all else as
// {"data_base64":"…"}. No data is {}. That is the same for all three modes.

// jsonProperties returns the properties for data that is a JSON value.
func jsonProperties(value []byte) []byte {
	if value[0] == '{' {
		return value
	}
	return append(append([]byte(`{"data":`), value...), '}')
}

// byteProperties returns the properties for data that came as bytes of a
// content type; an empty one is not known.
func byteProperties(data []byte, contentType string) ([]byte, *capture.Refusal) {
	kind := mediaType(contentType)
	switch {
	case len(data) == 0:
		return nil, nil
	case isJSONType(kind):
		value := trim(data)
		if len(value) == 0 || !isValid(value) {
			return nil, refusef(capture.BadData, "the data is not the JSON that its content type %.80q says", contentType)
		}
		return jsonProperties(value), nil
	case contentType == "" && isJSON(trim(data)):
		return jsonProperties(trim(data)), nil
	case isTextType(kind, contentType) && utf8.Valid(data):
		return append(arbalest.AppendString([]byte(`{"data":`), string(data)), '}'), nil
	}
	b := base64.StdEncoding.AppendEncode([]byte(`{"data_base64":"`), data)
	return append(b, `"}`...), nil
}

// isJSONType says whether a media type declares JSON (CloudEvents JSON format,
// section 3.1.1).
func isJSONType(kind string) bool {
	return strings.HasSuffix(kind, "/json") || strings.HasSuffix(kind, "+json")
}

// isTextType says whether a media type declares text in UTF-8.
func isTextType(kind, contentType string) bool {
	_, parameters, _ := strings.Cut(strings.ToLower(contentType), "charset=")
	charset, _, _ := strings.Cut(parameters, ";")
	switch strings.Trim(charset, ` "`) {
	case "utf-8", "us-ascii":
		return true
	case "":
		return strings.HasPrefix(kind, "text/") || strings.HasSuffix(kind, "/xml") || strings.HasSuffix(kind, "+xml") || kind == "application/x-www-form-urlencoded"
	}
	return false
}

// growth returns how many bytes byteProperties may make of data.
func growth(data []byte) int {
	n := 2 * len(data)
	for _, c := range data {
		if c < 0x20 {
			n += 5
		}
	}
	return n + 32
}

// ownTime returns the time of an event that does not say: zero is that of its
// property timestamp or of its receipt, and byReceipt says that it is the latter
// though there is such a property, which is no time. Between the two is the time
// in the id that it came with (UUIDv7, ULID).
func ownTime(properties []byte, id string) (t time.Time, byReceipt bool) {
	var property []byte
	_ = decode.Members(properties, func(key, value []byte) error {
		if string(key) == "timestamp" && !isNull(value) {
			property = value
		}
		return nil
	})
	if s, ok := text(property); ok {
		if _, err := decode.ParseTime([]byte(s)); err == nil {
			return time.Time{}, false
		}
	}
	if t, ok := decode.IDTime(id); ok {
		return t, false
	}
	return time.Time{}, property != nil
}

// readTime returns the time that a member says. The zero time of programs that
// have none is refused: it would be taken for one that was left out.
func readTime(member, s string) (t time.Time, bad *capture.Refusal) {
	t, err := decode.ParseTime([]byte(s))
	switch {
	case err != nil:
		return t, refusef(capture.BadTime, "%s cannot be kept: %s", member, strings.TrimPrefix(err.Error(), arbalest.ErrInvalid.Error()+": "))
	case t.IsZero():
		return t, refusef(capture.BadTime, "%s is %s, which says that there is none: leave it out", member, s)
	}
	return t, nil
}
