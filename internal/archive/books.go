package archive

import (
	"context"
	"fmt"

	"arbalest"
	"arbalest/internal/load"
)

// books compares the journal with what commits say.
func (v *verification) books(ctx context.Context) error {
	stored, rejected := map[arbalest.Partition]int64{}, map[arbalest.Partition]int64{}
	for _, e := range v.log.byEvent {
		for _, o := range e.loaded {
			stored[arbalest.Partition{Event: o.Event, Hour: o.Hour}] += o.Events
		}
	}
	for _, c := range v.log.rejections {
		for _, r := range c.Rejected {
			if c.Seq <= v.progress.Commit {
				rejected[arbalest.Partition{Event: r.Event, Hour: r.Hour}] += r.Events
			}
		}
	}
	tell := func(kind Kind, p arbalest.Partition, what string, args ...any) {
		if !v.log.dark[p] {
			v.find(nil, Finding{Kind: kind, Event: p.Event, Hour: p.Hour.String(), What: fmt.Sprintf(what, args...)})
		}
	}
	err := v.warehouse.Books(ctx, func(b load.Book) error {
		p := arbalest.Partition{Event: b.Event, Hour: b.Hour}
		if b.Stored != stored[p] {
			tell(Journal, p, "the journal says that %s of %s has %d stored events, the log has %d", b.Event, b.Hour, b.Stored, stored[p])
		}
		if b.Rejected != rejected[p] && len(v.log.lost) == 0 {
			tell(Journal, p, "the journal says that of %q of %s %d events were rejected, the log has %d", b.Event, b.Hour, b.Rejected, rejected[p])
		}
		if b.Stored != b.Loaded+b.Repeats+b.Errors+b.Erased {
			tell(Books, p, "the books of %s of %s do not balance: stored %d, loaded %d, repeats %d, errors %d, erased %d", b.Event, b.Hour, b.Stored, b.Loaded, b.Repeats, b.Errors, b.Erased)
		}
		delete(stored, p)
		delete(rejected, p)
		return nil
	})
	if err != nil {
		return err
	}
	for p, n := range stored {
		tell(Journal, p, "the journal knows nothing of the %d events of %s of %s", n, p.Event, p.Hour)
	}
	for p, n := range rejected {
		if n > 0 {
			tell(Journal, p, "the journal knows nothing of the %d events of %q of %s that were rejected", n, p.Event, p.Hour)
		}
	}
	return nil
}
