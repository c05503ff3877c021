package archive

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"

	"github.com/zeebo/xxh3"

	"arbalest"
)

// A Sample says which partitions are compared: a share of them, or as many as have
// so many objects. The same seed chooses the same ones of the same lake.
type Sample struct {
	Share   float64 // above 0, to 1
	Objects int64
	Seed    uint64
}

// Sampled says what was looked at.
type Sampled struct {
	Seed       uint64 `json:"seed,string"`
	Partitions int64  `json:"partitions"` // that were compared, whole
	Of         int64  `json:"of"`
	Objects    int64  `json:"objects"` // that the log lists in those
	OfObjects  int64  `json:"of_objects"`
}

// rank orders what may be chosen.
func (s Sample) rank(what string, n uint64) uint64 {
	return xxh3.HashStringSeed(what, s.Seed^xxh3.Hash(binary.BigEndian.AppendUint64(nil, n)))
}

// choose says which partitions are compared. All that the log says of them is
// known: what is chosen is compared as if it were all.
func (v *verification) choose() {
	counts := map[arbalest.Partition]int64{}
	s := Sampled{Seed: v.opts.Sample.Seed}
	for _, e := range v.log.byEvent {
		for _, o := range e.loaded {
			counts[arbalest.Partition{Event: o.Event, Hour: o.Hour}]++
			s.OfObjects++
		}
	}
	type ranked struct {
		arbalest.Partition
		rank uint64
	}
	order := make([]ranked, 0, len(counts))
	for p := range counts {
		order = append(order, ranked{p, v.opts.Sample.rank(string(p.Event), uint64(p.Hour))})
	}
	slices.SortFunc(order, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.Event, b.Event), cmp.Compare(a.Hour, b.Hour))
	})
	s.Of = int64(len(order))
	most := int64(math.Ceil(v.opts.Sample.Share * float64(s.Of)))
	v.chosen = map[arbalest.Partition]bool{}
	for _, p := range order {
		if s.Partitions >= most && s.Objects >= v.opts.Sample.Objects {
			break
		}
		v.chosen[p.Partition] = true
		s.Partitions++
		s.Objects += counts[p.Partition]
	}
	v.report.Sample = &s
}

// samples says whether what a commit rejected is looked at.
func (v *verification) samples(c arbalest.Commit) bool {
	s := v.report.Sample
	if s == nil || s.Objects >= s.OfObjects {
		return true
	}
	share := float64(s.Objects) / float64(s.OfObjects)
	return float64(v.opts.Sample.rank("", uint64(c.Seq))) < share*math.MaxUint64
}
