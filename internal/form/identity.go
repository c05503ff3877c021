package form

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"arbalest"
)

// sourceID returns the event id of a CloudEvent, whose identity is its source
// and its id: both with a space between them, which a URI cannot have. Where
// that cannot be told apart, or is too long, it is a hash.
func sourceID(source, id string) string {
	if joined := source + " " + id; len(joined) <= arbalest.MaxEventID && !strings.Contains(source, " ") {
		return joined
	}
	return hashed(source + "\n" + id)
}

// messageID returns the event id of a Segment message: its own, or a hash of it
// where that is too long.
func messageID(id string) string {
	if len(id) <= arbalest.MaxEventID {
		return id
	}
	return hashed(id)
}

// hashed returns an id for what is too long to be one.
func hashed(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256:" + hex.EncodeToString(sum[:])
}
