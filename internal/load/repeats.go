package load

import (
	"math/bits"
	"math/rand/v2"

	"github.com/zeebo/xxh3"

	"arbalest/internal/decode"
)

// dayMicros is how far apart two receipts of one id may be and be repeats.
const dayMicros = 24 * 3600 * 1_000_000

// The places of the system columns in a chunk.
const (
	IDColumn = iota
	TimeColumn
	ReceivedColumn
	HashColumn
)

// A sighting is a row of the batch that an id was seen in. Rows whose ids have
// the same hash are chained, newest first.
type sighting struct {
	hash       uint64 // of the id
	chunk, row int32
	earlier    int32 // 1 + its index, 0 for none
}

// repeats finds the rows of a batch that repeat an earlier row of it. Go's map
// would take four times as long.
type repeats struct {
	batch TableBatch
	seed  uint64 // of the hash: nobody can send ids that collide
	seen  []sighting
	// slots are a table with open addressing, of the newest sighting of each
	// hash: 1 + its index, 0 for none. At most half are taken.
	slots []int32
}

// findRepeats fills in Keep, ByReceipt, Repeats, Conflicts and ConflictRows by
// the rule of Warehouse.Load.
func findRepeats(b TableBatch) TableBatch {
	rows := 0
	for _, c := range b.Chunks {
		rows += c.Rows
	}
	r := repeats{batch: b, seed: rand.Uint64(), seen: make([]sighting, 0, rows), slots: make([]int32, 1<<bits.Len(uint(2*rows)))}
	r.batch.Repeats, r.batch.Conflicts = make([]int64, len(b.Objects)), make([]int64, len(b.Objects))
	for i, c := range b.Chunks {
		for row := range c.Rows {
			r.look(int32(i), int32(row), c)
		}
	}
	return r.batch
}

// slot returns the place of a hash among the slots: its own, or a free one.
func (r *repeats) slot(hash uint64) *int32 {
	mask := uint64(len(r.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		if at := &r.slots[i]; *at == 0 || r.seen[*at-1].hash == hash {
			return at
		}
	}
}

func (r *repeats) look(chunk, row int32, c *decode.Chunk) {
	id := Text(&c.Columns[IDColumn], int(row))
	at := c.Columns[TimeColumn].Int64[row]
	this := Sighting{Time: at, ByReceipt: at == c.Columns[ReceivedColumn].Int64[row] && !timedByID(string(id), at)}
	if this.ByReceipt {
		r.batch.ByReceipt = setBit(r.batch.ByReceipt, r.batch.Chunks, chunk, row)
	}
	hash := xxh3.HashSeed(id, r.seed)
	newest := r.slot(hash)
	for i := *newest; i != 0; i = r.seen[i-1].earlier {
		s := r.seen[i-1]
		kept := r.batch.Chunks[s.chunk]
		if string(Text(&kept.Columns[IDColumn], int(s.row))) != string(id) || !this.Repeats(kept.Columns[TimeColumn].Int64[s.row]) {
			continue
		}
		r.drop(chunk, row, c, string(Text(&kept.Columns[HashColumn], int(s.row))))
		return
	}
	r.seen = append(r.seen, sighting{hash, chunk, row, *newest})
	*newest = int32(len(r.seen))
}

// drop leaves a row out, and records a conflict if it is not what was kept.
func (r *repeats) drop(chunk, row int32, c *decode.Chunk, kept string) {
	r.batch.Keep = clearBit(r.batch.Keep, r.batch.Chunks, chunk, row)
	object := c.Object[row]
	r.batch.Repeats[object]++
	if hash := string(Text(&c.Columns[HashColumn], int(row))); hash != kept {
		r.batch.Conflicts[object]++
		r.batch.ConflictRows = append(r.batch.ConflictRows, Conflict{
			Object: object, Line: c.Line[row], ID: string(Text(&c.Columns[IDColumn], int(row))), Time: c.Columns[TimeColumn].Int64[row], Hash: hash, Kept: kept,
		})
	}
}

// Text returns the text of a row, which is not NULL. It is the vector's.
func Text(v *decode.Vector, row int) []byte { return v.Data[v.Offsets[row]:v.Offsets[row+1]] }

func setBit(bits [][]byte, chunks []*decode.Chunk, chunk, row int32) [][]byte {
	if bits == nil {
		bits = make([][]byte, len(chunks))
	}
	if bits[chunk] == nil {
		bits[chunk] = make([]byte, (chunks[chunk].Rows+7)/8)
	}
	bits[chunk][row/8] |= 1 << (row % 8)
	return bits
}

func clearBit(bits [][]byte, chunks []*decode.Chunk, chunk, row int32) [][]byte {
	if bits == nil {
		bits = make([][]byte, len(chunks))
	}
	if bits[chunk] == nil {
		bits[chunk] = make([]byte, (chunks[chunk].Rows+7)/8)
		for i := range bits[chunk] {
			bits[chunk][i] = 0xff
		}
	}
	bits[chunk][row/8] &^= 1 << (row % 8)
	return bits
}
