package decode

import (
	"encoding/binary"
	"maps"
	"math"
	"slices"

	"arbalest"
)

// A Novelty is what a block has that its table has not: properties without a
// column, and values for which a column that was inferred must be widened.
type Novelty struct {
	index map[string]int // by path
	paths []novelPath    // in the order of their first values
	room  int            // how many more properties can get columns
}

// A novelPath is a property that has news: how many values there were of each
// class.
type novelPath struct {
	path    string // appendPath's
	classes map[class]int64
}

// add counts values. A property that is not known counts against the room.
func (n *Novelty) add(path []byte, c class, count int64, unknown bool) {
	i, ok := n.index[string(path)]
	if !ok {
		if unknown && n.room == 0 {
			return
		}
		if unknown {
			n.room--
		}
		i = len(n.paths)
		n.index[string(path)] = i
		n.paths = append(n.paths, novelPath{string(path), map[class]int64{}})
	}
	n.paths[i].classes[c] += count
}

// appendPath appends an element to a path, so that paths are equal if and only
// if their elements are.
func appendPath(path, key []byte) []byte {
	return append(binary.AppendUvarint(path, uint64(len(key))), key...)
}

// splitPath is the inverse of appendPath.
func splitPath(path string) []string {
	var keys []string
	for rest := []byte(path); len(rest) > 0; {
		size, n := binary.Uvarint(rest)
		keys = append(keys, string(rest[n:n+int(size)]))
		rest = rest[n+int(size):]
	}
	return keys
}

// Evolve returns the table with the columns that the novelties of one batch of
// blocks ask for, and whether it differs from t. Columns are added at the end,
// in the order of first appearance, or widened where no value changes by it;
// none is removed or moved. A declared table does not change, nor does a column
// that was declared.
//
// If the table changed, every block of the batch must be decoded again by it.
// Then none has a Novelty: a value that still does not fit its column is a
// LoadError that is Loaded. Each column's type depends on the batch's values
// and not on their order, except that where booleans and other kinds are mixed
// it depends on which are more. The rules are those of newColumn and grow.
func Evolve(t arbalest.Table, novelties []*Novelty) (arbalest.Table, bool) {
	if t.Declared {
		return t, false
	}
	known := map[string]int{}
	for i, c := range t.Columns {
		known[columnPath(c)] = i
	}
	columns := slices.Clone(t.Columns)
	changed := false
	names := newNames(columns)
	for _, p := range merge(novelties) {
		set := slices.SortedFunc(maps.Keys(p.classes), func(a, b class) int { return a.rank() - b.rank() })
		i, ok := known[p.path]
		switch {
		case ok && columns[i].Declared: // it is the user's
		case ok:
			c := settle(columns[i], set)
			changed = changed || !sameColumn(c, columns[i])
			columns[i] = c
		case len(columns) < maxColumns:
			path := splitPath(p.path)
			c := settle(newColumn(set, p.classes), set)
			c.Name, c.Path = names.take(path), path
			columns = append(columns, c)
			changed = true
		}
	}
	if changed {
		t.Columns = columns
	}
	return t, changed
}

func columnPath(c arbalest.Column) string {
	var path []byte
	for _, key := range c.Path {
		path = appendPath(path, []byte(key))
	}
	return string(path)
}

// merge adds up the news of each path, in the order of first appearance.
func merge(novelties []*Novelty) []novelPath {
	all := Novelty{index: map[string]int{}, room: math.MaxInt}
	for _, n := range novelties {
		if n == nil {
			continue
		}
		for _, p := range n.paths {
			for c, count := range p.classes {
				all.add([]byte(p.path), c, count, true)
			}
		}
	}
	return all.paths
}

// settle widens a column for the whole set of classes, and then until no class
// alone would widen it: so decoding the same values again brings no news.
func settle(c arbalest.Column, set []class) arbalest.Column {
	c = grow(c, set)
	for i := 0; i < len(set); i++ {
		if next := grow(c, set[i:i+1]); !sameColumn(next, c) {
			c = next
			i = -1
		}
	}
	return c
}

// newColumn returns the type for a property's first values, of which counts
// has how many there are of each class in set:
//
//   - JSON if there is an array among them;
//   - else, if there is a string, DATE if all strings are dates, TIMESTAMP if
//     all are dates or times, and VARCHAR(MAX) if not;
//   - else BOOLEAN if booleans are more than numbers;
//   - else what newNumber says.
//
// What such a column does not hold is an error that is Loaded.
func newColumn(set []class, counts map[class]int64) arbalest.Column {
	var c arbalest.Column
	switch {
	case hasForm(set, whole):
		c.Type.Kind = arbalest.JSON
	case hasForm(set, text):
		c.Type.Kind = arbalest.Varchar
	case hasForm(set, moment):
		c.Type.Kind = arbalest.Timestamp
	case hasForm(set, date):
		c.Type.Kind = arbalest.Date
	case moreBooleans(counts):
		c.Type.Kind = arbalest.Boolean
	default:
		return newNumber(slices.DeleteFunc(slices.Clone(set), func(c class) bool { return !c.isNumber() }))
	}
	return c
}

