package form

import (
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"arbalest"
	"arbalest/internal/capture"
)

// The examples of Segment's documentation of its HTTP API.
func TestSegmentExamples(t *testing.T) {
	p := newPlace(t, Options{}, capture.Options{})
	const at = `"timestamp":"2012-12-02T00:30:08.276Z"`
	for _, c := range []struct {
		path, body string
		want       stored
	}{
		{"/v1/identify", `{"userId":"019mr8mf4r","traits":{"email":"pgibbons@example.com","name":"Peter Gibbons","industry":"Technology"},"context":{"ip":"24.5.68.47"},` + at + `,"writeKey":"KEY"}`,
			stored{"user.identified", "", "2012-12-02T00:30:08.276Z", `{"email":"pgibbons@example.com","name":"Peter Gibbons","industry":"Technology","user_id":"019mr8mf4r"}`, `{"type":"identify","context":{"ip":"24.5.68.47"},` + at + `}`}},
		{"/v1/track", `{"userId":"019mr8mf4r","event":"Item Purchased","properties":{"name":"Leap to Conclusions Mat","revenue":14.99},"context":{"ip":"24.5.68.47"},` + at + `,"writeKey":"KEY"}`,
			stored{"item_purchased", "", "2012-12-02T00:30:08.276Z", `{"name":"Leap to Conclusions Mat","revenue":14.99,"user_id":"019mr8mf4r"}`, `{"type":"track","event":"Item Purchased","context":{"ip":"24.5.68.47"},` + at + `}`}},
		{"/v1/page", `{"userId":"019mr8mf4r","name":"Tracking HTTP API",` + at + `,"writeKey":"KEY"}`,
			stored{"page.viewed", "", "2012-12-02T00:30:08.276Z", `{"user_id":"019mr8mf4r","name":"Tracking HTTP API"}`, `{"type":"page",` + at + `}`}},
		{"/v1/screen", `{"anonymousId":"a1","name":"Home","category":"Shop","properties":{"name":"mine","user_id":null},` + at + `}`,
			stored{"screen.viewed", "", "2012-12-02T00:30:08.276Z", `{"name":"mine","user_id":null,"anonymous_id":"a1","category":"Shop"}`, `{"type":"screen","name":"Home",` + at + `}`}},
		{"/v1/group", `{"userId":"019mr8mf4r","groupId":"8e9df332ac","traits":{"name":"Initech","industry":"Technology","employees":420},` + at + `,"writeKey":"KEY"}`,
			stored{"group.identified", "", "2012-12-02T00:30:08.276Z", `{"name":"Initech","industry":"Technology","employees":420,"user_id":"019mr8mf4r","group_id":"8e9df332ac"}`, `{"type":"group",` + at + `}`}},
		{"/v1/alias", `{"previousId":"39239-239239-239239-23923","userId":"019mr8mf4r",` + at + `,"writeKey":"KEY"}`,
			stored{"user.aliased", "", "2012-12-02T00:30:08.276Z", `{"user_id":"019mr8mf4r","previous_id":"39239-239239-239239-23923"}`, `{"type":"alias",` + at + `}`}},
		{"/v1/track", `{"event":"happy-path-a3ef8a6f-0482-4694-bc4d-4afba03a0eab","email":"test@example.org","messageId":"58524f3a-3b76-4eac-aa97-d88bccdf4f77","userId":123,"writeKey":"KEY",` + at + `}`,
			stored{"happy-path-a3ef8a6f-0482-4694-bc4d-4afba03a0eab", "58524f3a-3b76-4eac-aa97-d88bccdf4f77", "2012-12-02T00:30:08.276Z", `{"user_id":123}`, `{"type":"track","event":"happy-path-a3ef8a6f-0482-4694-bc4d-4afba03a0eab","email":"test@example.org","messageId":"58524f3a-3b76-4eac-aa97-d88bccdf4f77",` + at + `}`}},
	} {
		w := p.post(c.path, c.body, "Content-Type", "application/json")
		events, _ := p.lines.take(t)
		if w.Code != 200 || len(events) != 1 || !strings.HasPrefix(w.Body.String(), `{"success":true,"accepted":1,"rejected":[],`) {
			t.Errorf("%s: %d %s %+v", c.body, w.Code, w.Body, events)
			continue
		}
		if c.want.ID == "" {
			c.want.ID = events[0].ID // was made
		}
		if events[0] != c.want {
			t.Errorf("%s:\n got %+v\nwant %+v", c.path, events[0], c.want)
		}
	}
}

