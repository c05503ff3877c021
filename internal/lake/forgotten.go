package lake

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"sync"
	"time"

	"arbalest"
)

// An ErasureRecord says what an erasure did, and for whom. It has nothing of what
// was erased.
type ErasureRecord struct {
	Format  int          `json:"format"`
	Seq     arbalest.Seq `json:"seq"`
	Erasure arbalest.Seq `json:"erasure,omitempty"` // the one before
	Time    time.Time    `json:"time"`
	By      string       `json:"by,omitempty"`
	Why     string       `json:"why,omitempty"`
	// Lines counts the lines that were erased, by event and hour.
	Lines []arbalest.Rejection `json:"lines,omitempty"`
	// Days are where warehouses look for rows of what this or an earlier erasure
	// erased; of those in Whole all rows go.
	Days  []arbalest.EventDay `json:"days,omitempty"`
	Whole []arbalest.EventDay `json:"whole,omitempty"`
	// Passed are objects that had lines to erase and could not be read.
	Passed []arbalest.Key `json:"passed,omitempty"`
	// Bodies are objects of rejected events of which some lost what they were.
	Bodies       []arbalest.Key         `json:"bodies,omitempty"`
	Fingerprints []arbalest.Fingerprint `json:"fingerprints,omitempty"`
}

// Erasure returns the record of an erasure, which is there before its commit is.
func (l *Lake) Erasure(ctx context.Context, seq arbalest.Seq) (ErasureRecord, error) {
	var r ErasureRecord
	err := l.readJSON(ctx, erasureKey(seq), &r, &r.Format)
	if err == nil && r.Seq != seq {
		err = fmt.Errorf("%w: %s says that it is of commit %d", arbalest.ErrCorrupt, erasureKey(seq), r.Seq)
	}
	return r, err
}

// erasures are what this process knows of events that were erased: some 50 bytes of
// each.
type erasures struct {
	mu     sync.RWMutex
	secret []byte
	known  arbalest.Seq
	since  map[arbalest.Fingerprint]arbalest.Seq // the first that erased it
	days   map[arbalest.EventDay]arbalest.Seq    // the last that listed it in Days
}

// Forgotten knows the events that were erased up to some commit. The zero Forgotten
// knows of none. It must not be used at once by many.
type Forgotten struct {
	all  *erasures
	upTo arbalest.Seq
	more map[arbalest.Fingerprint]struct{} // that are being erased
	mac  hash.Hash
	text []byte
	sum  []byte
}

// Has says whether a stored event was erased.
func (f *Forgotten) Has(l arbalest.Line) bool {
	return f.all != nil && f.HasID(l.Name, l.UnquoteID())
}

// HasID says whether the event of a name with an id was erased.
func (f *Forgotten) HasID(event []byte, id string) bool {
	if f.all == nil {
		return false
	}
	fp := f.fingerprint(event, id)
	if _, ok := f.more[fp]; ok {
		return true
	}
	return f.all.has(fp, f.upTo)
}

// has says whether an erasure up to one erased the event of a fingerprint.
func (e *erasures) has(fp arbalest.Fingerprint, upTo arbalest.Seq) bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	seq, ok := e.since[fp]
	return ok && seq <= upTo
}

// listed says whether a day was listed when events were refused, or since, all of
// them.
func (e *erasures) listed(d arbalest.EventDay, events []arbalest.Fingerprint) bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	for _, fp := range events {
		if seq, ok := e.since[fp]; !ok || e.days[d] < seq {
			return false
		}
	}
	return true
}

// fingerprint is of HMAC-SHA-256 (RFC 2104), truncated: names have no byte 0.
func (f *Forgotten) fingerprint(event []byte, id string) (fp arbalest.Fingerprint) {
	f.text = append(append(append(f.text[:0], event...), 0), id...)
	f.mac.Reset()
	f.mac.Write(f.text)
	f.sum = f.mac.Sum(f.sum[:0])
	copy(fp[:], f.sum)
	return fp
}

// Forgotten returns what erasures up to commit seq erased, which is the newest one
// that another commit names, or 0. The error wraps arbalest.ErrCorrupt if a record of
// them is missing: what it erased could come back.
func (l *Lake) Forgotten(ctx context.Context, seq arbalest.Seq) (Forgotten, error) {
	if seq == 0 {
		return Forgotten{}, nil
	}
	secret, err := l.secret(ctx, false)
	if err != nil {
		return Forgotten{}, err
	}
	e := &l.erasures
	e.mu.Lock()
	defer e.mu.Unlock()
	var records []ErasureRecord
	for at := seq; at > e.known; {
		r, err := l.Erasure(ctx, at)
		if err == nil && r.Erasure >= at {
			err = fmt.Errorf("%w: %s says that it follows erasure %d", arbalest.ErrCorrupt, erasureKey(at), r.Erasure)
		}
		if errors.Is(err, arbalest.ErrUnknown) {
			err = fmt.Errorf("%w: the record of erasure %d is missing: %v: restore it from a copy of the lake, with arbalest copy", arbalest.ErrCorrupt, at, err)
		}
		if err != nil {
			return Forgotten{}, err
		}
		records = append(records, r)
		at = r.Erasure
	}
	if e.since == nil {
		e.since, e.days = map[arbalest.Fingerprint]arbalest.Seq{}, map[arbalest.EventDay]arbalest.Seq{}
	}
	for i := len(records) - 1; i >= 0; i-- {
		for _, fp := range records[i].Fingerprints {
			if _, ok := e.since[fp]; !ok {
				e.since[fp] = records[i].Seq
			}
		}
		for _, d := range records[i].Days {
			e.days[d] = records[i].Seq
		}
		e.known = records[i].Seq
	}
	return Forgotten{all: e, upTo: seq, mac: hmac.New(sha256.New, secret)}, nil
}

// forgottenNow returns what has been erased by now.
func (l *Lake) forgottenNow(ctx context.Context) (Forgotten, error) {
	head, err := l.Head(ctx)
	if err != nil || head == 0 {
		return Forgotten{}, err
	}
	j, err := l.journey(ctx, head)
	if err != nil {
		return Forgotten{}, err
	}
	return l.Forgotten(ctx, j.erasure)
}

type secret struct {
	Format int    `json:"format"`
	Key    []byte `json:"key"`
}

// secret returns what the lake's fingerprints are made with. It is created once.
func (l *Lake) secret(ctx context.Context, create bool) ([]byte, error) {
	e := &l.erasures
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.secret != nil {
		return e.secret, nil
	}
	var s secret
	err := l.readJSON(ctx, secretKey, &s, &s.Format)
	if errors.Is(err, arbalest.ErrUnknown) && create {
		s = secret{eraseFormat, make([]byte, sha256.Size)}
		rand.Read(s.Key) // never fails
		if err = l.createJSON(ctx, secretKey, s); errors.Is(err, arbalest.ErrExists) {
			err = l.readJSON(ctx, secretKey, &s, &s.Format)
		}
	}
	if err == nil && len(s.Key) != sha256.Size {
		err = fmt.Errorf("%w: %s has a key of %d bytes", arbalest.ErrCorrupt, secretKey, len(s.Key))
	}
	if err != nil {
		return nil, fmt.Errorf("read the key of what was erased: %w", err)
	}
	e.secret = s.Key
	return s.Key, nil
}
