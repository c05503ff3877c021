package lake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/blob/blobtest"
)

// rejectedAt is the line of an event that came at a time and was rejected.
func rejectedAt(code string, at time.Time) []byte {
	return AppendRejected(nil, Rejected{Code: code, Reason: "r", Event: "a", ID: code, Hour: arbalest.HourOf(at), Received: at, Body: []byte(`{"event":"a"}`)})
}

// kept gathers a walk: the codes, with "+" where they are in landing and "*"
// where they were replayed.
func kept(t *testing.T, l *Lake, span Span) (codes []string, refs []Ref) {
	t.Helper()
	for k, err := range l.Rejections(t.Context(), span) {
		if err != nil {
			t.Fatal(err)
		}
		code := k.Code
		if k.Err != nil {
			code = "damaged"
		}
		if k.Landing {
			code += "+"
		}
		if !k.Again.IsZero() {
			code += "*"
		}
		codes, refs = append(codes, code), append(refs, k.Ref)
		got, err := l.Kept(t.Context(), k.Ref)
		if k.Err == nil && (err != nil || got.Code != k.Code || got.Landing != k.Landing || !got.Again.Equal(k.Again)) {
			t.Errorf("%s: %+v, %v", k.Ref, got, err)
		}
	}
	return codes, refs
}

