package pgwire

import (
	"context"
	"fmt"
	"math"
	"strconv"

	"arbalest/internal/sqltext"
	"arbalest/internal/warehouse"
)

// A cursor is a result that is fetched in parts. It goes forward only.
type cursor struct {
	columns []column
	task    *task
	rows    source // nil once given up
	hold    bool   // beyond its transaction
	done    bool
	kept    int // bytes of its arguments
}

func (cur *cursor) close() {
	if cur.rows != nil {
		_ = cur.rows.Close() // it only reads
		cur.rows = nil
	}
	cur.task.cancel(nil)
}

// understandDeclare reads DECLARE name … CURSOR … FOR query.
func (c *session) understandDeclare(ctx context.Context, st *statement, oids []uint32) error {
	for i, t := range st.all {
		if t.is("for") {
			inner, err := c.understand(ctx, st.all[i+1:], oids)
			if err != nil {
				return err
			}
			if inner.sql == "" {
				return fail("42P11", "a cursor is for a SELECT")
			}
			st.inner, st.oids = inner, inner.oids
			return nil
		}
	}
	return fail("42601", "syntax error in DECLARE: write DECLARE name CURSOR FOR SELECT …")
}

func (c *session) declare(p *portal) error {
	st := p.statement
	cur := &cursor{task: c.newTask(), kept: weightOf(p.args)}
	for i, t := range st.tokens {
		if t.is("for") {
			break
		}
		cur.hold = cur.hold || t.is("with") && st.tokens[i+1].is("hold")
	}
	if c.tx == 'I' && !cur.hold {
		return fail("25P01", "DECLARE CURSOR can only be used in transaction blocks")
	}
	name := st.tokens[1].name()
	if c.cursors[name] != nil {
		return fail("42P03", "cursor %q already exists", name)
	}
	if len(c.cursors) >= 100 {
		return fail("53000", "there are too many cursors")
	}
	if err := c.keep(cur.kept); err != nil {
		return err
	}
	err := c.work(cur.task, func() (err error) {
		cur.rows, err = c.query(cur.task, st.inner, p.args)
		return err
	})
	if err != nil {
		cur.task.cancel(nil)
		_ = c.keep(-cur.kept)
		return err
	}
	cur.columns = st.inner.columns
	c.cursors[name] = cur
	return nil
}

// cursorOf returns the cursor of FETCH and MOVE, whose name is the last word.
func (c *session) cursorOf(st *statement) (*cursor, error) {
	name := st.tokens[len(st.tokens)-1].name()
	if cur := c.cursors[name]; cur != nil {
		return cur, nil
	}
	return nil, fail("34000", "cursor %q does not exist", name)
}

// countOf returns how many rows FETCH and MOVE are for.
func countOf(tokens []token) (int, error) {
	if len(tokens) < 2 {
		return 0, fail("42601", "a cursor's name is missing")
	}
	tokens = tokens[1 : len(tokens)-1]
	if n := len(tokens); n > 0 && (tokens[n-1].is("from") || tokens[n-1].is("in")) {
		tokens = tokens[:n-1]
	}
	if len(tokens) > 0 && (tokens[0].is("forward") || tokens[0].is("relative")) {
		tokens = tokens[1:]
	}
	switch {
	case len(tokens) == 0, len(tokens) == 1 && tokens[0].is("next"):
		return 1, nil
	case len(tokens) == 1 && tokens[0].is("all"):
		return math.MaxInt, nil
	case len(tokens) == 1 && tokens[0].kind == sqltext.Number:
		if n, err := strconv.Atoi(tokens[0].text); err == nil {
			return n, nil
		}
	}
	return 0, fail("55000", "cursor can only scan forward: use FETCH, FETCH n or FETCH ALL")
}

// openFetch begins FETCH.
func (c *session) openFetch(p *portal) error {
	cur, err := c.cursorOf(p.statement)
	if err != nil {
		return err
	}
	n, err := countOf(p.statement.tokens)
	if err != nil {
		return err
	}
	if cur.rows == nil {
		return fail("24000", "the cursor was closed, because it was not read for long and memory or connections were needed: declare it again")
	}
	p.task = cur.task
	p.rows = &fetched{cur: cur, left: n}
	return nil
}

// fetched are some of a cursor's rows.
type fetched struct {
	cur  *cursor
	left int
}

func (f *fetched) Next() bool {
	if f.left <= 0 || f.cur.done || f.cur.rows == nil {
		return false
	}
	f.left--
	f.cur.done = !f.cur.rows.Next()
	return !f.cur.done
}

func (f *fetched) Values() []warehouse.Value { return f.cur.rows.Values() }

func (f *fetched) Err() error {
	if f.cur.rows == nil {
		return nil
	}
	return f.cur.rows.Err()
}

func (f *fetched) Drop() {
	if f.cur.rows != nil {
		f.cur.rows.Drop()
	}
}

func (f *fetched) Close() error { return nil }

// move is MOVE: rows that are left out.
func (c *session) move(st *statement) (string, error) {
	cur, err := c.cursorOf(st)
	if err != nil {
		return "", err
	}
	left, err := countOf(st.tokens)
	if err != nil {
		return "", err
	}
	rows, n := &fetched{cur: cur, left: left}, 0
	err = c.work(cur.task, func() error {
		for rows.Next() {
			n++
		}
		return rows.Err()
	})
	return fmt.Sprintf("MOVE %d", n), err
}

func (c *session) closeCursor(name token) error {
	if name.is("all") {
		for name := range c.cursors {
			c.dropCursor(name)
		}
		return nil
	}
	if c.cursors[name.name()] == nil {
		return fail("34000", "cursor %q does not exist", name.name())
	}
	c.dropCursor(name.name())
	return nil
}

func (c *session) dropCursor(name string) {
	cur := c.cursors[name]
	cur.close()
	_ = c.keep(-cur.kept)
	delete(c.cursors, name)
}