// The documentation's batch, of whose calls two have a month of one digit.
func TestSegmentBatch(t *testing.T) {
	body := `{"batch":[
    {"type":"identify","userId":"019mr8mf4r","traits":{"email":"jake@yahoo.com","name":"Jake Peterson","age":26},"timestamp":"2012-12-02T00:30:08.276Z"},
    {"type":"track","userId":"019mr8mf4r","event":"Song Played","properties":{"name":"Fallin for You","artist":"Dierks Bentley"},"timestamp":"2012-12-02T00:30:12.984Z","context":{"device":{"type":"tv"},"ip":"::1"}},
    {"type":"identify","userId":"971mj8mk7p","traits":{"email":"cindy@example.com"},"timestamp":"2015-2-02T00:30:08.276Z","writeKey":"SECRET"},
    {"type":"trick","userId":"1"}, 7, {"type":"track","event":"A","userId":"u","properties":{"emoji":"\ud83d"}}
  ],"writeKey":"SECRET","sentAt":"2026-11-22T11:59:58Z","context":{"device":{"type":"phone","name":"Apple iPhone 6"}},"integrations":{"All":false}}`
	for _, path := range []string{"/v1/batch", "/v1/import", "/v1/b"} {
		p := newPlace(t, Options{}, capture.Options{})
		w := p.post(path, body)
		events, rejected := p.lines.take(t)
		if w.Code != 200 || len(events) != 2 || len(rejected) != 4 || !strings.HasPrefix(w.Body.String(), `{"success":true,"accepted":2,"rejected":[{"index":2,`) {
			t.Fatalf("%d %s\n%+v", w.Code, w.Body, events)
		}
		if want := `{"type":"track","event":"Song Played","timestamp":"2012-12-02T00:30:12.984Z","context":{"device":{"type":"tv"},"ip":"::1"},"sentAt":"2026-11-22T11:59:58Z","integrations":{"All":false}}`; events[1].Attributes != want {
			t.Errorf("attributes\n%s, want\n%s", events[1].Attributes, want)
		}
		if !strings.Contains(events[0].Attributes, `"context":{"device":{"type":"phone","name":"Apple iPhone 6"}}`) {
			t.Errorf("attributes %s", events[0].Attributes)
		}
		for i, want := range []capture.Code{capture.BadTime, capture.BadForm, capture.NotObject, capture.LoneSurrogate} {
			if r := rejected[i]; r.Code != string(want) || r.Form != formSegment || r.Index != i+2 || strings.Contains(string(r.Body), "SECRET") {
				t.Errorf("%+v", r)
			}
		}
	}
}

