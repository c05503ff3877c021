package web

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"arbalest"
	"arbalest/internal/archive"
)

// A still is a fake whose verification is given.
type still struct {
	fake
	v Verification
}

func (s *still) Verification(ctx context.Context) (Verification, error) { return s.v, s.err }

func TestVerifySaysHowItStands(t *testing.T) {
	asked := Asked{Command: "arbalest verify --sample 500 --seed 7", Page: true, Begun: then}
	well := archive.Report{Head: 9, Through: 9, Objects: 5, Listed: 7, Tables: []archive.TableReport{{Event: "a.b", Table: "a_b", Stored: 12, Distinct: 11, Rows: 10, Errors: 1}}}
	differs := well
	differs.Through, differs.Sample, differs.Content = 8, &archive.Sampled{Partitions: 2, Of: 3, Objects: 4, OfObjects: 5}, true
	differs.Tables = append(differs.Tables, archive.TableReport{Event: "c.d", Table: "c_d", Findings: map[archive.Kind]int64{archive.Extra: 3}, Hours: []archive.HourReport{{Hour: "2026-01-02/03", Events: 5, Rows: 8}}})
	differs.Found = map[archive.Kind]int64{archive.Extra: 3, archive.Orphan: 1}
	differs.Findings = []archive.Finding{{Kind: archive.Orphan, Object: "x/y", What: "nobody knows it"}, {Kind: archive.Extra, Event: "c.d", Table: "c_d", Hour: "2026-01-02/03", ID: "i", What: "a row too many"}}
	cold := well
	cold.Frozen = &archive.Frozen{Objects: 12, Events: 4321, Listed: []arbalest.Key{"a.b/2015-08-18/06/1.ndjson.zst"}}
	const begin, stop = `<form class="filter" method="post" action="/verify">`, `<form method="post" action="/verify/stop">`
	for _, c := range []struct {
		name  string
		v     Verification
		has   []string
		lacks []string
	}{
		{"never", Verification{}, []string{begin, "None was made yet", "curl -d"}, []string{stop, "agree", "differ"}},
		{"the first goes on", Verification{Now: &Verifying{Asked: asked, Objects: 4321}}, []string{stop, "4\u202f321 objects were read so far", "on this page", asked.Command}, []string{begin, "None was made yet", "the last time"}},
		{"it waits", Verification{Now: &Verifying{Asked: asked, Waits: true}}, []string{stop, "waits until a load has ended"}, []string{begin, "read so far"}},
		{"well", Verification{Last: &Verified{Asked: asked, Seconds: 2.5, Report: well}}, []string{begin, "Store and warehouse agree", "2015-08-18 06:36:40", "2.5\u00a0s", "up to commit 9<", "7 objects looked for", `href="/tables/a_b"`, ">none<"}, []string{stop, "differ", "What differs", "every column’s value of", "Not looked at"}},
		{"some is frozen", Verification{Last: &Verified{Asked: asked, Report: cold}}, []string{"Store and warehouse agree in all that was looked at", "12 objects with 4\u202f321 events", "a.b/2015-08-18/06/1.ndjson.zst", "arbalest restore"}, []string{"differ"}},
		{"as the last", Verification{Last: &Verified{Asked: asked, Report: well}, Now: &Verifying{Asked: asked, Objects: 1}}, []string{"1 objects were read so far, and 5 the last time", "Store and warehouse agree"}, []string{begin}},
		{"it differs", Verification{Last: &Verified{Asked: asked, Report: differs}}, []string{
			"Store and warehouse differ", `<dd class="bad">4<`, "up to commit 8 of 9", "2 of 3 partitions", "every column’s value of", "nobody knows it", "x/y", "store and log",
			"arbalest rebuild c_d", "delete it", "a row too many", "2026-01-02/03", `<td class="n">8<`, ">3 extra<",
		}, []string{"agree", "more are left out"}},
		{"it failed", Verification{Last: &Verified{Asked: asked, Report: well}, Failed: &VerifyFailure{asked, "the store is away"}}, []string{begin, `role="alert"`, "has no result: the store is away", "agree"}, nil},
		{"the file is damaged", Verification{Failed: &VerifyFailure{Why: "no JSON"}}, []string{begin, "is not to be had: no JSON"}, []string{"asked for"}},
	} {
		_, body := ask(t, newSite(t, &still{v: c.v}), "GET", "/verify", "")
		for _, want := range c.has {
			if !strings.Contains(body, want) {
				t.Errorf("%s: it does not have %q:\n%s", c.name, want, body)
			}
		}
		for _, not := range c.lacks {
			if strings.Contains(body, not) {
				t.Errorf("%s: it has %q:\n%s", c.name, not, body)
			}
		}
	}
}

func TestVerifyLeavesOutWhatIsMuch(t *testing.T) {
	_, body := ask(t, newSite(t, &fake{full: true}), "GET", "/verify", "")
	if strings.Count(body, "3 more are left out") != 2 || !strings.Contains(body, "4\u202f321") || strings.Contains(body, "\x1b") {
		t.Error(body)
	}
	extra, none := strings.Index(body, ">3 extra<"), strings.Index(body, ">none<")
	if extra < 0 || none < extra {
		t.Error("a table with findings is not before one without")
	}
}

func TestVerifyIsBegunByTheFormAlone(t *testing.T) {
	f := &fake{}
	s := newSite(t, f)
	for _, path := range []string{"/verify", "/verify/stop"} {
		if r, _ := ask(t, s, "POST", path, "x=1", "Sec-Fetch-Site", "cross-site"); r.StatusCode != 403 {
			t.Errorf("%s of another site: %s", path, r.Status)
		}
		if r, _ := ask(t, s, "POST", path, "x=1", "Host", "evil.example"); r.StatusCode != 421 {
			t.Errorf("%s for another host: %s", path, r.Status)
		}
	}
	if _, _ = ask(t, s, "GET", "/verify?sample=5%25", ""); len(f.verified) > 0 {
		t.Fatalf("what must not begin one did: %q", f.verified)
	}
	for _, c := range [][2]string{{"/verify", "sample=+5%25+&content=1"}, {"/verify", "sample="}, {"/verify/stop", "x=1"}} {
		if r, _ := ask(t, s, "POST", c[0], c[1], "Sec-Fetch-Site", "same-origin"); r.StatusCode != 303 || r.Header.Get("Location") != "/verify" {
			t.Errorf("%v: %s to %s", c, r.Status, r.Header.Get("Location"))
		}
	}
	if want := []string{"5%true", "false", "stop"}; !slices.Equal(f.verified, want) {
		t.Errorf("%q, want %q", f.verified, want)
	}
	f.err = fmt.Errorf("%w sample", arbalest.ErrInvalid)
	if r, body := ask(t, s, "POST", "/verify", "sample=x"); r.StatusCode != 400 || !strings.Contains(body, "invalid sample") {
		t.Errorf("a sample that is none: %s", r.Status)
	}
}
