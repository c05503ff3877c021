package s3test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"
)

// A Kind says how a Fault shows.
type Kind int

// The kinds of faults.
const (
	Status    Kind = iota // is not sent, and answered with Fault.Status and Fault.Code
	Refused               // is not sent: the connection breaks
	LostReply             // is sent and answered, but the connection breaks
	Cut                   // is sent, and the answer's body breaks off after Fault.After bytes
	Done                  // is sent and answered; Fault.Then is called before the answer is seen
)

// ErrBroken is the broken connection of Refused, LostReply and Cut.
var ErrBroken = errors.New("connection reset by peer")

// A Fault befalls a request.
type Fault struct {
	Method string // Defaults to any.
	Key    string // path.Match pattern of the path, bucket included, without its first "/". Defaults to any.
	Query  string // a parameter that the request has, such as "uploads". Defaults to any.
	Nth    int    // the first of the requests that match to be befallen, from 1. Defaults to the first.
	Times  int    // how many from the first on. Defaults to 1; negative is all.
	Kind   Kind
	Status int    // of Status. Defaults to 503.
	Code   string // S3's, of Status. Defaults to SlowDown.
	Server string // who answers Status, as it names itself. Defaults to nobody.
	After  int64  // bytes of Cut.
	Then   func() // of Done.
}

// Faulty are faults between a client and a server: an http.RoundTripper.
type Faulty struct {
	next   http.RoundTripper
	faults []Fault

	mu    sync.Mutex
	seen  []int
	asked []string
}

// NewFaulty returns faults that befall requests; of several for one the first
// counts.
func NewFaulty(faults ...Fault) *Faulty {
	transport := &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute}
	return &Faulty{next: transport, faults: faults, seen: make([]int, len(faults))}
}

// Client returns a client whose requests they befall.
func (f *Faulty) Client() *http.Client { return &http.Client{Transport: f} }

// Asked returns the requests so far, those included that were not sent: the
// method, the path, and the names of the parameters that say what it is about.
func (f *Faulty) Asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.asked...)
}

// RoundTrip implements http.RoundTripper.
func (f *Faulty) RoundTrip(r *http.Request) (*http.Response, error) {
	fault := f.find(r)
	if fault == nil {
		return f.next.RoundTrip(r)
	}
	if fault.Kind == Status || fault.Kind == Refused {
		if r.Body != nil {
			_, _ = io.Copy(io.Discard, r.Body)
			r.Body.Close()
		}
		if fault.Kind == Refused {
			return nil, ErrBroken
		}
		return fault.answer(r), nil
	}
	answer, err := f.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	switch fault.Kind {
	case LostReply:
		_, _ = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		return nil, ErrBroken
	case Cut:
		answer.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(io.LimitReader(answer.Body, fault.After), broken{}), answer.Body}
	case Done:
		fault.Then()
	}
	return answer, nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, ErrBroken }

func (f *Fault) answer(r *http.Request) *http.Response {
	status, code := f.Status, f.Code
	if status == 0 {
		status = http.StatusServiceUnavailable
	}
	if code == "" {
		code = "SlowDown"
	}
	body := "<Error><Code>" + code + "</Code><Message>injected</Message></Error>"
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/xml"}, "Server": {f.Server}}, ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewBufferString(body)),
	}
}

// find returns the fault that befalls a request, if any.
func (f *Faulty) find(r *http.Request) (fault *Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	line := r.Method + " " + strings.TrimPrefix(r.URL.Path, "/")
	query := r.URL.Query()
	for _, name := range []string{"list-type", "uploads", "uploadId", "partNumber", "restore", "lifecycle"} {
		if query.Has(name) {
			line += " " + name
		}
	}
	f.asked = append(f.asked, line)
	for i := range f.faults {
		c := &f.faults[i]
		if c.Method != "" && c.Method != r.Method || c.Query != "" && !query.Has(c.Query) {
			continue
		}
		if c.Key != "" {
			if ok, _ := path.Match(c.Key, strings.TrimPrefix(r.URL.Path, "/")); !ok {
				continue
			}
		}
		f.seen[i]++
		from := max(c.Nth, 1)
		times := c.Times
		if times == 0 {
			times = 1
		}
		if fault == nil && f.seen[i] >= from && (times < 0 || f.seen[i] < from+times) {
			fault = c
		}
	}
	return fault
}
