package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/boatlift/boatlift/internal/dashboard"
	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
)

func newStatus() *cobra.Command {
	var asJSON bool
	var bot running
	cmd := &cobra.Command{
		Use: "status", Short: "Show what runs where, what is open, and what waits for what", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var s dashboard.Status
			if err := bot.ask(cmd.Context(), http.MethodGet, "/status", nil, &s); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd, s)
			}
			printTables(cmd.OutOrStdout(), s.Tables, terminalWidth(cmd.OutOrStdout()))
			printStatus(cmd.OutOrStdout(), s, time.Now())
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	bot.flags(cmd)
	return cmd
}

func printStatus(w io.Writer, s dashboard.Status, now time.Time) {
	if len(s.Repos) == 0 {
		fmt.Fprintln(w, "No infra repository is known yet.")
		fmt.Fprintln(w, "  Install the App on one, and give it a .boatlift.yaml.")
	}
	for _, r := range s.Repos {
		fmt.Fprintf(w, "%s", shown(r.Name))
		if r.State != "active" {
			fmt.Fprintf(w, "  (%s: %s)", r.State, shown(r.Reason))
		}
		fmt.Fprintln(w)
		if r.ConfigError != "" {
			fmt.Fprintf(w, "  ! %s\n", strings.ReplaceAll(shownLines(r.ConfigError), "\n", "\n    "))
		}
		for _, e := range r.Environments {
			printEnvironment(w, e, s.Lines, now)
		}
	}
	for _, r := range s.Registries {
		printRegistry(w, r, now)
	}
	for _, l := range s.Lines {
		printLine(w, l, now)
	}
	for _, work := range s.Work {
		switch {
		case work.Stuck:
			fmt.Fprintf(w, "stuck: %s failed %d times, is tried again %s: %s\n", work.Repo, work.Attempts, when(work.Due, now), shown(work.LastError))
		case work.LastError != "":
			fmt.Fprintf(w, "failed: %s, is tried again %s: %s\n", work.Repo, when(work.Due, now), shown(work.LastError))
		case work.Owner != "":
			fmt.Fprintf(w, "at work: %s\n", work.Repo)
		default:
			fmt.Fprintf(w, "waits for its turn: %s\n", work.Repo)
		}
	}
}

// printRegistry shows a registry that cannot be asked for tags as it should be; of one that can there is nothing to say.
func printRegistry(w io.Writer, r dashboard.Registry, now time.Time) {
	switch {
	case !r.Until.IsZero():
		fmt.Fprintf(w, "registry %s is asked for tags again %s: %s\n", r.Name, when(r.Until, now), shown(r.Reason))
	case r.Failing > 0:
		fmt.Fprintf(w, "registry %s cannot be asked for tags of %d of %d images: %s\n", r.Name, r.Failing, r.Images, shown(r.Reason))
		fmt.Fprintf(w, "  boatlift why %s\n", shown(r.Example))
	}
}

func printEnvironment(w io.Writer, e dashboard.Environment, lines []dashboard.Line, now time.Time) {
	fmt.Fprintf(w, "  %s", e.Name)
	if len(e.After) > 0 {
		fmt.Fprintf(w, ", after %s", strings.Join(e.After, ", "))
	}
	if e.Mode != promotion.Propose {
		fmt.Fprintf(w, " (mode: %s)", e.Mode)
	}
	fmt.Fprintln(w)
	for _, i := range e.Images {
		fmt.Fprintf(w, "    %s %s%s\n", i.Name, imageLabel(i.Tag, i.Digest), runningLabel(i))
	}
	if e.Rollout != "succeeded" && e.RolloutSays != "" {
		fmt.Fprintf(w, "    rollout %s: %s\n", e.Rollout, shown(e.RolloutSays))
	}
	for _, v := range e.Verify {
		fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("    verify %s: %s %s", shown(v.Name), shown(v.State), shown(v.URL)), " "))
	}
	for _, p := range e.Promotions {
		fmt.Fprintf(w, "    %s %s: %s %s\n", p.State, shown(p.Release.App), shown(p.Release.Label()), p.URL)
		if p.State.Active() && p.Gate != nil {
			fmt.Fprintf(w, "      %s\n", gateLine(*p.Gate, p.Next))
		}
		if at, ok := opensAt(lines, p); ok {
			fmt.Fprintf(w, "      waits for the limits of writes; it opens %s\n", when(at, now))
		}
		if p.LastError != "" {
			fmt.Fprintf(w, "      ! %s (tried again %s)\n", shown(p.LastError), when(p.RetryAt, now))
		}
		if p.Modified || p.Disproved || p.State.InRollout() || p.State == promotion.Failed {
			fmt.Fprintf(w, "      %s\n", shown(p.Reason))
		}
	}
	for _, h := range e.Holds {
		fmt.Fprintf(w, "    on hold since %s by %s: %s\n", h.At.Local().Format("2 Jan 15:04"), shown(h.Actor), shown(h.Reason))
	}
	for _, n := range e.Notes {
		what := string(n.Image)
		if what == "" {
			what = n.App
		}
		if n.Image != "" && n.Tag != "" {
			what += ":" + n.Tag
		}
		fmt.Fprintf(w, "    %s: %s%s", shown(what), shown(n.Say), since(n.Since))
		if !n.Until.IsZero() {
			fmt.Fprintf(w, " (looked at again %s)", when(n.Until, now))
		}
		fmt.Fprintln(w)
		if n.Hint != "" {
			fmt.Fprintf(w, "      %s\n", shown(n.Hint))
		}
	}
}

