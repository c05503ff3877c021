package decode

import "arbalest"

// begin prepares a column for another block. Its memory is used again.
func (c *column) begin() {
	c.room, c.used, c.next, c.filled, c.gaps = 0, 0, 0, 0, false
	c.vector.Data = c.vector.Data[:0]
}

// prepare makes room for rows. What is in it is of an earlier block: a row is
// zeroed when it is found to be NULL.
func (c *column) prepare(rows int) {
	c.room = rows
	v := &c.vector
	switch c.Type.Kind {
	case arbalest.Boolean:
		v.Bits = zeros(v.Bits, (rows+7)/8)
	case arbalest.SmallInt:
		v.Int16 = sized(v.Int16, rows)
	case arbalest.Integer, arbalest.Date:
		v.Int32 = sized(v.Int32, rows)
	case arbalest.BigInt, arbalest.Timestamp, arbalest.TimestampTZ:
		v.Int64 = sized(v.Int64, rows)
	case arbalest.Decimal:
		v.Int128 = sized(v.Int128, rows)
	case arbalest.Real:
		v.Float32 = sized(v.Float32, rows)
	case arbalest.Double:
		v.Float64 = sized(v.Float64, rows)
	default:
		v.Offsets = sized(v.Offsets, rows+1)
		v.Offsets[0] = 0
	}
}

// sized returns n elements, in s where it has room.
func sized[E any](s []E, n int) []E {
	if cap(s) < n {
		return make([]E, n)
	}
	return s[:n]
}

// zeros returns n zero elements, in s where it has room.
func zeros[E any](s []E, n int) []E {
	s = sized(s, n)
	clear(s)
	return s
}

// mark notes that a row has a value. Rows come in their order.
func (c *column) mark(row int) {
	if row != c.next {
		c.skip(row)
	}
	if c.gaps {
		c.vector.Valid[row>>3] |= 1 << (row & 7)
	}
	c.used++
	c.next = row + 1
}

// skip makes the rows up to the given one NULL. Only now are there bits to be
// kept.
func (c *column) skip(to int) {
	v := &c.vector
	if !c.gaps {
		c.gaps = true
		v.Valid = zeros(v.Valid, (c.room+7)/8)
		for i := range c.used >> 3 {
			v.Valid[i] = 0xff
		}
		if rest := c.used & 7; rest > 0 {
			v.Valid[c.used>>3] = 1<<rest - 1
		}
	}
	switch from := c.next; c.Type.Kind {
	case arbalest.Boolean:
		for row := from; row < to; row++ {
			v.Bits[row>>3] &^= 1 << (row & 7)
		}
	case arbalest.SmallInt:
		clear(v.Int16[from:to])
	case arbalest.Integer, arbalest.Date:
		clear(v.Int32[from:to])
	case arbalest.BigInt, arbalest.Timestamp, arbalest.TimestampTZ:
		clear(v.Int64[from:to])
	case arbalest.Decimal:
		clear(v.Int128[from:to])
	case arbalest.Real:
		clear(v.Float32[from:to])
	case arbalest.Double:
		clear(v.Float64[from:to])
	}
	c.next = to
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
	if c.room == 0 || c.next != row+1 {
		return
	}
	if c.gaps {
		c.vector.Valid[row>>3] &^= 1 << (row & 7)
	}
	c.used--
	c.next = row
	if c.filled > row {
		c.filled = row
		c.vector.Data = c.vector.Data[:c.vector.Offsets[row]]
	}
}

// finish returns the vector with the given number of rows. What is under a
// NULL is zero, or empty.
func (c *column) finish(rows int) Vector {
	if c.next < rows {
		c.skip(rows)
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
