// Command arbalest is the program: it captures events, sorts and loads them,
// and answers SQL. It is the only importer of every adapter; serve.go owns
// every loop. Each command is one file.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"arbalest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() { // ends with the process: a second signal is not waited for
		<-ctx.Done()
		stop()
	}()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is main without the process: it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, "arbalest: "+err.Error())
	return arbalest.OutcomeOf(err).Exit
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "arbalest",
		Short: "Immutable events, queryable in SQL, each exactly once",
		Long: `Arbalest captures immutable events over HTTP, keeps them for good in a
directory, loads each exactly once into a warehouse, and answers SQL.

  arbalest serve --data DIR                    capture, sort and load
  arbalest query --data DIR "select …"         ask
  arbalest demo                                see it all in under a minute`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("unknown command %q: run arbalest --help", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("%v: run %s --help", err, cmd.CommandPath())
	})
	root.AddCommand(newServe(), newSync(), newQuery(), newImport(), newVerify(), newRebuild(), newCompact(), newErase(), newArchive(), newRestore(), newCopy(), newRun(), newValidate(), newPlan(), newBuild(), newTest(), newModels(), newStatus(), newEvents(), newTables(), newRuns(), newRejected(), newDemo(), newInit(), newSchema(), newKeys(), newVersion())
	return root
}

// usage returns an error for a command line that is wrong.
func usage(format string, args ...any) error {
	return fmt.Errorf("%w command line: "+format, append([]any{arbalest.ErrInvalid}, args...)...)
}

// exactly is cobra.ExactArgs with our exit code.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usage("want %s: run %s --help", what, cmd.CommandPath())
		}
		return nil
	}
}

// noArgs refuses arguments.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage("unexpected %s: run %s --help", strings.Join(args, " "), cmd.CommandPath())
	}
	return nil
}
