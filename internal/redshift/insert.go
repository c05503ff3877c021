package redshift

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/klauspost/compress/zstd"

	"arbalest"
	"arbalest/internal/warehouse"
)

// blockBytes is how much of rows is given to the compressor at once.
const blockBytes = 256 << 10

// Insert implements warehouse.Tx: rows are staged as JSON and copied with a
// manifest. That as many came in as were staged is checked.
func (t *tx) Insert(ctx context.Context, table string, columns []arbalest.Column, pages []warehouse.Page) (rows int64, err error) {
	if err := t.ready(); err != nil {
		return 0, err
	}
	if err := t.d.distinct(columns); err != nil {
		return 0, err
	}
	for _, p := range pages {
		if len(p.Columns) != len(columns) {
			return 0, fmt.Errorf("%w: a page has %d columns, and %d are to be filled", arbalest.ErrInvalid, len(p.Columns), len(columns))
		}
	}
	st, err := t.d.newStage()
	if err != nil {
		return 0, err
	}
	defer st.remove(ctx)
	w, err := newRowWriter(ctx, st, t.d.opts.ObjectBytes)
	if err != nil {
		return 0, err
	}
	if err := w.pages(pages); err != nil {
		return 0, fmt.Errorf("insert into %s: %w", table, err)
	}
	if w.rows == 0 {
		return 0, nil
	}
	paths := make([]string, len(columns))
	for i := range paths {
		if paths[i], err = jsonPath([]string{member(i)}); err != nil {
			return 0, err
		}
	}
	c := copying{table: table, columns: t.d.dialect.Names(columns), codec: "ZSTD"}
	if c.paths, err = st.paths(ctx, paths); err != nil {
		return 0, err
	}
	if c.manifest, err = st.manifest(ctx, "manifest.json"); err != nil {
		return 0, err
	}
	if err := t.copy(ctx, c); err != nil {
		return 0, fmt.Errorf("insert into %s: %w", table, t.explain(ctx, err))
	}
	loaded, err := t.number(ctx, "SELECT pg_last_copy_count()")
	if err != nil {
		return 0, err
	}
	if loaded != w.rows {
		return 0, t.giveUp(fmt.Errorf("insert into %s: %w: %d rows were staged, and COPY loaded %d", table, arbalest.ErrCorrupt, w.rows, loaded))
	}
	return loaded, nil
}

// giveUp makes an error the transaction's, which is not committed then.
func (t *tx) giveUp(err error) error {
	if t.failed == nil {
		t.failed = err
	}
	return err
}

// distinct refuses columns whose names Redshift, which folds them also where
// they are quoted, would take for one.
func (d *Database) distinct(columns []arbalest.Column) error {
	if len(columns) == 0 {
		return fmt.Errorf("%w: no columns", arbalest.ErrInvalid)
	}
	seen := map[string]string{}
	for _, c := range columns {
		name := strings.ToLower(d.dialect.Cut(c.Name))
		if other, ok := seen[name]; ok {
			return fmt.Errorf("%w: columns %q and %q are one in Redshift, which folds names to lower case: rename one", arbalest.ErrInvalid, other, c.Name)
		}
		seen[name] = c.Name
	}
	return nil
}

// A rowWriter stages rows in objects of about the same size.
type rowWriter struct {
	ctx    context.Context
	stage  *stage
	split  int // bytes, compressed
	rows   int64
	block  []byte
	object bytes.Buffer
	zstd   *zstd.Encoder
	wrote  bool // something, since the object began
	count  int  // objects
}

func newRowWriter(ctx context.Context, st *stage, split int) (*rowWriter, error) {
	w := &rowWriter{ctx: ctx, stage: st, split: split}
	var err error
	w.zstd, err = zstd.NewWriter(&w.object, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("compress rows: %w", err)
	}
	return w, nil
}

func (w *rowWriter) pages(pages []warehouse.Page) (err error) {
	for _, p := range pages {
		for row := range p.Rows {
			if p.Keep != nil && p.Keep[row>>3]>>(row&7)&1 == 0 {
				continue
			}
			before := len(w.block)
			if w.block, err = appendRow(w.block, p.Columns, row); err != nil {
				return fmt.Errorf("row %d: %w", w.rows+1, err)
			}
			if n := len(w.block) - before; n > maxRow {
				return fmt.Errorf("row %d: %w: it has %d bytes as JSON, and COPY takes %d", w.rows+1, arbalest.ErrInvalid, n, maxRow)
			}
			w.rows++
			if len(w.block) >= blockBytes {
				if err := w.flush(); err != nil {
					return err
				}
			}
		}
	}
	if err := w.flush(); err != nil {
		return err
	}
	return w.finish()
}

// flush compresses what there is, and ends the object where it is large enough.
func (w *rowWriter) flush() error {
	if len(w.block) == 0 {
		return nil
	}
	if _, err := w.zstd.Write(w.block); err != nil {
		return fmt.Errorf("compress rows: %w", err)
	}
	w.block, w.wrote = w.block[:0], true
	if w.object.Len() < w.split {
		return nil
	}
	return w.finish()
}

// finish writes the object.
func (w *rowWriter) finish() error {
	if !w.wrote {
		return nil
	}
	if err := w.zstd.Close(); err != nil {
		return fmt.Errorf("compress rows: %w", err)
	}
	w.count++
	url, err := w.stage.put(w.ctx, fmt.Sprintf("rows-%05d.ndjson.zst", w.count), w.object.Bytes())
	if err != nil {
		return err
	}
	w.stage.list(url, int64(w.object.Len()))
	w.object.Reset()
	w.zstd.Reset(&w.object)
	w.wrote = false
	return nil
}
