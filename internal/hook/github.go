package hook

import (
	"net/http"
	"strings"
	"time"

	"arbalest"
	"arbalest/internal/capture"
	"arbalest/internal/decode"
)

// githubEvent makes an event of a delivery of GitHub's.
func (s source) githubEvent(header http.Header, payload []byte, bad *capture.Refusal, now time.Time) capture.Foreign {
	kind := header.Get("X-Github-Event")
	e := capture.Foreign{ID: header.Get("X-Github-Delivery"), Bad: bad}
	if bad != nil { // the name cannot be told, nor whose privacy rules are its own
		return e
	}
	action := text(pointer{"action"}.find(payload))
	if kind != "" {
		e.Name = arbalest.EventName(s.prefix + kind)
		if action != "" {
			e.Name += arbalest.EventName("." + action)
		}
	}
	if kind == "" || e.ID == "" {
		e.Bad = &capture.Refusal{Code: capture.BadForm, Reason: "GitHub's webhooks have an X-GitHub-Event and an X-GitHub-Delivery: this has not"}
		return e
	}
	e.Data, e.ByReceipt = payload, true
	if t := githubTime(kind, action, payload); !t.IsZero() && t.Before(now.Add(time.Hour)) {
		e.Time, e.ByReceipt = t, false
	}
	return e
}

// githubTime returns when a delivery's event happened, by its payload: a time
// that is the same when GitHub delivers it again, days later, so that the repeat
// is found. It is zero where the payload does not say.
//
// It is the latest time at which what the event is about says that it changed:
// updated_at and its like, and created_at where the action made it. That is said
// by the payload itself and the objects in it, except those that say where it
// happened and who did it: their times may be years old. Nor does what is
// deleted say when. A push has the time in its repository.
func githubTime(kind, action string, payload []byte) (latest time.Time) {
	if action == "deleted" {
		return latest
	}
	if kind == "push" {
		if v := (pointer{"repository", "pushed_at"}).find(payload); v != nil {
			latest, _ = readTime(v)
		}
		return latest
	}
	look := func(key, value []byte) error {
		if changed(string(key), action) {
			if t, ok := readTime(value); ok && t.After(latest) {
				latest = t
			}
		}
		return nil
	}
	_ = decode.Members(payload, func(key, value []byte) error {
		switch string(key) {
		case "repository", "organization", "enterprise", "installation", "sender", "changes":
			return nil
		}
		if value[0] == '{' {
			return decode.Members(value, look)
		}
		return look(key, value)
	})
	return latest
}

// changed says whether a member tells when something happened to what it is of.
func changed(member, action string) bool {
	switch member {
	case "updated_at", "submitted_at", "completed_at", "published_at", "starred_at":
		return true
	case "created_at":
		return action == "" || strings.HasPrefix(action, "create") || action == "opened" || action == "requested"
	}
	return false
}
