package capture

import (
	"encoding/base64"
	"net/http"
	"strings"

	"arbalest"
)

// A Gate says who may send events. Its methods may be called at once by many
// goroutines.
type Gate interface {
	// Open lets the sender of a token in; empty is one that sent none. The error
	// wraps arbalest.ErrDenied, and says what to do.
	Open(token string) (Pass, error)
}

// A Pass is what one key allows.
type Pass interface {
	// Allows says whether events of a name may be sent.
	Allows(name arbalest.EventName) bool
	// Take takes so many events off the key's rate. The error wraps
	// arbalest.ErrBusy if that is used up, and may have a method RetryAfter that
	// returns a time.Duration; it wraps arbalest.ErrTooLarge if so many are more
	// than ever may be sent at once. Then none is taken.
	Take(events int) error
}

// Pass returns what the sender of a token may send: all, if there is no Gate. The
// error is that of Gate.Open.
func (h *Handler) Pass(token string) (Pass, error) {
	if h.opts.Gate == nil {
		return everything{}, nil
	}
	return h.opts.Gate.Open(token)
}

// everything is the pass where there is no gate.
type everything struct{}

func (everything) Allows(arbalest.EventName) bool { return true }
func (everything) Take(int) error                 { return nil }

// Token returns the key that a request was sent with: Authorization's Bearer, or
// its Basic user, as Segment's clients send it, else X-Api-Key. It is empty if
// there is none.
func Token(header http.Header) string {
	scheme, rest, _ := strings.Cut(header.Get("Authorization"), " ")
	rest = strings.Trim(rest, " \t")
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		if rest != "" {
			return rest
		}
	case strings.EqualFold(scheme, "Basic"):
		pair, err := base64.StdEncoding.DecodeString(rest)
		if user, _, _ := strings.Cut(string(pair), ":"); err == nil && user != "" {
			return user
		}
	}
	return header.Get("X-Api-Key")
}

// Read reads the body of a request in another form, decoded as its
// Content-Encoding says, with every limit of POST /v1/events. Where it cannot it
// answers the request, and ok is false. done gives the body's memory back; it is
// to be called once the events that point into the body are taken.
func (h *Handler) Read(w http.ResponseWriter, r *http.Request) (body []byte, done func(), ok bool) {
	return h.ReadAs(w, r, nil)
}

// ReadAs is Read, with refusals in a protocol's own words.
func (h *Handler) ReadAs(w http.ResponseWriter, r *http.Request, words Words) (body []byte, done func(), ok bool) {
	if h.closing.Load() {
		h.say(w, h.refusalOf(errClosing), words)
		return nil, nil, false
	}
	encodings, err := contentEncodings(r.Header)
	if err != nil {
		w.Header().Set("Accept-Encoding", "gzip, zstd, identity")
		h.say(w, h.refusal(http.StatusUnsupportedMediaType, false, err.Error()), words)
		return nil, nil, false
	}
	in := h.intakes.get(h)
	body, f, err := h.readBody(in, r.Body, r.ContentLength, encodings)
	if err == nil && f == nil {
		return body, func() { h.intakes.put(in) }, true
	}
	h.intakes.put(in)
	if err != nil {
		h.say(w, h.refusalOf(err), words)
		return nil, nil, false
	}
	status := http.StatusBadRequest
	if f.code == BodyTooLarge {
		status = http.StatusRequestEntityTooLarge
	}
	h.say(w, h.refusal(status, false, f.reason), words)
	return nil, nil, false
}

// Refuse answers a request with an error's status: {"error":…,"retry":…}.
func (h *Handler) Refuse(w http.ResponseWriter, err error) { h.tell(w, h.refusalOf(err)) }
