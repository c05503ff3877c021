package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"arbalest"
	"arbalest/internal/blob"
	. "arbalest/internal/s3/s3test"
)

// faulty opens a store whose requests faults befall, beside one without.
func faulty(t *testing.T, url string, faults ...Fault) (s *Store, plain *Store, f *Faulty) {
	t.Helper()
	f = NewFaulty(faults...)
	opts := quick(f)
	opts.NoProbe = true
	return open(t, url, opts), open(t, url, quick(nil)), f
}

// A write succeeds, or fails as it should, whatever happens to its requests; and
// what it says is so.
func TestWritesThroughFaults(t *testing.T) {
	const small, large = 100, 11 << 20
	for _, c := range []struct {
		name   string
		size   int
		there  bool // is the object of somebody else's
		faults []Fault
		create error
		left   string // "ours", "theirs" or "none", after create
		put    error  // if it is not as create's
	}{
		{name: "SlowDown", size: small, faults: []Fault{{Method: "PUT", Times: 3}}, left: "ours"},
		{name: "InternalError", size: small, faults: []Fault{{Method: "PUT", Status: 500, Code: "InternalError", Times: 2}}, left: "ours"},
		{name: "TooManyRequests", size: small, faults: []Fault{{Method: "PUT", Status: 429, Code: "TooMany"}}, left: "ours"},
		{name: "RequestTimeout", size: small, faults: []Fault{{Method: "PUT", Status: 400, Code: "RequestTimeout"}}, left: "ours"},
		{name: "Refused", size: small, faults: []Fault{{Method: "PUT", Kind: Refused, Times: 2}}, left: "ours"},
		{name: "LostReply", size: small, faults: []Fault{{Method: "PUT", Kind: LostReply}}, left: "ours"},
		{name: "LostReplies", size: small, faults: []Fault{{Method: "PUT", Kind: LostReply, Times: 3}, {Method: "HEAD", Times: 2}}, left: "ours"},
		{name: "LostReplyOfTheLoser", size: small, there: true, faults: []Fault{{Method: "PUT", Kind: LostReply}}, create: arbalest.ErrExists, left: "theirs"},
		{name: "Conflict", size: small, faults: []Fault{{Method: "PUT", Status: 409, Code: "ConditionalRequestConflict"}}, left: "ours", put: arbalest.ErrUnavailable},
		{name: "ConflictAndExists", size: small, there: true, faults: []Fault{{Method: "PUT", Status: 409, Code: "ConditionalRequestConflict"}}, create: arbalest.ErrExists, left: "theirs", put: arbalest.ErrUnavailable},
		{name: "Down", size: small, faults: []Fault{{Times: -1}}, create: arbalest.ErrUnavailable, left: "none"},
		{name: "NoWayBack", size: small, faults: []Fault{{Kind: LostReply, Times: -1}}, create: arbalest.ErrUnavailable, left: "ours"},
		{name: "Forbidden", size: small, faults: []Fault{{Method: "PUT", Status: 403, Code: "AccessDenied"}}, create: fs.ErrPermission, left: "none"},
		{name: "BucketGone", size: small, faults: []Fault{{Method: "PUT", Status: 404, Code: "NoSuchBucket"}}, create: arbalest.ErrUnavailable, left: "none"},
		{name: "OtherRegion", size: small, faults: []Fault{{Method: "PUT", Status: 301, Code: "PermanentRedirect"}}, create: arbalest.ErrInvalid, left: "none"},
		{name: "NotKept", size: small, faults: []Fault{{Method: "PUT", Status: 200, Server: "VERSITYGW", Times: 2}}, left: "ours"},
		{name: "NeverKept", size: small, faults: []Fault{{Method: "PUT", Status: 200, Server: "VERSITYGW", Times: -1}}, create: arbalest.ErrUnavailable, left: "none"},

		{name: "Parts", size: large, faults: []Fault{{Method: "PUT", Query: "partNumber", Times: 2}, {Method: "POST", Query: "uploads"}, {Method: "PUT", Query: "partNumber", Nth: 4, Kind: LostReply}}, left: "ours"},
		{name: "PartsExist", size: large, there: true, create: arbalest.ErrExists, left: "theirs"},
		{name: "CompletionSlow", size: large, faults: []Fault{{Method: "POST", Query: "uploadId"}}, left: "ours"},
		{name: "CompletionLost", size: large, faults: []Fault{{Method: "POST", Query: "uploadId", Kind: LostReply}}, left: "ours"},
		{name: "CompletionConflict", size: large, faults: []Fault{{Method: "POST", Query: "uploadId", Status: 409, Code: "ConditionalRequestConflict"}}, left: "ours", put: arbalest.ErrUnavailable},
		{name: "PartDown", size: large, faults: []Fault{{Method: "PUT", Query: "partNumber", Nth: 2, Times: -1}}, create: arbalest.ErrUnavailable, left: "none"},
		{name: "CompletionDown", size: large, faults: []Fault{{Method: "POST", Query: "uploadId", Times: -1}}, create: arbalest.ErrUnavailable, left: "none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ours, theirs := bytes.Repeat([]byte("ours"), c.size/4), []byte("theirs")
			for _, verb := range []string{"create", "put"} {
				s, plain, f := faulty(t, Fake(t), c.faults...)
				if c.there {
					if err := plain.Put(t.Context(), "a/k", bytes.NewReader(theirs)); err != nil {
						t.Fatal(err)
					}
				}
				want, left := c.create, c.left
				write := s.Create
				if verb == "put" {
					write = s.Put
					if c.put != nil {
						want = c.put
					} else if errors.Is(want, arbalest.ErrExists) {
						want, left = nil, "ours"
					}
				}
				err := write(t.Context(), "a/k", bytes.NewReader(ours))
				if !errors.Is(err, want) || (err == nil) != (want == nil) {
					t.Errorf("%s: %v; want %v\n%s", verb, err, want, strings.Join(f.Asked(), "\n"))
				}
				if err != nil && strings.Contains(err.Error(), SecretKey) {
					t.Errorf("%s says the secret: %v", verb, err)
				}
				got, err := read(t.Context(), plain, "a/k")
				switch is := string(got); {
				case verb == "put" && c.put != nil:
				case left == "none" && !errors.Is(err, arbalest.ErrUnknown), left == "ours" && is != string(ours), left == "theirs" && is != string(theirs):
					t.Errorf("%s leaves %.20q, %v; want %s", verb, got, err, left)
				}
				if c.size == large {
					wantNoUploads(t, plain)
				}
			}
		})
	}
}

