// Package hook takes webhooks: POST /v1/hooks/SOURCE, as GitHub and others send
// them, becomes an event in the words of the source's configuration.
//
// It stores nothing of its own. Who sends a webhook cannot send a write key, but
// proves that it knows a secret: by a signature of the body, or by a token in a
// header. That is checked before anything is stored, and what fails is answered
// 401, counted and logged. What is proven to come from the source is kept: as an
// event, or as a rejected one with its reason. The commit point is that of
// capture, which has the events.
package hook

import (
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"arbalest"
	"arbalest/internal/capture"
)

// Options say what webhooks are taken.
type Options struct {
	// Capture is where the events go. It is required.
	Capture *capture.Handler
	// Next answers what is no webhook. It is required.
	Next http.Handler
	// Sources are the webhooks' senders, by the last part of their path.
	Sources map[string]Config
	// Registry is where the metrics are registered. Defaults to none.
	Registry *prometheus.Registry
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
}

// A handler answers webhooks.
type handler struct {
	Options
	sources  map[string]source
	requests *prometheus.CounterVec // by source and outcome
}

// Path is where webhooks are sent, with the name of their source behind it.
const Path = "/v1/hooks/"

// New returns a handler. The error wraps arbalest.ErrInvalid, and has no secret.
func New(opts Options) (http.Handler, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	h := &handler{Options: opts, sources: map[string]source{}, requests: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "arbalest_hook_requests_total", Help: "Webhooks by source and outcome: accepted, rejected (and kept), refused (signature or token are wrong), failed.",
	}, []string{"source", "outcome"})}
	for name, c := range opts.Sources {
		s, err := c.source(name)
		if err != nil {
			return nil, err
		}
		h.sources[name] = s
	}
	if opts.Registry != nil {
		if err := opts.Registry.Register(h.requests); err != nil {
			return nil, fmt.Errorf("%w: register a metric of hooks: %v", arbalest.ErrInvalid, err)
		}
	}
	return h, nil
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, ok := strings.CutPrefix(r.URL.Path, Path)
	if !ok {
		h.Next.ServeHTTP(w, r)
		return
	}
	s, ok := h.sources[name]
	switch {
	case !ok:
		h.Capture.Refuse(w, fmt.Errorf("hook %.40q: %w: it is not under hooks in arbalest.yaml", name, arbalest.ErrUnknown))
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		h.Capture.Answer(w, http.StatusMethodNotAllowed, []byte(`{"error":"webhooks are sent with POST","retry":false}`+"\n"))
	default:
		h.requests.WithLabelValues(name, h.take(w, r, s)).Inc()
	}
}

// take takes a webhook, answers it, and returns what came of it.
func (h *handler) take(w http.ResponseWriter, r *http.Request, s source) (outcome string) {
	refuse := func(err error) string {
		h.Capture.Refuse(w, err)
		if arbalest.OutcomeOf(err).HTTP == http.StatusUnauthorized {
			return "refused"
		}
		return "failed"
	}
	pass, err := s.open(h.Capture, r.Header)
	if err != nil {
		return refuse(err)
	}
	if s.hmac != nil && r.Header.Get("Content-Encoding") != "" { // which of the two is signed nobody says
		return refuse(fmt.Errorf("%w: a body that is signed is taken without Content-Encoding only", arbalest.ErrInvalid))
	}
	body, done, ok := h.Capture.Read(w, r)
	if !ok {
		return "failed"
	}
	defer done()
	if err := s.verify(r.Header, body); err != nil {
		return refuse(err)
	}
	hold := h.Capture.Hold(body)
	defer hold.Release()
	payload, bad := body, (*capture.Refusal)(nil)
	if isForm(r.Header) {
		if err := hold.Cover(3 * len(body)); err != nil {
			return refuse(err)
		}
		payload, bad = formPayload(body)
	}
	e := s.event(r.Header, payload, bad, h.Now())
	e.Form, e.Attributes = "hook", attributes(s.name, capture.Traceparent(r.Header))
	if e.Bad != nil {
		e.Raw = body
	}
	taken, outcomes, err := h.Capture.TakeForeign(r.Context(), []capture.Foreign{e}, pass)
	if err != nil {
		return refuse(err)
	}
	h.Capture.Reply(w, taken, outcomes)
	if taken.Accepted == 0 {
		return "rejected"
	}
	return "accepted"
}

// attributes are those of a webhook's event.
func attributes(source, traceparent string) []byte {
	b := arbalest.AppendString([]byte(`{"hook":`), source)
	if traceparent != "" {
		b = arbalest.AppendString(append(b, `,"traceparent":`...), traceparent)
	}
	return append(b, '}')
}

func isForm(header http.Header) bool {
	kind, _, _ := mime.ParseMediaType(header.Get("Content-Type"))
	return kind == "application/x-www-form-urlencoded"
}

// formPayload returns the field payload of a form, which has the JSON.
func formPayload(body []byte) ([]byte, *capture.Refusal) {
	form, err := url.ParseQuery(string(body))
	if err != nil || form.Get("payload") == "" {
		return nil, &capture.Refusal{Code: capture.BadForm, Reason: "the body is a form without a field payload: send JSON, or a form with the JSON in that"}
	}
	return []byte(form.Get("payload")), nil
}
