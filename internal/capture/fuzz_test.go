package capture

import (
	"bytes"
	"encoding/json"
	"testing"
)

// FuzzBody checks of any body that it is answered for whole: each event is
// accepted or rejected, its index says so, and what is stored can be read.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		`{"event":"a","id":"i","timestamp":"2015-08-18T07:38:40Z","data":{"a":1}}`,
		"{\"event\":\"a\"}\n\nx\r\n{\"event\":\"b\",\"data\":{ \"x\" : [1, {}] }}",
		`[{"event":"a"},{"event":"a","data":{"x":"\ud800"}},7,{"event":tru}]`,
		`[{"event":"a"}`, `[]`, `{`, "\xef\xbb\xbf{}", `{"event":"a","data":{"_event":1,"_event":2}}`,
		"{\n\"event\":\n}\n{\"event\":\"a\"} x\n", "\xff\xfe", `{"event":"\u0061","id":"\u0000"}`,
	} {
		f.Add([]byte(seed))
	}
	store := &segments{}
	h := newHandler(f, Options{Appender: store, MaxEvent: 4096, MaxRejected: 100, MaxBody: 1 << 20})
	f.Fuzz(func(t *testing.T, body []byte) {
		store.all = nil
		w, a := send(t, h, string(body))
		events, records := parted(t, store.stored())
		if len(events) != a.Accepted || len(records) != len(a.Rejected) {
			t.Fatalf("%d and %d are stored, the answer is %s", len(events), len(records), w.Body)
		}
		switch want := 400; {
		case a.Accepted > 0:
			want = 200
			fallthrough
		default:
			if w.Code != want {
				t.Fatalf("answer %d %s", w.Code, w.Body)
			}
		}
		if blank := len(bytes.Trim(bytes.TrimPrefix(body, []byte(byteOrderMark)), " \t\r\n")) == 0; blank && store.count() > 0 {
			t.Fatalf("something is stored of nothing: %q", store.stored())
		}
		last := -1
		for i, r := range records {
			if r.Index <= last || r.Index >= a.Accepted+len(records) || r.Index != a.Rejected[i].Index || !bytes.Contains(body, r.Body) {
				t.Fatalf("record %+v", r)
			}
			last = r.Index
		}
		checkWhole(t, body, a)
		if got := h.budget.used.Load(); got != 0 {
			t.Fatalf("%d bytes are still held", got)
		}
	})
}

// checkWhole compares the number of events with another parser's, where that
// takes the body.
func checkWhole(t *testing.T, body []byte, a reply) {
	var all []json.RawMessage
	if json.Unmarshal(body, &all) == nil {
		if n := a.Accepted + len(a.Rejected); n != min(len(all), n) || n < len(all) && n != 101 {
			t.Fatalf("%d of %d elements are answered for", n, len(all))
		}
	}
}

func FuzzEncodedBody(f *testing.F) {
	f.Add([]byte(gzipped(`{"event":"a"}`)), "gzip")
	f.Add([]byte(zstded(`{"event":"a"}`)), "zstd")
	f.Add([]byte(zstdStreamed(`{"event":"a"}`)), "zstd,identity")
	store := &segments{}
	h := newHandler(f, Options{Appender: store, MaxBody: 1 << 16})
	f.Fuzz(func(t *testing.T, body []byte, encoding string) {
		store.all = nil
		w, a := send(t, h, string(body), "Content-Encoding", encoding)
		events, records := parted(t, store.stored())
		if w.Code == 500 || len(events) != a.Accepted || len(records) != len(a.Rejected) || h.budget.used.Load() != 0 {
			t.Fatalf("answer %d %s, %d and %d are stored, %d held", w.Code, w.Body, len(events), len(records), h.budget.used.Load())
		}
	})
}

func FuzzID(f *testing.F) {
	f.Add(int64(1), int64(2))
	f.Fuzz(func(t *testing.T, a, b int64) {
		var s idSource
		var x, y [36]byte
		s.next(&x, a&(1<<47-1))
		s.next(&y, b&(1<<47-1))
		if bytes.Compare(x[:], y[:]) >= 0 {
			t.Fatalf("%s, then %s", x, y)
		}
	})
}
