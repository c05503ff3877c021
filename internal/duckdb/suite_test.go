package duckdb

import (
	"path/filepath"
	"testing"

	"arbalest/internal/load"
	"arbalest/internal/load/warehousetest"
)

func TestSuiteInFile(t *testing.T) {
	paths := map[*testing.T]string{}
	opened := map[*testing.T]*Warehouse{}
	warehousetest.Run(t, func(t *testing.T) (load.Warehouse, func(string) [][]string) {
		if paths[t] == "" {
			paths[t] = filepath.Join(t.TempDir(), "warehouse's 1%.duckdb")
			t.Cleanup(func() {
				if err := opened[t].Close(); err != nil {
					t.Error(err)
				}
			})
		} else if err := opened[t].Close(); err != nil {
			t.Fatal(err)
		}
		opened[t] = mustOpen(t, paths[t], Options{})
		return opened[t], func(sql string) [][]string { return mustQuery(t, opened[t], sql) }
	})
}

func mustOpen(t testing.TB, path string, opts Options) *Warehouse {
	t.Helper()
	w, err := Open(t.Context(), path, opts)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func mustQuery(t testing.TB, w *Warehouse, sql string) [][]string {
	t.Helper()
	rows, err := queryAll(t, w, sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return rows
}

func queryAll(t testing.TB, w *Warehouse, sql string) ([][]string, error) {
	r, err := w.Query(t.Context(), sql)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var rows [][]string
	for r.Next() {
		var row []string
		for _, v := range r.Values() {
			if v.Null {
				v.Text = warehousetest.Null
			}
			row = append(row, v.Text)
		}
		rows = append(rows, row)
	}
	return rows, r.Err()
}
