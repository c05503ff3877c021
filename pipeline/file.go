package pipeline

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"arbalest"
	"arbalest/internal/strict"
)

// JSONSchema is the JSON Schema (draft 2020-12) of a pipeline's file, for
// editors.
//
//go:embed pipeline.schema.json
var JSONSchema []byte

// A File is a pipeline in YAML, as JSONSchema says.
type File struct {
	*Pipeline
	// Schedule says when serve runs the pipeline, as a cron expression of five
	// fields, @hourly, @daily or "@every 10m", in UTC; empty is never.
	Schedule string
}

// A Lookup gives the value of ${NAME} in a file, and whether there is one.
type Lookup func(name string) (string, bool)

// ReadFile reads a pipeline's file, and those that it requires, whose paths are
// relative to its own folder. The error wraps arbalest.ErrInvalid, and has the
// file, line and column.
func ReadFile(path string, lookup Lookup) (File, error) {
	f, err := readFile(filepath.Clean(path), lookup, map[string]*Pipeline{}, nil)
	if err != nil {
		return File{}, err
	}
	return f, nil
}

// readFile reads each file once; path has the files that led to this one.
func readFile(file string, lookup Lookup, read map[string]*Pipeline, path []string) (File, error) {
	if slices.Contains(path, file) {
		return File{}, fmt.Errorf("%w: %s: a pipeline cannot require itself", arbalest.ErrInvalid, strings.Join(append(path, file), " requires "))
	}
	if p := read[file]; p != nil {
		return File{Pipeline: p}, nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return File{}, fmt.Errorf("read pipeline: %w", err)
	}
	f, requires, err := parse(file, b, lookup)
	if err != nil {
		return File{}, err
	}
	for _, r := range requires {
		other, err := readFile(filepath.Join(filepath.Dir(file), r), lookup, read, append(slices.Clone(path), file))
		if err != nil {
			return File{}, err
		}
		f.Requires(other.Pipeline)
	}
	read[file] = f.Pipeline
	return f, nil
}

// Parse reads a pipeline that requires no other. name is what errors call it.
func Parse(name string, b []byte, lookup Lookup) (File, error) {
	f, requires, err := parse(name, b, lookup)
	if err == nil && len(requires) > 0 {
		err = fmt.Errorf("%w: %s requires other files: read it with ReadFile", arbalest.ErrInvalid, name)
	}
	return f, err
}

func parse(name string, b []byte, lookup Lookup) (File, []string, error) {
	var spec fileSpec
	if err := strict.Unmarshal("pipeline", name, b, &spec); err != nil {
		return File{}, nil, err
	}
	tree, err := parser.ParseBytes(b, 0)
	if err != nil {
		return File{}, nil, fmt.Errorf("%w pipeline %s: %v", arbalest.ErrInvalid, name, err)
	}
	if spec.Name == "" {
		spec.Name = strings.TrimSuffix(filepath.Base(name), filepath.Ext(name))
	}
	f := File{Pipeline: New(spec.Name), Schedule: spec.Schedule}
	if !validName.MatchString(spec.Name) {
		return File{}, nil, fmt.Errorf("%w pipeline %s: name %q: use letters, digits, '.', '_' and '-', at most 127", arbalest.ErrInvalid, name, spec.Name)
	}
	if err := expander(lookup).all(&spec.Store); err != nil {
		return File{}, nil, fmt.Errorf("%s:%s: %w", name, position(tree, "$.store"), err)
	}
	f.From(beside(name, spec.Store))
	for i, s := range spec.Steps {
		step, err := s.step(expander(lookup))
		if err != nil {
			return File{}, nil, fmt.Errorf("%s:%s: step %d: %w", name, position(tree, fmt.Sprintf("$.steps[%d]", i)), i+1, err)
		}
		f.steps = append(f.steps, step)
	}
	if len(f.steps) == 0 {
		return File{}, nil, fmt.Errorf("%w pipeline %s: it has no steps", arbalest.ErrInvalid, name)
	}
	return f, spec.Requires, nil
}

// beside makes a relative path of a store one beside the file.
func beside(file, store string) string {
	if store == "" || filepath.IsAbs(store) || strings.Contains(store, ":") {
		return store
	}
	return filepath.Join(filepath.Dir(file), store)
}

// position returns the line and column of a path of the file.
func position(tree *ast.File, path string) string {
	p, err := yaml.PathString(path)
	if err != nil {
		return "?"
	}
	node, err := p.FilterFile(tree)
	if err != nil || node.GetToken() == nil {
		return "?"
	}
	at := node.GetToken().Position
	return fmt.Sprintf("%d:%d", at.Line, at.Column)
}

var variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// An expanding replaces ${NAME} in a value.
type expanding func(text string) (string, error)

func expander(lookup Lookup) expanding {
	return func(text string) (string, error) {
		var missing []string
		out := variable.ReplaceAllStringFunc(text, func(m string) string {
			name := m[2 : len(m)-1]
			if lookup != nil {
				if value, ok := lookup(name); ok {
					return value
				}
			}
			missing = append(missing, name)
			return m
		})
		if len(missing) > 0 {
			return "", fmt.Errorf("%w: %s is not set: give --set %s=… or set it in the environment", arbalest.ErrInvalid, strings.Join(missing, ", "), missing[0])
		}
		return out, nil
	}
}

// all expands texts in place.
func (e expanding) all(texts ...*string) error {
	for _, t := range texts {
		var err error
		if *t, err = e(*t); err != nil {
			return err
		}
	}
	return nil
}

// A fileSpec is the file as it is spelled.
type fileSpec struct {
	Name     string     `yaml:"name"`
	Schedule string     `yaml:"schedule"`
	Requires []string   `yaml:"requires"`
	Store    string     `yaml:"store"`
	Steps    []stepSpec `yaml:"steps"`
}

// A stepSpec has one of its fields.
type stepSpec struct {
	BulkCopy     *bulkSpec     `yaml:"bulk_copy"`
	ManifestCopy *manifestSpec `yaml:"manifest_copy"`
	TimeSeries   *seriesSpec   `yaml:"time_series"`
	SQL          sqlSpec       `yaml:"sql"`
	Sync         *struct{}     `yaml:"sync"`
	Model        *nameSpec     `yaml:"model"`
}

// A bulkSpec is a bulk_copy.
type bulkSpec struct {
	Source     string         `yaml:"source"`
	Table      string         `yaml:"table"`
	MaxErrors  number         `yaml:"max_errors"`
	AllowEmpty bool           `yaml:"allow_empty"`
	Properties []propertySpec `yaml:"properties"`
}

// A manifestSpec is a manifest_copy.
type manifestSpec struct {
	Source     string         `yaml:"source"`
	Table      string         `yaml:"table"`
	MaxErrors  number         `yaml:"max_errors"`
	Adopt      bool           `yaml:"adopt"`
	Properties []propertySpec `yaml:"properties"`
}

// A seriesSpec is a time_series.
type seriesSpec struct {
	Source     string         `yaml:"source"`
	Table      string         `yaml:"table"`
	OrderBy    string         `yaml:"order_by"`
	Sources    string         `yaml:"sources"`
	From       string         `yaml:"from"`
	To         string         `yaml:"to"`
	Follow     bool           `yaml:"follow"`
	UpdateFrom string         `yaml:"update_from"`
	MaxErrors  number         `yaml:"max_errors"`
	AllowEmpty bool           `yaml:"allow_empty"`
	Properties []propertySpec `yaml:"properties"`
}

// A propertySpec is arbalest.Property, or Nested where it has properties.
type propertySpec struct {
	Name       string         `yaml:"name"`
	Type       string         `yaml:"type"`
	As         string         `yaml:"as"`
	Properties []propertySpec `yaml:"properties"`
}

// A sqlSpec is a statement or a list of them.
type sqlSpec []statementSpec

// A statementSpec is a text, or a statement with parameters.
type statementSpec struct {
	Statement  string `yaml:"statement"`
	Parameters []any  `yaml:"parameters"`
}

// UnmarshalYAML reads one statement or a list.
func (s *sqlSpec) UnmarshalYAML(decode func(any) error) error {
	var list []statementSpec
	if err := decode(&list); err == nil {
		*s = list
		return nil
	}
	var one statementSpec
	if err := decode(&one); err != nil {
		return err
	}
	*s = sqlSpec{one}
	return nil
}

// UnmarshalYAML reads a text or a statement with parameters.
func (s *statementSpec) UnmarshalYAML(decode func(any) error) error {
	if err := decode(&s.Statement); err == nil {
		return nil
	}
	type plain statementSpec // without this method
	return decode((*plain)(s))
}

// A nameSpec is one name or a list.
type nameSpec []string

// UnmarshalYAML reads one name or a list.
func (n *nameSpec) UnmarshalYAML(decode func(any) error) error {
	var one string
	if err := decode(&one); err == nil {
		*n = nameSpec{one}
		return nil
	}
	return decode((*[]string)(n))
}

func (n nameSpec) step(expand expanding) (Step, error) {
	names := slices.Clone(n)
	for i := range names {
		if err := expand.all(&names[i]); err != nil {
			return nil, err
		}
	}
	return checked(Model(names...))
}

