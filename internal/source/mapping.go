package source

import (
	"fmt"
	"strconv"

	"arbalest"
	"arbalest/internal/capture"
	"arbalest/internal/decode"
)

// A Mapping says how a message becomes events. The zero Mapping takes the form
// of POST /v1/events: {"event":…,"id":…,"timestamp":…,"data":{…}}, an array of
// them, or one to a line. With Event what is in the message is the properties.
type Mapping struct {
	// Form is "cloudevents" for messages that are CloudEvents 1.0, structured,
	// batched or binary. Defaults to what Event says.
	Form string
	// Event is the events' name, or the JSON pointer (RFC 6901) to it in the
	// properties. Defaults to the form of POST /v1/events.
	Event string
	// ID is the JSON pointer to the event's id, a string or a number. Defaults to
	// the message's id at the broker.
	ID string
	// Time is the JSON pointer to the event's time: a string as capture takes it,
	// or a number of seconds since 1970, or of milliseconds from 10^11 on.
	// Defaults to the property timestamp, the id's time, or the broker's time of
	// the message.
	Time string
	// IDPrefix is put in front of ids that are made of the message's at the
	// broker. Defaults to none.
	IDPrefix string
}

func (m Mapping) validate() error {
	switch {
	case m.Form != "" && m.Form != cloudEvents:
		return fmt.Errorf("%w: form %.40q: want cloudevents, or none", arbalest.ErrInvalid, m.Form)
	case m.Form != "" && m.Event+m.ID+m.Time+m.IDPrefix != "":
		return fmt.Errorf("%w: CloudEvents say themselves what they are: leave out event, id, time and id_prefix", arbalest.ErrInvalid)
	case m.Event == "" && (m.ID != "" || m.Time != ""):
		return fmt.Errorf("%w: id and time are of messages that are properties: say under event what such an event is called", arbalest.ErrInvalid)
	case m.Event != "" && m.Event[0] != '/':
		if err := arbalest.EventName(m.Event).Validate(); err != nil {
			return fmt.Errorf("%w; or is it a JSON pointer, which begins with '/'?", err)
		}
	}
	for name, p := range map[string]string{"id": m.ID, "time": m.Time} {
		if p != "" && p[0] != '/' {
			return fmt.Errorf("%w: %s: %q is not a JSON pointer: write it as /order/%s", arbalest.ErrInvalid, name, p, name)
		}
	}
	if len(m.IDPrefix) > 64 || eventID(m.IDPrefix) != m.IDPrefix {
		return fmt.Errorf("%w: id_prefix has more than 64 bytes, or is no text", arbalest.ErrInvalid)
	}
	return nil
}

// form is the name of the form, as rejected events have it: those of our own
// have none.
func (m Mapping) form() string {
	if m.Event == "" {
		return ""
	}
	return "message"
}

// maxDepth is capture's limit for how deep an event may be nested.
const maxDepth = 64

// events returns a message's events: at least one, in its order, which point
// into the message. Those that are none are Bad.
func (m Mapping) events(msg *message) []capture.Foreign {
	if m.Form == cloudEvents {
		return cloud(msg)
	}
	s := split{mapping: m, msg: msg, body: msg.payload}
	s.all()
	return s.events
}

// give takes the value at body[at:end], which was scanned.
func (s *split) give(at, end int) {
	raw := s.body[at:end]
	if raw[0] != '{' {
		s.bad(raw, capture.NotObject, fmt.Sprintf("an event is a JSON object: this begins with %q", rune(raw[0])))
		return
	}
	e := capture.Foreign{Attributes: s.msg.attributes, Form: s.mapping.form()}
	read := s.mapped
	if s.mapping.Event == "" {
		read = s.own
	}
	if bad := read(&e, raw); bad != nil {
		s.bad(raw, bad.Code, bad.Reason)
		return
	}
	s.events = append(s.events, e)
}

