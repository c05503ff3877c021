package main

import (
	"bytes"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"arbalest/internal/postgres/postgrestest"
)

// expected answers the queries from the rows themselves, without SQL.
func (d data) expected() map[string]answer {
	all := map[string]answer{}
	ranks := map[string]int{}
	for n := range d.rankings {
		r := d.ranking(n)
		ranks[r.url] = r.pageRank
		for name, above := range map[string]int{"1A": 1000, "1B": 100, "1C": 10} {
			if r.pageRank > above {
				all[name] = append(all[name], row{r.url, [2]float64{float64(r.pageRank)}})
			}
		}
	}
	revenue := map[string]map[string]float64{"2A": {}, "2B": {}, "2C": {}}
	type total struct{ revenue, rank, visits float64 }
	sources := map[string]map[string]total{"3A": {}, "3B": {}, "3C": {}}
	for n := range d.visits {
		v := d.visit(n)
		for name, length := range map[string]int{"2A": 8, "2B": 10, "2C": 12} {
			revenue[name][v.sourceIP[:min(length, len(v.sourceIP))]] += v.adRevenue
		}
		for name, last := range map[string]string{"3A": "1980-04-01", "3B": "1983-01-01", "3C": "2010-01-01"} {
			if day := v.visitDate.Format(time.DateOnly); day >= "1980-01-01" && day <= last {
				t := sources[name][v.sourceIP]
				sources[name][v.sourceIP] = total{t.revenue + v.adRevenue, t.rank + float64(ranks[v.destURL]), t.visits + 1}
			}
		}
	}
	for name, sums := range revenue {
		for source, sum := range sums {
			all[name] = append(all[name], row{source, [2]float64{sum}})
		}
	}
	for name, totals := range sources {
		best := row{}
		for source, t := range totals {
			if t.revenue > best.numbers[0] {
				best = row{source, [2]float64{t.revenue, t.rank / t.visits}}
			}
		}
		all[name] = answer{best}
	}
	for _, a := range all {
		a.sort()
	}
	return all
}

// TestAnswersAreThoseOfTheRows holds that both warehouses answer every query as
// the rows do, when they are computed with no SQL.
func TestAnswersAreThoseOfTheRows(t *testing.T) {
	d := data{rankings: 3000, visits: 4000, seed: 7}
	want := d.expected()
	dir := t.TempDir()
	store, _, err := d.capture(t.Context(), filepath.Join(dir, "store"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	r := run{data: d, memory: 256 << 20}
	for name, url := range map[string]string{"DuckDB": filepath.Join(dir, "w.duckdb"), "PostgreSQL": postgrestest.Start(t)} {
		p, _, err := r.load(t.Context(), store, name, url)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range queries {
			if _, err := p.materialize(t.Context(), q); err != nil {
				t.Fatal(err)
			}
			got, err := p.answer(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) == 0 {
				t.Errorf("%s on %s has no rows, and shows nothing", q.name, name)
			}
			if err := got.differs(want[q.name]); err != nil {
				t.Errorf("%s on %s, and by the rows: %v", q.name, name, err)
			}
		}
		if err := p.warehouse.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestPrints runs it all at a scale that takes no time.
func TestPrints(t *testing.T) {
	postgrestest.Start(t) // or skip
	t.Chdir(t.TempDir())
	var out bytes.Buffer
	if err := (run{out: &out, data: data{rankings: 300, visits: 500, seed: 1}, rounds: 1, memory: 256 << 20}).all(t.Context()); err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile(`(?m)^[123][ABC] +\d+ +\d+\.\d{3} s +\d+\.\d{3} s +\d+\.\d$`).FindAllString(out.String(), -1)
	if len(lines) != 9 || !strings.Contains(out.String(), "Both gave the same answers.") {
		t.Errorf("\n%s", &out)
	}
	if left, _ := filepath.Glob(".bench-*"); left != nil {
		t.Errorf("it left %v", left)
	}
}

// TestDataIsAsPublished holds that the shares of rows that the published answers
// have are those of ours, and that the same seed gives the same rows.
func TestDataIsAsPublished(t *testing.T) {
	d := data{rankings: 200_000, visits: 100_000, seed: 3}
	above := map[int]int{}
	for n := range d.rankings {
		r := d.ranking(n)
		for _, x := range []int{10, 100, 1000} {
			if r.pageRank > x {
				above[x]++
			}
		}
	}
	for x, want := range map[int]float64{10: 89_974_976.0 / 90_000_000, 100: 3_331_851.0 / 90_000_000, 1000: 32_888.0 / 90_000_000} {
		if got := float64(above[x]) / float64(d.rankings); got < want*0.8 || got > want*1.2 {
			t.Errorf("%.6f of the pages rank above %d, published %.6f", got, x, want)
		}
	}
	dates := map[string]int{}
	for n := range d.visits {
		day := d.visit(n).visitDate.Format(time.DateOnly)
		for _, last := range []string{"1983-01-01", "2010-01-01"} {
			if day >= "1980-01-01" && day <= last {
				dates[last]++
			}
		}
	}
	for last, want := range map[string]float64{"1983-01-01": 53_332_015.0 / 775_000_000, "2010-01-01": 533_287_121.0 / 775_000_000} {
		if got := float64(dates[last]) / float64(d.visits); got < want*0.95 || got > want*1.05 {
			t.Errorf("%.4f of the visits are before %s, published %.4f", got, last, want)
		}
	}
	if again := (data{200_000, 100_000, 3}); d.visit(5) != again.visit(5) || d.ranking(5) != again.ranking(5) || d.visit(5) == (data{200_000, 100_000, 4}).visit(5) {
		t.Error("the seed does not say what the rows are")
	}
	seen := map[string]bool{}
	for n := range 100_000 {
		seen[pageURL(n)] = true
	}
	if len(seen) != 100_000 {
		t.Errorf("%d of 100000 pages have an address of their own", len(seen))
	}
}

// TestDiffers holds that answers that differ are told, and sums that were added
// in another order are not.
func TestDiffers(t *testing.T) {
	a := answer{{"x", [2]float64{0.1 + 0.2, 1}}}
	for _, c := range []struct {
		b    answer
		same bool
	}{
		{answer{{"x", [2]float64{0.3, 1}}}, true}, {answer{{"x", [2]float64{0.30001, 1}}}, false}, {answer{{"y", [2]float64{0.3, 1}}}, false},
		{answer{{"x", [2]float64{0.3, 2}}}, false}, {nil, false}, {answer{{"x", [2]float64{0.3, 1}}, {}}, false},
	} {
		if err := a.differs(c.b); (err == nil) != c.same {
			t.Errorf("%v: %v", c.b, err)
		}
	}
}
