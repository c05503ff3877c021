package load

import (
	"math/bits"
	"math/rand/v2"
	"slices"
	"sync"

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

// idSeed is drawn by lot: nobody can send ids that collide.
var idSeed = rand.Uint64()

// HashID returns the hash of an id, which is another in another process.
func HashID(id []byte) uint64 { return xxh3.HashSeed(id, idSeed) }

// A sighting is a row of the batch that an id was seen in. Rows whose ids have
// the same tag are chained, newest first.
type sighting struct {
	chunk, row int32
	earlier    int32 // 1 + its index, 0 for none
}

// repeats finds the rows of a batch that repeat an earlier row of it. Go's map
// would take four times as long.
type repeats struct {
	batch TableBatch
	first []int32 // ordinals of the chunks' first rows
	seen  []sighting
	// slots are a table with open addressing, of the newest sighting of each
	// tag, which is the hash's high half: with it, in the low half, 1 + the index; 0
	// for none. At most half are taken. A look is one wait for memory.
	slots []uint64
}

// repeatsPool has the memory of some: what is new to the process costs twice the
// time that it is looked at for.
var repeatsPool = sync.Pool{New: func() any { return new(repeats) }}

// FindRepeats fills in IDs, Keep, ByReceipt and Repeats by the rule of
// Warehouse.Load.
func FindRepeats(b TableBatch) TableBatch {
	r := repeatsPool.Get().(*repeats)
	r.begin(b)
	for i, c := range b.Chunks {
		ids := make([]uint64, c.Rows)
		for row := range ids {
			ids[row] = HashID(Text(&c.Columns[IDColumn], row))
		}
		r.batch.IDs[i] = ids
		for row, hash := range ids {
			r.look(int32(i), int32(row), c, hash)
		}
	}
	b, r.batch = r.batch, TableBatch{}
	repeatsPool.Put(r)
	return b
}

// begin prepares for a batch.
func (r *repeats) begin(b TableBatch) {
	rows := 0
	r.first = r.first[:0]
	for _, c := range b.Chunks {
		r.first = append(r.first, int32(rows))
		rows += c.Rows
	}
	r.batch = b
	r.batch.IDs, r.batch.Keep, r.batch.ByReceipt, r.batch.Repeats = make([][]uint64, len(b.Chunks)), nil, nil, nil
	r.seen = slices.Grow(r.seen[:0], rows)
	slots := 1 << bits.Len(uint(2*rows))
	if slots > cap(r.slots) {
		r.slots = make([]uint64, slots)
		return
	}
	r.slots = r.slots[:slots]
	clear(r.slots)
}

// slot returns the place of a hash among the slots: its tag's own, or a free one.
func (r *repeats) slot(hash uint64) *uint64 {
	mask := uint64(len(r.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		if at := &r.slots[i]; *at == 0 || (*at^hash)>>32 == 0 {
			return at
		}
	}
}

func (r *repeats) look(chunk, row int32, c *decode.Chunk, hash uint64) {
	id := Text(&c.Columns[IDColumn], int(row))
	at := c.Columns[TimeColumn].Int64[row]
	this := Sighting{Time: at, ByReceipt: at == c.Columns[ReceivedColumn].Int64[row] && !timedByID(string(id), at)}
	if this.ByReceipt {
		r.batch.ByReceipt = setBit(r.batch.ByReceipt, r.batch.Chunks, chunk, row)
	}
	newest := r.slot(hash)
	of := sighting{chunk: -1}
	for i := int32(*newest); i != 0; i = r.seen[i-1].earlier {
		s := r.seen[i-1]
		kept := r.batch.Chunks[s.chunk]
		if string(Text(&kept.Columns[IDColumn], int(s.row))) != string(id) || !this.Repeats(kept.Columns[TimeColumn].Int64[s.row]) {
			continue
		}
		if of.chunk < 0 || isCloser(Text(&c.Columns[HashColumn], int(row)), twinOf(kept, int(s.row)), twinOf(r.batch.Chunks[of.chunk], int(of.row))) {
			of = s
		}
		if !this.ByReceipt {
			break // of an hour one is kept
		}
	}
	if of.chunk >= 0 {
		r.batch.Keep = clearBit(r.batch.Keep, r.batch.Chunks, chunk, row)
		r.batch.Repeats = append(r.batch.Repeats, Repeat{r.first[chunk] + row, r.first[of.chunk] + of.row})
		return
	}
	r.seen = append(r.seen, sighting{chunk, row, int32(*newest)})
	*newest = hash>>32<<32 | uint64(len(r.seen))
}

// isCloser says whether a row with a hash repeats a rather than b, of two that
// it repeats: one with the same hash, else the earlier. They are in different
// hours.
func isCloser(hash []byte, a, b Twin) bool {
	if same := a.Hash == string(hash); same != (b.Hash == string(hash)) {
		return same
	}
	return a.Time < b.Time
}

// twinOf returns a row as if it were in the table.
func twinOf(c *decode.Chunk, row int) Twin {
	return Twin{Hash: string(Text(&c.Columns[HashColumn], row)), Time: c.Columns[TimeColumn].Int64[row]}
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
