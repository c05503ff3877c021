package main

import (
	"bufio"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"arbalest/internal/shell"
)

func newQuery() *cobra.Command {
	s := session{}
	cmd := &cobra.Command{
		Use:   `query --data DIR ["select …"]`,
		Short: "Ask in SQL: one statement, a file of them, or a shell",
		Long: `Runs one statement, read-only, and prints its result. Without one it is a shell,
if it is at a terminal: statements of any number of lines that end with a
semicolon, with history and completion (\? there shows more). Else, and with "-",
it runs the statements of standard input, up to the first that fails.

Event user.created is table user_created; the books are arbalest.books, what
could not be loaded is in arbalest.load_errors.`,
		Example: `  arbalest query --data DIR "SELECT count(*) FROM user_created"
  arbalest query --data DIR
  arbalest query --data DIR --format csv < report.sql > report.csv`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage("want one statement in quotes, or none: run %s --help", cmd.CommandPath())
			}
			return nil
		},
	}
	s.place = placeFlags(cmd)
	formatFlag(cmd, &s.format)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s.out, s.errs = cmd.OutOrStdout(), cmd.ErrOrStderr()
		if err := checkFormat(s.format); err != nil {
			return err
		}
		switch {
		case len(args) == 0 && term.IsTerminal(int(os.Stdin.Fd())) && widthOf(s.out) > 0:
			return s.interact(cmd.Context())
		case len(args) == 0 || args[0] == "-":
			return s.script(cmd.Context(), shell.NewScript(os.Stdin))
		case strings.TrimSpace(args[0]) == "":
			return usage("the statement is empty")
		}
		if err := s.ask(cmd.Context(), args[0]); err != nil {
			return err
		}
		return s.close()
	}
	return cmd
}

// formats are how results are printed.
var formats = []string{"table", "csv", "json", "ndjson"}

// formatFlag adds --format to a command.
func formatFlag(cmd *cobra.Command, format *string) {
	cmd.Flags().StringVar(format, "format", "table", "table, csv, json or ndjson")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
}

// checkFormat refuses what is none of formats.
func checkFormat(format string) error {
	if !slices.Contains(formats, format) {
		return usage("--format %s: want table, csv, json or ndjson", format)
	}
	return nil
}

// newWriter buffers what is printed.
func newWriter(out io.Writer) *bufio.Writer { return bufio.NewWriterSize(out, 64<<10) }
