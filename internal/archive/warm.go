package archive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/zeebo/xxh3"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/lake"
	"arbalest/internal/load"
)

// WarmFolder is where the warm objects of a table are.
func WarmFolder(table string) arbalest.Key { return arbalest.Key("_warm/" + table + "/") }

// dayFolder is where a day's are.
func dayFolder(table string, day arbalest.Hour) arbalest.Key {
	return WarmFolder(table) + arbalest.Key("day="+dateOf(day)+"/")
}

// columnsOf tells definitions apart by the columns that they have.
func columnsOf(t arbalest.Table) string {
	b, err := json.Marshal(t.AllColumns())
	if err != nil {
		panic(err) // texts and numbers
	}
	return string(arbalest.AppendHash(nil, xxh3.Hash(b)))
}

// warm makes the warm object of a day, and its rows leave the table.
func (d *day) warm(ctx context.Context) error {
	from, err := d.Warehouse.Progress(ctx)
	if err != nil {
		return err
	}
	objects, err := d.Lake.Day(ctx, d.keep.Event, d.Day.Day)
	if err != nil {
		return err
	}
	for _, o := range objects {
		d.report.Lines += o.Bytes
		if n, _ := lake.NameOf(o.Key); n.Seq > from.Commit {
			return d.wait("events of it are not loaded yet")
		}
	}
	if d.dry {
		d.report.Rows = d.Hot
		d.add(d.report)
		return nil
	}
	warm, why, err := d.makeWarm(ctx, objects)
	if errors.Is(err, errMissing) {
		if head, headErr := d.Lake.Head(ctx); headErr != nil || head > from.Commit { // it may have been erased there
			return errors.Join(headErr, d.wait("the warehouse is behind the store, and has rows that the store has not"))
		}
	}
	if err == nil && why == "" {
		var moved bool
		if moved, err = d.leave(ctx, from, warm); !moved {
			why = "events of it came meanwhile"
		}
	}
	switch {
	case errors.Is(err, arbalest.ErrCold):
		return d.wait(fmt.Sprintf("partitions of it are in an archive's class: arbalest restore %s --from %[2]s --to %[2]s thaws them", d.keep.Event, d.report.Day))
	case err != nil:
		return err
	case why != "":
		return d.wait(why)
	}
	d.report.Warm = warm.Bytes
	d.add(d.report)
	return nil
}

// makeWarm puts the rows of a day, those that left too, into a warm object of the store.
// It makes them of the lines of objects, which proves that the store has them. why says
// that they are not what they were.
func (d *day) makeWarm(ctx context.Context, objects []arbalest.Object) (w load.Warm, why string, err error) {
	if d.Hot+d.Left == 0 {
		return load.Warm{}, "", nil // all was erased
	}
	scratch, folder, err := d.Scratch(ctx)
	if err != nil {
		return w, "", fmt.Errorf("open a warehouse for a day: %w", err)
	}
	defer func() { err = errors.Join(err, scratch.Close()) }()
	loaded := int64(0)
	p := proof{day: d, objects: objects, all: true, read: func(ctx context.Context, objects []arbalest.Object, take func(int, int64, []byte) bool) error {
		counts, err := d.Loader.Excerpt(ctx, scratch, d.keep.Event, objects, take)
		loaded += counts.Loaded
		return err
	}}
	if err := p.prove(ctx); err != nil {
		return w, "", err
	}
	if p.hot != d.Hot || p.left != d.Left {
		return w, "events of it came meanwhile", nil
	}
	if loaded != p.hot+p.left {
		return w, "", fmt.Errorf("%w: table %s has %d rows of that day, and by its definition now %d can be loaded; nothing was deleted: mend the definition, or run arbalest rebuild %[2]s", arbalest.ErrDiffers, d.keep.Table, p.hot+p.left, loaded)
	}
	file := filepath.Join(folder, "day.parquet")
	rows, size, err := scratch.Export(ctx, d.keep.Table, file)
	if err != nil {
		return w, "", err
	}
	if rows != loaded {
		return w, "", fmt.Errorf("%w: %d of %d rows were exported", arbalest.ErrCorrupt, rows, loaded)
	}
	w = load.Warm{Bytes: size, Columns: d.columns}
	w.Key = dayFolder(d.keep.Table, d.Day.Day) + arbalest.Key(fmt.Sprintf("%016x-%s.parquet", p.sum, d.columns))
	return w, "", d.put(ctx, w.Key, file)
}

