package cost

import (
	"math"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"arbalest"
	"arbalest/internal/capture"
	"arbalest/internal/load"
	"arbalest/internal/s3"
	"arbalest/internal/s3/s3test"
)

// TestCost measures what the parts of the work ask for, has the model predict
// whole hours of a lake, and writes the tables of doc/cost.md.
func TestCost(t *testing.T) {
	m := measured(t)
	if t.Failed() {
		t.FailNow()
	}
	t.Run("hours", func(t *testing.T) { testHours(t, m) })
	t.Run("defaults", testDefaults)
	t.Run("linger", testLinger)
	t.Run("requests", testRequests)
	t.Run("prices", testPrices)
	t.Run("document", func(t *testing.T) { testDocument(t, m) })
}

// testHours runs a lake as serve does for five hours, of which the last two are
// as all that follow, and holds that the model says what they ask for: exactly so
// many requests.
func testHours(t *testing.T, m Measured) {
	const names, segments, perPass = 4, 3, 48
	l := Lake{
		Events: perPass * day.Minutes(), Processes: 1, Names: names, Hours: 2, Way: Compacted,
		SortEvery: time.Minute, Linger: 20*time.Second - time.Minute/perPass, // three segments a minute
	}
	m.Line = 250 // about: it matters to nothing here
	if w := l.Work(m); math.Abs(w.Segments-segments*day.Minutes()) > 1e-6 || w.Sorts != day.Minutes() || w.Made != day.Minutes()*names*2 {
		t.Fatalf("%+v", w)
	}
	s := newStand(t)
	loader := s.loader(load.Options{BatchBytes: batchBytes})
	seen := arbalest.Seq(0) // by Flow
	minute := func(n int) {
		hour, now := noon.Add(time.Duration(n/60)*time.Hour), noon.Add(time.Duration(n)*time.Minute)
		for range segments {
			var parts []part
			for name := range names {
				parts = append(parts, part{name, hour, perPass / segments / names / 2}, part{name, hour.Add(-time.Hour), perPass / segments / names / 2})
			}
			s.land(s.lines(parts...))
		}
		s.sort()
		s.load(loader)
		for ; seen < loader.Progress().Commit; seen++ {
			if _, err := s.lake.Commit(t.Context(), seen+1); err != nil {
				t.Fatal(err)
			}
		}
		if n%60 == 30 { // in the middle of what the model has for open hours
			s.compact(s.lake, now.Add(-closed).Truncate(time.Hour))
		}
	}
	for n := range 3 * 60 {
		minute(n)
	}
	got, want := s.use(func() {
		for n := range 2 * 60 {
			minute(3*60 + n)
		}
	}), Sum(l.Month(m)).Times(2/hours/days)
	t.Logf("two hours: %+v; the model says %+v", got, want)
	if !sameRequests(got, want) {
		t.Errorf("two hours ask for %+v, the model says %+v", got, want)
	}
}

