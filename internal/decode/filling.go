package decode

import "arbalest"

// begin prepares a column for another block. Its memory is used again.
func (c *column) begin() {
	c.room, c.used, c.filled, c.gaps = 0, 0, 0, false
	c.vector.Data = c.vector.Data[:0]
}

// prepare makes room for rows, all NULL.
func (c *column) prepare(rows int) {
	c.room = rows
	v := &c.vector
	switch c.Type.Kind {
	case arbalest.Boolean:
		v.Bits = zeros(v.Bits, (rows+7)/8)
	case arbalest.SmallInt:
		v.Int16 = zeros(v.Int16, rows)
	case arbalest.Integer, arbalest.Date:
		v.Int32 = zeros(v.Int32, rows)
	case arbalest.BigInt, arbalest.Timestamp, arbalest.TimestampTZ:
		v.Int64 = zeros(v.Int64, rows)
	case arbalest.Decimal:
		v.Int128 = zeros(v.Int128, rows)
	case arbalest.Real:
		v.Float32 = zeros(v.Float32, rows)
	case arbalest.Double:
		v.Float64 = zeros(v.Float64, rows)
	default:
		v.Offsets = zeros(v.Offsets, rows+1)
	}
}

// zeros returns n zero elements, in s where it has room.
func zeros[E any](s []E, n int) []E {
	if cap(s) < n {
		return make([]E, n)
	}
	s = s[:n]
	clear(s)
	return s
}

// mark notes that a row has a value. Rows come in their order.
func (c *column) mark(row int) {
	if c.gaps || row != c.used {
		c.markAfterGap(row)
		return
	}
	c.used++
}

// markAfterGap is mark where a row before is NULL: only then are there bits to
// be kept.
func (c *column) markAfterGap(row int) {
	if !c.gaps {
		c.makeValid()
	}
	c.vector.Valid[row>>3] |= 1 << (row & 7)
	c.used++
}

// makeValid makes the bits of a column whose first rows have values and no
// others.
func (c *column) makeValid() {
	c.gaps = true
	c.vector.Valid = zeros(c.vector.Valid, (c.room+7)/8)
	for i := range c.used >> 3 {
		c.vector.Valid[i] = 0xff
	}
	if rest := c.used & 7; rest > 0 {
		c.vector.Valid[c.used>>3] = 1<<rest - 1
	}
}

// has says whether the row, the last that was begun, has a value.
func (c *column) has(row int) bool {
	if c.gaps {
		return c.vector.Valid[row>>3]>>(row&7)&1 != 0
	}
	return row < c.used
}

// startText brings Offsets up to the row, whose text is then to be appended to
// Data.
func (c *column) startText(row int) {
	for end := int32(len(c.vector.Data)); c.filled < row; {
		c.filled++
		c.vector.Offsets[c.filled] = end
	}
}

// endText ends the row's text.
func (c *column) endText(row int) {
	c.filled = row + 1
	c.vector.Offsets[c.filled] = int32(len(c.vector.Data))
	c.mark(row)
}

// takeBack removes the value of a row, if it has one, and of none after it.
func (c *column) takeBack(row int) {
	if c.room == 0 || !c.has(row) {
		return
	}
	if c.gaps {
		c.vector.Valid[row>>3] &^= 1 << (row & 7)
	}
	c.used--
	if c.filled > row {
		c.filled = row
		c.vector.Data = c.vector.Data[:c.vector.Offsets[row]]
	}
}

// finish returns the vector with the given number of rows. What is under a
// NULL is zero, or empty; only rows that were taken back may have left a value
// there.
func (c *column) finish(rows int) Vector {
	if c.used < rows && !c.gaps {
		c.makeValid()
	}
	v := c.vector
	v.Type, v.Nulls = c.Type, rows-c.used
	if v.Nulls == 0 {
		v.Valid = nil
	} else {
		v.Valid = v.Valid[:(rows+7)/8]
	}
	if v.Offsets != nil {
		c.startText(rows)
	}
	v.Bits, v.Offsets = cut(v.Bits, (rows+7)/8), cut(v.Offsets, rows+1)
	v.Int16, v.Int32, v.Int64, v.Int128 = cut(v.Int16, rows), cut(v.Int32, rows), cut(v.Int64, rows), cut(v.Int128, rows)
	v.Float32, v.Float64 = cut(v.Float32, rows), cut(v.Float64, rows)
	return v
}

// cut returns the first n elements, of a slice that has none or as many.
func cut[E any](s []E, n int) []E { return s[:min(n, len(s))] }
