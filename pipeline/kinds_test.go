package pipeline_test

// kinds are the warehouses that the tests run on.
var kinds = []kind{
	{"duckdb", duck},
}
