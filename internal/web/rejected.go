package web

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"arbalest"
	"arbalest/internal/lake"
)

// errBadLine is the error of an address without a line's number.
var errBadLine = fmt.Errorf("%w line: want a number from 1", arbalest.ErrInvalid)

// A RejectSource tells what was rejected.
type RejectSource interface {
	// Rejected lists what a filter asks for, the newest first.
	Rejected(ctx context.Context, f RejectFilter) (RejectList, error)
	// Kept returns one. The error wraps arbalest.ErrUnknown if there is none.
	Kept(ctx context.Context, ref lake.Ref) (lake.Kept, error)
	// Replay sends through capture again what a filter asks for, or just what is
	// at ref, and returns what became of it once it is in SQL.
	Replay(ctx context.Context, f RejectFilter, ref *lake.Ref, dry bool) (Outcome, error)
}

// A RejectFilter says which rejected events are asked for. The zero filter is all
// that were not replayed.
type RejectFilter struct {
	Reason string // a code
	Event  string // a name or a pattern
	From   string // a time, or how long ago
	To     string
	All    bool // also what was replayed
}

// Query spells a filter as a URL's query.
func (f RejectFilter) Query() string {
	q := url.Values{}
	for name, value := range map[string]string{"reason": f.Reason, "event": f.Event, "from": f.From, "to": f.To} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if f.All {
		q.Set("all", "1")
	}
	return q.Encode()
}

func filterOf(r *http.Request) RejectFilter {
	return RejectFilter{
		Reason: r.FormValue("reason"), Event: strings.TrimSpace(r.FormValue("event")),
		From: strings.TrimSpace(r.FormValue("from")), To: strings.TrimSpace(r.FormValue("to")), All: r.FormValue("all") != "",
	}
}

// A RejectList is what was rejected.
type RejectList struct {
	Filter  RejectFilter
	Codes   []string      // all that there are
	Shown   []lake.Kept   // the newest first
	Groups  []RejectGroup // of all that were looked at, by how many
	Looked  int64         // at so many
	More    bool          // there are others, which were not looked at
	Matched int64         // of those that were looked at
	Total   int64         // in the books, of all times; those that were replayed among them
}

// A RejectGroup counts rejected events of a code and name.
type RejectGroup struct {
	Code   string
	Event  string
	Events int64
	Newest time.Time
}

// An Outcome is what became of a replay.
type Outcome struct {
	Dry      bool
	Places   int64 // that were looked at
	Replayed int64
	Accepted int64 // events
	Rejected int64 // events that are still invalid, kept anew
	Before   int64 // that were replayed before, and so left out
	Loaded   int64
	Left     []Left
	Stalled  string // why what was accepted is not in its table yet
}

// A Left counts what was left, by why.
type Left struct {
	Code   string
	Reason string // of the first
	Place  string // of the first
	Places int64
}

// rejected is the page /rejected.
func (s *Site) rejected(w http.ResponseWriter, r *http.Request) error {
	list, err := s.program.Rejected(r.Context(), filterOf(r))
	if err != nil {
		return err
	}
	return s.render(w, r, "rejected.html", list)
}

// A keptPage is one thing that was rejected.
type keptPage struct {
	lake.Kept
	Text string // the body as text, laid out if it is JSON
	Dump string // or, where it is none, in hexadecimal digits
	Cut  bool   // there is more of it
}

// shownText and shownDump are how much of a body is shown, in bytes.
const (
	shownText = 256 << 10
	shownDump = 4 << 10
)

func newKeptPage(k lake.Kept) keptPage {
	p := keptPage{Kept: k}
	body := k.Body
	if !utf8.Valid(body) {
		p.Cut = len(body) > shownDump
		p.Dump = hex.Dump(body[:min(len(body), shownDump)])
		return p
	}
	var laid bytes.Buffer
	if len(body) <= shownText && json.Indent(&laid, body, "", "  ") == nil {
		body = laid.Bytes()
	}
	text := string(body)
	if len(text) > shownText {
		p.Cut = true
		text = strings.ToValidUTF8(text[:shownText], "")
	}
	p.Text = visible(text)
	return p
}

// visible makes of control characters, but those of plain text, and of those that
// turn the direction of writing round, others that can be seen.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r < ' ':
			return '\u2400' + r
		case r == 0x7f:
			return '\u2421'
		case r >= 0x80 && r < 0xa0, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x200e, r == 0x200f:
			return '\ufffd'
		}
		return r
	}, s)
}

// keptAt returns what is at the place that a request names.
func (s *Site) keptAt(r *http.Request) (lake.Kept, error) {
	ref, err := lake.ParseRef(r.FormValue("place"))
	if err != nil {
		return lake.Kept{}, err
	}
	return s.program.Kept(r.Context(), ref)
}

// kept is the page /rejected/one?place=….
func (s *Site) kept(w http.ResponseWriter, r *http.Request) error {
	k, err := s.keptAt(r)
	if err != nil {
		return err
	}
	return s.render(w, r, "kept.html", newKeptPage(k))
}

// keptBytes is /rejected/bytes?place=…: the body as it came, as a file.
func (s *Site) keptBytes(w http.ResponseWriter, r *http.Request) error {
	k, err := s.keptAt(r)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="rejected-%s-%d-%d"`, k.Ref.Writer, k.Ref.N, k.Ref.Line))
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(k.Body) // the client may be gone
	return nil
}

// replay is POST /rejected/replay: of a place, or of a filter.
func (s *Site) replay(w http.ResponseWriter, r *http.Request) error {
	var ref *lake.Ref
	if place := r.FormValue("place"); place != "" {
		one, err := lake.ParseRef(place)
		if err != nil {
			return err
		}
		ref = &one
	}
	f := filterOf(r)
	done, err := s.program.Replay(r.Context(), f, ref, r.FormValue("dry") != "")
	if err != nil {
		return err
	}
	return s.render(w, r, "replayed.html", struct {
		Outcome
		Filter RejectFilter
		Place  string
	}{done, f, r.FormValue("place")})
}
