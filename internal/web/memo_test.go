package web

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestMemoMakesOneAtATimeAndKeepsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m memo[int]
		made := 0
		slow := func(ctx context.Context) (int, error) {
			made++
			time.Sleep(time.Second)
			return made, nil
		}
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				if n, err := m.get(t.Context(), slow); n != 1 || err != nil {
					t.Errorf("got %d, %v", n, err)
				}
			})
		}
		all.Wait()
		time.Sleep(4 * time.Second)
		if n, _ := m.get(t.Context(), slow); n != 1 {
			t.Errorf("after 4 s it was made again")
		}
		time.Sleep(2 * time.Second)
		if n, _ := m.get(t.Context(), slow); n != 2 {
			t.Errorf("after 6 s it is still %d", n)
		}
		m.forget()
		if n, _ := m.get(t.Context(), slow); n != 3 {
			t.Errorf("after forget it is %d", n)
		}
	})
}

func TestMemoKeepsNoErrorAndWaitsNoLongerThanItMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m memo[int]
		bad := errors.New("bad")
		if _, err := m.get(t.Context(), func(context.Context) (int, error) { return 0, bad }); err != bad {
			t.Error(err)
		}
		go m.get(t.Context(), func(context.Context) (int, error) { time.Sleep(time.Hour); return 7, nil }) //nolint:errcheck // the other is looked at
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := m.get(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting for others ended with %v", err)
		}
		time.Sleep(2 * time.Hour)
	})
}
