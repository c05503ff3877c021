// Package cost is a model of what a lake on S3 asks of it in a month, what it
// keeps there, and what that costs. Tests measure what the parts of the work ask
// for, on the real lake and loader, and write the tables of doc/cost.md. It
// stores nothing.
package cost

import (
	"math"
	"time"
)

// A Use is what some work asks of the store, and what it leaves there.
type Use struct {
	Put, Get float64 // requests, those included that find nothing
	List     float64 // requests, each of a page of up to 1,000 keys
	Delete   float64
	Objects  float64 // more than before
	Books    float64 // bytes more than before in _log/ and _moved/
}

// Plus returns the sum of two uses.
func (u Use) Plus(v Use) Use {
	return Use{u.Put + v.Put, u.Get + v.Get, u.List + v.List, u.Delete + v.Delete, u.Objects + v.Objects, u.Books + v.Books}
}

// Times returns the use of doing it so often.
func (u Use) Times(n float64) Use {
	return Use{n * u.Put, n * u.Get, n * u.List, n * u.Delete, n * u.Objects, n * u.Books}
}

// Minus returns by how much a use is more than another.
func (u Use) Minus(v Use) Use { return u.Plus(v.Times(-1)) }

// Measured are the uses of the parts of the work.
type Measured struct {
	Segment Use // capture writes one

	Sort  Use // a pass that makes a commit, beside:
	Taken Use // each segment that it takes
	Made  Use // each object that it makes

	Load  Use // a commit of a sort is loaded, beside:
	Batch Use // each batch after its first
	Read  Use // each object
	Past  Use // each commit of a compaction before it
	Shown Use // the page Flow reads a commit, of either kind

	Compact Use // a compaction makes a commit, beside:
	Merge   Use // each object that it makes
	Merged  Use // each object that is merged
	Waiting Use // each object of hours that are not closed, in the last commit of a run
	Seen    Use // each commit of sorts since
	Follow  Use // each compaction of another process

	IdleSort, IdleLoad, IdleCompact Use // there is nothing to do

	Line   float64 // bytes of a stored line, its newline included
	Sent   float64 // bytes of an event as it was sent, likewise
	Packed Sizes   // of objects that a sort makes
	Frames Sizes   // of merged ones
}

// Sizes are bytes that are stored of an event, by how many its object has: in order
// of those.
type Sizes []Size

// A Size is how many bytes are stored of an event of an object of so many.
type Size struct{ Events, Bytes float64 }

// At returns the bytes of an event of an object of n events: between two that were
// measured by the logarithm, and outside as the nearest.
func (s Sizes) At(n float64) float64 {
	for i, next := range s {
		switch {
		case n > next.Events:
		case i == 0:
			return next.Bytes
		default:
			last := s[i-1]
			return last.Bytes + (next.Bytes-last.Bytes)*math.Log(n/last.Events)/math.Log(next.Events/last.Events)
		}
	}
	return s[len(s)-1].Bytes
}

// The settings of serve on S3 that matter, by default (cmd/arbalest), and some
// that cannot be set.
const (
	linger       = 250 * time.Millisecond
	sortEvery    = time.Minute
	sortBytes    = 64 << 20
	batchBytes   = 24 << 20 // of a flush of a sort, and of a batch of a load
	segmentBytes = 4 << 20
	compactEvery = time.Hour
	compactBytes = 64 << 20
	closed       = 2 * time.Hour
	hourObjects  = 32      // objects of a closed hour that are merged before its day ends
	hourBytes    = 8 << 20 // or bytes of lines
	planObjects  = 2000    // objects that one compaction merges at most
	pageKeys     = 1000    // of a listing

	day   = 24 * time.Hour
	days  = 30.0 // of a month
	year  = 365.0
	hours = 24.0
)

// A Way is how events come to be stored.
type Way int

// The ways.
const (
	PerEvent   Way = iota // an object for each event, which stays as it is
	PerRequest            // a segment for each request, of one event; sorted, not compacted
	Batched               // segments by linger; sorted, not compacted
	Compacted             // the default
)

// A Lake is what is assumed of one: how much comes, and its settings.
type Lake struct {
	Events    float64 // a day, evenly, each in a request of its own
	Processes float64 // of serve, each with an equal share
	Names     float64 // of events, each with an equal share
	Hours     float64 // of event time that each name has in what a sort writes at once: the newest, and up to two before
	Way       Way
	Linger    time.Duration
	SortEvery time.Duration
}

// A Work is how often in a day what is done.
type Work struct {
	Segments, Pages     float64 // Pages are of listings of landing, after the first of each
	Sorts, Made         float64
	Batches             float64 // of loads, after the first of each commit
	Compactions         float64
	Merges, Merged      float64
	Runs, Waiting       float64 // compactions in a row; Waiting is of each run
	CompactPasses       float64
	Objects             float64 // of events that stay
	PerObject, PerMerge float64 // lines
}

