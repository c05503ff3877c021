package lake

import (
	"context"
	"errors"
	"fmt"

	"arbalest"
)

// A definition is a stored version of a table's columns.
type definition struct {
	Format int            `json:"format"`
	Table  arbalest.Table `json:"definition"`
}

// maxSameName is how many events may want one table name.
const maxSameName = 100

// Table returns the definition of an event's table. Version 0 says that none is
// stored yet. The name is the event's own; where another event has it already
// ("user.created" and "user_created"), the first free of <name>_2, <name>_3, …
// Definitions are in the store, so that a warehouse that is built anew, or a
// second one, comes out the same.
func (l *Lake) Table(ctx context.Context, event arbalest.EventName) (arbalest.Table, error) {
	for n := 1; n <= maxSameName; n++ {
		name := event.Table()
		if n > 1 {
			name = fmt.Sprintf("%s_%d", name, n)
		}
		t, err := l.newestDefinition(ctx, name)
		switch {
		case err != nil:
			return arbalest.Table{}, err
		case t.Version == 0:
			return arbalest.Table{Name: name, Event: event}, nil
		case t.Event == event:
			return t, nil
		}
	}
	return arbalest.Table{}, fmt.Errorf("%w: event %s: more than %d events want table %s: choose another event name", arbalest.ErrInvalid, event, maxSameName, event.Table())
}

// Definition returns the newest stored definition of a table, of Version 0 if
// there is none.
func (l *Lake) Definition(ctx context.Context, name string) (arbalest.Table, error) {
	return l.newestDefinition(ctx, name)
}

func (l *Lake) newestDefinition(ctx context.Context, name string) (arbalest.Table, error) {
	var newest arbalest.Key
	for info, err := range l.store.List(ctx, arbalest.Key(tablesPrefix+name+"/"), "") {
		if err != nil {
			return arbalest.Table{}, fmt.Errorf("list definitions of %s: %w", name, err)
		}
		newest = info.Key
	}
	if newest == "" {
		return arbalest.Table{}, nil
	}
	var d definition
	if err := l.readJSON(ctx, newest, &d, &d.Format); err != nil {
		return arbalest.Table{}, err
	}
	return d.Table, nil
}

// SaveTable stores the next version of a definition: t.Version must be one
// more than what Table returned. The error wraps arbalest.ErrExists if somebody
// stored another meanwhile: then read it again.
func (l *Lake) SaveTable(ctx context.Context, t arbalest.Table) error {
	return l.createJSON(ctx, definitionKey(t.Name, t.Version), definition{logFormat, t})
}

// Tables returns the newest definition of every table that was not declared.
// It lists them all.
func (l *Lake) Tables(ctx context.Context) ([]arbalest.Table, error) {
	var newest []arbalest.Key
	for info, err := range l.store.List(ctx, tablesPrefix, "") {
		if err != nil {
			return nil, fmt.Errorf("list definitions: %w", err)
		}
		if n := len(newest); n > 0 && folder(newest[n-1]) == folder(info.Key) {
			newest[n-1] = info.Key
			continue
		}
		newest = append(newest, info.Key)
	}
	tables := make([]arbalest.Table, 0, len(newest))
	for _, key := range newest {
		var d definition
		if err := l.readJSON(ctx, key, &d, &d.Format); err != nil && !errors.Is(err, arbalest.ErrUnknown) {
			return nil, err
		} else if err == nil {
			tables = append(tables, d.Table)
		}
	}
	return tables, nil
}

// folder returns a key up to its last "/".
func folder(key arbalest.Key) arbalest.Key {
	for i := len(key) - 1; i >= 0; i-- {
		if key[i] == '/' {
			return key[:i+1]
		}
	}
	return ""
}
