package capture

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"arbalest"
	"arbalest/internal/lake"
)

// keptOf gives what was rejected their places, as a lake would.
func keptOf(rejected []lake.Rejected, segment uint64) (all []lake.Kept) {
	for i, r := range rejected {
		ref := lake.Ref{Hour: arbalest.HourOf(r.Received), Writer: "01JD3W4X2N8Q7R5T6V9Y0Z1A2B", N: segment, Line: i + 1}
		all = append(all, lake.Kept{Ref: ref, Rejected: r})
	}
	return all
}

// rejectedBy posts a body and returns what is kept of it.
func rejectedBy(t testing.TB, o Options, body string, headers ...string) []lake.Kept {
	t.Helper()
	s := &segments{}
	o.Appender = s
	send(t, newHandler(t, o), body, headers...)
	_, rejected := parted(t, s.stored())
	return keptOf(rejected, 1)
}

// replay replays until nothing is accepted any more, and returns all events and
// what is left at the end, as it was kept last.
func replay(t testing.TB, o Options, kept []lake.Kept) (events []arbalest.Line, left []lake.Kept) {
	t.Helper()
	for round := uint64(2); len(kept) > 0; round++ {
		s := &segments{}
		o.Appender = s
		h := newHandler(t, o)
		var accepted, again int
		for len(kept) > 0 {
			done, receipt, err := h.Replay(t.Context(), kept, false)
			if err != nil || len(done) == 0 {
				t.Fatalf("%d done, %v", len(done), err)
			}
			before := accepted
			for i, r := range done {
				if (r.Accepted == 0) != (r.Left != nil) || r.Left != nil && (r.Left.Reason == "" || r.Rejected > 0) {
					t.Errorf("%s: %+v", kept[i].Ref, r)
				}
				if r.Left != nil {
					left = append(left, kept[i])
				}
				accepted += r.Accepted
				again += r.Rejected
			}
			if (receipt != "") != (accepted > before) {
				t.Errorf("receipt %q of %d events", receipt, accepted-before)
			}
			kept = kept[len(done):]
		}
		lines, rejected := parted(t, s.stored())
		if len(lines) != accepted || len(rejected) != again {
			t.Errorf("%d events and %d rejected are stored, said were %d and %d", len(lines), len(rejected), accepted, again)
		}
		events, kept = append(events, lines...), keptOf(rejected, round)
	}
	return events, left
}

func ids(events []arbalest.Line) string {
	var all []string
	for _, e := range events {
		all = append(all, e.UnquoteID())
	}
	return strings.Join(all, " ")
}

func TestReplay(t *testing.T) {
	const good = `{"event":"a","id":"g"}`
	large := `{"event":"a","id":"l","data":{"x":"` + repeat(2000, "x") + `"}}`
	small := Options{MaxEvent: 1900, MaxRejected: 20, MaxBody: 8000}
	for _, c := range []struct {
		name    string
		body    string
		headers []string
		want    string // ids
		left    int
	}{
		{"an event that is too large no more", large, nil, "l", 0},
		{"one among others", good + "\n" + large + "\nhello\n" + large, nil, "l l", 1},
		{"bad name", `{"event":"_x","id":"i"}`, nil, "", 1},
		{"bad time", `{"event":"a","timestamp":"soon"}`, nil, "", 1},
		{"a rest of lines", repeat(25, "x\n") + good + "\n" + good, nil, "g g", 25},
		{"a rest of an array", "[" + repeat(25, "1,") + good + "," + good + "]", nil, "g g", 25},
		{"an array that breaks", "[" + good + `,{"event":tru},` + good + `,{"event":"b","x":["]"]},` + good + "]", nil, "g g", 2},
		{"one that breaks without an end", "[" + good + `,{"event":"un"closed"},` + good + "]", nil, "", 1},
		{"an array without commas", "[" + good + good + good + "]", nil, "g g", 0},
		{"an array that does not end", "[" + good, nil, "", 1},
		{"an array and more", "[" + good + "]" + "[" + good + "," + good + "]", nil, "g g", 0},
		{"a body that was too large, encoded", gzipped(repeat(500, good+"\n")), []string{"Content-Encoding", "gzip"}, strings.TrimSpace(repeat(500, "g ")), 0},
		{"the same in zstd", zstded(repeat(500, good+"\n")), []string{"Content-Encoding", "zstd"}, strings.TrimSpace(repeat(500, "g ")), 0},
		{"a body that was cut", repeat(500, good+"\n"), nil, "", 1},
		{"the wrong encoding", "[" + good + "," + good + ",{}]", []string{"Content-Encoding", "gzip"}, "g g", 1},
		{"a broken encoding", gzipped(repeat(100, good))[:30], []string{"Content-Encoding", "gzip"}, "", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			kept := rejectedBy(t, small, c.body, c.headers...)
			if len(kept) == 0 {
				t.Fatal("nothing was rejected")
			}
			events, left := replay(t, Options{}, kept)
			if ids(events) != c.want || len(left) != c.left {
				t.Errorf("events %q, want %q; left %d, want %d", ids(events), c.want, len(left), c.left)
			}
			// Under the rules of then nothing is accepted that was not split.
			for _, k := range kept {
				if strings.HasPrefix(string(k.Body), "{") && len(kept) == 1 && c.left == 1 {
					if events, _ := replay(t, small, kept); len(events) > 0 {
						t.Errorf("%s is accepted as it was", k.Body)
					}
				}
			}
		})
	}
}

