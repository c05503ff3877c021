package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"arbalest"
)

func begin(t *testing.T, d *Dir, key string) *Draft {
	t.Helper()
	f, err := d.Draft(t.Context(), arbalest.Key(key))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func add(t *testing.T, f *Draft, pieces ...string) {
	t.Helper()
	for _, p := range pieces {
		if err := f.Append(t.Context(), []byte(p)); err != nil {
			t.Fatal(err)
		}
	}
}

func publish(t *testing.T, f *Draft) {
	t.Helper()
	if err := f.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// objects returns all objects of a Dir.
func objects(t *testing.T, d *Dir) map[string]string {
	t.Helper()
	found := map[string]string{}
	for info, err := range d.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		r, err := d.Get(t.Context(), info.Key, 0, Whole)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		found[string(info.Key)] = string(b)
	}
	return found
}

func want(t *testing.T, d *Dir, objs map[string]string) {
	t.Helper()
	if got := objects(t, d); fmt.Sprint(got) != fmt.Sprint(objs) {
		t.Errorf("objects are %.300q, want %.300q", got, objs)
	}
}

// die does what the death of a process does to a Dir: its locks go.
func die(d *Dir, open ...*Draft) {
	slots := d.slots
	for _, f := range open {
		slots = append(slots, f.slot)
	}
	for _, s := range slots {
		s.file.Close()
		if s.direct != nil {
			s.direct.Close()
		}
	}
	d.slots = nil
	d.Close()
}

func slotFiles(t *testing.T, at string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(at, drafts, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestDraft(t *testing.T) {
	at := t.TempDir()
	d, err := OpenDir(at)
	if err != nil {
		t.Fatal(err)
	}
	f := begin(t, d, "l/w/1")
	long := strings.Repeat("x", 3*draftBlock)
	add(t, f, "one ", long, "", "three")
	if size := f.Size(); size != int64(len("one "+long+"three")) {
		t.Errorf("size is %d", size)
	}
	want(t, d, nil) // not yet
	publish(t, f)
	want(t, d, map[string]string{"l/w/1": "one " + long + "three"})

	// The slot is used again, and nothing of the first draft comes back.
	f = begin(t, d, "l/w/2")
	add(t, f, "two ")
	publish(t, f)
	publish(t, begin(t, d, "l/w/3")) // of nothing
	want(t, d, map[string]string{"l/w/1": "one " + long + "three", "l/w/2": "two "})
	if files := slotFiles(t, at); len(files) != 1 {
		t.Errorf("there are slots %q", files)
	} else if b, err := os.ReadFile(files[0]); err != nil || recovered(t, b) != absent {
		t.Errorf("the slot still holds %q, %v", recovered(t, b), err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if files := slotFiles(t, at); len(files) != 0 {
		t.Errorf("after Close there are slots %q", files)
	}
}

func TestDraftFull(t *testing.T) {
	d, err := OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	f := begin(t, d, "l/1")
	if err := f.Append(t.Context(), make([]byte, draftRoom-draftBlock-pieceHeader+1)); !errors.Is(err, arbalest.ErrTooLarge) {
		t.Errorf("append of more than there is room: %v", err)
	}
	add(t, f, strings.Repeat("a", draftRoom-2*draftBlock-pieceHeader), "b")
	if err := f.Append(t.Context(), []byte("c")); !errors.Is(err, arbalest.ErrTooLarge) {
		t.Errorf("append to a full draft: %v", err)
	}
	publish(t, f)
	if got := objects(t, d)["l/1"]; len(got) != draftRoom-2*draftBlock-pieceHeader+1 || got[len(got)-2:] != "ab" {
		t.Errorf("object has %d bytes", len(got))
	}
}

// Recover publishes what dead processes left, and leaves the living alone.
func TestDraftRecover(t *testing.T) {
	at := t.TempDir()
	dead, err := OpenDir(at)
	if err != nil {
		t.Fatal(err)
	}
	a, b := begin(t, dead, "l/dead/1"), begin(t, dead, "l/dead/2")
	add(t, a, "a1 ", "a2")
	empty := begin(t, dead, "l/dead/3")

	living, err := OpenDir(at)
	if err != nil {
		t.Fatal(err)
	}
	defer living.Close()
	c := begin(t, living, "l/living/1")
	add(t, c, "c1 ")

	if err := errors.Join(living.Recover(t.Context()), dead.Recover(t.Context())); err != nil {
		t.Fatal(err)
	}
	want(t, living, nil) // all are alive
	add(t, b, "b")
	die(dead, a, b, empty)
	if err := living.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	add(t, c, "c2")
	want(t, living, map[string]string{"l/dead/1": "a1 a2", "l/dead/2": "b"})
	publish(t, c)
	want(t, living, map[string]string{"l/dead/1": "a1 a2", "l/dead/2": "b", "l/living/1": "c1 c2"})
	if files := slotFiles(t, at); len(files) != 1 {
		t.Errorf("there are slots %q, want that of the living", files)
	}
}

// A draft can be told of from its first piece until it is published, whether its
// process lives or not.
func TestDrafted(t *testing.T) {
	at := t.TempDir()
	mine, err := OpenDir(at)
	if err != nil {
		t.Fatal(err)
	}
	other, err := OpenDir(at)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	is := func(when string, one, two bool) {
		t.Helper()
		for _, d := range []*Dir{mine, other} {
			for key, want := range map[arbalest.Key]bool{"l/w/1": one, "l/w/2": two, "l/w/3": false} {
				if got, err := d.Drafted(t.Context(), key); err != nil || got != want {
					t.Errorf("%s: draft of %s: %v, %v", when, key, got, err)
				}
			}
		}
	}
	is("before all", false, false)
	a, b := begin(t, mine, "l/w/1"), begin(t, mine, "l/w/2")
	is("without a piece", false, false)
	add(t, a, "one", "two")
	is("the first", true, false)
	add(t, b, "three")
	is("both", true, true)
	publish(t, a)
	is("the first published", false, true)
	again := begin(t, mine, "l/w/3")
	die(mine, b, again)
	if mine, err = OpenDir(at); err != nil {
		t.Fatal(err)
	}
	defer mine.Close()
	is("dead", false, true)
	if err := other.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	is("recovered", false, false)
}

// The calls that each operation makes.
func TestDraftSteps(t *testing.T) {
	d, r := recorded(t)
	var f *Draft
	for _, c := range []struct {
		name string
		do   func()
		want []string
	}{
		{"begin", func() { f = begin(t, d, "l/w/1") }, []string{"mkdir .drafts", "create .drafts/1", "write .drafts/1", "fsync .drafts/1", "fsync .drafts", "fsync ."}},
		{"append", func() { add(t, f, "x") }, []string{"write .drafts/1", "fsync .drafts/1"}},
		{"publish", func() { publish(t, f) }, []string{
			"create .tmp/2", "write .tmp/2", "fsync .tmp/2", "mkdir l", "mkdir l/w", "rename .tmp/2 l/w/1", "fsync l/w", "fsync l", "fsync .",
			"write .drafts/1", "fsync .drafts/1",
		}},
		{"begin again", func() { f = begin(t, d, "l/w/2") }, nil},
		{"publish nothing", func() { publish(t, f) }, nil},
	} {
		r.steps = nil
		c.do()
		var got []string
		for _, s := range r.steps {
			got = append(got, s.op+" "+strings.ReplaceAll(s.path, d.id+"-", ""))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
}

// TestInvariant1DraftPowerLoss loses power in the middle of each append: of the
// blocks that it writes any may be there and any not. What was acknowledged
// before is recovered, with the last piece whole or without it.
func TestInvariant1DraftPowerLoss(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	at := t.TempDir()
	d, err := OpenDir(at)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	cuts := 12
	if testing.Short() {
		cuts = 3
	}
	for round := range 4 { // the later ones over what the earlier left
		f := begin(t, d, fmt.Sprint("l/", round))
		file := filepath.Join(at, f.slot.path)
		acked := ""
		for i := range 6 {
			before, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			piece := strings.Repeat(fmt.Sprint(round, i, " "), 1+rng.IntN(4000))
			add(t, f, piece)
			after, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for range cuts {
				left := bytes.Clone(before)
				for block := 0; block < len(left); block += draftBlock {
					if rng.IntN(2) == 0 {
						copy(left[block:block+draftBlock], after[block:])
					}
				}
				got := recovered(t, left)
				if got != acked && got != acked+piece && !(acked == "" && got == absent) {
					t.Fatalf("round %d: after piece %d %.60q is recovered of %.60q", round, i, got, acked)
				}
			}
			acked += piece
			if got := recovered(t, after); got != acked {
				t.Fatalf("round %d: %.60q is recovered of %.60q", round, got, acked)
			}
		}
		publish(t, f)
	}
}

// recovered returns the object that a slot's bytes are recovered to.
func recovered(t *testing.T, left []byte) string {
	t.Helper()
	at := t.TempDir()
	d, err := OpenDir(at)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	left = bytes.TrimRight(left, "\x00") // to write less
	if err := errors.Join(os.Mkdir(filepath.Join(at, drafts), 0o777), os.WriteFile(filepath.Join(at, drafts, "dead"), left, 0o666), d.Recover(t.Context())); err != nil {
		t.Fatal(err)
	}
	for _, body := range objects(t, d) {
		return body
	}
	return absent
}

// TestInvariant2DraftPowerLoss loses power after every call of a draft that is
// published, by its own process or by another once that is dead. What was
// acknowledged is in the draft or in the object. Once it is published the object
// may be sorted and deleted, and the draft does not come back. Then it sees to
// it that it would have noticed that the slot's last fsync is missing.
func TestInvariant2DraftPowerLoss(t *testing.T) {
	for _, dies := range []bool{false, true} {
		mine, r := recorded(t)
		other, err := OpenDir(r.root)
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		other.Around(r.around)
		f := begin(t, mine, "l/w/1")
		add(t, f, "one")
		r.record(step{op: "ack"})
		cleared := f.slot.path
		if dies {
			die(mine, f)
			if err := other.Recover(t.Context()); err != nil {
				t.Fatal(err)
			}
		} else {
			publish(t, f)
		}
		r.record(step{op: "published"})
		if err := other.Delete(t.Context(), "l/w/1"); err != nil {
			t.Fatal(err)
		}
		if err := other.Put(t.Context(), "l/w/2", strings.NewReader("")); err != nil {
			t.Fatal(err)
		}
		if broken := loseDraft(t, r.steps); broken != "" {
			t.Errorf("dies %v: %s", dies, broken)
		}
		last := 0
		for i, s := range r.steps {
			if s.op == "fsync" && s.path == cleared {
				last = i
			}
		}
		if loseDraft(t, slices.Delete(slices.Clone(r.steps), last, last+1)) == "" {
			t.Errorf("dies %v: the fsync of the slot is not missed", dies)
		}
	}
}

// loseDraft loses power after each of the steps, and returns what is wrong then
// with the draft "one" of l/w/1.
func loseDraft(t *testing.T, steps []step) string {
	t.Helper()
	disk := newFolder()
	disk.set(temporaries, newFolder())
	acked, published := false, false
	parsed := map[string]string{}
	for i, s := range steps {
		switch s.op {
		case "ack":
			acked = true
		case "published":
			published = true
		default:
			disk.apply(s)
		}
		for _, choose := range []func(int) int{func(int) int { return 0 }, func(n int) int { return n - 1 }} {
			draft := absent
			for _, body := range disk.slots(choose) {
				if _, ok := parsed[body]; !ok {
					parsed[body] = recovered(t, []byte(body))
				}
				if draft = parsed[body]; draft != absent {
					break
				}
			}
			object := disk.survivors(choose)["l/w/1"]
			switch {
			case acked && !published && draft != "one" && object != "one":
				return fmt.Sprintf("after step %d (%s %s), the draft is %q and the object %q", i, s.op, s.path, draft, object)
			case published && draft != absent:
				return fmt.Sprintf("after step %d (%s %s), the draft is back", i, s.op, s.path)
			}
		}
	}
	return ""
}

// An error of any call, after which the process dies, loses nothing that was
// acknowledged, and what is recovered is a run of the pieces from the first.
func TestInvariant1DraftErrors(t *testing.T) {
	pieces := []string{"one ", "two ", "three ", "four "}
	story := func(d *Dir) (acked int, f *Draft, err error) {
		f, err = d.Draft(context.Background(), "l/w/1")
		if err != nil {
			return 0, nil, err
		}
		for _, p := range pieces {
			if err = f.Append(context.Background(), []byte(p)); err != nil {
				return acked, f, err
			}
			acked++
		}
		return acked, f, f.Publish(context.Background())
	}
	for k := 0; ; k++ {
		d, r := recorded(t)
		steps := 0
		r.fail = func(op, at string) error {
			if steps++; steps == k+1 {
				return unix.EIO
			}
			return nil
		}
		acked, f, err := story(d)
		if err == nil {
			if k < 15 {
				t.Fatalf("only %d steps", k)
			}
			return
		}
		if !errors.Is(err, arbalest.ErrUnavailable) || !errors.Is(err, unix.EIO) {
			t.Errorf("step %d: %v", k, err)
		}
		r.fail = nil
		if f != nil && f.slot != nil {
			if k%2 == 0 { // half of them live on
				if again := f.Append(t.Context(), []byte("x")); acked < len(pieces) && again == nil {
					t.Errorf("step %d: a broken draft takes more", k)
				}
				publish(t, f)
				f = nil
			}
		}
		if f != nil && f.slot != nil {
			die(d, f)
		} else {
			die(d)
		}
		next, err := OpenDir(r.root)
		if err != nil {
			t.Fatal(err)
		}
		if err := next.Recover(t.Context()); err != nil {
			t.Errorf("step %d: %v", k, err)
		}
		got, ok := objects(t, next)["l/w/1"]
		all := strings.Join(pieces, "")
		if must := strings.Join(pieces[:acked], ""); !strings.HasPrefix(got, must) || !strings.HasPrefix(all+"x", got) || !ok && acked > 0 {
			t.Errorf("step %d: recovered %q of %q", k, got, must)
		}
		if files := slotFiles(t, r.root); len(files) > 0 {
			t.Errorf("step %d: leaves %q", k, files)
		}
		next.Close()
	}
}

func FuzzParseDraft(f *testing.F) {
	whole := appendPiece(appendPiece(appendDraftHeader(nil, 7, "l/w/1"), 7, []byte("one")), 7, bytes.Repeat([]byte("two"), 3000))
	f.Add(whole)
	f.Add(whole[:draftBlock+20])
	f.Add(make([]byte, 2*draftBlock))
	f.Fuzz(func(t *testing.T, b []byte) {
		key, pieces, ok := parseDraft(b)
		if ok && ValidKey(key) != nil || !ok && pieces != nil || len(pieces) > len(b) {
			t.Errorf("key %q with %d bytes of %d, %v", key, len(pieces), len(b), ok)
		}
	})
}
