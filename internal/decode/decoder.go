package decode

import (
	"bytes"
	"encoding/json"
	"sync"

	"arbalest"
)

// Limits of what is inferred and of what is read.
const (
	// maxColumns is how many columns are inferred for a table; what more there is
	// stays in properties. GitHub's webhooks have up to 498. Redshift has room for
	// 1,600 (Amazon Redshift Management Guide, "Quotas and limits"), and DuckDB takes
	// more than a MiB of memory for each.
	maxColumns = 500
	// maxPath is the most elements of an inferred column's path.
	maxPath = 8
	// maxLevels is how deep arrays and objects may be within each other.
	maxLevels = 10_000
)

// A Decoder turns blocks of stored events into chunks of one table's columns.
// Any number of goroutines may use it at once.
type Decoder struct {
	columns []arbalest.Column // Table.AllColumns
	root    *node
	nodes   int   // in the tree below root, root included
	whole   []int // columns that hold the properties whole
	// open is how many columns can still be inferred: 0 for a declared table.
	open     int
	inferred bool
	bare     bool      // lines are documents, not stored events
	every    bool      // each value that does not fit is an error of its own
	pool     sync.Pool // of *builder
}

// A node is a property's place in the tree that a table's paths make.
type node struct {
	id       int
	path     string // appendPath's
	depth    int    // elements of path
	key      string // the last of them
	literal  string // key as it begins a member where it is spelled plainly: "key":
	place    int    // among its parent's children
	columns  []int  // that hold the value
	text     bool   // one of columns takes an object, as text
	declared bool   // one of columns was declared, in a table whose others are inferred
	children []*node
	index    map[string]*node // of children
}

// NewDecoder returns a decoder for the table as it is defined now. Of a
// declared table, and in the columns that were declared of another, the values
// are converted to the columns' types where nothing is lost; in columns that were
// inferred they must be of the column's kind.
func NewDecoder(t arbalest.Table) *Decoder {
	d := &Decoder{columns: t.AllColumns(), inferred: !t.Declared}
	if d.inferred {
		d.open = max(maxColumns-len(t.Columns), 0)
	}
	d.plant(len(arbalest.SystemColumns))
	return d
}

// NewTrial returns a decoder that tells of every value which does not fit: where a
// line cannot be loaded each such value is an error of its own, one after the other.
func NewTrial(t arbalest.Table) *Decoder {
	d := NewDecoder(t)
	d.every = true
	return d
}

// NewDocuments returns a decoder of lines that are JSON objects of any kind,
// each an object without white space around it, and not stored events: chunks
// have just the given columns, whose values are converted as those of a declared
// table. A column without a path is the document whole. Errors have no ID and no
// Time.
func NewDocuments(columns []arbalest.Column) *Decoder {
	d := &Decoder{columns: columns, bare: true}
	d.plant(0)
	return d
}

// plant makes the tree of the columns' paths, from the first that is of a
// property on.
func (d *Decoder) plant(first int) {
	d.root, d.nodes = new(node), 1
	for i := first; i < len(d.columns); i++ {
		c := d.columns[i]
		if len(c.Path) == 0 {
			d.whole = append(d.whole, i)
			continue
		}
		n := d.root
		for _, key := range c.Path {
			n = d.grow(n, key)
		}
		n.columns = append(n.columns, i)
		kind := c.Type.Kind
		n.declared = n.declared || c.Declared
		n.text = n.text || kind == arbalest.JSON || !d.infers(i) && (kind == arbalest.Varchar || kind == arbalest.Char)
	}
	d.pool.New = func() any { return newBuilder(d) }
}

// infers says whether a column was inferred.
func (d *Decoder) infers(i int) bool { return d.inferred && !d.columns[i].Declared }

// grow returns the node's child for key, which it makes if there is none.
func (d *Decoder) grow(n *node, key string) *node {
	if child := n.index[key]; child != nil {
		return child
	}
	child := &node{id: d.nodes, path: string(appendPath([]byte(n.path), []byte(key))), depth: n.depth + 1, key: key, place: len(n.children)}
	if plain, _ := json.Marshal(key); string(plain) == `"`+key+`"` {
		child.literal = `"` + key + `":`
	}
	d.nodes++
	if n.index == nil {
		n.index = map[string]*node{}
	}
	n.index[key] = child
	n.children = append(n.children, child)
	return child
}

// child returns the node's child for key, or nil. next is where among the
// children it is expected, which is after the one before it: events of one
// name mostly have their properties in the same order.
func (n *node) child(key []byte, next int) (*node, int) {
	for i := next; i < len(n.children) && i < next+2; i++ {
		if n.children[i].key == string(key) {
			return n.children[i], i + 1
		}
	}
	if child := n.index[string(key)]; child != nil {
		return child, child.place + 1
	}
	return nil, next
}

// Decode decodes a block. It does not fail: what is wrong is in the chunk's
// Errors. Lines beyond those that the block's spans count belong to the last
// span.
func (d *Decoder) Decode(block Block) *Chunk {
	b := d.pool.Get().(*builder)
	b.begin(bytes.Count(block.Lines, []byte{'\n'}) + 1)
	spans := block.Spans
	if len(spans) == 0 {
		spans = []Span{{FirstLine: 1}}
	}
	number := 0 // of the line in its span, from 0
	for line, rest := []byte(nil), block.Lines; len(rest) > 0; number++ {
		for number >= spans[0].Lines && len(spans) > 1 {
			number, spans = 0, spans[1:]
		}
		line, rest, _ = bytes.Cut(rest, []byte{'\n'})
		b.line(line, spans[0].Object, spans[0].FirstLine+int64(number))
	}
	return b.chunk()
}
