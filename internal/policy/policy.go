// Package policy says what is done with events at the door, by the definitions
// of their names: what they must be, what is done with what does not fit, and
// what of them is not stored as it came.
//
// It stores nothing. A definition is compiled into a Policy, which capture calls
// with an event's bytes before anything is stored, and which gives back the bytes
// that are: every one as it came that no rule is about. What is taken out of an
// event is put into its attributes, where it stays as long as the event.
package policy

import (
	"fmt"
	"slices"
	"strings"

	"arbalest"
	"arbalest/internal/capture"
)

// A Policy is a compiled definition. Its methods may be called at once.
type Policy struct {
	definition Definition
	known      *known
	schema     *schema // nil for none
	guard      *guard  // nil for none
	checks     bool    // there is something that may be found before privacy rules
	fits       bool    // and after
	closed     bool    // properties without a column are found
}

// Compile compiles a definition. key is that of hashes. The error wraps
// arbalest.ErrInvalid.
func Compile(d Definition, key []byte) (*Policy, error) {
	if err := d.validate(key); err != nil {
		return nil, err
	}
	p := &Policy{definition: d, known: newKnown(d)}
	var err error
	if p.guard, err = newGuard(d.Privacy, key); err != nil {
		return nil, &PartError{d.Event, "privacy", err}
	}
	if len(d.Schema) > 0 {
		if p.schema, err = newSchema(d.Schema, d.SchemaFile); err != nil {
			return nil, &PartError{d.Event, "schema", err}
		}
	}
	c := d.Contract
	p.checks = len(d.Required) > 0 && c.DataType != Evolve || p.schema != nil && (c.DataType != Evolve || c.Columns != Evolve)
	p.closed = p.schema == nil && c.Columns != "" && c.Columns != Evolve
	p.fits = p.closed || c.DataType != "" && c.DataType != Evolve && len(d.Columns) > 0 ||
		slices.ContainsFunc(d.Columns, func(c Column) bool { return c.Mode != "" && c.Mode != Evolve })
	return p, nil
}

// IsIdle says that the policy does nothing at the door.
func (p *Policy) IsIdle() bool { return !p.checks && !p.fits && p.guard == nil }

// Guards implements capture.Policy.
func (p *Policy) Guards() bool { return p.guard != nil }

// maxFound is how many findings of one event are told, and how many values are
// taken out of it at most.
const maxFound = 100

// Admit implements capture.Policy.
func (p *Policy) Admit(e *arbalest.Event, protected bool) *capture.Refusal {
	found := p.check(e.Properties)
	if refusal := p.refuse(found); refusal != nil {
		return refusal
	}
	guard := p.guard
	if protected {
		guard = nil
	}
	var kept takenOut
	cuts := cutOf(found)
	first := guard.edit()
	first.taken = kept.add
	properties, ok := first.run(e.Properties, guard.rules(), cuts)
	attributes, fine := guard.ofAttributes(e.Attributes)
	if !ok || !fine || properties == nil {
		return tooLarge()
	}
	if p.fits {
		more := p.modes(p.clip(p.fit(nil, properties, p.known, nil)))
		if refusal := p.refuse(more); refusal != nil {
			return refusal
		}
		if len(more) > 0 {
			second := edit{taken: kept.add}
			if properties, ok = second.run(properties, nil, cutOf(more)); !ok || properties == nil {
				return tooLarge()
			}
			found = append(found, more...)
			cuts = cutOf(found)
		}
	}
	if cuts != nil {
		if refusal := p.again(e.Properties, cuts); refusal != nil {
			return refusal
		}
		if attributes, ok = kept.into(attributes, len(e.Properties)); !ok {
			return tooLarge()
		}
	}
	e.Properties, e.Attributes = properties, attributes
	return nil
}

func tooLarge() *capture.Refusal {
	return &capture.Refusal{Code: capture.EventTooLarge, Reason: "the event's definition would make more of it than may be stored: send less in it"}
}

// again holds what is left of an event against the definition once more: what
// had to be taken out may be what must be there.
func (p *Policy) again(properties []byte, cuts *cut) *capture.Refusal {
	rest, ok := new(edit).run(properties, nil, cuts)
	if !ok || rest == nil {
		return tooLarge()
	}
	found := p.check(rest)
	for i := range found {
		found[i].reason += ", when what does not fit is taken out"
		found[i].mode = Freeze
	}
	return p.refuse(found)
}

// check holds an event as it came against required properties and the schema.
func (p *Policy) check(properties []byte) []finding {
	if !p.checks {
		return nil
	}
	found := p.required(properties)
	if p.schema != nil {
		found = append(found, p.schema.check(properties)...)
	}
	return p.modes(p.clip(found))
}

// clip cuts the paths of what may not be told of.
func (p *Policy) clip(found []finding) []finding {
	for i, f := range found {
		if path, clipped := p.guard.clip(f.path); clipped && len(path) < len(f.path) {
			found[i].path, found[i].missing = path, false
			found[i].reason = "something in it, which is not shown, does not fit the definition"
		}
	}
	return found
}

// modes says of each finding what is to be done, and leaves out those with which
// nothing is.
func (p *Policy) modes(found []finding) []finding {
	out := found[:0]
	for _, f := range found {
		if f.mode == "" {
			f.mode = p.definition.Contract.DataType
			if f.unknown {
				f.mode = p.definition.Contract.Columns
			}
		}
		if f.mode == "" {
			f.mode = Freeze
		}
		if f.mode == DiscardValue && (f.missing || len(f.path) == 0) {
			f.mode = Freeze // there is no value to take out
		}
		if f.mode != Evolve {
			out = append(out, f)
		}
	}
	return out
}

// refuse returns the refusal of an event of which there is something that may
// not be stored without it.
func (p *Policy) refuse(found []finding) *capture.Refusal {
	code := capture.Code("")
	var reasons []string
	more := 0
	for _, f := range found {
		if f.mode == DiscardValue {
			continue
		}
		if code = capture.Discarded; f.mode == Freeze {
			code = capture.BadSchema
		}
		text := f.reason
		if len(f.path) > 0 {
			text = show(f.path) + ": " + text
		}
		switch {
		case slices.Contains(reasons, text):
		case len(reasons) < 10:
			reasons = append(reasons, text)
		default:
			more++
		}
	}
	if slices.ContainsFunc(found, func(f finding) bool { return f.mode == Freeze }) {
		code = capture.BadSchema
	}
	if code == "" && len(found) > maxFound {
		code, reasons = capture.BadSchema, []string{fmt.Sprintf("%d values do not fit, and at most %d are taken out of an event", len(found), maxFound)}
	}
	if code == "" {
		return nil
	}
	if more > 0 {
		reasons = append(reasons, fmt.Sprintf("and %d more", more))
	}
	return &capture.Refusal{Code: code, Reason: fmt.Sprintf("the event does not fit the definition of %s: %s", p.definition.Event, strings.Join(reasons, "; "))}
}
