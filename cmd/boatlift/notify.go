package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/boatlift/boatlift/internal/dashboard"
	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/store"
)

func newNotify() *cobra.Command {
	var asJSON bool
	var audience string
	var patience time.Duration
	var bot running
	cmd := &cobra.Command{
		Use: "notify IMAGE:TAG...", Short: "Tell the bot that images were pushed", Args: cobra.MinimumNArgs(1),
		Long: `Tell the bot that images were pushed, from the job that pushed them, where their registry
sends no webhooks. What a tag is, the bot asks the registry.

With --server the job shows a token: that of $BOATLIFT_TOKEN or, in GitHub Actions, one that
the runner gives it (permissions: {id-token: write}). In GitLab CI write at the job:
  id_tokens: {BOATLIFT_TOKEN: {aud: https://boatlift.acme.io}}

It is tried again while the bot cannot be reached or cannot store it; the bot counts it once.`,
		Example: `  boatlift notify registry.acme.io/shop/web:1.4.2 --server https://boatlift.acme.io`,
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, arg := range args {
				if ref, err := image.Parse(arg); err != nil {
					return &usageError{err}
				} else if ref.Tag == "" {
					return &usageError{fmt.Errorf("%s has no tag", arg)}
				}
			}
			request := dashboard.PushRequest{Images: args, ID: rand.Text()}
			var answer dashboard.PushAnswer
			if bot.server == "" {
				patience = 0 // who asks on the bot's own machine sees that it does not run
			}
			err := again{within: patience, say: cmd.ErrOrStderr(), wait: sleep, now: time.Now}.try(cmd.Context(), func(ctx context.Context) error {
				known, err := bot.asJob(ctx, audience)
				if err != nil {
					return err
				}
				return known.ask(ctx, http.MethodPost, "/pushes", request, &answer)
			})
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd, answer)
			}
			printPushed(cmd.OutOrStdout(), answer)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().StringVar(&audience, "audience", "", "for whom the runner of GitHub Actions makes the token, as pipelines: of the bot's boatlift.yaml says (default: the address of --server)")
	cmd.Flags().DurationVar(&patience, "patience", 2*time.Minute, "how long it is tried while the bot cannot be reached")
	bot.flags(cmd)
	return cmd
}

func printPushed(w io.Writer, a dashboard.PushAnswer) {
	for _, ref := range a.Images {
		switch {
		case slices.Contains(a.Unused, ref):
			fmt.Fprintf(w, "%s is noted (delivery %d), but no environment lists it\n", shown(ref), a.ID)
		case a.Outcome == store.Duplicate:
			fmt.Fprintf(w, "%s is known already (delivery %d)\n", shown(ref), a.ID)
		default:
			fmt.Fprintf(w, "%s is noted (delivery %d)\n", shown(ref), a.ID)
		}
	}
}

// again tries something until it works, fails for good, or took too long.
type again struct {
	within time.Duration
	say    io.Writer
	wait   func(context.Context, time.Duration) error
	now    func() time.Time
}

// try tries. Between two tries it waits as long as it is asked to, else twice as long each time, from a second to 15.
func (a again) try(ctx context.Context, do func(context.Context) error) error {
	const longest = 15 * time.Second
	until := a.now().Add(a.within)
	for pause := time.Second; ; pause = min(longest, 2*pause) {
		err := do(ctx)
		var unavailable *unavailableError
		var unreached *noBotError
		if err == nil || ctx.Err() != nil || !errors.As(err, &unavailable) && !errors.As(err, &unreached) {
			return err
		}
		next := pause
		if unavailable != nil && unavailable.after > 0 {
			next = unavailable.after
		}
		if a.now().Add(next).After(until) {
			return err
		}
		fmt.Fprintf(a.say, "boatlift: %s\n  trying again in %s\n", err, next)
		if err := a.wait(ctx, next); err != nil {
			return err
		}
	}
}

// sleep waits, unless the context ends before.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
