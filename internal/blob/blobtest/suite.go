package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"arbalest"
	"arbalest/internal/blob"
)

// Run checks that a store does what blob.Store says. open returns an empty
// one, and closes it with the test.
func Run(t *testing.T, open func(t *testing.T) blob.Store) {
	for _, c := range []struct {
		name string
		test func(*testing.T, blob.Store)
	}{
		{"Get", testGet},
		{"Range", testRange},
		{"Put", testPut},
		{"Create", testCreate},
		{"Body", testBody},
		{"LargeBody", testLargeBody},
		{"Delete", testDelete},
		{"Keys", testKeys},
		{"InvalidKeys", testInvalidKeys},
		{"ListOrder", testListOrder},
		{"ListStop", testListStop},
		{"ListWhileDeleting", testListWhileDeleting},
		{"Cancelled", testCancelled},
		{"CreateRace", testCreateRace},
		{"CreateDeleteRace", testCreateDeleteRace},
		{"OverwriteRace", testOverwriteRace},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

func testGet(t *testing.T, s blob.Store) {
	wantErr(t, "get of none", get(t, s, "a/b"), arbalest.ErrUnknown)
	put(t, s, "a/b/c", "deep")
	put(t, s, "empty", "")
	wantBody(t, s, "a/b/c", "deep")
	wantBody(t, s, "empty", "")
	for _, key := range []arbalest.Key{"a", "a/b", "a/b/c/d", "a/b/cc", "A/b/c"} {
		wantErr(t, "get "+string(key), get(t, s, key), arbalest.ErrUnknown)
	}
	r, err := s.Get(t.Context(), "a/b/c", 0, blob.Whole)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	put(t, s, "a/b/c", "longer than it was")
	if got, err := io.ReadAll(r); err == nil && string(got) != "deep" {
		t.Errorf("reader of the old object: %q", got)
	}
}

func testRange(t *testing.T, s blob.Store) {
	put(t, s, "k", "0123456789")
	put(t, s, "empty", "")
	for _, c := range []struct {
		key            arbalest.Key
		offset, length int64
		want           string
		err            error
	}{
		{"k", 0, blob.Whole, "0123456789", nil},
		{"k", 0, 3, "012", nil},
		{"k", 3, 4, "3456", nil},
		{"k", 3, blob.Whole, "3456789", nil},
		{"k", 3, 0, "", nil},
		{"k", 8, 1000, "89", nil},
		{"k", 8, 1<<63 - 1, "89", nil},
		{"k", 10, blob.Whole, "", nil},
		{"k", 10, 5, "", nil},
		{"empty", 0, 5, "", nil},
		{"empty", 0, 0, "", nil},
		{"k", 11, 1, "", arbalest.ErrInvalid},
		{"k", 11, 0, "", arbalest.ErrInvalid},
		{"k", 11, blob.Whole, "", arbalest.ErrInvalid},
		{"empty", 1, blob.Whole, "", arbalest.ErrInvalid},
		{"k", -1, 1, "", arbalest.ErrInvalid},
		{"k", 0, -2, "", arbalest.ErrInvalid},
		{"none", 5, 5, "", arbalest.ErrUnknown},
		{"none", 0, 0, "", arbalest.ErrUnknown},
	} {
		name := fmt.Sprintf("get %s %d+%d", c.key, c.offset, c.length)
		got, err := read(t.Context(), s, c.key, c.offset, c.length)
		if !errors.Is(err, c.err) || (err == nil) != (c.err == nil) || got != c.want {
			t.Errorf("%s: %q, %v; want %q, %v", name, got, err, c.want, c.err)
		}
	}
}

func testPut(t *testing.T, s blob.Store) {
	for _, body := range []string{"one", "", strings.Repeat("three", 1000), "4"} {
		put(t, s, "a/k", body)
		wantBody(t, s, "a/k", body)
	}
	wantList(t, s, "", "", "a/k")
}

func testCreate(t *testing.T, s blob.Store) {
	for _, first := range []string{"one", ""} {
		key := arbalest.Key("a/k" + first)
		if err := s.Create(t.Context(), key, strings.NewReader(first)); err != nil {
			t.Fatal(err)
		}
		wantErr(t, "second create", s.Create(t.Context(), key, strings.NewReader("two")), arbalest.ErrExists)
		wantBody(t, s, key, first)
	}
	put(t, s, "a/p", "put")
	wantErr(t, "create after put", s.Create(t.Context(), "a/p", strings.NewReader("two")), arbalest.ErrExists)
	if err := s.Delete(t.Context(), "a/p"); err != nil {
		t.Fatal(err)
	}
	if err := s.Create(t.Context(), "a/p", strings.NewReader("again")); err != nil {
		t.Errorf("create after delete: %v", err)
	}
	wantBody(t, s, "a/p", "again")
}

// A body is written from its start, and one that fails leaves nothing.
func testBody(t *testing.T, s blob.Store) {
	body := strings.NewReader("from the start")
	for i, write := range []func(context.Context, arbalest.Key, io.ReadSeeker) error{s.Put, s.Create} {
		key := arbalest.Key(fmt.Sprintf("k%d", i))
		for _, at := range []int64{0, 5, int64(body.Len())} {
			if _, err := body.Seek(at, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			if err := write(t.Context(), key, body); err != nil && !errors.Is(err, arbalest.ErrExists) {
				t.Fatal(err)
			}
			wantBody(t, s, key, "from the start")
		}
		broken := brokenBody{bytes.NewReader(make([]byte, 100_000))}
		wantErr(t, "broken body", write(t.Context(), "broken/k", broken), errBroken)
	}
	wantErr(t, "get of a broken write", get(t, s, "broken/k"), arbalest.ErrUnknown)
	wantList(t, s, "", "", "k0", "k1")
}

var errBroken = errors.New("body broke off")

type brokenBody struct{ *bytes.Reader }

func (b brokenBody) Read(p []byte) (int, error) {
	if b.Len() < 50_000 {
		return 0, errBroken
	}
	return b.Reader.Read(p[:min(len(p), 10_000)])
}

func (b brokenBody) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{b})
}

func testLargeBody(t *testing.T, s blob.Store) {
	const size = 32 << 20
	body := make([]byte, size)
	rng := rand.NewChaCha8([32]byte{1})
	rng.Read(body)
	if err := s.Create(t.Context(), "large", bytes.NewReader(body)); err != nil {
		t.Fatal(err)
	}
	got, err := read(t.Context(), s, "large", 0, blob.Whole)
	if err != nil || got != string(body) {
		t.Errorf("read %d bytes, %v; want %d", len(got), err, size)
	}
	got, err = read(t.Context(), s, "large", size-1000, 500)
	if err != nil || got != string(body[size-1000:size-500]) {
		t.Errorf("range near the end: %d bytes, %v", len(got), err)
	}
	for info, err := range s.List(t.Context(), "", "") {
		if err != nil || info != (blob.Info{Key: "large", Size: size}) {
			t.Errorf("list: %+v, %v", info, err)
		}
	}
}

func testDelete(t *testing.T, s blob.Store) {
	put(t, s, "a/b/1", "x")
	put(t, s, "a/b/2", "x")
	put(t, s, "c", "x")
	for _, key := range []arbalest.Key{"a/b/1", "a/b/1", "a/b", "a", "a/b/2/3", "none", "none/none"} {
		if err := s.Delete(t.Context(), key); err != nil {
			t.Errorf("delete %s: %v", key, err)
		}
	}
	wantList(t, s, "", "", "a/b/2", "c")
	wantErr(t, "get of deleted", get(t, s, "a/b/1"), arbalest.ErrUnknown)
	for _, key := range []arbalest.Key{"a/b/2", "c"} {
		if err := s.Delete(t.Context(), key); err != nil {
			t.Errorf("delete %s: %v", key, err)
		}
	}
	wantList(t, s, "", "")
	put(t, s, "a/b/2", "again")
	wantBody(t, s, "a/b/2", "again")
}

func testKeys(t *testing.T, s blob.Store) {
	part := strings.Repeat("p", 255)
	keys := []arbalest.Key{
		"a", "-", "_", "~", "a.b", "a..", "a b", " ", " a ", "a+b", "a%2Fb", "%", "%00", "a?b=c&d#e",
		`a\b`, `a"b'c`, "<a>&amp;", "a:b", "a*b", "[a]", "{a}", "$(a)", "a|b;c", "ä/ö/ü", "日本", "🏹", "e\u0301", "é",
		"user.created/2015-08-18/06/00000000000000000042.ndjson.zst",
		arbalest.Key(part[1:]), arbalest.Key(part + "/" + part + "/" + part + "/" + part),
		arbalest.Key(strings.Repeat("d/", 511) + "dd"),
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	for _, key := range keys {
		put(t, s, key, "body of "+string(key))
	}
	for _, key := range keys {
		wantBody(t, s, key, "body of "+string(key))
	}
	wantList(t, s, "", "", keys...)
	for _, key := range keys {
		if err := s.Delete(t.Context(), key); err != nil {
			t.Error(err)
		}
	}
	wantList(t, s, "", "")
}

func testInvalidKeys(t *testing.T, s blob.Store) {
	for _, key := range []arbalest.Key{
		"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/.", "a/./b", ".a", "a/.b", ".tmp/a",
		"a\x00b", "a\nb", "a\x7f", "\xff", arbalest.Key(strings.Repeat("a", 256)),
		arbalest.Key(strings.Repeat("d/", 512) + "d"),
	} {
		wantErr(t, fmt.Sprintf("get %q", key), get(t, s, key), arbalest.ErrInvalid)
		wantErr(t, fmt.Sprintf("put %q", key), s.Put(t.Context(), key, strings.NewReader("")), arbalest.ErrInvalid)
		wantErr(t, fmt.Sprintf("create %q", key), s.Create(t.Context(), key, strings.NewReader("")), arbalest.ErrInvalid)
		wantErr(t, fmt.Sprintf("delete %q", key), s.Delete(t.Context(), key), arbalest.ErrInvalid)
		for _, err := range s.List(t.Context(), key, key) {
			t.Errorf("list %q: something, %v", key, err)
		}
	}
	wantList(t, s, "", "")
}

// Keys around "/" in the order of bytes: a listing by folders is another order.
func testListOrder(t *testing.T, s blob.Store) {
	keys := []arbalest.Key{
		"_landing/w1/000001", "_landing/w1/000002", "_landing/w10/000001", "_landing/w2/000001", "_log/1",
		"a!/b", "a-a", "a-b/c", "a.b/c", "a.c", "a/!", "a/-/x", "a/b", "a/b-c", "a/b.d/e", "a/b0", "a0/1", "a00", "aa", "b/c/d/e/f", "z",
		"é/a", "é-a",
	}
	for _, i := range rand.Perm(len(keys)) {
		put(t, s, keys[i], strings.Repeat("x", i))
	}
	sizes := make(map[arbalest.Key]int64)
	for i, key := range keys {
		sizes[key] = int64(i)
	}
	slices.Sort(keys)
	bounds := append([]arbalest.Key{
		"", "_", "_landing/", "_landing/w1", "_landing/w1/", "_landing/w3", "a/", "a/b", "a/b/", "a.", "a.b", "b/c/d/", "/", "a//",
		"..", "../", "b/c/d/e/f/g", "b/c/d/e/e", "zz", "\xff", "a/\xff", "a/b\x00", "é", "\xc3",
	}, keys...)
	for _, prefix := range bounds {
		for _, after := range bounds {
			var want []arbalest.Key
			for _, key := range keys {
				if strings.HasPrefix(string(key), string(prefix)) && key > after {
					want = append(want, key)
				}
			}
			wantList(t, s, prefix, after, want...)
		}
	}
	for info, err := range s.List(t.Context(), "", "") {
		if err != nil || info.Size != sizes[info.Key] {
			t.Errorf("list: %+v, %v; want size %d", info, err, sizes[info.Key])
		}
	}
}

func testListStop(t *testing.T, s blob.Store) {
	for i := range 10 {
		put(t, s, arbalest.Key(fmt.Sprintf("a/%d/x", i)), "")
	}
	for stop := 1; stop <= 10; stop++ {
		n := 0
		for _, err := range s.List(t.Context(), "a/", "") {
			if err != nil {
				t.Fatal(err)
			}
			if n++; n == stop {
				break
			}
		}
		if n != stop {
			t.Errorf("stopped at %d, want %d", n, stop)
		}
	}
	// An iterator can be used again, and goes on where after says.
	var got []arbalest.Key
	for after := arbalest.Key(""); ; {
		page := 0
		for info, err := range s.List(t.Context(), "a/", after) {
			if err != nil {
				t.Fatal(err)
			}
			got, after = append(got, info.Key), info.Key
			if page++; page == 3 {
				break
			}
		}
		if page == 0 {
			break
		}
	}
	if len(got) != 10 || !slices.IsSorted(got) {
		t.Errorf("in pages: %v", got)
	}
}

func testListWhileDeleting(t *testing.T, s blob.Store) {
	const n = 60
	key := func(i int) arbalest.Key { return arbalest.Key(fmt.Sprintf("l/%02d/%02d", i/5, i)) }
	for i := range n {
		put(t, s, key(i), "")
	}
	var got []arbalest.Key
	for info, err := range s.List(t.Context(), "l/", "") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, info.Key)
		for i := range n { // all but the last ten, as a sorter does
			if i < n-10 {
				if err := s.Delete(t.Context(), key(i)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if len(got) < 11 || got[0] != key(0) || got[len(got)-10] != key(n-10) || !slices.IsSorted(got) {
		t.Errorf("list while deleting: %v", got)
	}
}

func testCancelled(t *testing.T, s blob.Store) {
	put(t, s, "a/1", "x")
	put(t, s, "a/2", "x")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n, last := 0, error(nil)
	for _, err := range s.List(ctx, "", "") {
		cancel()
		n, last = n+1, err
	}
	if n > 2 || n == 2 && !errors.Is(last, context.Canceled) {
		t.Errorf("list cancelled at its first: %d, %v", n, last)
	}
	_, err := read(ctx, s, "a/1", 0, blob.Whole)
	wantErr(t, "get", err, context.Canceled)
	wantErr(t, "put", s.Put(ctx, "a/1", strings.NewReader("y")), context.Canceled)
	wantErr(t, "create", s.Create(ctx, "a/3", strings.NewReader("y")), context.Canceled)
	wantErr(t, "delete", s.Delete(ctx, "a/1"), context.Canceled)
	n = 0
	for _, err := range s.List(ctx, "", "") {
		n++
		wantErr(t, "list", err, context.Canceled)
	}
	if n != 1 {
		t.Errorf("list yielded %d errors, want 1", n)
	}
	wantBody(t, s, "a/1", "x")
	wantList(t, s, "", "", "a/1", "a/2")
}

func testCreateRace(t *testing.T, s blob.Store) {
	const racers = 16
	for round := range rounds(100) {
		key := arbalest.Key(fmt.Sprintf("race/%d/%d", round%7, round))
		var winner atomic.Int64
		inParallel(racers, func(i int) {
			body := strings.Repeat(fmt.Sprintf("racer %d;", i), 100)
			switch err := s.Create(t.Context(), key, strings.NewReader(body)); {
			case err == nil:
				if other := winner.Swap(int64(i + 1)); other != 0 {
					t.Errorf("round %d: racers %d and %d won", round, other-1, i)
				}
				wantBody(t, s, key, body)
			case errors.Is(err, arbalest.ErrExists):
				wantErr(t, "get by the loser", get(t, s, key), nil)
			default:
				t.Errorf("round %d: %v", round, err)
			}
		})
		if winner.Load() == 0 {
			t.Errorf("round %d: nobody won", round)
			continue
		}
		wantBody(t, s, key, strings.Repeat(fmt.Sprintf("racer %d;", winner.Load()-1), 100))
	}
}

// Creating in a folder does not fail because others just emptied it.
func testCreateDeleteRace(t *testing.T, s blob.Store) {
	inParallel(8, func(i int) {
		key := arbalest.Key(fmt.Sprintf("e/f/g/%d", i))
		for range rounds(100) {
			if err := s.Create(t.Context(), key, strings.NewReader("x")); err != nil {
				t.Error(err)
			}
			wantBody(t, s, key, "x")
			if err := s.Delete(t.Context(), key); err != nil {
				t.Error(err)
			}
		}
	})
	wantList(t, s, "", "")
}

func testOverwriteRace(t *testing.T, s blob.Store) {
	version := func(i int) string { return strings.Repeat(string(rune('a'+i%26)), 1+i%7*10_000) }
	put(t, s, "o/k", version(0))
	var done atomic.Bool
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for !done.Load() {
				got, err := read(t.Context(), s, "o/k", 0, blob.Whole)
				if err != nil || len(got) == 0 || strings.Trim(got, got[:1]) != "" || len(got)%10_000 != 1 {
					t.Errorf("read %d bytes in the middle of overwriting, %v", len(got), err)
					return
				}
			}
		})
	}
	inParallel(2, func(writer int) {
		for i := range rounds(100) {
			put(t, s, "o/k", version(2*i+writer))
		}
	})
	done.Store(true)
	readers.Wait()
}

// rounds returns how often to race: fewer times with -short.
func rounds(n int) int {
	if testing.Short() {
		return n / 10
	}
	return n
}

func inParallel(n int, do func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { do(i) })
	}
	all.Wait()
}

