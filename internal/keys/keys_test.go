package keys

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"arbalest"
)

func newFile(t testing.TB) File { return File(filepath.Join(t.TempDir(), "keys.yaml")) }

// made makes a key.
func made(t testing.TB, f File, k Key) (Key, string) {
	t.Helper()
	k.Name = "test"
	k, token, err := f.New(k, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return k, token
}

func TestAKeyIsReadAsItWasMade(t *testing.T) {
	f := newFile(t)
	want, token := made(t, f, Key{Events: []string{"user.*", "a"}, Rate: 2.5, Burst: 7})
	other, second := made(t, f, Key{})
	if token == second || want.ID == other.ID || !strings.HasPrefix(token, "arb_") || len(token) != len("arb_")+43 {
		t.Errorf("%s and %s, %s and %s", token, second, want.ID, other.ID)
	}
	if _, err := f.Revoke(other.ID, time.Now()); err != nil {
		t.Fatal(err)
	}
	got, err := f.Read()
	if err != nil || len(got) != 2 || !reflect.DeepEqual(got[0], want) || got[1].Revoked == nil {
		t.Errorf("%+v, %v\nwant %+v", got, err, want)
	}
	b, err := os.ReadFile(string(f))
	if err != nil || strings.Contains(string(b), token) || strings.Contains(string(b), strings.TrimPrefix(token, "arb_")) {
		t.Errorf("%s, %v", b, err)
	}
	if info, err := os.Stat(string(f)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(string(f)), ".*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	first := got[1].Revoked
	if again, err := f.Revoke(other.ID, time.Now().Add(time.Hour)); err != nil || !again.Revoked.Equal(*first) {
		t.Errorf("%+v, %v", again, err)
	}
	if _, err := f.Revoke("nobody", time.Now()); !errors.Is(err, arbalest.ErrUnknown) {
		t.Error(err)
	}
}

func TestKeysThatAreRefused(t *testing.T) {
	f := newFile(t)
	for _, k := range []Key{
		{}, {Name: strings.Repeat("n", 101)}, {Name: "n", Rate: -1}, {Name: "n", Burst: 1}, {Name: "n", Rate: 1, Burst: -1},
		{Name: "n", Events: []string{""}}, {Name: "n", Events: []string{"user.?"}}, {Name: "n", Events: []string{"a[b]"}}, {Name: "n", Events: []string{"_x"}},
	} {
		if _, _, err := f.New(k, time.Now()); !errors.Is(err, arbalest.ErrInvalid) {
			t.Errorf("%+v: %v", k, err)
		}
	}
	if all, err := f.Read(); err != nil || all != nil {
		t.Errorf("%+v, %v", all, err)
	}
	hash := "sha256:" + strings.Repeat("ab", 32)
	good := fmt.Sprintf("keys:\n  - {id: a, name: n, hash: %q, created: 2026-01-01T00:00:00Z}\n", hash)
	for _, text := range []string{
		"keys: 1", "keyz: []", good + "  - {id: b, name: n, hash: \"" + hash + "\"}", strings.Replace(good, "sha256", "sha1", 1), strings.Replace(good, "ab", "a", 1),
		strings.Replace(good, "id: a", "id: ''", 1), good + strings.TrimPrefix(good, "keys:\n"),
	} {
		if _, err := parse([]byte(text)); !errors.Is(err, arbalest.ErrInvalid) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if all, err := parse([]byte(good)); err != nil || len(all) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
}

// However many make keys at once, each key is there.
func TestNoKeyIsLost(t *testing.T) {
	f := newFile(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 5 {
				made(t, f, Key{})
			}
		})
	}
	all.Wait()
	if keys, err := f.Read(); err != nil || len(keys) != 40 {
		t.Errorf("%d keys, %v", len(keys), err)
	}
}

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		events []string
		may    []arbalest.EventName
		maynot []arbalest.EventName
	}{
		{nil, []arbalest.EventName{"a", "user.created"}, nil},
		{[]string{"*"}, []arbalest.EventName{"a", "user.created"}, nil},
		{[]string{"user.*", "order.paid"}, []arbalest.EventName{"user.created", "user.a.b", "order.paid"}, []arbalest.EventName{"user", "users.created", "order.paid2", "User.created"}},
		{[]string{"*.created"}, []arbalest.EventName{"user.created", "a.b.created"}, []arbalest.EventName{"created"}},
	} {
		for _, name := range slices.Concat(c.may, c.maynot) {
			if got := (Key{Events: c.events}).allows(name); got != slices.Contains(c.may, name) {
				t.Errorf("%v %s: %v", c.events, name, got)
			}
		}
	}
}

