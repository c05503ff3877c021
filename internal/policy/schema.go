package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"arbalest"
)

// A schema is a compiled JSON Schema. Formats are asserted: who writes
// "format": "email" wants it checked.
type schema struct{ compiled *jsonschema.Schema }

// newSchema compiles a JSON Schema. References are read from files only.
func newSchema(text []byte, file string) (*schema, error) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("%w schema: %v", arbalest.ErrInvalid, err)
	}
	file, err = filepath.Abs(file)
	if err != nil {
		return nil, fmt.Errorf("%w schema: %v", arbalest.ErrInvalid, err)
	}
	at := (&url.URL{Scheme: "file", Path: filepath.ToSlash(file)}).String()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	c.UseLoader(jsonschema.SchemeURLLoader{"file": jsonschema.FileLoader{}})
	if err := c.AddResource(at, document); err != nil {
		return nil, fmt.Errorf("%w schema: %v", arbalest.ErrInvalid, err)
	}
	compiled, err := c.Compile(at)
	if err != nil {
		return nil, fmt.Errorf("%w schema: %v", arbalest.ErrInvalid, err)
	}
	return &schema{compiled}, nil
}

// maxDigits is how long a number may be, and how large its exponent, to be held
// against a schema: that is exact, and takes time as its digits are many.
const maxDigits = 400

// check returns what of a JSON object the schema does not take. What is said of
// it has no value in it.
func (s *schema) check(object []byte) []finding {
	dec := json.NewDecoder(bytes.NewReader(object))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		return []finding{{reason: "it is nested too deep to be checked"}}
	}
	if path, ok := hugeNumber(nil, value); ok {
		return []finding{{path: path, reason: fmt.Sprintf("it is a number of more than %d digits, which is not held against a schema", maxDigits)}}
	}
	var bad *jsonschema.ValidationError
	err := s.compiled.Validate(value)
	if err == nil {
		return nil
	}
	if !errors.As(err, &bad) {
		return []finding{{reason: "it cannot be held against the schema"}}
	}
	return causes(nil, bad)
}

// causes appends what a validation error comes from: of alternatives the value
// that has none, else the innermost values.
func causes(dst []finding, e *jsonschema.ValidationError) []finding {
	path := slices.Clone(e.InstanceLocation)
	switch k := e.ErrorKind.(type) {
	case *kind.AnyOf, *kind.OneOf, *kind.Not, *kind.Contains:
		return append(dst, finding{path: path, reason: "it is none of what the schema allows"})
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			dst = append(dst, finding{path: append(slices.Clone(path), name), reason: "the schema has no such property", unknown: true})
		}
		return dst
	case *kind.PropertyNames:
		return append(dst, finding{path: append(path, k.Property), reason: "the schema allows no such name", unknown: true})
	case *kind.FalseSchema:
		return append(dst, finding{path: path, reason: "the schema has no such property", unknown: true})
	case *kind.Required:
		for _, name := range k.Missing {
			dst = append(dst, finding{path: append(slices.Clone(path), name), reason: "it is required, and not there", missing: true})
		}
		return dst
	case *kind.DependentRequired:
		return append(dst, finding{path: path, reason: fmt.Sprintf("with %s it must have %s", k.Prop, strings.Join(k.Missing, ", ")), missing: true})
	}
	if len(e.Causes) == 0 {
		return append(dst, finding{path: path, reason: wanted(e.ErrorKind)})
	}
	for _, c := range e.Causes {
		dst = causes(dst, c)
	}
	return dst
}

// wanted says what the schema wants, and nothing of what came but its type.
func wanted(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Type:
		return "it is of type " + k.Got + ", and the schema wants " + strings.Join(k.Want, " or ")
	case *kind.Format:
		return "it is not of the format " + k.Want
	case *kind.Pattern:
		return "it does not match " + k.Want
	case *kind.Enum:
		return "it is none of the values that the schema lists"
	case *kind.Const:
		return "it is not the value that the schema wants"
	case *kind.MinLength:
		return fmt.Sprintf("it is shorter than %d characters", k.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("it is longer than %d characters", k.Want)
	case *kind.Minimum:
		return "it is less than " + k.Want.RatString()
	case *kind.Maximum:
		return "it is more than " + k.Want.RatString()
	case *kind.ExclusiveMinimum:
		return "it is not more than " + k.Want.RatString()
	case *kind.ExclusiveMaximum:
		return "it is not less than " + k.Want.RatString()
	}
	if words := k.KeywordPath(); len(words) > 0 {
		return "the schema's " + words[0] + " does not allow it"
	}
	return "the schema does not allow it"
}

// hugeNumber returns the path of the first number that is too long to be
// checked.
func hugeNumber(path []string, value any) ([]string, bool) {
	switch v := value.(type) {
	case json.Number:
		_, exponent, _ := strings.Cut(strings.ToLower(v.String()), "e")
		size := len(strings.TrimLeft(exponent, "+-0"))
		n, _ := strconv.Atoi(strings.TrimLeft(exponent, "+-"))
		return path, len(v) > maxDigits || size > 4 || n > maxDigits
	case []any:
		for i, e := range v {
			if p, ok := hugeNumber(append(path, strconv.Itoa(i)), e); ok {
				return p, true
			}
		}
	case map[string]any:
		for key, e := range v {
			if p, ok := hugeNumber(append(path, key), e); ok {
				return p, true
			}
		}
	}
	return nil, false
}
