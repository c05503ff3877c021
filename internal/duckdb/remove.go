package duckdb

import (
	"fmt"
	"time"

	"arbalest"
	"arbalest/internal/load"
)

// remove takes out of a table what was erased.
func (l *loading) remove(r load.Removal) error {
	from := ""
	if _, ok := l.catalog.columns[r.Table]; ok {
		from = tableName(r.Table)
	}
	left, err := r.Remove(remover{l.tx}, from, l.tx.book, l.journal)
	if err == nil && left {
		err = l.tx.showAgain(r.Table)
	}
	return err
}

// A remover is a transaction as removals need it.
type remover struct{ tx *transaction }

// Hours implements load.Remover.
func (r remover) Hours(sql string, args ...any) (map[arbalest.Hour]int64, error) {
	hours := map[arbalest.Hour]int64{}
	err := r.tx.each(func(scan func(...any) error) error {
		var at time.Time
		var n int64
		err := scan(&at, &n)
		hours[arbalest.HourOf(at)] += n
		return err
	}, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("count what was erased: %w", err)
	}
	return hours, nil
}

// Change implements load.Remover.
func (r remover) Change(sql string, args ...any) error { return r.tx.exec(sql, args...) }
