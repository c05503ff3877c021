package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"arbalest"
	"arbalest/internal/warehouse"
)

// Options are a database's settings. The zero value works.
type Options struct {
	// Connections is how many connections there are at most. Defaults to 8.
	Connections int
	// Attempts is how often a transaction is tried that conflicts with another,
	// or loses its connection. Defaults to 10, within some 10 s.
	Attempts int
	// ConnectTimeout is how long making a connection may take, if the address
	// does not say. Defaults to 10 s.
	ConnectTimeout time.Duration
	// CommitTimeout is how long a COMMIT may take once it was sent, even if the
	// caller has given up: what became of it must be known. Defaults to 1 min.
	CommitTimeout time.Duration
}

func (o Options) withDefaults() Options {
	if o.Connections == 0 {
		o.Connections = 8
	}
	if o.Attempts == 0 {
		o.Attempts = 10
	}
	if o.ConnectTimeout == 0 {
		o.ConnectTimeout = 10 * time.Second
	}
	if o.CommitTimeout == 0 {
		o.CommitTimeout = time.Minute
	}
	return o
}

func (o Options) validate() error {
	if o.Connections < 0 || o.Attempts < 0 || o.ConnectTimeout < 0 || o.CommitTimeout < 0 {
		return fmt.Errorf("%w: options of PostgreSQL are negative: %+v", arbalest.ErrInvalid, o)
	}
	return nil
}

// A Database is a PostgreSQL database, as warehouse.Database says.
type Database struct {
	opts     Options
	password string // to be kept out of errors
	pool     *pgxpool.Pool
}

var _ warehouse.Database = (*Database)(nil)

// session readies a connection. Times are UTC and spelled one way, floating
// point has the fewest digits that read back; a client that vanishes without a
// word is given up, with its locks, after two minutes. synchronous_commit is
// only ever raised: some roles have it off, and then a commit is lost with the
// server.
const session = `SET client_encoding = 'UTF8'; SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET extra_float_digits = 3;
SET standard_conforming_strings = on; SET search_path = public; SET client_min_messages = warning;
SET tcp_keepalives_idle = 60; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 6;
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`

// Open connects to a database by its address: postgres://user:password@host/name
// or "host=… user=… dbname=…", with the parameters, environment variables
// (PGHOST, PGPASSWORD, …) and password file of libpq. The error is as
// warehouse.Database has them, and does not show the password.
func Open(ctx context.Context, dsn string, opts Options) (*Database, error) {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, err
	}
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		// The parser's own error may show what it took for something else than
		// the password.
		return nil, fmt.Errorf("%w: the address of PostgreSQL cannot be read: write postgres://USER:PASSWORD@HOST:5432/DATABASE, with %%-escapes in the password", arbalest.ErrInvalid)
	}
	config.MaxConns = int32(opts.Connections)
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = opts.ConnectTimeout
	}
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "arbalest"
	}
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec // nothing is cached: tables change
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.PgConn().Exec(ctx, session).ReadAll()
		return err
	}
	d := &Database{opts: opts, password: config.ConnConfig.Password}
	if d.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, d.wrap(ctx, err)
	}
	if err := d.pool.Ping(ctx); err != nil {
		d.pool.Close()
		return nil, fmt.Errorf("connect to PostgreSQL at %s:%d: %w", config.ConnConfig.Host, config.ConnConfig.Port, d.wrap(ctx, err))
	}
	return d, nil
}

// Close waits for what runs and closes the connections.
func (d *Database) Close() error {
	d.pool.Close()
	return nil
}

// on runs do with a connection of its own. A connection that do leaves in a
// transaction is closed.
func (d *Database) on(ctx context.Context, do func(*pgconn.PgConn) error) error {
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return &lostError{d.wrap(ctx, err)}
	}
	defer conn.Release()
	err = do(conn.Conn().PgConn())
	if err != nil && conn.Conn().IsClosed() && ctx.Err() == nil {
		return &lostError{err}
	}
	return err
}
