package cost

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zeebo/xxh3"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/blob/blobtest"
	"arbalest/internal/duckdb"
	"arbalest/internal/lake"
	"arbalest/internal/load"
)

// A stand is a lake on a store that counts what is asked of it: in memory, but for
// the test that a count is one of requests.
type stand struct {
	*testing.T
	store  blob.Store
	pages  *paged
	trace  *blobtest.Tracer
	lake   *lake.Lake
	writer *lake.Gatherer
	n      int // events so far
}

// paged counts a listing's pages, as S3 gives them.
type paged struct {
	blob.Store
	n atomic.Int64
}

// List implements blob.Store.
func (p *paged) List(ctx context.Context, prefix, after arbalest.Key) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		p.n.Add(1)
		n := 0
		for info, err := range p.Store.List(ctx, prefix, after) {
			if n > 0 && n%pageKeys == 0 {
				p.n.Add(1)
			}
			n++
			if !yield(info, err) {
				return
			}
		}
	}
}

func newStand(t *testing.T) *stand { return newStandOn(t, blob.NewMemory()) }

func newStandOn(t *testing.T, store blob.Store) *stand {
	t.Helper()
	pages := &paged{Store: store}
	s := &stand{T: t, store: store, pages: pages, trace: blobtest.Trace(pages)}
	s.lake = s.open()
	s.writer = s.lake.NewGatherer()
	return s
}

// open opens the lake as another process does.
func (s *stand) open() *lake.Lake {
	s.Helper()
	l, err := lake.Open(s.trace, lake.Options{FlushBytes: batchBytes})
	if err != nil {
		s.Fatal(err)
	}
	return l
}

// use returns what work asks for.
func (s *stand) use(work func()) Use {
	s.Helper()
	objects, books := s.kept()
	u := s.requests(work)
	now, booksNow := s.kept()
	u.Objects, u.Books = now-objects, booksNow-books
	return u
}

// requests returns which requests work makes.
func (s *stand) requests(work func()) Use {
	s.trace.Reset()
	s.pages.n.Store(0)
	work()
	return Use{
		Put: float64(s.trace.Count(blobtest.OpPut, blobtest.OpCreate)), Get: float64(s.trace.Count(blobtest.OpGet)),
		List: float64(s.pages.n.Load()), Delete: float64(s.trace.Count(blobtest.OpDelete)),
	}
}

// kept counts the objects, and the bytes of the log and of moves.
func (s *stand) kept() (objects, books float64) {
	for info, err := range s.store.List(s.Context(), "", "") {
		if err != nil {
			s.Fatal(err)
		}
		objects++
		if key := string(info.Key); strings.HasPrefix(key, "_log/") || strings.HasPrefix(key, "_moved/") {
			books += float64(info.Size)
		}
	}
	return objects, books
}

var noon = time.Date(2015, 8, 18, 12, 0, 0, 0, time.UTC)

// A part is events of a name and hour.
type part struct {
	name   int
	hour   time.Time
	events int
}

// lines returns the lines of parts.
func (s *stand) lines(parts ...part) (lines []byte) {
	for _, p := range parts {
		for range p.events {
			s.n++
			properties := fmt.Appendf(nil, `{"email_address":"jane%d@doe.com","workflow":"mobile"}`, s.n)
			at := p.hour.Add(time.Duration(s.n%3600) * time.Second)
			lines = arbalest.AppendLine(lines, arbalest.Event{
				ID: fmt.Sprintf("%08d-cb8f-4896-b9e7-8bb6c9b8b8fb", s.n), Name: arbalest.EventName(fmt.Sprintf("user.verified.%02d", p.name)),
				Time: at, Received: at.Add(time.Second), Hash: xxh3.Hash(properties), Properties: properties,
			})
		}
	}
	return lines
}

// land appends a segment.
func (s *stand) land(lines []byte) {
	s.Helper()
	if _, err := s.writer.AppendLines(s.Context(), lines); err != nil {
		s.Fatal(err)
	}
}

// sort does one pass, which must leave nothing.
func (s *stand) sort() {
	s.Helper()
	sorted, err := s.lake.Sort(s.Context())
	if err != nil || sorted.More {
		s.Fatal(sorted, err)
	}
}

