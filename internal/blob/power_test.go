package blob

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"arbalest"
)

// A step is a call that Dir made on the filesystem, or what a test knows of
// the object at path: "begin" and "ack" of a write of body, or of a delete if
// gone; that it "exists" durably, or is "gone" durably.
type step struct {
	op, path string
	body     string
	gone     bool
}

// A recorder records the steps of a Dir. A change is recorded in the order in
// which it happened, an fsync when it begins: so what is before it is synced.
type recorder struct {
	root  string
	mu    sync.Mutex
	steps []step
	fail  func(op, path string) error // before the call; may be nil
}

func (r *recorder) around(op, at string, call func() error) error {
	if r.fail != nil {
		if err := r.fail(op, at); err != nil {
			return err
		}
	}
	switch op {
	case "fsync":
		r.record(step{op: op, path: at})
		return call()
	case "write":
		err := call()
		body, _ := os.ReadFile(filepath.Join(r.root, at))
		r.record(step{op: op, path: at, body: string(body)})
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	err := call()
	if err == nil {
		r.steps = append(r.steps, step{op: op, path: at})
	}
	return err
}

func (r *recorder) record(s step) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steps = append(r.steps, s)
}

func (r *recorder) put(d *Dir, key, body string) error {
	return r.write(key, body, func() error { return d.Put(context.Background(), arbalest.Key(key), strings.NewReader(body)) })
}

func (r *recorder) create(d *Dir, key, body string) error {
	return r.write(key, body, func() error { return d.Create(context.Background(), arbalest.Key(key), strings.NewReader(body)) })
}

func (r *recorder) write(key, body string, write func() error) error {
	r.record(step{op: "begin", path: key, body: body})
	err := write()
	if err == nil {
		r.record(step{op: "ack", path: key, body: body})
	}
	return err
}

func (r *recorder) delete(d *Dir, key string) error {
	r.record(step{op: "begin", path: key, gone: true})
	err := d.Delete(context.Background(), arbalest.Key(key))
	r.record(step{op: "ack", path: key, gone: true})
	return err
}

