package web

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"arbalest"
	"arbalest/internal/archive"
)

// A VerifySource compares store and warehouse.
type VerifySource interface {
	// Verification returns what came of the newest verification, and how far the one
	// has come that goes on.
	Verification(ctx context.Context) (Verification, error)
	// Verify begins a verification, unless one goes on, which goes on when Verify has
	// returned. A sample is a share ("5%") or a number of objects ("500"), none is
	// everything; content compares values, too. The error wraps arbalest.ErrInvalid
	// if the sample is neither.
	Verify(ctx context.Context, sample string, content bool) error
	// StopVerify has the one that goes on end soon.
	StopVerify(ctx context.Context) error
}

// A Verification is how the proof stands.
type Verification struct {
	Last   *Verified      // the newest that came to an end; nil if none did
	Now    *Verifying     // the one that goes on; nil if none does
	Failed *VerifyFailure // of the one after Last; nil if there is none
}

// Asked is what a verification was asked for.
type Asked struct {
	Command string // that asks for the same
	Page    bool   // it was asked for on the page, and not by a command
	Begun   time.Time
}

// A Verified is what a verification found.
type Verified struct {
	Asked
	Seconds float64
	archive.Report
}

// A Verifying is how far a verification has come.
type Verifying struct {
	Asked
	Waits   bool  // for a load to end
	Objects int64 // that were read
}

// A VerifyFailure is why a verification did not come to an end, or is not kept.
type VerifyFailure struct {
	Asked // the zero value if it is not known what of
	Why   string
}

// verifyShown is how many lines each table of the page has at most.
const verifyShown = 200

// A verifyGroup counts findings of a kind, of an event or of none.
type verifyGroup struct {
	Kind   archive.Kind
	Event  arbalest.EventName
	Table  string
	Count  int64
	Advice string
}

// A verifyHour is an hour of an event's that differs.
type verifyHour struct {
	Event arbalest.EventName
	archive.HourReport
}

// A shown is the first of what there is.
type shown[T any] struct {
	Lines []T
	Left  int
}

func first[T any](all []T) shown[T] {
	n := min(len(all), verifyShown)
	return shown[T]{all[:n], len(all) - n}
}

// A verifyPage is what verify.html is given.
type verifyPage struct {
	Verification
	Sum    archive.TableReport // of all tables
	Found  int64               // findings
	Groups shown[verifyGroup]
	Tables shown[archive.TableReport] // those with findings first
	Hours  shown[verifyHour]
	Listed shown[archive.Finding]
}

func newVerifyPage(v Verification) verifyPage {
	p := verifyPage{Verification: v}
	if v.Last == nil {
		return p
	}
	r := v.Last.Report
	var hours []verifyHour
	var groups []verifyGroup
	rest := map[archive.Kind]int64{} // what is of no table
	maps.Copy(rest, r.Found)
	for _, t := range r.Tables {
		p.Sum.Stored, p.Sum.Distinct, p.Sum.Rows, p.Sum.Errors = p.Sum.Stored+t.Stored, p.Sum.Distinct+t.Distinct, p.Sum.Rows+t.Rows, p.Sum.Errors+t.Errors
		p.Sum.Compared += t.Compared
		for _, h := range t.Hours {
			hours = append(hours, verifyHour{t.Event, h})
		}
		for kind, n := range t.Findings {
			rest[kind] -= n
			groups = append(groups, newVerifyGroup(kind, t, n))
		}
	}
	for kind, n := range rest {
		if n > 0 {
			groups = append(groups, newVerifyGroup(kind, archive.TableReport{}, n))
		}
	}
	for _, n := range r.Found {
		p.Found += n
	}
	slices.SortFunc(groups, func(a, b verifyGroup) int {
		return cmp.Or(strings.Compare(a.Table, b.Table), strings.Compare(string(a.Kind), string(b.Kind)))
	})
	tables := slices.SortedStableFunc(slices.Values(r.Tables), func(a, b archive.TableReport) int {
		return cmp.Compare(min(1, len(b.Findings)), min(1, len(a.Findings)))
	})
	p.Groups, p.Tables, p.Hours, p.Listed = first(groups), first(tables), first(hours), first(r.Findings)
	return p
}

func newVerifyGroup(kind archive.Kind, t archive.TableReport, n int64) verifyGroup {
	return verifyGroup{kind, t.Event, t.Table, n, archive.Finding{Kind: kind, Table: t.Table}.Advice()}
}

// verification is the page /verify.
func (s *Site) verification(w http.ResponseWriter, r *http.Request) error {
	v, err := s.program.Verification(r.Context())
	if err != nil {
		return err
	}
	return s.render(w, r, "verify.html", newVerifyPage(v))
}

// verify is POST /verify.
func (s *Site) verify(w http.ResponseWriter, r *http.Request) error {
	if err := s.program.Verify(r.Context(), strings.TrimSpace(r.FormValue("sample")), r.FormValue("content") != ""); err != nil {
		return err
	}
	http.Redirect(w, r, "/verify", http.StatusSeeOther)
	return nil
}

// stopVerify is POST /verify/stop.
func (s *Site) stopVerify(w http.ResponseWriter, r *http.Request) error {
	if err := s.program.StopVerify(r.Context()); err != nil {
		return err
	}
	http.Redirect(w, r, "/verify", http.StatusSeeOther)
	return nil
}
