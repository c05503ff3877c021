package duckdb

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"arbalest"
)

// TableNames returns the tables and views that a SELECT reads, by DuckDB's own
// parser: lower-case, and with their schema where that is not main. Names of
// WITH and functions are not among them. Nothing is looked up: they need not be
// there. The error wraps arbalest.ErrInvalid.
func (d database) TableNames(ctx context.Context, query string) ([]string, error) {
	var tree struct {
		Error      bool   `json:"error"`
		Message    string `json:"error_message"`
		Statements []any  `json:"statements"`
	}
	err := d.Query(ctx, `SELECT json_serialize_sql($1::VARCHAR, skip_null := true, skip_empty := true, skip_default := true)::VARCHAR`, func(values []any) error {
		text, _ := values[0].(string)
		return json.Unmarshal([]byte(text), &tree)
	}, query)
	switch {
	case err != nil:
		return nil, fmt.Errorf("parse a query: %w", err)
	case tree.Error:
		return nil, fmt.Errorf("%w: %s", arbalest.ErrInvalid, tree.Message)
	}
	var names []string
	findTables(tree.Statements, nil, func(name string) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	})
	return names, nil
}

// findTables calls found for every table in a part of a serialized query. known
// are the names of WITH around it.
func findTables(node any, known []string, found func(name string)) {
	switch n := node.(type) {
	case []any:
		for _, child := range n {
			findTables(child, known, found)
		}
	case map[string]any:
		if n["type"] == "BASE_TABLE" {
			if name := tableOf(n); !slices.Contains(known, name) {
				found(name)
			}
			return
		}
		known = slices.Clone(known)
		if name, ok := n["cte_name"].(string); ok { // a recursive one knows itself
			known = append(known, strings.ToLower(name))
		}
		ctes, _ := n["cte_map"].(map[string]any)
		list, _ := ctes["map"].([]any)
		for _, entry := range list { // each knows those before it
			e, _ := entry.(map[string]any)
			findTables(e["value"], known, found)
			if name, ok := e["key"].(string); ok {
				known = append(known, strings.ToLower(name))
			}
		}
		for _, key := range sortedKeys(n) {
			if key != "cte_map" {
				findTables(n[key], known, found)
			}
		}
	}
}

// tableOf returns the name of a BASE_TABLE.
func tableOf(n map[string]any) string {
	schema, _ := n["schema_name"].(string)
	name, _ := n["table_name"].(string)
	if name = strings.ToLower(name); schema != "" && !strings.EqualFold(schema, "main") {
		return strings.ToLower(schema) + "." + name
	}
	return name
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
