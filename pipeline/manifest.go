package pipeline

import (
	"context"
	"errors"
	"fmt"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/decode"
	"arbalest/internal/warehouse"
)

// ManifestCopy adds to a table what is below a source and was not copied
// before: the journal, arbalest.copied, has the key of every object that was,
// and is written in the transaction that has its rows. It is for sources that
// grow. It is idempotent because of the journal: nothing new is a no-op, and an
// object that was deleted and comes back, or is overwritten, is not copied
// again.
//
// The table is made if there is none, and is never dropped. Very many objects
// are copied in several transactions, each of which stays if a later one fails.
func ManifestCopy(source string, schema arbalest.Schema, options ...Option) Step {
	return &manifestCopy{newCopying(source, schema, options), manifestObjects}
}

type manifestCopy struct {
	copying
	most int // objects of one transaction
}

// A transaction of ManifestCopy has no more than so many objects and bytes.
const (
	manifestObjects = 50_000
	manifestBytes   = 16 << 30
)

func (m *manifestCopy) Name() string {
	return fmt.Sprintf("manifest copy %s into %s", m.source, m.schema.Table)
}

func (m *manifestCopy) run(ctx context.Context, w *work) (Result, error) {
	var sum Result
	var after arbalest.Key
	for {
		page, more, err := m.page(ctx, w.Store, after)
		if err != nil {
			return sum, err
		}
		r, err := w.some(ctx, !more, sum, func(tx warehouse.Tx) (Result, error) { return m.copyPage(ctx, w, tx, page, false) })
		if err != nil {
			return r, err
		}
		if sum = r; !more {
			return sum, nil
		}
		after = page[len(page)-1].Key
	}
}

// some does a part of a step in a transaction of its own; only the last one has
// the row that says that the step is done, with what all parts did.
func (w *work) some(ctx context.Context, last bool, before Result, do func(warehouse.Tx) (Result, error)) (sum Result, err error) {
	if last {
		return w.commit(ctx, func(tx warehouse.Tx) (Result, error) {
			r, err := do(tx)
			r.Objects, r.Rows, r.Errors = r.Objects+before.Objects, r.Rows+before.Rows, r.Errors+before.Errors
			return r, err
		})
	}
	err = w.Warehouse.Transact(ctx, w.step.lock(w.pipeline, w.index), func(tx warehouse.Tx) error {
		r, err := do(tx)
		if err != nil {
			return err
		}
		sum = before
		sum.Objects, sum.Rows, sum.Errors = sum.Objects+r.Objects, sum.Rows+r.Rows, sum.Errors+r.Errors
		return w.report(ctx, tx, r.table, r.reports)
	})
	return sum, err
}

// page lists the objects of one transaction. more says that others follow.
func (m *manifestCopy) page(ctx context.Context, store blob.Store, after arbalest.Key) (page []blob.Info, more bool, err error) {
	var bytes int64
	err = m.objects(ctx, store, after, func(o blob.Info) bool {
		if len(page) == m.most || len(page) > 0 && bytes+o.Size > manifestBytes {
			more = true
			return false
		}
		page = append(page, o)
		bytes += o.Size
		return true
	})
	return page, more, err
}

