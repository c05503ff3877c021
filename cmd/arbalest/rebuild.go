package main

import "github.com/spf13/cobra"

func newRebuild() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "rebuild --data DIR [TABLE…]",
		Short: "Make tables again from the store",
		Long: `Drops the tables that are named, or all, and loads every event of theirs
again from the store. Killed half-way, the next sync goes on with it.`,
	}
	p := placeFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "progress and result as JSON lines")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		op, err := p.operate(cmd.Context())
		if err != nil {
			return err
		}
		defer op.Close()
		rep := newReporter(cmd.ErrOrStderr(), asJSON)
		r, err := op.Rebuild(cmd.Context(), args, rep.show)
		rep.done()
		if err != nil {
			return err
		}
		if err := printSync(cmd.OutOrStdout(), r, asJSON); err != nil {
			return err
		}
		return r.err()
	}
	return cmd
}
