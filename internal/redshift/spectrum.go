package redshift

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"arbalest"
	"arbalest/internal/warehouse"
)

// An External is a table of which days are in Parquet on S3.
type External struct {
	arbalest.Table
	Location string // s3://bucket/prefix/, with a folder day=<yyyy-MM-dd>/ for each day
	Days     []arbalest.Hour
}

// externalSchema is the schema of external tables, and their database in the catalog.
const externalSchema = "arbalest_warm"

// maxPartitions is how many partitions one ALTER TABLE adds at most (Developer Guide,
// "ALTER TABLE ADD PARTITION").
const maxPartitions = 100

// Spectrum returns the statements by which Redshift reads what is warm: an external
// schema, and for each table an external one with its partitions and a view
// <table>_all of both. They are to be run one by one, outside of a transaction, and
// again when more has left: nothing is stored in them. It is made by the
// documentation ("Creating external tables", "CREATE VIEW"), and was not run on AWS.
func Spectrum(tables []External) []string {
	schema := warehouse.Ident(externalSchema)
	statements := []string{fmt.Sprintf("CREATE EXTERNAL SCHEMA IF NOT EXISTS %s FROM DATA CATALOG DATABASE '%s' IAM_ROLE default CREATE EXTERNAL DATABASE IF NOT EXISTS", schema, externalSchema)}
	for _, t := range tables {
		name := schema + "." + warehouse.Ident(t.Name)
		day := "day"
		columns := t.AllColumns()
		if slices.ContainsFunc(columns, func(c arbalest.Column) bool { return c.Name == day }) {
			day = "warm_day"
		}
		var defined, hot, warm []string
		for _, c := range columns {
			spelled, value := external(c)
			defined = append(defined, warehouse.Ident(c.Name)+" "+spelled)
			hot, warm = append(hot, warehouse.Ident(c.Name)), append(warm, value)
		}
		statements = append(statements,
			"DROP TABLE IF EXISTS "+name,
			fmt.Sprintf("CREATE EXTERNAL TABLE %s (\n  %s\n) PARTITIONED BY (%s DATE) STORED AS PARQUET LOCATION %s", name, strings.Join(defined, ",\n  "), warehouse.Ident(day), warehouse.Literal(t.Location)))
		for some := range slices.Chunk(t.Days, maxPartitions) {
			add := "ALTER TABLE " + name + " ADD IF NOT EXISTS"
			for _, d := range some {
				date := d.Time().Format(time.DateOnly)
				add += fmt.Sprintf("\n  PARTITION (%s='%s') LOCATION %s", warehouse.Ident(day), date, warehouse.Literal(t.Location+"day="+date+"/"))
			}
			statements = append(statements, add)
		}
		statements = append(statements, fmt.Sprintf("CREATE OR REPLACE VIEW %s AS\nSELECT %s\nFROM %s\nUNION ALL\nSELECT %s\nFROM %s\nWITH NO SCHEMA BINDING",
			warehouse.Qualified("public", t.Name+"_all"), strings.Join(hot, ", "), warehouse.Qualified("public", t.Name), strings.Join(warm, ", "), name))
	}
	return statements
}

// external spells a column's type in an external table, which has no SUPER and no
// TIMESTAMPTZ, and its value as the table has it.
func external(c arbalest.Column) (spelled, value string) {
	value = warehouse.Ident(c.Name)
	switch c.Type.Kind {
	case arbalest.JSON:
		return fmt.Sprintf("VARCHAR(%d)", maxVarchar), "JSON_PARSE(" + value + ") AS " + value
	case arbalest.TimestampTZ:
		return "TIMESTAMP", value + " AT TIME ZONE 'UTC' AS " + value
	}
	return spell(c.Type), value
}