func gateLine(v gate.Verdict, next string) string {
	switch v.State {
	case gate.Allow:
		if next == "" {
			return "the gate allows it: it is about to be merged"
		}
		return "the gate allows it: " + shown(next)
	case gate.Wait:
		if next != "" {
			next = "; " + shown(next)
		}
		return "the gate waits: " + shown(v.Reason()) + next + since(v.Since())
	default:
		return "the gate denies it: " + shown(v.Reason()) + since(v.Since())
	}
}

// since tells since when something has been so, if anybody knows.
func since(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return " (since " + at.Local().Format("2 Jan 15:04") + ")"
}

func imageLabel(tag string, digest image.Digest) string {
	switch {
	case tag != "" && digest != "":
		return shown(tag) + " @" + digest.Short()
	case tag != "":
		return shown(tag)
	case digest != "":
		return "@" + digest.Short()
	default:
		return "(no tag)"
	}
}

func runningLabel(i dashboard.Image) string {
	switch {
	case i.Running == nil:
		return ""
	case i.Running.Tag == i.Tag && i.Running.Digest == i.Digest:
		return ", runs"
	default:
		return ", runs " + imageLabel(i.Running.Tag, i.Running.Digest)
	}
}

// when tells a moment as a person would: now, in 5m.
func when(at, now time.Time) string {
	if d := at.Sub(now).Round(time.Second); d > 0 {
		return "in " + d.String()
	}
	return "now"
}

// shown keeps control characters, which tags and messages from outside may carry, off the terminal.
func shown(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || (r >= 0x80 && r < 0xa0) {
			return '?'
		}
		return r
	}, s)
}

func shownLines(s string) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	for i := range lines {
		lines[i] = shown(lines[i])
	}
	return strings.Join(lines, "\n")
}

func newWhy() *cobra.Command {
	var asJSON bool
	var bot running
	cmd := &cobra.Command{
		Use:   "why IMAGE|PULL-REQUEST|DELIVERY",
		Short: "Explain what became of an image, a pull request or a webhook",
		Example: `  boatlift why shop/web:1.4.3
  boatlift why acme/infra-production#7
  boatlift why 42`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var e dashboard.Explanation
			if err := bot.ask(cmd.Context(), http.MethodGet, "/why?about="+url.QueryEscape(args[0]), nil, &e); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd, e)
			}
			under := ""
			for _, s := range e.Says {
				if s.Under != under {
					under = s.Under
					fmt.Fprintf(cmd.OutOrStdout(), "%s\n", shown(under))
				}
				indent := ""
				if under != "" {
					indent = "  "
				}
				at := ""
				if !s.At.IsZero() {
					at = s.At.Local().Format("2 Jan 15:04:05") + "  "
				}
				until := ""
				if now := time.Now(); s.Until.After(now) {
					until = " (looked at again " + when(s.Until, now) + ")"
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s%s%s%s\n", indent, at, shown(s.Say), until)
				if s.Hint != "" {
					fmt.Fprintf(cmd.OutOrStdout(), "%s  %s\n", indent, shown(s.Hint))
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	bot.flags(cmd)
	return cmd
}

func newHold() *cobra.Command {
	var bot running
	var reason string
	cmd := &cobra.Command{
		Use: "hold ENVIRONMENT [IMAGE…]", Short: "Keep an environment, or images of it, where they are",
		Example: `  boatlift hold acme/infra-production:production --reason "load test until Friday"
  boatlift hold production web --reason "it leaks memory"`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return holdOrLift(cmd, bot, "/holds", dashboard.HoldRequest{Environment: args[0], Images: args[1:], Reason: reason, Actor: whoami()})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for those who read it in a pull request (required)")
	_ = cmd.MarkFlagRequired("reason") // the flag is there
	bot.flags(cmd)
	return cmd
}

func newLift() *cobra.Command {
	var bot running
	cmd := &cobra.Command{
		Use: "lift ENVIRONMENT [IMAGE…]", Short: "Let an environment that is on hold move again", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return holdOrLift(cmd, bot, "/lifts", dashboard.HoldRequest{Environment: args[0], Images: args[1:], Actor: whoami()})
		},
	}
	bot.flags(cmd)
	return cmd
}

func newResume() *cobra.Command {
	var bot running
	cmd := &cobra.Command{
		Use: "resume", Short: "Go on after the bot's database was lost",
		Long: `Go on after the bot's database was lost. A bot that finds branches of its own which it does
not remember only observes, because it does not know any more what people had rejected
or held. Look at the open pull requests, close what should not go, then resume.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var done dashboard.HoldAnswer
			if err := bot.ask(cmd.Context(), http.MethodPost, "/resumes", dashboard.ResumeRequest{Actor: whoami()}, &done); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), shown(done.Done))
			return nil
		},
	}
	bot.flags(cmd)
	return cmd
}

func holdOrLift(cmd *cobra.Command, bot running, path string, req dashboard.HoldRequest) error {
	var done dashboard.HoldAnswer
	if err := bot.ask(cmd.Context(), http.MethodPost, path, req, &done); err != nil {
		return err
	}
	fmt.Fprintln(cmd.OutOrStdout(), shown(done.Done))
	return nil
}
