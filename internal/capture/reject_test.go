package capture

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"arbalest"
)

// kept is a record that must be in the segment.
type kept struct {
	code  Code
	index int
	body  string
	event arbalest.EventName
	id    string
}

func repeat(n int, s string) string { return strings.Repeat(s, n) }

// TestInvariant5InvalidEventsAreKept sends every kind of bad input, and looks
// at the answer and at the record that is durable before the answer.
func TestInvariant5InvalidEventsAreKept(t *testing.T) {
	const good = `{"event":"a","id":"g"}`
	tooLarge := `{"event":"a","id":"l","data":{"x":"` + repeat(2000, "x") + `"}}`
	for _, c := range []struct {
		name     string
		body     string
		status   int
		accepted int
		kept     []kept
	}{
		{"not json", `hello`, 400, 0, []kept{{NotJSON, 0, `hello`, "", ""}}},
		{"cut off", `{"event":"a","data":{`, 400, 0, []kept{{NotJSON, 0, `{"event":"a","data":{`, "", ""}}},
		{"not an object", `"hello"`, 400, 0, []kept{{NotObject, 0, `"hello"`, "", ""}}},
		{"number", `12`, 400, 0, []kept{{NotObject, 0, `12`, "", ""}}},
		{"null", `null`, 400, 0, []kept{{NotObject, 0, `null`, "", ""}}},
		{"no name", `{"id":"i"}`, 400, 0, []kept{{BadName, 0, `{"id":"i"}`, "", "i"}}},
		{"number as name", `{"event":1}`, 400, 0, []kept{{BadName, 0, `{"event":1}`, "", ""}}},
		{"bad name", `{"event":"_x","id":"i"}`, 400, 0, []kept{{BadName, 0, `{"event":"_x","id":"i"}`, "", "i"}}},
		{"slash in name", `{"event":"a/../b"}`, 400, 0, []kept{{BadName, 0, `{"event":"a/../b"}`, "", ""}}},
		{"long name", `{"event":"` + repeat(128, "n") + `"}`, 400, 0, []kept{{BadName, 0, `{"event":"` + repeat(128, "n") + `"}`, "", ""}}},
		{"unknown member", `{"event":"a","user":1}`, 400, 0, []kept{{UnknownMember, 0, `{"event":"a","user":1}`, "a", ""}}},
		{"number as id", `{"event":"a","id":7}`, 400, 0, []kept{{BadID, 0, `{"event":"a","id":7}`, "a", ""}}},
		{"empty id", `{"event":"a","id":""}`, 400, 0, []kept{{BadID, 0, `{"event":"a","id":""}`, "a", ""}}},
		{"nul in id", `{"event":"a","id":"x\u0000"}`, 400, 0, []kept{{BadID, 0, `{"event":"a","id":"x\u0000"}`, "a", ""}}},
		{"long id", `{"event":"a","id":"` + repeat(256, "i") + `"}`, 400, 0, []kept{{IDTooLong, 0, `{"event":"a","id":"` + repeat(256, "i") + `"}`, "a", ""}}},
		{"bad time", `{"event":"a","timestamp":"yesterday"}`, 400, 0, []kept{{BadTime, 0, `{"event":"a","timestamp":"yesterday"}`, "a", ""}}},
		{"number as time", `{"event":"a","timestamp":1439879800}`, 400, 0, []kept{{BadTime, 0, `{"event":"a","timestamp":1439879800}`, "a", ""}}},
		{"bad property time", `{"event":"a","data":{"timestamp":"soon"}}`, 400, 0, []kept{{BadTime, 0, `{"event":"a","data":{"timestamp":"soon"}}`, "a", ""}}},
		{"number as property time", `{"event":"a","data":{"timestamp":1}}`, 400, 0, []kept{{BadTime, 0, `{"event":"a","data":{"timestamp":1}}`, "a", ""}}},
		{"year 0", `{"event":"a","timestamp":"0001-01-01T00:00:00+01:00"}`, 400, 0, []kept{{BadTime, 0, `{"event":"a","timestamp":"0001-01-01T00:00:00+01:00"}`, "a", ""}}},
		{"future", `{"event":"a","timestamp":"2026-11-23T12:00:01Z"}`, 400, 0, []kept{{Future, 0, `{"event":"a","timestamp":"2026-11-23T12:00:01Z"}`, "a", ""}}},
		{"future by its id", `{"event":"a","id":"7ZZZZZZZZZZZZZZZZZZZZZZZZZ"}`, 400, 0, []kept{{Future, 0, `{"event":"a","id":"7ZZZZZZZZZZZZZZZZZZZZZZZZZ"}`, "a", "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"}}},
		{"data is an array", `{"event":"a","data":[]}`, 400, 0, []kept{{BadData, 0, `{"event":"a","data":[]}`, "a", ""}}},
		{"reserved", `{"event":"a","data":{"_event":{}}}`, 400, 0, []kept{{ReservedProperty, 0, `{"event":"a","data":{"_event":{}}}`, "a", ""}}},
		{"reserved in escapes", `{"event":"a","data":{"\u005fevent":{}}}`, 400, 0, []kept{{ReservedProperty, 0, `{"event":"a","data":{"\u005fevent":{}}}`, "a", ""}}},
		{"key twice", `{"event":"a","id":"i","data":{"x":1,"\u0078":2}}`, 400, 0, []kept{{DuplicateKey, 0, `{"event":"a","id":"i","data":{"x":1,"\u0078":2}}`, "a", "i"}}},
		{"bad utf-8", "{\"event\":\"a\",\"data\":{\"x\":\"\xff\"}}", 400, 0, []kept{{InvalidUTF8, 0, "{\"event\":\"a\",\"data\":{\"x\":\"\xff\"}}", "a", ""}}},
		{"lone surrogate", `{"event":"a","data":{"x":"\ud800"}}`, 400, 0, []kept{{LoneSurrogate, 0, `{"event":"a","data":{"x":"\ud800"}}`, "a", ""}}},
		{"too deep", `{"event":"a","data":{"x":` + repeat(63, "[") + repeat(63, "]") + `}}`, 400, 0,
			[]kept{{TooDeep, 0, `{"event":"a","data":{"x":` + repeat(63, "[") + repeat(63, "]") + `}}`, "a", ""}}},
		{"depth bomb", repeat(500_000, "["), 400, 0, []kept{{TooDeep, 0, repeat(499_999, "["), "", ""}}},
		{"depth bomb of objects", repeat(100_000, `{"a":`), 400, 0, []kept{{TooDeep, 0, repeat(100_000, `{"a":`), "", ""}}},
		{"event too large", tooLarge, 400, 0, []kept{{EventTooLarge, 0, tooLarge, "a", "l"}}},
		{"event too large among others", good + "\n" + tooLarge + "\n" + good, 200, 2, []kept{{EventTooLarge, 1, tooLarge, "a", "l"}}},
		{"event too large over lines", "{\n\"event\":\"a\",\n\"data\":{\"x\":\"" + repeat(2000, "x") + "\",\n\"y\":1}}\n" + good, 200, 1,
			[]kept{{EventTooLarge, 0, "{\n\"event\":\"a\",\n\"data\":{\"x\":\"" + repeat(2000, "x") + "\",\n\"y\":1}}", "a", ""}}},
		{"event too large in an array", "[" + good + "," + tooLarge + "," + good + "]", 200, 2, []kept{{EventTooLarge, 1, tooLarge, "a", "l"}}},
		{"trailing garbage", good + ` x`, 400, 0, []kept{{NotJSON, 0, good + ` x`, "", ""}}},
		{"commas between lines", good + ",\n" + good, 200, 1, []kept{{NotJSON, 0, good + `,`, "", ""}}},
		{"two on a line", good + " " + good + good, 200, 3, nil},
		{"bad lines", good + "\n\nhello\r\n{\"event\":\n{}\n" + good + "\r\n[1]\n", 200, 2,
			[]kept{{NotJSON, 1, `hello`, "", ""}, {NotJSON, 2, `{"event":`, "", ""}, {BadName, 3, `{}`, "", ""}, {NotObject, 5, `[1]`, "", ""}}},
		{"bad line over lines", "{\n  \"event\": \"a\",\n  \"data\": {tru}\n}\n" + good, 200, 1, []kept{{NotJSON, 0, "{\n  \"event\": \"a\",\n  \"data\": {tru}\n}", "", ""}}},
		{"array breaks", "[" + good + "," + good + `,{"event":tru},` + good + "]", 200, 2, []kept{{NotJSON, 2, `{"event":tru},` + good + "]", "", ""}}},
		{"array does not end", "[" + good, 200, 1, []kept{{NotJSON, 1, "", "", ""}}},
		{"array with a comma more", "[" + good + ",]", 200, 1, []kept{{NotJSON, 1, "]", "", ""}}},
		{"array without commas", "[" + good + good + "]", 200, 1, []kept{{NotJSON, 1, good + "]", "", ""}}},
		{"array and more", "[" + good + "]\n" + good, 200, 1, []kept{{NotJSON, 1, good, "", ""}}},
		{"array of all kinds", "[" + good + `,7,"s",[` + good + `],{"event":"b","data":{"x":1,"x":2}},{"event":"b","data":"]"},` + good + "]", 200, 2,
			[]kept{{NotObject, 1, `7`, "", ""}, {NotObject, 2, `"s"`, "", ""}, {NotObject, 3, `[` + good + `]`, "", ""},
				{DuplicateKey, 4, `{"event":"b","data":{"x":1,"x":2}}`, "b", ""}, {BadData, 5, `{"event":"b","data":"]"}`, "b", ""}}},
		{"utf-16", "\xff\xfe{\x00", 400, 0, []kept{{NotJSON, 0, "\xff\xfe{\x00", "", ""}}},
		{"too many", repeat(25, "x\n") + good, 400, 0, append(xs(20), kept{TooManyRejected, 20, repeat(5, "x\n") + good, "", ""})},
		{"too many in an array", "[" + repeat(25, "1,") + good + "]", 400, 0, append(ones(20), kept{TooManyRejected, 20, repeat(5, "1,") + good + "]", "", ""})},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := &segments{}
			h := newHandler(t, Options{Appender: store, MaxEvent: 1900, MaxRejected: 20})
			w, a := send(t, h, c.body)
			if w.Code != c.status || a.Accepted != c.accepted {
				t.Errorf("answer %d %.300s", w.Code, w.Body)
			}
			if (a.Error != "") != (c.accepted == 0) {
				t.Errorf("error %q", a.Error)
			}
			checkKept(t, store, a, c.kept)
		})
	}
}

