// Package postgres is the SQL database PostgreSQL, from version 12 on.
//
// It stores tables in schema public of the database that it is given. Rows go
// in by COPY in its binary format, straight from the vectors that events were
// decoded to. The commit point is PostgreSQL's COMMIT, with synchronous_commit
// never off.
package postgres
