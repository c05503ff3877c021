package pipeline

import (
	"errors"
	"strings"
	"testing"

	"arbalest"
	"arbalest/internal/blob"
)

func TestSortedSources(t *testing.T) {
	store := blob.NewMemory()
	for _, key := range []string{
		"n/1/a", "n/2/a", "n/2/b/c", "n/10/a", "n/x/a", "n/3",
		"d/2014-11-09/a", "d/2014-11-10/00/a", "d/2014-11-10/05/a", "d/2014-11-10/23/a", "d/2014-11-11/a", "d/2014-11-12/07/a", "d/2014-11-12/7/a", "d/other/a", "d/2014-11-32/a", "dd/2014-11-10/a",
	} {
		if err := store.Put(t.Context(), arbalest.Key(key), strings.NewReader("{}")); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name, source string
		sources      SortedSources
		want         string
	}{
		{"integers", "n", Integers(), "1 2 10"},
		{"from", "n", Integers().From("2"), "2 10"},
		{"to", "n", Integers().To("2"), "1 2"},
		{"days", "d", Days(), "2014-11-09 2014-11-10 2014-11-11 2014-11-12"},
		{"empty bounds", "d", Days().From("").To(""), "2014-11-09 2014-11-10 2014-11-11 2014-11-12"},
		{"from an hour to a day without hours", "d", Days().From("2014-11-10/23").To("2014-11-11"), "2014-11-10/23 2014-11-11"},
		{"days of a range", "d", Days().From("2014-11-10").To("2014-11-11"), "2014-11-10 2014-11-11"},
		{"a bound that is not there", "d", Days().From("2014-11-01").To("2014-11-30"), "2014-11-09 2014-11-10 2014-11-11 2014-11-12"},
		{"from an hour", "d", Days().From("2014-11-10/05"), "2014-11-10/05 2014-11-10/23 2014-11-11 2014-11-12/07"},
		{"to an hour", "d", Days().To("2014-11-10/05"), "2014-11-09 2014-11-10/00 2014-11-10/05"},
		{"hours", "d", Hours().From("2014-11-10").To("2014-11-11"), "2014-11-10/00 2014-11-10/05 2014-11-10/23 2014-11-11"},
		{"one hour", "d", Hours().From("2014-11-10/05").To("2014-11-10/05"), "2014-11-10/05"},
		{"none", "d", Days().From("2015-01-01"), ""},
		{"no such source", "e", Days(), ""},
	} {
		got, err := test.sources.list(t.Context(), store, test.source)
		if err != nil || strings.Join(got, " ") != test.want {
			t.Errorf("%s: %q, %v, want %q", test.name, got, err, test.want)
		}
	}
	for _, bad := range []SortedSources{Integers().From("-1"), Integers().To("x"), Days().From("2014-11-10/24"), Hours().From("2014-1-1"), Days().From("2014-11-10/05").To("2014-11-10/04")} {
		if err := bad.check(); !errors.Is(err, arbalest.ErrInvalid) {
			t.Errorf("%+v: %v, want ErrInvalid", bad, err)
		}
	}
}
