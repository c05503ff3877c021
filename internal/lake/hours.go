package lake

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"arbalest"
)

// The hours that keys can spell: of the years 1 to 9999.
var (
	firstHour = arbalest.HourOf(time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC))
	endOfTime = arbalest.HourOf(time.Date(9999, 12, 31, 23, 0, 0, 0, time.UTC)) + 1
)

// ahead is by how many hours the clocks of capturers may go before ours, for the
// newest hours to be found with few requests.
const ahead = 48

// rejectedHours yields the hours of [from, to) that have objects below
// _rejected/. Each costs a request or two, and newest first twice the logarithm
// of the hours between: what is not asked for is never listed.
func (l *Lake) rejectedHours(ctx context.Context, from, to arbalest.Hour, newest bool) iter.Seq2[arbalest.Hour, error] {
	from, to = max(from, firstHour), min(to, endOfTime)
	return func(yield func(arbalest.Hour, error) bool) {
		if !newest {
			for {
				h, err := l.rejectedFrom(ctx, from)
				if err == nil && h >= to || !yield(h, err) || err != nil {
					return
				}
				from = h + 1
			}
		}
		first, err := l.rejectedFrom(ctx, from)
		if now := arbalest.HourOf(time.Now()); err == nil && to > now+ahead {
			var later arbalest.Hour
			if later, err = l.rejectedFrom(ctx, now+ahead); later >= to {
				to = now + ahead
			}
		}
		for err == nil && first < to {
			if to, err = l.rejectedBefore(ctx, first, to); err == nil && !yield(to, nil) {
				return
			}
		}
		if err != nil {
			yield(0, err)
		}
	}
}

// rejectedFrom returns the first hour from h on, or endOfTime.
func (l *Lake) rejectedFrom(ctx context.Context, h arbalest.Hour) (arbalest.Hour, error) {
	if h >= endOfTime {
		return endOfTime, nil
	}
	for info, err := range l.store.List(ctx, rejectedFolder, arbalest.Key(rejectedFolder+h.String())) {
		if err != nil {
			return 0, fmt.Errorf("list %s: %w", rejectedFolder, err)
		}
		if ref, ok := refOf(info.Key); ok {
			return ref.Hour, nil
		}
	}
	return endOfTime, nil
}

// rejectedBefore returns the last hour before to; first, which is before it, is
// one that has objects.
func (l *Lake) rejectedBefore(ctx context.Context, first, to arbalest.Hour) (arbalest.Hour, error) {
	low := first // has objects
	for back := arbalest.Hour(1); to-back > first; back *= 2 {
		h, err := l.rejectedFrom(ctx, to-back)
		if err != nil {
			return 0, err
		}
		if h < to {
			low = h
			break
		}
	}
	for high := to; high-low > 1; { // nothing is in [high, to)
		mid := low + (high-low)/2
		h, err := l.rejectedFrom(ctx, mid)
		if err != nil {
			return 0, err
		}
		if h < high {
			low = h
		} else {
			high = mid
		}
	}
	return low, nil
}

// rejectedIn lists an hour's objects below _rejected/, in order.
func (l *Lake) rejectedIn(ctx context.Context, hour arbalest.Hour) ([]Ref, error) {
	prefix := rejectedFolder + hour.String() + "/"
	var refs []Ref
	for info, err := range l.store.List(ctx, arbalest.Key(prefix), "") {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", prefix, err)
		}
		if ref, ok := refOf(info.Key); ok && strings.HasPrefix(string(info.Key), prefix) {
			refs = append(refs, ref)
		}
	}
	return refs, nil
}
