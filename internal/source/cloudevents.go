package source

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"arbalest/internal/capture"
	"arbalest/internal/form"
)

// cloudEvents is the Mapping.Form of CloudEvents.
const cloudEvents = "cloudevents"

// cloudPrefixes begin the names of headers that are attributes: Kafka's, those
// of NATS, and both of AMQP.
var cloudPrefixes = [...]string{"ce_", "ce-", "cloudevents:", "cloudevents_"}

// cloud returns the CloudEvents of a message. Those that have no time have the
// broker's.
func cloud(msg *message) []capture.Foreign {
	events := form.CloudEvents(cloudHeader(msg), msg.payload)
	for i := range events {
		e := &events[i]
		if e.Bad == nil && e.Time.IsZero() && (e.ByReceipt || !hasTimestamp(e.Data)) && !msg.time.IsZero() {
			e.Time, e.ByReceipt = msg.time, false
		}
		if len(e.Attributes) < 3 {
			e.Attributes = msg.attributes
			continue
		}
		b := append([]byte(nil), e.Attributes[:len(e.Attributes)-1]...)
		e.Attributes = append(append(append(b, `,"_message":`...), msg.attributes...), '}')
	}
	return events
}

// cloudHeader spells a message's headers as HTTP has them.
func cloudHeader(msg *message) http.Header {
	h := http.Header{}
	if msg.contentType != "" {
		h.Set("Content-Type", msg.contentType)
	}
	for _, header := range msg.headers {
		name := strings.ToLower(header.name)
		if name == "content-type" && msg.contentType == "" {
			h.Set("Content-Type", string(header.value))
		}
		for _, prefix := range cloudPrefixes {
			attribute, ok := strings.CutPrefix(name, prefix)
			if !ok {
				continue
			}
			value := string(header.value)
			if prefix != "ce-" && utf8.ValidString(value) { // NATS escapes as HTTP does, the others not at all
				value = strings.NewReplacer("%", "%25", `"`, "%22").Replace(value)
			}
			h["Ce-"+attribute] = append(h["Ce-"+attribute], value)
		}
	}
	return h
}