func TestRejections(t *testing.T) {
	stores(t, func(t *testing.T, store blob.Store) {
		l := openTest(t, store, Options{})
		w := l.NewWriter()
		var refs []Ref
		put := func(codes string, at time.Time) {
			var lines []byte
			for i, c := range strings.Fields(codes) {
				lines = append(append(lines, rejectedAt(c, at.Add(time.Duration(i)*time.Minute))...), lineOf("a", c, noon)...)
			}
			if _, err := w.AppendLines(t.Context(), lines); err != nil {
				t.Fatal(err)
			}
		}
		if codes, _ := kept(t, l, Span{Newest: true}); len(codes) != 0 {
			t.Errorf("of nothing: %v", codes)
		}
		put("y1 y2", noon.AddDate(-3, 0, 0))
		put("n1 n2 n3", noon.Add(58*time.Minute)) // the third is in the next hour
		put("f1", time.Now().AddDate(1, 0, 0))    // a clock that goes ahead
		drain(t, l)
		put("n4", noon)
		drain(t, l)
		put("l1", noon.Add(time.Minute))
		for _, c := range []struct {
			span Span
			want string
		}{
			{Span{}, "l1+ y1 y2 n1 n2 n4 n3 f1"},
			{Span{Newest: true}, "l1+ f1 n3 n4 n2 n1 y2 y1"},
			{Span{From: noon}, "l1+ n1 n2 n4 n3 f1"},
			{Span{From: noon.Add(59 * time.Minute), To: noon.Add(61 * time.Minute), Newest: true}, "n3 n2"},
			{Span{To: noon.Add(time.Millisecond)}, "y1 y2 n4"},
			{Span{From: noon.AddDate(2, 0, 0), To: noon.AddDate(3, 0, 0), Newest: true}, ""},
			{Span{To: noon.AddDate(-9, 0, 0), Newest: true}, ""},
		} {
			codes, got := kept(t, l, c.span)
			if strings.Join(codes, " ") != c.want {
				t.Errorf("%+v: %v, want %s", c.span, codes, c.want)
			}
			if c.span == (Span{}) {
				refs = got
			}
		}
		// A place stays when it is sorted.
		drain(t, l)
		if codes, after := kept(t, l, Span{From: noon, To: noon.Add(time.Hour)}); !slices.Contains(after, refs[0]) {
			t.Errorf("%v is not among %v %v", refs[0], codes, after)
		}
		for _, r := range refs {
			if back, err := ParseRef(r.String()); err != nil || back != r {
				t.Errorf("%s: %v %v", r, back, err)
			}
		}
		// Marks hide nothing else.
		for _, some := range [][]Ref{{refs[3], refs[4]}, {refs[3]}} {
			m := Replay{Hour: refs[3].Hour, Time: noon, By: "test"}
			for _, r := range some {
				m.Add(r)
			}
			if err := l.Mark(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		if codes, _ := kept(t, l, Span{}); strings.Join(codes, " ") != "y1 y2 n1* n2* n4 l1 n3 f1" {
			t.Errorf("marked: %v", codes)
		}
		for _, missing := range []Ref{{Hour: refs[0].Hour, Writer: "none", N: 1, Line: 1}, {Hour: refs[3].Hour, Writer: refs[3].Writer, N: refs[3].N, Line: 3}} {
			if _, err := l.Kept(t.Context(), missing); !errors.Is(err, arbalest.ErrUnknown) {
				t.Errorf("%s: %v", missing, err)
			}
		}
	})
}

// What cannot be read stops nothing, and is named.
func TestRejectionsThatAreDamaged(t *testing.T) {
	store := blob.NewMemory()
	l := openTest(t, store, Options{})
	w := l.NewWriter()
	for i := range 3 {
		if _, err := w.AppendLines(t.Context(), rejectedAt(fmt.Sprint("c", i), noon)); err != nil {
			t.Fatal(err)
		}
	}
	drain(t, l)
	key := Ref{Hour: arbalest.HourOf(noon), Writer: w.id, N: 2}.key()
	r, err := store.Get(t.Context(), key, 0, blob.Whole)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(r)
	if err := store.Put(t.Context(), key, strings.NewReader(string(b[:len(b)-3]))); err != nil {
		t.Fatal(err)
	}
	if codes, _ := kept(t, l, Span{}); strings.Join(codes, " ") != "c0 damaged c2" {
		t.Errorf("a damaged object: %v", codes)
	}
	if err := store.Create(t.Context(), "_landing/01JD3W4X2N8Q7R5T6V9Y0Z1A2B/000000000001.ndjson.s2", strings.NewReader("junk")); err != nil {
		t.Fatal(err)
	}
	if codes, _ := kept(t, l, Span{}); strings.Join(codes, " ") != "corrupt_segment+ c0 damaged c2" {
		t.Errorf("and a damaged segment: %v", codes)
	}
	if _, rejected, err := l.Unsorted(t.Context()); err != nil || len(rejected) != 1 {
		t.Errorf("unsorted: %v %v", rejected, err)
	}
	drain(t, l)
	if codes, _ := kept(t, l, Span{Newest: true}); strings.Join(codes, " ") != "corrupt_segment c2 damaged c0" {
		t.Errorf("sorted: %v", codes)
	}
	for _, mark := range []string{`{`, `{"format":2}`} {
		if err := store.Put(t.Context(), replayedKey(arbalest.HourOf(noon), "x"), strings.NewReader(mark)); err != nil {
			t.Fatal(err)
		}
		for _, err := range l.Rejections(t.Context(), Span{}) {
			if err != nil && !errors.Is(err, arbalest.ErrCorrupt) && !errors.Is(err, arbalest.ErrNewer) {
				t.Errorf("the mark %s: %v", mark, err)
			}
		}
	}
}

// The newest of years of rejections cost a few requests.
func TestInvariant4TheNewestRejections(t *testing.T) {
	memory := blob.NewMemory()
	for day := range 1000 {
		for _, hour := range []int{3, 15} {
			at := noon.AddDate(0, 0, day).Add(time.Duration(hour) * time.Hour)
			if err := memory.Put(t.Context(), Ref{Hour: arbalest.HourOf(at), Writer: "w", N: 1}.key(), strings.NewReader("")); err != nil {
				t.Fatal(err)
			}
		}
	}
	steps := blobtest.StopAfter(memory, blobtest.Stop{Steps: -1, Reads: true})
	l := openTest(t, steps, Options{})
	var hours []arbalest.Hour
	for h, err := range l.rejectedHours(context.Background(), firstHour, endOfTime, true) {
		if err != nil {
			t.Fatal(err)
		}
		if hours = append(hours, h); len(hours) == 3 {
			break
		}
	}
	last := arbalest.HourOf(noon.AddDate(0, 0, 999))
	if want := []arbalest.Hour{last + 15, last + 3, last - 9}; !slices.Equal(hours, want) {
		t.Errorf("%v, want %v", hours, want)
	}
	if n := steps.Done(); n > 80 {
		t.Errorf("%d requests", n)
	}
}

func FuzzParseRef(f *testing.F) {
	f.Add("2026-11-22/20/01JD3W4X2N8Q7R5T6V9Y0Z1A2B-000017#3")
	f.Add("2026-11-22/20/-#1")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRef(s)
		if err != nil {
			if !errors.Is(err, arbalest.ErrInvalid) {
				t.Error(err)
			}
			return
		}
		if back, err := ParseRef(r.String()); err != nil || back != r {
			t.Errorf("%q: %v %v %v", s, r, back, err)
		}
		if err := blob.ValidKey(r.key()); err == nil {
			if back, ok := refOf(r.key()); !ok || back.key() != r.key() {
				t.Errorf("%q: %v", s, back)
			}
		}
	})
}
