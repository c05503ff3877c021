package lake

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strings"

	"github.com/zeebo/xxh3"

	"arbalest"
)

// scanBytes is how many bytes of lines an erasure looks through before it commits
// what it has found: meanwhile others commit, and it must look at what is new.
const scanBytes = 256 << 20

// An Erasure says what is to be erased, and for whom.
type Erasure struct {
	By, Why string // who asked, and why: they are kept for ever
	// IDs are of the events that are to be erased, and to be refused from now on. The
	// partitions of Days are looked through for them, and those of a day before and
	// after: a repeat whose time is that of its receipt may be there.
	IDs  map[arbalest.EventName][]string
	Days []arbalest.EventDay
	// Whole are days of which all events that are there are erased. Others may come.
	Whole []arbalest.EventDay
	// Bodies are rejected events that have something to erase, and are sorted.
	Bodies []Ref
}

// Erased is what Erase did. The zero Erased says that there was nothing to do.
type Erased struct {
	Commits []arbalest.Seq
	Events  map[arbalest.EventName]int64 // lines
	Objects int                          // that had them
	Bodies  int64                        // of rejected events
	// Unread are objects that cannot be read, so that it is not known whether they
	// have any. arbalest verify tells of them.
	Unread []arbalest.Key
}

// Erase takes events out of partitions, in commits of the log, and deletes the
// objects that had them. Objects are rewritten without their lines; commits stay as
// they are, and who reads an object is given what is left of it. From the first
// commit on such events are refused: sort counts them as rejected, and keeps
// nothing of them.
//
// The commit point is the creation of each commit. After a crash whoever sorts,
// compacts or erases next finishes the commit; Erase is then to be called again, as
// it may not have come to all days. What is erased already is not looked for: doing
// it twice is harmless. Any number of processes may erase, sort and compact at once.
//
// Warehouses erase their rows when they come to the commit (Lake.Erasure).
func (l *Lake) Erase(ctx context.Context, e Erasure) (Erased, error) {
	secret, err := l.secret(ctx, true)
	if err != nil {
		return Erased{}, fmt.Errorf("erase: %w", err)
	}
	w := erasing{
		lake: l, Erasure: e, mac: hmac.New(sha256.New, secret), prints: map[arbalest.EventName][]arbalest.Fingerprint{}, fresh: map[arbalest.Fingerprint]struct{}{}, whole: map[arbalest.EventDay]bool{}, wanted: map[arbalest.EventDay]bool{},
		scanned: map[arbalest.Key][]arbalest.Strike{}, unread: map[arbalest.Key]bool{}, commits: map[arbalest.Seq][]arbalest.Object{}, done: Erased{Events: map[arbalest.EventName]int64{}},
	}
	f := Forgotten{mac: w.mac}
	for event, ids := range e.IDs {
		for _, id := range ids {
			fp := f.fingerprint([]byte(event), id)
			w.prints[event] = append(w.prints[event], fp)
			w.fresh[fp] = struct{}{}
		}
	}
	w.order()
	w.strike()
	for more := true; more; {
		if more, err = w.pass(ctx); err != nil {
			return w.done, fmt.Errorf("erase: %w", err)
		}
	}
	if store, ok := l.store.(scrubber); ok && len(w.done.Commits) > 0 {
		store.Scrub()
	}
	w.done.Unread = slices.Sorted(maps.Keys(w.unread))
	return w.done, nil
}

// A scrubber is a store that keeps bytes of segments where no object has them any more
// (blob.Dir).
type scrubber interface{ Scrub() }

// An erasing is one call of Erase.
type erasing struct {
	lake *Lake
	Erasure
	mac     hash.Hash                                     // of fingerprints
	prints  map[arbalest.EventName][]arbalest.Fingerprint // of IDs
	fresh   map[arbalest.Fingerprint]struct{}             // to be refused, which no commit says yet
	whole   map[arbalest.EventDay]bool
	wanted  map[arbalest.EventDay]bool // all days
	days    []arbalest.EventDay        // to look at
	scanned map[arbalest.Key][]arbalest.Strike
	unread  map[arbalest.Key]bool
	commits map[arbalest.Seq][]arbalest.Object // those of days
	bodies  []arbalest.Strike                  // of rejected events, that are left to do
	done    Erased
}

