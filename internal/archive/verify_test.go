package archive

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/zeebo/xxh3"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/lake"
	"arbalest/internal/load"
)

// A shelf is a warehouse in memory, with all that verifying asks of one.
type shelf struct {
	progress load.Progress
	rows     []load.Row
	errors   []string // ids of load errors
	books    []load.Book
}

func (s *shelf) Progress(context.Context) (load.Progress, error) { return s.progress, nil }

func (s *shelf) Rows(_ context.Context, _ string, from, to int64, visit func(load.Row) error) error {
	for _, r := range s.rows {
		if r.Time >= from && r.Time < to {
			if err := visit(r); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *shelf) Unloaded(_ context.Context, _ string, visit func(string, int64) error) error {
	for _, id := range s.errors {
		if err := visit(id, noon.UnixMicro()); err != nil {
			return err
		}
	}
	return nil
}

func (s *shelf) Books(_ context.Context, visit func(load.Book) error) error {
	for _, b := range s.books {
		if err := visit(b); err != nil {
			return err
		}
	}
	return nil
}

var noon = time.Date(2015, 8, 18, 12, 0, 0, 0, time.UTC)

func rowOf(id, properties string) load.Row {
	return load.Row{ID: id, Time: noon.UnixMicro(), Received: noon.Add(time.Hour).UnixMicro(), Hash: string(arbalest.AppendHash(nil, xxh3.HashString(properties)))}
}

// fill makes a lake of five events, one of them twice, and the shelf that goes
// with it: four rows and one load error.
func fill(t *testing.T) (blob.Store, *lake.Lake, *shelf) {
	t.Helper()
	ctx := context.Background()
	store := blob.NewMemory()
	l, err := lake.Open(store, lake.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var lines []byte
	s := &shelf{progress: load.Progress{Cursor: load.Cursor{Commit: 1}}, errors: []string{"4"}}
	for i := range 6 {
		id := fmt.Sprint(i % 5)
		lines = arbalest.AppendLine(lines, arbalest.Event{ID: id, Name: "a", Time: noon, Received: noon.Add(time.Hour), Hash: xxh3.HashString("{}"), Properties: []byte("{}")})
		if i < 4 {
			s.rows = append(s.rows, rowOf(id, "{}"))
		}
	}
	lines = lake.AppendRejected(lines, lake.Rejected{Code: "bad_time", Event: "a", Hour: arbalest.HourOf(noon), Received: noon, Body: []byte("{}")})
	if _, err := l.NewWriter().AppendLines(ctx, lines); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Sort(ctx); err != nil {
		t.Fatal(err)
	}
	s.books = []load.Book{{Event: "a", Hour: arbalest.HourOf(noon), Received: 7, Rejected: 1, Counts: load.Counts{Stored: 6, Loaded: 4, Repeats: 1, Errors: 1}}}
	return store, l, s
}

func verify(t *testing.T, l *lake.Lake, s *shelf, maxEvents int64) Report {
	t.Helper()
	r, err := Verify(context.Background(), l, s, Options{MaxEvents: maxEvents, Table: func(_ context.Context, e arbalest.EventName) (arbalest.Table, error) {
		return arbalest.Table{Name: e.Table(), Event: e}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestVerifyAgrees(t *testing.T) {
	for _, maxEvents := range []int64{0, 2} { // in one go, and in shares of the ids
		_, l, s := fill(t)
		r := verify(t, l, s, maxEvents)
		if r.Err() != nil || len(r.Tables) != 1 {
			t.Fatalf("%+v", r)
		}
		if got := r.Tables[0]; got.Stored != 6 || got.Distinct != 5 || got.Rows != 4 || got.Errors != 1 {
			t.Errorf("%+v", got)
		}
	}
}

func TestVerifyFinds(t *testing.T) {
	ctx := context.Background()
	for _, c := range []struct {
		kind   Kind
		damage func(blob.Store, *lake.Lake, *shelf)
	}{
		{Missing, func(_ blob.Store, _ *lake.Lake, s *shelf) { s.rows = s.rows[1:] }},
		{Missing, func(_ blob.Store, _ *lake.Lake, s *shelf) { s.errors = nil }},
		{Extra, func(_ blob.Store, _ *lake.Lake, s *shelf) { s.rows = append(s.rows, rowOf("9", "{}")) }},
		{Changed, func(_ blob.Store, _ *lake.Lake, s *shelf) { s.rows[0] = rowOf("0", `{"a":1}`) }},
		{Duplicate, func(_ blob.Store, _ *lake.Lake, s *shelf) { s.rows = append(s.rows, s.rows[2]) }},
		{Journal, func(_ blob.Store, _ *lake.Lake, s *shelf) { s.books[0].Stored = 7 }},
		{Books, func(_ blob.Store, _ *lake.Lake, s *shelf) { s.books[0].Loaded = 3 }},
		{Journal, func(_ blob.Store, _ *lake.Lake, s *shelf) { s.books = nil }},
		{MissingObject, func(store blob.Store, l *lake.Lake, _ *shelf) {
			c, _ := l.Commit(ctx, 1)
			store.Delete(ctx, c.Objects[0].Key)
		}},
		{CorruptObject, func(store blob.Store, l *lake.Lake, _ *shelf) {
			c, _ := l.Commit(ctx, 1)
			store.Put(ctx, c.Objects[0].Key, strings.NewReader("damaged"))
		}},
		{MissingRejected, func(store blob.Store, l *lake.Lake, _ *shelf) {
			c, _ := l.Commit(ctx, 1)
			store.Delete(ctx, c.RejectedKeys[0])
		}},
		{CorruptRejected, func(store blob.Store, l *lake.Lake, _ *shelf) {
			c, _ := l.Commit(ctx, 1)
			store.Put(ctx, c.RejectedKeys[0], strings.NewReader(""))
		}},
		{Behind, func(_ blob.Store, _ *lake.Lake, s *shelf) { s.progress.Commit = 2 }},
	} {
		for _, maxEvents := range []int64{0, 2} {
			store, l, s := fill(t)
			c.damage(store, l, s)
			r := verify(t, l, s, maxEvents)
			found := false
			for _, f := range r.Findings {
				found = found || f.Kind == c.kind
			}
			if !found || !errors.Is(r.Err(), arbalest.ErrDiffers) {
				t.Errorf("%s was not found: %+v", c.kind, r.Findings)
			}
		}
	}
}

// erasedAtNoon is a lake that has lines, in one commit, of which the next erases those of
// noon's day.
func erasedAtNoon(t *testing.T, lines []byte) *lake.Lake {
	t.Helper()
	l, err := lake.Open(blob.NewMemory(), lake.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.NewWriter().AppendLines(t.Context(), lines); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Sort(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Erase(t.Context(), lake.Erasure{Whole: []arbalest.EventDay{{Event: "a", Day: arbalest.HourOf(noon)}}}); err != nil {
		t.Fatal(err)
	}
	return l
}

// TestVerifyRepeatsOfErased erases the whole day of an event that another, whose time is
// that of its receipt, was left out for: it may be in the table or not, and another must
// be.
func TestVerifyRepeatsOfErased(t *testing.T) {
	for _, there := range []bool{false, true} {
		var lines []byte
		late := noon.Add(20 * time.Hour)
		for _, e := range []arbalest.Event{{ID: "x", Time: noon, Received: noon.Add(time.Hour)}, {ID: "x", Time: late, Received: late}, {ID: "y", Time: late, Received: late.Add(time.Hour)}} {
			e.Name, e.Hash, e.Properties = "a", xxh3.HashString("{}"), []byte("{}")
			lines = arbalest.AppendLine(lines, e)
		}
		l := erasedAtNoon(t, lines)
		x, y := rowOf("x", "{}"), rowOf("y", "{}")
		x.Time, x.Received, y.Time, y.Received = late.UnixMicro(), late.UnixMicro(), late.UnixMicro(), late.Add(time.Hour).UnixMicro()
		s := &shelf{progress: load.Progress{Cursor: load.Cursor{Commit: 2}}, rows: []load.Row{y}}
		s.books = []load.Book{{Event: "a", Hour: arbalest.HourOf(noon), Counts: load.Counts{Stored: 1, Erased: 1}}, {Event: "a", Hour: arbalest.HourOf(late), Counts: load.Counts{Stored: 2, Loaded: 1, Repeats: 1}}}
		if there {
			s.rows, s.books[1].Loaded, s.books[1].Repeats = append(s.rows, x), 2, 0
		}
		if r := verify(t, l, s, 0); r.Err() != nil {
			t.Errorf("x there %t: %v: %+v", there, r.Err(), r.Findings)
		}
		s.rows, s.books[1].Loaded, s.books[1].Repeats = s.rows[1:], s.books[1].Loaded-1, s.books[1].Repeats+1
		if r := verify(t, l, s, 0); r.Found[Missing] == 0 {
			t.Errorf("x there %t, and y missing: %+v", there, r.Findings)
		}
	}
}

// TestVerifyErasedElsewhere erases the whole day of one of two events with the same id:
// before the warehouse comes to that its row is no difference, and none other hides.
func TestVerifyErasedElsewhere(t *testing.T) {
	var lines []byte
	s := &shelf{progress: load.Progress{Cursor: load.Cursor{Commit: 1}}}
	for _, at := range []time.Time{noon, noon.Add(48 * time.Hour)} {
		e := arbalest.Event{ID: "x", Name: "a", Time: at, Received: at.Add(time.Hour), Hash: xxh3.HashString("{}"), Properties: []byte("{}")}
		lines = arbalest.AppendLine(lines, e)
		r := rowOf("x", "{}")
		r.Time, r.Received = at.UnixMicro(), e.Received.UnixMicro()
		s.rows = append(s.rows, r)
		s.books = append(s.books, load.Book{Event: "a", Hour: arbalest.HourOf(at), Counts: load.Counts{Stored: 1, Loaded: 1}})
	}
	l := erasedAtNoon(t, lines)
	if r := verify(t, l, s, 0); r.Err() != nil {
		t.Errorf("%v: %+v", r.Err(), r.Findings)
	}
	s.rows[1].Hash = "00000000000000ff"
	if r := verify(t, l, s, 0); r.Found[Changed] != 1 {
		t.Errorf("a changed row: %+v", r.Findings)
	}
}

// TestVerifyErased verifies before a warehouse comes to an erasure and after, of the
// objects of commits and of compactions.
func TestVerifyErased(t *testing.T) {
	ctx := context.Background()
	for _, whole := range []bool{false, true} {
		store, l, s := fill(t)
		day := []arbalest.EventDay{{Event: "a", Day: arbalest.HourOf(noon)}}
		e := lake.Erasure{IDs: map[arbalest.EventName][]string{"a": {"0", "2"}}, Days: day}
		if whole {
			e = lake.Erasure{Whole: day}
		}
		if _, err := l.Erase(ctx, e); err != nil {
			t.Fatal(err)
		}
		for _, maxEvents := range []int64{0, 2} {
			if r := verify(t, l, s, maxEvents); r.Err() != nil {
				t.Errorf("not loaded: %v", r.Err())
			}
		}
		s.progress.Commit = 2
		if r := verify(t, l, s, 0); r.Found[Extra] == 0 {
			t.Errorf("rows that should have gone: %+v", r.Findings)
		}
		s.rows = []load.Row{rowOf("1", "{}"), rowOf("3", "{}")}
		s.books[0].Loaded, s.books[0].Repeats, s.books[0].Erased = 2, 0, 3
		if whole {
			s.rows, s.errors = nil, nil
			s.books[0].Loaded, s.books[0].Errors, s.books[0].Erased = 0, 0, 6
		}
		r := verify(t, l, s, 0)
		if r.Err() != nil || r.Tables[0].Erased != s.books[0].Erased || r.Tables[0].Distinct != 6-r.Tables[0].Erased {
			t.Errorf("loaded: %v: %+v", r.Err(), r.Tables[0])
		}
		// What is left over, and what is missing.
		c, _ := l.Commit(ctx, 1)
		if err := store.Put(ctx, c.Objects[0].Key, strings.NewReader("{}\n")); err != nil {
			t.Fatal(err)
		}
		if _, err := l.NewWriter().AppendLines(ctx, lake.AppendRejected(nil, lake.Rejected{Code: "x", Hour: arbalest.HourOf(noon), Received: noon})); err != nil {
			t.Fatal(err)
		}
		fresh, err := lake.Open(store, lake.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Sort(ctx); err != nil {
			t.Fatal(err)
		}
		for info, err := range store.List(ctx, "_erased/", "") {
			if err != nil {
				t.Fatal(err)
			}
			store.Delete(ctx, info.Key)
		}
		if r := verify(t, fresh, s, 0); r.Found[Leftover] != 1 || r.Found[Record] != 1 {
			t.Errorf("%+v", r.Findings)
		}
	}
}

// TestVerifyCorrected sends an event that does not fit its table, then others of its
// id, time and hour: of those the first that fits is in the table.
func TestVerifyCorrected(t *testing.T) {
	ctx := context.Background()
	l, err := lake.Open(blob.NewMemory(), lake.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var lines []byte
	for _, properties := range []string{`{"n":"x"}`, `{"n":"x"}`, `{"n":1}`, `{"n":1}`, `{"n":2}`} {
		lines = arbalest.AppendLine(lines, arbalest.Event{ID: "1", Name: "a", Time: noon, Received: noon.Add(time.Hour), Hash: xxh3.HashString(properties), Properties: []byte(properties)})
	}
	if _, err := l.NewWriter().AppendLines(ctx, lines); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Sort(ctx); err != nil {
		t.Fatal(err)
	}
	s := &shelf{
		progress: load.Progress{Cursor: load.Cursor{Commit: 1}}, errors: []string{"1", "1"}, rows: []load.Row{rowOf("1", `{"n":1}`)},
		books: []load.Book{{Event: "a", Hour: arbalest.HourOf(noon), Received: 5, Counts: load.Counts{Stored: 5, Loaded: 1, Repeats: 2, Errors: 2}}},
	}
	r := verify(t, l, s, 0)
	if r.Err() != nil {
		t.Fatal(r.Err())
	}
	if got := r.Tables[0]; got.Distinct != 2 || got.Errors != 1 || got.Rows != 1 || got.IDs != got.RowIDs {
		t.Errorf("%+v", got)
	}
	s.rows = append(s.rows, rowOf("1", `{"n":2}`))
	if r = verify(t, l, s, 0); r.Found[Duplicate] != 1 {
		t.Errorf("a row that repeats another: %+v", r.Findings)
	}
}
