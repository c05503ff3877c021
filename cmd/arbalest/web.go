package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"arbalest"
	"arbalest/internal/saved"
	"arbalest/internal/web"
)

// defaultWeb is where the pages are unless serve is told otherwise.
const defaultWeb = "127.0.0.1:8081"

// A webConfig says how the pages are served.
type webConfig struct {
	// Listen is the address, or "off". Defaults to 127.0.0.1:8081, if that is
	// free.
	Listen string `yaml:"listen"`
	// Password is that of the user arbalest, in which ${NAME} is replaced from the
	// environment. Other addresses than this machine's need one.
	Password string `yaml:"password"`
	// Price is what a GB costs in a month, in dollars, for the estimates of the page
	// Store. Defaults to 0.023, S3 Standard's list price in us-east-1.
	Price float64 `yaml:"price"`
}

// A webFace serves the pages.
type webFace struct {
	server *http.Server
	url    string
}

// listenWeb starts to serve the pages, unless that is off, or the default address
// is taken. timeout is that of a statement.
func (s *server) listenWeb(background context.Context, p place, c webConfig, timeout duration) error {
	if c.Listen == "off" {
		return nil
	}
	password, err := expand(c.Password)
	if err != nil {
		return fmt.Errorf("%w configuration: web.password: %w", arbalest.ErrInvalid, err)
	}
	address := cmp.Or(c.Listen, defaultWeb)
	ln, err := net.Listen("tcp", address)
	if err != nil && c.Listen == "" {
		s.log.Warn("no pages, the address is taken: give another with --web, or --web off", "address", address)
		return nil
	}
	if err != nil {
		return fmt.Errorf("listen on %s: %w: choose another address with --web", address, err)
	}
	scheme, certificate := "http://", (*certificate)(nil)
	if addr, ok := ln.Addr().(*net.TCPAddr); ok && !addr.IP.IsLoopback() {
		if password == "" {
			_ = ln.Close() // nobody was let in
			return fmt.Errorf("%w address %s: anyone who reaches it could see all events: set web: {password: ${NAME}} in arbalest.yaml, or listen on 127.0.0.1", arbalest.ErrInvalid, address)
		}
		if certificate = s.certificate; certificate == nil {
			s.log.Warn("the pages and their password go unencrypted over the network: configure tls", "address", addr.String())
		}
	}
	site, err := web.New(web.Options{Program: &facts{server: s, background: background}, Password: password, Capture: s.url, Queries: saved.NewFolder(p.queries()), Statement: time.Duration(timeout), Log: s.log})
	if err != nil {
		_ = ln.Close() // nobody was let in
		return err
	}
	server := &http.Server{
		Handler: site, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
	}
	base, stop := context.WithCancel(context.Background()) // of statements, which Shutdown would wait for
	server.BaseContext = func(net.Listener) context.Context { return base }
	server.RegisterOnShutdown(stop)
	var face frontage = server
	if certificate != nil {
		server.TLSConfig, scheme = certificate.config(), "https://"
		face = tlsServer{server}
	}
	s.web = &webFace{server, scheme + ln.Addr().String()}
	s.loops.Go(func() {
		if err := face.Serve(ln); err != http.ErrServerClosed {
			s.log.Error("pages", "error", err)
		}
	})
	return nil
}

// closeWeb stops serving the pages: what is asked there changes nothing that has
// to be finished, or can be begun anew.
func (s *server) closeWeb(ctx context.Context) error {
	if s.web == nil {
		return nil
	}
	if s.web.server.Shutdown(ctx) != nil {
		return s.web.server.Close()
	}
	return nil
}

// facts are what the pages ask of serve.
type facts struct {
	*server
	background context.Context // of what goes on when a page is made

	sizes    sizes
	counting counting
}

// Ask implements web.Program.
func (f *facts) Ask(ctx context.Context, sql string, to rowSink) error {
	return f.engine.Query(ctx, sql, to)
}
