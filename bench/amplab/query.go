package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"arbalest/internal/warehouse"
)

// A query is one of the benchmark's. A row of its answer is a text, and a number
// or two.
type query struct {
	name string
	sql  string
}

var queries = func() (all []query) {
	for i, x := range []int{1000, 100, 10} {
		all = append(all, query{"1" + "ABC"[i:i+1], fmt.Sprintf("SELECT pageURL, pageRank FROM rankings WHERE pageRank > %d", x)})
	}
	for i, x := range []int{8, 10, 12} {
		all = append(all, query{"2" + "ABC"[i:i+1], fmt.Sprintf("SELECT SUBSTR(sourceIP, 1, %d) AS source, SUM(adRevenue) AS revenue FROM uservisits GROUP BY SUBSTR(sourceIP, 1, %[1]d)", x)})
	}
	for i, x := range []string{"1980-04-01", "1983-01-01", "2010-01-01"} {
		all = append(all, query{"3" + "ABC"[i:i+1], fmt.Sprintf(`SELECT sourceIP, totalRevenue, avgPageRank FROM
(SELECT UV.sourceIP, AVG(pageRank) AS avgPageRank, SUM(adRevenue) AS totalRevenue FROM rankings R, uservisits UV
 WHERE R.pageURL = UV.destURL AND UV.visitDate BETWEEN DATE '1980-01-01' AND DATE '%s' GROUP BY UV.sourceIP) q
ORDER BY totalRevenue DESC LIMIT 1`, x)})
	}
	return all
}()

// exec runs a statement in a transaction of its own.
func (p place) exec(ctx context.Context, statements ...string) error {
	return p.warehouse.Database.Transact(ctx, "amplab", func(tx warehouse.Tx) error {
		for _, s := range statements {
			if _, err := tx.Exec(ctx, s); err != nil {
				return err
			}
		}
		return nil
	})
}

// materialize makes a query's answer a table, as the benchmark asks, and returns
// how long that took.
func (p place) materialize(ctx context.Context, q query) (time.Duration, error) {
	if err := p.exec(ctx, "DROP TABLE IF EXISTS result"); err != nil {
		return 0, err
	}
	return timed(func() error { return p.exec(ctx, "CREATE TABLE result AS "+q.sql) })
}

// A row is one of an answer.
type row struct {
	text    string
	numbers [2]float64
}

// An answer is in the order of its rows.
type answer []row

// answer reads what materialize made.
func (p place) answer(ctx context.Context, q query) (answer, error) {
	var a answer
	err := p.warehouse.Database.Query(ctx, "SELECT * FROM result", func(values []any) error {
		var r row
		r.text, _ = values[0].(string)
		r.text = strings.Clone(r.text)
		for i, v := range values[1:] {
			switch v := v.(type) {
			case int64:
				r.numbers[i] = float64(v)
			case float64:
				r.numbers[i] = v
			default: // a numeric, as text
				if _, err := fmt.Sscan(fmt.Sprint(v), &r.numbers[i]); err != nil {
					return fmt.Errorf("read answer: %v: %w", v, err)
				}
			}
		}
		a = append(a, r)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read %s's answer to %s: %w", p.name, q.name, err)
	}
	a.sort()
	return a, nil
}

func (a answer) sort() {
	slices.SortFunc(a, func(x, y row) int {
		return cmp.Or(cmp.Compare(x.text, y.text), cmp.Compare(x.numbers[0], y.numbers[0]))
	})
}

// tolerance is how far sums of doubles may be apart, of their size: they are
// added in another order.
const tolerance = 1e-9

// differs says where two answers are not the same; nil if they are.
func (a answer) differs(b answer) error {
	if len(a) != len(b) {
		return fmt.Errorf("%d and %d rows", len(a), len(b))
	}
	for i := range a {
		same := a[i].text == b[i].text
		for k, x := range a[i].numbers {
			y := b[i].numbers[k]
			same = same && math.Abs(x-y) <= tolerance*max(math.Abs(x), math.Abs(y))
		}
		if !same {
			return fmt.Errorf("row %d: %v and %v", i+1, a[i], b[i])
		}
	}
	return nil
}
