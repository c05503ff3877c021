package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
)

// configSchema is the JSON Schema (draft 2020-12) of arbalest.yaml, for editors.
//
//go:embed arbalest.schema.json
var configSchema []byte

// editorSchema returns the JSON Schema of a file: "config" for arbalest.yaml, or
// "events" for events/*.yaml, which is a part of it.
func editorSchema(of string) ([]byte, error) {
	switch of {
	case "config":
		return configSchema, nil
	case "events":
	default:
		return nil, usage("--schema=%s: want config or events", of)
	}
	var whole map[string]json.RawMessage
	if err := json.Unmarshal(configSchema, &whole); err != nil {
		return nil, fmt.Errorf("read JSON Schema: %w", err)
	}
	b, err := json.MarshalIndent(map[string]any{
		"$schema": whole["$schema"], "title": "events/*.yaml", "description": "Definitions of events.", "$ref": "#/$defs/events_file", "$defs": whole["$defs"],
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write JSON Schema: %w", err)
	}
	return append(b, '\n'), nil
}
