package main

import (
	"encoding/json"
	"slices"
	"strings"

	"arbalest/internal/policy"
)

// A discard is what was taken out of events at the door, of one place and for one
// reason.
type discard struct {
	Path    []string        `json:"path"`
	Reason  string          `json:"reason"`
	Events  int64           `json:"events"`
	Example json.RawMessage `json:"example,omitempty"`
}

// discards are those of some events, in the order of first appearance.
type discards []discard

// add adds what an event's attributes say was taken out of it.
func (d *discards) add(attributes []byte) {
	if !strings.Contains(string(attributes), policy.DiscardedMember) {
		return
	}
	var all map[string]json.RawMessage
	var list []struct {
		Path   []string        `json:"path"`
		Reason string          `json:"reason"`
		Value  json.RawMessage `json:"value"`
	}
	if json.Unmarshal(attributes, &all) != nil || json.Unmarshal(all[policy.DiscardedMember], &list) != nil {
		return // they are not what we write
	}
	for _, one := range list {
		i := slices.IndexFunc(*d, func(x discard) bool { return x.Reason == one.Reason && slices.Equal(x.Path, one.Path) })
		if i < 0 {
			if len(*d) == 1000 {
				return
			}
			i = len(*d)
			*d = append(*d, discard{Path: one.Path, Reason: one.Reason, Example: one.Value})
		}
		(*d)[i].Events++
	}
}
