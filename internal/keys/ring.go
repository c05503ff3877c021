package keys

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"arbalest"
	"arbalest/internal/capture"
)

// A Ring is the gate of capture that a file's keys make. As long as there never
// was a key it lets everybody in.
type Ring struct {
	file  File
	keys  atomic.Pointer[map[[sha256.Size]byte]*pass] // nil before there is any key
	stamp fs.FileInfo                                 // of the file that was read last; nil if there was none
}

// Open reads the file's keys.
func Open(file File) (*Ring, error) {
	r := &Ring{file: file}
	_, err := r.Reload()
	return r, err
}

// Keyed says whether a key is needed: there is one, or there was.
func (r *Ring) Keyed() bool { return r.keys.Load() != nil }

// Reload reads the file again if it has changed, and says whether it has. What
// was sent of a key's rate is kept. A file that cannot be read, or that is gone,
// changes nothing: nobody gets in by breaking it. It is not for several
// goroutines at once.
func (r *Ring) Reload() (changed bool, err error) {
	stamp, err := os.Stat(string(r.file))
	if errors.Is(err, fs.ErrNotExist) {
		if r.stamp != nil && r.Keyed() {
			r.stamp = nil
			return true, fmt.Errorf("keys: %s is gone: %w: those that were in it are still good until serve ends", r.file, arbalest.ErrUnknown)
		}
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read keys: %w", err)
	}
	if r.stamp != nil && os.SameFile(stamp, r.stamp) && stamp.ModTime().Equal(r.stamp.ModTime()) && stamp.Size() == r.stamp.Size() {
		return false, nil
	}
	r.stamp = stamp // so that what is wrong with it is said once
	all, err := r.file.Read()
	if err != nil {
		return true, err
	}
	before := r.keys.Load()
	if len(all) == 0 && before == nil {
		return true, nil
	}
	now := make(map[[sha256.Size]byte]*pass, len(all))
	for _, k := range all {
		hash, _ := k.hash() // Read has looked
		p := &pass{key: k, hash: hash}
		if k.Rate > 0 {
			p.limiter = rate.NewLimiter(rate.Limit(k.Rate), k.burst())
		}
		if before != nil {
			p.inherit((*before)[hash])
		}
		now[hash] = p
	}
	r.keys.Store(&now)
	return true, nil
}

// Open implements capture.Gate.
func (r *Ring) Open(token string) (capture.Pass, error) {
	keys := r.keys.Load()
	if keys == nil {
		return everyone{}, nil
	}
	if token == "" {
		return nil, fmt.Errorf("%w: events are taken with a key only: send it as Authorization: Bearer KEY, or as X-Api-Key: KEY", arbalest.ErrDenied)
	}
	hash := sha256.Sum256([]byte(token))
	p := (*keys)[hash]
	switch {
	case p == nil || subtle.ConstantTimeCompare(p.hash[:], hash[:]) != 1:
		return nil, fmt.Errorf("%w: the key is not one of this place: make one with arbalest keys new", arbalest.ErrDenied)
	case p.key.Revoked != nil:
		return nil, fmt.Errorf("%w: the key %s is revoked: make another with arbalest keys new", arbalest.ErrDenied, p.key.ID)
	}
	return p, nil
}

// everyone is what may be sent where there are no keys.
type everyone struct{}

func (everyone) Allows(arbalest.EventName) bool { return true }
func (everyone) Take(int) error                 { return nil }

// A pass is what a key allows.
type pass struct {
	key     Key
	hash    [sha256.Size]byte
	limiter *rate.Limiter // nil if it has no rate
}

// inherit takes over what was sent by the same key.
func (p *pass) inherit(before *pass) {
	if before != nil && p.limiter != nil && before.limiter != nil && before.key.Rate == p.key.Rate && before.key.burst() == p.key.burst() {
		p.limiter = before.limiter
	}
}

// Allows implements capture.Pass.
func (p *pass) Allows(name arbalest.EventName) bool { return p.key.allows(name) }

// Take implements capture.Pass.
func (p *pass) Take(events int) error {
	if p.limiter == nil {
		return nil
	}
	if most := p.key.burst(); events > most {
		return fmt.Errorf("%w: the key may send %d events at once: send these %d in smaller requests", arbalest.ErrTooLarge, most, events)
	}
	now := time.Now()
	if p.limiter.AllowN(now, events) {
		return nil
	}
	missing := float64(events) - p.limiter.TokensAt(now)
	return &usedUp{p.key.Rate, time.Duration(min(max(missing/p.key.Rate, 0.001), 3600) * float64(time.Second))}
}

// usedUp is a rate that is used up.
type usedUp struct {
	rate float64
	wait time.Duration
}

// Error implements error.
func (e *usedUp) Error() string {
	return fmt.Sprintf("%v: the key's %v events a second are used up: send them again in %v", arbalest.ErrBusy, e.rate, e.wait.Round(time.Millisecond))
}

// Unwrap implements errors.Unwrap.
func (e *usedUp) Unwrap() error { return arbalest.ErrBusy }

// RetryAfter is when so many events may be sent.
func (e *usedUp) RetryAfter() time.Duration { return e.wait }