// compact compacts until there is nothing to do, as serve does.
func (s *stand) compact(l *lake.Lake, closed time.Time) (total lake.Compacted) {
	s.Helper()
	for {
		c, err := l.Compact(s.Context(), arbalest.HourOf(closed))
		if err != nil {
			s.Fatal(err)
		}
		if c.Commit == 0 && !c.More {
			return total
		}
		total.Before += c.Before
		total.After += c.After
	}
}

// load loads until there is nothing to do.
func (s *stand) load(l *load.Loader) {
	s.Helper()
	for {
		r, err := l.Once(s.Context())
		if err != nil || len(r.Progress.Stalled) > 0 {
			s.Fatal(r, err)
		}
		if r.Idle {
			return
		}
	}
}

// loader returns a loader of a process of its own into an empty warehouse.
func (s *stand) loader(opts load.Options) *load.Loader {
	s.Helper()
	w, err := duckdb.Open(s.Context(), "", duckdb.Options{})
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { w.Close() })
	return load.New(s.open(), w, opts)
}

// sameRequests says whether two uses are of the same requests and objects, and
// nearly the same bytes: times and sums have more digits or fewer.
func sameRequests(u, v Use) bool {
	near := math.Abs(u.Books-v.Books) <= 0.05*math.Max(u.Books, v.Books)+8
	u.Books, v.Books = 0, 0
	d := u.Minus(v)
	return near && math.Abs(d.Put)+math.Abs(d.Get)+math.Abs(d.List)+math.Abs(d.Delete)+math.Abs(d.Objects) < 1e-6
}

// per returns a use, of so many at once, of one.
func (u Use) per(n float64) Use { return u.Times(1 / n) }

// measured measures what the parts of the work ask for, and that it adds up. Sizes
// of events are not in it.
func measured(t *testing.T) (m Measured) {
	t.Helper()
	// The clock stands still, so that all times have as many digits each time.
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(123 * time.Millisecond)
		measureSort(t, &m)
		measureCompact(t, &m)
	})
	measureLoad(t, &m)
	return m
}

func measureSort(t *testing.T, m *Measured) {
	s := newStand(t)
	// pass lands segments, and returns what sorting them asks for, with an object
	// for each of so many names.
	pass := func(segments, objects int) Use {
		for i := range segments {
			var parts []part
			for name := range objects {
				if name%segments == i || segments > objects && i%objects == name {
					parts = append(parts, part{name, noon, 20})
				}
			}
			s.land(s.lines(parts...))
		}
		return s.use(s.sort)
	}
	pass(2, 2) // the first is not like the others
	m.Segment = s.use(func() { s.land(s.lines(part{0, noon, 20})) })
	one := s.use(s.sort)
	m.Taken = pass(101, 1).Minus(one).per(100)
	m.Made = pass(1, 101).Minus(one).per(100)
	m.Sort = one.Minus(m.Taken).Minus(m.Made)
	for _, n := range [][2]int{{2, 1}, {7, 40}, {240, 40}} {
		if got, want := pass(n[0], n[1]), m.Sort.Plus(m.Taken.Times(float64(n[0]))).Plus(m.Made.Times(float64(n[1]))); !sameRequests(got, want) {
			t.Errorf("%d segments and %d objects: %+v, want %+v: sorting is not linear", n[0], n[1], got, want)
		}
	}
	many := pass(2500, 1).Minus(m.Sort).Minus(m.Taken.Times(2500)).Minus(m.Made)
	if many.List != 2 || many.Get != 0 || many.Put != 0 {
		t.Errorf("2,500 segments: %+v more, want two pages", many)
	}
	m.Shown = s.use(func() {
		if _, err := s.lake.Commit(s.Context(), 1); err != nil {
			t.Fatal(err)
		}
	})
	m.IdleSort = s.use(s.sort)
}

