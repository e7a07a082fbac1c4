package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/boatlift/boatlift/internal/config"
)

func newSchema() *cobra.Command {
	var own ownPolicies
	cmd := &cobra.Command{
		Use: "schema repo|bot", Short: "Print the JSON Schema of .boatlift.yaml (repo) or boatlift.yaml (bot)", Args: cobra.ExactArgs(1), ValidArgs: []string{"repo", "bot"},
		RunE: func(cmd *cobra.Command, args []string) error {
			engine, _, err := own.engine()
			if err != nil {
				return err
			}
			var schema []byte
			switch args[0] {
			case "repo":
				schema, err = config.SchemaRepoWith(engine.Policies())
			case "bot":
				schema, err = config.SchemaBotWith(engine.Policies())
			default:
				return &usageError{fmt.Errorf("there is no schema %q; there are repo and bot", args[0])}
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", schema)
			return err
		},
	}
	own.flag(cmd)
	return cmd
}