func TestRing(t *testing.T) {
	f := newFile(t)
	r, err := Open(f)
	if err != nil || r.Keyed() {
		t.Fatal(r, err)
	}
	if p, err := r.Open(""); err != nil || !p.Allows("a") || p.Take(1e9) != nil {
		t.Errorf("without keys: %v", err)
	}
	k, token := made(t, f, Key{Events: []string{"user.*"}})
	if changed, err := r.Reload(); !changed || err != nil || !r.Keyed() {
		t.Fatal(changed, err)
	}
	if changed, err := r.Reload(); changed || err != nil {
		t.Error("it has changed again", err)
	}
	p, err := r.Open(token)
	if err != nil || !p.Allows("user.x") || p.Allows("x") || p.Take(1e9) != nil {
		t.Errorf("%v, %v", p, err)
	}
	refused := func(tokens ...string) {
		t.Helper()
		for _, token := range tokens {
			if _, err := r.Open(token); !errors.Is(err, arbalest.ErrDenied) || token != "" && strings.Contains(err.Error(), token) {
				t.Errorf("%q: %v", token, err)
			}
		}
	}
	refused("", "secret", token+"x", token[1:], k.Hash)
	good, err := os.ReadFile(string(f))
	if err != nil {
		t.Fatal(err)
	}
	// Whatever becomes of the file, nobody gets in by it.
	for _, text := range []string{"broken", ""} {
		if err := os.WriteFile(string(f), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		changed, err := r.Reload()
		if !changed || (err != nil) != (text != "") {
			t.Error(changed, err)
		}
		refused("", "secret")
	}
	if err := os.Remove(string(f)); err != nil {
		t.Fatal(err)
	}
	if changed, err := r.Reload(); !changed || err == nil {
		t.Error(changed, err)
	}
	if changed, err := r.Reload(); changed || err != nil {
		t.Error(changed, err)
	}
	refused("")
	if err := os.WriteFile(string(f), good, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Revoke(k.ID, time.Now()); err != nil {
		t.Fatal(err)
	}
	if changed, err := r.Reload(); !changed || err != nil {
		t.Error(changed, err)
	}
	refused(token)
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFile(t)
		_, token := made(t, f, Key{Rate: 2})
		r, err := Open(f)
		if err != nil {
			t.Fatal(err)
		}
		take := func(n int) (wait time.Duration, err error) {
			p, err := r.Open(token)
			if err != nil {
				t.Fatal(err)
			}
			err = p.Take(n)
			var later interface{ RetryAfter() time.Duration }
			if errors.As(err, &later) {
				wait = later.RetryAfter()
			}
			return wait, err
		}
		if _, err := take(21); !errors.Is(err, arbalest.ErrTooLarge) {
			t.Errorf("more than a burst: %v", err)
		}
		if _, err := take(20); err != nil {
			t.Errorf("a burst: %v", err)
		}
		for range 3 { // which costs nothing
			if wait, err := take(4); !errors.Is(err, arbalest.ErrBusy) || wait != 2*time.Second {
				t.Errorf("%v, %v", wait, err)
			}
		}
		// A key that is added does not give the others their rate again.
		made(t, f, Key{})
		if changed, err := r.Reload(); !changed || err != nil {
			t.Error(changed, err)
		}
		if _, err := take(1); !errors.Is(err, arbalest.ErrBusy) {
			t.Errorf("after a reload: %v", err)
		}
		time.Sleep(2 * time.Second)
		if _, err := take(4); err != nil {
			t.Error(err)
		}
	})
}

func FuzzParse(f *testing.F) {
	file := newFile(f)
	made(f, file, Key{Events: []string{"user.*"}, Rate: 1, Burst: 2})
	b, err := os.ReadFile(string(file))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("keys: []"))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := parse(text)
		if err != nil && !errors.Is(err, arbalest.ErrInvalid) {
			t.Fatal(err)
		}
		for _, k := range all {
			if _, err := k.hash(); err != nil || k.burst() < 1 {
				t.Fatalf("%+v: %v", k, err)
			}
			k.allows("user.created")
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	file := newFile(b)
	_, token := made(b, file, Key{Events: []string{"user.*"}})
	r, err := Open(file)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if p, err := r.Open(token); err != nil || !p.Allows("user.verified") {
			b.Fatal(err)
		}
	}
}