func measureCompact(t *testing.T, m *Measured) {
	closed := noon.Add(time.Hour)
	warm := func() *stand {
		s := newStand(t)
		s.land(s.lines(part{0, noon.AddDate(0, 0, -1), 1})) // alone on its day
		s.sort()
		s.compact(s.lake, closed)
		return s
	}
	// run returns what a run of compaction asks for: each of some commits has an
	// object of each of some names, and as many of other names whose hour is open.
	run := func(s *stand, commits, merges, waiting int) Use {
		for range commits {
			var parts []part
			for name := range merges {
				parts = append(parts, part{name, noon, 1})
			}
			for name := range waiting {
				parts = append(parts, part{name, closed, 1})
			}
			s.land(s.lines(parts...))
			s.sort()
		}
		return s.use(func() {
			if c := s.compact(s.lake, closed); c.Before != commits*merges || c.After != merges {
				t.Fatalf("%+v of %d objects of %d names", c, commits*merges, merges)
			}
		})
	}
	s := warm()
	m.IdleCompact = s.use(func() { s.compact(s.lake, closed) })
	for range 10 {
		s.land(s.lines(part{1, closed, 1}))
		s.sort()
	}
	m.Seen = s.use(func() { s.compact(s.lake, closed) }).Minus(m.IdleCompact).per(10)

	base := run(warm(), 60, 8, 0)
	m.Merged = run(warm(), 120, 8, 0).Minus(base).Minus(m.Seen.Times(60)).per(60 * 8)
	m.Merge = run(warm(), 60, 16, 0).Minus(base).per(8).Minus(m.Merged.Times(60))
	m.Waiting = run(warm(), 60, 8, 20).Minus(base).per(60 * 20)
	m.Compact = base.Minus(m.IdleCompact).Minus(m.Seen.Times(60)).Minus(m.Merge.Times(8)).Minus(m.Merged.Times(60 * 8))
	for _, n := range [][3]int{{40, 3, 0}, {100, 15, 40}} {
		sum := m.IdleCompact.Plus(m.Compact).Plus(m.Seen.Times(float64(n[0]))).Plus(m.Merge.Times(float64(n[1]))).
			Plus(m.Merged.Times(float64(n[0] * n[1]))).Plus(m.Waiting.Times(float64(n[0] * n[2])))
		if got := run(warm(), n[0], n[1], n[2]); !sameRequests(got, sum) {
			t.Errorf("%v: %+v, want %+v: compaction is not linear", n, got, sum)
		}
	}
	s = warm()
	other := s.open()
	s.compact(other, closed)
	run(s, 40, 3, 0)
	other.Hint(s.lake.Known() - 1) // it has loaded what was sorted
	m.Follow = s.use(func() { s.compact(other, closed) }).Minus(m.IdleCompact).Minus(m.Seen.Times(40))
}

func measureLoad(t *testing.T, m *Measured) {
	s := newStand(t)
	l := s.loader(load.Options{BatchBytes: batchBytes})
	commit := func(objects int) {
		var parts []part
		for name := range objects {
			parts = append(parts, part{name, noon, 20})
		}
		s.land(s.lines(parts...))
		s.sort()
	}
	pass := func(objects int) Use {
		commit(objects)
		return s.use(func() { s.load(l) })
	}
	pass(12) // makes the tables
	one := pass(1)
	m.Read = pass(11).Minus(one).per(10)
	m.Load = one.Minus(m.Read)
	if got, want := pass(5), m.Load.Plus(m.Read.Times(5)); !sameRequests(got, want) {
		t.Errorf("5 objects: %+v, want %+v: loading is not linear", got, want)
	}
	m.IdleLoad = s.use(func() { s.load(l) })
	if c := s.compact(s.lake, noon.AddDate(1, 0, 0)); c.After == 0 {
		t.Fatal("nothing was merged")
	}
	m.Past = pass(5).Minus(m.Load).Minus(m.Read.Times(5))

	small := s.loader(load.Options{BatchBytes: 1})
	s.load(small)
	commit(6)
	s.load(l)
	m.Batch = s.use(func() { s.load(small) }).Minus(m.Load).Minus(m.Read.Times(6)).per(5)
}

// A sent event is one of the test data, as it came.
type sent struct {
	ID   string
	Data json.RawMessage
	size int
}

