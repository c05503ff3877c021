package web

import (
	"context"
	"net/http"
)

// A FlowSource tells what flows.
type FlowSource interface {
	// Flow returns the newest seconds.
	Flow(ctx context.Context) (Flow, error)
}

// A Flow is what flows.
type Flow struct{}

// flow is the page /.
func (s *Site) flow(w http.ResponseWriter, r *http.Request) error {
	f, err := s.program.Flow(r.Context())
	if err != nil {
		return err
	}
	return s.render(w, r, "flow.html", f)
}
