package web

import (
	"arbalest/internal/warehouse"
)

// A Program is what the pages are about: cmd/arbalest has one, over a place that
// is open, and tests have another. Its methods may be called at once. Each bounds
// what it reads, and says in its result where it did not read all. Errors wrap
// the sentinels of package arbalest.
type Program interface {
	FlowSource
	EventSource
	TableSource
	RejectSource
	ModelSource
	RunSource
	StoreSource
	VerifySource
	warehouse.Asker
}