func xs(n int) (all []kept) {
	for i := range n {
		all = append(all, kept{NotJSON, i, "x", "", ""})
	}
	return all
}

func ones(n int) (all []kept) {
	for i := range n {
		all = append(all, kept{NotObject, i, "1", "", ""})
	}
	return all
}

// checkKept compares an answer and the stored records with what is wanted.
func checkKept(t *testing.T, store *segments, a reply, want []kept) {
	t.Helper()
	events, records := parted(t, store.stored())
	if len(events) != a.Accepted || len(records) != len(want) || len(a.Rejected) != len(want) {
		t.Fatalf("%d events and %d records are stored, %d rejected are answered, %d wanted", len(events), len(records), len(a.Rejected), len(want))
	}
	for i, k := range want {
		r, told := records[i], a.Rejected[i]
		if r.Code != string(k.code) || r.Index != k.index || string(r.Body) != k.body || r.Event != k.event || r.ID != k.id || !r.Received.Equal(noon.Truncate(1e6)) {
			t.Errorf("record %d: %.300q", i, fmt.Sprintf("%+v %s", r, r.Body))
		}
		if told.Code != k.code || told.Index != k.index || told.Error == "" || told.Retry {
			t.Errorf("answer %d: %+v", i, told)
		}
		if testing.Verbose() && i < 3 {
			t.Logf("%s: %.200s", told.Code, told.Error)
		}
	}
}

