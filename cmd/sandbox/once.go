package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
	"github.com/boatlift/boatlift/cmd/sandbox/stage"
	"github.com/boatlift/boatlift/internal/kustomize"
)

// guarded are the configurations of this play: acceptance is only done when its smoke test is green, and in production a review is the
// approval.
func guarded() map[string]string {
	return map[string]string{
		stage.Acceptance: `environments:
  - name: acceptance
    rollout: {deployment: acceptance}
    verify: [smoke]
`,
		stage.Production: `environments:
  - name: production
    after: ["` + stage.Acceptance + `:acceptance"]
    rollout: {deployment: production}
    merge: approved
`,
	}
}

// once shows the whole job without a person. Whatever is not as it should be is an error.
func (p *play) once(ctx context.Context) error {
	for i, step := range []struct {
		title string
		do    func(context.Context) error
	}{
		{"shop/web:1.4.2 and shop/worker:1.4.2 are pushed to the registry", p.firstRelease},
		{"alice merges acceptance's", p.mergeAcceptance},
		{"the smoke test passes on what acceptance runs", p.verified},
		{"bob approves production's", p.approveProduction},
		{"1.4.3 is pushed, and its smoke test fails", p.notVerified},
		{"1.4.4 is pushed, and alice closes production's pull request", p.reject},
		{"1.4.5 is pushed", p.supersede},
	} {
		p.say("")
		p.say("%d. %s", i+1, step.title)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("step %d, %s: %w", i+1, step.title, err)
		}
	}
	p.say("")
	p.say("What became of 1.4.4, as boatlift why shop/web:1.4.4 tells it:")
	text, err := p.s.Bot.Command(ctx, "why", "shop/web:1.4.4")
	if err != nil {
		return err
	}
	p.say("   %s", strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n   "))
	p.say("")
	p.say("Done: nothing lost, and production never first.")
	return nil
}

// pushAndOpen pushes a tag of both images and shows the pull requests that open for it, with what they change and their gates.
func (p *play) pushAndOpen(ctx context.Context, tag string) error {
	if err := p.s.Push(ctx, tag); err != nil {
		return err
	}
	for _, repo := range []string{stage.Acceptance, stage.Production} {
		if err := p.awaitOpen(ctx, repo, tag); err != nil {
			return err
		}
		pull, err := p.open(repo, tag)
		if err != nil {
			return err
		}
		p.say("   %s opens: %s", p.ref(repo, pull.Number), pull.Title)
		if err := p.showDiff(ctx, repo, pull); err != nil {
			return err
		}
		if err := p.showGate(ctx, repo, pull.HeadSHA); err != nil {
			return err
		}
	}
	return nil
}

// showDiff shows what a pull request changes, and holds it to one line per changed field.
func (p *play) showDiff(ctx context.Context, repo string, pull hub.Pull) error {
	const file = "apps/shop/kustomization.yaml"
	before, _, err := p.s.Hub.File(ctx, repo, pull.BaseSHA, file)
	if err != nil {
		return err
	}
	after, ok, err := p.s.Hub.File(ctx, repo, pull.HeadSHA, file)
	if err != nil || !ok {
		return fmt.Errorf("%s is not at the head of %s: %w", file, p.ref(repo, pull.Number), err)
	}
	removed, added := 0, 0
	for _, line := range strings.Split(kustomize.Diff(file, before, after), "\n") {
		switch {
		case strings.HasPrefix(line, "+++"), strings.HasPrefix(line, "---"), line == "":
			continue
		case strings.HasPrefix(line, "+"):
			added++
		case strings.HasPrefix(line, "-"):
			removed++
		default:
			continue
		}
		p.say("     %s", shorten(line))
	}
	if want := 2 * len(stage.Images()); removed != want || added != want {
		return fmt.Errorf("%s removes %d lines and adds %d, and should change %d: a tag and a digest for each image", p.ref(repo, pull.Number), removed, added, want)
	}
	return nil
}

// shorten cuts digests for the eye.
func shorten(line string) string {
	if i := strings.Index(line, "sha256:"); i >= 0 && len(line) > i+19 {
		return line[:i+19] + "…"
	}
	return line
}

