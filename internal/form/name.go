package form

import (
	"strings"

	"arbalest"
	"arbalest/internal/capture"
)

// typeName returns the event name of a CloudEvent's type: each character that a
// name may not have becomes "_", and what a name may not begin with is left
// out.
func typeName(eventType string) (arbalest.EventName, *capture.Refusal) {
	name := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '.', r == '_', r == '-':
			return r
		}
		return '_'
	}, eventType)
	return named(strings.TrimLeft(name, "._-"), "type", eventType)
}

// callName returns the event name of a track call: in lower case, with one "_"
// for all that is between what a name may have, and none around it.
func callName(event string) (arbalest.EventName, *capture.Refusal) {
	var name []byte
	for _, r := range strings.ToLower(event) {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9', r == '.', r == '-':
			name = append(name, byte(r))
		case len(name) > 0 && name[len(name)-1] != '_':
			name = append(name, '_')
		}
	}
	return named(strings.TrimRight(strings.TrimLeft(string(name), "._-"), "_"), "event", event)
}

func named(name, member, from string) (arbalest.EventName, *capture.Refusal) {
	if name == "" {
		return "", refusef(capture.BadName, "no event name can be made of the %s %.80q: it needs a letter from a to z or a digit", member, from)
	}
	if len(name) > arbalest.MaxEventName {
		return "", refusef(capture.BadName, "the %s %.80q makes an event name of %d bytes: at most %d are allowed", member, from, len(name), arbalest.MaxEventName)
	}
	return arbalest.EventName(name), nil
}
