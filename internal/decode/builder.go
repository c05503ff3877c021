package decode

import (
	"errors"
	"strings"

	"arbalest"
)

// A builder fills one chunk, line by line.
type builder struct {
	decoder *Decoder
	columns []column
	blank   [arbalest.JSON + 1]column // by kind: columns without a value
	objects []int32
	lines   []int64
	rows    int // that are done
	room    int // lines of the block

	parser  arbalest.LineParser
	scan    scanner // of the line
	event   arbalest.Line
	seen    []int32 // by node: the last line that had it
	serial  int32   // of the line, from 1
	checked bool    // the line is known to be valid JSON
	refusal *LoadError
	at      LoadError // what an error of this line has

	errors  []LoadError
	novelty *Novelty
	path    []byte // of the value being scanned, where it is unknown
	buffer  []byte
}

func newBuilder(d *Decoder) *builder {
	b := &builder{decoder: d, columns: make([]column, len(d.columns)), seen: make([]int32, d.nodes)}
	for i := range b.columns {
		b.columns[i] = column{Column: d.columns[i], inferred: d.infers(i)}
	}
	for kind := range b.blank {
		b.blank[kind].Type.Kind = arbalest.Kind(kind)
	}
	return b
}

// begin prepares for a block of that many lines.
func (b *builder) begin(lines int) {
	for i := range b.columns {
		b.columns[i].begin()
	}
	for i := range b.blank {
		b.blank[i].begin()
	}
	b.objects, b.lines = sized(b.objects, lines), sized(b.lines, lines)
	b.rows, b.room, b.serial = 0, lines, 0
	clear(b.seen)
	b.errors, b.novelty = nil, nil
}

// chunk returns what was built.
func (b *builder) chunk() *Chunk {
	c := &Chunk{
		Rows: b.rows, Columns: make([]Vector, len(b.columns)), Object: b.objects[:b.rows], Line: b.lines[:b.rows],
		Errors: b.errors, Novelty: b.novelty, builder: b,
	}
	for i := range b.columns {
		from := &b.columns[i]
		if from.used == 0 {
			from = &b.blank[from.Type.Kind]
			if from.room == 0 {
				from.prepare(b.room)
			}
		}
		c.Columns[i] = from.finish(b.rows)
		c.Columns[i].Type = b.columns[i].Type
	}
	b.errors, b.novelty, b.scan.src, b.event = nil, nil, nil, arbalest.Line{}
	return c
}

// line adds a line: a row, or a load error.
func (b *builder) line(line []byte, object int32, number int64) {
	b.serial++
	b.at = LoadError{Object: object, Line: number}
	before := len(b.errors)
	if reason := b.open(line); reason != "" {
		b.corrupt(line, reason, before)
		return
	}
	b.checked, b.refusal = false, nil
	b.scan.src, b.scan.keys.size = line, 0
	reason := ""
	if !b.decoder.bare {
		reason = b.envelope()
	}
	if reason == "" {
		reason = b.properties()
	}
	switch {
	case reason != "":
		b.takeBack()
		b.corrupt(line, reason, before)
	case b.refusal != nil:
		b.takeBack()
		if !b.decoder.every {
			b.errors = append(b.errors[:before], *b.refusal)
		}
	default:
		b.objects[b.rows], b.lines[b.rows] = object, number
		b.rows++
	}
}

// open finds the event in a line. The reason is why there is none.
func (b *builder) open(line []byte) (reason string) {
	var err error
	switch {
	case !b.decoder.bare:
		b.event, err = b.parser.Parse(line)
	case len(line) == 0 || line[0] != '{':
		err = errNotObject
	default:
		b.event = arbalest.Line{Rest: line[1:]}
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// errNotObject is why a document that is another value has no row.
var errNotObject = errors.New("the document is not a JSON object")

// takeBack removes what the row that is not done has written.
func (b *builder) takeBack() {
	for i := range b.columns {
		b.columns[i].takeBack(b.rows)
	}
}

// corrupt adds the error of a line that is not a stored event, in place of the
// line's other errors, which are those from before on.
func (b *builder) corrupt(line []byte, reason string, before int) {
	e := b.located()
	e.Value, e.Reason = display(line, maxLineShown), reason
	b.errors = append(b.errors[:before], e)
}

// located returns an error that has the line's place, and the event's id and
// time.
func (b *builder) located() LoadError {
	e := b.at
	if b.event.Hash != nil {
		e.ID, e.Time = display([]byte(b.event.UnquoteID()), arbalest.MaxEventID), b.event.Time
	}
	return e
}

// Places of the system columns.
const (
	eventID = iota
	eventTime
	receivedAt
	eventHash
)

// envelope writes the system columns. The reason is why it cannot.
func (b *builder) envelope() (reason string) {
	id, hash := b.event.ID, b.event.Hash
	start := len(`{"_event":{"id":"`)
	end, escaped := b.scan.text(start)
	if end != start+len(id)+1 {
		return "the id is not a JSON string: " + b.scan.err.Reason
	}
	if !isHex(hash) {
		return "the hash is not of hexadecimal digits in lower case"
	}
	if !b.put(eventID, b.scan.src[start-1:end], escaped) {
		return "the id is longer than 255 bytes"
	}
	b.column(eventTime).putMicros(b.rows, b.event.Time)
	b.column(receivedAt).putMicros(b.rows, b.event.Received)
	c := b.column(eventHash)
	c.startText(b.rows)
	c.vector.Data = append(c.vector.Data, hash...)
	c.endText(b.rows)
	return ""
}

// isHex says whether all bytes are hexadecimal digits in lower case. It has no
// branch for each.
func isHex(b []byte) bool {
	others := byte(0)
	for _, c := range b {
		others |= notHex[c]
	}
	return others == 0
}

// notHex is 1 for every byte that is not a hexadecimal digit in lower case.
var notHex = func() (t [256]byte) {
	for c := range t {
		if !strings.ContainsRune("0123456789abcdef", rune(c)) {
			t[c] = 1
		}
	}
	return t
}()

// column returns a column that has room.
func (b *builder) column(i int) *column {
	c := &b.columns[i]
	if c.room == 0 {
		c.prepare(b.room)
	}
	return c
}

func (b *builder) put(i int, text []byte, escaped bool) bool {
	return b.column(i).put(b.rows, text, escaped)
}