// A number is spelled as one, or as ${NAME}.
type number string

// UnmarshalYAML reads a number.
func (n *number) UnmarshalYAML(decode func(any) error) error {
	var whole int
	if err := decode(&whole); err == nil {
		*n = number(strconv.Itoa(whole))
		return nil
	}
	return decode((*string)(n))
}

func (n number) value(expand expanding) (int, error) {
	if n == "" {
		return 0, nil
	}
	text, err := expand(string(n))
	if err != nil {
		return 0, err
	}
	v, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		return 0, fmt.Errorf("%w: max_errors: %q is not a whole number", arbalest.ErrInvalid, text)
	}
	return v, nil
}

// step makes the step.
func (s stepSpec) step(expand expanding) (Step, error) {
	var steps []Step
	var errs []error
	add := func(step Step, err error) { steps, errs = append(steps, step), append(errs, err) }
	if s.BulkCopy != nil {
		add(s.BulkCopy.step(expand))
	}
	if s.ManifestCopy != nil {
		add(s.ManifestCopy.step(expand))
	}
	if s.TimeSeries != nil {
		add(s.TimeSeries.step(expand))
	}
	if s.SQL != nil {
		add(s.SQL.step(expand))
	}
	if s.Sync != nil {
		add(Sync(), nil)
	}
	if s.Model != nil {
		add(s.Model.step(expand))
	}
	if len(steps) != 1 {
		return nil, fmt.Errorf("%w: want one of bulk_copy, manifest_copy, time_series, sql, model and sync: {}", arbalest.ErrInvalid)
	}
	return steps[0], errors.Join(errs...)
}

func (s bulkSpec) step(expand expanding) (Step, error) {
	most, err := s.MaxErrors.value(expand)
	if err := errors.Join(err, expand.all(&s.Source, &s.Table)); err != nil {
		return nil, err
	}
	options := []Option{MaxErrors(most)}
	if s.AllowEmpty {
		options = append(options, AllowEmpty())
	}
	return checked(BulkCopy(s.Source, schemaOf(s.Table, s.Properties), options...))
}

func (s manifestSpec) step(expand expanding) (Step, error) {
	most, err := s.MaxErrors.value(expand)
	if err := errors.Join(err, expand.all(&s.Source, &s.Table)); err != nil {
		return nil, err
	}
	options := []Option{MaxErrors(most)}
	if s.Adopt {
		options = append(options, Adopt())
	}
	return checked(ManifestCopy(s.Source, schemaOf(s.Table, s.Properties), options...))
}

func (s seriesSpec) step(expand expanding) (Step, error) {
	most, err := s.MaxErrors.value(expand)
	if err := errors.Join(err, expand.all(&s.Source, &s.Table, &s.From, &s.To, &s.UpdateFrom)); err != nil {
		return nil, err
	}
	sources := SortedSources{kind: sourceKind(s.Sources), start: s.From, end: s.To, follow: s.Follow}
	switch sources.kind {
	case integers, days, hours:
	case "":
		sources.kind = days
	default:
		return nil, fmt.Errorf("%w: sources %q: want integers, days or hours", arbalest.ErrInvalid, s.Sources)
	}
	options := []Option{MaxErrors(most), UpdateFrom(s.UpdateFrom)}
	if s.AllowEmpty {
		options = append(options, AllowEmpty())
	}
	return checked(TimeSeries(s.Source, schemaOf(s.Table, s.Properties), s.OrderBy, sources, options...))
}

func (s sqlSpec) step(expand expanding) (Step, error) {
	statements := make([]Statement, len(s))
	for i, one := range s {
		args := slices.Clone(one.Parameters)
		for k := range args {
			if text, ok := args[k].(string); ok {
				var err error
				if args[k], err = expand(text); err != nil {
					return nil, err
				}
			}
		}
		statements[i] = S(one.Statement, args...)
	}
	return checked(SQL(statements...))
}

// checked holds a step against what every warehouse allows: the tightest limit
// of names is only known when it is run.
func checked(s Step) (Step, error) { return s, s.check(loosest) }

func schemaOf(table string, properties []propertySpec) arbalest.Schema {
	return arbalest.JSONObject(table, propertiesOf(properties)...)
}

func propertiesOf(specs []propertySpec) (out []arbalest.SchemaProperty) {
	for _, p := range specs {
		out = append(out, arbalest.SchemaProperty{Name: p.Name, Type: p.Type, Column: p.As, Children: propertiesOf(p.Properties)})
	}
	return out
}
