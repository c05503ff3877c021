// Command clients sends N events with the published Go clients of Segment and of
// CloudEvents, unchanged: clients segment|cloudevents URL N. It is a module of
// its own, so that the project does not depend on them. The test knows what the
// events are.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/segmentio/analytics-go/v3"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: clients segment|cloudevents URL N")
		os.Exit(2)
	}
	n, err := strconv.Atoi(os.Args[3])
	if err == nil {
		err = map[string]func(url string, n int) error{"segment": segment, "cloudevents": cloud}[os.Args[1]](os.Args[2], n)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// at is when event i happened.
func at(i int) time.Time {
	return time.Date(2026, 1, 15, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * 7919 * time.Millisecond)
}

// An outcome counts what became of messages.
type outcome struct{ sent, failed atomic.Int64 }

// Success implements analytics.Callback.
func (o *outcome) Success(analytics.Message) { o.sent.Add(1) }

// Failure implements analytics.Callback.
func (o *outcome) Failure(_ analytics.Message, err error) {
	o.failed.Add(1)
	fmt.Fprintln(os.Stderr, err)
}

func segment(url string, n int) error {
	var done outcome
	client, err := analytics.NewWithConfig(os.Getenv("WRITE_KEY"), analytics.Config{
		Endpoint: url, BatchSize: 40, Interval: 100 * time.Millisecond, Callback: &done,
		RetryAfter: func(attempt int) time.Duration { return time.Duration(attempt+1) * 20 * time.Millisecond },
	})
	if err != nil {
		return err
	}
	for i := range n {
		user, id, properties := fmt.Sprintf("user-%d", i%100), fmt.Sprintf("m-%05d", i), analytics.Properties{"n": i, "title": fmt.Sprintf("é %q", strconv.Itoa(i))}
		traits := analytics.Traits(properties)
		var m analytics.Message
		switch i % 7 {
		case 0:
			m = analytics.Track{MessageId: id, UserId: user, Timestamp: at(i), Event: "Order Completed", Properties: properties}
		case 1:
			m = analytics.Track{MessageId: id, UserId: user, Timestamp: at(i), Event: "song.played", Properties: properties}
		case 2:
			m = analytics.Identify{MessageId: id, UserId: user, Timestamp: at(i), Traits: traits}
		case 3:
			m = analytics.Page{MessageId: id, UserId: user, Timestamp: at(i), Name: "Home", Properties: properties}
		case 4:
			m = analytics.Screen{MessageId: id, UserId: user, Timestamp: at(i), Name: "Home", Properties: properties}
		case 5:
			m = analytics.Group{MessageId: id, UserId: user, Timestamp: at(i), GroupId: "g1", Traits: traits}
		case 6:
			m = analytics.Alias{MessageId: id, UserId: user, Timestamp: at(i), PreviousId: fmt.Sprintf("before-%d", i)}
		}
		if err := client.Enqueue(m); err != nil {
			return err
		}
	}
	for done.sent.Load()+done.failed.Load() < int64(n) { // Close drops what it is at
		time.Sleep(10 * time.Millisecond)
	}
	if failed := done.failed.Load(); failed > 0 {
		return fmt.Errorf("%d messages were not sent", failed)
	}
	return client.Close()
}

func cloud(url string, n int) error {
	client, err := cloudevents.NewClientHTTP(cloudevents.WithTarget(url))
	if err != nil {
		return err
	}
	var next, failed atomic.Int64
	var workers sync.WaitGroup
	for range 32 {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				e := cloudevents.NewEvent()
				e.SetID(fmt.Sprintf("e-%05d", i))
				e.SetSource(fmt.Sprintf("/shop/%d", i%3))
				e.SetType([]string{"com.example.order.completed", "com.example.song/played"}[i%2])
				e.SetTime(at(i))
				e.SetSubject(fmt.Sprintf("user-%d", i%100))
				e.SetExtension("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
				err := e.SetData(cloudevents.ApplicationJSON, map[string]any{"n": i, "title": fmt.Sprintf("é %q", strconv.Itoa(i))})
				ctx := cloudevents.ContextWithRetriesConstantBackoff(context.Background(), 10*time.Millisecond, 30)
				if (i>>1)%2 == 1 {
					ctx = binding.WithForceStructured(ctx)
				}
				if result := client.Send(ctx, e); err != nil || !cloudevents.IsACK(result) {
					failed.Add(1)
					fmt.Fprintln(os.Stderr, i, err, result)
				}
			}
		})
	}
	workers.Wait()
	if failed.Load() > 0 {
		return fmt.Errorf("%d events were not sent", failed.Load())
	}
	return nil
}
