package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"arbalest"
	"arbalest/internal/saved"
	"arbalest/internal/web"
)

// ownWeb is where the pages are by default where they cannot be beside capture.
const ownWeb = "127.0.0.1:8081"

// A webConfig says how the pages are served.
type webConfig struct {
	// Listen is an address of their own, or "off". Defaults to none: they are
	// beside capture where that is open to this machine alone and asks for no key,
	// or where there is a password; else at 127.0.0.1:8081, if that is free.
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
	url      string
	site     http.Handler
	password bool
	server   *http.Server    // nil if they are beside capture
	running  context.Context // ends what is asked there, which nothing has to wait for
	stop     context.CancelFunc
}

// openWeb makes the pages, unless they are off, and serves them. timeout is that
// of a statement.
func (s *server) openWeb(background context.Context, p place, c webConfig, timeout duration) error {
	if c.Listen == "off" {
		return nil
	}
	password, err := expand(c.Password)
	if err != nil {
		return fmt.Errorf("%w configuration: web.password: %w", arbalest.ErrInvalid, err)
	}
	site, err := web.New(web.Options{Program: &facts{server: s, background: background}, Password: password, Capture: s.url, Queries: saved.NewFolder(p.queries()), Statement: time.Duration(timeout), Log: s.log})
	if err != nil {
		return err
	}
	face := &webFace{url: s.url, site: site, password: password != ""}
	face.running, face.stop = context.WithCancel(background)
	if c.Listen == "" && (face.password || s.local && !s.keys.Keyed()) {
		s.web.Store(face)
		if !s.local && s.certificate == nil {
			s.log.Warn("the pages and their password go unencrypted over the network: configure tls", "address", s.url)
		}
		return nil
	}
	if err := s.listenWeb(face, c.Listen); err != nil {
		face.stop()
		return err
	}
	return nil
}

// listenWeb serves the pages at an address of their own; none is the default one,
// unless that is taken.
func (s *server) listenWeb(face *webFace, address string) error {
	ln, err := net.Listen("tcp", cmp.Or(address, ownWeb))
	if err != nil && address == "" {
		face.stop()
		s.log.Warn("no pages, the address is taken: give another with --web, or --web off", "address", ownWeb)
		return nil
	}
	if err != nil {
		return fmt.Errorf("listen on %s: %w: choose another address with --web", address, err)
	}
	scheme, certificate := "http://", (*certificate)(nil)
	if !isLoopback(ln) {
		if !face.password {
			_ = ln.Close() // nobody was let in
			return fmt.Errorf("%w address %s: anyone who reaches it could see all events: set web: {password: ${NAME}} in arbalest.yaml, or listen on 127.0.0.1", arbalest.ErrInvalid, address)
		}
		if certificate = s.certificate; certificate == nil {
			s.log.Warn("the pages and their password go unencrypted over the network: configure tls", "address", ln.Addr().String())
		}
	}
	face.server = &http.Server{
		Handler: http.HandlerFunc(face.serve), ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
	}
	var front frontage = face.server
	if certificate != nil {
		face.server.TLSConfig, scheme = certificate.config(), "https://"
		front = tlsServer{face.server}
	}
	face.url = scheme + ln.Addr().String()
	s.web.Store(face)
	s.loops.Go(func() {
		if err := front.Serve(ln); err != http.ErrServerClosed {
			s.log.Error("pages", "error", err)
		}
	})
	return nil
}

// serve answers a request for a page, until the pages are stopped.
func (f *webFace) serve(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(f.running, cancel)()
	f.site.ServeHTTP(w, r.WithContext(ctx))
}

// besidePages answers requests for pages, where they are at capture's address, and
// leaves all else to the next handler. Write keys say that others than who is on
// this machine send events, if by way of a proxy on it: then requests from this
// machine prove nothing.
func (s *server) besidePages(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		face := s.web.Load()
		switch path := r.URL.Path; {
		case face == nil || face.server != nil, strings.HasPrefix(path, "/v1/"), path == "/healthz", path == "/readyz", path == "/metrics":
			next.ServeHTTP(w, r)
		case !face.password && s.keys.Keyed():
			http.Error(w, "There are write keys now, so the pages need a password: set web: {password: ${NAME}} in arbalest.yaml, or an address of their own with web: {listen: 127.0.0.1:8081}, and start serve again.", http.StatusForbidden)
		default:
			face.serve(w, r)
		}
	})
}

// closeWeb stops serving the pages: what is asked there changes nothing that has
// to be finished, or can be begun anew.
func (s *server) closeWeb(ctx context.Context) error {
	face := s.web.Load()
	if face == nil {
		return nil
	}
	face.stop()
	if face.server != nil && face.server.Shutdown(ctx) != nil {
		return face.server.Close()
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
