package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/blob/blobtest"
	"arbalest/internal/s3/s3test"
)

// quick are options for tests: small parts, and short pauses.
func quick(client *s3test.Faulty) Options {
	o := Options{SingleBytes: 8 << 20, PartBytes: 5 << 20, RangeBytes: 1 << 20, Attempts: 5, MaxBackoff: 10 * time.Millisecond}
	if client != nil {
		o.HTTPClient = client.Client()
	}
	return o
}

func open(t testing.TB, url string, opts Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), url, opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// servers are what the tests run on: each returns the URL of an empty bucket.
func servers(t *testing.T, test func(t *testing.T, bucket func(t *testing.T) string)) {
	t.Run("gofakes3", func(t *testing.T) {
		test(t, func(t *testing.T) string { return s3test.Fake(t) })
	})
	t.Run("versitygw", func(t *testing.T) {
		server := s3test.StartServer(t)
		test(t, func(t *testing.T) string { return server.Bucket(t) })
	})
}

func TestStore(t *testing.T) {
	servers(t, func(t *testing.T, bucket func(*testing.T) string) {
		blobtest.Run(t, func(t *testing.T) blob.Store { return open(t, bucket(t), quick(nil)) })
	})
}

// A store under a prefix is its own: it sees nothing beside it, and is not seen.
func TestPrefix(t *testing.T) {
	servers(t, func(t *testing.T, bucket func(*testing.T) string) {
		at := bucket(t)
		under := func(prefix string) *Store {
			return open(t, strings.Replace(at, "?", "/"+prefix+"?", 1), quick(nil))
		}
		whole, a, ab := open(t, at, quick(nil)), under("a/lake"), under("a/lake2/")
		for i, s := range []*Store{whole, a, ab} {
			if err := s.Put(t.Context(), "k/1", strings.NewReader(fmt.Sprint("store ", i))); err != nil {
				t.Fatal(err)
			}
		}
		for i, s := range []*Store{whole, a, ab} {
			if b, err := read(t.Context(), s, "k/1"); err != nil || string(b) != fmt.Sprint("store ", i) {
				t.Errorf("store %d: %q, %v", i, b, err)
			}
		}
		if got := keys(t, a, "", ""); !slices.Equal(got, []string{"k/1"}) {
			t.Errorf("under the prefix: %q", got)
		}
		if got := keys(t, whole, "a", "a/lake"); !slices.Equal(got, []string{"a/lake/k/1", "a/lake2/k/1"}) {
			t.Errorf("in the bucket: %q", got)
		}
		long := arbalest.Key(strings.Repeat("d/", 511) + "d")
		if err := a.Put(t.Context(), long, strings.NewReader("")); !errors.Is(err, arbalest.ErrInvalid) {
			t.Errorf("a key that is too long with the prefix: %v", err)
		}
		if a.Bucket() != whole.Bucket() || a.Prefix() != "a/lake" || a.URL("x/y") != "s3://"+a.Bucket()+"/a/lake/x/y" || whole.URL("x") != "s3://"+a.Bucket()+"/x" || a.Region() != "us-east-1" {
			t.Errorf("place: %q %q %q %q", a.Bucket(), a.Prefix(), a.URL("x/y"), a.Region())
		}
	})
}

