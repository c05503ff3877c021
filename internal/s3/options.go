package s3

import (
	"fmt"
	"net/http"
	"time"

	"arbalest"
)

// Options are a store's settings. The zero value works.
type Options struct {
	// HTTPClient makes the requests to S3. Defaults to one that keeps up to 512
	// connections open, and takes AWS_CA_BUNDLE into account.
	HTTPClient *http.Client
	// NoProbe leaves out the proof that the server honours conditional writes:
	// for commands that only read. Defaults to false.
	NoProbe bool
	// SingleBytes is the largest body that is written in one request; larger
	// ones are written in parts. Defaults to 64 MiB; S3 takes up to 5 GiB.
	SingleBytes int64
	// PartBytes is the size of those parts. It grows where there would be more
	// than 10,000. Defaults to 16 MiB; S3 takes from 5 MiB.
	PartBytes int64
	// CopyBytes is how much of an object one request moves to another storage class;
	// a larger object is moved in parts of that size. Defaults to 1 GiB; S3 takes
	// from 5 MiB to 5 GiB.
	CopyBytes int64
	// RangeBytes is how much of an object is read with one request; a longer
	// read makes several at once. Defaults to 8 MiB.
	RangeBytes int64
	// Parallel is how many parts or ranges of one object are in flight, and in
	// memory. Defaults to 4.
	Parallel int
	// Attempts is how often a request is made before it fails, while the server
	// or the network is at fault. Defaults to 8.
	Attempts int
	// MaxBackoff is the longest pause between attempts. Pauses are random, up to
	// 100 ms, doubled each time. Defaults to 5 s: all attempts together then take
	// 10 s at most beside the server's own time.
	MaxBackoff time.Duration
}

func (o Options) withDefaults() (Options, error) {
	if o.SingleBytes == 0 {
		o.SingleBytes = 64 << 20
	}
	if o.PartBytes == 0 {
		o.PartBytes = 16 << 20
	}
	if o.CopyBytes == 0 {
		o.CopyBytes = 1 << 30
	}
	if o.RangeBytes == 0 {
		o.RangeBytes = 8 << 20
	}
	if o.Parallel == 0 {
		o.Parallel = 4
	}
	if o.Attempts == 0 {
		o.Attempts = 8
	}
	if o.MaxBackoff == 0 {
		o.MaxBackoff = 5 * time.Second
	}
	for _, n := range []int64{o.SingleBytes, o.PartBytes, o.CopyBytes, o.RangeBytes, int64(o.Parallel), int64(o.Attempts), int64(o.MaxBackoff)} {
		if n < 0 {
			return o, fmt.Errorf("%w: an option of the store is negative: %d", arbalest.ErrInvalid, n)
		}
	}
	return o, nil
}
