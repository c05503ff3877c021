package blobtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"sync"
	"time"

	"arbalest"
	"arbalest/internal/blob"
)

// ColdStart is when the clock of a Cold store begins.
var ColdStart = time.Date(2026, 1, 1, 10, 0, 0, 0, time.UTC)

// Cold is a store with storage classes over one that has none, and with a clock of
// its own, which only Advance moves. It answers as S3 is documented to.
//
// To freeze an object it is read from the store below and put there again, so that
// faults, traces and crashes of that one are those of freezing too. Who is given
// the store below sees an object as it is, frozen or not.
type Cold struct {
	store blob.Store

	mu      sync.Mutex
	now     time.Time
	objects map[arbalest.Key]*cold
}

// cold is an object that is not in blob.Standard.
type cold struct {
	class blob.Class
	ready time.Time // when the thaw is done; zero if there was none
	until time.Time // when what was thawed is frozen again
}

// NewCold returns the store with classes.
func NewCold(store blob.Store) *Cold {
	return &Cold{store: store, now: ColdStart, objects: map[arbalest.Key]*cold{}}
}

var _ blob.Tiered = (*Cold)(nil)

// Advance moves the clock on: thaws get done, and what they thawed is frozen again.
func (c *Cold) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Now returns the clock's time.
func (c *Cold) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Chill moves an object of any size to a class, as somebody's lifecycle rule may.
func (c *Cold) Chill(key arbalest.Key, to blob.Class) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.objects[key] = &cold{class: to}
}

// state returns what is known of an object's class. The caller holds c.mu.
func (c *Cold) state(key arbalest.Key) (s blob.State) {
	o := c.objects[key]
	if o == nil {
		return blob.State{Class: blob.Standard}
	}
	s.Class, s.Frozen = o.class, o.class.Freezes()
	switch {
	case o.ready.IsZero() || !c.now.Before(o.until): // not thawed, or not any more
	case c.now.Before(o.ready):
		s.Thawing = true
	default:
		s.Frozen, s.Until = false, o.until
	}
	return s
}

// Describe implements blob.Tiered.
func (c *Cold) Describe(ctx context.Context, key arbalest.Key) (blob.State, error) {
	if err := blob.ValidKey(key); err != nil {
		return blob.State{}, fmt.Errorf("describe object: %w", err)
	}
	for info, err := range c.store.List(ctx, key, "") {
		if err != nil {
			return blob.State{}, fmt.Errorf("describe %s: %w", key, err)
		}
		if info.Key != key {
			break
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		s := c.state(key)
		s.Info = info
		return s, nil
	}
	return blob.State{}, fmt.Errorf("describe %s: %w", key, arbalest.ErrUnknown)
}

// Freeze implements blob.Tiered.
func (c *Cold) Freeze(ctx context.Context, key arbalest.Key, to blob.Class) error {
	s, err := c.Describe(ctx, key)
	if err == nil && s.Class == to {
		return nil
	}
	if err == nil {
		err = s.ReadyToFreeze(to)
	}
	var body []byte
	if err == nil {
		body, err = c.read(ctx, key)
	}
	if err == nil {
		err = c.store.Put(ctx, key, bytes.NewReader(body))
	}
	if err != nil {
		return fmt.Errorf("freeze %s: %w", key, err)
	}
	c.Chill(key, to)
	return nil
}

func (c *Cold) read(ctx context.Context, key arbalest.Key) ([]byte, error) {
	r, err := c.Get(ctx, key, 0, blob.Whole)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// Thaw implements blob.Tiered.
func (c *Cold) Thaw(ctx context.Context, key arbalest.Key, t blob.Thaw) error {
	s, err := c.Describe(ctx, key)
	if err == nil {
		err = t.Valid(s.Class)
	}
	if err != nil {
		return fmt.Errorf("thaw %s: %w", key, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s = c.state(key)
	if !s.Class.Freezes() || s.Thawing {
		return nil
	}
	o := c.objects[key]
	if s.Frozen {
		o.ready = c.now.Add(thawing(s.Class, t.Speed))
	}
	if until := midnight(c.now.AddDate(0, 0, t.Days)); s.Frozen {
		o.until = midnight(o.ready.AddDate(0, 0, t.Days))
	} else if until.After(o.until) {
		o.until = until
	}
	return nil
}

// thawing returns how long a thaw takes, at most, as it is documented.
func thawing(of blob.Class, speed blob.Speed) time.Duration {
	deep := of == blob.DeepArchive
	switch {
	case speed == blob.Expedited:
		return 5 * time.Minute
	case speed == blob.Bulk && deep:
		return 48 * time.Hour
	case speed == blob.Bulk, deep:
		return 12 * time.Hour
	}
	return 5 * time.Hour
}

// midnight returns the first midnight of UTC that is not before t.
func midnight(t time.Time) time.Time {
	const day = 24 * time.Hour
	return t.Add(day - 1).Truncate(day)
}

// Get implements blob.Store.
func (c *Cold) Get(ctx context.Context, key arbalest.Key, offset, length int64) (io.ReadCloser, error) {
	c.mu.Lock()
	frozen := c.state(key).Frozen
	c.mu.Unlock()
	if frozen && ctx.Err() == nil {
		return nil, fmt.Errorf("get %s: %w", key, blob.Cold())
	}
	return c.store.Get(ctx, key, offset, length)
}

// written takes notice of a write, and of a delete.
func (c *Cold) written(key arbalest.Key, err error) error {
	if err == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.objects, key)
	}
	return err
}

// Put implements blob.Store.
func (c *Cold) Put(ctx context.Context, key arbalest.Key, body io.ReadSeeker) error {
	return c.written(key, c.store.Put(ctx, key, body))
}

// Create implements blob.Store.
func (c *Cold) Create(ctx context.Context, key arbalest.Key, body io.ReadSeeker) error {
	return c.written(key, c.store.Create(ctx, key, body))
}

// Delete implements blob.Store.
func (c *Cold) Delete(ctx context.Context, key arbalest.Key) error {
	return c.written(key, c.store.Delete(ctx, key))
}

// List implements blob.Store.
func (c *Cold) List(ctx context.Context, prefix, after arbalest.Key) iter.Seq2[blob.Info, error] {
	return c.store.List(ctx, prefix, after)
}