func TestSegmentCallsThatAreNone(t *testing.T) {
	p := newPlace(t, Options{}, capture.Options{})
	for _, c := range []struct {
		path, sent string
		code       capture.Code
	}{
		{"/v1/track", `{"event":"A"}`, capture.BadForm},
		{"/v1/track", `{"event":"A","userId":""}`, capture.BadForm},
		{"/v1/track", `{"userId":"u"}`, capture.BadForm},
		{"/v1/track", `{"event":"","userId":"u"}`, capture.BadName},
		{"/v1/track", `{"event":7,"userId":"u"}`, capture.BadForm},
		{"/v1/track", `{"event":"購入完了","userId":"u"}`, capture.BadName},
		{"/v1/track", `{"event":"` + strings.Repeat("a", 128) + `","userId":"u"}`, capture.BadName},
		{"/v1/track", `{"event":"A","userId":"u","properties":[1]}`, capture.BadData},
		{"/v1/track", `{"event":"A","userId":"u","properties":{"_event":1}}`, capture.ReservedProperty},
		{"/v1/track", `{"event":"A","userId":"u","timestamp":"yesterday"}`, capture.BadTime},
		{"/v1/track", `{"event":"A","userId":"u","timestamp":1354408208}`, capture.BadTime},
		{"/v1/track", `{"event":"A","userId":"u","timestamp":"2026-11-24T12:00:01Z"}`, capture.Future},
		{"/v1/track", `{"event":"A","userId":"u","timestamp":"0001-01-01T00:00:00Z"}`, capture.BadTime},
		{"/v1/track", `{"event":"A","userId":"u","messageId":7}`, capture.BadID},
		{"/v1/track", `{"event":"A","userId":"u","messageId":"a\u0000"}`, capture.BadID},
		{"/v1/track", `{"event":"A","userId":"u","userId":"v"}`, capture.DuplicateKey},
		{"/v1/group", `{"userId":"u","traits":{}}`, capture.BadForm},
		{"/v1/alias", `{"userId":"u"}`, capture.BadForm},
		{"/v1/alias", `{"previousId":"p"}`, capture.BadForm},
		{"/v1/identify", `{"userId":"u","traits":"x"}`, capture.BadData},
		{"/v1/track", `{"event":"A"`, capture.NotJSON},
		{"/v1/track", `[{"event":"A","userId":"u"}]`, capture.NotJSON},
		{"/v1/track", ``, capture.NotJSON},
		{"/v1/batch", `{"type":"track"}`, capture.BadForm},
		{"/v1/batch", `{"batch":{}}`, capture.BadForm},
		{"/v1/batch", `{"batch":[],"context":{"a":1,"a":2}}`, capture.NotJSON},
		{"/v1/batch", `{"batch":[{"event":"A","userId":"u"}]}`, capture.BadForm},
		{"/v1/batch", `{"batch":[],"context":"` + strings.Repeat("c", 1<<20) + `"}`, capture.EventTooLarge},
		{"/v1/batch", `{"batch":[],` + manyNames() + `}`, capture.BadForm},
		{"/v1/track", `{"event":"A","userId":"u",` + manyNames() + `}`, capture.BadForm},
		{"/v1/batch", `{"batch":[{"type":"track","event":"A","userId":"u","context":{"a":1}}],"context":{` + manyNames() + `}}`, capture.BadForm},
		{"/v1/page", `{"userId":"u","context":"` + strings.Repeat("c", 1<<20) + `"}`, capture.EventTooLarge},
	} {
		w := p.post(c.path, c.sent)
		events, rejected := p.lines.take(t)
		if w.Code != 400 || len(events) != 0 || len(rejected) != 1 || rejected[0].Code != string(c.code) || !strings.HasPrefix(w.Body.String(), `{"success":false,"message":"`) {
			t.Errorf("%s: %d %s %+v", c.sent, w.Code, w.Body, rejected)
		}
	}
	if w := p.post("/v1/batch", `{"batch":[]}`); w.Code != 200 || !strings.HasPrefix(w.Body.String(), `{"success":true,"accepted":0`) {
		t.Errorf("an empty batch: %d %s", w.Code, w.Body)
	}
	// A context for all that is multiplied by the calls is counted before it is.
	large := `{"context":{"x":"` + strings.Repeat("y", 1<<19) + `"},"batch":[` + strings.Repeat(`{"type":"track","event":"A","userId":"u"},`, 200) + `{}]}`
	if w := p.post("/v1/batch", large); w.Code != 400 || !strings.Contains(w.Body.String(), "send fewer events") {
		t.Errorf("%d %.200s", w.Code, w.Body)
	}
}

