package postgres

import (
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"arbalest"
	"arbalest/internal/decode"
	"arbalest/internal/load/warehousetest"
	"arbalest/internal/postgres/postgrestest"
	"arbalest/internal/warehouse"
)

func insert(t testing.TB, d *Database, table string, columns []arbalest.Column, pages []warehouse.Page) error {
	return d.Transact(t.Context(), "test", func(tx warehouse.Tx) error {
		_, err := tx.Insert(t.Context(), table, columns, pages)
		return err
	})
}

// TestInsertDecimals inserts random DECIMALs of every scale and compares them
// with their text.
func TestInsertDecimals(t *testing.T) {
	d := mustOpen(t, postgrestest.Start(t), Options{})
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var columns []arbalest.Column
	page := warehouse.Page{Rows: 300}
	want := make([][]string, page.Rows)
	for scale := range 38 {
		columns = append(columns, warehousetest.Col(fmt.Sprintf("s%d", scale), fmt.Sprintf("DECIMAL(38,%d)", scale)))
		v := decode.Vector{Type: columns[scale].Type}
		for row := range page.Rows {
			text := strings.Repeat("9", 38)[:random.IntN(39)]
			if n := len(text); random.IntN(4) > 0 {
				text = ""
				for range n {
					text += string(rune('0' + random.IntN(10)*random.IntN(2)))
				}
			}
			n, _ := new(big.Int).SetString("0"+text, 10)
			if random.IntN(2) == 0 {
				n.Neg(n)
			}
			low := new(big.Int).And(n, new(big.Int).SetUint64(^uint64(0)))
			v.Int128 = append(v.Int128, decode.Int128{Lo: low.Uint64(), Hi: new(big.Int).Rsh(n, 64).Int64()})
			digits := fmt.Sprintf("%0*d", scale+1, new(big.Int).Abs(n))
			text = digits[:len(digits)-scale]
			if scale > 0 {
				text += "." + digits[len(digits)-scale:]
			}
			if n.Sign() < 0 {
				text = "-" + text
			}
			want[row] = append(want[row], text)
		}
		page.Columns = append(page.Columns, v)
	}
	run(t, d, "CREATE TABLE n ("+d.Dialect().Define(columns)+", place serial)")
	if err := insert(t, d, "n", columns, []warehouse.Page{page}); err != nil {
		t.Fatal(err)
	}
	row := 0
	err := d.Query(t.Context(), "SELECT * FROM n ORDER BY place", func(values []any) error {
		for scale, w := range want[row] {
			if values[scale] != w {
				return fmt.Errorf("row %d, scale %d: got %v, want %s", row, scale, values[scale], w)
			}
		}
		row++
		return nil
	})
	if err != nil || row != page.Rows {
		t.Errorf("%d rows, %v", row, err)
	}
}

func TestInsertKeepsWhatIsKept(t *testing.T) {
	d := mustOpen(t, postgrestest.Start(t), Options{})
	columns := []arbalest.Column{warehousetest.Col("n", "INTEGER"), warehousetest.Col("s", "VARCHAR(MAX)")}
	run(t, d, "CREATE TABLE kept ("+d.Dialect().Define(columns)+")")
	page := func(rows int, keep []byte) warehouse.Page {
		p := warehouse.Page{Rows: rows, Keep: keep, Columns: []decode.Vector{{}, {Offsets: []int32{0}}}}
		for i := range rows {
			p.Columns[0].Int32 = append(p.Columns[0].Int32, int32(i))
			p.Columns[1].Data = append(p.Columns[1].Data, strings.Repeat("x", i*1000)...)
			p.Columns[1].Offsets = append(p.Columns[1].Offsets, int32(len(p.Columns[1].Data)))
		}
		return p
	}
	if err := insert(t, d, "kept", columns, []warehouse.Page{page(10, []byte{0b10101010, 0b01}), {}, page(0, nil), page(300, nil)}); err != nil {
		t.Fatal(err)
	}
	if got := rows(t, d, "SELECT count(*), sum(n), sum(length(s)) FROM kept"); !slices.Equal(got, []string{"305 " + fmt.Sprint(24+299*150) + " " + fmt.Sprint((24+299*150)*1000)}) {
		t.Errorf("got %v", got)
	}
	// Vectors that are not the columns', and a text that PostgreSQL has not.
	for _, bad := range []warehouse.Page{
		{Rows: 1, Columns: []decode.Vector{{}, {Offsets: []int32{0, 0}}}},
		{Rows: 1, Columns: []decode.Vector{{Int32: []int32{1}}}},
		{Rows: 1, Columns: []decode.Vector{{Int32: []int32{1}}, {Offsets: []int32{0, 1}, Data: []byte{0}}}},
	} {
		if err := insert(t, d, "kept", columns, []warehouse.Page{bad}); !errors.Is(err, arbalest.ErrInvalid) {
			t.Errorf("insert of a bad page: %v", err)
		}
	}
	if err := insert(t, d, "absent", columns, []warehouse.Page{page(1, nil)}); !errors.Is(err, arbalest.ErrUnknown) {
		t.Errorf("insert into no table: %v", err)
	}
}
