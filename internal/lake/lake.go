// Package lake keeps events in an object store: segments in landing, which
// capture writes; partitions, where events live for good; and the log of
// numbered commits, which alone makes a change visible.
//
//	_landing/<writer>/<n>.ndjson.zst            a segment: accepted and rejected events of many names
//	_log/<seq>.plan.json                        what commit seq will do
//	_log/<seq>.json                             commit seq is done: the commit point
//	<event>/<yyyy-MM-dd>/<HH>/<seq>[-<part>].ndjson.zst   events of that hour
//	_rejected/<yyyy-MM-dd>/<HH>/<writer>-<n>.ndjson.zst   invalid events of that segment
//	_tables/<table>/<version>.json              definitions of tables that were not declared
//
// doc/format.md has the bytes, the commit point and the recovery of each
// operation. Any number of processes may use one lake at once.
package lake
