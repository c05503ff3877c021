package main

import (
	"strings"
	"testing"

	"arbalest"
	"arbalest/internal/archive"
)

// People are told what verify did not look at, and that the rest agrees.
func TestVerifyTellsWhatIsFrozen(t *testing.T) {
	r := archive.Report{Frozen: &archive.Frozen{Objects: 12, Events: 3400, Listed: []arbalest.Key{"user.created/2015-08-18/06/1.ndjson.zst"}}}
	v := verification{r}
	var out strings.Builder
	if err := v.print(&out, false); err != nil || v.err() != nil {
		t.Fatal(err, v.err())
	}
	want := `Not looked at: 12 objects with 3,400 events in a cold storage class, user.created/2015-08-18/06/1.ndjson.zst first. arbalest restore thaws them.
Store and warehouse agree in all that was looked at.
`
	if !strings.HasSuffix(out.String(), want) {
		t.Errorf("got %s", out.String())
	}
}
