package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"arbalest"
	"arbalest/internal/load"
)

// A Change is a difference of two definitions of an event.
type Change struct {
	Event arbalest.EventName `json:"event"`
	// Part is what changed: "column plan", "required a.b", "table".
	Part string `json:"part"`
	What string `json:"change"`
	// Additive says that what was sent and asked for before is as it was.
	Additive bool `json:"additive"`
	// Why says why a change is not additive.
	Why string `json:"why,omitempty"`
	// Suggest is the name of the event that the change deserves.
	Suggest arbalest.EventName `json:"suggest,omitempty"`
}

// A comparison collects changes.
type comparison struct {
	event   arbalest.EventName
	changes []Change
}

func (c *comparison) add(part, format string, args ...any) {
	c.changes = append(c.changes, Change{Event: c.event, Part: part, What: fmt.Sprintf(format, args...), Additive: true})
}

func (c *comparison) bad(part, why, format string, args ...any) {
	c.changes = append(c.changes, Change{Event: c.event, Part: part, What: fmt.Sprintf(format, args...), Why: why})
}

// Compare returns what changes from one definition of an event to another.
// Additive are columns and properties that are new and need not be there, and
// types that are widened where no value changes. Of an event without a definition
// only its columns are compared: nothing else was promised.
func Compare(before, after Definition) []Change {
	c := &comparison{event: after.Event}
	if a, b := tableOf(before), tableOf(after); a != b {
		c.bad("table", "rows of before are in the other table", "%s becomes %s", a, b)
	}
	c.columns(before, after)
	if before.Inferred {
		return c.changes // nothing else was said before
	}
	c.required(before, after)
	c.schemas(before, after)
	c.contract(before, after)
	c.privacy(before, after)
	return c.changes
}

func tableOf(d Definition) string {
	if d.Table != "" {
		return d.Table
	}
	return d.Event.Table()
}

func (c *comparison) columns(before, after Definition) {
	is := map[string]Column{}
	for _, col := range after.Columns {
		is[col.Name] = col
	}
	was := map[string]bool{}
	for _, old := range before.Columns {
		was[old.Name] = true
		part := "column " + old.Name
		now, ok := is[old.Name]
		switch {
		case !ok && !after.Declared && before.Inferred: // it still is
		case !ok && !after.Declared:
			c.add(part, "it is inferred from now on")
		case !ok:
			c.bad(part, "rows from then on have no value in it: who asks for it gets NULL", "it is left out")
		case !slices.Equal(old.Path, now.Path):
			c.bad(part, "its values mean something else from then on", "it is property %s, and was %s", show(now.Path), show(old.Path))
		case old.Type != now.Type:
			c.widened(part, old.Type, now.Type)
		}
		if ok {
			c.mode(part+", contract", old.Mode, now.Mode)
		}
	}
	for _, col := range after.Columns {
		if !was[col.Name] {
			c.add("column "+col.Name, "new, %s", col.Type)
		}
	}
	if before.Declared != after.Declared {
		if after.Declared {
			c.bad("contract.columns", "what was inferred, and the column properties, have no value from then on", "no columns are inferred from then on")
		} else {
			c.add("contract.columns", "columns are inferred beside those that are declared")
		}
	}
}

func (c *comparison) widened(part string, from, to arbalest.Type) {
	wide, err := load.Widest(from, to)
	switch {
	case err != nil:
		c.bad(part, "no value of the one is a value of the other", "%s becomes %s", from, to)
	case wide != to:
		c.bad(part, "values that there are do not fit it", "%s becomes %s, which is narrower", from, to)
	case load.IsInexact(from, to):
		c.bad(part, fmt.Sprintf("not every %s is a %s", from, to), "%s becomes %s", from, to)
	default:
		c.add(part, "%s becomes %s, which holds the same values", from, to)
	}
}