// Large bodies go in parts and come in ranges, whatever their size is against
// those of parts and ranges.
func TestLarge(t *testing.T) {
	servers(t, func(t *testing.T, bucket func(*testing.T) string) {
		opts := quick(nil)
		opts.SingleBytes = 1 << 20
		s := open(t, bucket(t), opts)
		content := make([]byte, 12<<20)
		rand.NewChaCha8([32]byte{}).Read(content)
		for _, size := range []int{1 << 20, 1<<20 + 1, 5 << 20, 12 << 20} {
			key, body := arbalest.Key(fmt.Sprint("k", size)), bytes.NewReader(content[:size])
			if err := s.Create(t.Context(), key, body); err != nil {
				t.Fatal(err)
			}
			if err := s.Create(t.Context(), key, body); !errors.Is(err, arbalest.ErrExists) {
				t.Errorf("second create of %d bytes: %v", size, err)
			}
			if b, err := read(t.Context(), s, key); err != nil || !bytes.Equal(b, content[:size]) {
				t.Errorf("%d bytes: %d, %v", size, len(b), err)
			}
			if err := s.Put(t.Context(), key, bytes.NewReader(content[1:size])); err != nil {
				t.Fatal(err)
			}
			if b, err := read(t.Context(), s, key); err != nil || !bytes.Equal(b, content[1:size]) {
				t.Errorf("%d bytes, put: %d, %v", size, len(b), err)
			}
		}
		for range 15 {
			from := rand.IntN(12<<20 - 1)
			length := rand.IntN(12 << 20)
			r, err := s.Get(t.Context(), "k12582912", int64(from), int64(length))
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(b, content[1:][from:min(from+length, len(content)-1)]) {
				t.Errorf("%d+%d: %d bytes, %v", from, length, len(b), err)
			}
			r.Close()
		}
		r, err := s.Get(t.Context(), "k12582912", 0, blob.Whole)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, r, 3<<20); err != nil || r.Close() != nil { // in the middle
			t.Error(err)
		}
		if _, err := r.Read(make([]byte, 1)); err == nil {
			t.Error("a closed reader reads")
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	at := s3test.Fake(t)
	for _, c := range []struct {
		url, says string
		err       error
	}{
		{"", "s3://bucket/prefix", arbalest.ErrInvalid},
		{"http://lake", "s3://bucket/prefix", arbalest.ErrInvalid},
		{"s3://", "s3://bucket/prefix", arbalest.ErrInvalid},
		{"s3:///lake", "s3://bucket/prefix", arbalest.ErrInvalid},
		{"s3://lake?enpoint=http://x", `"enpoint" is unknown; there are endpoint`, arbalest.ErrInvalid},
		{"s3://lake?endpoint=127.0.0.1:1", "http://host:port", arbalest.ErrInvalid},
		{"s3://lake?path_style=maybe", "not true or false", arbalest.ErrInvalid},
		{"s3://lake?region=", "region is to have one value", arbalest.ErrInvalid},
		{"s3://lake?region=a&region=b", "region is to have one value", arbalest.ErrInvalid},
		{"s3://key:hush@lake", "take them out", arbalest.ErrInvalid},
		{"s3://lake?endpoint=http://key:hush@x", "http://host:port", arbalest.ErrInvalid},
		{"s3://lake/a//b", "empty part", arbalest.ErrInvalid},
		{"s3://lake/a#b", "%23", arbalest.ErrInvalid},
		{strings.Replace(at, "lake", "pond", 1), "no bucket pond at http://127", arbalest.ErrUnknown},
		{"s3://lake?endpoint=http://127.0.0.1:1", "can be reached", arbalest.ErrUnavailable},
	} {
		_, err := Open(t.Context(), c.url, quick(nil))
		if !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "hush") {
			t.Errorf("open %s: %v; want %v, %q", c.url, err, c.err, c.says)
		}
	}
}

// Secrets are in no message.
func TestCredentials(t *testing.T) {
	at := s3test.Fake(t)
	t.Setenv("AWS_SESSION_TOKEN", "hush")
	s := open(t, at, quick(nil))
	c, err := s.Credentials(t.Context())
	if err != nil || c.AccessKey != s3test.AccessKey || c.Secret != s3test.SecretKey || c.SessionToken != "hush" {
		t.Error(err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(format, c); strings.Contains(text, "hush") || strings.Contains(text, s3test.SecretKey) {
			t.Errorf("%s prints %s", format, text)
		}
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	if _, err := Open(t.Context(), at, quick(nil)); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "set AWS_ACCESS_KEY_ID") {
		t.Errorf("without credentials: %v", err)
	}
}

func TestWrongSecret(t *testing.T) {
	at := s3test.Start(t)
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong")
	_, err := Open(t.Context(), at, quick(nil))
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "check AWS_SECRET_ACCESS_KEY") {
		t.Errorf("wrong secret: %v", err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "nobody")
	_, err = Open(t.Context(), at, quick(nil))
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "check AWS_ACCESS_KEY_ID") {
		t.Errorf("wrong key: %v", err)
	}
}

// A transport answers every request itself, with nothing.
type transport struct{ asked []*http.Request }

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	t.asked = append(t.asked, r)
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}