// complete fills in what the event does not say itself. timed says that its
// properties have a timestamp, which capture reads.
func (s *split) complete(e *capture.Foreign, timed bool) {
	made := e.ID == ""
	if made {
		e.ID = s.mapping.IDPrefix + s.msg.id
		if n := len(s.events); n > 0 {
			e.ID += "/" + strconv.Itoa(n)
		}
		e.ID = eventID(e.ID)
	}
	if !e.Time.IsZero() || timed {
		return
	}
	if _, ok := decode.IDTime(e.ID); ok && !made {
		return
	}
	e.Time = s.msg.time
}

// own reads an event in the form of POST /v1/events.
func (s *split) own(e *capture.Foreign, raw []byte) (bad *capture.Refusal) {
	var timestamp []byte
	timed := false
	_ = decode.Members(raw, func(key, value []byte) error { // which gives no error of its own
		null := string(value) == "null"
		switch string(key) {
		case "event":
			if name, ok := text(value); ok {
				e.Name = arbalest.EventName(name)
			} else if !null {
				bad = refuse(bad, capture.BadName, `"event" is not a string: send the event's name, such as "user.created"`)
			}
		case "id":
			if id, ok := text(value); ok && id != "" {
				e.ID = id
			} else if !null {
				bad = refuse(bad, capture.BadID, `"id" is not a string, or is empty: send a unique one, or leave it out to have the broker's position`)
			}
		case "timestamp":
			if !null {
				timestamp = value
			}
		case "data":
			if !null {
				e.Data = value
				timed = hasTimestamp(value)
			}
		default:
			bad = refuse(bad, capture.UnknownMember, fmt.Sprintf("unknown member %.80q: put properties inside \"data\", or say under event in the source's configuration that the message is the properties", key))
		}
		return nil
	})
	if timestamp != nil {
		var ok bool
		if e.Time, ok = spelledTime(timestamp); !ok {
			bad = refuse(bad, capture.BadTime, fmt.Sprintf("\"timestamp\" is not a time: %.80q; send a string such as \"2015-08-18T07:38:40Z\"", timestamp))
		}
	}
	if e.Name == "" {
		bad = refuse(bad, capture.BadName, `the event has no name: send it as "event"`)
	}
	if bad == nil {
		s.complete(e, timed)
	}
	return bad
}

// mapped reads an event that is its properties.
func (s *split) mapped(e *capture.Foreign, raw []byte) *capture.Refusal {
	e.Data = raw
	e.Name = arbalest.EventName(s.mapping.Event)
	if s.mapping.Event[0] == '/' {
		name, ok := text(find(raw, s.mapping.Event))
		if !ok || name == "" {
			return &capture.Refusal{Code: capture.BadName, Reason: fmt.Sprintf("the event has no name: there is no string at %s", s.mapping.Event)}
		}
		e.Name = arbalest.EventName(name)
	}
	if s.mapping.ID != "" {
		value := find(raw, s.mapping.ID)
		id, ok := text(value)
		switch {
		case ok && id != "":
			e.ID = id
		case len(value) > 0 && (value[0] == '-' || '0' <= value[0] && value[0] <= '9'):
			e.ID = string(value)
		case value != nil && string(value) != "null":
			return &capture.Refusal{Code: capture.BadID, Reason: fmt.Sprintf("the id at %s is not a string or a number, or is empty", s.mapping.ID)}
		}
	}
	if s.mapping.Time != "" {
		if value := find(raw, s.mapping.Time); value != nil && string(value) != "null" {
			var ok bool
			if e.Time, ok = spelledTime(value); !ok {
				if e.Time, ok = countedTime(value); !ok {
					return &capture.Refusal{Code: capture.BadTime, Reason: fmt.Sprintf("at %s there is no time: %.80q; send a string such as \"2015-08-18T07:38:40Z\", or a number of seconds or milliseconds since 1970", s.mapping.Time, value)}
				}
			}
		}
	}
	s.complete(e, hasTimestamp(raw))
	return nil
}

// refuse returns the first of two refusals.
func refuse(first *capture.Refusal, code capture.Code, reason string) *capture.Refusal {
	if first != nil {
		return first
	}
	return &capture.Refusal{Code: code, Reason: reason}
}
