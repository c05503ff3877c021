package capture

import (
	"net/http"
)

// serveHealth answers /healthz: the process is up.
func (h *Handler) serveHealth(w http.ResponseWriter, _ *http.Request) {
	h.answer(w, http.StatusOK, []byte(`{"status":"up"}`+"\n"))
}

// serveReady answers /readyz: events sent now would be taken.
func (h *Handler) serveReady(w http.ResponseWriter, r *http.Request) {
	err := h.committer.failing()
	switch {
	case h.closing.Load():
		err = errClosing
	case err == nil && h.opts.Check != nil:
		err = h.opts.Check(r.Context())
	}
	if err != nil {
		h.refuse(w, http.StatusServiceUnavailable, true, plain(err))
		return
	}
	h.answer(w, http.StatusOK, []byte(`{"status":"ready"}`+"\n"))
}
