package main

import (
	"bufio"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

func newQuery() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   `query --data DIR "select …"`,
		Short: "Ask in SQL",
		Long: `Runs one statement, read-only, and prints its result. "-" reads the statement
from standard input. Event user.created is table user_created; the books are
arbalest.books, what could not be loaded is in arbalest.load_errors.`,
		Args: exactly(1, `one statement in quotes`),
	}
	p := placeFlags(cmd)
	cmd.Flags().StringVar(&format, "format", "table", "table, csv, json or ndjson")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"table", "csv", "json", "ndjson"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		out := bufio.NewWriter(cmd.OutOrStdout())
		to, err := newPrinter(format, out, cmd.OutOrStdout())
		if err != nil {
			return err
		}
		sql := args[0]
		if sql == "-" {
			b, err := io.ReadAll(os.Stdin)
			if err != nil {
				return err
			}
			sql = string(b)
		}
		if strings.TrimSpace(sql) == "" {
			return usage("the statement is empty")
		}
		op, err := p.operate(cmd.Context())
		if err != nil {
			return err
		}
		defer op.Close()
		if err := op.Query(cmd.Context(), sql, to); err != nil {
			return err
		}
		if err := to.End(); err != nil {
			return err
		}
		return out.Flush()
	}
	return cmd
}
