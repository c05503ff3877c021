package lake

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"

	"arbalest"
)

// Events that are durable are not unknown, wherever they are: in the draft of a
// process that lives, of one that died and has not been recovered, in landing, or
// in a commit.
func TestTrackFindsDraftsOfOthers(t *testing.T) {
	at, copied := t.TempDir(), t.TempDir()
	theirs := openTest(t, openStore(t, at), Options{})
	g := theirs.NewGatherer()
	receipt, err := g.AppendLines(t.Context(), lineOf("a", "1", noon))
	if err != nil {
		t.Fatal(err)
	}
	copyLake(t, at, copied) // without the lock
	for name, l := range map[string]*Lake{
		"alive": openTest(t, openStore(t, at), Options{}),
		"dead":  openTest(t, openStore(t, copied), Options{}),
	} {
		if p, err := l.Track(t.Context(), receipt); err != nil || p.Commit != 0 {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
		if name == "alive" {
			if err := g.Publish(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		drain(t, l)
		if p, err := l.Track(t.Context(), receipt); err != nil || p.Commit != 1 {
			t.Errorf("%s, sorted: %+v, %v", name, p, err)
		}
		if p, err := l.Track(t.Context(), receipt[:len(receipt)-1]+"9"); !errors.Is(err, arbalest.ErrUnknown) {
			t.Errorf("%s, another: %+v, %v", name, p, err)
		}
	}
}

// A receipt that a build gave whose segments were zstd is still good.
func TestTrackFindsOldSegments(t *testing.T) {
	at := t.TempDir()
	copyLake(t, filepath.Join("testdata", "v1-zstd"), at)
	l := openTest(t, openStore(t, at), Options{})
	const writer, gatherer = "01M87Y2866RV0F63ZW3KAX4ZJ7", "01M87Y287EHCNK62Y3W33YPA7G"
	receipts := []arbalest.Receipt{writer + "-000001", writer + "-000002", writer + "-000003", gatherer + "-000001"}
	for i, r := range receipts {
		if p, err := l.Track(t.Context(), r); err != nil || (p.Commit == 1) != (i == 0) {
			t.Errorf("%s: %+v, %v", r, p, err)
		}
	}
	drain(t, l)
	for _, r := range receipts {
		if p, err := l.Track(t.Context(), r); err != nil || p.Commit == 0 {
			t.Errorf("%s, sorted: %+v, %v", r, p, err)
		}
	}
}

// A segment that is made again, by a process that lagged or died between
// publishing and clearing its slot, is noticed some commits later too: its
// rejected events count once.
func TestInvariant7ASegmentThatComesTwice(t *testing.T) {
	store := openStore(t, t.TempDir())
	l := openTest(t, store, Options{})
	w := l.NewWriter()
	lines := AppendRejected(lineOf("a", "1", noon), Rejected{Code: "c", Reason: "r", Hour: arbalest.HourOf(noon), Received: noon, Body: []byte("{")})
	if _, err := w.AppendLines(t.Context(), lines); err != nil {
		t.Fatal(err)
	}
	total := drain(t, l)
	for _, id := range []string{"2", "3", "4"} {
		if _, err := w.AppendLines(t.Context(), lineOf("a", id, noon)); err != nil {
			t.Fatal(err)
		}
		drain(t, l)
	}
	again := segmentKey(w.id, 1)
	if err := store.Create(t.Context(), again, bytes.NewReader(packSegment(nil, lines))); err != nil {
		t.Fatal(err)
	}
	fresh := openTest(t, store, Options{})
	if stored, rejected, err := fresh.Unsorted(t.Context()); err != nil || len(stored)+len(rejected) > 0 {
		t.Errorf("unsorted: %v, %v, %v", stored, rejected, err)
	}
	if s := drain(t, fresh); s.Commit != 0 || total.Rejected != 1 {
		t.Errorf("sorted %+v after %+v", s, total)
	}
	if there, err := fresh.exists(t.Context(), again); err != nil || there {
		t.Errorf("the segment is still there, %v", err)
	}
	once(t, store, map[string]bool{"1": true, "2": true, "3": true, "4": true})
}
