package source

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"arbalest"
	"arbalest/internal/capture"
)

func testLink(take Take) (*link, *strings.Builder) {
	var log strings.Builder
	o := Options{Name: "x", Kind: NATS, URL: "nats://u:se%40cret@h", Log: slog.New(slog.NewTextHandler(&log, nil))}.withDefaults()
	return &link{opts: o, take: take}, &log
}

func testMessages(n int) []message {
	var all []message
	for i := range n {
		all = append(all, message{payload: event(i), id: fmt.Sprint("t/", i)})
	}
	return all
}

// TestDeliverWaits holds that what is not taken is offered again, all of it, in
// its order, and acknowledged after that only.
func TestDeliverWaits(t *testing.T) {
	calls := 0
	l, log := testLink(func(_ context.Context, events []capture.Foreign) ([]capture.Outcome, error) {
		if calls++; calls == 1 {
			return nil, fmt.Errorf("%w: later", arbalest.ErrBusy)
		}
		if len(events) != 5 || events[4].ID != "t/4" {
			t.Errorf("%d events", len(events))
		}
		return []capture.Outcome{nil, nil, {Code: capture.BadName}, nil, nil}, nil
	})
	done := 0
	if err := l.deliver(t.Context(), testMessages(5), func(n int) error {
		if calls != 2 {
			t.Error("acknowledged before it was taken")
		}
		done += n
		return nil
	}); err != nil || done != 5 {
		t.Error(done, err)
	}
	if s := l.opts.Stats; s.Accepted() != 4 || s.Rejected() != 1 || s.Retries() != 1 {
		t.Errorf("%d accepted, %d rejected, %d retries", s.Accepted(), s.Rejected(), s.Retries())
	}
	if !strings.Contains(log.String(), "later") {
		t.Error("it is not logged why it waits")
	}
}

// TestDeliverStops holds that a source that is told to stop makes one attempt,
// and acknowledges nothing that failed.
func TestDeliverStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	calls := 0
	l, _ := testLink(func(ctx context.Context, _ []capture.Foreign) ([]capture.Outcome, error) {
		calls++
		if ctx.Err() != nil {
			t.Error("what is on its way is cancelled")
		}
		return nil, arbalest.ErrUnavailable
	})
	err := l.deliver(ctx, testMessages(3), func(int) error { t.Error("acknowledged"); return nil })
	if calls != 1 || !errors.Is(err, arbalest.ErrUnavailable) {
		t.Error(calls, err)
	}
}

// TestDeliverTooLarge holds that what does not fit into memory is taken in
// parts, and an event that never can is rejected, its beginning kept.
func TestDeliverTooLarge(t *testing.T) {
	var taken []string
	var kept int
	l, _ := testLink(func(_ context.Context, events []capture.Foreign) ([]capture.Outcome, error) {
		size := 0
		for _, e := range events {
			size += len(e.Data) + len(e.Raw)
		}
		if size > 5000 {
			return nil, fmt.Errorf("%w: more than memory has room for", arbalest.ErrTooLarge)
		}
		outcomes := make([]capture.Outcome, len(events))
		for i, e := range events {
			taken = append(taken, e.ID)
			if outcomes[i] = e.Bad; e.Bad != nil {
				kept = len(e.Raw)
			}
		}
		return outcomes, nil
	})
	msgs := testMessages(200)
	msgs[100].payload = fmt.Appendf(nil, `{"event":"m","data":{"text":%q}}`, strings.Repeat("x", 50_000))
	done := 0
	if err := l.deliver(t.Context(), msgs, func(n int) error { done += n; return nil }); err != nil || done != 200 {
		t.Error(done, err)
	}
	if s := l.opts.Stats; s.Accepted() != 199 || s.Rejected() != 1 || kept < 1000 || len(taken) != 200 || taken[199] != "t/199" {
		t.Errorf("%d accepted, %d rejected, %d bytes kept, %d taken", s.Accepted(), s.Rejected(), kept, len(taken))
	}
}

func TestSecretsAreHidden(t *testing.T) {
	l, _ := testLink(nil)
	if got := l.clean(errors.New(`dial nats://u:se%40cret@h: "se@cret" refused`)); strings.Contains(got, "cret") {
		t.Error(got)
	}
}
