package arbalest_test

import (
	"errors"
	"fmt"
	"testing"

	"arbalest"
)

// Each sentinel has an outcome of its own, however deep it is wrapped.
func TestOutcomes(t *testing.T) {
	exits := map[int]error{}
	for _, o := range arbalest.Outcomes {
		if got := arbalest.OutcomeOf(fmt.Errorf("do: %w: why", o.Err)); got != o {
			t.Errorf("%v: %+v; want %+v", o.Err, got, o)
		}
		if o.Exit < 1 || o.HTTP < 400 || len(o.SQLState) != 5 {
			t.Errorf("%+v", o)
		}
		if other := exits[o.Exit]; other != nil && o.Exit <= 9 && o.Exit != 3 {
			t.Errorf("%v and %v both exit with %d", other, o.Err, o.Exit)
		}
		exits[o.Exit] = o.Err
	}
	for want, err := range map[int]error{1: errors.New("ours"), 2: arbalest.ErrInvalid, 8: arbalest.ErrCorrupt, 10: arbalest.ErrUnavailable, 12: arbalest.ErrCold} {
		if got := arbalest.OutcomeOf(err); got.Exit != want {
			t.Errorf("%v exits with %d, want %d", err, got.Exit, want)
		}
	}
	if cold := arbalest.OutcomeOf(arbalest.ErrCold); cold.HTTP != 409 || cold.SQLState != "55000" || cold.Retry {
		t.Errorf("cold: %+v", cold)
	}
}