// order lists the days: first those beside days that were asked for. Whoever finds
// what to erase by rows of a warehouse finds it again until all of a day is done.
func (w *erasing) order() {
	asked, beside := map[arbalest.EventDay]bool{}, map[arbalest.EventDay]bool{}
	for _, d := range w.Days {
		d.Day = d.Day.Day()
		asked[d] = true
		beside[arbalest.EventDay{Event: d.Event, Day: d.Day - 24}] = true
		beside[arbalest.EventDay{Event: d.Event, Day: d.Day + 24}] = true
	}
	for _, d := range w.Whole {
		d.Day = d.Day.Day()
		asked[d], w.whole[d] = true, true
	}
	for d := range asked {
		delete(beside, d)
	}
	for _, days := range []map[arbalest.EventDay]bool{beside, asked} {
		maps.DeleteFunc(days, func(d arbalest.EventDay, _ bool) bool { return d.Day < arbalest.FirstHour || d.Day >= arbalest.EndHour })
		maps.Copy(w.wanted, days)
		w.days = append(w.days, slices.SortedFunc(maps.Keys(days), func(a, b arbalest.EventDay) int {
			return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.Event, b.Event))
		})...)
	}
}

// maxFingerprints is how many one commit has.
const maxFingerprints = 100_000

// pass looks through some days, and commits what it found; more says that there may
// be more to do.
func (w *erasing) pass(ctx context.Context) (more bool, err error) {
	l := w.lake
	done, err := l.takeTurn(ctx)
	if err != nil {
		return false, err
	}
	defer done()
	head, err := l.Head(ctx)
	if err != nil {
		return false, err
	}
	plan, found, err := l.plan(ctx, head+1)
	if err == nil && found {
		_, err = l.finishAny(ctx, plan)
	}
	if err != nil || found {
		return true, err
	}
	if err := l.sweep(ctx, head); err != nil {
		return false, err
	}
	plan = arbalest.Plan{Format: eraseFormat, Kind: arbalest.KindErase, Suffix: l.opts.suffix(), Erase: &arbalest.Erase{By: w.By, Why: w.Why}}
	rest, owed, err := w.gather(ctx, head, &plan)
	if errors.Is(err, arbalest.ErrUnknown) { // of an object that was there: was it moved meanwhile?
		if done, probeErr := l.exists(ctx, commitKey(head+1)); probeErr == nil && done {
			return true, nil
		}
	}
	if err != nil {
		return false, err
	}
	n := min(len(w.bodies), planObjects)
	plan.Erase.Bodies = w.bodies[:n]
	if len(plan.Erase.Rewrites)+len(plan.Erase.Fingerprints)+n == 0 && !owed {
		// Whoever planned meanwhile may have moved what was looked for from under it.
		_, found, err := l.plan(ctx, head+1)
		if err != nil || found {
			return found, err
		}
		w.days = rest
		return len(rest) > 0, nil
	}
	plan, lost, err := l.claim(ctx, head, plan)
	switch {
	case err != nil:
		return false, err
	case lost:
		_, err := l.finishAny(ctx, plan)
		return true, err
	}
	err = l.finishErase(ctx, plan)
	if errors.Is(err, arbalest.ErrUnknown) { // another has finished it
		_, err = l.Commit(ctx, plan.Seq)
	}
	if err == nil {
		err = w.note(ctx, plan)
	}
	w.days = rest
	return true, err
}

// note adds up what a commit did.
func (w *erasing) note(ctx context.Context, plan arbalest.Plan) error {
	r, err := w.lake.Erasure(ctx, plan.Seq)
	if err != nil {
		return err
	}
	w.done.Commits = append(w.done.Commits, plan.Seq)
	for _, n := range r.Lines {
		w.done.Events[n.Event] += n.Events
	}
	for _, s := range plan.Erase.Bodies {
		w.done.Bodies += countRuns(s.Lines)
	}
	w.bodies = w.bodies[len(plan.Erase.Bodies):]
	w.done.Objects += len(plan.Erase.Rewrites) - len(r.Passed)
	for _, key := range r.Passed {
		w.unread[key] = true
	}
	for _, fp := range r.Fingerprints {
		delete(w.fresh, fp)
	}
	return nil
}