// realEvents returns the real commits, in a random order that is always the same: a
// name's events come from many who have nothing to do with each other.
func realEvents(t *testing.T) []sent {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "..", "shared", "data", "commits.ndjson.gz"))
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("CI must have the test data: %v", err)
		}
		t.Skipf("no test data: %v", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var events []sent
	scan := bufio.NewScanner(z)
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		e := sent{size: len(scan.Bytes()) + 1}
		if err := json.Unmarshal(scan.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	if scan.Err() != nil || len(events) != 83_167 {
		t.Fatal(len(events), scan.Err())
	}
	random := rand.New(rand.NewPCG(1, 2))
	random.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	return events
}

// maxMeasured is how many events a measured object has at most: larger ones are
// packed no better.
const maxMeasured = 20_000

// line appends a real event, of a name and hour.
func (e sent) line(dst []byte, name string, hour time.Time, i int) []byte {
	at := hour.Add(time.Duration(i*977%3_600_000) * time.Millisecond)
	return arbalest.AppendLine(dst, arbalest.Event{
		ID: e.ID, Name: arbalest.EventName(name), Time: at, Received: at.Add(217 * time.Millisecond), Hash: xxh3.Hash(e.Data), Properties: e.Data,
	})
}

// A rebuild is what reading a lake again into a new warehouse asks for.
type rebuild struct {
	commits, events float64
	before, after   Use // compaction
	objects, merged float64
}

// rebuildHours is how many hours of a million events a day a rebuild is measured on.
const rebuildHours = 2

// measureRebuild loads hours of a million events a day into a new warehouse, before
// and after compaction.
func measureRebuild(t *testing.T, events []sent) (r rebuild) {
	const names, perObject = 20, 17
	s := newStand(t)
	for i := range rebuildHours * 60 {
		var lines []byte
		for name := range names {
			for range perObject {
				e := int(r.events) % len(events)
				lines = events[e].line(lines, fmt.Sprintf("commit.authored.%02d", name), noon.Add(time.Duration(i/60)*time.Hour), e)
				r.events++
			}
		}
		s.land(lines)
		s.sort()
	}
	r.commits, r.objects = rebuildHours*60, names*rebuildHours*60
	again := func() Use {
		// Of several readers each might look where an object was, before one of them
		// knows where all are.
		l := s.loader(load.Options{BatchBytes: batchBytes, Readers: 1})
		return s.use(func() { s.load(l) })
	}
	again() // makes the definitions of the tables
	r.before = again()
	r.merged = float64(s.compact(s.lake, noon.Add(rebuildHours*time.Hour)).After)
	r.after = again()
	return r
}

// measureSizes measures what is stored of the real events.
func measureSizes(t *testing.T, m *Measured, events []sent) {
	all := 0
	for _, e := range events {
		all += e.size
	}
	m.Sent = float64(all) / float64(len(events))
	line := func(dst []byte, i int, hour time.Time) []byte {
		return events[i%len(events)].line(dst, "commit.authored", hour, i)
	}
	var lines []byte
	for i := range events {
		lines = line(lines, i, noon)
	}
	m.Line = float64(len(lines)) / float64(len(events))
	// stored has some objects of n events each, and returns what is stored of one event.
	stored := func(n float64, compact bool) float64 {
		s := newStand(t)
		objects := int(min(1000, math.Ceil(maxMeasured/n)))
		for half := range 2 { // so that there is something to merge
			var lines bytes.Buffer
			for o := range objects {
				from, to := int(math.Round(float64(o)*n)), int(math.Round(float64(o+1)*n))
				if compact {
					from, to = from+half*(to-from)/2, from+(half+1)*(to-from)/2
				} else if half == 1 {
					break
				}
				for i := from; i < to; i++ {
					lines.Write(line(nil, i, noon.AddDate(0, 0, o)))
				}
			}
			if lines.Len() > 0 {
				s.land(lines.Bytes())
				s.sort()
			}
		}
		if compact {
			s.compact(s.lake, noon.AddDate(100, 0, 0))
		}
		size, number := 0.0, 0
		for info, err := range s.store.List(t.Context(), "commit.authored/", "") {
			if err != nil {
				t.Fatal(err)
			}
			size += float64(info.Size)
			number++
		}
		if number != objects {
			t.Fatalf("%d objects of %.0f events, want %d", number, n, objects)
		}
		return size / math.Round(float64(objects)*n)
	}
	for _, n := range []float64{1, 3, 10, 30, 100, 300, 1000, 3000, maxMeasured} {
		m.Packed = append(m.Packed, Size{n, stored(n, false)})
		if n >= 100 {
			m.Frames = append(m.Frames, Size{n, stored(n, true)})
		}
	}
}
