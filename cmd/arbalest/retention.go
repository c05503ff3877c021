package main

import (
	"fmt"
	"strconv"
	"strings"

	"arbalest"
	"arbalest/internal/archive"
	"arbalest/internal/blob"
)

// A retentionConfig says how old the days of an event become, by event time, until
// something is done with them. What is left out is never.
type retentionConfig struct {
	HotFor    days   `yaml:"hot_for"`    // rows are in the table
	ColdAfter days   `yaml:"cold_after"` // partitions go to an archive's class
	GoneAfter days   `yaml:"gone_after"` // everything goes
	ColdClass string `yaml:"cold_class"` // Defaults to GLACIER
}

// UnmarshalYAML reads it, and holds that the ages are in order.
func (r *retentionConfig) UnmarshalYAML(decode func(any) error) error {
	type plain retentionConfig // without this method
	if err := decode((*plain)(r)); err != nil {
		return err
	}
	after := func(a, b days) bool { return a > 0 && b > 0 && a > b }
	switch {
	case r.ColdAfter > 0 && r.HotFor == 0:
		return fmt.Errorf("retention: cold_after %s without hot_for: say how long rows stay in the table, at most as long", r.ColdAfter)
	case after(r.HotFor, r.ColdAfter):
		return fmt.Errorf("retention: hot_for %s is more than cold_after %s: rows leave the table before partitions are cold", r.HotFor, r.ColdAfter)
	case after(r.ColdAfter, r.GoneAfter) || after(r.HotFor, r.GoneAfter):
		return fmt.Errorf("retention: gone_after %s is less than the others: what is gone is neither hot nor cold", r.GoneAfter)
	}
	if r.ColdClass == "" {
		return nil
	}
	if _, err := blob.ParseClass(r.ColdClass); err != nil {
		return fmt.Errorf("retention: cold_class: %w", err)
	}
	return nil
}

// days is a number of days, spelled 90d.
type days int

// UnmarshalYAML reads days.
func (d *days) UnmarshalYAML(b []byte) error {
	text := strings.Trim(strings.TrimSpace(string(b)), `"'`)
	number, ok := strings.CutSuffix(text, "d")
	n, err := strconv.Atoi(number)
	if !ok || err != nil || n < 1 || n > 100_000 {
		return fmt.Errorf("%q is not a number of days: write 90d", text)
	}
	*d = days(n)
	return nil
}

func (d days) String() string { return fmt.Sprintf("%dd", int(d)) }

// retention returns that of an event: its own, else that of all.
func (c config) retention(event arbalest.EventName) archive.Retention {
	r := c.Retention
	if own := c.Events[string(event)].Retention; own != nil {
		r = *own
	}
	return archive.Retention{Hot: int(r.HotFor), Cold: int(r.ColdAfter), Gone: int(r.GoneAfter), Class: blob.Class(r.ColdClass)}
}

// retains says whether anything is to leave.
func (c config) retains() bool {
	for _, e := range c.Events {
		if e.Retention != nil && *e.Retention != (retentionConfig{}) {
			return true
		}
	}
	return c.Retention != (retentionConfig{})
}
