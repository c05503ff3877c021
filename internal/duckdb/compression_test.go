package duckdb

import (
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"arbalest"
	"arbalest/internal/load/warehousetest"
)

// TestCompression loads texts that differ and such that do not, widens the table by
// a copy, opens the file anew, and looks at every value and at what the columns are
// compressed by.
func TestCompression(t *testing.T) {
	const rows = 20_000 // of each batch; no more than smallTable
	path := filepath.Join(t.TempDir(), "w.duckdb")
	w := mustOpen(t, path, Options{})
	columns := []arbalest.Column{warehousetest.Col("other", "VARCHAR(64)"), warehousetest.Col("few", "VARCHAR(64)"), warehousetest.Col("rare", "VARCHAR(64)"), warehousetest.Col("tags", "SUPER")}
	var want [][]string
	batch := func(commit int, columns []arbalest.Column) {
		o := warehousetest.Object{Commit: arbalest.Seq(commit)}
		for i := range rows {
			n := (commit-1)*rows + i
			row := []string{fmt.Sprintf("%06d", n), fmt.Sprintf("o%d%s", n, strings.Repeat("é", n%5)), fmt.Sprint("f", n%7), warehousetest.Null, fmt.Sprintf("[%d]", n)}
			if n%20 == 0 {
				row[3] = fmt.Sprint("r", n)
			}
			for k := range len(columns) - 4 {
				row = append(row, fmt.Sprint("a", k, "-", n))
			}
			text := strings.Repeat("x", n%50)
			if n%4000 == 1 {
				text = strings.Repeat(fmt.Sprint(n), 60_000) // more than a block
			}
			row = append(row, `{"n":`+fmt.Sprint(n)+`,"t":"`+text+`"}`)
			values := make([]any, len(row)-1)
			for k, v := range row[1:] {
				if v != warehousetest.Null {
					values[k] = v
				}
			}
			o.Rows = append(o.Rows, warehousetest.Row{ID: row[0], Time: "2015-08-18T06:36:40Z", Values: values})
			want = append(want, row)
		}
		mustLoad(t, w, arbalest.Seq(commit), warehousetest.Batch(warehousetest.Inferred("text", columns...), 3000, o))
	}
	batch(1, columns)
	for k := range manyColumns {
		columns = append(columns, warehousetest.Col(fmt.Sprint("added", k), "VARCHAR(64)"))
	}
	batch(2, columns)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w = mustOpen(t, path, Options{})
	defer w.Close()
	got := map[string]string{}
	for _, row := range mustQuery(t, w, `SELECT column_name, string_agg(DISTINCT compression, '+') FROM pragma_storage_info('text') WHERE segment_type IN ('VARCHAR', 'JSON') GROUP BY 1`) {
		got[row[0]] = row[1]
	}
	expected := map[string]string{"event_id": "Uncompressed", "event_hash": "Uncompressed", "properties": "ZSTD", "other": "ZSTD", "few": "DICT_FSST", "rare": "ZSTD", "tags": "ZSTD", "added0": "ZSTD", "added1": "ZSTD", "added2": "ZSTD", "added3": "ZSTD"}
	if !maps.Equal(got, expected) {
		t.Errorf("columns are compressed by %v, want %v", got, expected)
	}
	for from := 0; from < len(want); from += rows / 4 {
		have := mustQuery(t, w, fmt.Sprintf(`SELECT event_id, other, few, rare, tags, added0, added1, added2, added3, properties FROM text WHERE event_id >= '%06d' AND event_id < '%06d' ORDER BY event_id`, from, from+rows/4))
		for i, row := range have {
			expected := want[from+i]
			if from < rows {
				expected = append(append(append([]string{}, expected[:5]...), warehousetest.Null, warehousetest.Null, warehousetest.Null, warehousetest.Null), expected[5])
			}
			if fmt.Sprint(row) != fmt.Sprint(expected) {
				t.Fatalf("row %d is %.300q, want %.300q", from+i, row, expected)
			}
		}
		if len(have) != rows/4 {
			t.Fatalf("%d rows from %d on, want %d", len(have), from, rows/4)
		}
	}
}

// TestCompressions looks at what columns of a first batch are to be compressed by.
func TestCompressions(t *testing.T) {
	columns := []arbalest.Column{warehousetest.Col("n", "BIGINT"), warehousetest.Col("few", "VARCHAR(8)")}
	for i := range 2 * zstdColumns {
		columns = append(columns, warehousetest.Col(fmt.Sprint("c", i), "VARCHAR(8)"))
	}
	batch := func(n int, make func(string, ...arbalest.Column) arbalest.Table) map[string]string {
		var o warehousetest.Object
		for i := range n {
			values := []any{i, fmt.Sprint(i % (sampleLeast * 3 / 4))}
			for range 2 * zstdColumns {
				values = append(values, fmt.Sprint(i))
			}
			table := make("e", columns...)
			if !table.Declared {
				values = append(values, "{}")
			}
			o.Rows = append(o.Rows, warehousetest.Row{ID: fmt.Sprint(i), Time: "2015-08-18T06:36:40Z", Values: values})
		}
		tb := warehousetest.Batch(make("e", columns...), 100, o)
		return compressions(&tb)
	}
	many := map[string]string{"event_id": "uncompressed", "event_hash": "uncompressed"}
	few := maps.Clone(many)
	for i := range zstdColumns {
		many[fmt.Sprint("c", i)] = "zstd"
	}
	if got := batch(sampleLeast, warehousetest.Declared); !maps.Equal(got, many) {
		t.Errorf("declared: %v, want %v", got, many)
	}
	if got := batch(sampleLeast-1, warehousetest.Declared); !maps.Equal(got, few) {
		t.Errorf("few rows: %v, want %v", got, few)
	}
	many["properties"], few["properties"] = "zstd", "zstd"
	if got := batch(2*sampleValues, warehousetest.Inferred); !maps.Equal(got, many) {
		t.Errorf("inferred: %v, want %v", got, many)
	}
	if got := batch(0, warehousetest.Inferred); !maps.Equal(got, few) {
		t.Errorf("no rows: %v, want %v", got, few)
	}
}
