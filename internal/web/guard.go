package web

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// User is who the password is of.
const User = "arbalest"

// policy is the Content-Security-Policy of everything: scripts and styles are
// files of ours, and nobody frames a page.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// guard lets in who may see the pages. With a password that is who has it.
// Without one it is who is on this machine, which is where the address that is
// listened on leads; but a page from elsewhere could have its own name lead here
// too, so that the browser takes us for it (DNS rebinding). So the name that a
// request is for must be one of this machine's.
func (s *Site) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		if s.opts.Password == "" {
			if !isLoopback(r.Host) {
				http.Error(w, "This page is for 127.0.0.1 and localhost only, and was asked for as another host: open it by one of those, or set web: {password: …} in arbalest.yaml.", http.StatusMisdirectedRequest)
				return
			}
		} else if user, password, ok := r.BasicAuth(); !ok || !same(user, User) || !same(password, s.opts.Password) {
			h.Set("WWW-Authenticate", `Basic realm="arbalest", charset="UTF-8"`)
			http.Error(w, "The user is "+User+", the password that of web: in arbalest.yaml.", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// same compares in a time that does not tell where they differ.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// isLoopback says whether a Host header names this machine.
func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().IsLoopback()
	}
	return strings.EqualFold(host, "localhost")
}
