package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"arbalest"
	"arbalest/internal/archive"
)

func TestRetentionOfConfiguration(t *testing.T) {
	read := func(text string) (config, error) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "arbalest.yaml")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return readConfig(file, false)
	}
	c, err := read("retention: {hot_for: 90d, cold_after: 730d}\nevents:\n  a: {retention: {hot_for: 7d, gone_after: 30d}}\n  b: {retention: {}}\n  c: {table: see}\n")
	if err != nil {
		t.Fatal(err)
	}
	for event, want := range map[arbalest.EventName]archive.Retention{"a": {Hot: 7, Gone: 30}, "b": {}, "c": {Hot: 90, Cold: 730}, "other": {Hot: 90, Cold: 730}} {
		if got := c.retention(event); got != want {
			t.Errorf("%s: %+v, want %+v", event, got, want)
		}
	}
	if !c.retains() {
		t.Error("nothing is retained")
	}
	if c, err := read("events:\n  a: {retention: {}}\n"); err != nil || c.retains() {
		t.Errorf("%v: %+v", err, c)
	}
	for text, want := range map[string]string{
		"retention: {hot_for: 90}":                                      "write 90d",
		"retention:\n  hot_for: 3m":                                     "write 90d",
		"retention:\n  hot_for: 0d":                                     "write 90d",
		"retention:\n  hot_fro: 3d":                                     "[2:3]",
		"events:\n  a:\n    retention:\n      warm_for: 9d":             "[4:7]",
		"retention: {cold_after: 9d}":                                   "without hot_for",
		"retention: {hot_for: 9d, cold_after: 8d}":                      "hot_for 9d is more than cold_after 8d",
		"retention: {hot_for: 9d, gone_after: 8d}":                      "gone_after 8d",
		"retention: {hot_for: 9d, cold_after: 10d, gone_after: 9d}":     "gone_after 9d",
		"retention: {hot_for: 9d, cold_after: 10d, cold_class: ICE}":    "GLACIER",
		"events:\n  a:\n    retention: {hot_for: 9d, gone_after: 8d}\n": "gone_after 8d",
	} {
		if _, err := read(text); !errors.Is(err, arbalest.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
