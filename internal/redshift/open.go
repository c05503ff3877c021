package redshift

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"arbalest"
	"arbalest/internal/warehouse"
)

// A Database is a Redshift database. Its methods may be called at once.
type Database struct {
	opts    Options
	pool    *pgxpool.Pool
	dialect warehouse.Dialect
	secrets *secrets
	// reports are the views in which COPY's errors are looked for, best first.
	reports []reportView
}

var _ warehouse.Database = (*Database)(nil)

// The keepalive of connections: a COPY says nothing for minutes, and what stands
// between drops idle connections (Management Guide, "The connection is
// dropped").
const (
	keepaliveIdle     = 30 * time.Second
	keepaliveInterval = 10 * time.Second
	keepaliveCount    = 6
)

// Open connects to the database at a URL:
//
//	redshift://user:password@host:5439/dev?iam_role=default
//
// Options lists the other parameters. sslmode (disable, require, verify-ca or
// verify-full; defaults to require), sslrootcert (Amazon's certificates are in
// AWS's trust store bundle) and connect_timeout (seconds) are as libpq's. A
// parameter that is unknown is refused.
//
// It deletes what runs that died left in the bucket, a day ago or longer, as far
// as it can. Errors wrap arbalest.ErrInvalid, ErrUnknown (no such database),
// ErrUnavailable or fs.ErrPermission, and have no secrets.
func Open(ctx context.Context, url string, opts Options) (*Database, error) {
	loc, err := parseLocation(url, &opts)
	if err == nil {
		opts, err = opts.withDefaults()
	}
	if err == nil && opts.Login == nil && (loc.cluster != "" || loc.workgroup != "") {
		opts.Login, err = newLogin(ctx, loc, opts.Region)
	}
	if err != nil {
		return nil, fmt.Errorf("open warehouse: %w", err)
	}
	d := &Database{opts: opts, dialect: dialect(opts), secrets: &secrets{}}
	d.secrets.keep(loc.password)
	if err := d.connect(ctx, loc); err != nil {
		return nil, fmt.Errorf("open warehouse at %s: %w", loc.host, err)
	}
	if d.opts.Bucket != nil {
		d.sweep(ctx, time.Now())
	}
	return d, nil
}

func (d *Database) connect(ctx context.Context, loc location) error {
	config, err := pgxpool.ParseConfig(loc.dsn())
	if err != nil {
		return fmt.Errorf("%w: %s", arbalest.ErrInvalid, d.secrets.redact(err.Error()))
	}
	config.MaxConns = int32(min(d.opts.MaxConns, 1<<16))
	// Those Amazon's own JDBC driver sends too; old servers refuse what they do
	// not know. What the environment says (PGAPPNAME …) is left out.
	config.ConnConfig.RuntimeParams = map[string]string{"client_encoding": "UTF8", "DateStyle": "ISO", "TimeZone": "UTC", "extra_float_digits": "2"}
	config.ConnConfig.DialFunc = (&net.Dialer{KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: keepaliveIdle, Interval: keepaliveInterval, Count: keepaliveCount}}).DialContext
	if d.opts.Login != nil {
		logins := &logins{login: d.opts.Login, secrets: d.secrets}
		config.BeforeConnect = func(ctx context.Context, c *pgx.ConnConfig) (err error) {
			c.User, c.Password, err = logins.current(ctx, time.Now())
			return err
		}
	}
	if d.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return d.failed(ctx, "connect", err)
	}
	if err := d.findReports(ctx); err != nil {
		d.pool.Close()
		return err
	}
	return nil
}

// Dialect implements warehouse.Database.
func (d *Database) Dialect() warehouse.Dialect { return d.dialect }

// Close implements warehouse.Database.
func (d *Database) Close() error {
	d.pool.Close()
	return nil
}

// acquire takes a connection out of the pool.
func (d *Database) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	conn, err := d.pool.Acquire(ctx)
	if err == nil {
		return conn, nil
	}
	if cause := ctx.Err(); cause != nil {
		return nil, fmt.Errorf("connect: %w", cause)
	}
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, arbalest.ErrInvalid) {
		// Of Options.Login: trying again would not help.
		return nil, &failure{kinds: []error{fs.ErrPermission, arbalest.ErrInvalid}, text: "connect: " + d.secrets.redact(err.Error())}
	}
	return nil, d.failed(ctx, "connect", err)
}

// Query implements warehouse.Database. A SELECT whose connection is lost before
// it answers is asked again.
func (d *Database) Query(ctx context.Context, sql string, visit func(values []any) error, args ...any) error {
	for attempt := 1; ; attempt++ {
		seen := false
		err := d.query(ctx, sql, func(values []any) error {
			seen = true
			return visit(values)
		}, args)
		if err == nil || seen || !again(err) || attempt == d.opts.Attempts {
			return err
		}
		if err := d.pause(ctx, attempt); err != nil {
			return err
		}
	}
}

func (d *Database) query(ctx context.Context, sql string, visit func(values []any) error, args []any) error {
	conn, err := d.acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	// A visit that fails ends the SELECT with its connection, whose rows nobody
	// wants.
	within, stop := context.WithCancel(ctx)
	defer stop()
	var visitErr error
	_, err = d.run(within, conn.Conn().PgConn(), sql, args, func(values []any) error {
		if visitErr = visit(values); visitErr != nil {
			stop()
		}
		return visitErr
	})
	if visitErr != nil {
		return visitErr
	}
	return err
}