// testDefaults holds that the settings of the model are those of the program.
func testDefaults(t *testing.T) {
	for file, settings := range map[string][]string{
		"cmd/arbalest/config.go": {
			`linger = duration\(250 \* time\.Millisecond\)`, `c\.SortEvery, duration\(time\.Minute\)`, `c\.SortBytes, 64<<20\)`, `c\.writers, c\.durability = 4, "s3"`,
		},
		"cmd/arbalest/serve.go":       {`serveBatch = 24 << 20`},
		"cmd/arbalest/compact.go":     {`compactEvery\s+= time\.Hour`, `compactClosed\s+= 2 \* time\.Hour`},
		"internal/capture/capture.go": {`o\.SegmentBytes, 4<<20\)`},
		"internal/lake/lake.go":       {`o\.CompactBytes = 64 << 20`},
		"internal/lake/compact.go":    {`hourObjects\s+= 32`, `hourBytes\s+= 8 << 20`, `planObjects\s+= 2000`},
	} {
		b, err := os.ReadFile("../../" + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, setting := range settings {
			if !regexp.MustCompile(setting).Match(b) {
				t.Errorf("%s has not %s any more: change the model, and doc/cost.md", file, setting)
			}
		}
	}
}

// testLinger sends requests at random to capture, as serve runs it on S3, and holds
// that it writes as many segments as the model says.
func testLinger(t *testing.T) {
	for _, perDay := range []float64{1e5, 1e6, 1e7} {
		synctest.Test(t, func(t *testing.T) {
			s := newStand(t)
			h, err := capture.New(capture.Options{Appender: s.writer, Linger: linger, Writers: 4, Durability: "s3"})
			if err != nil {
				t.Fatal(err)
			}
			const requests = 4000
			random := rand.New(rand.NewPCG(3, 4))
			start := time.Now()
			var all sync.WaitGroup
			u := s.requests(func() {
				for range requests {
					time.Sleep(time.Duration(random.ExpFloat64() * float64(day) / perDay))
					all.Go(func() {
						w := httptest.NewRecorder()
						if h.ServeHTTP(w, httptest.NewRequest("POST", "/v1/events", strings.NewReader(`{"event":"a"}`))); w.Code != 200 {
							t.Error(w.Code, w.Body)
						}
					})
				}
				all.Wait()
			})
			share := float64(time.Since(start)) / float64(day)
			want := share * Lake{Events: perDay, Processes: 1, Names: 1, Hours: 1, Way: Batched, Linger: linger, SortEvery: sortEvery}.Work(Measured{}).Segments
			if t.Logf("%.0f requests a day: %.0f segments, the model says %.1f", perDay, u.Put, want); math.Abs(u.Put-want) > 0.03*want+1 {
				t.Errorf("%.0f requests a day: %.0f segments, the model says %.1f", perDay, u.Put, want)
			}
		})
	}
}

// testRequests holds that what is counted on a store in memory are the requests
// that the store on S3 makes.
func testRequests(t *testing.T) {
	http := s3test.NewFaulty()
	store, err := s3.Open(t.Context(), s3test.Fake(t), s3.Options{NoProbe: true, HTTPClient: http.Client()})
	if err != nil {
		t.Fatal(err)
	}
	s := newStandOn(t, store)
	loader := s.loader(load.Options{})
	before := len(http.Asked())
	got := s.requests(func() {
		for range 3 {
			for range 40 {
				s.land(s.lines(part{0, noon, 2}, part{1, noon, 1}))
			}
			s.sort()
			s.load(loader)
		}
		for range 1100 {
			s.land(s.lines(part{0, noon, 2}))
		}
		s.sort()
		s.sort()
		s.compact(s.lake, noon.AddDate(1, 0, 0))
		s.load(s.loader(load.Options{}))
	})
	var want Use
	for _, line := range http.Asked()[before:] {
		switch method, _, _ := strings.Cut(line, " "); {
		case strings.HasSuffix(line, " list-type"):
			want.List++
		case method == "GET":
			want.Get++
		case method == "PUT":
			want.Put++
		case method == "DELETE":
			want.Delete++
		default:
			t.Errorf("an unexpected request: %s", line)
		}
	}
	if got != want || want.List < 5 {
		t.Errorf("counted %+v, made %+v", got, want)
	}
}

// testPrices holds figures that are easy to check by hand.
func testPrices(t *testing.T) {
	near := func(name string, got, want float64) {
		if math.Abs(got-want) > 1e-9*want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	near("a million PUTs", Use{Put: 1e6}.Requests(), 5)
	near("a million GETs", Use{Get: 1e6}.Requests(), 0.4)
	near("a million DELETEs", Use{Delete: 1e6}.Requests(), 0)
	near("100 GB", Standard(100*gb), 2.3)
	near("60 TB", Standard(60*tb), 50*1024*0.023+10*1024*0.022)
	near("600 TB", Standard(600*tb), 50*1024*0.023+450*1024*0.022+100*1024*0.021)
	if _, _, ok := Cold(1, coldLeast-1, 1, Prices.Glacier, Prices.ToGlacier); ok {
		t.Error("a small object is moved")
	}
	cold, standard, ok := Cold(1e6, 1<<20-32<<10, 1e6, Prices.DeepArchive, Prices.ToDeepArchive)
	near("a million objects of about 1 MiB", cold, 1e6/1024*0.00099+50)
	if near("their names", standard, 8<<10*1e6); !ok {
		t.Error("a large object is not moved")
	}
	m := Measured{Segment: Use{Put: 1}, Read: Use{Get: 1}, Sent: 500}
	u := Sum(Lake{Events: 1e6, Way: PerEvent}.Month(m))
	near("an object for each of a million events a day", u.Requests(), 30*(5+0.4+0.005))
}
