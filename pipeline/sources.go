package pipeline

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"arbalest"
	"arbalest/internal/blob"
)

// A SortedSources is a range of the folders below a source that are in an order:
// whole numbers, days (2006-01-02), or days with hours in them (2006-01-02/15).
// Other folders are left alone.
type SortedSources struct {
	kind       sourceKind
	start, end string
	follow     bool
}

type sourceKind string

const (
	integers sourceKind = "integers"
	days     sourceKind = "days"
	hours    sourceKind = "hours"
)

// Integers are the folders 1, 2, …, 10, in the order of the numbers.
func Integers() SortedSources { return SortedSources{kind: integers} }

// Days are the folders 2006-01-02.
func Days() SortedSources { return SortedSources{kind: days} }

// Hours are the folders 2006-01-02/15; a day that has no hours stands for
// itself.
func Hours() SortedSources { return SortedSources{kind: hours} }

// From sets the first source, inclusive. Without it all are taken. With an hour
// in a bound of Days, days are expanded into their hours. A bound that is a day
// stands for all of its hours.
func (s SortedSources) From(start string) SortedSources { s.start = start; return s }

// To sets the last source, inclusive.
func (s SortedSources) To(end string) SortedSources { s.end = end; return s }

// Follow makes the range begin at the source that was copied last, which may
// have grown since, where From is left out and there was one. If the table is
// gone it begins anew.
func (s SortedSources) Follow() SortedSources { s.follow = true; return s }

const (
	dayLayout  = time.DateOnly
	hourLayout = "2006-01-02/15"
)

// expanded says whether days are expanded into their hours.
func (s SortedSources) expanded() bool {
	return s.kind == hours || s.kind == days && (isHour(s.start) || isHour(s.end))
}

func isDay(name string) bool { _, err := time.Parse(dayLayout, name); return err == nil }

// isHour wants two digits, so that the order of names is that of hours.
func isHour(name string) bool {
	_, err := time.Parse(hourLayout, name)
	return err == nil && len(name) == len(hourLayout)
}

// isSource says whether a folder's name is one of the order.
func (s SortedSources) isSource(name string) bool {
	if s.kind == integers {
		_, err := strconv.ParseUint(name, 10, 63)
		return err == nil
	}
	return isDay(name)
}

// compare orders two sources or bounds. A day compares as equal to its hours, so
// that a bound which is a day has all of them.
func (s SortedSources) compare(a, b string) int {
	if s.kind == integers {
		x, _ := strconv.ParseUint(a, 10, 63)
		y, _ := strconv.ParseUint(b, 10, 63)
		return int(min(1, max(-1, int64(x)-int64(y))))
	}
	n := min(len(a), len(b))
	return strings.Compare(a[:n], b[:n])
}

func (s SortedSources) check() error {
	for _, bound := range []string{s.start, s.end} {
		if bound != "" && !s.isSource(bound) && (s.kind == integers || !isHour(bound)) {
			return fmt.Errorf("%w: %q is not one of %s: want %s", arbalest.ErrInvalid, bound, s.kind, map[sourceKind]string{integers: "a whole number", days: "2006-01-02, or 2006-01-02/15", hours: "2006-01-02/15, or 2006-01-02"}[s.kind])
		}
	}
	if s.start != "" && s.end != "" && s.compare(s.start, s.end) > 0 {
		return fmt.Errorf("%w: sources from %s to %s: the end is before the start", arbalest.ErrInvalid, s.start, s.end)
	}
	return nil
}

// list returns the sources of the range, in order.
func (s SortedSources) list(ctx context.Context, store blob.Store, source string) ([]string, error) {
	names, err := folders(ctx, store, source+"/")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, name := range names {
		if !s.isSource(name) || !s.within(name) {
			continue
		}
		if !s.expanded() {
			out = append(out, name)
			continue
		}
		inner, err := folders(ctx, store, source+"/"+name+"/")
		if err != nil {
			return nil, err
		}
		any := false
		for _, hour := range inner {
			if at := name + "/" + hour; isHour(at) {
				any = true
				if s.within(at) {
					out = append(out, at)
				}
			}
		}
		if !any {
			out = append(out, name)
		}
	}
	slices.SortStableFunc(out, s.compare)
	return out, nil
}

func (s SortedSources) within(name string) bool {
	return (s.start == "" || s.compare(name, s.start) >= 0) && (s.end == "" || s.compare(name, s.end) <= 0)
}

// folders returns the names of the folders right below a prefix that ends with a
// slash, in the order of their bytes. It asks for one object of each, and then
// for what is after the folder.
func folders(ctx context.Context, store blob.Store, prefix string) ([]string, error) {
	var names []string
	for after := arbalest.Key(""); ; {
		name, found := "", false
		for o, err := range store.List(ctx, arbalest.Key(prefix), after) {
			if err != nil {
				return nil, fmt.Errorf("list %s: %w", prefix, err)
			}
			rest := strings.TrimPrefix(string(o.Key), prefix)
			if name, _, found = strings.Cut(rest, "/"); found {
				break
			}
		}
		if !found {
			return names, nil
		}
		names = append(names, name)
		after = arbalest.Key(prefix + name + "0") // "0" is the byte after "/"
	}
}
