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
		Long: `Drops the tables that are named, or all, and loads every event of theirs
again from the store. Killed half-way, the next sync goes on with it.`,
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
