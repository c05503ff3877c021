package source

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A held is the messages that are not acknowledged yet. The broker is told now
// and then that they are in progress, so that it does not deliver them again
// while the store is away.
type held struct {
	mu       sync.Mutex
	msgs     map[jetstream.Msg]bool
	bytes    int // of them
	limit    int // of messages
	maxBytes int // past which no more is asked for
	freed    chan struct{}
}

func (h *held) add(m jetstream.Msg) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.msgs[m] = true
	h.bytes += size(m)
}

func (h *held) drop(m jetstream.Msg) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.msgs, m)
	h.bytes -= size(m)
	select {
	case h.freed <- struct{}{}:
	default:
	}
}

// wait waits until there is room for more, and returns for how many.
func (h *held) wait(ctx context.Context) int {
	for {
		h.mu.Lock()
		room, full := h.limit-len(h.msgs), h.bytes >= h.maxBytes
		h.mu.Unlock()
		if room == h.limit || room > h.limit/2 && !full {
			return room
		}
		select {
		case <-h.freed:
		case <-ctx.Done():
			return 0
		}
	}
}

// giveBack has the broker deliver what is left again, at once.
func (h *held) giveBack() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for m := range h.msgs {
		_ = m.Nak() // one that is lost costs a wait
	}
}

// keep tells the broker of the messages until ctx ends.
func (h *held) keep(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(max(every, 10*time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		h.mu.Lock()
		for m := range h.msgs {
			_ = m.InProgress() // one that is lost costs a repeat
		}
		h.mu.Unlock()
	}
}
