package capture

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"

	"arbalest"
)

// answer writes a JSON answer.
func (h *Handler) answer(w http.ResponseWriter, status int, body []byte) {
	w.Header()["Content-Type"] = h.jsonType
	if len(body) >= 2048 { // net/http counts smaller ones itself
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that has gone will send its events again
}

// write writes a verdict.
func (h *Handler) write(w http.ResponseWriter, v verdict) {
	if v.retry {
		w.Header().Set("Retry-After", v.retryAfter())
	}
	if v.status == http.StatusUnauthorized {
		w.Header()["Www-Authenticate"] = []string{challenge}
	}
	h.note(v, w.Header().Get("X-Request-Id"))
	h.answer(w, v.status, v.body)
}

// refuse answers a request that has no other answer than an error.
func (h *Handler) refuse(w http.ResponseWriter, status int, retry bool, reason string) {
	h.write(w, h.refusal(status, retry, reason))
}

// plain returns an error's text without the sentinel in front, which the status
// says already.
func plain(err error) string {
	sentinel := arbalest.OutcomeOf(err).Err.Error() + ": "
	return strings.TrimPrefix(err.Error(), sentinel)
}

// maxRequestID is the longest X-Request-Id of a client that is honoured.
const maxRequestID = 128

// challenge is the WWW-Authenticate of a 401.
const challenge = `Bearer realm="arbalest"`

// Identified has an X-Request-Id in every answer of a handler, as a Handler's
// own have: the client's where it is sane, else a new one.
func Identified(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		identify(w, r)
		next.ServeHTTP(w, r)
	})
}

// identify gives an answer its X-Request-Id, unless it has one.
func identify(w http.ResponseWriter, r *http.Request) {
	if w.Header()["X-Request-Id"] == nil {
		w.Header()["X-Request-Id"] = []string{requestID(r)}
	}
}

// requestID returns the client's X-Request-Id where it is printable ASCII
// without spaces, quotes and backslashes, else a new one of 16 hexadecimal
// digits.
func requestID(r *http.Request) string {
	if id := r.Header["X-Request-Id"]; len(id) == 1 && sane(id[0]) {
		return id[0]
	}
	var room [16]byte
	return string(appendRequestID(room[:0]))
}

// appendRequestID appends a new id.
func appendRequestID(dst []byte) []byte { return arbalest.AppendHash(dst, rand.Uint64()) }

func sane(id string) bool {
	for i := range len(id) {
		if c := id[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return id != "" && len(id) <= maxRequestID
}
