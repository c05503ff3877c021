// Package arbalest is the vocabulary of Arbalest: immutable events, the tables
// that they become, and the log that says which objects of the lake exist.
//
// The way of an event is capture → sort → load → ask. Capture makes it durable
// in a segment in landing; sort moves it to its partition,
// [event name]/[yyyy-MM-dd]/[HH]/ by event time in UTC, in a numbered commit;
// load puts it in its table, once; SQL asks. The store (a directory or a
// bucket) is the only source of truth; everything else is derived from it.
//
// This package holds types and their text forms, and imports only the standard
// library. The packages under internal/ do the work; cmd/arbalest joins them.
package arbalest