// gather looks through days until it has found as much as one plan takes on, and
// returns those that are left. A day is listed in the commit that ends it: what finds
// events to erase by their rows finds those of a day until then. Days that no
// commit has listed since its events are refused are owed one, whatever is found.
func (w *erasing) gather(ctx context.Context, head arbalest.Seq, plan *arbalest.Plan) (rest []arbalest.EventDay, owed bool, err error) {
	var newest arbalest.Seq
	if head > 0 {
		j, err := w.lake.journey(ctx, head)
		if err != nil {
			return nil, false, err
		}
		newest = j.erasure
	}
	f, err := w.lake.Forgotten(ctx, newest)
	if err != nil {
		return nil, false, err
	}
	f.all, f.mac, f.more = &w.lake.erasures, w.mac, w.fresh
	maps.DeleteFunc(w.fresh, func(fp arbalest.Fingerprint, _ struct{}) bool { return w.lake.erasures.has(fp, newest) })
	e := plan.Erase
	for fp := range w.fresh {
		e.Fingerprints = append(e.Fingerprints, fp)
	}
	slices.SortFunc(e.Fingerprints, func(a, b arbalest.Fingerprint) int { return bytes.Compare(a[:], b[:]) })
	if len(e.Fingerprints) > maxFingerprints {
		e.Fingerprints = e.Fingerprints[:maxFingerprints]
		return w.days, false, nil // what is found before all are refused may come again
	}
	index, err := w.lake.merges(ctx)
	if err != nil {
		return nil, false, err
	}
	var lines, scanned int64
	parts := map[arbalest.Key]int{}
	rest = w.days
	for ; len(rest) > 0; rest = rest[1:] {
		d := rest[0]
		all, err := w.dayOf(ctx, d, head, index[d])
		if err != nil {
			return nil, false, err
		}
		for _, c := range all {
			if len(e.Rewrites) > 0 && (len(e.Rewrites) >= planObjects || lines+c.made.Bytes > w.lake.opts.CompactBytes) || scanned >= scanBytes {
				return rest, owed, nil
			}
			strikes, read, err := w.scan(ctx, d, c, &f)
			if err != nil {
				return nil, false, err
			}
			scanned += read
			if len(strikes) == 0 {
				continue
			}
			lines += c.made.Bytes
			folder := c.key[:strings.LastIndexByte(string(c.key), '/')+1]
			e.Rewrites = append(e.Rewrites, arbalest.Rewrite{Key: mergedKey(folder, head+1, parts[folder], plan.Suffix), From: c.key, Moves: c.moves, Strikes: strikes})
			parts[folder]++
		}
		w.looked(e, d)
		owed = owed || !w.whole[d] && !w.lake.erasures.listed(d, w.prints[d.Event])
	}
	return rest, owed, nil
}

// looked notes that a day's rows are to be looked for.
func (w *erasing) looked(e *arbalest.Erase, d arbalest.EventDay) {
	if w.whole[d] {
		e.Whole = append(e.Whole, d)
	} else {
		e.Days = append(e.Days, d)
	}
}

// A candidate is a stored object that may have lines to erase.
type candidate struct {
	key   arbalest.Key
	moves arbalest.Seq // whose moves made it; 0 if it is a commit's
	made  *merged      // what is in it
}

// merges returns the merged objects that are read now, by day.
func (l *Lake) merges(ctx context.Context) (map[arbalest.EventDay]*dayMoves, error) {
	a := &l.atlas
	a.mu.Lock()
	defer a.mu.Unlock()
	if unread, err := l.refresh(ctx); err != nil || unread != nil {
		return nil, errors.Join(err, unread) // where objects are is not known
	}
	days := map[arbalest.EventDay]*dayMoves{}
	for key, p := range a.places {
		n, ok := NameOf(key)
		if !ok {
			continue
		}
		d := arbalest.EventDay{Event: n.Event, Day: n.Hour.Day()}
		if days[d] == nil {
			days[d] = &dayMoves{map[arbalest.Key]bool{}, map[arbalest.Key]candidate{}}
		}
		days[d].inputs[key] = true
		days[d].merged[p.in.Key] = candidate{p.in.Key, p.seq, p.in}
	}
	return days, nil
}

