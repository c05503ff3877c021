package archive

import (
	"context"
	"errors"
	"fmt"
	"time"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/lake"
)

// Thawing is how far the partitions of some days are from being readable.
type Thawing struct {
	Objects int       `json:"objects"` // that are in an archive's class
	Bytes   int64     `json:"bytes"`   // of them, as stored
	Frozen  int       `json:"frozen"`  // of them, that cannot be read yet
	Until   time.Time `json:"until"`   // all can be read until then, once none is frozen
}

// Thaw asks for the partitions of an event's days, which are given by their first
// hours, from one up to another, which is none of them, to be readable, and says how
// far that is. It is one pass: ask again until nothing is frozen. What was asked for
// the store knows, so that whoever asks next goes on.
//
// It lists each day's folder, and asks of each object in it that may be in an archive.
func Thaw(ctx context.Context, store blob.Store, event arbalest.EventName, from, to arbalest.Hour, thaw blob.Thaw) (t Thawing, err error) {
	tiered, ok := store.(blob.Tiered)
	if !ok {
		return t, nil
	}
	for day := from; day < to; day += 24 {
		for info, err := range store.List(ctx, lake.DayFolder(event, day), "") {
			if err != nil {
				return t, fmt.Errorf("list partitions of %s: %w", dateOf(day), err)
			}
			if info.Size < blob.MinFrozen {
				continue
			}
			s, err := tiered.Describe(ctx, info.Key)
			if errors.Is(err, arbalest.ErrUnknown) {
				continue // merged meanwhile
			}
			if err != nil {
				return t, err
			}
			if !s.Class.Freezes() {
				continue
			}
			t.Objects++
			t.Bytes += info.Size
			switch {
			case !s.Frozen && (t.Until.IsZero() || s.Until.Before(t.Until)):
				t.Until = s.Until
			case s.Frozen:
				t.Frozen++
			}
			if !s.Thawing {
				if err := tiered.Thaw(ctx, info.Key, thaw); err != nil {
					return t, err
				}
			}
		}
	}
	return t, nil
}
