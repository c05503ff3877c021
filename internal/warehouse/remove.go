package warehouse

import (
	"fmt"
	"time"

	"arbalest"
	"arbalest/internal/load"
)

// remove takes out of tables what was erased.
func (l *loading) remove(removals []load.Removal) error {
	if len(removals) == 0 {
		return nil
	}
	var names []string
	for _, r := range removals {
		names = append(names, l.dialect.Cut(r.Table))
	}
	if err := l.readColumns(names); err != nil {
		return err
	}
	for i, r := range removals {
		from := ""
		if l.columns[names[i]] != nil {
			from = l.tableName(r.Table)
		}
		if _, err := r.Remove(remover{l}, from, l.book, l.journal); err != nil {
			return fmt.Errorf("erase in %s: %w", r.Table, err)
		}
	}
	return nil
}

// A remover is an attempt as removals need it.
type remover struct{ l *loading }

// Hours implements load.Remover.
func (r remover) Hours(sql string, args ...any) (map[arbalest.Hour]int64, error) {
	hours := map[arbalest.Hour]int64{}
	err := r.l.tx.Query(r.l.ctx, sql, func(v []any) error {
		at, _ := v[0].(time.Time)
		n, _ := v[1].(int64)
		hours[arbalest.HourOf(at)] += n
		return nil
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("count what was erased: %w", err)
	}
	return hours, nil
}

// Change implements load.Remover.
func (r remover) Change(sql string, args ...any) error { return r.l.exec(sql, args...) }
