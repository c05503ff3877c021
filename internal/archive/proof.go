package archive

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/zeebo/xxh3"

	"arbalest"
	"arbalest/internal/load"
)

// Identities are those of rows, of which each is to be found among the lines of the
// store: id, time, receipt and hash.
type identities struct {
	seed  uint64 // of the hash: nobody can send events that collide
	table []xxh3.Uint128
	key   []byte
	left  int64  // of them, of rows that left
	sum   uint64 // of all, the same in any order

	mu     sync.Mutex
	places []uint64 // 1 + the place of the line that is the row's; 0 for none yet
}

// add adds a row's.
func (x *identities) add(r load.Row) {
	h := x.hash(x.key, r.ID, r.Time, r.Received, r.Hash)
	x.table = append(x.table, h)
	if r.Left {
		x.left++
	}
	x.sum += xxh3.HashString(fmt.Sprintf("%d %d %s %s", r.Time, r.Received, r.Hash, r.ID))
}

func (x *identities) hash(key []byte, id string, at, received int64, hash string) xxh3.Uint128 {
	key = binary.BigEndian.AppendUint64(key[:0], uint64(at))
	key = binary.BigEndian.AppendUint64(key, uint64(received))
	key = append(append(key, hash...), id...)
	return xxh3.Hash128Seed(key, x.seed)
}

func compare128(a, b xxh3.Uint128) int {
	return cmp.Or(cmp.Compare(a.Hi, b.Hi), cmp.Compare(a.Lo, b.Lo))
}

// sort is done once all are added.
func (x *identities) sort() {
	slices.SortFunc(x.table, compare128)
	x.places = make([]uint64, len(x.table))
}

// take says whether a line is that of a row: the first line of its like that was asked
// for, and then always that.
func (x *identities) take(object int, line int64, text []byte) bool {
	l, err := arbalest.ParseLine(text)
	if err != nil {
		return false // load records it as an error without an id
	}
	h := x.hash(make([]byte, 0, 128), l.UnquoteID(), l.Time, l.Received, string(l.Hash))
	i, ok := slices.BinarySearchFunc(x.table, h, compare128)
	if !ok {
		return false
	}
	place := 1 + (uint64(object)<<40 | uint64(line))
	x.mu.Lock()
	defer x.mu.Unlock()
	free := -1
	for ; i < len(x.table) && x.table[i] == h; i++ { // more than one if a row is there twice
		if x.places[i] == place {
			return true
		}
		if x.places[i] == 0 && free < 0 {
			free = i
		}
	}
	if free < 0 {
		return false
	}
	x.places[free] = place
	return true
}

// lacks says whether a row has no line.
func (x *identities) lacks(r load.Row) bool {
	h := x.hash(nil, r.ID, r.Time, r.Received, r.Hash)
	for i, ok := slices.BinarySearchFunc(x.table, h, compare128); ok && i < len(x.table) && x.table[i] == h; i++ {
		if x.places[i] == 0 {
			return true
		}
	}
	return false
}

// A proof is that of the rows of a day: that each has a line in the store.
type proof struct {
	*day
	objects []arbalest.Object
	all     bool // rows that left too
	// read has take asked about each line of objects.
	read func(ctx context.Context, objects []arbalest.Object, take func(object int, line int64, text []byte) bool) error

	hot, left int64
	sum       uint64 // of the identities
}

// errMissing is wrapped, besides arbalest.ErrDiffers, by what prove says of a row
// without a line.
var errMissing = errors.New("not in the store")

// prove finds a line for each row, hour by hour if there are many. The error wraps
// arbalest.ErrDiffers and names the hour if there is none for one.
func (p *proof) prove(ctx context.Context) error {
	hours := arbalest.Hour(24)
	if p.Hot+p.Left > int64(p.MaxEvents) {
		hours = 1
	}
	for from := p.Day.Day; from < p.Day.Day+24; from += hours {
		var objects []arbalest.Object
		for _, o := range p.objects {
			if o.Hour >= from && o.Hour < from+hours {
				objects = append(objects, o)
			}
		}
		span := load.Span{From: load.HourMicro(from), To: load.HourMicro(from + hours)}
		shares := uint64(1)
		for share := uint64(0); share < shares; share++ {
			x, err := p.collect(ctx, span, share, shares)
			if errors.Is(err, errTooMany) {
				shares, share = 2*shares, share-1 // it is the first: nothing was read
				continue
			}
			if err == nil && len(x.table) > 0 {
				err = p.share(ctx, span, objects, x)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// share finds lines for some rows.
func (p *proof) share(ctx context.Context, span load.Span, objects []arbalest.Object, x *identities) error {
	if err := p.read(ctx, objects, x.take); err != nil {
		return err
	}
	p.hot += int64(len(x.table)) - x.left
	p.left += x.left
	p.sum += x.sum
	if !slices.Contains(x.places, 0) {
		return nil
	}
	missing := fmt.Errorf("%w: rows of table %s are %w", arbalest.ErrDiffers, p.keep.Table, errMissing)
	err := p.Warehouse.Rows(ctx, p.keep.Table, span.From, span.To, func(r load.Row) error {
		if x.lacks(r) {
			return fmt.Errorf("%w: event %s of %s, received %s, with hash %s; nothing was deleted: run arbalest verify", missing, r.ID,
				arbalest.HourOfMicro(r.Time), time.UnixMicro(r.Received).UTC().Format(arbalest.TimeLayout), r.Hash)
		}
		return nil
	})
	if err == nil {
		err = fmt.Errorf("%w, and were changed meanwhile", missing)
	}
	return err
}

// errTooMany says that a span has too many rows to hold.
var errTooMany = errors.New("too many rows")

// collect returns the identities of a share of the rows of a span.
func (p *proof) collect(ctx context.Context, span load.Span, share, shares uint64) (*identities, error) {
	x := &identities{seed: rand.Uint64()}
	err := p.Warehouse.Rows(ctx, p.keep.Table, span.From, span.To, func(r load.Row) error {
		if r.Left && !p.all || shares > 1 && xxh3.HashString(r.ID)%shares != share {
			return nil
		}
		if x.add(r); len(x.table) > p.MaxEvents && share == 0 {
			return errTooMany
		}
		return nil
	})
	x.sort()
	return x, err
}