func TestHourOfARejectedEvent(t *testing.T) {
	store := &segments{}
	h := newHandler(t, Options{Appender: store})
	send(t, h, `{"event":"_","timestamp":"2015-08-18T07:38:40Z"}`)
	_, records := parted(t, store.stored())
	if got := records[0].Hour.String(); got != "2015-08-18/07" {
		t.Errorf("hour %s", got)
	}
}

func gzipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, s)
	_ = z.Close()
	return b.String()
}

func zstded(s string) string {
	z, _ := zstd.NewWriter(nil)
	return string(z.EncodeAll([]byte(s), nil))
}

// zstdStreamed has no content size in its header.
func zstdStreamed(s string) string {
	var b bytes.Buffer
	z, _ := zstd.NewWriter(&b)
	_, _ = io.WriteString(z, s[:len(s)/2])
	_ = z.Flush()
	_, _ = io.WriteString(z, s[len(s)/2:])
	_ = z.Close()
	return b.String()
}

func TestEncodings(t *testing.T) {
	events := repeat(2000, `{"event":"a","id":"e","data":{"x":"`+repeat(50, "y")+`"}}`+"\n")
	for _, c := range []struct{ name, encoding, body string }{
		{"gzip", "gzip", gzipped(events)},
		{"x-gzip", "X-GZIP", gzipped(events)},
		{"gzip in members", "gzip", gzipped(events[:len(events)/2]) + gzipped(events[len(events)/2:])},
		{"zstd", "zstd", zstded(events)},
		{"zstd streamed", "zstd", zstdStreamed(events)},
		{"zstd in frames", "zstd", zstded(events[:1000]) + zstdStreamed(events[1000:])},
		{"identity", "identity", events},
		{"several", "gzip, identity,zstd , gzip", gzipped(zstded(gzipped(events)))},
	} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprint(c.name, chunked), func(t *testing.T) {
				store := &segments{}
				h := newHandler(t, Options{Appender: store})
				r := httptest.NewRequest("POST", "/v1/events", strings.NewReader(c.body))
				r.Header.Set("Content-Encoding", c.encoding)
				if chunked {
					r.ContentLength = -1
				}
				if w, a := do(t, h, r); w.Code != 200 || a.Accepted != 2000 {
					t.Errorf("answer %d %.300s", w.Code, w.Body)
				}
				if got := h.budget.used.Load(); got != 0 {
					t.Errorf("%d bytes are still held", got)
				}
			})
		}
	}
}

