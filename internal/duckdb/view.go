package duckdb

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"

	"arbalest"
	"arbalest/internal/load"
)

// allSuffix is what the name of a view ends with that shows a table's rows and those
// that left it; viewMark is what the comment of it begins with, before a hash of how
// it was made. Nobody else's view has that.
const (
	allSuffix = "_all"
	viewMark  = "arbalest: the rows of the table and the warm ones that left it "
)

// A relation is a table or a view.
type relation struct {
	isView  bool
	comment string
}

// isOurs says whether it is a view that showAll made.
func (r *relation) isOurs() bool {
	return r != nil && r.isView && strings.HasPrefix(r.comment, viewMark)
}

// relations returns what is in schema main, by name.
func (tx *transaction) relations() (map[string]*relation, error) {
	all := map[string]*relation{}
	err := tx.each(func(scan func(...any) error) error {
		var name string
		var r relation
		err := scan(&name, &r.isView, &r.comment)
		all[name] = &r
		return err
	}, `SELECT lower(table_name), false, '' FROM duckdb_tables() WHERE database_name = current_database() AND schema_name = 'main'
		UNION ALL SELECT lower(view_name), true, coalesce(comment, '') FROM duckdb_views() WHERE database_name = current_database() AND schema_name = 'main'`)
	if err != nil {
		return nil, fmt.Errorf("read relations: %w", err)
	}
	return all, nil
}

// ShowAll implements load.Tiers, where Options.Warm says where the objects are.
func (w *Warehouse) ShowAll(ctx context.Context, table string) error {
	if w.warm == "" {
		return nil
	}
	release, err := w.hold(ctx)
	if err != nil {
		return err
	}
	defer release()
	w.known = nil
	return w.transact(ctx, func(tx *transaction) error {
		if err := tx.showAll(table); err != nil {
			return err
		}
		files, err := tx.warmFiles(table)
		if err == nil && files == nil {
			err = fmt.Errorf("%w: a warm object of table %s, without which %[2]s%s is not shown", arbalest.ErrUnknown, table, allSuffix)
		}
		return err
	})
}

// showMoved makes views anew that show objects of another directory than Options.Warm:
// the place was moved or copied, and views name files by their whole paths. One that
// cannot be made stays as it is: ShowAll says why.
func (w *Warehouse) showMoved(ctx context.Context) error {
	if w.warm == "" {
		return nil
	}
	var tables []string
	err := w.transact(ctx, func(tx *transaction) error {
		return tx.each(func(scan func(...any) error) error {
			var name string
			err := scan(&name)
			tables = append(tables, strings.TrimSuffix(name, allSuffix))
			return err
		}, "SELECT view_name FROM duckdb_views() WHERE database_name = current_database() AND schema_name = 'main' AND starts_with(comment, ?) AND NOT contains(sql, ?)",
			viewMark, strings.TrimSuffix(literal(filepath.Join(w.warm, "_warm")), "'")+"/")
	})
	for _, table := range tables {
		_ = w.ShowAll(ctx, table)
	}
	return err
}

// showAll makes the view of a table anew if it is to be another, and drops it if it
// would not show all: the table or an object is not there, or objects are out of
// SQL's reach. The error wraps arbalest.ErrExists if something else has its name.
func (tx *transaction) showAll(table string) error {
	there, err := tx.relations()
	if err != nil {
		return err
	}
	name := table + allSuffix
	now := there[name]
	if tx.warm == "" && !now.isOurs() {
		return nil
	}
	if now != nil && !now.isOurs() {
		return fmt.Errorf("%w: %s is to be the view of the rows of table %s and of those that left it, and something else has that name: rename it, or give the table another name, under \"table\" of its event", arbalest.ErrExists, name, table)
	}
	query, mark, err := "", "", error(nil)
	if there[table] != nil {
		if query, mark, err = tx.queryOfAll(table); err != nil {
			return err
		}
	}
	switch {
	case query == "" && now != nil:
		return tx.exec("DROP VIEW " + tableName(name))
	case query == "" || now != nil && now.comment == mark:
		return nil
	}
	if err := tx.exec("CREATE OR REPLACE VIEW " + tableName(name) + " AS " + query); err != nil {
		return fmt.Errorf("make view %s: %w", name, err)
	}
	return tx.exec("COMMENT ON VIEW " + tableName(name) + " IS " + literal(mark))
}

