package load_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/lake"
	"arbalest/internal/load"
)

// TestExcerptIsWhatALoadMakes loads the objects of a day, after compactions too, large
// ones among them, and has the rows that a warehouse has that loads the whole log.
func TestExcerptIsWhatALoadMakes(t *testing.T) {
	ctx := context.Background()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 2))
	l, w := openLake(t, blob.NewMemory()), openWarehouse(t)
	loader := load.New(l, w, load.Options{BatchBytes: 1 << 20})
	day := arbalest.HourOf(noon) - 12
	for round := range 6 {
		var events []event
		for range 1 + random.IntN(60) {
			at := noon.Add(time.Duration(random.IntN(36)-18) * time.Hour)
			if random.IntN(4) == 0 {
				at = noon.Add(48 * time.Hour) // that of the receipt
			}
			events = append(events, event{"a", fmt.Sprint(random.IntN(40)), at, fmt.Sprintf(`{"n":%d,"c%d":true}`, random.IntN(3), random.IntN(4))})
		}
		if round == 3 { // an object that is not read whole
			for i := range 40 {
				events = append(events, event{"a", fmt.Sprint("large", i%30), noon, fmt.Sprintf(`{"n":%d,"text":"%s"}`, i%2, strings.Repeat("x", 99_000+i))})
			}
		}
		appendEvents(t, l, events...)
		sortAll(t, l)
	}
	loadAll(t, loader)
	for range 2 {
		if _, err := l.Compact(ctx, arbalest.HourOf(noon)+99); err != nil {
			t.Fatal(err)
		}
		objects, err := l.Day(ctx, "a", day)
		if err != nil {
			t.Fatal(err)
		}
		where := fmt.Sprintf("FROM a WHERE event_time >= '%s' AND event_time < '%s'", day.Time().Format(time.DateTime), (day + 24).Time().Format(time.DateTime))
		all := "SELECT * %s ORDER BY event_time, event_id, n"
		want := ask(t, w, fmt.Sprintf(all, where))
		if strings.Count(want, "\n") < 40 {
			t.Fatalf("only %d rows", strings.Count(want, "\n"))
		}

		scratch := openWarehouse(t)
		counts, err := loader.Excerpt(ctx, scratch, "a", objects, nil)
		if got := ask(t, scratch, fmt.Sprintf(all, "FROM a")); err != nil || got != want {
			t.Errorf("%v: %d rows of %d", err, strings.Count(got, "\n"), strings.Count(want, "\n"))
		}
		if counts.Stored != counts.Loaded+counts.Repeats+counts.Errors {
			t.Errorf("%+v", counts)
		}

		// Of ids of two letters one line for each hour, whichever is asked for first.
		var bodies []lineAt
		distinct := map[string]bool{}
		for _, o := range objects {
			body, stored, err := l.AppendLines(ctx, nil, o)
			if err != nil {
				t.Fatal(err)
			}
			b := lineAt{stored, strings.SplitAfter(string(body), "\n")}
			for _, line := range b.lines[:stored.Events] {
				if e, err := arbalest.ParseLine([]byte(line)); err != nil {
					t.Fatal(err)
				} else if len(e.ID) == 2 {
					distinct[e.UnquoteID()+arbalest.HourOfMicro(e.Time).String()] = true
				}
			}
			bodies = append(bodies, b)
		}
		var mu sync.Mutex
		chosen := map[string]string{}
		scratch = openWarehouse(t)
		counts, err = loader.Excerpt(ctx, scratch, "a", objects, func(object int, line int64, text []byte) bool {
			if want := bodies[object].lines[bodies[object].Now(line)-1]; want != string(text) {
				t.Errorf("line %d of object %d is given as another", line, object)
			}
			e, err := arbalest.ParseLine(text)
			if err != nil || len(e.ID) != 2 {
				return false
			}
			mu.Lock()
			defer mu.Unlock()
			key, place := e.UnquoteID()+arbalest.HourOfMicro(e.Time).String(), fmt.Sprint(object, " ", line)
			if chosen[key] == "" {
				chosen[key] = place
			}
			return chosen[key] == place
		})
		if err != nil || len(distinct) == 0 || counts.Loaded != int64(len(distinct)) || counts.Stored != counts.Loaded+counts.Repeats+counts.Errors {
			t.Errorf("%v: %+v, want %d loaded", err, counts, len(distinct))
		}
		if got, want := ask(t, scratch, "SELECT count(*), count(DISTINCT event_id || date_trunc('hour', event_time)) FROM a WHERE length(event_id) = 2"), fmt.Sprintf("%d|%[1]d", len(distinct)); got != want {
			t.Errorf("rows %s, want %s", got, want)
		}
	}
}

// A lineAt has the lines of an object, as they are stored.
type lineAt struct {
	lake.Stored
	lines []string
}
