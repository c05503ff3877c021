package lake

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"arbalest"
	"arbalest/internal/blob/blobtest"
)

var update = flag.Bool("update", false, "write testdata for the newest format")

// formatLake makes a lake with something of all that doc/format.md tells of: two
// commits, whose objects are compacted, an erasure, a commit that is planned, a segment that no plan has, a draft whose
// process died, rejected events and a definition.
func formatLake(t *testing.T, at string) {
	ctx := context.Background()
	store := openStore(t, at)
	l := openTest(t, store, Options{})
	w := l.NewWriter()
	add := func(id string) {
		t.Helper()
		lines := append(lineOf("user.created", id, noon), lineOf("user.verified", id+"v", noon.AddDate(0, 0, 1))...)
		lines = AppendRejected(lines, Rejected{Code: "not_json", Reason: "r", Hour: arbalest.HourOf(noon), Received: noon, Body: []byte("{" + id)})
		if _, err := w.AppendLines(ctx, lines); err != nil {
			t.Fatal(err)
		}
	}
	add("committed")
	add("erased")
	drain(t, l)
	add("merged")
	add("committed") // repeats
	drain(t, l)
	if c := compactAll(t, l); c.Before != 4 || c.After != 2 || c.Repeats != 2 {
		t.Fatalf("%+v", c)
	}
	e := Erasure{By: "test", IDs: map[arbalest.EventName][]string{"user.created": {"erased"}, "user.verified": {"erasedv"}}, Whole: []arbalest.EventDay{{Event: "user.gone", Day: arbalest.HourOf(noon)}}}
	for name := range e.IDs {
		e.Days = append(e.Days, arbalest.EventDay{Event: name, Day: arbalest.HourOf(noon)})
	}
	if done := eraseAll(t, l, e); done.Events["user.created"] != 1 || done.Events["user.verified"] != 1 {
		t.Fatalf("%+v", done)
	}
	add("planned")
	// Creating the plan and an object, once what the erasure moved is deleted again,
	// is all that is done of commit 5.
	half := openTest(t, blobtest.StopAfter(store, blobtest.Stop{Steps: 2 + 2}), Options{Parallel: 1})
	if _, err := half.Sort(ctx); err == nil {
		t.Fatal("it did not stop")
	}
	add("segment")
	add("erased")
	err := l.SaveTable(ctx, arbalest.Table{Name: "user_created", Event: "user.created", Version: 1, Columns: []arbalest.Column{{Name: "n", Path: []string{"n"}, Type: arbalest.Type{Kind: arbalest.Varchar, Length: 65535}}}})
	if err != nil {
		t.Fatal(err)
	}
	d, err := store.Draft(ctx, segmentKey(w.id, 99))
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"draft1", "draft2"} {
		if err := d.Append(ctx, packSegment(nil, lineOf("user.created", id, noon))); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFormats opens a lake of each version of the format and finishes it. The
// versions stay in testdata for ever.
func TestFormats(t *testing.T) {
	if *update {
		at := filepath.Join("testdata", fmt.Sprintf("v%d", arbalest.LogFormat))
		if err := os.RemoveAll(at); err != nil {
			t.Fatal(err)
		}
		made := t.TempDir()
		formatLake(t, made)
		copyLake(t, made, at)
	}
	versions := []string{"v1-zstd"} // of builds whose segments were zstd; nothing makes it any more
	for version := 1; version <= arbalest.LogFormat; version++ {
		versions = append(versions, fmt.Sprintf("v%d", version))
	}
	for _, version := range versions {
		at := t.TempDir()
		copyLake(t, filepath.Join("testdata", version), at)
		store := openStore(t, at)
		l := openTest(t, store, Options{})
		drain(t, l)
		tables, err := l.Tables(t.Context())
		if err != nil || len(tables) != 1 || tables[0].Name != "user_created" || tables[0].Columns[0].Type.String() != "VARCHAR(65535)" {
			t.Errorf("%s: tables %+v, %v", version, tables, err)
		}
		if err := os.RemoveAll(filepath.Join(at, "_tables")); err != nil { // which contents takes for an orphan
			t.Fatal(err)
		}
		ids := slices.Sorted(maps.Keys(contents(t, store)))
		want := []string{"committed", "committedv", "draft1", "draft2", "planned", "plannedv", "segment", "segmentv"}
		wantRejected := []string{"{committed", "{planned", "{segment"}
		if version >= "v2" {
			want = slices.Sorted(slices.Values(append(want, "merged", "mergedv")))
			wantRejected = []string{"{committed", "{committed", "{merged", "{planned", "{segment"}
		}
		if version >= "v3" { // what was erased came again
			wantRejected = slices.Sorted(slices.Values(append(wantRejected, "{erased", "{erased")))
			head := whole(t, store)
			if c, err := l.Commit(t.Context(), head); err != nil || len(c.Erased) != 2 || c.Erasure != 4 {
				t.Errorf("%s: %+v, %v", version, c, err)
			}
		}
		if !slices.Equal(ids, want) {
			t.Errorf("%s: events %q, want %q", version, ids, want)
		}
		var rejected []string
		for info, err := range store.List(t.Context(), rejectedFolder, "") {
			if err != nil {
				t.Fatal(err)
			}
			r, err := l.Read(t.Context(), info.Key)
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			if _, err := b.ReadFrom(r); err != nil {
				t.Fatal(err)
			}
			r.Close()
			for line := range strings.Lines(b.String()) {
				r, err := ParseRejected([]byte(line))
				if err != nil {
					t.Error(err)
				}
				rejected = append(rejected, string(r.Body))
			}
		}
		if slices.Sort(rejected); !slices.Equal(rejected, wantRejected) {
			t.Errorf("%s: rejected %q", version, rejected)
		}
	}
}

// copyLake copies a directory's files, without the zeros at a slot's end.
func copyLake(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if strings.HasPrefix(rel, ".drafts/") {
			b = bytes.TrimRight(b, "\x00")
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(to, rel)), 0o777); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), b, 0o666)
	})
	if err != nil {
		t.Fatal(err)
	}
}
