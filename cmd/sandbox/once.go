package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
	"github.com/boatlift/boatlift/cmd/sandbox/stage"
	"github.com/boatlift/boatlift/internal/kustomize"
)

// once shows the whole job without a person. Whatever is not as it should be is an error.
func (p *play) once(ctx context.Context) error {
	for i, step := range []struct {
		title string
		do    func(context.Context) error
	}{
		{"shop/web:1.4.2 and shop/worker:1.4.2 are pushed to the registry", p.firstRelease},
		{"alice merges acceptance's", p.mergeAcceptance},
		{"alice merges production's", p.mergeProduction},
		{"1.4.3 is pushed, and alice closes production's pull request", p.reject},
		{"1.4.4 is pushed", p.supersede},
	} {
		p.say("")
		p.say("%d. %s", i+1, step.title)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("step %d, %s: %w", i+1, step.title, err)
		}
	}
	p.say("")
	p.say("What became of 1.4.3, as boatlift why shop/web:1.4.3 tells it:")
	text, err := p.s.Bot.Command(ctx, "why", "shop/web:1.4.3")
	if err != nil {
		return err
	}
	p.say("   %s", strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n   "))
	p.say("")
	p.say("Done: nothing lost, and production never first.")
	return nil
}

// pushAndOpen pushes a tag of both images and shows the pull requests that open for it.
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
		p.say("   %s#%d opens: %s", repo, pull.Number, pull.Title)
		if err := p.showDiff(ctx, repo, pull); err != nil {
			return err
		}
		if err := p.showGate(repo, pull); err != nil {
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
		return fmt.Errorf("%s is not at the head of %s#%d: %w", file, repo, pull.Number, err)
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
		return fmt.Errorf("%s#%d removes %d lines and adds %d, and should change %d: a tag and a digest for each image", repo, pull.Number, removed, added, want)
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

func (p *play) showGate(repo string, pull hub.Pull) error {
	check, err := p.gate(repo, pull.HeadSHA)
	if err != nil {
		return err
	}
	p.say("     gate: %s", check.Title)
	return nil
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
		return check.Conclusion == conclusion, err
	})
	return pull, err
}

func (p *play) firstRelease(ctx context.Context) error {
	if err := p.pushAndOpen(ctx, "1.4.2"); err != nil {
		return err
	}
	pull, err := p.open(stage.Production, "1.4.2")
	if err != nil {
		return err
	}
	_, err = p.s.Hub.MergePull(ctx, stage.Production, pull.Number, "alice", "merge", pull.HeadSHA)
	if err == nil {
		return fmt.Errorf("%s#%d could be merged before acceptance ran the release", stage.Production, pull.Number)
	}
	p.say("   alice tries to merge production's first, and the forge refuses: %s", strings.Join(strings.Fields(err.Error()), " "))
	return nil
}

func (p *play) mergeAcceptance(ctx context.Context) error {
	if err := p.merge(ctx, stage.Acceptance, "1.4.2"); err != nil {
		return err
	}
	if err := p.awaitDeployed(ctx, stage.Acceptance); err != nil {
		return err
	}
	p.say("   its pipeline rolls it out, and reports success")
	pull, err := p.awaitGate(ctx, stage.Production, "1.4.2", "success")
	if err != nil {
		return err
	}
	p.say("   %s#%d:", stage.Production, pull.Number)
	return p.showGate(stage.Production, pull)
}

func (p *play) mergeProduction(ctx context.Context) error {
	if err := p.merge(ctx, stage.Production, "1.4.2"); err != nil {
		return err
	}
	if err := p.awaitDeployed(ctx, stage.Production); err != nil {
		return err
	}
	p.say("   its pipeline rolls it out, and reports success: production runs 1.4.2")
	return nil
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
	p.say("   %s#%d is merged as %s", repo, pull.Number, sha[:7])
	return nil
}

// awaitDeployed waits until the bot knows that an environment runs what its kustomizations say.
func (p *play) awaitDeployed(ctx context.Context, repo string) error {
	return stage.Await(ctx, patience, "the bot to know that "+repo+" is rolled out", func() (bool, error) {
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
					if i.Running == nil || i.Running.Digest != i.Digest || i.Tag == stage.FirstTag {
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
	if err := p.pushAndOpen(ctx, "1.4.3"); err != nil {
		return err
	}
	pull, err := p.open(stage.Production, "1.4.3")
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
	p.say("   alice closes %s#%d: rejected", stage.Production, pull.Number)
	return p.staysRejected(ctx, "1.4.3")
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
	p.say("   and it stays so; in acceptance 1.4.3 goes on")
	return nil
}

func (p *play) supersede(ctx context.Context) error {
	old, err := p.open(stage.Acceptance, "1.4.3")
	if err != nil {
		return err
	}
	if err := p.pushAndOpen(ctx, "1.4.4"); err != nil {
		return err
	}
	var link string
	err = stage.Await(ctx, patience, "1.4.3 to be superseded in acceptance", func() (bool, error) {
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
	p.say("   %s#%d (1.4.3) is closed: superseded %s", stage.Acceptance, old.Number, strings.TrimSpace(link))
	if _, err := p.open(stage.Production, "1.4.3"); err == nil {
		return fmt.Errorf("1.4.3 came back in %s after it was rejected", stage.Production)
	}
	return nil
}