func recorded(t *testing.T) (*Dir, *recorder) {
	t.Helper()
	r := &recorder{root: t.TempDir()}
	d, err := OpenDir(r.root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	d.disk.around = r.around
	return d, r
}

// A node is a file or a directory as a filesystem has it that keeps the least
// that POSIX lets it: after a loss of power, of a file what was fsynced, and
// of each entry of a directory its state at the last fsync or any since.
type node struct {
	body    string
	bodies  []string // since the last fsync, with that of then
	synced  bool
	entries map[string][]*node // states since the last fsync; nil is none
}

func newFolder() *node { return &node{entries: make(map[string][]*node)} }

func (n *node) entry(name string) *node {
	if states := n.entries[name]; len(states) > 0 {
		return states[len(states)-1]
	}
	return nil
}

func (n *node) set(name string, to *node) {
	if n.entries[name] == nil {
		n.entries[name] = []*node{nil}
	}
	n.entries[name] = append(n.entries[name], to)
}

func (n *node) find(at string) *node {
	for part := range strings.SplitSeq(path.Clean(at), "/") {
		if part != "." && n != nil {
			n = n.entry(part)
		}
	}
	return n
}

func (n *node) apply(s step) {
	parent, name := n.find(path.Dir(s.path)), path.Base(s.path)
	switch s.op {
	case "mkdir":
		parent.set(name, newFolder())
	case "create":
		parent.set(name, &node{bodies: []string{""}})
	case "write":
		file := parent.entry(name)
		file.body = s.body
		file.bodies = append(file.bodies, s.body)
	case "remove", "rmdir":
		parent.set(name, nil)
	case "rename":
		from, to, _ := strings.Cut(s.path, " ")
		file := n.find(from)
		n.find(path.Dir(from)).set(path.Base(from), nil)
		n.find(path.Dir(to)).set(path.Base(to), file)
	case "fsync":
		file := n.find(s.path)
		if file == nil { // removed since it was opened
			return
		}
		file.synced = true
		file.bodies = []string{file.body}
		for name := range file.entries {
			file.entries[name] = []*node{file.entry(name)}
		}
	}
}

const torn = "\x00torn"

// survivors returns the objects that are visible after a loss of power.
func (n *node) survivors(choose func(states int) int) map[string]string {
	found := make(map[string]string)
	var walk func(n *node, at string)
	walk = func(n *node, at string) {
		for name, states := range n.entries {
			child := states[choose(len(states))]
			switch {
			case child == nil || strings.HasPrefix(name, "."):
			case child.entries != nil:
				walk(child, at+name+"/")
			case child.synced:
				found[at+name] = child.body
			default:
				found[at+name] = torn
			}
		}
	}
	walk(n, "")
	return found
}

// slots returns what is in each slot after a loss of power.
func (n *node) slots(choose func(states int) int) (bodies []string) {
	states := n.entries[drafts]
	if len(states) == 0 {
		return nil
	}
	folder := states[choose(len(states))]
	if folder == nil {
		return nil
	}
	for _, states := range folder.entries {
		if file := states[choose(len(states))]; file != nil {
			bodies = append(bodies, file.bodies[choose(len(file.bodies))])
		}
	}
	return bodies
}

// promises are what a loss of power may leave under each key.
type promises map[string]map[string]bool // key to bodies; absent is the body of none

const absent = "\x00absent"

func (p promises) apply(s step) {
	if p[s.path] == nil {
		p[s.path] = map[string]bool{absent: true}
	}
	body := s.body
	if s.gone {
		body = absent
	}
	switch {
	case s.op == "begin":
		p[s.path][body] = true
	case s.op == "ack" && !s.gone:
		p[s.path] = map[string]bool{body: true}
	case s.op == "exists":
		delete(p[s.path], absent)
	case s.op == "gone":
		p[s.path] = map[string]bool{absent: true}
	}
}

// losePower returns what promise is broken by a loss of power after one of
// the steps, or "".
func losePower(steps []step) string {
	disk, promised := newFolder(), promises{}
	disk.set(temporaries, newFolder())
	rng := rand.New(rand.NewPCG(1, 2))
	for i, s := range steps {
		switch s.op {
		case "begin", "ack", "exists", "gone":
			promised.apply(s)
		default:
			disk.apply(s)
		}
		for _, choose := range []func(int) int{
			func(int) int { return 0 },
			func(n int) int { return n - 1 },
			rng.IntN, rng.IntN, rng.IntN,
		} {
			left := disk.survivors(choose)
			for key, allowed := range promised {
				body, ok := left[key]
				if !ok {
					body = absent
				}
				if !allowed[body] {
					return fmt.Sprintf("after step %d (%s %s), %s is %q; allowed %v", i, s.op, s.path, key, body, allowed)
				}
				delete(left, key)
			}
			if len(left) > 0 {
				return fmt.Sprintf("after step %d: %q, which nobody wrote", i, left)
			}
		}
	}
	return ""
}

// The commit point of a write, in the calls that it makes.
func TestDirSteps(t *testing.T) {
	d, r := recorded(t)
	steps := func(do func() error) (lines []string) {
		t.Helper()
		r.steps = nil
		if err := do(); err != nil {
			t.Error(err)
		}
		for _, s := range r.steps {
			if s.op != "begin" && s.op != "ack" {
				lines = append(lines, s.op+" "+strings.ReplaceAll(s.path, d.id+"-", ""))
			}
		}
		return lines
	}
	for _, c := range []struct {
		name string
		do   func() error
		want []string
	}{
		{"create in new folders", func() error { return r.create(d, "a/b/c", "x") }, []string{
			"create .tmp/1", "write .tmp/1", "fsync .tmp/1", "mkdir a", "mkdir a/b", "rename .tmp/1 a/b/c", "fsync a/b", "fsync a", "fsync .",
		}},
		{"put in a known folder", func() error { return r.put(d, "a/b/c", "y") }, []string{
			"create .tmp/2", "write .tmp/2", "fsync .tmp/2", "rename .tmp/2 a/b/c", "fsync a/b",
		}},
		{"put in a new folder of a known one", func() error { return r.put(d, "a/d/e", "y") }, []string{
			"create .tmp/3", "write .tmp/3", "fsync .tmp/3", "mkdir a/d", "rename .tmp/3 a/d/e", "fsync a/d", "fsync a",
		}},
		{"put at the root", func() error { return r.put(d, "k", "y") }, []string{
			"create .tmp/4", "write .tmp/4", "fsync .tmp/4", "rename .tmp/4 k", "fsync .",
		}},
		{"put in folders that another process made", func() error {
			if err := os.MkdirAll(filepath.Join(r.root, "m/n"), 0o777); err != nil {
				return err
			}
			return r.put(d, "m/n/o", "y")
		}, []string{
			"create .tmp/5", "write .tmp/5", "fsync .tmp/5", "rename .tmp/5 m/n/o", "fsync m/n", "fsync m", "fsync .",
		}},
		{"put where another process made the folders anew", func() error {
			if err := os.RemoveAll(filepath.Join(r.root, "m")); err != nil {
				return err
			}
			if err := os.MkdirAll(filepath.Join(r.root, "m/n"), 0o777); err != nil {
				return err
			}
			return r.put(d, "m/n/o", "y")
		}, []string{
			"create .tmp/6", "write .tmp/6", "fsync .tmp/6", "rename .tmp/6 m/n/o", "fsync m/n", "fsync m", "fsync .",
		}},
		{"put when the temporaries' folder is gone", func() error {
			if err := os.RemoveAll(filepath.Join(r.root, temporaries)); err != nil {
				return err
			}
			return r.put(d, "m/n/o", "y")
		}, []string{
			"mkdir .tmp", "create .tmp/7", "write .tmp/7", "fsync .tmp/7", "rename .tmp/7 m/n/o", "fsync m/n",
		}},
		{"delete one of two", func() error { return errors.Join(r.put(d, "a/d/f", ""), r.delete(d, "a/d/e")) }, []string{
			"create .tmp/8", "write .tmp/8", "fsync .tmp/8", "rename .tmp/8 a/d/f", "fsync a/d", "remove a/d/e",
		}},
		{"delete the last", func() error { return r.delete(d, "a/d/f") }, []string{"remove a/d/f", "rmdir a/d"}},
		{"delete none", func() error { return r.delete(d, "a/d/f") }, nil},
		{"delete the last of all", func() error { return r.delete(d, "a/b/c") }, []string{"remove a/b/c", "rmdir a/b", "rmdir a"}},
	} {
		if got := steps(c.do); !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
	exists := steps(func() error {
		if err := r.create(d, "k", "z"); !errors.Is(err, arbalest.ErrExists) {
			t.Errorf("create of what is there: %v", err)
		}
		return nil
	})
	if want := []string{"create .tmp/9", "write .tmp/9", "fsync .tmp/9", "fsync .", "remove .tmp/9"}; !slices.Equal(exists, want) {
		t.Errorf("create of what is there:\n got %q\nwant %q", exists, want)
	}
}

// TestInvariant1PowerLoss loses power after every call of a busy Dir: what was
// acknowledged is whole, and nothing is there in part. Then it sees to it that
// it would have noticed each fsync that is missing.
func TestInvariant1PowerLoss(t *testing.T) {
	d, r := recorded(t)
	var all sync.WaitGroup
	for writer := range 4 {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(3, uint64(writer)))
			for i := range 40 {
				// A key has one writer, a folder has all.
				key := fmt.Sprintf("e%d/d%d/w%d", rng.IntN(2), rng.IntN(3), writer)
				var err error
				switch body := fmt.Sprintf("%d by %d", i, writer); rng.IntN(4) {
				case 0:
					err = r.put(d, key, body)
				case 1:
					err = r.create(d, key, body)
				default:
					err = r.delete(d, key)
				}
				if err != nil && !errors.Is(err, arbalest.ErrExists) {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if broken := losePower(r.steps); broken != "" {
		t.Error(broken)
	}
	for name, isIt := range map[string]func(at string) bool{
		"of the file":              func(at string) bool { return strings.HasPrefix(at, temporaries) },
		"of its folder":            func(at string) bool { return strings.Count(at, "/") == 1 },
		"of the folder above":      func(at string) bool { return strings.HasPrefix(at, "e") && !strings.Contains(at, "/") },
		"of the root, for folders": func(at string) bool { return at == "." },
	} {
		missing := slices.DeleteFunc(slices.Clone(r.steps), func(s step) bool { return s.op == "fsync" && isIt(s.path) })
		if losePower(missing) == "" {
			t.Errorf("the fsync %s is not missed", name)
		}
	}
}

// A write whose fsync failed after its rename is not durable. Whoever is told
// of it by ErrExists may build on it, so it is by then.
func TestExistsIsDurable(t *testing.T) {
	d, r := recorded(t)
	r.fail = func(op, at string) error {
		if op == "fsync" && at == "a/b" {
			return unix.EIO
		}
		return nil
	}
	if err := r.create(d, "a/b/c", "mine"); !errors.Is(err, arbalest.ErrUnavailable) || !errors.Is(err, unix.EIO) {
		t.Errorf("create without fsync: %v", err)
	}
	if err := r.create(d, "a/b/c", "mine"); !errors.Is(err, arbalest.ErrUnavailable) || errors.Is(err, arbalest.ErrExists) {
		t.Errorf("retry without fsync: %v", err)
	}
	r.fail = nil
	if err := r.create(d, "a/b/c", "mine"); !errors.Is(err, arbalest.ErrExists) {
		t.Errorf("retry: %v", err)
	}
	r.record(step{op: "exists", path: "a/b/c"})
	if broken := losePower(r.steps); broken != "" {
		t.Error(broken)
	}
}

// A delete is durable with the next write below the same parent, also if it
// removed the parent.
func TestDeleteIsDurable(t *testing.T) {
	d, r := recorded(t)
	for _, write := range []string{"a/b/1", "a/b/2"} {
		if err := r.put(d, write, "x"); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ delete, write string }{{"a/b/1", "a/b/3"}, {"a/b/3", "a/b/4"}, {"a/b/2", "a/b/5"}} {
		if err := errors.Join(r.delete(d, c.delete), r.put(d, c.write, "x")); err != nil {
			t.Fatal(err)
		}
		r.record(step{op: "gone", path: c.delete})
	}
	if err := errors.Join(r.delete(d, "a/b/4"), r.delete(d, "a/b/5"), r.put(d, "a/b/6", "x")); err != nil {
		t.Fatal(err)
	}
	r.record(step{op: "gone", path: "a/b/4"})
	r.record(step{op: "gone", path: "a/b/5"})
	if broken := losePower(r.steps); broken != "" {
		t.Error(broken)
	}
}

// An error of any call leaves no temporary, no part of an object, and says
// what it is.
func TestDirErrors(t *testing.T) {
	for _, c := range []struct {
		errno unix.Errno
		want  error
	}{
		{unix.ENOSPC, arbalest.ErrUnavailable}, {unix.EDQUOT, arbalest.ErrUnavailable}, {unix.EIO, arbalest.ErrUnavailable},
		{unix.EMFILE, arbalest.ErrUnavailable}, {unix.EROFS, arbalest.ErrUnavailable}, {unix.ENOMEM, arbalest.ErrUnavailable},
		{unix.EXDEV, arbalest.ErrUnavailable}, {unix.ENOENT, arbalest.ErrUnavailable}, {unix.EACCES, os.ErrPermission},
		{unix.EPERM, os.ErrPermission}, {unix.ENAMETOOLONG, arbalest.ErrInvalid},
	} {
		for _, failing := range []string{"create", "write", "fsync", "mkdir", "rename", "fsync a"} {
			d, r := recorded(t)
			r.fail = func(op, at string) error {
				if op == failing || op+" "+at == failing {
					return c.errno
				}
				return nil
			}
			err := d.Put(t.Context(), "a/k", strings.NewReader("body"))
			if !errors.Is(err, c.want) || !errors.Is(err, c.errno) || !strings.HasPrefix(err.Error(), "put a/k: ") {
				t.Errorf("%v at %s: %v", c.errno, failing, err)
			}
			r.fail = nil
			if left, err := os.ReadDir(filepath.Join(r.root, temporaries)); err != nil || len(left) != 0 {
				t.Errorf("%v at %s leaves %v, %v", c.errno, failing, left, err)
			}
			if body, err := os.ReadFile(filepath.Join(r.root, "a/k")); (err == nil || failing == "fsync a") && string(body) != "body" {
				t.Errorf("%v at %s: object is %q, %v", c.errno, failing, body, err)
			}
			if err := d.Put(t.Context(), "a/k", strings.NewReader("again")); err != nil {
				t.Errorf("after %v at %s: %v", c.errno, failing, err)
			}
		}
	}
}
