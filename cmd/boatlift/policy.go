package main

import (
	"fmt"
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
	var asJSON bool
	var own ownPolicies
	cmd := &cobra.Command{
		Use: "list", Short: "List the policies there are", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			engine, wrong, err := own.engine()
			if err != nil {
				return err
			}
			return listPolicies(cmd, engine, wrong, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	own.flag(cmd)
	return cmd
}

// listPolicies lists what can be judged, and tells on standard error what cannot, and why.
func listPolicies(cmd *cobra.Command, engine *gate.Engine, wrong []error, asJSON bool) error {
	if asJSON {
		if err := printJSON(cmd, engine.Policies()); err != nil {
			return err
		}
	} else {
		for _, d := range engine.Policies() {
			title := d.Title
			if !d.Shipped {
				title += " (" + d.File + ")"
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%-18s %s\n", d.Name, shown(title))
		}
	}
	for _, err := range wrong {
		say(cmd.ErrOrStderr(), err)
	}
	if len(wrong) > 0 {
		return silent(exitFailed)
	}
	return nil
}

func newPolicyExplain() *cobra.Command {
	var asJSON bool
	var own ownPolicies
	cmd := &cobra.Command{
		Use: "explain [POLICY]", Short: "Show what a policy asks for, its parameters and the facts it looks at; without a name, list all", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			engine, wrong, err := own.engine()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return listPolicies(cmd, engine, wrong, asJSON)
			}
			d, err := engine.Explain(args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd, d)
			}
			fmt.Fprintln(cmd.OutOrStdout(), shownLines(d.Text()))
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	own.flag(cmd)
	return cmd
}

func newPolicyTest() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "test DIR", Short: "Run the tests of the policies in a folder", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, wrong, err := loadPolicies(args[0]); err != nil {
				return err
			} else if len(wrong) > 0 {
				for _, err := range wrong {
					say(cmd.ErrOrStderr(), err)
				}
				return silent(exitFailed)
			}
			results, err := gate.Test(os.DirFS(args[0]))
			if err != nil {
				return err
			}
			failed := 0
			for _, r := range results {
				if !asJSON {
					fmt.Fprintln(cmd.OutOrStdout(), shownLines(r.String()))
				}
				if !r.Passed {
					failed++
				}
			}
			if asJSON {
				if err := printJSON(cmd, results); err != nil {
					return err
				}
				if failed > 0 {
					return silent(exitFailed)
				}
				return nil
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d passed, %d failed\n", len(results)-failed, failed)
			if failed > 0 {
				return silent(exitFailed)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
