package form

import (
	"net/http"
	"strings"
	"time"

	"arbalest"
	"arbalest/internal/capture"
	"arbalest/internal/decode"
)

// segmentPaths adds the paths of Segment's API: /v1/track and the like for one
// call, /v1/batch and /v1/import for many; and the one letter that is each's in
// browsers.
func (f *Handler) segmentPaths() {
	for _, kind := range [...]string{track, "identify", "page", "screen", "group", "alias"} {
		one := func(w http.ResponseWriter, r *http.Request) { f.serveSegment(w, r, kind) }
		f.paths["/v1/"+kind], f.paths["/v1/"+kind[:1]] = one, one
	}
	for _, path := range [...]string{"/v1/batch", "/v1/import", "/v1/b"} {
		f.paths[path] = func(w http.ResponseWriter, r *http.Request) { f.serveSegment(w, r, "") }
	}
}

// serveSegment answers a call of a type, or a batch of calls if that is empty.
func (f *Handler) serveSegment(w http.ResponseWriter, r *http.Request, kind string) {
	if r.Method != http.MethodPost {
		f.refuseMethod(w, r, http.MethodPost)
		return
	}
	received := f.opts.Now().UTC()
	body, done, ok := f.capture.ReadAs(w, r, segmentWords)
	if !ok {
		return
	}
	defer done()
	body = trim(body)
	p := parcel{hold: f.capture.Hold(body)}
	defer p.hold.Release()
	valid := isValid(body) && body[0] == '{'
	var m message
	few := true
	if valid {
		m, few = readMessage(body)
	}
	pass, err := f.segmentPass(r.Header, m.text("writeKey"))
	switch {
	case err != nil:
	case !valid:
		p.add(capture.Foreign{Bad: refusef(capture.NotJSON, "the body is not a JSON object: nothing of it was looked at"), Raw: body, Form: formSegmentBody})
	case !few:
		p.add(capture.Foreign{Bad: manyMembers(), Raw: withoutKey(body), Form: formSegmentBody})
	case kind == "":
		err = f.batch(&p, body, m, received)
	default:
		if err = p.room(body); err == nil {
			p.add(f.call(body, kind, shared{received: received}))
		}
	}
	if err != nil {
		f.capture.RefuseAs(w, err, segmentWords)
		return
	}
	taken, outcomes, err := f.capture.TakeForeign(r.Context(), p.events, pass)
	if err != nil {
		f.capture.RefuseAs(w, err, segmentWords)
		return
	}
	f.capture.Answer(w, taken.Status(), segmentAnswer(f.capture.AppendReply(nil, taken, outcomes), taken, outcomes))
}

// segmentPass lets a sender in, by the key in a header, else by the one in the
// body: Segment's clients send both with a token of OAuth.
func (f *Handler) segmentPass(header http.Header, writeKey string) (capture.Pass, error) {
	token := capture.Token(header)
	if token == "" {
		token, writeKey = writeKey, ""
	}
	pass, err := f.capture.Pass(token)
	if err != nil && writeKey != "" {
		return f.capture.Pass(writeKey)
	}
	return pass, err
}

// batch adds the calls of a batch.
func (f *Handler) batch(p *parcel, body []byte, m message, received time.Time) error {
	calls := m.get("batch")
	all := shared{received: received}
	var bad *capture.Refusal
	if len(calls) == 0 || calls[0] != '[' {
		bad = refusef(capture.BadForm, "batch is not an array: send the calls in it")
	}
	for i, name := range m.names {
		switch name {
		case "batch", "writeKey", "messageId", "type":
			continue
		}
		if _, _, err := decode.Scan(m.values[i], 0, maxDepth); err != nil {
			bad = firstOf(bad, refusef(capture.NotJSON, "%.80s of the batch: %s", name, err))
		}
		all.members.names, all.members.values = append(all.members.names, name), append(all.members.values, m.values[i])
	}
	forAll := 0
	for _, value := range all.members.values {
		forAll += len(value)
	}
	if most := f.capture.MaxEvent(); forAll > most {
		bad = firstOf(bad, refusef(capture.EventTooLarge, "what the batch has for all its calls has %d bytes: at most %d are taken", forAll, most))
	}
	if bad != nil {
		p.add(capture.Foreign{Bad: bad, Raw: withoutKey(body), Form: formSegmentBody})
		return nil
	}
	for at, element := range elements(calls) {
		if p.full(calls[at:], formSegmentBody) {
			return nil
		}
		if err := p.hold.Cover(p.size + 4*len(element) + forAll + foreignSize); err != nil {
			return err
		}
		p.add(f.call(element, "", all))
	}
	return nil
}

// segmentWords spell a refusal as Segment's API does: too large is 400.
func segmentWords(status int, reason string) (int, []byte) {
	if status == http.StatusRequestEntityTooLarge {
		status = http.StatusBadRequest
	}
	body := arbalest.AppendString([]byte(`{"success":false,"message":`), strings.ToValidUTF8(reason, "\uFFFD"))
	return status, append(body, '}', '\n')
}

// segmentAnswer is capture's answer, with what Segment's clients look for in
// front.
func segmentAnswer(reply []byte, taken capture.Taken, outcomes []capture.Outcome) []byte {
	answer := []byte(`{"success":true,`)
	if taken.Status() != http.StatusOK {
		answer = append(arbalest.AppendString([]byte(`{"success":false,"message":`), strings.ToValidUTF8(outcomes[0].Reason, "\uFFFD")), ',')
	}
	return append(answer, reply[1:]...)
}