func TestInvariant5BadBodiesAreKept(t *testing.T) {
	const limit = 64 << 10
	large := repeat(limit/2, `{}`) + "{}"
	zeros := repeat(20*limit, "\x00")
	gz, zs, zst, both := gzipped(zeros), zstded(zeros), zstdStreamed(zeros), zstded(gzipped(zeros))
	for _, c := range []struct {
		name, encoding, body string
		status               int
		kept                 kept
		truncated            bool
	}{
		{"too large", "", large, 413, kept{code: BodyTooLarge, body: large[:limit]}, true},
		{"too large by far", "", zeros, 413, kept{code: BodyTooLarge, body: zeros[:limit/2]}, true},
		{"gzip bomb", "gzip", gz, 413, kept{code: BodyTooLarge, body: gz}, false},
		{"zstd bomb", "zstd", zs, 413, kept{code: BodyTooLarge, body: zs}, false},
		{"zstd bomb without size", "zstd", zst, 413, kept{code: BodyTooLarge, body: zst}, false},
		{"bomb in a bomb", "gzip, zstd", both, 413, kept{code: BodyTooLarge, body: both}, false},
		{"gzip cut off", "gzip", gzipped("{}{}{}")[:12], 400, kept{code: BadEncoding, body: gzipped("{}{}{}")[:12]}, false},
		{"gzip without its checksum", "gzip", gzipped("{}{}{}")[:20], 400, kept{code: BadEncoding, body: gzipped("{}{}{}")[:20]}, false},
		{"zstd cut off", "zstd", zstded(repeat(100, "{}"))[:9], 400, kept{code: BadEncoding, body: zstded(repeat(100, "{}"))[:9]}, false},
		{"not gzip", "gzip", `{"event":"a"}`, 400, kept{code: BadEncoding, body: `{"event":"a"}`}, false},
		{"not zstd", "zstd", `{"event":"a"}`, 400, kept{code: BadEncoding, body: `{"event":"a"}`}, false},
		{"gzip, but not said", "", gzipped("{}"), 400, kept{code: NotJSON, body: gzipped("{}")}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := &segments{}
			h := newHandler(t, Options{Appender: store, MaxBody: limit, MaxBytesInFlight: 4*limit + 8<<10})
			w, a := send(t, h, c.body, "Content-Encoding", c.encoding)
			if w.Code != c.status || a.Accepted != 0 || a.Error == "" {
				t.Errorf("answer %d %.300s", w.Code, w.Body)
			}
			checkKept(t, store, a, []kept{c.kept})
			if _, records := parted(t, store.stored()); records[0].Truncated != c.truncated {
				t.Errorf("truncated is %v", records[0].Truncated)
			}
			if got := h.budget.used.Load(); got != 0 {
				t.Errorf("%d bytes are still held", got)
			}
		})
	}
}