// dayMoves are what was moved of a day, and where to.
type dayMoves struct {
	inputs map[arbalest.Key]bool
	merged map[arbalest.Key]candidate
}

// dayOf lists the objects of a day that the log up to head knows. Those that were
// moved and are there all the same, or again, are deleted.
func (w *erasing) dayOf(ctx context.Context, d arbalest.EventDay, head arbalest.Seq, moved *dayMoves) (all []candidate, err error) {
	prefix := DayFolder(d.Event, d.Day)
	if moved == nil {
		moved = &dayMoves{}
	}
	var stale []arbalest.Key
	for info, err := range w.lake.store.List(ctx, prefix, "") {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", prefix, err)
		}
		n, ok := NameOf(info.Key)
		if !ok || n.Seq == 0 || n.Seq > head {
			continue
		}
		if c, ok := moved.merged[info.Key]; ok {
			all = append(all, c)
			continue
		}
		if moved.inputs[info.Key] {
			stale = append(stale, info.Key)
			continue
		}
		objects, sorted, err := w.commit(ctx, n.Seq)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(objects, func(o arbalest.Object) bool { return o.Key == info.Key })
		switch {
		case i >= 0:
			all = append(all, candidate{key: info.Key, made: asMade(objects[i])})
		case !sorted: // an object that it made, and another took the place of
			stale = append(stale, info.Key)
		}
	}
	return all, w.lake.deleteAll(ctx, stale)
}

// commit returns the objects of a commit, of the days that are looked through, and
// whether it is of a sort.
func (w *erasing) commit(ctx context.Context, seq arbalest.Seq) (objects []arbalest.Object, sorted bool, err error) {
	objects, ok := w.commits[seq]
	if !ok {
		c, err := w.lake.Commit(ctx, seq)
		if err != nil {
			return nil, false, err
		}
		if c.Kind == arbalest.KindSort {
			objects = []arbalest.Object{}
			for _, o := range c.Objects {
				if w.wanted[arbalest.EventDay{Event: o.Event, Day: o.Hour.Day()}] {
					objects = append(objects, o)
				}
			}
		}
		w.commits[seq] = objects
	}
	return objects, objects != nil, nil
}

// asMade returns a commit's object as if it were made of itself.
func asMade(o arbalest.Object) *merged {
	return &merged{Key: o.Key, Events: o.Events, Bytes: o.Bytes, Hash: o.Hash, Inputs: []input{{Key: o.Key, Events: o.Events, Bytes: o.Bytes, Hash: o.Hash}}}
}

// scan says which lines of an object are to go, and how many bytes of lines it read.
func (w *erasing) scan(ctx context.Context, d arbalest.EventDay, c candidate, f *Forgotten) (strikes []arbalest.Strike, read int64, err error) {
	strikes, ok := w.scanned[c.key]
	if ok {
		return strikes, 0, nil
	}
	if w.whole[d] {
		for i := range c.made.Inputs {
			if in := &c.made.Inputs[i]; in.Events > 0 {
				s := arbalest.Strike{Key: in.Key}
				for first, n := range in.stored().Runs(1, in.Events) {
					s.Lines = append(s.Lines, arbalest.Run{first, first + n - 1})
				}
				strikes = append(strikes, s)
			}
		}
		w.scanned[c.key] = strikes
		return strikes, 0, nil
	}
	var parser arbalest.LineParser
	err = w.lake.eachLine(ctx, c.key, c.moves, c.made, func(in *input, number int64, line []byte) error {
		p, err := parser.Parse(line)
		if err != nil || !f.Has(p) {
			return err
		}
		if n := len(strikes); n == 0 || strikes[n-1].Key != in.Key {
			strikes = append(strikes, arbalest.Strike{Key: in.Key})
		}
		s := &strikes[len(strikes)-1]
		s.Lines = appendRun(s.Lines, number)
		return nil
	})
	if errors.Is(err, arbalest.ErrCorrupt) || errors.Is(err, arbalest.ErrCold) {
		w.unread[c.key] = true
		strikes, err = nil, nil
	}
	if err == nil {
		w.scanned[c.key] = strikes
	}
	return strikes, c.made.Bytes, err
}

