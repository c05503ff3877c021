package load

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