// Who is told that its object was created, while a rival's is there, has lost.
func TestCreateNotKept(t *testing.T) {
	s, plain, _ := faulty(t, Fake(t), Fault{Method: "PUT", Status: 200, Server: "VERSITYGW"})
	if err := plain.Put(t.Context(), "a/k", strings.NewReader("theirs")); err != nil {
		t.Fatal(err)
	}
	if err := s.Create(t.Context(), "a/k", strings.NewReader("ours")); !errors.Is(err, arbalest.ErrExists) {
		t.Error(err)
	}
}

// wantNoUploads proves that no parts are left which somebody would pay for.
func wantNoUploads(t *testing.T, s *Store) {
	t.Helper()
	out, err := s.client.ListMultipartUploads(t.Context(), listUploads(s))
	if code(err) == "NoSuchUpload" { // gofakes3, where there was none ever
		return
	}
	if err != nil || len(out.Uploads) > 0 {
		t.Errorf("uploads are left: %+v, %v", out, err)
	}
}

// A multipart Create that loses to a rival at its very end says so where the
// server honours the condition there, as versitygw does.
func TestCreatePartsLosesAtTheEnd(t *testing.T) {
	at := Start(t)
	plain := open(t, at, quick(nil))
	s, _, _ := faulty(t, at, Fault{Method: "PUT", Query: "partNumber", Kind: Done, Then: func() {
		if err := plain.Create(context.Background(), "k", strings.NewReader("rival")); err != nil {
			t.Error(err)
		}
	}})
	if err := s.Create(t.Context(), "k", bytes.NewReader(make([]byte, 11<<20))); !errors.Is(err, arbalest.ErrExists) {
		t.Errorf("create: %v", err)
	}
	if b, err := read(t.Context(), plain, "k"); err != nil || string(b) != "rival" {
		t.Errorf("%.20q, %v", b, err)
	}
	wantNoUploads(t, plain)
}

