package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"time"

	"arbalest"
	"arbalest/internal/pgwire"
)

// defaultSQL is where PostgreSQL's clients are served unless serve is told
// otherwise.
const defaultSQL = "127.0.0.1:5439"

// A sqlConfig says how PostgreSQL's clients are served.
type sqlConfig struct {
	// Listen is the address, or "off". Defaults to 127.0.0.1:5439, if that is
	// free.
	Listen string `yaml:"listen"`
	// Password is that of the user arbalest, in which ${NAME} is replaced from the
	// environment. Other addresses than this machine's need one.
	Password string `yaml:"password"`
	// Timeout is how long a statement may take. Defaults to 5m.
	Timeout duration `yaml:"timeout"`
}

// A sqlFace serves PostgreSQL's clients.
type sqlFace struct {
	server  *pgwire.Server
	address string
}

// listenSQL starts to serve PostgreSQL's clients, unless that is off, or the
// default address is taken. A warehouse that is PostgreSQL itself, or Redshift,
// they connect to.
func (s *server) listenSQL(ctx context.Context, c sqlConfig) error {
	if c.Listen == "off" {
		return nil
	}
	if s.engine.duck == nil {
		if c.Listen != "" {
			return fmt.Errorf("%w --sql %s: the warehouse is not the DuckDB inside: connect to it directly, and leave sql out", arbalest.ErrInvalid, c.Listen)
		}
		return nil
	}
	password, err := expand(c.Password)
	if err != nil {
		return fmt.Errorf("%w configuration: sql.password: %w", arbalest.ErrInvalid, err)
	}
	address := cmp.Or(c.Listen, defaultSQL)
	ln, err := net.Listen("tcp", address)
	if err != nil && c.Listen == "" {
		s.log.Warn("no SQL for PostgreSQL's clients, the address is taken: give another with --sql, or --sql off", "address", address)
		return nil
	}
	if err != nil {
		return fmt.Errorf("listen on %s: %w: choose another address with --sql", address, err)
	}
	if addr, ok := ln.Addr().(*net.TCPAddr); ok && !addr.IP.IsLoopback() {
		if password == "" {
			_ = ln.Close() // nobody was let in
			return fmt.Errorf("%w address %s: anyone who reaches it could read all tables: set sql: {password: ${NAME}} in arbalest.yaml, or listen on 127.0.0.1", arbalest.ErrInvalid, address)
		}
		if s.certificate == nil {
			s.log.Warn("results of SQL go unencrypted over the network: configure tls", "address", addr.String())
		}
	}
	opts := pgwire.Options{Warehouse: s.engine.duck, Password: password, Timeout: time.Duration(c.Timeout), Log: s.log}
	if s.certificate != nil {
		opts.TLS = s.certificate.config()
	}
	server, err := pgwire.New(ctx, opts)
	if err != nil {
		_ = ln.Close() // nobody was let in
		return err
	}
	s.sql = &sqlFace{server, ln.Addr().String()}
	s.loops.Go(func() {
		if err := server.Serve(ln); err != nil {
			s.log.Error("sql", "error", err)
		}
	})
	return nil
}

// closeSQL stops what PostgreSQL's clients are doing.
func (s *server) closeSQL(ctx context.Context) error {
	if s.sql == nil {
		return nil
	}
	return s.sql.server.Close(ctx)
}
