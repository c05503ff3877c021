package source

import "sync/atomic"

// Stats say what a source did. The zero Stats works; all methods may be called
// at once.
type Stats struct {
	accepted, rejected, retries atomic.Int64
	lag                         atomic.Int64
	connected                   atomic.Bool
}

// Accepted is how many messages had valid events only.
func (s *Stats) Accepted() int64 { return s.accepted.Load() }

// Rejected is how many messages had an event that was rejected.
func (s *Stats) Rejected() int64 { return s.rejected.Load() }

// Retries is how often events were not taken, and offered again.
func (s *Stats) Retries() int64 { return s.retries.Load() }

// Lag is how many messages wait at the broker, where it tells.
func (s *Stats) Lag() int64 { return s.lag.Load() }

// Connected says whether the broker is reached.
func (s *Stats) Connected() bool { return s.connected.Load() }