// A caller's body that breaks in the middle, or a caller who leaves, aborts an
// upload.
func TestUploadsAreAborted(t *testing.T) {
	s := open(t, Start(t), quick(nil))
	broken := errors.New("broken")
	for _, write := range []func(context.Context, arbalest.Key, io.ReadSeeker) error{s.Put, s.Create} {
		err := write(t.Context(), "k", breaking{bytes.NewReader(make([]byte, 14<<20)), 10 << 20, func() error { return broken }})
		if !errors.Is(err, broken) {
			t.Errorf("a body that breaks: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		err = write(ctx, "k", breaking{bytes.NewReader(make([]byte, 14<<20)), 6 << 20, func() error { cancel(); return nil }})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	}
	if got := keys(t, s, "", ""); len(got) > 0 {
		t.Errorf("left: %q", got)
	}
	wantNoUploads(t, s)
}

// A breaking body does something once so many bytes are read.
type breaking struct {
	*bytes.Reader
	at int64
	do func() error
}

func (b breaking) Read(p []byte) (int, error) {
	if b.Size()-int64(b.Len()) >= b.at {
		if err := b.do(); err != nil {
			return 0, err
		}
	}
	return b.Reader.Read(p)
}

// A reader is of one version, whatever happens to its connections and to the
// object.
func TestReadsThroughFaults(t *testing.T) {
	content := make([]byte, 5<<20)
	rand.NewChaCha8([32]byte{7}).Read(content)
	for _, c := range []struct {
		name   string
		size   int
		faults []Fault
		change string // "", "overwrite" or "delete", once the reader is there
		err    error  // of the reading
		get    error
	}{
		{name: "Cut", size: 1000, faults: []Fault{{Method: "GET", Kind: Cut, After: 300}}},
		{name: "CutAtOnce", size: 1000, faults: []Fault{{Method: "GET", Kind: Cut, Times: 4}}},
		{name: "CutOften", size: 1000, faults: []Fault{{Method: "GET", Kind: Cut, After: 10, Times: 90}}},
		{name: "CutForEver", size: 1000, faults: []Fault{{Method: "GET", Kind: Cut, Times: -1}}, err: arbalest.ErrUnavailable},
		{name: "CutThenSlow", size: 1000, faults: []Fault{{Method: "GET", Kind: Cut, After: 300}, {Method: "GET", Times: 2}}},
		{name: "CutThenDown", size: 1000, faults: []Fault{{Method: "GET", Kind: Cut, After: 300}, {Method: "GET", Times: -1}}, err: arbalest.ErrUnavailable},
		{name: "CutThenOverwritten", size: 1000, faults: []Fault{{Method: "GET", Kind: Cut, After: 300}}, change: "overwrite", err: arbalest.ErrUnavailable},
		{name: "CutThenDeleted", size: 1000, faults: []Fault{{Method: "GET", Kind: Cut, After: 300}}, change: "delete", err: arbalest.ErrUnavailable},
		{name: "Slow", size: 1000, faults: []Fault{{Method: "GET", Times: 3}}},
		{name: "LostReply", size: 1000, faults: []Fault{{Method: "GET", Kind: LostReply, Times: 3}}},
		{name: "Down", size: 1000, faults: []Fault{{Method: "GET", Times: -1}}, get: arbalest.ErrUnavailable},
		{name: "Forbidden", size: 1000, faults: []Fault{{Method: "GET", Status: 403, Code: "AccessDenied"}}, get: fs.ErrPermission},
		{name: "Archived", size: 1000, faults: []Fault{{Method: "GET", Status: 403, Code: "InvalidObjectState"}}, get: arbalest.ErrCold},
		{name: "BucketGone", size: 1000, faults: []Fault{{Method: "GET", Status: 404, Code: "NoSuchBucket"}}, get: arbalest.ErrUnavailable},

		{name: "Ranges", size: 5 << 20},
		{name: "RangesCut", size: 5 << 20, faults: []Fault{{Method: "GET", Kind: Cut, After: 200_000, Times: 9}}},
		{name: "RangesDown", size: 5 << 20, faults: []Fault{{Method: "GET", Nth: 4, Times: -1}}, err: arbalest.ErrUnavailable},
		{name: "RangesCutForEver", size: 5 << 20, faults: []Fault{{Method: "GET", Nth: 4, Kind: Cut, Times: -1}}, err: arbalest.ErrUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, plain, f := faulty(t, Fake(t), c.faults...)
			if err := plain.Put(t.Context(), "k", bytes.NewReader(content[:c.size])); err != nil {
				t.Fatal(err)
			}
			r, err := s.Get(t.Context(), "k", 0, blob.Whole)
			if !errors.Is(err, c.get) || (err == nil) != (c.get == nil) {
				t.Fatalf("get: %v; want %v", err, c.get)
			}
			if err != nil {
				return
			}
			defer r.Close()
			switch c.change {
			case "overwrite":
				err = plain.Put(t.Context(), "k", bytes.NewReader(content[1:c.size+1]))
			case "delete":
				err = plain.Delete(t.Context(), "k")
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if !errors.Is(err, c.err) || (err == nil) != (c.err == nil) || !bytes.HasPrefix(content[:c.size], got) || err == nil && len(got) != c.size {
				t.Errorf("%d bytes, %v; want %d, %v\n%s", len(got), err, c.size, c.err, strings.Join(f.Asked(), "\n"))
			}
		})
	}
}

// An object that is overwritten between its ranges is not read as a mixture.
func TestRangesOfTwoVersions(t *testing.T) {
	at := Fake(t)
	plain := open(t, at, quick(nil))
	version := func(b byte) io.ReadSeeker { return bytes.NewReader(bytes.Repeat([]byte{b}, 12<<20)) }
	s, _, _ := faulty(t, at, Fault{Method: "GET", Nth: 3, Kind: Done, Then: func() {
		if err := plain.Put(context.Background(), "k", version('b')); err != nil {
			t.Error(err)
		}
	}})
	if err := plain.Put(t.Context(), "k", version('a')); err != nil {
		t.Fatal(err)
	}
	got, err := read(t.Context(), s, "k")
	if !errors.Is(err, arbalest.ErrUnavailable) || bytes.ContainsAny(got, "b") {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// Listings and deletions go on after faults too, and a listing has pages.
func TestListThroughFaults(t *testing.T) {
	s, plain, f := faulty(t, Fake(t), Fault{Method: "GET", Nth: 2}, Fault{Method: "GET", Nth: 3, Kind: Cut, After: 1000}, Fault{Method: "DELETE", Kind: LostReply})
	var want []string
	for i := range 2100 {
		want = append(want, fmt.Sprintf("k/%05d", i))
		if err := plain.Put(t.Context(), arbalest.Key(want[i]), strings.NewReader("")); err != nil {
			t.Fatal(err)
		}
	}
	if got := keys(t, s, "k/", ""); !slices.Equal(got, want) {
		t.Errorf("%d keys; want %d", len(got), len(want))
	}
	if n := len(f.Asked()); n != 5 {
		t.Errorf("%d requests: %q", n, f.Asked())
	}
	for range s.List(t.Context(), "k/", "") {
		break
	}
	if n := len(f.Asked()); n != 6 {
		t.Errorf("a listing that is stopped makes %d requests", n-5)
	}
	if err := s.Delete(t.Context(), "k/00000"); err != nil {
		t.Error(err)
	}
	down, _, _ := faulty(t, Fake(t), Fault{Times: -1})
	for _, err := range down.List(t.Context(), "", "") {
		if !errors.Is(err, arbalest.ErrUnavailable) {
			t.Error(err)
		}
	}
	if err := down.Delete(t.Context(), "k"); !errors.Is(err, arbalest.ErrUnavailable) {
		t.Error(err)
	}
}

// Servers that do not honour conditional writes are refused, with what to do.
func TestProbe(t *testing.T) {
	at := Fake(t)
	for _, c := range []struct {
		name   string
		faults []Fault
		err    error
		says   string
		asked  int
	}{
		{name: "Good", asked: 3},
		{name: "Ignores", faults: []Fault{{Method: "PUT", Nth: 2, Status: 200}}, err: arbalest.ErrInvalid, says: "does not honour If-None-Match", asked: 3},
		{name: "Lacks", faults: []Fault{{Method: "PUT", Nth: 2, Status: 501, Code: "NotImplemented"}}, err: arbalest.ErrInvalid, says: "MinIO", asked: 3},
		{name: "Slow", faults: []Fault{{Method: "PUT", Nth: 2}, {Method: "PUT"}}, asked: 5},
		{name: "LostReply", faults: []Fault{{Method: "PUT", Kind: LostReply}}, asked: 4},
		{name: "Forbidden", faults: []Fault{{Method: "PUT", Status: 403, Code: "AccessDenied"}}, err: fs.ErrPermission, says: "s3:PutObject", asked: 1},
		{name: "NoDelete", faults: []Fault{{Method: "DELETE", Status: 403, Code: "AccessDenied"}}, err: fs.ErrPermission, says: "s3:DeleteObject", asked: 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := NewFaulty(c.faults...)
			_, err := Open(t.Context(), at, quick(f))
			if !errors.Is(err, c.err) || (err == nil) != (c.err == nil) || err != nil && !strings.Contains(err.Error(), c.says) || len(f.Asked()) != c.asked {
				t.Errorf("open: %v; %q", err, f.Asked())
			}
		})
	}
	if got := keys(t, open(t, at, quick(nil)), "", ""); len(got) != 1 { // of NoDelete
		t.Errorf("probes are left: %q", got)
	}
}
