package lake

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"arbalest"
	"arbalest/internal/blob"
)

// Logged returns the commits of the log that are there, in order. It lists the
// log, where Head probes: a commit that is missing shows.
func (l *Lake) Logged(ctx context.Context) (seqs []arbalest.Seq, err error) {
	return l.numbered(ctx, logPrefix, ".json")
}

// Compactions returns the commits that have moves, in order, by a listing.
func (l *Lake) Compactions(ctx context.Context) (seqs []arbalest.Seq, err error) {
	return l.numbered(ctx, movesFolder, movesSuffix)
}

// numbered lists the objects of a folder that are called by a commit's number.
func (l *Lake) numbered(ctx context.Context, folder, suffix string) (seqs []arbalest.Seq, err error) {
	for info, err := range l.store.List(ctx, arbalest.Key(folder), "") {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", folder, err)
		}
		name, ok := strings.CutSuffix(string(info.Key[len(folder):]), suffix)
		if !ok {
			continue
		}
		if seq, err := arbalest.ParseSeq(name); err == nil { // plans have another name
			seqs = append(seqs, seq)
		}
	}
	return seqs, nil
}

// A Merged is an object that a compaction made of others, or an erasure of one. It
// has no Event and no Hour, and no Key if no line is left.
type Merged struct {
	arbalest.Object
	From   arbalest.Key // the object that an erasure made it of
	Packed int64        // bytes, as stored
	Inputs []Input
}

// An Input is an object that is part of a merged one, as it is there.
type Input struct {
	arbalest.Object       // without Event and Hour
	Repeats         int64 // lines that were left out
	Erased          int64 // and lines that were erased
}

// Merged returns what compaction or erasure seq made. Objects that it moved are read from
// there afterwards, also if they were not deleted. The error wraps
// arbalest.ErrUnknown if its moves are missing, and arbalest.ErrCorrupt if they are
// damaged or do not add up.
func (l *Lake) Merged(ctx context.Context, seq arbalest.Seq) ([]Merged, error) {
	key := movesKey(seq)
	m, err := l.readMoves(ctx, key)
	if err != nil {
		return nil, err
	}
	all := make([]Merged, len(m.Merged))
	for i := range m.Merged {
		one := Merged{Object: m.Merged[i].object(), From: m.Merged[i].From}
		var sum arbalest.Object
		for _, in := range m.Merged[i].Inputs {
			o := arbalest.Object{Key: in.Key, Events: in.Events, Bytes: in.Bytes, Hash: in.Hash}
			one.Inputs = append(one.Inputs, Input{o, int64(len(in.Repeats)), countRuns(in.Erased)})
			sum.Events, sum.Bytes, sum.Hash = sum.Events+o.Events, sum.Bytes+o.Bytes, sum.Hash+o.Hash
		}
		lines := int64(0)
		for _, f := range m.Merged[i].Frames {
			one.Packed += f.Packed
			lines += f.Lines
		}
		if isPlain(one.Key) {
			one.Packed, lines = one.Bytes, one.Bytes
		}
		if sum.Events != one.Events || sum.Bytes != one.Bytes || sum.Hash != one.Hash || lines != one.Bytes {
			return nil, fmt.Errorf("%w: %s: the parts of %s do not add up to it", arbalest.ErrCorrupt, key, one.Key)
		}
		all[i] = one
	}
	l.atlas.mu.Lock()
	defer l.atlas.mu.Unlock()
	l.atlas.add(m)
	return all, nil
}

// Planned returns the objects of commits that commit seq was to move.
func (l *Lake) Planned(ctx context.Context, seq arbalest.Seq) (keys []arbalest.Key, err error) {
	plan, _, err := l.plan(ctx, seq)
	for _, m := range plan.Merges {
		for _, o := range m.Objects {
			keys = append(keys, o.Key)
		}
	}
	if plan.Erase != nil {
		for _, r := range plan.Erase.Rewrites {
			one, err := l.madeOf(ctx, r)
			if err != nil {
				return keys, err
			}
			for _, in := range one.Inputs {
				keys = append(keys, in.Key)
			}
		}
	}
	return keys, err
}

// Stored lists what is below the folders of events: the objects of partitions, and
// all else that is there.
func (l *Lake) Stored(ctx context.Context) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		// What is the system's own is between the names in upper and in lower case.
		for _, after := range []arbalest.Key{"", "_~"} {
			for info, err := range l.store.List(ctx, "", after) {
				if err != nil {
					yield(info, fmt.Errorf("list the store: %w", err))
					return
				}
				if info.Key[0] == '_' {
					break
				}
				if !yield(info, nil) {
					return
				}
			}
		}
	}
}

// A Name is what the key of an object of events says.
type Name struct {
	Event arbalest.EventName
	Hour  arbalest.Hour
	Hours arbalest.Hour // how many, from Hour on: those of a day, or one
	Seq   arbalest.Seq  // the commit; 0 if the name is not one that commits give
}

// NameOf reads a key; ok is false if it is not below a partition or a day of an
// event.
func NameOf(key arbalest.Key) (n Name, ok bool) {
	event, rest, _ := strings.Cut(string(key), "/")
	day, rest, _ := strings.Cut(rest, "/")
	n = Name{Event: arbalest.EventName(event), Hours: 24}
	var err error
	if n.Hour, err = arbalest.ParseHour(day + "/00"); err != nil || n.Event.Validate() != nil {
		return Name{}, false
	}
	if hour, in, ok := strings.Cut(rest, "/"); ok {
		h, err := arbalest.ParseHour(day + "/" + hour)
		if err != nil {
			return n, true
		}
		n.Hour, n.Hours, rest = h, 1, in
	}
	name, ok1 := strings.CutSuffix(rest, suffixZstd)
	name, ok2 := strings.CutSuffix(name, suffixPlain)
	digits, part, numbered := strings.Cut(name, "-")
	seq, err := arbalest.ParseSeq(digits)
	if _, partErr := strconv.ParseUint(part, 10, 32); err == nil && (ok1 || ok2) && numbered == (partErr == nil) {
		n.Seq = seq
	}
	return n, true
}

// CheckDefinitions reads every version of every table's definition, and tells of
// those that are missing or damaged, with an error as Check's.
func (l *Lake) CheckDefinitions(ctx context.Context, wrong func(table string, key arbalest.Key, err error)) error {
	last, version := "", 0
	for info, err := range l.store.List(ctx, tablesPrefix, "") {
		if err != nil {
			return fmt.Errorf("list definitions: %w", err)
		}
		table, name, ok := strings.Cut(string(info.Key[len(tablesPrefix):]), "/")
		n, err := strconv.Atoi(strings.TrimSuffix(name, ".json"))
		if !ok || err != nil || definitionKey(table, n) != info.Key {
			continue // not ours
		}
		if table != last {
			last, version = table, 0
		}
		for version++; version < n; version++ {
			key := definitionKey(table, version)
			wrong(table, key, fmt.Errorf("%w: %s, and there are later versions", arbalest.ErrUnknown, key))
		}
		var d definition
		err = l.readJSON(ctx, info.Key, &d, &d.Format)
		if err == nil && (d.Table.Name != table || d.Table.Version != n) {
			err = fmt.Errorf("%w: %s says that it is version %d of %s", arbalest.ErrCorrupt, info.Key, d.Table.Version, d.Table.Name)
		}
		switch {
		case errors.Is(err, arbalest.ErrUnknown) || errors.Is(err, arbalest.ErrCorrupt):
			wrong(table, info.Key, err)
		case err != nil:
			return err
		}
	}
	return nil
}
