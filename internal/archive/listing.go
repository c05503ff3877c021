package archive

import (
	"context"
	"fmt"
	"slices"

	"arbalest"
	"arbalest/internal/lake"
)

// list looks at what is stored below events' folders, for what the log does not
// know. What commits after the newest one have, or are about to, is not looked at.
//
// What a compaction or an erasure moved is deleted before the next commit is planned
// (lake.Lake.Compact): of all but the newest commit it must be gone.
func (v *verification) list(ctx context.Context) error {
	b := &v.log
	known := b.keys()
	for info, err := range v.lake.Stored(ctx) {
		if err != nil {
			return err
		}
		v.report.Listed++
		n, ok := lake.NameOf(info.Key)
		if !ok {
			continue // not of an event
		}
		for len(known) > 0 && known[0] < info.Key {
			known = known[1:]
		}
		f := Finding{Event: n.Event, Commit: n.Seq, Object: info.Key}
		if n.Hours == 1 {
			f.Hour = n.Hour.String()
		}
		merged, moved := b.merged[info.Key], b.moved[info.Key]
		switch {
		case merged != nil && info.Size != merged.Packed && info.Size > 0:
			f.Kind, f.What = CorruptMerged, fmt.Sprintf("%s, which commit %d made, has %d bytes, and had %d", info.Key, n.Seq, info.Size, merged.Packed)
			v.find(nil, f)
		case merged != nil || b.unmoved[n.Seq]:
		case moved.to != nil || b.replaced[info.Key] > 0:
			if seq := max(moved.seq, b.replaced[info.Key]); seq < b.head {
				f.Kind, f.What = Leftover, fmt.Sprintf("commit %d put the lines of %s elsewhere, and it was not deleted, or was written again", seq, info.Key)
				v.find(nil, f)
			}
		case len(known) > 0 && known[0] == info.Key:
		case b.lost[n.Seq]:
			b.darken(n)
		case n.Seq <= b.head:
			f.Kind, f.What = Orphan, fmt.Sprintf("no commit and no moves know of %s", info.Key)
			v.find(nil, f)
		}
	}
	return nil
}

// keys returns the keys of all objects of the log, in order.
func (b *logbook) keys() (keys []arbalest.Key) {
	for _, e := range b.byEvent {
		for _, list := range [][]arbalest.Object{e.loaded, e.later} {
			for _, o := range list {
				keys = append(keys, o.Key)
			}
		}
	}
	slices.Sort(keys)
	return keys
}
