package lake

import (
	"cmp"
	"iter"
	"slices"

	"arbalest"
)

// appendRun adds a line, which follows all that are in runs.
func appendRun(runs []arbalest.Run, n int64) []arbalest.Run {
	if last := len(runs) - 1; last >= 0 && runs[last][1] == n-1 {
		runs[last][1] = n
		return runs
	}
	return append(runs, arbalest.Run{n, n})
}

// countRuns returns how many lines are in runs.
func countRuns(runs []arbalest.Run) (n int64) {
	for _, r := range runs {
		n += r[1] - r[0] + 1
	}
	return n
}

// joinRuns returns the lines that are in one of two, which have none in common.
func joinRuns(a, b []arbalest.Run) (all []arbalest.Run) {
	both := slices.Concat(a, b)
	slices.SortFunc(both, func(a, b arbalest.Run) int { return cmp.Compare(a[0], b[0]) })
	for _, r := range both {
		if last := len(all) - 1; last >= 0 && all[last][1] == r[0]-1 {
			all[last][1] = r[1]
		} else {
			all = append(all, r)
		}
	}
	return all
}

// Stored is what is stored of an object now: all that its commit says, or less
// where a compaction left out repeats, or lines were erased.
type Stored struct {
	arbalest.Object
	Repeats []int64        // which lines of the committed object are left out, from 1
	Erased  []arbalest.Run // and which are erased
}

// Gone returns how many lines were erased.
func (s Stored) Gone() int64 { return countRuns(s.Erased) }

// gone returns how many lines of the committed object before line n are no longer
// there, and whether n is.
func (s Stored) gone(n int64) (before int64, gone bool) {
	i, gone := slices.BinarySearch(s.Repeats, n)
	before = int64(i)
	for _, r := range s.Erased {
		if n < r[0] {
			break
		}
		before += min(n, r[1]+1) - r[0]
		gone = gone || n <= r[1]
	}
	return before, gone
}

// Now returns which line of what is stored was the committed object's n-th, both
// from 1; 0 if that is left out.
func (s Stored) Now(n int64) int64 {
	before, gone := s.gone(n)
	if gone {
		return 0
	}
	return n - before
}

// Runs yields the numbers of lines in the committed object of the n lines from
// line first on of what is stored, both from 1, as runs: from which line on, and how
// many.
func (s Stored) Runs(first, n int64) iter.Seq2[int64, int64] {
	return func(yield func(int64, int64) bool) {
		repeats, erased := s.Repeats, s.Erased
		now := int64(1) // the line of what is stored that at is, if it is there
		for at := int64(1); n > 0; {
			// What is gone at this line, and how far it is to what is gone next.
			next := at + first - now + n
			switch {
			case len(repeats) > 0 && repeats[0] == at:
				repeats = repeats[1:]
				at++
				continue
			case len(erased) > 0 && erased[0][0] == at:
				at = erased[0][1] + 1
				erased = erased[1:]
				continue
			}
			if len(repeats) > 0 {
				next = min(next, repeats[0])
			}
			if len(erased) > 0 {
				next = min(next, erased[0][0])
			}
			if skip := min(first-now, next-at); skip > 0 {
				now, at = now+skip, at+skip
				continue
			}
			if !yield(at, next-at) {
				return
			}
			n -= next - at
			now += next - at
			first, at = now, next
		}
	}
}
