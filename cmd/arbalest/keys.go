package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"arbalest/internal/keys"
)

func newKeys() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Who may send events: make, list and revoke write keys",
		Long: `Write keys say who may send events, which, and how many. As soon as there is one
serve takes events with a key only, and listens wherever it is told to. It
notices every change at once.

  arbalest keys new --data DIR --name checkout --events "order.*,user.created" --rate 100
  arbalest keys list --data DIR
  arbalest keys revoke --data DIR ID`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newKeysNew(), newKeysList(), newKeysRevoke())
	return cmd
}

// keyFile finds the file of a command's place, whose folder is made.
func (p *place) keyFile() (keys.File, error) {
	if err := p.resolve(false); err != nil {
		return "", err
	}
	c, err := p.read()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return "", fmt.Errorf("make data directory: %w", err)
	}
	return p.keys(c), nil
}

// A newKey is a key and, this once, what is to be sent.
type newKey struct {
	keys.Key
	Token string `json:"key"`
}

func newKeysNew() *cobra.Command {
	var k keys.Key
	var events string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "new --data DIR --name NAME",
		Short: "Make a key, and show it this once",
		Args:  noArgs,
	}
	p := placeFlags(cmd)
	cmd.Flags().StringVar(&k.Name, "name", "", "who has it")
	cmd.Flags().StringVar(&events, "events", "", `the events it may send, such as "user.*,order.paid" (default all)`)
	cmd.Flags().Float64Var(&k.Rate, "rate", 0, "events that it may send in a second (default any number)")
	cmd.Flags().IntVar(&k.Burst, "burst", 0, "events that it may send at once (default ten seconds' worth)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if k.Name == "" {
			return usage("who has the key? Give --name NAME")
		}
		for pattern := range strings.SplitSeq(events, ",") {
			if pattern = strings.TrimSpace(pattern); pattern != "" {
				k.Events = append(k.Events, pattern)
			}
		}
		file, err := p.keyFile()
		if err != nil {
			return err
		}
		made, token, err := file.New(k, time.Now())
		if err != nil {
			return err
		}
		if asJSON {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(newKey{made, token})
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), `Key %s of %s, which cannot be shown again:

  %s

Send it with every request, as Authorization: Bearer KEY or X-Api-Key: KEY.
Events are now taken with a key only.
`, made.ID, made.Name, token)
		return err
	}
	return cmd
}

func newKeysList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{Use: "list --data DIR", Short: "Show all keys, without what is to be sent", Args: noArgs}
	p := placeFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "as a JSON array")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		file, err := p.keyFile()
		if err != nil {
			return err
		}
		all, err := file.Read()
		if err != nil {
			return err
		}
		if asJSON {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(append([]keys.Key{}, all...))
		}
		if len(all) == 0 {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "No keys: everyone on this machine may send events. Make one with arbalest keys new --name NAME")
			return err
		}
		t := table.NewWriter()
		t.SetOutputMirror(cmd.OutOrStdout())
		t.SetStyle(table.StyleLight)
		t.AppendHeader(table.Row{"id", "name", "events", "rate", "created", "revoked"})
		for _, k := range all {
			events, rate, revoked := "all", "any", ""
			if len(k.Events) > 0 {
				events = strings.Join(k.Events, ", ")
			}
			if k.Rate > 0 {
				rate = fmt.Sprintf("%v/s", k.Rate)
			}
			if k.Revoked != nil {
				revoked = k.Revoked.Format(time.RFC3339)
			}
			t.AppendRow(table.Row{k.ID, k.Name, events, rate, k.Created.Format(time.RFC3339), revoked})
		}
		t.Render()
		return nil
	}
	return cmd
}

func newKeysRevoke() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{Use: "revoke --data DIR ID", Short: "End a key for good", Args: exactly(1, "the id of one key")}
	p := placeFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		file, err := p.keyFile()
		if err != nil {
			return err
		}
		revoked, err := file.Revoke(args[0], time.Now())
		if err != nil {
			return err
		}
		if asJSON {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(revoked)
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "Key %s of %s is revoked since %s.\n", revoked.ID, revoked.Name, revoked.Revoked.Format(time.RFC3339))
		return err
	}
	return cmd
}