// copyPage copies the objects that the journal does not have.
func (m *manifestCopy) copyPage(ctx context.Context, w *work, tx warehouse.Tx, page []blob.Info, noLoad bool) (Result, error) {
	d, table := w.Warehouse.Dialect(), tableName(m.schema.Table)
	if err := m.prepare(ctx, d, tx); err != nil {
		return Result{}, err
	}
	fresh, err := m.fresh(ctx, tx, page)
	if err != nil {
		return Result{}, err
	}
	r, err := m.copyInto(ctx, tx, table.sql(), m.columns(d), w.Store, fresh, noLoad)
	if err != nil || len(fresh) == 0 {
		return r, err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO arbalest.copied SELECT CAST($1 AS VARCHAR(255)), object, bytes, CAST($2 AS VARCHAR(26)), CAST($3 AS TIMESTAMP) FROM arbalest_listed`, m.journal(), w.run, warehouse.Now()); err != nil {
		return r, fmt.Errorf("write the journal: %w", err)
	}
	return r, execAll(ctx, tx, "DROP TABLE arbalest_listed")
}

// prepare makes the table, or sees that it is the journal's.
func (m *manifestCopy) prepare(ctx context.Context, d warehouse.Dialect, tx warehouse.Tx) error {
	table := tableName(m.schema.Table)
	there, err := table.exists(ctx, tx)
	if err != nil {
		return fmt.Errorf("look for table %s: %w", m.schema.Table, err)
	}
	known, err := count(ctx, tx, `SELECT count(*) FROM arbalest.copied WHERE table_name = $1`, m.journal())
	if err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	if !there {
		// What was copied went with the table.
		if _, err := tx.Exec(ctx, `DELETE FROM arbalest.copied WHERE table_name = $1`, m.journal()); err != nil {
			return fmt.Errorf("forget the journal of a table that is gone: %w", err)
		}
		return execAll(ctx, tx, m.create(d))
	}
	if known > 0 || m.adopt {
		return nil
	}
	rows, err := count(ctx, tx, "SELECT count(*) FROM "+table.sql())
	if err != nil {
		return err
	}
	if rows > 0 {
		return fmt.Errorf("%w: table %s has %d rows, and no journal of where they are from: name another table, empty this one, or say that it is to be adopted as it is", arbalest.ErrExists, m.schema.Table, rows)
	}
	return nil
}

func (m *manifestCopy) create(d warehouse.Dialect) string {
	return fmt.Sprintf("CREATE TABLE %s (%s)", tableName(m.schema.Table).sql(), d.Define(m.columns(d)))
}

// listed are the columns of the table that a listing is held against the
// journal in, so that it is the warehouse that remembers all that ever was.
var listed = []arbalest.Column{
	{Name: "object", Type: arbalest.Type{Kind: arbalest.Varchar, Length: 1024}},
	{Name: "bytes", Type: arbalest.Type{Kind: arbalest.BigInt}},
}

// fresh returns the objects that the journal does not have. If there are any,
// the table arbalest_listed has just them.
func (m *manifestCopy) fresh(ctx context.Context, tx warehouse.Tx, page []blob.Info) ([]blob.Info, error) {
	if len(page) == 0 {
		return nil, nil
	}
	if err := execAll(ctx, tx, "CREATE TEMP TABLE arbalest_listed (object VARCHAR(1024), bytes BIGINT)"); err != nil {
		return nil, err
	}
	if _, err := tx.Insert(ctx, "arbalest_listed", listed, listPages(page)); err != nil {
		return nil, fmt.Errorf("list objects in the warehouse: %w", err)
	}
	if _, err := tx.Exec(ctx, `DELETE FROM arbalest_listed WHERE EXISTS (SELECT 1 FROM arbalest.copied c WHERE c.table_name = $1 AND c.object = arbalest_listed.object)`, m.journal()); err != nil {
		return nil, fmt.Errorf("hold the listing against the journal: %w", err)
	}
	left := map[string]bool{}
	err := tx.Query(ctx, "SELECT object FROM arbalest_listed", func(values []any) error {
		key, _ := values[0].(string)
		left[key] = true
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read what is new: %w", err)
	}
	var fresh []blob.Info
	for _, o := range page {
		if left[string(o.Key)] {
			fresh = append(fresh, o)
		}
	}
	if len(fresh) != len(left) {
		return nil, fmt.Errorf("%w: of %d objects the warehouse gave back %d that are new", arbalest.ErrCorrupt, len(fresh), len(left))
	}
	if len(fresh) == 0 {
		return nil, execAll(ctx, tx, "DROP TABLE arbalest_listed")
	}
	return fresh, nil
}

// listPages makes rows of a listing.
func listPages(objects []blob.Info) []warehouse.Page {
	keys := decode.Vector{Type: listed[0].Type, Offsets: []int32{0}}
	sizes := decode.Vector{Type: listed[1].Type}
	for _, o := range objects {
		keys.Data = append(keys.Data, o.Key...)
		keys.Offsets = append(keys.Offsets, int32(len(keys.Data)))
		sizes.Int64 = append(sizes.Int64, o.Size)
	}
	return []warehouse.Page{{Rows: len(objects), Columns: []decode.Vector{keys, sizes}}}
}

func (m *manifestCopy) validate(ctx context.Context, w *work, tx warehouse.Tx) (Result, error) {
	sum := Result{table: m.schema.Table}
	for after, more := arbalest.Key(""), true; more; {
		var page []blob.Info
		var err error
		if page, more, err = m.page(ctx, w.Store, after); err != nil {
			return sum, err
		}
		r, err := m.copyPage(ctx, w, tx, page, true)
		if sum.add(r); err != nil {
			return sum, err
		}
		if more {
			after = page[len(page)-1].Key
		}
	}
	return sum, nil
}

// errPlanned ends the transaction that a plan looks around in.
var errPlanned = errors.New("planned")

func (m *manifestCopy) plan(ctx context.Context, w *work) (StepPlan, error) {
	var p StepPlan
	d := w.Warehouse.Dialect()
	there, err := tableName(m.schema.Table).exists(ctx, w.Warehouse)
	if err != nil {
		return p, err
	}
	if !there {
		p.Statements = append(p.Statements, m.create(d))
	}
	journal, err := tableName("arbalest.copied").exists(ctx, w.Warehouse)
	if err != nil {
		return p, err
	}
	for after, more := arbalest.Key(""), true; more; {
		var page []blob.Info
		if page, more, err = m.page(ctx, w.Store, after); err != nil {
			return p, err
		}
		if len(page) > 0 {
			after = page[len(page)-1].Key
		}
		fresh := page
		if there && journal {
			err = w.Warehouse.Transact(ctx, w.step.lock(w.pipeline, w.index), func(tx warehouse.Tx) error {
				if fresh, err = m.fresh(ctx, tx, page); err != nil {
					return err
				}
				return errPlanned
			})
			if err != nil && !errors.Is(err, errPlanned) {
				return p, err
			}
		}
		p.Objects += int64(len(fresh))
		p.Bytes += totalBytes(fresh)
		if len(p.Sample) == 0 {
			p.Sample = sample(fresh)
		}
	}
	p.Statements = append(p.Statements, m.copyLine(int(p.Objects), tableName(m.schema.Table)), "INSERT INTO arbalest.copied …")
	if p.Objects == 0 {
		p.Note = "nothing new: a no-op"
	}
	return p, nil
}
