package cost

import (
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the tables of doc/cost.md")

const document = "../../doc/cost.md"

// A scale is a lake that the tables are of.
type scale struct {
	name string
	lake Lake
}

var scales = []scale{
	{"1 million", Lake{Events: 1e6, Processes: 1}},
	{"100 million", Lake{Events: 1e8, Processes: 1}},
	{"10 billion", Lake{Events: 1e10, Processes: 4}},
}

// like returns a scale's lake, as the tables assume it, with something else.
func (s scale) like(change func(*Lake)) Lake {
	l := s.lake
	l.Names, l.Hours, l.Way, l.Linger, l.SortEvery = 20, 2, Compacted, linger, sortEvery
	if change != nil {
		change(&l)
	}
	return l
}

var ways = []struct {
	name string
	way  Way
}{
	{"an object for each event", PerEvent},
	{"Arbalest, a segment for each event", PerRequest},
	{"batched (`linger`), `compact: {off: true}`", Batched},
	{"**batched and compacted** (default)", Compacted},
}

// testDocument holds that the tables of doc/cost.md are what the model computes.
func testDocument(t *testing.T, m Measured) {
	events := realEvents(t)
	measureSizes(t, &m, events)
	again := measureRebuild(t, events)
	was, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	text := string(was)
	for name, table := range map[string]string{
		"short": short(m), "month": month(m), "items": items(m), "settings": settings(m), "cold": cold(m),
		"rebuild": rebuilds(again), "parts": parts(m), "sizes": sizes(m), "prices": prices(),
	} {
		begin, end := fmt.Sprintf("<!-- %s: written by go test ./bench/cost -update -->\n", name), "<!-- end -->\n"
		before, rest, ok := strings.Cut(text, begin)
		old, after, ok2 := strings.Cut(rest, end)
		if !ok || !ok2 {
			t.Fatalf("doc/cost.md has no table %s: %s", name, begin)
		}
		if old != table && !*update {
			t.Errorf("doc/cost.md: the table %s is not what is computed; go test ./bench/cost -update writes it:\n%s", name, table)
		}
		text = before + begin + table + end + after
	}
	if *update {
		if err := os.WriteFile(document, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// A table is one of Markdown's.
type table struct{ strings.Builder }

func (t *table) row(cells ...string) { t.WriteString("| " + strings.Join(cells, " | ") + " |\n") }

// newTable returns a table; heads that begin with a space are those of numbers.
func newTable(heads ...string) *table {
	t := &table{}
	lines := make([]string, len(heads))
	for i, head := range heads {
		if lines[i] = "---"; strings.HasPrefix(head, " ") {
			heads[i], lines[i] = head[1:], "---:"
		}
	}
	t.row(heads...)
	t.row(lines...)
	return t
}

// digits spells a number with three of them, and a unit.
func digits(n float64) string {
	switch {
	case n == 0:
		return "0"
	case math.Abs(n) < 999.5:
		return trim(n)
	case n < 999.5e3:
		return trim(n/1e3) + " K"
	case n < 999.5e6:
		return trim(n/1e6) + " M"
	case n < 999.5e9:
		return trim(n/1e9) + " bn"
	}
	return thousands(n/1e9) + " bn"
}

// trim spells a number below a thousand with three digits, and no zeros at its end.
func trim(n float64) string {
	places := 2 - int(math.Floor(math.Log10(math.Abs(n))))
	s := fmt.Sprintf("%.*f", max(0, places), n)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// size spells bytes, of which a GB has 2^30 as on S3's bill.
func size(n float64) string {
	switch {
	case n < 1<<20:
		return trim(n/(1<<10)) + " KB"
	case n < gb:
		return trim(n/(1<<20)) + " MB"
	case n < tb:
		return trim(n/gb) + " GB"
	}
	return thousands(n/tb) + " TB"
}

// dollars spells an amount: three digits, and cents at the most.
func dollars(n float64) string {
	switch {
	case n == 0:
		return "0"
	case n < 0.005:
		return "< 0.01"
	case n < 100:
		return fmt.Sprintf("%.2f", n)
	}
	return thousands(n)
}

// thousands is trim for large numbers, too.
func thousands(n float64) string {
	if n < 999.5 {
		return trim(n)
	}
	s := fmt.Sprint(int64(math.Round(n)))
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// bill returns what the month after a year costs.
func (l Lake) bill(m Measured) (requests, storage float64, k Kept) {
	k = l.Kept(m, year)
	return Sum(l.Month(m)).Requests(), Standard(k.Bytes + k.BooksBytes), k
}

func (l Lake) total(m Measured) float64 {
	requests, storage, _ := l.bill(m)
	return requests + storage
}

func short(m Measured) string {
	var b strings.Builder
	for _, s := range scales {
		l := s.like(nil)
		requests, storage, k := l.bill(m)
		plain := s.like(func(l *Lake) { l.Way = PerEvent })
		slow := s.like(func(l *Lake) { l.Linger, l.SortEvery = time.Second, 5*time.Minute })
		fmt.Fprintf(&b, "- **%s events a day:** $%s a month for requests, and $%s for the %s of a year. An object for each event would cost $%s. With `linger: 1s` and `sort_every: 5m` it is $%s in all.\n",
			s.name, dollars(requests), dollars(storage), size(k.Bytes+k.BooksBytes), dollars(plain.total(m)), dollars(slow.total(m)))
	}
	idle := scale{"", Lake{Processes: 1}}.like(nil)
	fmt.Fprintf(&b, "- **A `serve` to which nothing comes:** $%s a month.\n", dollars(Sum(idle.Month(m)).Requests()))
	return b.String()
}

func month(m Measured) string {
	t := newTable("events a day, and how they are stored", " PUT", " LIST", " GET", " requests, $", " objects after a year", " stored after a year", " storage, $", " **in all, $**")
	for _, s := range scales {
		t.row("**"+s.name+"**", "", "", "", "", "", "", "", "")
		for _, w := range ways {
			l := s.like(func(l *Lake) { l.Way = w.way })
			use := Sum(l.Month(m))
			requests, storage, k := l.bill(m)
			t.row(w.name, digits(use.Put), digits(use.List), digits(use.Get), dollars(requests), digits(k.Objects+k.BooksObjects), size(k.Bytes+k.BooksBytes), dollars(storage), "**"+dollars(requests+storage)+"**")
		}
	}
	return t.String()
}

func items(m Measured) string {
	heads := []string{"$ a month, by default"}
	for _, s := range scales {
		heads = append(heads, " "+s.name)
	}
	t := newTable(heads...)
	for i, what := range []string{
		"capture: segments", "sort: reads segments, writes objects and the log", "load: reads the log and objects", "compact: reads and writes objects",
	} {
		row := []string{what}
		for _, s := range scales {
			row = append(row, dollars(s.like(nil).Month(m)[i].Use.Requests()))
		}
		t.row(row...)
	}
	events, books := []string{"storage of events, after a year"}, []string{"storage of the log and moves (where compaction put objects)"}
	shares := []string{"share of the log and moves in what is stored"}
	for _, s := range scales {
		k := s.like(nil).Kept(m, year)
		all := Standard(k.Bytes + k.BooksBytes)
		share := k.BooksBytes / (k.Bytes + k.BooksBytes)
		events, books = append(events, dollars(all*(1-share))), append(books, dollars(all*share))
		shares = append(shares, fmt.Sprintf("%.0f %%", 100*share))
	}
	t.row(events...)
	t.row(books...)
	t.row(shares...)
	return t.String()
}

func settings(m Measured) string {
	heads := []string{"$ a month in all, after a year"}
	for _, s := range scales {
		heads = append(heads, " "+s.name)
	}
	t := newTable(heads...)
	for _, c := range []struct {
		name   string
		change func(*Lake)
	}{
		{"as assumed", nil},
		{"`linger: 1s`: an answer takes up to a second", func(l *Lake) { l.Linger = time.Second }},
		{"`linger: 50ms`", func(l *Lake) { l.Linger = 50 * time.Millisecond }},
		{"`sort_every: 5m`: events are in SQL after up to 5 minutes", func(l *Lake) { l.SortEvery = 5 * time.Minute }},
		{"`sort_every: 10s`", func(l *Lake) { l.SortEvery = 10 * time.Second }},
		{"`linger: 1s`, `sort_every: 5m`", func(l *Lake) { l.Linger, l.SortEvery = time.Second, 5*time.Minute }},
		{"200 names of events instead of 20", func(l *Lake) { l.Names = 200 }},
		{"events of 3 hours in each sort, instead of 2", func(l *Lake) { l.Hours = 3 }},
		{"twice as many processes", func(l *Lake) { l.Processes *= 2 }},
	} {
		row := []string{c.name}
		for _, s := range scales {
			row = append(row, dollars(s.like(c.change).total(m)))
		}
		t.row(row...)
	}
	return t.String()
}

// hotDays is after how many days the table cold has events moved.
const hotDays = 90

func cold(m Measured) string {
	t := newTable("events a day, and how they are stored", " size of an object", " all in Standard, $", " Glacier Flexible Retrieval, $", " Deep Archive, $")
	for _, s := range scales {
		for _, w := range ways[2:] {
			l := s.like(func(l *Lake) { l.Way = w.way })
			_, all, k := l.bill(m)
			hot := l.Kept(m, hotDays)
			row := []string{s.name + ", " + w.name, size(k.Bytes / k.Objects), dollars(all)}
			for _, class := range [][2]Price{{Prices.Glacier, Prices.ToGlacier}, {Prices.DeepArchive, Prices.ToDeepArchive}} {
				cost, rest, ok := Cold(k.Objects-hot.Objects, k.Bytes/k.Objects, days*k.Objects/year, class[0], class[1])
				cell := "too small"
				if ok {
					cell = dollars(cost + Standard(hot.Bytes+k.BooksBytes+rest))
				}
				row = append(row, cell)
			}
			t.row(row...)
		}
	}
	return t.String()
}

func rebuilds(r rebuild) string {
	t := newTable(fmt.Sprintf("%d hours of a million events a day: %s events, %s commits", rebuildHours, digits(r.events), digits(r.commits)), " objects", " GET", " LIST", " of a year, GET", " of a year, $")
	for _, c := range []struct {
		name    string
		objects float64
		use     Use
	}{{"before compaction", r.objects, r.before}, {"after", r.merged, r.after}} {
		all := Use{Get: c.use.Get * year * hours / rebuildHours, List: c.use.List} // it lists definitions, and once
		t.row(c.name, digits(c.objects), digits(c.use.Get), digits(c.use.List), digits(all.Get), dollars(all.Requests()))
	}
	return t.String()
}

func parts(m Measured) string {
	t := newTable("what is done", " PUT", " GET", " LIST", " DELETE", " bytes that stay in the log and moves")
	for _, p := range []struct {
		name string
		use  Use
	}{
		{"capture writes a segment", m.Segment},
		{"sort makes a commit", m.Sort}, {"… each segment", m.Taken}, {"… each object", m.Made},
		{"load of a commit", m.Load}, {"… each further batch", m.Batch}, {"… each object", m.Read},
		{"… each commit of a compaction before it", m.Past}, {"the page Flow reads a commit", m.Shown},
		{"compaction makes a commit", m.Compact}, {"… each object that it makes", m.Merge}, {"… each object merged", m.Merged},
		{"… each commit of a sort since", m.Seen}, {"… each object of hours that are open", m.Waiting},
		{"compaction sees another process's", m.Follow},
		{"nothing to do: sort", m.IdleSort}, {"nothing to do: load", m.IdleLoad}, {"nothing to do: compact", m.IdleCompact},
	} {
		t.row(p.name, digits(p.use.Put), digits(p.use.Get), digits(p.use.List), digits(p.use.Delete), digits(math.Round(p.use.Books)))
	}
	return t.String()
}

func sizes(m Measured) string {
	t := newTable("an event", " bytes")
	t.row("as it was sent, and in an object of its own", trim(m.Sent))
	t.row("as a stored line, before compression", trim(m.Line))
	for _, size := range m.Packed {
		t.row(fmt.Sprintf("in an object of %s", digits(size.Events)), trim(size.Bytes))
	}
	for _, size := range m.Frames {
		t.row(fmt.Sprintf("in a merged object of %s", digits(size.Events)), trim(size.Bytes))
	}
	return t.String()
}

func prices() string {
	t := newTable("of", " $", "for", "who says so")
	for _, p := range append(Prices.Storage[:], Prices.Put, Prices.List, Prices.Get, Prices.Delete, Prices.Glacier, Prices.DeepArchive, Prices.ToGlacier, Prices.ToDeepArchive) {
		t.row(p.Of, fmt.Sprint(p.Dollars), p.Per, p.Source)
	}
	return t.String()
}
