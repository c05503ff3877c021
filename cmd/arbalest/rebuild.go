package main

import (
	"context"

	"github.com/spf13/cobra"
)

func newRebuild() *cobra.Command {
	var asJSON bool
	var t trial
	var q rebuildRequest
	cmd := &cobra.Command{
		Use:   "rebuild --data DIR [TABLE…]",
		Short: "Make tables again from the store",
		Long: `Makes the tables that are named, or all, again from the store, by the current
definitions, beside those that are there. These are loaded and asked meanwhile, and
then replaced in one transaction: a query sees the old table or the new one, whole.

Killed half-way, the next rebuild of the same tables goes on where it was; one of
other tables, or by other definitions, begins anew. Until it is done the tables take
twice their room.

With --from and --to only those hours of event time are made again, by what the store
has of them and of the 24 hours on each side, where events may be that they repeat.
All other rows stay, and columns only come or become wider: where that does not do, it
is said, and the whole table must be made again. A part of an hour is the whole hour.

With --diff the tables are made, it is said which rows are in one only, and of each
column how many values differ, and the live ones stay: a rebuild without it then has
little left to do.

With --dry-run nothing is changed. The events of the store are decoded by the
definitions in FILE (a file of events:, as arbalest.yaml has), and it is said which
columns come, go and change, and of how many events a value does not fit, with
examples: what a rebuild would leave out if they were in use.`,
		Example: "  arbalest rebuild --data DIR user_created\n  arbalest rebuild --data DIR user_created --from 2026-11-01 --to 2026-11-01/13\n  arbalest rebuild --data DIR --dry-run --define events/order.yaml --from 90d",
	}
	p := placeFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "progress and result as JSON lines")
	cmd.Flags().BoolVar(&q.Diff, "diff", false, "say what differs from the live tables, and leave them as they are")
	cmd.Flags().BoolVar(&q.Swap, "swap", false, "with --diff: replace them all the same")
	t.flags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if t.dry && q.Diff || q.Swap && !q.Diff {
			return usage("--diff goes with --swap, and not with --dry-run")
		}
		r, err := t.request(p, args)
		if err != nil {
			return err
		}
		q.Tables, q.hours = args, r.hours
		if t.dry {
			return p.work(cmd, asJSON, func(ctx context.Context, op operator, show func(progress)) (result, error) {
				return op.Try(ctx, r, show)
			})
		}
		return p.work(cmd, asJSON, func(ctx context.Context, op operator, show func(progress)) (result, error) {
			return op.Rebuild(ctx, q, show)
		})
	}
	return cmd
}