// What the server is told of a body, also over TLS; and where AWS's own is.
func TestRequests(t *testing.T) {
	s3test.Fake(t) // for its credentials
	for _, c := range []struct{ store, url string }{
		{"s3://lake/p?region=eu-west-1", "https://lake.s3.eu-west-1.amazonaws.com/p/a/k%20"},
		{"s3://lake/p?region=eu-west-1&path_style=true", "https://s3.eu-west-1.amazonaws.com/lake/p/a/k%20"},
		{"s3://lake?endpoint=https://s3.example:444", "https://s3.example:444/lake/a/k%20"},
		{"s3://lake?endpoint=http://s3.example&path_style=false", "http://lake.s3.example/a/k%20"},
	} {
		seen := &transport{}
		s := open(t, c.store, Options{NoProbe: true, HTTPClient: &http.Client{Transport: seen}})
		if err := s.Create(t.Context(), "a/k ", strings.NewReader("body")); err != nil {
			t.Fatal(err)
		}
		r := seen.asked[0]
		url, _, _ := strings.Cut(r.URL.String(), "?")
		if sum := fmt.Sprintf("%x", sha256.Sum256([]byte("body"))); url != c.url || r.Header.Get("X-Amz-Content-Sha256") != sum || r.Header.Get("If-None-Match") != "*" || r.ContentLength != 4 {
			t.Errorf("%s: %s %v", c.store, url, r.Header)
		}
	}
}

// An endpoint in the environment is used, and one in the URL goes before it.
func TestEndpointOfEnvironment(t *testing.T) {
	at := s3test.Fake(t)
	_, endpoint, _ := strings.Cut(at, "endpoint=")
	endpoint, _, _ = strings.Cut(endpoint, "&")
	t.Setenv("AWS_ENDPOINT_URL_S3", endpoint)
	if s := open(t, "s3://lake", quick(nil)); s.Endpoint() != endpoint {
		t.Errorf("endpoint: %s", s.Endpoint())
	}
	t.Setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
	open(t, at, quick(nil))
}

// The folder of another key is a key where the server has no folders, else it is
// invalid; either way nothing is lost.
func TestFolderOfAnother(t *testing.T) {
	servers(t, func(t *testing.T, bucket func(*testing.T) string) {
		s := open(t, bucket(t), quick(nil))
		for _, pair := range [][2]arbalest.Key{{"a/b", "a/b/c"}, {"x/y/z", "x/y"}} {
			if err := s.Create(t.Context(), pair[0], strings.NewReader("first")); err != nil {
				t.Fatal(err)
			}
			for _, write := range []func(context.Context, arbalest.Key, io.ReadSeeker) error{s.Create, s.Put} {
				err := write(t.Context(), pair[1], strings.NewReader("second"))
				if err != nil && !errors.Is(err, arbalest.ErrInvalid) && !errors.Is(err, arbalest.ErrExists) {
					t.Errorf("%s beside %s: %v", pair[1], pair[0], err)
				}
				t.Logf("%s beside %s: %v", pair[1], pair[0], err)
			}
			if b, err := read(t.Context(), s, pair[0]); err != nil || string(b) != "first" {
				t.Errorf("%s: %q, %v", pair[0], b, err)
			}
		}
	})
}

func read(ctx context.Context, s blob.Store, key arbalest.Key) ([]byte, error) {
	r, err := s.Get(ctx, key, 0, blob.Whole)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func keys(t *testing.T, s blob.Store, prefix, after arbalest.Key) (keys []string) {
	t.Helper()
	for info, err := range s.List(t.Context(), prefix, after) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, string(info.Key))
	}
	return keys
}

func listUploads(s *Store) *sdk.ListMultipartUploadsInput {
	return &sdk.ListMultipartUploadsInput{Bucket: &s.bucket}
}
