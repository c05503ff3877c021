//go:build race

package duckdb

const raceEnabled = true
