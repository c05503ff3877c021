package form

import (
	"fmt"
	"net/http"
	"strings"

	"arbalest"
	"arbalest/internal/capture"
)

// The media types of the JSON format, and what those of other formats begin with.
const (
	cloudType  = "application/cloudevents"
	cloudJSON  = "application/cloudevents+json"
	cloudBatch = "application/cloudevents-batch+json"
)

// serveCloudEvents answers a request with CloudEvents, in the mode that its
// Content-Type says.
func (f *Handler) serveCloudEvents(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodPost:
	case http.MethodOptions:
		serveHandshake(w, r)
		return
	default:
		f.refuseMethod(w, r, "POST, OPTIONS")
		return
	}
	contentType := r.Header.Get("Content-Type")
	kind := mediaType(contentType)
	if !isUnderstood(contentType) {
		f.refuseFormat(w, contentType)
		return
	}
	pass, err := f.capture.Pass(webhookToken(r))
	if err != nil {
		f.capture.Refuse(w, err)
		return
	}
	body, done, ok := f.capture.Read(w, r)
	if !ok {
		return
	}
	defer done()
	p := parcel{hold: f.capture.Hold(body)}
	defer p.hold.Release()
	switch kind {
	case cloudJSON:
		err = f.structured(&p, trim(body))
	case cloudBatch:
		err = f.batched(&p, trim(body))
	default:
		err = p.binary(r.Header, body)
	}
	if err != nil {
		f.capture.Refuse(w, err)
		return
	}
	taken, outcomes, err := f.capture.TakeForeign(r.Context(), p.events, pass)
	if err != nil {
		f.capture.Refuse(w, err)
		return
	}
	if r.URL.RawQuery != "" {
		w.Header().Set("Cache-Control", "private") // webhooks, section 3.2
	}
	f.capture.Reply(w, taken, outcomes)
}

// isUnderstood says whether a content type is one in which CloudEvents are read:
// their JSON in UTF-8, or data in binary mode, of whatever kind.
func isUnderstood(contentType string) bool {
	if !strings.HasPrefix(strings.ToLower(contentType), cloudType) {
		return true
	}
	kind := mediaType(contentType)
	return (kind == cloudJSON || kind == cloudBatch) && (!strings.Contains(strings.ToLower(contentType), "charset=") || isTextType(kind, contentType))
}

// refuseFormat answers a format that is not understood, as webhooks must.
func (f *Handler) refuseFormat(w http.ResponseWriter, contentType string) {
	reason := fmt.Sprintf("the content type %.80q is not understood: use %s or %s in UTF-8, or binary mode", contentType, cloudJSON, cloudBatch)
	body := arbalest.AppendString([]byte(`{"error":`), strings.ToValidUTF8(reason, "\uFFFD"))
	f.capture.Answer(w, http.StatusUnsupportedMediaType, append(body, `,"retry":false}`+"\n"...))
}

// structured adds the event of a body in structured mode.
func (f *Handler) structured(p *parcel, body []byte) error {
	if err := p.room(body); err != nil {
		return err
	}
	if !isValid(body) {
		p.add(capture.Foreign{Bad: refusef(capture.NotJSON, "the body is not one JSON object"), Raw: body, Form: formCloudEvent})
		return nil
	}
	p.add(f.element(body))
	return nil
}

// batched adds the events of a body in batched mode. What is not a JSON array is
// one rejection: where its events begin and end cannot be known.
func (f *Handler) batched(p *parcel, body []byte) error {
	if !isValid(body) || body[0] != '[' {
		p.add(capture.Foreign{Bad: refusef(capture.NotJSON, "the body is not a JSON array: nothing of it was looked at; mend it and send it again"), Raw: body, Form: formCloudBatch})
		return nil
	}
	for at, element := range elements(body) {
		if p.full(body[at:], formCloudBatch) {
			return nil
		}
		if err := p.room(element); err != nil {
			return err
		}
		p.add(f.element(element))
	}
	return nil
}

// element is structured, of what is no larger than an event may be.
func (f *Handler) element(raw []byte) capture.Foreign {
	if bad := f.tooLarge(raw); bad != nil {
		return capture.Foreign{Bad: bad, Raw: raw, Form: formCloudEvent}
	}
	return structured(raw)
}

// binary adds the event of a request in binary mode.
func (p *parcel) binary(header http.Header, body []byte) error {
	if err := p.hold.Cover(growth(body) + len(body) + foreignSize); err != nil {
		return err
	}
	p.add(binary(header, body))
	return nil
}

// webhookToken returns the key that a webhook is sent with: in a header, or as
// access_token of the query (RFC 6750, section 2.3).
func webhookToken(r *http.Request) string {
	if token := capture.Token(r.Header); token != "" {
		return token
	}
	return r.URL.Query().Get("access_token")
}

// serveHandshake answers a sender of webhooks that asks whether it may (HTTP 1.1
// Web Hooks, section 4): all may, at any rate; what they send needs a key all
// the same, where there are keys.
func serveHandshake(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Allow", "POST, OPTIONS")
	if r.Header.Get("WebHook-Request-Origin") != "" {
		header.Set("WebHook-Allowed-Origin", "*")
		header.Set("WebHook-Allowed-Rate", "*")
	}
	w.WriteHeader(http.StatusNoContent)
}
