package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/blob/blobtest"
	"arbalest/internal/s3/s3test"
)

// The server of these tests answers as documented: see s3test.Cold.

func TestTiered(t *testing.T) {
	for name, copyBytes := range map[string]int64{"whole": 0, "parts": 50_000} {
		t.Run(name, func(t *testing.T) {
			blobtest.RunTiered(t, func(t *testing.T) (blob.Tiered, func(time.Duration)) {
				server := s3test.Cold(t)
				opts := quick(nil)
				opts.CopyBytes = copyBytes
				return open(t, server.URL, opts), server.Advance
			})
		})
	}
}

// A server with classes is a store as any.
func TestColdServer(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return open(t, s3test.Cold(t).URL, quick(nil)) })
}

var frozenBody = strings.Repeat("arbalest", blob.MinFrozen/8)

func put(t *testing.T, s blob.Store, key arbalest.Key) {
	t.Helper()
	if err := s.Create(t.Context(), key, strings.NewReader(frozenBody)); err != nil {
		t.Fatal(err)
	}
}

// What the server is asked for, in the order of it.
func TestTieredRequests(t *testing.T) {
	server, faults := s3test.Cold(t), s3test.NewFaulty()
	opts := quick(faults)
	opts.NoProbe = true
	s := open(t, server.URL, opts)
	put(t, s, "k")
	wish := blob.Thaw{Days: 3, Speed: blob.Bulk}
	for _, c := range []struct {
		do   func() error
		want []string
	}{
		{func() error { return s.Freeze(t.Context(), "k", blob.DeepArchive) }, []string{"HEAD lake/k", "PUT lake/k", "HEAD lake/k"}},
		{func() error { return s.Freeze(t.Context(), "k", blob.DeepArchive) }, []string{"HEAD lake/k"}},
		{func() error { return s.Thaw(t.Context(), "k", wish) }, []string{"HEAD lake/k", "POST lake/k restore"}},
		{func() error { return s.Thaw(t.Context(), "k", wish) }, []string{"HEAD lake/k"}},
		{func() error { _, err := s.Describe(t.Context(), "k"); return err }, []string{"HEAD lake/k"}},
	} {
		before := len(faults.Asked())
		if err := c.do(); err != nil {
			t.Fatal(err)
		}
		if got := faults.Asked()[before:]; !slices.Equal(got, c.want) {
			t.Errorf("asked for %q, want %q", got, c.want)
		}
	}
}

// A reply that is lost is found to have been one, wherever it is lost.
func TestTieredLostReplies(t *testing.T) {
	for _, kind := range []s3test.Kind{s3test.LostReply, s3test.Refused, s3test.Status} {
		for _, copyBytes := range []int64{0, 50_000} {
			for nth := 1; nth <= 9; nth++ { // as many requests as there are, in parts
				server := s3test.Cold(t)
				plain := open(t, server.URL, quick(nil))
				put(t, plain, "k")
				faults := s3test.NewFaulty(s3test.Fault{Key: "lake/k", Nth: nth, Kind: kind})
				opts := quick(faults)
				opts.CopyBytes, opts.NoProbe = copyBytes, true
				s := open(t, server.URL, opts)
				if err := s.Freeze(t.Context(), "k", blob.Glacier); err != nil {
					t.Errorf("%d of request %d, parts of %d: freeze: %v", kind, nth, copyBytes, err)
				}
				if err := s.Thaw(t.Context(), "k", blob.Thaw{Days: 1}); err != nil {
					t.Errorf("%d of request %d, parts of %d: thaw: %v", kind, nth, copyBytes, err)
				}
				if state, err := plain.Describe(t.Context(), "k"); err != nil || state.Class != blob.Glacier || !state.Thawing {
					t.Errorf("%d of request %d, parts of %d: %+v, %v", kind, nth, copyBytes, state, err)
				}
				server.Advance(5 * time.Hour)
				if b, err := read(t.Context(), plain, "k"); err != nil || string(b) != frozenBody {
					t.Errorf("%d of request %d, parts of %d: %d bytes, %v", kind, nth, copyBytes, len(b), err)
				}
				if up, err := plain.client.ListMultipartUploads(t.Context(), listUploads(plain)); err == nil && len(up.Uploads) > 0 && kind != s3test.LostReply {
					t.Errorf("%d of request %d, parts of %d: %d uploads are left", kind, nth, copyBytes, len(up.Uploads))
				}
			}
		}
	}
}

