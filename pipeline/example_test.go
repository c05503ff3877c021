package pipeline_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"arbalest"
	"arbalest/connect"
	"arbalest/pipeline"
)

// env returns a variable of the environment. The example sets those that it
// needs, where the original's are set by whoever runs it.
func env(name string) string { return os.Getenv(name) }

// The example of the original library's README, line for line: a bulk copy, a
// copy of what is new, and SQL. BUCKET is s3://bucket/prefix or a directory,
// WAREHOUSE redshift://…, postgres://… or a DuckDB file.
func Example() {
	defer setUpExample()()

	ctx := context.Background()
	bucket, closeBucket, err := connect.Store(ctx, env("BUCKET"))
	if err != nil {
		log.Fatal(err)
	}
	defer closeBucket()
	warehouse, err := connect.Warehouse(ctx, env("WAREHOUSE"), bucket, connect.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer warehouse.Close()

	p := pipeline.New("example",
		pipeline.BulkCopy("path_of_source_data",
			arbalest.JSONObject("destination_table_name",
				arbalest.Property("id", "VARCHAR(36)"),
				arbalest.Property("someNumber", "INTEGER", arbalest.As("custom_column_name")))),

		pipeline.ManifestCopy("path_of_incremental_source_data",
			arbalest.JSONObject("incremental_destination_table_name",
				arbalest.Property("id", "VARCHAR(36)"),
				arbalest.Property("someNumber", "INTEGER", arbalest.As("custom_column_name")))),

		pipeline.SQL(
			pipeline.S("DROP TABLE IF EXISTS some_olap_table"),
			pipeline.S("CREATE TABLE some_olap_table (some_number INTEGER)"),
			pipeline.S("INSERT INTO some_olap_table SELECT custom_column_name + $1 FROM destination_table_name", 1),
			pipeline.S("DROP TABLE IF EXISTS destination_table_name_copy"),
			pipeline.S("CREATE TABLE destination_table_name_copy AS SELECT * FROM destination_table_name")))

	report, err := p.Run(ctx, pipeline.Env{Store: bucket, Warehouse: warehouse.Database}, pipeline.Options{})
	if err != nil {
		log.Fatal(err)
	}
	for _, step := range report.Steps {
		fmt.Printf("%s: %s, %d objects\n", step.Name, step.State, step.Objects)
	}
	// Output:
	// bulk copy path_of_source_data into destination_table_name: done, 2 objects
	// manifest copy path_of_incremental_source_data into incremental_destination_table_name: done, 1 objects
	// sql: 5 statements: done, 0 objects
}

// setUpExample makes a bucket with three objects, and a warehouse, and returns
// what removes them.
func setUpExample() func() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	os.Setenv("BUCKET", filepath.Join(dir, "bucket"))
	os.Setenv("WAREHOUSE", filepath.Join(dir, "warehouse.duckdb"))
	bucket, closeBucket, err := connect.Store(context.Background(), env("BUCKET"))
	if err != nil {
		log.Fatal(err)
	}
	defer closeBucket()
	for key, text := range map[arbalest.Key]string{
		"path_of_source_data/a":             `{"id":"66bc8153-d6d9-4351-bada-803330f22db7","someNumber":1}`,
		"path_of_source_data/b":             `{"id":"11111111-d6d9-4351-bada-803330f22db7","someNumber":2}`,
		"path_of_incremental_source_data/c": `{"id":"22222222-d6d9-4351-bada-803330f22db7","someNumber":3}`,
	} {
		if err := bucket.Put(context.Background(), key, strings.NewReader(text)); err != nil {
			log.Fatal(err)
		}
	}
	return func() { os.RemoveAll(dir) }
}
