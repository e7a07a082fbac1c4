package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/boatlift/boatlift/internal/dashboard"
)

func newVerify() *cobra.Command {
	var asJSON bool
	var audience string
	var patience time.Duration
	var request dashboard.VerificationRequest
	var bot running
	cmd := &cobra.Command{
		Use: "verify", Short: "Tell the bot whether images passed a test in an environment", Args: cobra.NoArgs,
		Long: `Tell the bot whether images passed a test in an environment, from a test system that does
not report to the forge. It counts where verify: of the environment names the test, and only
for the digests that are named. What was said last of the same images counts.

Over the network it takes a token, or a job of a pipeline, whose certify: in boatlift.yaml has
the test and the environment; no role includes that. The token is found as boatlift notify
finds it.`,
		Example: `  boatlift verify --environment acme/infra-acceptance:acceptance --name playwright --result passed --image registry.acme.io/shop/web:1.4.2`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if request.Result != "passed" && request.Result != "failed" {
				return &usageError{errors.New("--result is passed or failed")}
			}
			request.Actor = whoami()
			if bot.server == "" {
				patience = 0 // who asks on the bot's own machine sees that it does not run
			}
			var answer dashboard.VerificationAnswer
			err := again{within: patience, say: cmd.ErrOrStderr(), wait: sleep, now: time.Now}.try(cmd.Context(), func(ctx context.Context) error {
				known, err := bot.asJob(ctx, audience)
				if err != nil {
					return err
				}
				return known.ask(ctx, http.MethodPost, "/verifications", request, &answer)
			})
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd, answer)
			}
			fmt.Fprintln(cmd.OutOrStdout(), shown(answer.Done))
			if answer.Hint != "" {
				fmt.Fprintf(cmd.OutOrStdout(), "  it does not count now: %s\n", shown(answer.Hint))
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&request.Environment, "environment", "", "where it was tested, as owner/name:environment (required)")
	cmd.Flags().StringArrayVar(&request.Images, "image", nil, "what was tested, with its digest, or with its tag if that runs there now; for several images write it several times (required)")
	cmd.Flags().StringVar(&request.Name, "name", "", "the test, as verify: in .boatlift.yaml has it (required)")
	cmd.Flags().StringVar(&request.Result, "result", "", "passed or failed (required)")
	cmd.Flags().StringVar(&request.URL, "url", "", "where people can read more")
	cmd.Flags().BoolVar(&request.DryRun, "dry-run", false, "check it all, and record nothing")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().StringVar(&audience, "audience", "", "for whom the runner of GitHub Actions makes the token, as pipelines: of the bot's boatlift.yaml says (default: the address of --server)")
	cmd.Flags().DurationVar(&patience, "patience", 2*time.Minute, "how long it is tried while the bot cannot be reached")
	for _, name := range []string{"environment", "image", "name", "result"} {
		_ = cmd.MarkFlagRequired(name) // the flag is there
	}
	bot.flags(cmd)
	return cmd
}