// An event keeps its id and its time, and when it came; what it had not is the
// same each time.
func TestInvariant2ReplayedTwice(t *testing.T) {
	x := `"x":"` + repeat(100, "x") + `"`
	bodies := []string{
		`{"event":"a","data":{` + x + `}}`,
		`{"event":"a","id":"i","data":{` + x + `}}`,
		`{"event":"a","id":"i","timestamp":"2015-08-18T06:36:40Z","data":{` + x + `}}`,
		`{"event":"a","timestamp":"2015-08-18T06:36:40Z","data":{` + x + `}}`,
		`{"event":"a","data":{"timestamp":"2015-08-18T06:36:40Z",` + x + `}}`,
		`{"event":"a","id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","data":{` + x + `}}`,
		`{"event":"a","timestamp":"2026-11-25T06:36:40Z","data":{` + x + `}}`,
	}
	late := func() time.Time { return noon.AddDate(0, 0, 3) }
	whole := rejectedBy(t, Options{MaxBody: 500}, gzipped(strings.Join(bodies, "\n")), "Content-Encoding", "gzip")
	each := rejectedBy(t, Options{MaxEvent: 100}, strings.Join(bodies, "\n"))
	if len(whole) != 1 || len(each) != len(bodies) {
		t.Fatalf("%d and %d were rejected", len(whole), len(each))
	}
	times := []string{"2026-11-22T12", "2026-11-22T12", "2015-08-18T06", "2015-08-18T06", "2015-08-18T06", "2016-07-30T23", "2026-11-25T06"}
	for _, kept := range [][]lake.Kept{whole, each} {
		var first []string
		for range 2 {
			events, left := replay(t, Options{Now: late}, kept)
			if len(events) != len(bodies) || len(left) > 0 {
				t.Fatalf("%d events, %d left", len(events), len(left))
			}
			var all []string
			for i, e := range events {
				all = append(all, e.UnquoteID())
				if at := time.UnixMicro(e.Time).UTC().Format("2006-01-02T15"); at != times[i] {
					t.Errorf("event %d is at %s, want %s", i, at, times[i])
				}
				if e.Received != noon.Truncate(time.Millisecond).UnixMicro() {
					t.Errorf("event %d was received at %v", i, time.UnixMicro(e.Received))
				}
			}
			if first = append(first, all...); !slices.Equal(first[:len(all)], all) || all[0] == all[3] || all[1] != "i" {
				t.Errorf("ids %v, then %v", first[:len(all)], all)
			}
		}
	}
	// Those that become valid one after another have the ids that they would have
	// had together.
	together, _ := replay(t, Options{Now: late}, whole)
	s := &segments{}
	limit := 130 // of the first four only the first fits
	if _, _, err := newHandler(t, Options{Appender: s, MaxEvent: limit}).Replay(t.Context(), whole, false); err != nil {
		t.Fatal(err)
	}
	some, rejected := parted(t, s.stored())
	if len(some) == 0 || len(rejected) == 0 {
		t.Fatalf("%d accepted, %d rejected", len(some), len(rejected))
	}
	rest, _ := replay(t, Options{Now: late}, keptOf(rejected, 7))
	a, b := strings.Fields(ids(together)), strings.Fields(ids(append(some, rest...)))
	slices.Sort(a)
	slices.Sort(b)
	if !slices.Equal(a, b) {
		t.Errorf("together %v, in turn %v", a, b)
	}
	for _, r := range rejected {
		if !strings.HasPrefix(r.Origin, whole[0].Ref.String()+"@") || !r.Received.Equal(whole[0].Received) {
			t.Errorf("origin %q, received %v", r.Origin, r.Received)
		}
	}
}

