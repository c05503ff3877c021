package blob

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"arbalest"
)

// A Class is a storage class, as S3 spells it.
type Class string

// The classes that objects are written in, and those of archives. What is in
// GLACIER or DEEP_ARCHIVE is frozen: it has to be thawed before it can be read.
const (
	Standard       Class = "STANDARD"
	GlacierInstant Class = "GLACIER_IR"
	Glacier        Class = "GLACIER"
	DeepArchive    Class = "DEEP_ARCHIVE"
)

// Freezes says whether objects of the class have to be thawed to be read.
func (c Class) Freezes() bool { return c == Glacier || c == DeepArchive }

// ParseClass reads the name of a class that objects can be moved to: GLACIER_IR,
// GLACIER or DEEP_ARCHIVE. The error wraps arbalest.ErrInvalid.
func ParseClass(s string) (Class, error) {
	archives := []Class{GlacierInstant, Glacier, DeepArchive}
	if c := Class(s); slices.Contains(archives, c) {
		return c, nil
	}
	return "", fmt.Errorf("%w: storage class %q: use GLACIER_IR, GLACIER or DEEP_ARCHIVE", arbalest.ErrInvalid, s)
}

// A Speed is how soon a thaw is done, and what it costs.
type Speed string

// The speeds. Expedited takes minutes, and is not for DEEP_ARCHIVE. ThawStandard,
// which "" is too, takes some 5 hours for GLACIER and 12 for DEEP_ARCHIVE; Bulk
// takes up to 12 and 48.
const (
	Expedited    Speed = "Expedited"
	ThawStandard Speed = "Standard"
	Bulk         Speed = "Bulk"
)

// ParseSpeed reads the name of a speed, in any case. The error wraps
// arbalest.ErrInvalid.
func ParseSpeed(s string) (Speed, error) {
	for _, speed := range []Speed{Expedited, ThawStandard, Bulk} {
		if strings.EqualFold(s, string(speed)) {
			return speed, nil
		}
	}
	return "", fmt.Errorf("%w: speed %q: use Expedited, Standard or Bulk", arbalest.ErrInvalid, s)
}

// MinFrozen is the least size, in bytes, of an object that is worth an archive:
// each pays for 40 KiB more there, or as if it had 128, and for the move.
const MinFrozen = 128 << 10

// A State is what a store says of an object without reading it.
type State struct {
	Info
	Class   Class
	Frozen  bool      // it cannot be read now: Get gives arbalest.ErrCold
	Thawing bool      // it is frozen, and a thaw is on its way
	Until   time.Time // what was thawed can be read until then, at least; zero if it was not
}

// A Thaw is a wish to read what is frozen.
type Thaw struct {
	Days  int   // that it can be read for, from when it is thawed, at least 1
	Speed Speed // Defaults to ThawStandard.
}

// Valid returns arbalest.ErrInvalid, with what to do, unless the wish can be
// granted for an object of a class.
func (t Thaw) Valid(of Class) error {
	if t.Days < 1 {
		return fmt.Errorf("%w: thawed for %d days: ask for 1 or more", arbalest.ErrInvalid, t.Days)
	}
	if t.Speed != "" {
		if _, err := ParseSpeed(string(t.Speed)); err != nil {
			return err
		}
	}
	if t.Speed == Expedited && of == DeepArchive {
		return fmt.Errorf("%w: %s has no speed Expedited: use Standard or Bulk", arbalest.ErrInvalid, of)
	}
	return nil
}

// Tiered is a Store whose objects can be in classes of storage. Those that do not
// say so have none: their objects can always be read.
//
// Get of a frozen object gives arbalest.ErrCold; List, Put, Create and Delete take
// no notice of classes, and what they write is in Standard. Errors of the methods
// are those of Store's: arbalest.ErrUnknown if there is no object.
type Tiered interface {
	Store
	// Describe says what the object is like. It is one request.
	Describe(ctx context.Context, key arbalest.Key) (State, error)
	// Freeze moves an object to one of the archives' classes. Its bytes stay as
	// they are under their key: one that is overwritten or deleted meanwhile is not
	// brought back, and the error wraps arbalest.ErrUnavailable or ErrUnknown. It is
	// done when Freeze returns nil; freezing again changes nothing.
	//
	// The error wraps arbalest.ErrInvalid if the object has less than MinFrozen
	// bytes, or the store has no such class, and arbalest.ErrCold if the object is
	// frozen in another class.
	Freeze(ctx context.Context, key arbalest.Key, to Class) error
	// Thaw asks for an object to be readable, and does not wait: Describe says when
	// it is. Of one that is being thawed, or can be read for as long, nothing is
	// asked; one that can be read for less is kept for longer.
	Thaw(ctx context.Context, key arbalest.Key, t Thaw) error
}

// ThawFirst is what to do about arbalest.ErrCold.
const ThawFirst = "thaw it first: arbalest restore EVENT --from DAY --to DAY"

// Cold returns the error of reading a frozen object.
func Cold() error { return fmt.Errorf("%w: %s", arbalest.ErrCold, ThawFirst) }

// ReadyToFreeze returns arbalest.ErrInvalid, with the reason, unless an object can
// be moved to a class.
func (s State) ReadyToFreeze(to Class) error {
	if _, err := ParseClass(string(to)); err != nil {
		return err
	}
	if s.Size < MinFrozen {
		return fmt.Errorf("%w: %d bytes cost more in %s than where they are: only objects from %d bytes on are frozen", arbalest.ErrInvalid, s.Size, to, MinFrozen)
	}
	return nil
}