func put(t *testing.T, s blob.Store, key arbalest.Key, body string) {
	t.Helper()
	if err := s.Put(t.Context(), key, strings.NewReader(body)); err != nil {
		t.Error(err)
	}
}

func read(ctx context.Context, s blob.Store, key arbalest.Key, offset, length int64) (string, error) {
	r, err := s.Get(ctx, key, offset, length)
	if err != nil {
		return "", err
	}
	defer r.Close()
	body, err := io.ReadAll(r)
	return string(body), err
}

func get(t *testing.T, s blob.Store, key arbalest.Key) error {
	_, err := read(t.Context(), s, key, 0, blob.Whole)
	return err
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v; want %v", what, err, want)
	}
}

func wantBody(t *testing.T, s blob.Store, key arbalest.Key, want string) {
	t.Helper()
	got, err := read(t.Context(), s, key, 0, blob.Whole)
	if err != nil || got != want {
		t.Errorf("get %s: %.40q (%d bytes), %v; want %.40q (%d bytes)", key, got, len(got), err, want, len(want))
	}
}

func wantList(t *testing.T, s blob.Store, prefix, after arbalest.Key, want ...arbalest.Key) {
	t.Helper()
	var got []arbalest.Key
	for info, err := range s.List(t.Context(), prefix, after) {
		if err != nil {
			t.Errorf("list %q after %q: %v", prefix, after, err)
			return
		}
		got = append(got, info.Key)
	}
	if !slices.Equal(got, want) {
		t.Errorf("list %q after %q: %q; want %q", prefix, after, got, want)
	}
}
