package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"arbalest"
	"arbalest/internal/capture"
	"arbalest/internal/hook"
	"arbalest/internal/keys"
)

// A frontage takes connections and answers them: a capture.Front, or an
// http.Server for TLS.
type frontage interface {
	Serve(ln net.Listener) error
	Shutdown(ctx context.Context) error
}

// defaultListen is where capture listens unless it is told otherwise.
const defaultListen = "127.0.0.1:8080"

// open listens for events. Where everybody may send them it does on loopback
// only.
func (s *server) open(c config) (net.Listener, error) {
	address := cmp.Or(c.Listen, defaultListen)
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w: choose another address with --listen", address, err)
	}
	if !isLoopback(ln) && !s.keys.Keyed() {
		if !c.Insecure {
			return nil, errors.Join(fmt.Errorf("%w address %s: anyone who reaches it could send events, for there is no key: make one with arbalest keys new --name NAME, listen on 127.0.0.1, or configure insecure: true", arbalest.ErrInvalid, address), ln.Close())
		}
		s.log.Warn("anyone who reaches this address can send events: make a key with arbalest keys new", "address", ln.Addr().String())
	}
	return ln, nil
}

// isLoopback says that only this machine reaches a listener.
func isLoopback(ln net.Listener) bool {
	addr, ok := ln.Addr().(*net.TCPAddr)
	return !ok || addr.IP.IsLoopback()
}

// handlers returns what answers every request: other forms of events, and behind
// them capture.
func handlers(c config, h *capture.Handler, registry *prometheus.Registry) (http.Handler, error) {
	f, err := forms(c, h)
	if err != nil {
		return nil, err
	}
	return hooks(c, h, f, registry)
}

// hooks puts webhooks before the next handler, if there are some.
func hooks(c config, h *capture.Handler, next http.Handler, registry *prometheus.Registry) (http.Handler, error) {
	if len(c.Hooks) == 0 {
		return next, nil
	}
	sources := maps.Clone(c.Hooks)
	for name, s := range sources {
		var err, errToken error
		if s.Secret, err = expand(s.Secret); s.Token != nil {
			token := *s.Token
			token.Value, errToken = expand(token.Value)
			s.Token = &token
		}
		if err := errors.Join(err, errToken); err != nil {
			return nil, fmt.Errorf("%w configuration: hooks: %s: %w", arbalest.ErrInvalid, name, err)
		}
		sources[name] = s
	}
	return hook.New(hook.Options{Capture: h, Next: next, Sources: sources, Registry: registry})
}

// scheme begins the URL that capture is at.
func (s *server) scheme() string {
	if s.certificate != nil {
		return "https://"
	}
	return "http://"
}

// frontOf returns what serves a handler: over TLS net/http does, for HTTP/2; the
// rest of what it costs is little beside TLS itself.
func (s *server) frontOf(h *capture.Handler, handler http.Handler) frontage {
	rest := &http.Server{Handler: handler, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn)}
	if s.certificate == nil {
		return capture.NewFront(h, rest)
	}
	capture.Limit(rest)
	rest.TLSConfig = s.certificate.config()
	return tlsServer{rest}
}

// secure reads the keys and the certificate that a place is served with.
func (s *server) secure(p place, c config) (err error) {
	if s.keys, err = keys.Open(p.keys(c)); err != nil {
		return err
	}
	if c.TLS != (tlsConfig{}) {
		if c.TLS.Cert == "" || c.TLS.Key == "" {
			return fmt.Errorf("%w configuration: tls: cert and key are both needed", arbalest.ErrInvalid)
		}
		s.certificate, err = openCertificate(p.file(c.TLS.Cert), p.file(c.TLS.Key))
	}
	return err
}

// watch looks every second, and at SIGHUP, whether keys or certificate have
// changed.
func (s *server) watch(ctx context.Context) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-hangup:
		}
		s.look("keys", s.keys.Reload)
		if s.certificate != nil {
			s.look("certificate", s.certificate.reload)
		}
	}
}

// look reloads what has changed, and says so.
func (s *server) look(what string, reload func() (bool, error)) {
	switch changed, err := reload(); {
	case err != nil && changed:
		s.log.Error(what+" cannot be read: those read before are still good", "error", err)
	case changed:
		s.log.Info(what + " read again")
	}
}
