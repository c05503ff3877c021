package pgwire

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// simple answers a Query message: statements without parameters, one after the
// other, until one fails.
func (c *session) simple(sql string) error {
	c.skip, c.asked = false, sql
	statements := split(sql)
	if len(statements) == 0 {
		c.backend.Send(&pgproto3.EmptyQueryResponse{})
	}
	for _, tokens := range statements {
		if err := c.one(tokens); err != nil {
			if err := c.tell(err); err != nil {
				return err
			}
			break
		}
	}
	c.endImplicit()
	return c.ready()
}

// one runs a statement of a Query message.
func (c *session) one(tokens []token) error {
	var st *statement
	t := c.newTask()
	defer t.cancel(nil)
	err := c.work(t, func() (err error) {
		st, err = c.understand(t.ctx, tokens, nil)
		return err
	})
	if err != nil {
		return err
	}
	if len(st.oids) > 0 {
		return fail("42P02", "there is no parameter $1: a query of this kind has none")
	}
	p := &portal{statement: st}
	defer p.close()
	return c.run(p, 0, true)
}

// run runs a portal, for up to limit rows if that is not 0, with its columns
// first if describe says so, and says how it ended.
func (c *session) run(p *portal, limit int, describe bool) error {
	st := p.statement
	if c.tx == 'E' && st.verb != "rollback" && st.verb != "commit" && st.verb != "abort" && st.verb != "end" {
		return fail("25P02", "current transaction is aborted, commands ignored until end of transaction block")
	}
	if st.verb == "copy" {
		return c.copyOut(p)
	}
	if p.lost {
		return fail("24000", "the rest of the result was given up, because it was not read for long and memory or connections were needed: run the statement again")
	}
	if !p.begun {
		if err := c.open(p); err != nil {
			return err
		}
	} else if p.rows == nil && st.columns != nil {
		return c.complete(p)
	}
	if p.rows == nil {
		tag, err := c.command(p)
		if err != nil {
			return err
		}
		c.backend.Send(&pgproto3.CommandComplete{CommandTag: []byte(tag)})
		return nil
	}
	if describe {
		c.fields(st.columns, p)
	}
	more, err := c.send(p, limit)
	if err != nil {
		p.close()
		return err
	}
	if more {
		c.backend.Send(&pgproto3.PortalSuspended{})
		return nil
	}
	return c.complete(p)
}

// complete says that a result is at its end.
func (c *session) complete(p *portal) error {
	p.close()
	tag := fmt.Sprintf("SELECT %d", p.sent)
	switch p.statement.verb {
	case "fetch":
		tag = fmt.Sprintf("FETCH %d", p.sent)
	case "show", "explain":
		tag = strings.ToUpper(p.statement.verb)
	}
	p.sent = 0
	c.backend.Send(&pgproto3.CommandComplete{CommandTag: []byte(tag)})
	return nil
}

// parse answers a Parse message.
func (c *session) parse(m *pgproto3.Parse) error {
	c.asked = m.Query
	if m.Name != "" && c.statements[m.Name] != nil {
		return fail("42P05", "prepared statement %q already exists", m.Name)
	}
	if len(c.statements) >= 10_000 {
		return fail("53000", "there are too many prepared statements")
	}
	statements := split(m.Query)
	if len(statements) > 1 {
		return fail("42601", "cannot insert multiple commands into a prepared statement")
	}
	st := &statement{}
	if len(statements) == 1 {
		t := c.newTask()
		defer t.cancel(nil)
		err := c.work(t, func() (err error) {
			if st, err = c.understand(t.ctx, statements[0], m.ParameterOIDs); err != nil {
				return err
			}
			return c.columnsOf(t.ctx, st)
		})
		if err != nil {
			return err
		}
	}
	if c.tx == 'E' && st.verb != "rollback" && st.verb != "commit" && st.verb != "abort" && st.verb != "end" {
		return fail("25P02", "current transaction is aborted, commands ignored until end of transaction block")
	}
	c.dropStatement(m.Name)
	st.kept = st.weight()
	if err := c.keep(st.kept); err != nil {
		return err
	}
	c.statements[m.Name] = st
	c.backend.Send(&pgproto3.ParseComplete{})
	return nil
}

// bind answers a Bind message.
func (c *session) bind(m *pgproto3.Bind) error {
	st := c.statements[m.PreparedStatement]
	if st == nil {
		return fail("26000", "prepared statement %q does not exist", m.PreparedStatement)
	}
	if m.DestinationPortal != "" && c.portals[m.DestinationPortal] != nil {
		return fail("42P03", "portal %q already exists", m.DestinationPortal)
	}
	if len(m.Parameters) != len(st.oids) {
		return fail("08P01", "there are %d values for %d parameters", len(m.Parameters), len(st.oids))
	}
	if n := len(m.ResultFormatCodes); n > 1 && n != len(st.columns) {
		return fail("08P01", "there are %d formats for %d columns", n, len(st.columns))
	}
	if len(c.portals) >= 100 {
		return fail("53000", "there are too many portals")
	}
	p := &portal{statement: st, formats: append([]int16(nil), m.ResultFormatCodes...)}
	for i, value := range m.Parameters {
		format := int16(textFormat)
		switch n := len(m.ParameterFormatCodes); {
		case n == 1:
			format = m.ParameterFormatCodes[0]
		case i < n:
			format = m.ParameterFormatCodes[i]
		}
		arg, err := c.server.types.argument(st.oids[i], value, format)
		if err != nil {
			return fail("22P03", "parameter $%d: %v", i+1, err)
		}
		p.args = append(p.args, arg)
	}
	c.closePortal(m.DestinationPortal)
	p.kept = weightOf(p.args)
	if err := c.keep(p.kept); err != nil {
		return err
	}
	c.portals[m.DestinationPortal] = p
	c.backend.Send(&pgproto3.BindComplete{})
	return nil
}

// describe answers a Describe message.
func (c *session) describe(m *pgproto3.Describe) error {
	var st *statement
	var p *portal
	if m.ObjectType == 'S' {
		if st = c.statements[m.Name]; st == nil {
			return fail("26000", "prepared statement %q does not exist", m.Name)
		}
		c.backend.Send(&pgproto3.ParameterDescription{ParameterOIDs: st.oids})
	} else {
		if p = c.portals[m.Name]; p == nil {
			return fail("34000", "portal %q does not exist", m.Name)
		}
		st = p.statement
	}
	if st.columns == nil {
		c.backend.Send(&pgproto3.NoData{})
		return nil
	}
	c.fields(st.columns, p)
	return nil
}

// execute answers an Execute message.
func (c *session) execute(m *pgproto3.Execute) error {
	p := c.portals[m.Portal]
	if p == nil {
		return fail("34000", "portal %q does not exist", m.Portal)
	}
	if p.statement.verb == "" {
		c.backend.Send(&pgproto3.EmptyQueryResponse{})
		return nil
	}
	err := c.run(p, int(m.MaxRows), false)
	if err != nil && !errors.Is(err, errGone) {
		p.close()
	}
	return err
}
