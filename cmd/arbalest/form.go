package main

import (
	"fmt"
	"net/http"

	"arbalest"
	"arbalest/internal/capture"
	"arbalest/internal/form"
)

// A corsConfig says from which pages browsers may send events.
type corsConfig struct {
	Origins []string `yaml:"origins"` // https://example.com, or * for all. Defaults to none
}

// A segmentConfig says what becomes of the calls of Segment's API.
type segmentConfig struct {
	// Names are the event names of track calls. Defaults to theirs in lower
	// case, with _ for what a name may not have.
	Names map[string]arbalest.EventName `yaml:"names"`
	// Types are the event names of identify, page, screen, group and alias.
	// Defaults to user.identified, page.viewed, screen.viewed, group.identified
	// and user.aliased.
	Types map[string]arbalest.EventName `yaml:"types"`
	// TrustClocks says that senders' clocks are right, by whatever they differ.
	TrustClocks bool `yaml:"trust_clocks"`
}

// forms puts the forms of other protocols before capture.
func forms(c config, h *capture.Handler) (http.Handler, error) {
	f, err := form.New(h, form.Options{Origins: c.CORS.Origins, Names: c.Segment.Names, Types: c.Segment.Types, TrustClocks: c.Segment.TrustClocks})
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return f, nil
}
