package postgres

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"arbalest"
	"arbalest/internal/load"
	"arbalest/internal/load/warehousetest"
	"arbalest/internal/postgres/postgrestest"
	"arbalest/internal/warehouse"
)

// TestUnfitTexts loads texts that PostgreSQL cannot have.
func TestUnfitTexts(t *testing.T) {
	d := mustOpen(t, postgrestest.Start(t), Options{})
	w := warehouse.New(d)
	row := func(id string, values ...any) warehousetest.Row {
		return warehousetest.Row{ID: id, Time: "2015-08-18T06:00:00Z", Values: values}
	}
	open := warehousetest.Batch(warehousetest.Inferred("open", warehousetest.Col("a", "VARCHAR(256)"), warehousetest.Col("b", "VARCHAR(256)"), warehousetest.Col("j", "JSON")), 2, warehousetest.Object{Commit: 1, Rows: []warehousetest.Row{
		row("1", "x\x00y", "good", `["\u0000"]`, `{"a":"x\u0000y"}`), row("2", nil, "good", nil, `{}`), row("3", "\x00", "\x00", nil, `{"a":"\u0000"}`), row("i\x00d", "x", "x", nil, `{}`), row("4", "good", "good", nil, `{}`),
	}})
	closed := warehousetest.Batch(warehousetest.Declared("closed", warehousetest.Col("a", "VARCHAR(256)")), 2, warehousetest.Object{Commit: 1, Rows: []warehousetest.Row{row("1", "x\x00y"), row("2", "good"), row("3", nil)}})
	counts, err := w.Load(t.Context(), load.Progress{}, load.Batch{Tables: []load.TableBatch{open, closed}, Next: at(1)})
	if err != nil {
		t.Fatal(err)
	}
	if want := []load.Counts{{Stored: 5, Loaded: 4, Errors: 1}, {Stored: 3, Loaded: 2, Errors: 1}}; !slices.Equal(counts, want) {
		t.Errorf("counts are %+v, want %+v", counts, want)
	}
	for sql, want := range map[string]string{
		"SELECT event_id, a, b, j, properties FROM open ORDER BY event_id":                                                          `1 <nil> good ["\u0000"] {"a":"x\u0000y"}; 2 <nil> good <nil> {}; 3 <nil> <nil> <nil> {"a":"\u0000"}; 4 good good <nil> {}`,
		"SELECT event_id, a FROM closed ORDER BY event_id":                                                                          "2 good; 3 <nil>",
		"SELECT table_name, line, event_id, column_name, value, loaded FROM arbalest.load_errors ORDER BY table_name DESC, line, 4": "open 1 1 a \"x\\u0000y\" true; open 3 3 a \"\\u0000\" true; open 3 3 b \"\\u0000\" true; open 4 i\ufffdd event_id \"i\\u0000d\" false; closed 1 1 a \"x\\u0000y\" false",
	} {
		if got := strings.Join(rows(t, d, sql), "; "); got != want {
			t.Errorf("%s\n got %s\nwant %s", sql, got, want)
		}
	}
	// The batch is as it was.
	if again, err := w.Load(t.Context(), at(1), load.Batch{Tables: []load.TableBatch{open}, Next: at(2)}); err != nil || again[0] != (load.Counts{Stored: 5, Repeats: 4, Errors: 1}) {
		t.Errorf("the same again: %+v, %v", again, err)
	}
}

// TestWideRows loads rows of more columns than a page of PostgreSQL's has room
// for.
func TestWideRows(t *testing.T) {
	d := mustOpen(t, postgrestest.Start(t), Options{})
	w := warehouse.New(d)
	const n = 1500
	for i, kind := range []struct {
		kind  string
		value any
	}{{"BIGINT", 1}, {"VARCHAR(256)", strings.Repeat("x", 200)}, {"VARCHAR(256)", strings.Repeat("x", 23)}, {"DECIMAL(38,10)", "9999999999999999999999999999.9999999999"}, {"BOOLEAN", true}} {
		inferred, declared := warehousetest.Inferred(fmt.Sprint("wide.", i)), warehousetest.Declared(fmt.Sprint("fixed.", i))
		var values, few []any
		for k := range n {
			c := warehousetest.Col(fmt.Sprint("c", k), kind.kind)
			inferred.Columns, declared.Columns = append(inferred.Columns, c), append(declared.Columns, c)
			values, few = append(values, kind.value), append(few, nil)
		}
		few[n-1] = kind.value
		events := func(properties ...any) []warehousetest.Row {
			return []warehousetest.Row{{ID: "few", Time: "2015-08-18T06:00:00Z", Values: append(few[:n:n], properties...)}, {ID: "many", Time: "2015-08-18T06:00:00Z", Values: append(values[:n:n], properties...)}}
		}
		counts, err := w.Load(t.Context(), at(arbalest.Seq(i)), load.Batch{Next: at(arbalest.Seq(i + 1)), Tables: []load.TableBatch{
			warehousetest.Batch(inferred, 10, warehousetest.Object{Commit: 1, Rows: events(`{"c":"` + strings.Repeat("y", 10_000) + `"}`)}),
			warehousetest.Batch(declared, 10, warehousetest.Object{Commit: 1, Rows: events()}),
		}})
		if err != nil {
			t.Fatalf("%s: %v", kind.kind, err)
		}
		if c := counts[0]; c.Loaded != 2 || c.Errors != 0 {
			t.Errorf("%s: counts are %+v", kind.kind, c)
		}
		if c := counts[1]; c.Loaded+c.Errors != 2 || c.Loaded == 0 {
			t.Errorf("%s: counts of the declared table are %+v", kind.kind, c)
		}
		t.Logf("%s: %v, errors %v", kind.kind, counts, rows(t, d, fmt.Sprintf("SELECT table_name, column_name, reason, loaded FROM arbalest.load_errors WHERE table_name LIKE '%%_%d'", i)))
	}
}