// showAgain is showAll for a table that has the view.
func (tx *transaction) showAgain(table string) error {
	there, err := tx.relations()
	if err != nil || !there[table+allSuffix].isOurs() {
		return err
	}
	return tx.showAll(table)
}

// A warmFile is a file that the view of a table shows.
type warmFile struct {
	path, columns string
	stale         bool
}

// queryOfAll returns the query of a table's view, and the comment that tells it from
// others; no query if an object is not there.
//
// Files that were made by the same definition have the same columns, and are read
// together. Values are cast to the table's types; times are not, by which files and
// row groups are passed over.
func (tx *transaction) queryOfAll(table string) (query, mark string, err error) {
	files, err := tx.warmFiles(table)
	if err != nil || files == nil {
		return "", "", err
	}
	var names, kinds []string
	err = tx.each(func(scan func(...any) error) error {
		var name, kind string
		err := scan(&name, &kind)
		names, kinds = append(names, name), append(kinds, kind)
		return err
	}, "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = current_database() AND schema_name = 'main' AND table_name = ? ORDER BY column_index", table)
	if err != nil {
		return "", "", err
	}
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = ident(name)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "SELECT %s FROM %s", strings.Join(quoted, ", "), tableName(table))
	for len(files) > 0 {
		n := 1
		for n < len(files) && files[n].columns == files[0].columns && files[n].stale == files[0].stale {
			n++
		}
		if err := tx.addFiles(&b, table, files[:n], names, kinds); err != nil {
			return "", "", err
		}
		files = files[n:]
	}
	query = b.String()
	return query, fmt.Sprintf("%s%x", viewMark, sha256.Sum256([]byte(strings.Join(kinds, ",")+query))), nil
}

// warmFiles returns the files of the days that left, those that are alike together;
// nil if one is not there, or out of SQL's reach.
func (tx *transaction) warmFiles(table string) ([]warmFile, error) {
	files, missing := []warmFile{}, false
	err := tx.each(func(scan func(...any) error) error {
		var f warmFile
		var key string
		var bytes int64
		if err := scan(&key, &bytes, &f.columns, &f.stale); err != nil {
			return err
		}
		var err error
		f.path, err = fileOf(tx.warm, load.Warm{Key: arbalest.Key(key), Bytes: bytes})
		missing = missing || err != nil
		files = append(files, f)
		return nil
	}, "SELECT warm_key, warm_bytes, coalesce(warm_columns, ''), stale FROM arbalest.days WHERE table_name = ? AND warm_key IS NOT NULL ORDER BY 2, 3, day", table)
	if err != nil || missing {
		return nil, err
	}
	return files, nil
}

// addFiles adds to a query the rows of files that have the same columns.
func (tx *transaction) addFiles(b *strings.Builder, table string, files []warmFile, names, kinds []string) error {
	paths := make([]string, len(files))
	for i, f := range files {
		paths[i] = literal(f.path)
	}
	// Their folders are named day=…, which would be a column.
	const read = "read_parquet([%s], hive_partitioning = false)"
	have := map[string]string{}
	err := tx.each(func(scan func(...any) error) error {
		var name, kind string
		var rest [4]sql.NullString
		err := scan(&name, &kind, &rest[0], &rest[1], &rest[2], &rest[3])
		have[strings.ToLower(name)] = kind
		return err
	}, "DESCRIBE SELECT * FROM "+fmt.Sprintf(read, paths[0]))
	if err != nil {
		return fmt.Errorf("read columns of %s: %w", files[0].path, err)
	}
	list := make([]string, len(names))
	for i, name := range names {
		switch kind, ok := have[strings.ToLower(name)]; {
		case !ok:
			list[i] = "NULL::" + kinds[i]
		case kind == kinds[i]:
			list[i] = "f." + ident(name)
		default:
			list[i] = fmt.Sprintf("f.%s::%s", ident(name), kinds[i])
		}
	}
	fmt.Fprintf(b, " UNION ALL SELECT %s FROM %s f", strings.Join(list, ", "), fmt.Sprintf(read, strings.Join(paths, ", ")))
	if files[0].stale {
		fmt.Fprintf(b, " SEMI JOIN (SELECT event_id, event_time FROM arbalest.archived WHERE table_name = %s) a ON f.event_id = a.event_id AND f.event_time = a.event_time", literal(table))
	}
	return nil
}
