package duckdb

import (
	"arbalest"
	"arbalest/internal/load"
)

const (
	// sampleValues is how many of a column's values are looked at, and sampleLeast
	// how few say nothing.
	sampleValues = 1024
	sampleLeast  = 256
	// zstdColumns is the most columns of a table, besides properties, that are
	// compressed by Zstandard. To read one takes a buffer for each thread, as large as
	// the texts of 2,048 rows and at most 2 MiB, which no limit counts.
	zstdColumns = 16
)

// compressions returns how to compress the columns of a table that the batch is the
// first of, by their names: those that are not in it are left to DuckDB, which
// looks for a dictionary in every text. That is half of what it does in a load, and
// in vain where nearly all values differ. Such are properties, and columns of which a
// sample does: by Zstandard a table of both loads 1.3 times as fast, into a file of
// four fifths, and is read as fast (doc/performance.md). Ids and hashes are not
// compressed: every load reads those of its hours. What a column is compressed by can
// be set when its table is made only.
func compressions(tb *load.TableBatch) map[string]string {
	by := map[string]string{}
	zstd := 0
	for i, c := range tb.Table.AllColumns() {
		switch {
		case i == load.IDColumn || i == load.HashColumn:
			by[c.Name] = "uncompressed"
		case c.Name == arbalest.PropertiesColumn.Name && !tb.Table.Declared:
			by[c.Name] = "zstd"
		case zstd < zstdColumns && isText(c.Type) && mostlyDiffer(tb, i):
			by[c.Name] = "zstd"
			zstd++
		}
	}
	return by
}

func isText(t arbalest.Type) bool {
	return t.Kind == arbalest.Char || t.Kind == arbalest.Varchar || t.Kind == arbalest.JSON
}

// mostlyDiffer says whether of a sample of a text column at least seven eighths are
// different: in a column of 4,000 texts, equally frequent, they are not.
func mostlyDiffer(tb *load.TableBatch, column int) bool {
	seen := make(map[string]bool, sampleValues)
	values := 0
	for _, c := range tb.Chunks {
		if values == sampleValues {
			break
		}
		if c.Rows == 0 {
			continue
		}
		v := &c.Columns[column]
		for row := 0; row < c.Rows && values < sampleValues; row++ {
			if v.Nulls > 0 && !load.IsSet(v.Valid, row, true) {
				continue
			}
			seen[string(load.Text(v, row))] = true
			values++
		}
	}
	return values >= sampleLeast && len(seen) >= values*7/8
}