// Work returns what the lake does in a day.
func (l Lake) Work(m Measured) Work {
	if l.Way == PerEvent {
		return Work{Objects: l.Events, PerObject: 1}
	}
	var w Work
	lines := l.Events * m.Line // bytes
	w.Segments = l.Events
	if l.Way >= Batched && l.Events > 0 {
		// A group begins with a request and ends after the linger: the next begins
		// with the next request.
		gap := l.Processes * day.Seconds() / l.Events
		w.Segments = max(l.Processes*day.Seconds()/(l.Linger.Seconds()+gap), lines/segmentBytes)
	}
	w.Sorts = min(w.Segments, max(l.Processes*float64(day/l.SortEvery), lines/sortBytes))
	if w.Sorts == 0 {
		return w
	}
	w.Pages = w.Sorts * (math.Ceil(w.Segments/w.Sorts/pageKeys) - 1)
	flushes := math.Ceil(lines / w.Sorts / batchBytes)
	w.Made = min(l.Events, w.Sorts*flushes*l.Names*l.Hours)
	w.Batches = w.Sorts * (flushes - 1)
	w.Objects, w.PerObject = w.Made, l.Events/w.Made
	if l.Way == Compacted {
		l.compact(&w, lines)
	}
	return w
}

// compact adds what compaction does, as internal/lake chooses it.
func (l Lake) compact(w *Work, lines float64) {
	w.CompactPasses = l.Processes * float64(day/compactEvery)
	units := l.Names * hours // of objects that are merged with each other: hours of a name, or days
	w.Runs = hours
	if n := w.Made / units; n < hourObjects && (n < 2 || lines/units < hourBytes) {
		units, w.Runs = l.Names, 1
	}
	n, size := w.Made/units, lines/units // of a unit
	if perMerge := math.Floor(compactBytes / (size / n)); perMerge > 1 && n > 1 {
		groups := math.Ceil(n / perMerge)
		w.Merges, w.Merged = units*groups, w.Made
		together := max(1, math.Floor(min(planObjects/(n/groups), compactBytes/(size/groups)))) // merges of a commit
		w.Compactions = w.Runs * math.Ceil(w.Merges/w.Runs/together)
		w.Objects, w.PerMerge = w.Merges, l.Events/w.Merges
		// What is of hours that are not closed when compaction looks: of what comes an
		// hour late, an hour less.
		for late := range int(l.Hours) {
			w.Waiting += w.Made / l.Hours / hours * ((closed + compactEvery/2).Hours() - float64(late))
		}
	}
}

// An Item is a part of what a lake asks for in a month.
type Item struct {
	Name string
	Use  Use
}

// Month returns what a lake asks for in a month, by what for.
func (l Lake) Month(m Measured) []Item {
	w := l.Work(m)
	if l.Way == PerEvent {
		return []Item{
			{"capture", m.Segment.Times(days * l.Events)},
			{"load", m.Read.Times(days * l.Events).Plus(Use{List: days * l.Events / pageKeys})},
		}
	}
	sort := m.Sort.Times(w.Sorts).Plus(m.Taken.Times(w.Segments)).Plus(m.Made.Times(w.Made)).Plus(Use{List: w.Pages})
	load := m.Load.Times(w.Sorts).Plus(m.Batch.Times(w.Batches)).Plus(m.Read.Times(w.Made)).Plus(m.Past.Times(w.Compactions)).Plus(m.Shown.Times(l.Processes * (w.Sorts + w.Compactions)))
	if l.Events == 0 {
		passes := l.Processes * float64(day/l.SortEvery)
		sort, load = m.IdleSort.Times(passes), m.IdleLoad.Times(passes)
	}
	items := []Item{{"capture", m.Segment.Times(days * w.Segments)}, {"sort", sort.Times(days)}, {"load", load.Times(days)}}
	if l.Way == Compacted {
		compact := m.Compact.Times(w.Compactions).Plus(m.Merge.Times(w.Merges)).Plus(m.Merged.Times(w.Merged)).Plus(m.Waiting.Times(w.Runs * w.Waiting)).
			Plus(m.Seen.Times(w.Sorts * l.Processes)).Plus(m.Follow.Times(w.Compactions * (l.Processes - 1))).Plus(m.IdleCompact.Times(w.CompactPasses))
		items = append(items, Item{"compact", compact.Times(days)})
	}
	return items
}

// Sum adds items up.
func Sum(items []Item) (sum Use) {
	for _, i := range items {
		sum = sum.Plus(i.Use)
	}
	return sum
}

// A Kept is what a lake has in the store.
type Kept struct {
	Objects, Bytes           float64 // of events
	BooksObjects, BooksBytes float64 // the log, and where compaction put objects
}

// Kept returns what a lake has after so many days.
func (l Lake) Kept(m Measured, n float64) Kept {
	w := l.Work(m)
	k := Kept{Objects: n * w.Objects}
	switch all := n * l.Events; {
	case l.Way == PerEvent:
		k.Bytes = all * m.Sent
	case w.Merges > 0:
		k.Bytes = all * m.Frames.At(w.PerMerge)
	case l.Events > 0:
		k.Bytes = all * m.Packed.At(w.PerObject)
	}
	sum := Sum(l.Month(m))
	k.BooksBytes = n / days * sum.Books
	if l.Way != PerEvent {
		k.BooksObjects = n/days*(sum.Objects) - k.Objects
	}
	return k
}
