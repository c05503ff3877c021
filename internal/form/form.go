// Package form takes events that come over HTTP in the forms of other protocols:
// CloudEvents, and the calls of Segment's HTTP API.
//
// It stores nothing. A request's events are turned into capture.Foreign and
// given to the capture.Handler in one go, whose commit point is theirs: the
// answer says yes only when they are durable. What is no event in its protocol
// is given to it too, as it came and with the reason, and is kept.
//
// Everything that turns bytes into an event is a function of these bytes alone,
// so that what a client sends again is the same event again; the one exception
// is a clock that is wrong (skew).
package form

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"arbalest"
	"arbalest/internal/capture"
)

// Options say how other forms are taken.
type Options struct {
	// Origins are those whose pages may send events from browsers:
	// "https://example.com", or "*" for all. Defaults to none.
	Origins []string
	// Names are the event names of Segment's track calls, by what they are
	// called there. Defaults to that in lower case, with _ for what a name may not
	// have.
	Names map[string]arbalest.EventName
	// Types are the event names of Segment's other calls, by their type. Defaults,
	// for those that are not here, to user.identified for identify, page.viewed,
	// screen.viewed, group.identified and user.aliased.
	Types map[string]arbalest.EventName
	// TrustClocks takes the times of Segment's calls as they are, and does not
	// correct them by the time of sending.
	TrustClocks bool
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
}

// withDefaults returns the options with all that is left out.
func (o Options) withDefaults() Options {
	types := map[string]arbalest.EventName{
		"identify": "user.identified", "page": "page.viewed", "screen": "screen.viewed", "group": "group.identified", "alias": "user.aliased",
	}
	for of, name := range o.Types {
		types[of] = name
	}
	o.Types = types
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// validate expects the options with their defaults.
func (o Options) validate() error {
	for of, name := range o.Types {
		if _, known := shapeOf(of); !known || of == track {
			return fmt.Errorf("%w: segment: types: %q is not a call with one name: use identify, page, screen, group or alias", arbalest.ErrInvalid, of)
		}
		if err := name.Validate(); err != nil {
			return fmt.Errorf("segment: types: %s: %w", of, err)
		}
	}
	for of, name := range o.Names {
		if err := name.Validate(); err != nil {
			return fmt.Errorf("segment: names: %s: %w", of, err)
		}
	}
	for _, origin := range o.Origins {
		if err := validOrigin(origin); err != nil {
			return err
		}
	}
	return nil
}

// A Handler answers requests in other forms, and gives all others to capture.
type Handler struct {
	capture *capture.Handler
	opts    Options
	paths   map[string]http.HandlerFunc
}

// New returns a handler. The error wraps arbalest.ErrInvalid.
func New(h *capture.Handler, opts Options) (*Handler, error) {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, err
	}
	f := &Handler{capture: h, opts: opts, paths: map[string]http.HandlerFunc{"/v1/cloudevents": nil, "/v1/events": nil}}
	f.paths["/v1/cloudevents"] = f.serveCloudEvents
	f.paths["/v1/events"] = f.serveEvents
	f.segmentPaths()
	return f, nil
}

// ServeHTTP answers a request. Every answer has an X-Request-Id.
func (f *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	capture.Identified(http.HandlerFunc(f.serve)).ServeHTTP(w, r)
}

func (f *Handler) serve(w http.ResponseWriter, r *http.Request) {
	f.allowOrigin(w, r)
	serve := f.paths[r.URL.Path]
	switch {
	case r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" && f.browsed(r):
		f.servePreflight(w, r)
	case serve != nil:
		serve(w, r)
	default:
		f.capture.ServeHTTP(w, r)
	}
}

// serveEvents answers /v1/events: CloudEvents here, and our own form in capture.
func (f *Handler) serveEvents(w http.ResponseWriter, r *http.Request) {
	if capture.IsCloudEvent(r.Header) || r.Method == http.MethodOptions {
		f.serveCloudEvents(w, r)
		return
	}
	f.capture.ServeHTTP(w, r)
}

// browsed says whether browsers may send to a request's path, or ask what became
// of it.
func (f *Handler) browsed(r *http.Request) bool {
	return f.paths[r.URL.Path] != nil || strings.HasPrefix(r.URL.Path, "/v1/receipts/")
}

// refusef returns why something is no event.
func refusef(code capture.Code, format string, args ...any) *capture.Refusal {
	return &capture.Refusal{Code: code, Reason: fmt.Sprintf(format, args...)}
}

// refuseMethod answers a method that is none for events.
func (f *Handler) refuseMethod(w http.ResponseWriter, r *http.Request, allowed string) {
	w.Header().Set("Allow", allowed)
	body := arbalest.AppendString([]byte(`{"error":`), fmt.Sprintf("%.20q is not answered here: send events with POST", r.Method))
	f.capture.Answer(w, http.StatusMethodNotAllowed, append(body, `,"retry":false}`+"\n"...))
}
