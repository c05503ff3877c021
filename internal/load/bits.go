package load

import "sort"

// BitsOf returns the bits of chunk k, nil if there are none.
func BitsOf(bits [][]byte, k int) []byte {
	if bits == nil {
		return nil
	}
	return bits[k]
}

// IsSet says whether a row's bit is set; absent is what rows without bits are.
func IsSet(bits []byte, row int, absent bool) bool {
	if bits == nil {
		return absent
	}
	return bits[row/8]>>(row%8)&1 != 0
}

// CopyBits copies a bit for each row; all are set where there are none.
func CopyBits(bits []byte, rows int) []byte {
	out := make([]byte, (rows+7)/8)
	if bits == nil {
		for i := range out {
			out[i] = 0xff
		}
		return out
	}
	copy(out, bits)
	return out
}

// appendBit adds the bit of a row to those of the rows before it.
func appendBit(bits []byte, row int, set bool) []byte {
	if row%8 == 0 {
		bits = append(bits, 0)
	}
	if set {
		bits[row/8] |= 1 << (row % 8)
	}
	return bits
}

// keeping is a batch's Keep, of which chunks are copied before they change.
type keeping struct {
	keep   [][]byte
	copied []bool
	first  []int // ordinals of the chunks' first rows
	rows   []int // of each chunk
	at     int   // the chunk that was asked for last: rows come in their order
}

func (tb *TableBatch) copyKeep() *keeping {
	b := &keeping{keep: make([][]byte, len(tb.Chunks)), copied: make([]bool, len(tb.Chunks)), first: make([]int, len(tb.Chunks)), rows: make([]int, len(tb.Chunks))}
	first := 0
	for k, c := range tb.Chunks {
		b.keep[k], b.first[k], b.rows[k] = BitsOf(tb.Keep, k), first, c.Rows
		first += c.Rows
	}
	return b
}

// place returns the chunk and the row of an ordinal.
func (b *keeping) place(ordinal int) (chunk, row int) {
	if at := ordinal - b.first[b.at]; at < 0 || at >= b.rows[b.at] {
		// The last chunk that begins there or before: those before it that do are empty.
		b.at = sort.SearchInts(b.first, ordinal+1) - 1
	}
	return b.at, ordinal - b.first[b.at]
}

func (b *keeping) set(chunk, row int, to bool) {
	if IsSet(b.keep[chunk], row, true) == to {
		return
	}
	if !b.copied[chunk] {
		b.keep[chunk], b.copied[chunk] = CopyBits(b.keep[chunk], b.rows[chunk]), true
	}
	if to {
		b.keep[chunk][row/8] |= 1 << (row % 8)
	} else {
		b.keep[chunk][row/8] &^= 1 << (row % 8)
	}
}
