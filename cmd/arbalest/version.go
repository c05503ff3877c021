package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"arbalest"
)

// version is the release; doc/format.md has the versions of what is stored.
const version = "0.1.0"

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "The version of the program and of what it stores",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			driver := "unknown"
			if info, ok := debug.ReadBuildInfo(); ok {
				for _, d := range info.Deps {
					if d.Path == "github.com/duckdb/duckdb-go/v2" {
						driver = d.Version
					}
				}
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "arbalest %s, log format %d, DuckDB driver %s, %s %s/%s\n", version, arbalest.LogFormat, driver, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
