package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"arbalest"
)

// sampleConfig is what init writes: every key, with its default, commented out.
//
//go:embed sample.yaml
var sampleConfig []byte

func newInit() *cobra.Command {
	var schema string
	cmd := &cobra.Command{
		Use:   "init --data DIR | init --schema[=events]",
		Short: "Make a data directory with a commented arbalest.yaml",
		Long: `Makes a data directory with an arbalest.yaml that says what can be set. With --schema
it prints the JSON Schema of arbalest.yaml, or of events/*.yaml, for editors.`,
		Args: noArgs,
	}
	p := placeFlags(cmd)
	cmd.Flags().StringVar(&schema, "schema", "", "print the JSON Schema of a file, for editors: config or events")
	cmd.Flags().Lookup("schema").NoOptDefVal = "config"
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if schema != "" {
			text, err := editorSchema(schema)
			if err == nil {
				_, err = cmd.OutOrStdout().Write(text)
			}
			return err
		}
		if err := p.resolve(false); err != nil {
			return err
		}
		if err := os.MkdirAll(p.dir, 0o755); err != nil {
			return fmt.Errorf("make data directory: %w", err)
		}
		file := filepath.Join(p.dir, "arbalest.yaml")
		f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s: %w: it is left as it is", file, arbalest.ErrExists)
		}
		if err != nil {
			return fmt.Errorf("write configuration: %w", err)
		}
		_, err = f.Write(sampleConfig)
		if err := errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("write configuration: %w", err)
		}
		fmt.Fprintf(cmd.OutOrStdout(), "Wrote %s. Nothing in it needs to be changed to begin:\n\n  arbalest serve --data %s\n", file, p.dir)
		return nil
	}
	return cmd
}
