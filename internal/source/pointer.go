package source

import (
	"bytes"
	"encoding/json"
	"math/big"
	"strconv"
	"strings"
	"time"

	"arbalest/internal/decode"
)

// text returns what a JSON string says.
func text(value []byte) (string, bool) {
	if len(value) < 2 || value[0] != '"' {
		return "", false
	}
	return string(decode.Unquote(nil, value)), true
}

// hasTimestamp says that properties have a time that capture looks at.
func hasTimestamp(properties []byte) bool {
	value := find(properties, "/timestamp")
	return value != nil && string(value) != "null"
}

func spelledTime(value []byte) (time.Time, bool) {
	spelled, ok := text(value)
	if !ok {
		return time.Time{}, false
	}
	t, err := decode.ParseTime([]byte(spelled))
	return t, err == nil
}

// countedTime reads seconds since 1970, or milliseconds where there are 10^11 or
// more of them.
func countedTime(value []byte) (time.Time, bool) {
	if len(value) > 32 || bytes.ContainsAny(value, "eE") { // large ones would take long to read
		return time.Time{}, false
	}
	n, ok := new(big.Rat).SetString(string(value))
	if !ok {
		return time.Time{}, false
	}
	nanos := new(big.Rat).Mul(n, big.NewRat(1e9, 1))
	if new(big.Rat).Abs(n).Cmp(big.NewRat(1e11, 1)) >= 0 {
		nanos.Mul(n, big.NewRat(1e6, 1))
	}
	whole := new(big.Int).Div(nanos.Num(), nanos.Denom())
	if !whole.IsInt64() {
		return time.Time{}, false
	}
	return time.Unix(0, whole.Int64()).UTC(), true
}

// find returns the text of the value at a JSON pointer in valid JSON, or nil.
func find(value []byte, pointer string) []byte {
	unescape := strings.NewReplacer("~1", "/", "~0", "~")
	for _, token := range strings.Split(pointer, "/")[1:] {
		token = unescape.Replace(token)
		switch {
		case len(value) > 0 && value[0] == '{':
			var found []byte
			_ = decode.Members(value, func(key, v []byte) error { // which gives no error of its own
				if string(key) == token {
					found = v
				}
				return nil
			})
			value = found
		case len(value) > 0 && value[0] == '[':
			var elements []json.RawMessage
			n, err := strconv.Atoi(token)
			if err != nil || json.Unmarshal(value, &elements) != nil || n < 0 || n >= len(elements) || strconv.Itoa(n) != token {
				return nil
			}
			value = elements[n]
		default:
			return nil
		}
	}
	return value
}
