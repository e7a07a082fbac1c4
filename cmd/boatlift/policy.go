package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/boatlift/boatlift/internal/gate"
)

func newPolicy() *cobra.Command {
	cmd := &cobra.Command{
		Use: "policy", Short: "Explain and test policies", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newPolicyList(), newPolicyExplain(), newPolicyTest())
	return cmd
}

func newPolicyList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the policies there are", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			engine, err := gate.New()
			if err != nil {
				return err
			}
			listPolicies(cmd.OutOrStdout(), engine)
			return nil
		},
	}
}

func listPolicies(w io.Writer, engine *gate.Engine) {
	for _, d := range engine.Policies() {
		fmt.Fprintf(w, "%-18s %s\n", d.Name, d.Title)
	}
}

func newPolicyExplain() *cobra.Command {
	return &cobra.Command{
		Use: "explain [POLICY]", Short: "Show what a policy asks for and its parameters; without a name, list all", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			engine, err := gate.New()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				listPolicies(cmd.OutOrStdout(), engine)
				return nil
			}
			d, err := engine.Explain(args[0])
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), d.Text())
			return nil
		},
	}
}

func newPolicyTest() *cobra.Command {
	return &cobra.Command{
		Use: "test DIR", Short: "Run the tests of the policies in a folder", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			results, err := gate.Test(os.DirFS(args[0]))
			if err != nil {
				return err
			}
			failed := 0
			for _, r := range results {
				fmt.Fprintln(cmd.OutOrStdout(), r)
				if !r.Passed {
					failed++
				}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d passed, %d failed\n", len(results)-failed, failed)
			if failed > 0 {
				return silent(exitFailed)
			}
			return nil
		},
	}
}