// What is written or deleted while it is frozen wins.
func TestFreezeRaces(t *testing.T) {
	for _, copyBytes := range []int64{0, 50_000} {
		for name, c := range map[string]struct {
			then func(*Store) error
			want error
			left string
		}{
			"overwritten": {func(s *Store) error { return s.Put(context.Background(), "k", strings.NewReader("new")) }, arbalest.ErrUnavailable, "new"},
			"deleted":     {func(s *Store) error { return s.Delete(context.Background(), "k") }, arbalest.ErrUnknown, ""},
		} {
			server := s3test.Cold(t)
			plain := open(t, server.URL, quick(nil))
			// Between the look at it and the copy, between two of three parts, and before
			// they are put together.
			for _, fault := range []s3test.Fault{{Method: "HEAD"}, {Method: "PUT", Query: "partNumber"}, {Method: "PUT", Query: "partNumber", Nth: 3}} {
				if fault.Query != "" && copyBytes == 0 {
					continue
				}
				put(t, plain, "k")
				fault.Key, fault.Kind = "lake/k", s3test.Done
				fault.Then = func() {
					if err := c.then(plain); err != nil {
						t.Error(err)
					}
				}
				opts := quick(s3test.NewFaulty(fault))
				opts.CopyBytes, opts.NoProbe, opts.Parallel = copyBytes, true, 1
				if err := open(t, server.URL, opts).Freeze(t.Context(), "k", blob.Glacier); !errors.Is(err, c.want) {
					t.Errorf("%s: %v; want %v", name, err, c.want)
				}
				b, err := read(t.Context(), plain, "k")
				if string(b) != c.left || err != nil && !errors.Is(err, arbalest.ErrUnknown) {
					t.Errorf("%s: %d bytes are left, %v; want %q", name, len(b), err, c.left)
				}
				if err := plain.Delete(t.Context(), "k"); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// A listener keeps the requests that pass.
type listener struct {
	mu    sync.Mutex
	asked []*http.Request
}

func (l *listener) RoundTrip(r *http.Request) (*http.Response, error) {
	l.mu.Lock()
	l.asked = append(l.asked, r)
	l.mu.Unlock()
	return http.DefaultTransport.RoundTrip(r)
}

// What comes with an object stays with it: S3 copies its metadata, but for parts,
// with which it has to be sent.
func TestFreezeKeepsMetadata(t *testing.T) {
	server, seen := s3test.Cold(t), &listener{}
	opts := quick(nil)
	opts.CopyBytes, opts.HTTPClient = 50_000, &http.Client{Transport: seen}
	s := open(t, server.URL, opts)
	put(t, s, "k")
	if err := s.Freeze(t.Context(), "k", blob.Glacier); err != nil {
		t.Fatal(err)
	}
	var was, begun string
	for _, r := range seen.asked {
		switch {
		case r.URL.Query().Has("uploads"):
			begun = r.Header.Get("X-Amz-Meta-" + mark)
		case r.Method == http.MethodPut && r.Header.Get("X-Amz-Copy-Source") == "" && strings.HasSuffix(r.URL.Path, "/k"):
			was = r.Header.Get("X-Amz-Meta-" + mark)
		}
	}
	if was == "" || begun != was {
		t.Errorf("metadata %q was, %q is", was, begun)
	}
}

// An object that is frozen while it is read fails with what to do, and at once.
func TestFrozenWhileRead(t *testing.T) {
	server := s3test.Cold(t)
	plain := open(t, server.URL, quick(nil))
	body := strings.Repeat("x", 3<<20)
	if err := plain.Put(t.Context(), "k", strings.NewReader(body)); err != nil {
		t.Fatal(err)
	}
	faults := s3test.NewFaulty(s3test.Fault{Method: "GET", Key: "lake/k", Kind: s3test.Cut, After: 1000, Nth: 1})
	opts := quick(faults)
	opts.NoProbe, opts.MaxBackoff = true, time.Millisecond
	s := open(t, server.URL, opts)
	r, err := s.Get(t.Context(), "k", 0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := plain.Freeze(t.Context(), "k", blob.Glacier); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, r); !errors.Is(err, arbalest.ErrCold) || !strings.Contains(err.Error(), "read k at 1000") {
		t.Errorf("read: %v", err)
	}
	if asked := faults.Asked(); len(asked) != 2 {
		t.Errorf("asked for %q", asked)
	}
}

func TestTieredErrors(t *testing.T) {
	server := s3test.Cold(t)
	plain := open(t, server.URL, quick(nil))
	put(t, plain, "k")
	if err := plain.Freeze(t.Context(), "k", blob.Glacier); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		status    int
		code      string
		want      error
		says      string
		operation func(*Store) error
	}{
		{503, "GlacierExpeditedRetrievalNotAvailable", arbalest.ErrUnavailable, "ask for Standard", func(s *Store) error { return s.Thaw(t.Context(), "k", blob.Thaw{Days: 1, Speed: blob.Expedited}) }},
		{403, "AccessDenied", fs.ErrPermission, "s3:RestoreObject", func(s *Store) error { return s.Thaw(t.Context(), "k", blob.Thaw{Days: 1}) }},
		{501, "NotImplemented", arbalest.ErrInvalid, "lacks", func(s *Store) error { return s.Thaw(t.Context(), "k", blob.Thaw{Days: 1}) }},
		{403, "AccessDenied", fs.ErrPermission, "s3:PutLifecycleConfiguration", func(s *Store) error { return s.SetRules(t.Context(), nil) }},
		{403, "InvalidObjectState", arbalest.ErrCold, "arbalest restore", func(s *Store) error { _, err := read(t.Context(), s, "k"); return err }},
	} {
		faults := s3test.NewFaulty(s3test.Fault{Method: "POST", Kind: s3test.Status, Status: c.status, Code: c.code, Times: -1},
			s3test.Fault{Method: "GET", Query: "lifecycle", Kind: s3test.Status, Status: c.status, Code: c.code, Times: -1})
		opts := quick(faults)
		opts.NoProbe = true
		err := c.operation(open(t, server.URL, opts))
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v; want %v, %q", c.code, err, c.want, c.says)
		}
	}
}

// Servers that have no classes say so, or are found out.
func TestNoClasses(t *testing.T) {
	servers(t, func(t *testing.T, bucket func(*testing.T) string) {
		s := open(t, bucket(t), quick(nil))
		put(t, s, "k")
		if state, err := s.Describe(t.Context(), "k"); err != nil || state.Class != blob.Standard || state.Frozen {
			t.Errorf("%+v, %v", state, err)
		}
		if err := s.Thaw(t.Context(), "k", blob.Thaw{Days: 1}); err != nil {
			t.Errorf("thaw of what is not frozen: %v", err)
		}
		err := s.Freeze(t.Context(), "k", blob.DeepArchive)
		t.Logf("freeze: %v", err)
		if b, readErr := read(t.Context(), s, "k"); readErr != nil || string(b) != frozenBody {
			t.Errorf("after freeze (%v): %d bytes, %v", err, len(b), readErr)
		}
		_, err = s.Rules(t.Context())
		t.Logf("rules: %v", err)
	})
}

func TestParseRestore(t *testing.T) {
	day := time.Date(2012, 12, 21, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		header  string
		ongoing bool
		until   time.Time
		bad     bool
	}{
		{"", false, time.Time{}, false},
		{`ongoing-request="true"`, true, time.Time{}, false},
		{`ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT"`, false, day, false},
		{`ongoing-request="false", expiry-date="tomorrow"`, false, time.Time{}, true},
	} {
		ongoing, until, err := parseRestore(c.header)
		if ongoing != c.ongoing || !until.Equal(c.until) || (err != nil) != c.bad {
			t.Errorf("%s: %t, %v, %v", c.header, ongoing, until, err)
		}
	}
}

// others is a configuration with rules of all kinds, and what nobody knows yet.
const others = `<?xml version="1.0" encoding="UTF-8"?>
<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
<Rule><ID>old logs &amp; more</ID><Prefix>logs/</Prefix><Status>Enabled</Status><Expiration><Days>30</Days></Expiration><Novelty a="1">of 2031</Novelty></Rule>
<Rule><ID>arbalest-by-hand</ID><Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter><Status>Disabled</Status><NoncurrentVersionTransition><NoncurrentDays>9</NoncurrentDays><StorageClass>GLACIER</StorageClass></NoncurrentVersionTransition></Rule>
<Rule><Filter><Prefix></Prefix></Filter><Status>Enabled</Status><AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>
</LifecycleConfiguration>`

// kept are the rules of others, byte for byte.
func kept() (rules []string) {
	for line := range strings.Lines(others) {
		if strings.HasPrefix(line, "<Rule>") {
			rules = append(rules, strings.TrimSpace(line))
		}
	}
	return rules
}

func TestRules(t *testing.T) {
	for name, first := range map[string]string{"none": "", "others": others} {
		t.Run(name, func(t *testing.T) {
			server, faults := s3test.Cold(t), s3test.NewFaulty()
			opts := quick(faults)
			opts.NoProbe = true
			under := func(prefix string) *Store { return open(t, strings.Replace(server.URL, "?", prefix+"?", 1), opts) }
			whole, sub := under(""), under("/a+b/la ke")
			minimum := "all_storage_classes_128K"
			if first != "" {
				minimum = "varies_by_storage_class"
			}
			server.SetLifecycle(first, minimum)
			set := func(s *Store, rules ...Rule) {
				t.Helper()
				if err := s.SetRules(t.Context(), rules); err != nil {
					t.Fatal(err)
				}
				before := len(faults.Asked())
				slices.Reverse(rules)
				if err := s.SetRules(t.Context(), rules); err != nil { // again
					t.Fatal(err)
				}
				if got := faults.Asked()[before:]; !slices.Equal(got, []string{"GET lake lifecycle"}) {
					t.Errorf("set again: asked for %q", got)
				}
				got, err := s.Rules(t.Context())
				slices.SortFunc(rules, func(a, b Rule) int { return strings.Compare(string(a.Folder), string(b.Folder)) })
				if err != nil || !slices.Equal(got, rules) {
					t.Errorf("rules: %v, %v; want %v", got, err, rules)
				}
				config, now := server.Lifecycle()
				if first != "" {
					for _, rule := range kept() {
						if strings.Count(config, rule) != 1 {
							t.Errorf("not as it was: %s\nin %s", rule, config)
						}
					}
				}
				if now != minimum {
					t.Errorf("minimum: %s, was %s", now, minimum)
				}
			}
			created, deleted := Rule{"user.created", 730, blob.DeepArchive}, Rule{"user.deleted", 90, blob.Glacier}
			set(whole, created, deleted)
			config, _ := server.Lifecycle()
			want := `<Rule><ID>arbalest-user.created/</ID><Filter><And><Prefix>user.created/</Prefix><ObjectSizeGreaterThan>131071</ObjectSizeGreaterThan></And></Filter><Status>Enabled</Status><Transition><Days>730</Days><StorageClass>DEEP_ARCHIVE</StorageClass></Transition></Rule>`
			if !strings.Contains(config, want) {
				t.Errorf("no %s\nin %s", want, config)
			}
			set(sub, Rule{"user.created", 1, blob.GlacierInstant})
			set(whole, deleted) // one goes, and the other lake's stays
			if rules, err := sub.Rules(t.Context()); err != nil || len(rules) != 1 {
				t.Errorf("the other lake: %v, %v", rules, err)
			}
			deleted.Days = 91
			set(whole, deleted)
			set(whole)
			set(sub)
			if config, _ := server.Lifecycle(); first == "" && config != "" {
				t.Errorf("left: %s", config)
			}
		})
	}
}

func TestRulesRefuse(t *testing.T) {
	server := s3test.Cold(t)
	s := open(t, server.URL, quick(nil))
	long := open(t, strings.Replace(server.URL, "?", "/"+strings.Repeat("p", 240)+"?", 1), quick(nil))
	good := Rule{"user.created", 730, blob.DeepArchive}
	many := strings.Replace(others, "</LifecycleConfiguration>", strings.Repeat("<Rule><Prefix>x</Prefix><Status>Enabled</Status></Rule>", 997)+"</LifecycleConfiguration>", 1)
	strange := strings.Replace(others, "</LifecycleConfiguration>", "<Motto>x</Motto></LifecycleConfiguration>", 1)
	for _, c := range []struct {
		store  *Store
		config string
		rules  []Rule
		says   string
	}{
		{s, others, []Rule{{"", 1, blob.Glacier}}, "empty part"},
		{s, others, []Rule{{"_log", 1, blob.Glacier}}, "not an event's folder"},
		{s, others, []Rule{{"a/2015-08-18", 1, blob.Glacier}}, "not an event's folder"},
		{s, others, []Rule{{"a", 0, blob.Glacier}}, "1 is the least"},
		{s, others, []Rule{{"a", 1, blob.Standard}}, "use GLACIER_IR"},
		{s, others, []Rule{good, good}, "two rules"},
		{long, others, []Rule{good}, "shorter prefix"},
		{s, many, []Rule{good}, "1,000"},
		{s, strange, []Rule{good}, "Motto"},
	} {
		server.SetLifecycle(c.config, "varies_by_storage_class")
		err := c.store.SetRules(t.Context(), c.rules)
		if !errors.Is(err, arbalest.ErrInvalid) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("set %v: %v; want %q", c.rules, err, c.says)
		}
		if now, minimum := server.Lifecycle(); now != c.config || minimum != "varies_by_storage_class" {
			t.Errorf("set %v changed the configuration", c.rules)
		}
	}
}

// A rule of ours that somebody changed is set right.
func TestRulesByHand(t *testing.T) {
	server := s3test.Cold(t)
	s := open(t, server.URL, quick(nil))
	rules := []Rule{{"user.created", 730, blob.DeepArchive}}
	if err := s.SetRules(t.Context(), rules); err != nil {
		t.Fatal(err)
	}
	want, minimum := server.Lifecycle()
	for _, change := range [][2]string{{"Enabled", "Disabled"}, {"131071", "0"}, {"730", "1"}, {"<Prefix>user.created/", "<Prefix>user"}} {
		server.SetLifecycle(strings.Replace(want, change[0], change[1], 1), minimum)
		if err := s.SetRules(t.Context(), rules); err != nil {
			t.Fatal(err)
		}
		if got, _ := server.Lifecycle(); got != want {
			t.Errorf("after %s: %s", change, got)
		}
	}
}

// How requests look to AWS's own.
func TestTieredOnAWS(t *testing.T) {
	s3test.Fake(t) // for its credentials
	seen := &transport{}
	s := open(t, "s3://lake/p?region=eu-west-1", Options{NoProbe: true, HTTPClient: &http.Client{Transport: seen}})
	_ = s.Thaw(t.Context(), "a+ b", blob.Thaw{Days: 1})
	if got := fmt.Sprint(seen.asked[0].Method, " ", seen.asked[0].URL); got != "HEAD https://lake.s3.eu-west-1.amazonaws.com/p/a%2B%20b" {
		t.Error(got)
	}
	if got := *s.copySource(s.full("ä+ b%/c")); got != "lake/p/%C3%A4%2B%20b%25/c" {
		t.Error(got)
	}
}
