// Package strict reads YAML files in which every key must be known, so that a
// mistyped one is an error with its line and not silence.
//
// It stores nothing.
package strict

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"

	"arbalest"
)

// Unmarshal reads a file's bytes. The error wraps arbalest.ErrInvalid and says
// what and where: "invalid pipeline daily.yaml: [3:1] unknown field …". It quotes
// no line of the file, which may have a secret.
func Unmarshal(what, file string, b []byte, into any) error {
	if err := unmarshal(b, into); err != nil {
		return fmt.Errorf("%w %s %s: %s", arbalest.ErrInvalid, what, file, strings.TrimSpace(yaml.FormatError(err, false, false)))
	}
	return nil
}

// unmarshal does it. The parser panics at some text that is no YAML, such as a
// tag without a value, and a file that is edited must not end serve.
func unmarshal(b []byte, into any) (err error) {
	defer func() {
		if bad := recover(); bad != nil {
			err = fmt.Errorf("it is no YAML: %v", bad)
		}
	}()
	return yaml.UnmarshalWithOptions(b, into, yaml.Strict())
}
