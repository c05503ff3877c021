package form

import (
	"encoding/base64"
	"strings"
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

// hasTimestamp says whether an object has the property that capture would take
// the time from.
func hasTimestamp(object []byte) (has bool) {
	_ = decode.Members(object, func(key, value []byte) error {
		has = has || string(key) == "timestamp" && !isNull(value)
		return nil
	})
	return has
}
