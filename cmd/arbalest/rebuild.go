package main

import (
	"context"

	"github.com/spf13/cobra"
)

func newRebuild() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "rebuild --data DIR [TABLE…]",
		Short: "Make tables again from the store",
		Long: `Makes the tables that are named, or all, again from the store, by the current
definitions, beside those that are there. These are loaded and asked meanwhile, and
then replaced in one transaction: a query sees the old table or the new one, whole.

Killed half-way, the next rebuild of the same tables goes on where it was; one of
other tables, or by other definitions, begins anew. Until it is done the tables take
twice their room.`,
	}
	p := placeFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "progress and result as JSON lines")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.work(cmd, asJSON, func(ctx context.Context, op operator, show func(progress)) (result, error) {
			return op.Rebuild(ctx, args, show)
		})
	}
	return cmd
}