// TestLongNames has names that differ after PostgreSQL's 63 bytes only.
func TestLongNames(t *testing.T) {
	d := mustOpen(t, postgrestest.Start(t), Options{})
	w := warehouse.New(d)
	long := strings.Repeat("long_name_", 12)
	var tables []load.TableBatch
	for _, event := range []string{long + "a", long + "b"} {
		table := warehousetest.Declared(event, warehousetest.Col(long+"x", "BIGINT"), warehousetest.Col(long+"y", "VARCHAR(10)"))
		tables = append(tables, warehousetest.Batch(table, 10, warehousetest.Object{Commit: 1, Rows: []warehousetest.Row{{ID: event, Time: "2015-08-18T06:00:00Z", Values: []any{1, "y"}}}}))
	}
	for commit := range arbalest.Seq(2) {
		if _, err := w.Load(t.Context(), at(commit), load.Batch{Tables: tables, Next: at(commit + 1)}); err != nil {
			t.Fatal(err)
		}
	}
	infos, err := w.Tables(t.Context())
	if want := []warehouse.TableInfo{{Name: long + "a", Event: arbalest.EventName(long + "a"), Rows: 1, Columns: 6}, {Name: long + "b", Event: arbalest.EventName(long + "b"), Rows: 1, Columns: 6}}; err != nil || !slices.Equal(infos, want) {
		t.Errorf("tables are %+v, %v", infos, err)
	}
	var ids []string
	err = w.Rows(t.Context(), long+"b", 0, 1<<60, func(r load.Row) error {
		ids = append(ids, r.ID)
		return nil
	})
	if err != nil || !slices.Equal(ids, []string{long + "b"}) {
		t.Errorf("rows are %v, %v", ids, err)
	}
	if err := w.Reset(t.Context(), long+"a"); err != nil {
		t.Fatal(err)
	}
	if got := rows(t, d, "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"); got[0] != "1" {
		t.Errorf("after a reset %s tables", got[0])
	}
}

// A moving is a database that cannot change a column's type in place.
type moving struct{ *Database }

func (m moving) Dialect() warehouse.Dialect {
	d := m.Database.Dialect()
	d.Retype, d.Events = nil, nil
	return d
}

func TestWidenByAnotherColumn(t *testing.T) {
	d := mustOpen(t, postgrestest.Start(t), Options{})
	w := warehouse.New(moving{d})
	for i, step := range []struct {
		kind  string
		value any
	}{{"SMALLINT", 7}, {"BIGINT", 9007199254740992}, {"DECIMAL(20,2)", "0.25"}} {
		batch := warehousetest.Batch(warehousetest.Declared("moved", warehousetest.Col("v", step.kind), warehousetest.Col("w", "VARCHAR(10)")), 10,
			warehousetest.Object{Commit: 1, Rows: []warehousetest.Row{{ID: fmt.Sprint(i), Time: "2015-08-18T06:00:00Z", Values: []any{step.value, "w"}}}})
		if _, err := w.Load(t.Context(), at(arbalest.Seq(i)), load.Batch{Tables: []load.TableBatch{batch}, Next: at(arbalest.Seq(i + 1))}); err != nil {
			t.Fatal(err)
		}
	}
	if got := rows(t, d, "SELECT v, w FROM moved ORDER BY event_id"); !slices.Equal(got, []string{"7.00 w", "9007199254740992.00 w", "0.25 w"}) {
		t.Errorf("rows are %q", got)
	}
	if got := rows(t, d, "SELECT column_name FROM information_schema.columns WHERE table_name = 'moved' ORDER BY ordinal_position"); !slices.Equal(got, []string{"event_id", "event_time", "received_at", "event_hash", "w", "v"}) {
		t.Errorf("columns are %q", got)
	}
}
