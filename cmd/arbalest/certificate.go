package main

import (
	"crypto/tls"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"sync/atomic"

	"arbalest"
)

// A tlsConfig names the files, in PEM, that serve shows who it is with. Both
// are in the data directory if their paths are relative.
type tlsConfig struct {
	Cert string `yaml:"cert"` // its certificate, and those up to one that clients trust
	Key  string `yaml:"key"`  // its private key
}

// A certificate is that of two files, which may change.
type certificate struct {
	cert, key string
	stamps    [2]fs.FileInfo
	loaded    atomic.Pointer[tls.Certificate]
}

func openCertificate(cert, key string) (*certificate, error) {
	c := &certificate{cert: cert, key: key}
	_, err := c.reload()
	return c, err
}

// reload reads the files if one of them has changed. While one is new and the
// other still old they do not fit, and the certificate stays as it was.
func (c *certificate) reload() (changed bool, err error) {
	stamps := c.stamps
	for i, path := range []string{c.cert, c.key} {
		info, err := os.Stat(path)
		if err != nil {
			changed, c.stamps = c.stamps != [2]fs.FileInfo{}, [2]fs.FileInfo{}
			return changed, fmt.Errorf("read the certificate (tls in arbalest.yaml): %w", err)
		}
		old := stamps[i]
		changed = changed || old == nil || !os.SameFile(old, info) || !old.ModTime().Equal(info.ModTime()) || old.Size() != info.Size()
		stamps[i] = info
	}
	if !changed {
		return false, nil
	}
	c.stamps = stamps // so that what is wrong is said once
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return true, fmt.Errorf("%w certificate %s with key %s (tls in arbalest.yaml): %v", arbalest.ErrInvalid, c.cert, c.key, err)
	}
	c.loaded.Store(&pair)
	return true, nil
}

// config is that of a server which shows the certificate as it is at the time.
func (c *certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.loaded.Load(), nil },
	}
}

// A tlsServer is an http.Server that serves over TLS.
type tlsServer struct{ *http.Server }

// Serve implements frontage.
func (s tlsServer) Serve(ln net.Listener) error { return s.ServeTLS(ln, "", "") }