func TestUnsupportedEncodings(t *testing.T) {
	store := &segments{}
	h := newHandler(t, Options{Appender: store})
	for _, e := range []string{"br", "deflate", "gzip, br", "gzip,gzip,gzip,gzip"} {
		w, a := send(t, h, "x", "Content-Encoding", e)
		if w.Code != http.StatusUnsupportedMediaType || a.Error == "" || a.Retry || w.Header().Get("Accept-Encoding") == "" {
			t.Errorf("%s: %d %s", e, w.Code, w.Body)
		}
	}
	if store.count() != 0 {
		t.Error("something was stored")
	}
}

func TestBodyThatBreaks(t *testing.T) {
	store := &segments{}
	h := newHandler(t, Options{Appender: store})
	body := io.MultiReader(strings.NewReader(`{"event":"a"}`), brokenReader{})
	w, a := do(t, h, httptest.NewRequest("POST", "/v1/events", body))
	if w.Code != 400 || !a.Retry || store.count() != 0 {
		t.Errorf("answer %d %s", w.Code, w.Body)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, brokenReaderErr }

var brokenReaderErr = io.ErrUnexpectedEOF

// What is added to each of very many small events must not make more of a
// request than a segment may have.
func TestLinesOfARequestFitIntoASegment(t *testing.T) {
	events := strings.Repeat(`{"event":"a"}`, 16<<20/len(`{"event":"a"}`))
	trace := "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for body, want := range map[string]int{events: 413, events[:len(events)/8]: 200} {
		s := &segments{}
		h := newHandler(t, Options{Appender: s, MaxBytesInFlight: 1 << 30})
		w, a := send(t, h, body, "Traceparent", trace)
		if w.Code != want || (want == 413) != (a.Accepted == 0) || !strings.Contains(w.Body.String(), "as they are stored: send fewer") == (want == 413) {
			t.Errorf("%d events: %d %.300s", len(body)/len(`{"event":"a"}`), w.Code, w.Body)
		}
		if n := len(s.stored()); n > h.opts.maxLines() {
			t.Errorf("%d bytes of lines were appended", n)
		}
	}
}
