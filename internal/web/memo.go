package web

import (
	"context"
	"sync"
	"time"
)

// A memo keeps an answer for a second, or for five times as long as it took to
// make, but ten seconds at most: so whoever looks, and however many, costs little.
// While it is made others wait for it. Errors are not kept.
type memo[T any] struct {
	mu     sync.Mutex
	value  T
	until  time.Time
	making chan struct{} // closed when what is made is there; nil if nothing is
}

// get returns the value that is kept, or that of make.
func (m *memo[T]) get(ctx context.Context, make_ func(context.Context) (T, error)) (T, error) {
	for {
		m.mu.Lock()
		if time.Now().Before(m.until) {
			defer m.mu.Unlock()
			return m.value, nil
		}
		others := m.making
		if others == nil {
			m.making = make(chan struct{})
			m.mu.Unlock()
			break
		}
		m.mu.Unlock()
		select {
		case <-others:
		case <-ctx.Done():
			var none T
			return none, ctx.Err()
		}
	}
	start := time.Now()
	value, err := make_(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	close(m.making)
	m.making = nil
	if err == nil {
		m.value, m.until = value, time.Now().Add(min(10*time.Second, max(time.Second, 5*time.Since(start))))
	}
	return value, err
}

// forget makes the next get make a new value.
func (m *memo[T]) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.until = time.Time{}
}
