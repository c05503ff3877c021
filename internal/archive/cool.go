package archive

import (
	"context"
	"errors"
	"fmt"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/lake"
	"arbalest/internal/load"
)

// cool makes the rows of a day leave without a warm object, deletes the one that is
// there, and moves the day's partitions to an archive's class.
func (d *day) cool(ctx context.Context) error {
	tiered, ok := d.Store.(blob.Tiered)
	if !ok {
		return d.wait("it is in an archive's class, which this store has not")
	}
	from, err := d.Warehouse.Progress(ctx)
	if err != nil {
		return err
	}
	if d.dry {
		d.report.Rows = d.Hot
		d.report.Frozen, _, err = d.freeze(ctx, tiered, from)
		d.add(d.report)
		return err
	}
	if d.Hot > 0 {
		why, err := d.proveHot(ctx)
		if err != nil {
			return err
		}
		if why != "" {
			return d.wait(why)
		}
	}
	if d.Hot > 0 || d.Warm.Key != "" {
		if moved, err := d.leave(ctx, from, load.Warm{}); err != nil {
			return err
		} else if !moved {
			return d.wait("events of it came meanwhile")
		}
	}
	var all bool
	if d.report.Frozen, all, err = d.freeze(ctx, tiered, from); err != nil {
		return err
	}
	if !all {
		return d.wait("not all of its events are loaded yet")
	}
	done := d.Exclusive()
	defer done()
	if err := d.Warehouse.Froze(ctx, d.keep.Table, d.Day.Day, d.now); err != nil {
		return err
	}
	d.add(d.report)
	return nil
}

// proveHot holds that the rows of the table are in what of the day's partitions can be
// read. Those that left before were proved then.
func (d *day) proveHot(ctx context.Context) (why string, err error) {
	objects, err := d.Lake.Day(ctx, d.keep.Event, d.Day.Day)
	if err != nil {
		return "", err
	}
	frozen := false
	p := proof{day: d, objects: objects, read: func(ctx context.Context, objects []arbalest.Object, take func(int, int64, []byte) bool) error {
		for i, o := range objects {
			number := int64(0)
			err := d.Lake.Check(ctx, o, func(line []byte) error {
				number++
				take(i, number, line)
				return nil
			})
			if errors.Is(err, arbalest.ErrCold) {
				frozen = true
				continue
			}
			if err != nil {
				return err
			}
		}
		return nil
	}}
	err = p.prove(ctx)
	switch {
	case frozen && errors.Is(err, errMissing):
		return fmt.Sprintf("partitions of it are in an archive's class: arbalest restore %s --from %[2]s --to %[2]s thaws them", d.keep.Event, d.report.Day), nil
	case err == nil && p.hot != d.Hot:
		return "events of it came meanwhile", nil
	}
	return "", err
}

// freeze moves the objects of a day to the archive's class, those that are large
// enough, and returns how many bytes they have. What the warehouse has not loaded stays,
// as it could not be loaded then; all says that there is nothing of that.
func (d *day) freeze(ctx context.Context, store blob.Tiered, loaded load.Progress) (frozen int64, all bool, err error) {
	all = true
	var infos []blob.Info
	for info, err := range store.List(ctx, lake.DayFolder(d.keep.Event, d.Day.Day), "") {
		if err != nil {
			return 0, false, fmt.Errorf("list a day's partitions: %w", err)
		}
		n, ok := lake.NameOf(info.Key)
		switch {
		case !ok || n.Seq == 0:
		case n.Seq > loaded.Commit: // what was merged is of a commit after all that it has
			all = false
		case info.Size >= blob.MinFrozen:
			infos = append(infos, info)
		}
	}
	for _, info := range infos {
		if !d.dry {
			err := store.Freeze(ctx, info.Key, d.keep.Class)
			if errors.Is(err, arbalest.ErrUnknown) || errors.Is(err, arbalest.ErrCold) {
				continue // merged meanwhile, or in another class
			}
			if err != nil {
				return frozen, false, err
			}
		}
		frozen += info.Size
	}
	return frozen, all, nil
}