// showGate shows the gate's table as the check on a commit has it. Where the check has no room for it, the pull request has it a moment later.
func (p *play) showGate(ctx context.Context, repo, sha string) error {
	var check hub.Check
	var rows [][]string
	err := stage.Await(ctx, patience, "the table of the gate to agree with what it shows", func() (bool, error) {
		var err error
		if check, err = p.gate(repo, sha); err != nil {
			return false, err
		}
		rows = tableOf(check.Summary)
		stops := slices.ContainsFunc(rows, func(row []string) bool { return !strings.HasSuffix(row[0], "allows") })
		return len(rows) > 0 && stops == (check.Conclusion != "success"), nil
	})
	if err != nil {
		return err
	}
	title, _, _ := strings.Cut(check.Title, ":")
	p.say("     gate: %s", title)
	for _, row := range rows {
		p.say("       %-8s %-5s %s", row[0], strings.Trim(row[1], "`"), p.readable(row[2]))
	}
	return nil
}

// tableOf are the rows of the gate's table: mark, policy, sentence.
func tableOf(markdown string) (rows [][]string) {
	_, table, _ := strings.Cut(markdown, "| |") // a column of marks has no name
	for line := range strings.Lines("| |" + table) {
		if !strings.HasPrefix(line, "|") {
			break // what follows is about something else
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if len(cells) != 3 || strings.HasPrefix(line, "| |") || strings.HasPrefix(line, "| ---") {
			continue
		}
		mark := strings.ReplaceAll(strings.TrimSpace(cells[0]), "\u00a0", " ")
		rows = append(rows, []string{mark, strings.TrimSpace(cells[1]), cells[2]})
	}
	return rows
}

// readable takes out of a sentence what only a page needs, and the address of the registry.
func (p *play) readable(markdown string) string {
	say, _, _ := strings.Cut(strings.TrimSpace(markdown), "<br>")
	return strings.NewReplacer(`\`, "", "\u200b", "", p.s.Registry.Host()+"/", "").Replace(say)
}

// awaitGate waits until the gate of a pull request shows a conclusion.
func (p *play) awaitGate(ctx context.Context, repo, tag, conclusion string) (hub.Pull, error) {
	var pull hub.Pull
	err := stage.Await(ctx, patience, fmt.Sprintf("the gate of %s in %s to show %s", tag, repo, conclusion), func() (bool, error) {
		var err error
		if pull, err = p.open(repo, tag); err != nil {
			return false, nil // not yet
		}
		check, err := p.gate(repo, pull.HeadSHA)
		return check.Conclusion == conclusion && (conclusion != "success" || !pull.Draft), err
	})
	return pull, err
}

func (p *play) firstRelease(ctx context.Context) error {
	if err := p.pushAndOpen(ctx, "1.4.2"); err != nil {
		return err
	}
	return p.refused(ctx, "1.4.2")
}

// refused has alice try to merge production's pull request, which the forge must not allow.
func (p *play) refused(ctx context.Context, tag string) error {
	pull, err := p.open(stage.Production, tag)
	if err != nil {
		return err
	}
	_, err = p.s.Hub.MergePull(ctx, stage.Production, pull.Number, "alice", "merge", pull.HeadSHA)
	if err == nil {
		return fmt.Errorf("%s could be merged although its gate is not green", p.ref(stage.Production, pull.Number))
	}
	p.say("   alice tries to merge production's all the same, and the forge refuses: %s", strings.Join(strings.Fields(err.Error()), " "))
	return nil
}

func (p *play) mergeAcceptance(ctx context.Context) error {
	if err := p.mergeAndRollOut(ctx, "1.4.2"); err != nil {
		return err
	}
	return p.productionWaits(ctx, "1.4.2", "smoke is not reported")
}

func (p *play) mergeAndRollOut(ctx context.Context, tag string) error {
	if err := p.merge(ctx, stage.Acceptance, tag); err != nil {
		return err
	}
	if err := p.awaitDeployed(ctx, stage.Acceptance, tag); err != nil {
		return err
	}
	p.say("   its pipeline rolls it out, and reports success")
	return nil
}

// productionWaits waits until the gate of production's pull request says something, and shows that it is not green.
func (p *play) productionWaits(ctx context.Context, tag, words string) error {
	pull, err := p.open(stage.Production, tag)
	if err != nil {
		return err
	}
	var check hub.Check
	if err := stage.Await(ctx, patience, "production's gate to say that "+words, func() (bool, error) {
		check, err = p.gate(stage.Production, pull.HeadSHA)
		return strings.Contains(check.Summary, words), err
	}); err != nil {
		return err
	}
	if check.Conclusion == "success" {
		return fmt.Errorf("the gate of %s is green, although %s", p.ref(stage.Production, pull.Number), words)
	}
	p.say("   %s:", p.ref(stage.Production, pull.Number))
	return p.showGate(ctx, stage.Production, pull.HeadSHA)
}

// smoke reports the result of the smoke test on what acceptance runs.
func (p *play) smoke(ctx context.Context, state string) error {
	head, err := p.s.Hub.Head(stage.Acceptance, "main")
	if err != nil {
		return err
	}
	return p.s.Hub.SetStatus(ctx, stage.Acceptance, "bob", hub.Status{SHA: head, Context: "smoke", State: state, TargetURL: p.s.Hub.URL() + "/" + stage.Acceptance})
}

func (p *play) verified(ctx context.Context) error {
	if err := p.smoke(ctx, "success"); err != nil {
		return err
	}
	pull, err := p.awaitGate(ctx, stage.Production, "1.4.2", "success")
	if err != nil {
		return err
	}
	p.say("   %s:", p.ref(stage.Production, pull.Number))
	return p.showGate(ctx, stage.Production, pull.HeadSHA)
}

// approveProduction lets bob's review be the approval: it counts from when the gate is green, by the forge's clock, which shows seconds.
func (p *play) approveProduction(ctx context.Context) error {
	pull, err := p.open(stage.Production, "1.4.2")
	if err != nil {
		return err
	}
	if err := stage.Await(ctx, patience, "the gate to have been green for a second", func() (bool, error) {
		green, err := p.greenSince(ctx, pull.Number)
		return !green.IsZero() && time.Since(green) > time.Second, err
	}); err != nil {
		return err
	}
	if err := p.s.Hub.Review(stage.Production, pull.Number, "bob", hub.Approve, "ship it"); err != nil {
		return err
	}
	if err := stage.Await(ctx, patience, "the bot to merge what bob approved", func() (bool, error) {
		now, err := p.s.Hub.Pull(stage.Production, pull.Number)
		return now.Merged, err
	}); err != nil {
		return err
	}
	p.say("   Boatlift merges %s", p.ref(stage.Production, pull.Number))
	if err := p.awaitDeployed(ctx, stage.Production, "1.4.2"); err != nil {
		return err
	}
	p.say("   its pipeline rolls it out, and reports success: production runs 1.4.2")
	return nil
}

// greenSince is since when the gate of a pull request of production's is green; zero while it is not.
func (p *play) greenSince(ctx context.Context, number int) (time.Time, error) {
	status, err := p.s.Bot.Status(ctx)
	for _, r := range status.Repos {
		for _, e := range r.Environments {
			for _, pr := range e.Promotions {
				if r.Name == stage.Production && pr.PullRequest == number {
					return pr.GreenAt, err
				}
			}
		}
	}
	return time.Time{}, err
}

// notVerified shows a release that acceptance runs, and that production never gets.
func (p *play) notVerified(ctx context.Context) error {
	if err := p.pushAndOpen(ctx, "1.4.3"); err != nil {
		return err
	}
	if err := p.mergeAndRollOut(ctx, "1.4.3"); err != nil {
		return err
	}
	if err := p.smoke(ctx, "failure"); err != nil {
		return err
	}
	if err := p.productionWaits(ctx, "1.4.3", "smoke is failure"); err != nil {
		return err
	}
	return p.refused(ctx, "1.4.3")
}

func (p *play) merge(ctx context.Context, repo, tag string) error {
	pull, err := p.awaitGate(ctx, repo, tag, "success")
	if err != nil {
		return err
	}
	sha, err := p.s.Hub.MergePull(ctx, repo, pull.Number, "alice", "merge", pull.HeadSHA)
	if err != nil {
		return err
	}
	p.say("   %s is merged as %s", p.ref(repo, pull.Number), sha[:7])
	return nil
}

// awaitDeployed waits until the bot knows that an environment runs a tag.
func (p *play) awaitDeployed(ctx context.Context, repo, tag string) error {
	return stage.Await(ctx, patience, "the bot to know that "+repo+" runs "+tag, func() (bool, error) {
		status, err := p.s.Bot.Status(ctx)
		if err != nil {
			return false, err
		}
		for _, r := range status.Repos {
			if r.Name != repo {
				continue
			}
			for _, e := range r.Environments {
				for _, i := range e.Images {
					if i.Running == nil || i.Running.Digest != i.Digest || i.Running.Tag != tag {
						return false, nil
					}
				}
				return e.Rollout == "succeeded", nil
			}
		}
		return false, nil
	})
}

func (p *play) reject(ctx context.Context) error {
	if err := p.pushAndOpen(ctx, "1.4.4"); err != nil {
		return err
	}
	pull, err := p.open(stage.Production, "1.4.4")
	if err != nil {
		return err
	}
	if err := p.s.Hub.ClosePull(ctx, stage.Production, pull.Number, "alice"); err != nil {
		return err
	}
	err = stage.Await(ctx, patience, "the bot to take the closed pull request for a rejection", func() (bool, error) {
		said, err := p.s.Hub.Comments(stage.Production, pull.Number)
		for _, s := range said {
			if strings.Contains(s.Body, "Rejected") {
				return true, nil
			}
		}
		return false, err
	})
	if err != nil {
		return err
	}
	p.say("   alice closes %s: rejected", p.ref(stage.Production, pull.Number))
	return p.staysRejected(ctx, "1.4.4")
}

// staysRejected pushes the rejected images once more, and sees that nothing comes of it.
func (p *play) staysRejected(ctx context.Context, tag string) error {
	if err := p.s.Registry.Tag(ctx, "shop/web", tag, tag+"-again"); err != nil {
		return err
	}
	if err := p.s.Hub.Idle(ctx); err != nil {
		return err
	}
	text, err := p.s.Bot.Command(ctx, "why", "shop/web:"+tag)
	if err != nil {
		return err
	}
	if _, err := p.open(stage.Production, tag); err == nil {
		return fmt.Errorf("%s came back in %s after it was rejected", tag, stage.Production)
	}
	if !strings.Contains(text, "rejected") {
		return fmt.Errorf("boatlift why does not tell that %s was rejected:\n%s", tag, text)
	}
	p.say("   and it stays so; in acceptance 1.4.4 goes on")
	return nil
}

// markdownLink is a link as it stands in comments.
var markdownLink = regexp.MustCompile(`\[([^\]]*)\]\(([^)]*)\)`)

func (p *play) supersede(ctx context.Context) error {
	old, err := p.open(stage.Acceptance, "1.4.4")
	if err != nil {
		return err
	}
	if err := p.pushAndOpen(ctx, "1.4.5"); err != nil {
		return err
	}
	var link string
	err = stage.Await(ctx, patience, "1.4.4 to be superseded in acceptance", func() (bool, error) {
		pull, err := p.s.Hub.Pull(stage.Acceptance, old.Number)
		if err != nil || pull.State == "open" {
			return false, err
		}
		said, err := p.s.Hub.Comments(stage.Acceptance, old.Number)
		for _, s := range said {
			if strings.Contains(s.Body, "Superseded") {
				_, link, _ = strings.Cut(s.Body, "Superseded")
			}
		}
		return link != "", err
	})
	if err != nil {
		return err
	}
	p.say("   %s (1.4.4) is closed: superseded %s", p.ref(stage.Acceptance, old.Number), markdownLink.ReplaceAllString(strings.TrimSpace(link), "$1 ($2)"))
	if _, err := p.open(stage.Production, "1.4.4"); err == nil {
		return fmt.Errorf("1.4.4 came back in %s after it was rejected", stage.Production)
	}
	return nil
}