func TestSegmentNames(t *testing.T) {
	p := newPlace(t, Options{Names: map[string]arbalest.EventName{"Order Completed": "order.completed", "購入完了": "purchase.done"}, Types: map[string]arbalest.EventName{"page": "web.page"}}, capture.Options{})
	for event, want := range map[string]string{
		"Order Completed": "order.completed", "購入完了": "purchase.done", "order completed": "order_completed", " Song  Played! ": "song_played", "Ünder": "nder", "user.created": "user.created",
		"A - B": "a_-_b", "_private": "private", "Größe geändert": "gr_e_ge_ndert", "x_y": "x_y",
	} {
		p.post("/v1/track", fmt.Sprintf(`{"event":%q,"userId":"u"}`, event))
		if events, _ := p.lines.take(t); len(events) != 1 || events[0].Name != want {
			t.Errorf("%q: %+v, want %s", event, events, want)
		}
	}
	p.post("/v1/p", `{"anonymousId":"u"}`)
	if events, _ := p.lines.take(t); len(events) != 1 || events[0].Name != "web.page" {
		t.Errorf("%+v", events)
	}
	for _, o := range []Options{
		{Types: map[string]arbalest.EventName{"track": "x"}}, {Types: map[string]arbalest.EventName{"page": "_x"}}, {Names: map[string]arbalest.EventName{"A": "a b"}},
	} {
		if _, err := New(p.capture, o); !errors.Is(err, arbalest.ErrInvalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// The key is Basic's user, a Bearer, or in the body; a token that is not ours
// beside a key that is, as with Segment's OAuth, lets in.
func TestSegmentKeys(t *testing.T) {
	p := newPlace(t, Options{}, capture.Options{Gate: key("KEY")})
	basic := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, c := range []struct {
		authorization, bodyKey string
		want                   int
	}{
		{basic("KEY:"), "", 200}, {basic("KEY"), "", 200}, {"Bearer KEY", "", 200}, {"", "KEY", 200}, {"Bearer oauth", "KEY", 200}, {basic("KEY:"), "other", 200},
		{"", "", 401}, {basic("NO:"), "", 401}, {"", "NO", 401}, {"Bearer oauth", "NO", 401},
	} {
		for path, body := range map[string]string{"/v1/track": `{"event":"A","userId":"u"`, "/v1/batch": `{"batch":[{"type":"page","userId":"u"}]`} {
			if c.bodyKey != "" {
				body += `,"writeKey":"` + c.bodyKey + `"`
			}
			w := p.post(path, body+"}", "Authorization", c.authorization)
			if events, rejected := p.lines.take(t); w.Code != c.want || (len(events) == 1) != (c.want == 200) || rejected != nil {
				t.Errorf("%s %+v: %d %s", path, c, w.Code, w.Body)
			}
		}
	}
	if w := p.post("/v1/track", `{"event":"A"`); w.Code != 401 || !strings.HasPrefix(w.Body.String(), `{"success":false,"message":"`) {
		t.Errorf("nonsense without a key: %d %s", w.Code, w.Body)
	}
}

// timestamp = receivedAt - (sentAt - originalTimestamp), in quarters of an hour.
func TestSegmentTimes(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	trusting := Options{TrustClocks: true}
	for _, c := range []struct {
		name, members string
		opts          Options
		want          string
	}{
		{"a clock that is right", `"timestamp":"2026-11-22T11:59:59.999Z","sentAt":"2026-11-22T11:59:58Z"`, Options{}, "2026-11-22T11:59:59.999Z"},
		{"slow by seven minutes", `"timestamp":"2026-11-22T11:50:00Z","sentAt":"2026-11-22T11:53:00Z"`, Options{}, "2026-11-22T11:50:00Z"},
		{"slow by a zone", `"timestamp":"2026-11-22T03:58:00Z","sentAt":"2026-11-22T03:59:50Z"`, Options{}, "2026-11-22T11:58:00Z"},
		{"fast by India", `"timestamp":"2026-11-22T17:28:00Z","sentAt":"2026-11-22T17:30:03Z"`, Options{}, "2026-11-22T11:58:00Z"},
		{"fast by years", `"timestamp":"2030-11-22T11:58:00Z","sentAt":"2030-11-22T12:00:00Z"`, Options{}, "2026-11-22T11:58:00Z"},
		{"1970", `"timestamp":"1970-01-01T00:00:01Z","sentAt":"1970-01-01T00:02:01Z"`, Options{}, "2026-11-22T12:00:01Z"},
		{"the original before all", `"originalTimestamp":"2026-11-22T10:58:00Z","timestamp":"2026-11-22T11:57:00Z","sentAt":"2026-11-22T11:00:00Z"`, Options{}, "2026-11-22T11:58:00Z"},
		{"received elsewhere", `"originalTimestamp":"2026-11-20T10:58:00Z","timestamp":"2026-11-20T11:57:00Z","sentAt":"2026-11-20T11:00:00Z","receivedAt":"2026-11-20T12:00:00Z"`, Options{}, "2026-11-20T11:57:00Z"},
		{"history", `"timestamp":"2012-12-02T00:30:12.984Z","sentAt":"2026-11-22T12:00:00Z"`, Options{}, "2012-12-02T00:30:12.984Z"},
		{"no sentAt", `"timestamp":"2012-12-02T00:30:12.984Z"`, Options{}, "2012-12-02T00:30:12.984Z"},
		{"a sentAt that is none", `"timestamp":"2012-12-02T00:30:12.984Z","sentAt":"now"`, Options{}, "2012-12-02T00:30:12.984Z"},
		{"no timestamp", `"sentAt":"2026-11-22T03:59:50Z"`, Options{}, "2026-11-22T12:00:00Z"},
		{"a property that is no time", `"properties":{"timestamp":7}`, Options{}, "2026-11-22T12:00:00Z"},
		{"a property that is one", `"properties":{"timestamp":"2012-12-02T00:30:12Z"}`, Options{}, "2012-12-02T00:30:12Z"},
		{"trusted", `"timestamp":"2026-11-22T03:58:00Z","sentAt":"2026-11-22T03:59:50Z"`, trusting, "2026-11-22T03:58:00Z"},
		{"with an offset", `"timestamp":"2026-11-22T13:58:00.123456+02:00","sentAt":"2026-11-22T14:00:00+02:00"`, Options{}, "2026-11-22T11:58:00.123456Z"},
	} {
		p := newPlace(t, c.opts, capture.Options{})
		p.post("/v1/track", `{"event":"A","userId":"u",`+c.members+`}`)
		events, rejected := p.lines.take(t)
		if len(events) != 1 || !at(events[0].Time).Equal(at(c.want)) {
			t.Errorf("%s: %+v %+v, want %s", c.name, events, rejected, c.want)
		}
	}
	for _, kept := range []string{`"timestamp":"2012-12-02T00:30:12.984Z"`, `"sentAt":"x"`, `"originalTimestamp":"2012-12-02T00:30:12Z"`} {
		p := newPlace(t, Options{}, capture.Options{})
		p.post("/v1/track", `{"event":"A","userId":"u",`+kept+`}`)
		if events, _ := p.lines.take(t); len(events) != 1 || !strings.Contains(events[0].Attributes, kept) {
			t.Errorf("%s: %+v", kept, events)
		}
	}
}

// What is sent again is the same event, with the same id and time, though the
// time of sending is another, and the hour has ended meanwhile: for every clock
// that is right or wrong by a zone, to within six minutes.
func TestSegmentRetriesAreRepeats(t *testing.T) {
	for zone := -14 * time.Hour; zone <= 14*time.Hour; zone += 15 * time.Minute {
		for _, off := range []time.Duration{-6 * time.Minute, -time.Second, 0, time.Second, 6 * time.Minute} {
			var seen []stored
			for attempt := range 3 {
				now := noon.Add(-time.Second + time.Duration(attempt)*time.Second)
				p := newPlace(t, Options{Now: func() time.Time { return now.Add(40 * time.Millisecond * time.Duration(attempt*attempt)) }}, capture.Options{})
				clock := now.Add(zone + off)
				p.post("/v1/batch", fmt.Sprintf(`{"sentAt":%q,"batch":[{"type":"track","event":"A","userId":"u","messageId":"m","timestamp":%q}]}`, clock.Format(time.RFC3339Nano), noon.Add(zone+off-2*time.Second).Format(time.RFC3339Nano)))
				events, _ := p.lines.take(t)
				seen = append(seen, events...)
			}
			if len(seen) != 3 || seen[0].Time != seen[1].Time || seen[0].Time != seen[2].Time || seen[0].ID != seen[2].ID || seen[0].Properties != seen[2].Properties {
				t.Fatalf("zone %v, off by %v: %+v", zone, off, seen)
			}
			made, _ := time.Parse(time.RFC3339Nano, seen[0].Time)
			if d := made.Sub(noon.Add(-2 * time.Second)); d != off {
				t.Errorf("zone %v, off by %v: the time is off by %v", zone, off, d)
			}
		}
	}
}

func TestLongMessageID(t *testing.T) {
	p := newPlace(t, Options{}, capture.Options{})
	long := strings.Repeat("m", 256)
	p.post("/v1/track", `{"event":"A","userId":"u","messageId":"`+long+`"}`)
	if events, _ := p.lines.take(t); len(events) != 1 || events[0].ID != hashed(long) || !strings.Contains(events[0].Attributes, long) {
		t.Errorf("%+v", events)
	}
}

// A key is a secret, also in a call that cannot be taken.
func TestTheKeyOfACallIsNotKept(t *testing.T) {
	p := newPlace(t, Options{}, capture.Options{})
	call := `{"type":"track","event":"A","userId":"u","userId":"v","writeKey":"SECRET"}`
	for path, body := range map[string]string{
		"/v1/track": call,
		"/v1/batch": `{"batch":[` + call + `],"writeKey":"SECRET"}`,
		"/v1/page":  `{"userId":"u","properties":{"a":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `},"writeKey":"SECRET"}`,
	} {
		p.post(path, body)
		if _, rejected := p.lines.take(t); len(rejected) != 1 || strings.Contains(string(rejected[0].Body), "SECRET") {
			t.Errorf("%s: %+v", path, rejected)
		}
	}
}

// manyNames is more members than a call may have.
func manyNames() string {
	var b strings.Builder
	for i := range maxMembers + 1 {
		fmt.Fprintf(&b, `,"m%d":1`, i)
	}
	return b.String()[1:]
}

// What a request holds is bounded by its bytes, however many members they are.
func TestCallsOfManyMembers(t *testing.T) {
	p := newPlace(t, Options{}, capture.Options{})
	var before, after runtime.MemStats
	members := strings.Repeat(`"a":1,`, 4<<20/6)
	for path, body := range map[string]string{
		"/v1/track": `{` + members + `"b":1}`,
		"/v1/batch": `{` + members + `"batch":[]}`,
	} {
		runtime.ReadMemStats(&before)
		w := p.post(path, body)
		runtime.ReadMemStats(&after)
		if grown := int(after.TotalAlloc - before.TotalAlloc); grown > 25*len(body) {
			t.Errorf("%s: %d, %d bytes were allocated for %d", path, w.Code, grown, len(body))
		}
	}
}
