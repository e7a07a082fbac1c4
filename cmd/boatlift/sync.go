package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/boatlift/boatlift/internal/dashboard"
	"github.com/boatlift/boatlift/internal/polling"
)

// syncTimeout bounds a sync of everything; thousands of images of a slow registry take that long.
const syncTimeout = time.Hour

func newSync() *cobra.Command {
	var asJSON, dryRun bool
	var bot running
	cmd := &cobra.Command{
		Use: "sync [IMAGE…]", Short: "Ask registries now, and propose also what was there before",
		Long: `Ask registries now which tags there are, and propose what environments would run by
their rules. It is the only way in which images are proposed that were in a registry
before the bot first saw them. Without IMAGE it asks for all images that environments run
from the registries in boatlift.yaml; any other image has to be named.`,
		Example: `  boatlift sync --dry-run
  boatlift sync shop/web shop/worker`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return syncImages(cmd, bot, dashboard.SyncRequest{Images: args, DryRun: dryRun, Actor: whoami()}, asJSON)
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only tell what would be proposed")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON: a line for each image, then one with the result")
	bot.flags(cmd)
	return cmd
}

func syncImages(cmd *cobra.Command, bot running, req dashboard.SyncRequest, asJSON bool) error {
	var result *polling.Result
	err := bot.read(cmd.Context(), http.MethodPost, "/sync", req, syncTimeout, func(answer io.Reader) error {
		lines := json.NewDecoder(answer)
		for {
			var line dashboard.SyncLine
			if err := lines.Decode(&line); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return fmt.Errorf("read the bot's answer: %w", err)
			}
			switch {
			case line.Error != "":
				return &dashboard.Problem{Message: line.Error, Fix: line.Hint}
			case asJSON:
				if err := json.NewEncoder(cmd.OutOrStdout()).Encode(line); err != nil {
					return err
				}
			}
			if line.Step != nil && !asJSON {
				var step polling.Step
				if err := json.Unmarshal(line.Step, &step); err != nil {
					return fmt.Errorf("read the bot's answer: %w", err)
				}
				printStep(cmd.OutOrStdout(), step)
			}
			if line.Result != nil {
				result = &polling.Result{}
				if err := json.Unmarshal(line.Result, result); err != nil {
					return fmt.Errorf("read the bot's answer: %w", err)
				}
			}
		}
	})
	switch {
	case err != nil:
		return err
	case result == nil:
		return errors.New("the bot's answer broke off; ask again")
	case !asJSON:
		printSync(cmd.OutOrStdout(), *result)
	}
	if result.Failed > 0 {
		return &fileError{"boatlift sync", fmt.Sprintf("%d of %d images could not be asked for", result.Failed, result.Images), "what the others led to stands; the reasons are above"}
	}
	return nil
}

// printStep shows one image that is done: how many of all, and what was found.
func printStep(w io.Writer, s polling.Step) {
	fmt.Fprintf(w, "%d/%d %s: ", s.Done, s.All, s.Image)
	switch {
	case s.Error != "":
		fmt.Fprintf(w, "not asked for: %s\n", shown(s.Error))
		if s.Hint != "" {
			fmt.Fprintf(w, "  %s\n", shown(s.Hint))
		}
		return
	case s.Tags == 1:
		fmt.Fprint(w, "1 tag")
	default:
		fmt.Fprintf(w, "%d tags", s.Tags)
	}
	if len(s.Found) == 0 {
		fmt.Fprintln(w, ", nothing that an environment has not heard of")
		return
	}
	fmt.Fprintln(w)
	const most = 5
	if more := len(s.Found) - most; more > 0 {
		fmt.Fprintf(w, "  found %d more\n", more)
		s.Found = s.Found[more:]
	}
	for _, f := range s.Found {
		fmt.Fprintf(w, "  found %s, %s\n", shown(f.Tag), f.Why)
	}
}

func printSync(w io.Writer, r polling.Result) {
	if r.Images == 0 {
		fmt.Fprintln(w, "no environment runs an image of the registries in boatlift.yaml")
		fmt.Fprintln(w, "  name the images that are to be asked for")
		return
	}
	for _, n := range r.Notes {
		fmt.Fprintf(w, "%s: %s: %s\n", shown(n.Environment), n.Image, shown(n.Say))
		if n.Hint != "" {
			fmt.Fprintf(w, "  %s\n", shown(n.Hint))
		}
	}
	verb := "will be proposed"
	if r.DryRun {
		verb = "would be proposed"
	}
	for _, p := range r.Proposals {
		what := verb
		switch {
		case p.Open:
			what = "is open already"
		case p.Not != "":
			what = "is not proposed: " + shown(p.Not)
		}
		fmt.Fprintf(w, "%s: %s of %s %s\n", shown(p.Environment), shown(p.Label), shown(p.App), what)
		for _, c := range p.Changes {
			fmt.Fprintf(w, "  %s %s -> %s\n", c.Image, shown(cmp.Or(c.From, "no tag")), shown(c.Tag))
		}
	}
	if len(r.Proposals) == 0 {
		fmt.Fprintln(w, "nothing to propose")
	}
}