// eachLine visits the lines of a stored object, with their numbers in the objects of
// commits that they are from. What it has must be what is known of it.
func (l *Lake) eachLine(ctx context.Context, key arbalest.Key, seq arbalest.Seq, made *merged, visit func(in *input, number int64, line []byte) error) error {
	var lines []byte
	begin := int64(0)
	for i := range made.Inputs {
		in := &made.Inputs[i]
		var err error
		if seq == 0 {
			lines, err = l.appendPacked(ctx, lines[:0], key)
		} else {
			lines, err = l.appendPart(ctx, lines[:0], place{seq, made, begin, in})
		}
		if err != nil {
			return err
		}
		begin += in.Bytes
		if err := checkLines(in.stored().Object, bytes.NewReader(lines), func([]byte) error { return nil }); err != nil {
			return err
		}
		rest := lines
		for first, n := range in.stored().Runs(1, in.Events) {
			for number := first; number < first+n; number++ {
				end := bytes.IndexByte(rest, '\n') + 1
				if err := visit(in, number, rest[:end]); err != nil {
					return err
				}
				rest = rest[end:]
			}
		}
	}
	return nil
}

// madeOf returns what the object is made of that a plan rewrites.
func (l *Lake) madeOf(ctx context.Context, r arbalest.Rewrite) (*merged, error) {
	if r.Moves > 0 {
		m, err := l.readMoves(ctx, movesKey(r.Moves))
		if err != nil {
			return nil, err
		}
		for i := range m.Merged {
			if m.Merged[i].Key == r.From {
				return &m.Merged[i], nil
			}
		}
	} else if n, ok := NameOf(r.From); ok {
		c, err := l.Commit(ctx, n.Seq)
		if err != nil {
			return nil, err
		}
		for _, o := range c.Objects {
			if o.Key == r.From {
				return asMade(o), nil
			}
		}
	}
	return nil, fmt.Errorf("%w: no commit and no moves made %s", arbalest.ErrCorrupt, r.From)
}

// rewrite makes what is left of an object: without lines it is nothing.
func (l *Lake) rewrite(ctx context.Context, r arbalest.Rewrite, suffix string) (*merged, error) {
	made, err := l.madeOf(ctx, r)
	if err != nil {
		return nil, err
	}
	m := &merged{Key: r.Key, From: r.From, Inputs: slices.Clone(made.Inputs)}
	at := map[arbalest.Key]int{}
	struck := make([]Stored, len(m.Inputs))
	left := made.Events
	for i := range m.Inputs {
		at[m.Inputs[i].Key] = i
	}
	for _, s := range r.Strikes {
		i, ok := at[s.Key]
		if !ok {
			return nil, fmt.Errorf("%w: %s has nothing of %s", arbalest.ErrCorrupt, r.From, s.Key)
		}
		struck[i].Erased = s.Lines
		m.Inputs[i].Erased = joinRuns(m.Inputs[i].Erased, s.Lines)
		left -= countRuns(s.Lines)
	}
	for i := range m.Inputs {
		m.Inputs[i].Events, m.Inputs[i].Bytes, m.Inputs[i].Hash = 0, 0, 0
	}
	if left == 0 {
		m.Key = ""
		return m, nil
	}
	w := frameWriter{codec: l.codec, plain: suffix == suffixPlain}
	err = l.eachLine(ctx, r.From, r.Moves, made, func(in *input, number int64, line []byte) error {
		i := at[in.Key]
		if _, gone := struck[i].gone(number); gone {
			return nil
		}
		out := &m.Inputs[i]
		hash := xxh3.Hash(line)
		out.Events, out.Bytes, out.Hash = out.Events+1, out.Bytes+int64(len(line)), out.Hash+hash
		m.Events, m.Bytes, m.Hash = m.Events+1, m.Bytes+int64(len(line)), m.Hash+hash
		w.add(line)
		return nil
	})
	if err == nil && m.Events != left {
		err = fmt.Errorf("%w: %s has %d lines less %d, not %d", arbalest.ErrCorrupt, r.From, made.Events, made.Events-left, m.Events)
	}
	if err != nil {
		return nil, err
	}
	return m, l.createMerged(ctx, m, w)
}

