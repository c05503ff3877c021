package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// A data is the benchmark's data at a scale. The same scale and seed give the
// same rows.
//
// Rows are like the published ones as far as the published answers tell
// (site/index.md of amplab/benchmark, 1 August 2014: the rows of each query at
// five nodes, 90 million rankings and 775 million visits):
//
//   - pageRank: of 90,000,000 pages 32,888 are above 1000, 3,331,851 above 100 and
//     89,974,976 above 10. Between those it follows a power of the rank.
//   - sourceIP: four numbers, each of 0 to 255 alike. That gives at most 2,255,536
//     beginnings of 8 characters; the published answer has 2,067,313.
//   - visitDate: days from 1970 on alike, 15,930 of them: from 1980 to the start
//     of 1983 are 6.9 % of the visits and to 2010 68.8 %, as published. (3A's
//     485,312 is a tenth of what days alike give; 3B and 3C fit.)
//   - destURL: a page of Rankings, each alike, so that every visit joins once.
//
// The rest is plausible, and no query depends on it.
type data struct {
	rankings, visits int
	seed             uint64
}

// The benchmark's data for one node.
const (
	nodeRankings = 18_000_000
	nodeVisits   = 155_000_000
)

func newData(scale float64, seed uint64) data {
	return data{max(1, int(nodeRankings*scale)), max(1, int(nodeVisits*scale)), seed}
}

// A ranking is a row of Rankings.
type ranking struct {
	url                   string
	pageRank, avgDuration int
}

// A visit is a row of UserVisits.
type visit struct {
	sourceIP, destURL    string
	visitDate            time.Time
	adRevenue            float64
	agent, country, lang string
	word                 string
	duration             int
}

// random returns the random numbers of a row.
func (d data) random(table, n uint64) *rand.Rand { return rand.New(rand.NewPCG(d.seed, table<<60|n)) }

// ranking returns row n.
func (d data) ranking(n int) ranking {
	r := d.random(1, uint64(n))
	return ranking{pageURL(n), pageRank(r.Float64()), 1 + r.IntN(100)}
}

// visit returns row n.
func (d data) visit(n int) visit {
	r := d.random(2, uint64(n))
	return visit{
		sourceIP: fmt.Sprintf("%d.%d.%d.%d", r.IntN(256), r.IntN(256), r.IntN(256), r.IntN(256)), destURL: pageURL(r.IntN(d.rankings)),
		visitDate: time.Unix(int64(r.IntN(visitDays))*86_400, 0).UTC(), adRevenue: r.Float64(),
		agent: agents[r.IntN(len(agents))], country: countries[r.IntN(len(countries))], lang: languages[r.IntN(len(languages))],
		word: words[r.IntN(len(words))], duration: 1 + r.IntN(10),
	}
}

// visitDays is from 1970 to August 2013.
const visitDays = 15_930

// pageURL returns the address of page n: some 55 characters, all different.
func pageURL(n int) string {
	h := uint64(n+1) * 0x9E3779B97F4A7C15
	return fmt.Sprintf("%s.example/%016x/%08x%08d.html", words[h>>60], h, uint32(h*31), n)
}

// published are the shares of pages that rank above something, with what no page
// is below or above: the top is where the power from 100 to 1000 leaves one page
// of ten million.
var published = [...]struct{ rank, share float64 }{
	{9, 1}, {10, 89_974_976.0 / 90_000_000}, {100, 3_331_851.0 / 90_000_000}, {1000, 32_888.0 / 90_000_000}, {60_000, 1e-7},
}

// pageRank returns the least rank that so many pages are above, as a share of
// them all.
func pageRank(share float64) int {
	for i := 1; i < len(published); i++ {
		a, b := published[i-1], published[i]
		if share >= b.share {
			f := math.Log(share/a.share) / math.Log(b.share/a.share)
			return int(math.Exp(math.Log(a.rank)+f*(math.Log(b.rank)-math.Log(a.rank)))) + 1
		}
	}
	return int(published[len(published)-1].rank)
}

var (
	agents    = []string{"Mozilla/5.0 (X11; Linux x86_64)", "Mozilla/5.0 (Windows NT 6.1; WOW64)", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9)", "Opera/9.80 (X11; Linux)", "Lynx/2.8.8"}
	countries = []string{"DEU", "USA", "IND", "BRA", "JPN", "FRA", "KEN", "CHN"}
	languages = []string{"de-DE", "en-US", "hi-IN", "pt-BR", "ja-JP", "fr-FR", "sw-KE", "zh-CN"}
	words     = []string{"anvil", "brook", "cedar", "delta", "ember", "flint", "grove", "hazel", "inlet", "jetty", "knoll", "ledge", "maple", "north", "orbit", "pearl"}
)
