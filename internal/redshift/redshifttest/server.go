// Package redshifttest is an emulator of Amazon Redshift for tests: a server that
// speaks its protocol, in front of a real PostgreSQL (postgrestest), which runs
// what Redshift and PostgreSQL have in common. What Redshift has not is refused,
// COPY from S3 is done here, from stores that are mounted as buckets, and what
// Redshift does otherwise is done as its documentation says. Where that says
// nothing the emulator does what is easiest, and its comments say so.
//
// What it stores is in PostgreSQL. The commit point is PostgreSQL's COMMIT; load
// errors are written apart from the transaction, as Redshift's system tables
// outlive one that is rolled back.
package redshifttest

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"arbalest/internal/blob"
	"arbalest/internal/postgres/postgrestest"
)

// The login of every server. No error, no log and no statement that is recorded
// may show the password.
const (
	User     = "loader"
	Password = "Sesame-not-to-be-shown-1"
	Database = "dev"
)

// Views says how the system view sys_load_error_detail is for the server's user.
type Views uint8

// The ways of sys_load_error_detail.
const (
	Present Views = iota
	Absent        // an old cluster
	Denied
)

// A Server is an emulated cluster.
type Server struct {
	dsn      string
	listener net.Listener
	sessions sync.WaitGroup
	names    names

	mu           sync.Mutex
	mounts       []mount
	statements   []string
	views        Views
	faults       []Fault
	transactions int
	lastCopy     int64
	lastPID      uint32
	conns        map[net.Conn]bool
}

// A mount is a store that COPY sees as a bucket, or as a prefix in one.
type mount struct {
	bucket, prefix string
	store          blob.Store
}

// Start starts a server that ends with the test, on a new database. It skips the
// test, or fails it where the environment has CI set, if there is no PostgreSQL.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{dsn: postgrestest.Start(t), conns: map[net.Conn]bool{}}
	if err := s.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	var err error
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	s.sessions.Go(func() {
		for {
			conn, err := s.listener.Accept()
			if err != nil {
				return // closed
			}
			s.sessions.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = s.listener.Close()
		s.mu.Lock()
		for conn := range s.conns {
			_ = conn.Close()
		}
		s.mu.Unlock()
		s.sessions.Wait()
	})
	return s
}

// URL returns the server's address, as redshift.Open takes it.
func (s *Server) URL() string {
	u := url.URL{Scheme: "redshift", User: url.UserPassword(User, Password), Host: s.listener.Addr().String(), Path: "/" + Database, RawQuery: "sslmode=disable"}
	return u.String()
}

// DSN returns the address of the PostgreSQL behind, to look at what there is.
func (s *Server) DSN() string { return s.dsn }

// Mount makes COPY see a store at s3://bucket/prefix.
func (s *Server) Mount(bucket, prefix string, store blob.Store) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mounts = append(s.mounts, mount{bucket, strings.Trim(prefix, "/"), store})
}

// SetViews says how sys_load_error_detail is from now on.
func (s *Server) SetViews(v Views) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.views = v
}

// Statements returns what was asked since the last call, in order, one text for
// each statement, with its arguments. Keys in it are redacted.
func (s *Server) Statements() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.statements
	s.statements = nil
	return all
}

// keys are the parts of a COPY that nobody is to see.
var keys = regexp.MustCompile(`(?i)((?:ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|CREDENTIALS)(?:\s+AS)?\s+)'(?:[^']|'')*'`)

func (s *Server) record(statement string) {
	statement = keys.ReplaceAllString(statement, "$1'********'")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.statements = append(s.statements, statement)
}

// preparation is what Redshift has and PostgreSQL has not. SUPER is json, whose
// text stays as it came.
const preparation = `
CREATE SCHEMA redshift;
CREATE TABLE redshift.sys_load_error_detail (
	user_id int, query_id bigint, transaction_id bigint, session_id int, database_name char(64), table_id int, start_time timestamp,
	file_name char(256), line_number bigint, column_name char(127), column_type char(10), column_length char(10), position int,
	error_code int, error_message char(512));
CREATE TABLE redshift.stl_load_errors (
	userid int, slice int, tbl int, starttime timestamp, session int, query int, filename char(256), line_number bigint,
	colname char(127), type char(10), col_length char(10), position int, raw_line char(1024), raw_field_value char(1024),
	err_code int, err_reason char(100), is_partial int, start_offset bigint, copy_job_id bigint);
CREATE FUNCTION redshift.getdate() RETURNS timestamp LANGUAGE sql VOLATILE AS $$ SELECT date_trunc('second', clock_timestamp() AT TIME ZONE 'UTC') $$;
CREATE FUNCTION redshift.json_parse(text) RETURNS json LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT $1::json $$;
CREATE FUNCTION redshift.json_serialize(json) RETURNS varchar LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT $1::text::varchar $$;
CREATE FUNCTION redshift.nvl(anyelement, anyelement) RETURNS anyelement LANGUAGE sql IMMUTABLE AS $$ SELECT coalesce($1, $2) $$;
CREATE FUNCTION redshift.len(text) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT length($1) $$;
`

func (s *Server) prepare(ctx context.Context) error {
	conn, err := pgconn.Connect(ctx, s.dsn)
	if err != nil {
		return fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	defer conn.Close(ctx)
	u, err := url.Parse(s.dsn)
	if err != nil {
		return fmt.Errorf("the DSN of PostgreSQL is no URL")
	}
	// Without "$user": PostgreSQL's user has the name of a schema of ours.
	path := `ALTER DATABASE ` + quote(strings.Trim(u.Path, "/")) + ` SET search_path = public, redshift`
	for _, sql := range []string{preparation, path} {
		if _, err := conn.Exec(ctx, sql).ReadAll(); err != nil {
			return fmt.Errorf("prepare PostgreSQL: %w", err)
		}
	}
	return nil
}
