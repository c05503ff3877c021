// Package connect opens stores and warehouses by their URLs. It is the one place
// that knows all of their kinds: programs that run pipelines import it, and the
// packages that they are in do not.
//
// It stores nothing.
package connect

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"arbalest"
)

// scheme matches what is before the first colon of a URL. One letter is a
// drive's.
var scheme = regexp.MustCompile(`^([a-z][a-z0-9+.-]+):`)

// schemeOf returns a URL's scheme, "" for a path.
func schemeOf(text string) string {
	if m := scheme.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}

// pathOf returns the path that a URL of a file or directory names:
// file:/a/b, file:///a/b, file:a/b.
func pathOf(text string) (string, error) {
	rest := text[len(schemeOf(text)):]
	if strings.HasPrefix(rest, ":") && schemeOf(text) != "" {
		rest = rest[1:]
	}
	if host, ok := strings.CutPrefix(rest, "//"); ok && schemeOf(text) != "" {
		if !strings.HasPrefix(host, "/") {
			return "", fmt.Errorf("%w: %s names a host: write three slashes before a path, as in file:///var/lib/arbalest", arbalest.ErrInvalid, text)
		}
		rest = host
	}
	if rest == "" {
		return "", fmt.Errorf("%w: %q names no path", arbalest.ErrInvalid, text)
	}
	return rest, nil
}

// IsPath says whether a URL of a store or a warehouse names a path on this
// machine, and returns it: a directory's, file:…, duckdb:…
func IsPath(text string) (path string, ok bool) {
	switch schemeOf(text) {
	case "", "file", "duckdb":
		path, err := pathOf(text)
		return path, err == nil
	}
	return "", false
}

// Redact returns a URL as it may be shown: without a password, and without
// parameters, which may be secrets too.
func Redact(text string) string {
	if _, ok := IsPath(text); ok {
		return text
	}
	u, err := url.Parse(text)
	if err != nil {
		return schemeOf(text) + "://…"
	}
	u.RawQuery, u.Fragment = "", ""
	if u.User != nil {
		u.User = url.User(u.User.Username())
	}
	return u.String()
}