func hasForm(set []class, f form) bool {
	return slices.ContainsFunc(set, func(c class) bool { return c.form == f })
}

func moreBooleans(counts map[class]int64) bool {
	balance := int64(0)
	for c, n := range counts {
		if c.form == boolean {
			balance += n
		} else if c.isNumber() {
			balance -= n
		}
	}
	return balance > 0
}

// newNumber returns the type for a set of numbers. Integers make a BIGINT, or
// if one is beyond it, a DECIMAL(38,0). With fractions they make a DOUBLE if it
// shows each number as it was sent, else a DECIMAL(38,s) if it holds each, else
// a DOUBLE for those that it shows.
func newNumber(set []class) arbalest.Column {
	ints, fracs := uint8(0), uint8(0)
	decimal := false
	for _, c := range set {
		if c.form == huge && c.ints == manyDigits {
			continue // no type holds it
		}
		ints, fracs = max(ints, c.ints), max(fracs, c.fracs)
		decimal = decimal || c.form == huge
	}
	fits := fracs < 38 && ints+fracs <= 38
	switch {
	case hasForm(set, fraction):
		decimal = fits && slices.ContainsFunc(set, func(c class) bool { return !c.fitsDouble() })
		if !decimal {
			return arbalest.Column{Type: arbalest.Type{Kind: arbalest.Double}}
		}
	case !decimal:
		return arbalest.Column{Type: arbalest.Type{Kind: arbalest.BigInt}, Wide: hasForm(set, long)}
	}
	return inferredDecimal(int(fracs), ints > inferredIntegers || fracs > maxInferredScale)
}

// inferredDecimal returns a DECIMAL column. Unless it is wide it keeps
// inferredIntegers digits before its point, though it would have room for more,
// so that its scale can grow to maxInferredScale. A wide one keeps as many as
// it has room for, and its scale stays.
func inferredDecimal(scale int, wide bool) arbalest.Column {
	return arbalest.Column{Type: arbalest.Type{Kind: arbalest.Decimal, Precision: 38, Scale: scale}, Wide: wide}
}

// grow returns an inferred column as widened for a set of classes, as far as
// no value that it may already have changes:
//
//   - DATE to TIMESTAMP, for times;
//   - BIGINT to wide, for integers beyond 2^53;
//   - BIGINT that is not wide to DOUBLE, for numbers that it shows as sent;
//   - else BIGINT to DECIMAL, for fractions and integers beyond int64;
//   - DECIMAL to a larger scale, or to wide (inferredDecimal).
//
// Every widening goes up in that order, so it comes to an end.
func grow(c arbalest.Column, set []class) arbalest.Column {
	switch c.Type.Kind {
	case arbalest.Date:
		if hasForm(set, moment) {
			c.Type.Kind = arbalest.Timestamp
		}
	case arbalest.BigInt:
		return growInteger(c, set)
	case arbalest.Decimal:
		for _, of := range set {
			c = growDecimal(c, of)
		}
	}
	return c
}

func growInteger(c arbalest.Column, set []class) arbalest.Column {
	if hasForm(set, fraction) && !c.Wide && !slices.ContainsFunc(set, func(c class) bool { return c.isNumber() && !c.fitsDouble() }) {
		c.Type = arbalest.Type{Kind: arbalest.Double}
		return c
	}
	wider, fits := inferredDecimal(0, false), false
	for _, of := range set {
		if of.form == huge || of.form == fraction {
			wider = growDecimal(wider, of)
			fits = fits || fitsDecimal(wider, of)
		}
	}
	switch {
	case fits:
		c.Type, c.Wide = wider.Type, wider.Wide
	case hasForm(set, long):
		c.Wide = true
	}
	return c
}

func growDecimal(c arbalest.Column, of class) arbalest.Column {
	if !of.isNumber() || c.Wide || fitsDecimal(c, of) {
		return c
	}
	switch {
	case of.free():
		c.Type.Scale = int(of.fracs)
	case int(of.fracs) <= c.Type.Scale && int(of.ints) <= c.Type.Precision-c.Type.Scale:
		c.Wide = true
	}
	return c
}

func fitsDecimal(c arbalest.Column, of class) bool {
	return int(of.fracs) <= c.Type.Scale && int(of.ints) <= integersOf(c, true)
}
