package postgres

import (
	"testing"

	"arbalest/internal/load"
	"arbalest/internal/load/warehousetest"
	"arbalest/internal/postgres/postgrestest"
	"arbalest/internal/warehouse"
)

func TestSuite(t *testing.T) { runSuite(t, func(d *Database) warehouse.Database { return d }) }

// runSuite runs the suite of warehouses over a database, or what is made of it.
func runSuite(t *testing.T, as func(*Database) warehouse.Database) {
	dsns := map[*testing.T]string{}
	opened := map[*testing.T]*warehouse.Warehouse{}
	warehousetest.Run(t, func(t *testing.T) (load.Warehouse, func(string) [][]string) {
		if dsns[t] == "" {
			dsns[t] = postgrestest.Start(t)
			t.Cleanup(func() {
				if err := opened[t].Close(); err != nil {
					t.Error(err)
				}
			})
		} else if err := opened[t].Close(); err != nil {
			t.Fatal(err)
		}
		d, err := Open(t.Context(), dsns[t], Options{})
		if err != nil {
			t.Fatal(err)
		}
		opened[t] = warehouse.New(as(d))
		return opened[t], func(sql string) [][]string {
			t.Helper()
			s := &sink{}
			if err := d.Ask(t.Context(), sql, s); err != nil {
				t.Fatalf("%s: %v", sql, err)
			}
			return s.rows
		}
	})
}
