package lake

import (
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