func (c *comparison) required(before, after Definition) {
	has := func(list [][]string, path []string) bool {
		return slices.ContainsFunc(list, func(p []string) bool { return slices.Equal(p, path) })
	}
	for _, path := range after.Required {
		if !has(before.Required, path) {
			c.bad("required "+show(path), "events as they are sent now may lack it, and would be refused", "it must be there from then on")
		}
	}
	for _, path := range before.Required {
		if !has(after.Required, path) {
			c.bad("required "+show(path), "who reads it counts on it being there", "it need not be there any more")
		}
	}
}

// strictness orders modes by what they let through.
func strictness(m Mode) int {
	switch m {
	case DiscardValue:
		return 1
	case DiscardRow, Freeze:
		return 2
	}
	return 0
}

func (c *comparison) mode(part string, before, after Mode) {
	switch {
	case before == after:
	case strictness(after) > strictness(before):
		c.bad(part, "what was taken as it came is not from then on", "%s becomes %s", named(before), named(after))
	default:
		c.add(part, "%s becomes %s", named(before), named(after))
	}
}

func named(m Mode) string {
	if m == "" {
		return "the default"
	}
	return string(m)
}

func (c *comparison) contract(before, after Definition) {
	c.mode("contract.data_type", before.Contract.DataType, after.Contract.DataType)
	if before.Declared == after.Declared || strictness(after.Contract.Columns) > strictness(before.Contract.Columns) {
		c.mode("contract.columns", before.Contract.Columns, after.Contract.Columns)
	}
}

func (c *comparison) privacy(before, after Definition) {
	was, is := before.Privacy.rules(), after.Privacy.rules()
	for _, path := range sortedKeys(is) {
		old, ok := was[path]
		switch {
		case ok && old != is[path]:
			c.bad("privacy "+path, "values from then on are others than those before: joins over them break", "%s becomes %s", old, is[path])
		case !ok && before.knows(path):
			c.bad("privacy "+path, "values from then on are others than those before: joins over them break", "%s from then on", is[path])
		case !ok:
			c.add("privacy "+path, "%s", is[path])
		}
	}
	for _, path := range sortedKeys(was) {
		if _, ok := is[path]; !ok {
			c.bad("privacy "+path, "values from then on are others than those before, and are stored as they come", "%s no longer", was[path])
		}
	}
}

// rules returns what is done at each path.
func (p Privacy) rules() map[string]string {
	rules := map[string]string{}
	for _, path := range p.Hash {
		rules[show(path)] = "hash"
	}
	for _, path := range p.Drop {
		rules[show(path)] = "drop"
	}
	for _, t := range p.Truncate {
		rules[show(t.Path)] = "truncate to an address's network"
		if t.Characters > 0 {
			rules[show(t.Path)] = fmt.Sprintf("truncate to %d characters", t.Characters)
		}
	}
	return rules
}

// knows says whether events may have had a property of a path: all may, unless
// the definition says which there are.
func (d Definition) knows(path string) bool {
	closed := d.Contract.Columns == Freeze || d.Contract.Columns == DiscardRow || d.Contract.Columns == DiscardValue
	if !closed || len(d.Schema) > 0 {
		return true
	}
	return slices.ContainsFunc(d.Columns, func(c Column) bool {
		return show(c.Path) == path || strings.HasPrefix(path, show(c.Path)+".") || strings.HasPrefix(show(c.Path), path+".")
	})
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// version matches the end of an event's name that counts its versions.
var version = regexp.MustCompile(`^(.+[._-]v)([0-9]{1,6})$`)

// NextName returns a name for an event of another meaning, which is not taken:
// user.created.v2 after user.created, and user.created.v3 after that.
func NextName(event arbalest.EventName, taken func(arbalest.EventName) bool) arbalest.EventName {
	base, n := string(event)+".v", 2
	if m := version.FindStringSubmatch(string(event)); m != nil {
		last, _ := strconv.Atoi(m[2])
		base, n = m[1], last+1
	}
	if room := arbalest.MaxEventName - 8; len(base) > room {
		base = strings.TrimRight(base[:room-2], "._-") + ".v"
	}
	for ; ; n++ {
		if name := arbalest.EventName(base + strconv.Itoa(n)); !taken(name) {
			return name
		}
	}
}
