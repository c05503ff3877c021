package form

import (
	"net/http"
	"strings"

	"arbalest/internal/capture"
)

// CloudEvents returns the events of a message that a broker delivered, at least
// one: in batched or structured mode as its Content-Type says, in binary mode if
// it has headers of CloudEvents, named and spelled as over HTTP, and else in
// structured mode. What is none is Bad.
func CloudEvents(header http.Header, body []byte) []capture.Foreign {
	switch kind := mediaType(header.Get("Content-Type")); {
	case kind == cloudBatch:
		if !isValid(body) || skipSpace(body, 0) == len(body) || body[skipSpace(body, 0)] != '[' {
			return []capture.Foreign{{Bad: refusef(capture.NotJSON, "the message is not a JSON array"), Raw: body, Form: formCloudBatch}}
		}
		var events []capture.Foreign
		for _, element := range elements(body[skipSpace(body, 0):]) {
			events = append(events, structured(element))
		}
		if len(events) == 0 {
			return []capture.Foreign{{Bad: refusef(capture.NotJSON, "the array has no events"), Raw: body, Form: formCloudBatch}}
		}
		return events
	case kind != cloudJSON && len(cloudHeaders(header)) > 0:
		return []capture.Foreign{binary(header, body)}
	case strings.HasPrefix(kind, cloudType) && kind != cloudJSON:
		return []capture.Foreign{{Bad: refusef(capture.BadForm, "the content type %.80q is not understood: use %s", kind, cloudJSON), Raw: body, Form: formCloudEvent}}
	case !isValid(body):
		return []capture.Foreign{{Bad: refusef(capture.NotJSON, "the message is not one JSON object"), Raw: body, Form: formCloudEvent}}
	}
	return []capture.Foreign{structured(body)}
}
