package web

import (
	"context"
	"net/http"
	"time"
)

// A StoreSource tells what is kept, and what that costs.
type StoreSource interface {
	// Store returns the newest count of the store. If it is old, a new one is
	// begun, which goes on when Store has returned.
	Store(ctx context.Context) (StoreCount, error)
}

// A StoreCount is what was counted in a store.
type StoreCount struct {
	Where    string
	Remote   bool      // each object there costs money
	Begun    time.Time // of the count that is shown; zero if there is none yet
	Finished time.Time // zero while it goes on
	Cut      bool      // it ended before the end, at StoreLimit objects
	Again    bool      // a newer one goes on
	Kinds    []StoreKind
	Events   []StoreKind // partitions, by event, the largest first
	Others   int         // events that are not in Events
	Hot      int64       // bytes of the warehouse; -1 if it does not say
	Rows     int64
	Tables   int64
	Price    float64 // of a GB and month, in dollars
	Put      float64 // of 1,000 writes, in dollars
}

// A StoreKind counts objects of a kind.
type StoreKind struct {
	Name    string
	What    string
	Objects int64
	Bytes   int64
}

// Sum adds the kinds up.
func (c StoreCount) Sum() (sum StoreKind) {
	for _, k := range c.Kinds {
		sum.Objects += k.Objects
		sum.Bytes += k.Bytes
	}
	return sum
}

// Month is what so many bytes cost in a month, in dollars. S3 counts a GB as 2^30
// bytes.
func (c StoreCount) Month(bytes int64) float64 { return float64(bytes) / (1 << 30) * c.Price }

// store is the page /store.
func (s *Site) store(w http.ResponseWriter, r *http.Request) error {
	c, err := s.program.Store(r.Context())
	if err != nil {
		return err
	}
	return s.render(w, r, "store.html", c)
}