// put puts a file where the store and the warehouse have warm objects.
func (t Tiering) put(ctx context.Context, key arbalest.Key, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("read what was exported: %w", err)
	}
	defer f.Close()
	for _, store := range t.warmStores() {
		if err := store.Put(ctx, key, f); err != nil {
			return fmt.Errorf("put %s: %w", key, err)
		}
	}
	return nil
}

// warmStores are the stores that have warm objects.
func (t Tiering) warmStores() []blob.Store {
	if t.Mirror == nil {
		return []blob.Store{t.Store}
	}
	return []blob.Store{t.Store, t.Mirror}
}

// Sweep deletes the warm objects of a table's days, from one up to another, which is none
// of them, that the warehouse does not name: of days that came back.
func (t Tiering) Sweep(ctx context.Context, table string, from, to arbalest.Hour) error {
	days, err := t.Warehouse.Days(ctx, table, to)
	if err != nil {
		return err
	}
	named := map[arbalest.Key]bool{}
	for _, d := range days {
		named[d.Warm.Key] = true
	}
	for day := from.Day(); day < to; day += 24 {
		if err := t.sweep(ctx, dayFolder(table, day), named); err != nil {
			return err
		}
	}
	return nil
}

// sweep deletes all warm objects in a folder that the warehouse does not name.
func (t Tiering) sweep(ctx context.Context, folder arbalest.Key, named map[arbalest.Key]bool) error {
	for _, store := range t.warmStores() {
		var old []arbalest.Key
		for info, err := range store.List(ctx, folder, "") {
			if err != nil {
				return fmt.Errorf("list warm objects: %w", err)
			}
			if !named[info.Key] {
				old = append(old, info.Key)
			}
		}
		for _, key := range old {
			if err := store.Delete(ctx, key); err != nil {
				return fmt.Errorf("delete %s: %w", key, err)
			}
		}
	}
	return nil
}

// gather gets what the mirror lacks of a table's warm objects. Days whose object is
// nowhere are to be made again.
func (p *pass) gather(ctx context.Context, table string, days []load.Day) error {
	if p.Mirror == nil {
		return nil
	}
	there := map[arbalest.Key]int64{}
	for info, err := range p.Mirror.List(ctx, WarmFolder(table), "") {
		if err != nil {
			return fmt.Errorf("list the copies of warm objects: %w", err)
		}
		there[info.Key] = info.Size
	}
	for i, d := range days {
		if size, ok := there[d.Warm.Key]; d.Warm.Key == "" || ok && size == d.Warm.Bytes {
			continue
		}
		err := p.get(ctx, d.Warm.Key)
		if errors.Is(err, arbalest.ErrUnknown) {
			days[i].Stale = true
			continue
		}
		if err != nil {
			return fmt.Errorf("get %s: %w", d.Warm.Key, err)
		}
	}
	return nil
}

// get copies a warm object to the mirror, by way of a file.
func (p *pass) get(ctx context.Context, key arbalest.Key) error {
	r, err := p.Store.Get(ctx, key, 0, blob.Whole)
	if err != nil {
		return err
	}
	defer r.Close()
	f, err := os.CreateTemp("", "arbalest-warm-")
	if err != nil {
		return err
	}
	defer func() { f.Close(); os.Remove(f.Name()) }()
	if _, err := io.Copy(f, r); err != nil {
		return err
	}
	return p.Mirror.Put(ctx, key, f)
}