// finishErase does what a plan says. Doing it twice, or at once with another, is as
// for a compaction.
func (l *Lake) finishErase(ctx context.Context, plan arbalest.Plan) error {
	m, err := l.merge(ctx, plan)
	for _, s := range plan.Erase.Bodies {
		if err == nil {
			err = l.eraseBodies(ctx, s)
		}
	}
	if err == nil {
		err = l.createJSON(ctx, erasureKey(plan.Seq), recordOf(plan, m))
	}
	if err == nil {
		err = l.commitMoves(ctx, plan, m)
	}
	if err != nil {
		return fmt.Errorf("erase in commit %d: %w", plan.Seq, err)
	}
	return nil
}

// recordOf returns the record of an erasure that has moved what it could.
func recordOf(plan arbalest.Plan, m moves) ErasureRecord {
	e := plan.Erase
	r := ErasureRecord{
		Format: plan.Format, Seq: plan.Seq, Erasure: plan.Erasure, Time: plan.Created, By: e.By, Why: e.Why,
		Days: e.Days, Whole: e.Whole, Passed: m.Passed, Fingerprints: e.Fingerprints,
	}
	counts := map[arbalest.Partition]int64{}
	for _, w := range e.Rewrites {
		if slices.Contains(m.Passed, w.From) {
			continue
		}
		for _, s := range w.Strikes {
			n, _ := NameOf(s.Key)
			counts[arbalest.Partition{Event: n.Event, Hour: n.Hour}] += countRuns(s.Lines)
		}
	}
	r.Lines = listed(counts)
	for _, s := range e.Bodies {
		r.Bodies = append(r.Bodies, s.Key)
	}
	return r
}

// strike groups rejected events by their objects.
func (w *erasing) strike() {
	refs := slices.SortedFunc(slices.Values(w.Bodies), func(a, b Ref) int {
		return cmp.Or(cmp.Compare(a.Hour, b.Hour), compareRefs(a, b), cmp.Compare(a.Line, b.Line))
	})
	for _, ref := range slices.Compact(refs) {
		n := len(w.bodies)
		if n == 0 || w.bodies[n-1].Key != ref.key() {
			w.bodies = append(w.bodies, arbalest.Strike{Key: ref.key()})
			n++
		}
		w.bodies[n-1].Lines = appendRun(w.bodies[n-1].Lines, int64(ref.Line))
	}
}

// eraseBodies rewrites an object of rejected events. One that is not there any more,
// or damaged, is left: nothing can be said of what it has. Doing it twice is harmless.
func (l *Lake) eraseBodies(ctx context.Context, s arbalest.Strike) error {
	lines, err := l.appendPacked(ctx, nil, s.Key)
	if errors.Is(err, arbalest.ErrUnknown) || errors.Is(err, arbalest.ErrCorrupt) {
		return nil
	}
	if err != nil {
		return err
	}
	var out []byte
	number := int64(0)
	for line := range bytes.Lines(lines) {
		number++
		r, err := ParseRejected(line)
		if err == nil && (Stored{Erased: s.Lines}).Now(number) == 0 {
			out = AppendRejected(out, withoutBody(r))
		} else {
			out = append(out, line...)
		}
	}
	if err := l.store.Put(ctx, s.Key, bytes.NewReader(l.codec.pack(nil, out, suffixZstd))); err != nil {
		return fmt.Errorf("write %s: %w", s.Key, err)
	}
	return nil
}

// withoutBody is what is kept of a rejected event that was erased: that there was one.
func withoutBody(r Rejected) Rejected {
	return Rejected{Code: r.Code, Reason: "it was erased", Event: r.Event, Hour: r.Hour, Received: r.Received, Index: r.Index, Truncated: true, Form: r.Form, Protected: r.Protected, Origin: r.Origin}
}