func TestReplayDry(t *testing.T) {
	large := `{"event":"a","id":"l","data":{"x":"` + repeat(2000, "x") + `"}}`
	kept := rejectedBy(t, Options{MaxEvent: 1000}, large+"\n{}")
	s := &segments{}
	done, receipt, err := newHandler(t, Options{Appender: s}).Replay(t.Context(), kept, true)
	if err != nil || receipt != "" || s.count() != 0 || len(done) != 2 || done[0].Accepted != 1 || done[1].Left.Code != BadName {
		t.Errorf("%+v %q %d %v", done, receipt, s.count(), err)
	}
}

// What is not ours to read is left, and so is what was not kept whole.
func TestReplayLeaves(t *testing.T) {
	at := noon.Truncate(time.Millisecond)
	kept := keptOf([]lake.Rejected{
		{Code: string(BadForm), Form: "cloudevents", Received: at, Body: []byte(`{"event":"a"}`)},
		{Code: lake.CorruptSegment, Received: at, Body: []byte(`{"event":"a"}`)},
		{Code: string(BodyTooLarge), Received: at, Truncated: true, Body: []byte(`{"event":"a"}`)},
		{Code: string(BadTime), Received: at, Attributes: json.RawMessage(`{"source":"/x"}`), Body: []byte(`{"event":"a","id":"c"}`)},
	}, 1)
	events, left := replay(t, Options{}, kept)
	if len(left) != 3 || len(events) != 1 || string(events[0].Attributes) != `{"source":"/x"}` {
		t.Errorf("%d left, %d events", len(left), len(events))
	}
}

// What does not fit the memory together is taken in turn.
func TestInvariant8ReplayIsBounded(t *testing.T) {
	var rejected []lake.Rejected
	for i := range 40 {
		body := fmt.Sprintf(`{"event":"a","id":"%d","data":{"x":"%s"}}`, i, repeat(100_000, "x"))
		rejected = append(rejected, lake.Rejected{Code: string(EventTooLarge), Received: noon.Truncate(time.Millisecond), Body: []byte(body)})
	}
	s := &segments{}
	h := newHandler(t, Options{Appender: s, MaxBody: 256 << 10, MaxBytesInFlight: 2 << 20})
	kept := keptOf(rejected, 1)
	for len(kept) > 0 {
		done, _, err := h.Replay(t.Context(), kept, false)
		if err != nil || len(done) == 0 || len(done) == 40 {
			t.Fatalf("%d done, %v", len(done), err)
		}
		if used := h.budget.used.Load(); used != 0 {
			t.Errorf("%d bytes are still held", used)
		}
		kept = kept[len(done):]
	}
	if events, _ := parted(t, s.stored()); len(events) != 40 {
		t.Errorf("%d events", len(events))
	}
	huge := keptOf([]lake.Rejected{{Code: string(EventTooLarge), Received: noon, Body: []byte(repeat(3<<20, "x"))}}, 1)
	if _, left := replay(t, Options{MaxBody: 256 << 10, MaxBytesInFlight: 2 << 20}, huge); len(left) != 1 {
		t.Error("what never fits is not left")
	}
	s.fail(arbalest.ErrUnavailable)
	if _, _, err := h.Replay(t.Context(), keptOf(rejected[:1], 1), false); err == nil {
		t.Error("an append that failed is no error")
	}
}

// FuzzReplay replays what is kept of any body: it ends, and what it says is what
// is stored.
func FuzzReplay(f *testing.F) {
	for _, body := range []string{
		"hello\n{}", `[{"event":"a"},{"event":tru},{"event":"b"}]`, `{"event":"a"},{"event":"a","x":[}],{"event":"b"}`,
		"[[{\"event\":\"a\"}]]", "\xef\xbb\xbf{\"event\":\"a\"} x", gzipped(`{"event":"a"}`), "\x28\xb5\x2f\xfd", `{"a":"]},{"},{"event":"a","data":{"x":1}} {"event":"b"}]`,
	} {
		f.Add(body, uint8(20))
	}
	f.Fuzz(func(t *testing.T, body string, limit uint8) {
		kept := rejectedBy(t, Options{MaxEvent: int(limit) + 1, MaxRejected: 3}, body)
		whole := keptOf([]lake.Rejected{{Code: string(BodyTooLarge), Received: noon, Body: []byte(body)}}, 9)
		for _, k := range [][]lake.Kept{kept, whole} {
			if len(k) == 0 {
				continue
			}
			first, _ := replay(t, Options{}, k)
			second, _ := replay(t, Options{}, k)
			if a, b := ids(first), ids(second); a != b {
				t.Errorf("%q: ids %q, then %q", body, a, b)
			}
		}
	})
}
