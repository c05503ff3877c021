package form

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"arbalest"
)

// preflightAge is for how long a browser need not ask again, in seconds. None
// believes more than two hours.
const preflightAge = "7200"

// validOrigin says whether a configured origin is one: a scheme and a host, with
// a port if that is not the scheme's own, or "*".
func validOrigin(origin string) error {
	if origin == "*" {
		return nil
	}
	u, err := url.Parse(origin)
	if err != nil || u.Scheme == "" || u.Host == "" || origin != strings.ToLower(u.Scheme+"://"+u.Host) {
		return fmt.Errorf("%w: cors: origins: %q is not an origin: write https://example.com, in lower case, without a path, or *", arbalest.ErrInvalid, origin)
	}
	return nil
}

// allowOrigin lets the page that sent a request read the answer, if its origin
// may. The answer then depends on the origin, which caches are told; cookies are
// never meant.
func (f *Handler) allowOrigin(w http.ResponseWriter, r *http.Request) (allowed bool) {
	origin := r.Header.Get("Origin")
	if origin == "" || len(f.opts.Origins) == 0 {
		return false
	}
	header := w.Header()
	switch {
	case slices.Contains(f.opts.Origins, "*"):
		header.Set("Access-Control-Allow-Origin", "*")
	case slices.Contains(f.opts.Origins, origin):
		header.Set("Access-Control-Allow-Origin", origin)
		header.Add("Vary", "Origin")
	default:
		header.Add("Vary", "Origin")
		return false
	}
	header.Set("Access-Control-Expose-Headers", "X-Request-Id, Retry-After")
	return true
}

// servePreflight answers a browser that asks whether it may send (Fetch, section
// 3.2.2, CORS-preflight request). Where the origin may not, nothing says that it
// may, and the browser does not send.
func (f *Handler) servePreflight(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	if header.Get("Access-Control-Allow-Origin") != "" {
		header.Set("Access-Control-Allow-Methods", "GET, POST")
		asked := r.Header.Get("Access-Control-Request-Headers")
		if asked == "" || !isHeaderList(asked) {
			asked = "Authorization, Content-Type"
		}
		header.Set("Access-Control-Allow-Headers", asked)
		header.Set("Access-Control-Max-Age", preflightAge)
		header.Add("Vary", "Access-Control-Request-Headers")
	}
	w.WriteHeader(http.StatusNoContent)
}

// isHeaderList says whether s is names of headers in plain characters.
func isHeaderList(s string) bool {
	for _, c := range []byte(s) {
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != ',' && c != ' ' {
			return false
		}
	}
	return len(s) <= 1024
}
