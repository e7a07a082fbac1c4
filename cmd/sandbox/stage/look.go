package stage

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
	"github.com/boatlift/boatlift/internal/dashboard"
)

// GateCheck is the name of the check in which the bot shows whether a pull request may be merged.
const GateCheck = "boatlift/gate"

// patience is how long anything on the stage may take, on a machine that has much else to do.
const patience = 2 * time.Minute

// Status asks the bot, or whichever of its replicas answers first.
func (s *Stage) Status(ctx context.Context) (status dashboard.Status, err error) {
	for _, b := range s.Bots {
		if status, err = b.Status(ctx); err == nil {
			return status, nil
		}
	}
	return status, err
}

// Pulls are the pull requests that were ever opened for a tag, by number.
func (s *Stage) Pulls(repo, tag string) ([]hub.Pull, error) {
	pulls, err := s.Hub.Pulls(repo)
	return slices.DeleteFunc(pulls, func(p hub.Pull) bool { return !strings.HasSuffix(p.Title, " "+tag) }), err
}

// Open finds the open pull request for a tag.
func (s *Stage) Open(repo, tag string) (pull hub.Pull, ok bool, err error) {
	pulls, err := s.Pulls(repo, tag)
	i := slices.IndexFunc(pulls, func(p hub.Pull) bool { return p.State == "open" })
	if i < 0 {
		return hub.Pull{}, false, err
	}
	return pulls[i], true, err
}

// Check finds a check on a commit; its name is empty where there is none. By a token that is a status, whose text is short.
func (s *Stage) Check(repo, sha, name string) (hub.Check, error) {
	if s.opts.ByToken {
		statuses, err := s.Hub.Statuses(repo, sha)
		i := slices.IndexFunc(statuses, func(s hub.Status) bool { return s.Context == name })
		if i < 0 {
			return hub.Check{}, err
		}
		return hub.Check{Name: name, Conclusion: strings.TrimPrefix(statuses[i].State, "pending"), Title: statuses[i].Description}, err
	}
	checks, err := s.Hub.Checks(repo, sha)
	i := slices.IndexFunc(checks, func(c hub.Check) bool { return c.Name == name })
	if i < 0 {
		return hub.Check{}, err
	}
	return checks[i], err
}

// AwaitPull waits for the open pull request for a tag, and until it shows its gate.
func (s *Stage) AwaitPull(ctx context.Context, repo, tag string) (pull hub.Pull, err error) {
	err = Await(ctx, patience, fmt.Sprintf("a pull request for %s in %s that shows its gate", tag, repo), func() (bool, error) {
		var ok bool
		if pull, ok, err = s.Open(repo, tag); err != nil || !ok {
			return false, err
		}
		check, err := s.Check(repo, pull.HeadSHA, GateCheck)
		return check.Name != "", err
	})
	return pull, err
}

// AwaitGate waits until the gate of the open pull request for a tag has a conclusion (success, failure; empty while it waits), and
// returns it with the pull request.
func (s *Stage) AwaitGate(ctx context.Context, repo, tag, conclusion string) (pull hub.Pull, gate hub.Check, err error) {
	err = Await(ctx, patience, fmt.Sprintf("the gate of %s in %s to show %q", tag, repo, conclusion), func() (bool, error) {
		var ok bool
		if pull, ok, err = s.Open(repo, tag); err != nil || !ok {
			return false, err
		}
		gate, err = s.Check(repo, pull.HeadSHA, GateCheck)
		shown := gate.Name != "" && gate.Conclusion == conclusion
		if err != nil || !shown || conclusion != "success" {
			return shown, err
		}
		// What holds a merge at a GitLab, a draft or an external status check, lets go a moment after the gate is shown as green.
		held, err := s.Hub.StatusChecks(repo, pull.Number)
		state, external := held[GateCheck]
		return !pull.Draft && (!external || state == "passed"), err
	})
	return pull, gate, err
}

// Merge merges the pull request for a tag as alice, once its gate is green.
func (s *Stage) Merge(ctx context.Context, repo, tag string) error {
	pull, _, err := s.AwaitGate(ctx, repo, tag, "success")
	if err != nil {
		return err
	}
	_, err = s.Hub.MergePull(ctx, repo, pull.Number, "alice", "merge", pull.HeadSHA)
	return err
}

// AwaitRuns waits until the bot knows that all images of a repository run with a tag.
func (s *Stage) AwaitRuns(ctx context.Context, repo, tag string) error {
	return Await(ctx, patience, fmt.Sprintf("%s to run %s", repo, tag), func() (bool, error) {
		status, err := s.Status(ctx)
		if err != nil {
			return false, nil // not up yet
		}
		seen := 0
		for _, r := range status.Repos {
			if r.Name != repo {
				continue
			}
			for _, e := range r.Environments {
				for _, i := range e.Images {
					if i.Running == nil || i.Running.Tag != tag || i.Running.Digest != i.Digest || e.Rollout != "succeeded" {
						return false, nil
					}
					seen++
				}
			}
		}
		return seen > 0, nil
	})
}

// Quiet waits until nothing is under way: every webhook is sent and answered, every rollout has ended, and the bot has no work but what
// waits for a clock. What a registry sends is not waited for.
func (s *Stage) Quiet(ctx context.Context) error {
	return Await(ctx, patience, "everything to be quiet", func() (bool, error) {
		waiting, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if err := s.Hub.Idle(waiting); err != nil {
			return false, err
		}
		before := len(s.Hub.Deliveries())
		status, err := s.Status(ctx)
		if err != nil {
			return false, nil // not up yet
		}
		return len(status.Work) == 0 && len(s.Hub.Deliveries()) == before, nil
	})
}

// GitDir is the bare repository of an infra repository.
func (s *Stage) GitDir(repo string) (string, error) {
	info, err := s.Hub.Repo(repo)
	return filepath.Join(s.opts.Dir, "forge", strconv.FormatInt(info.ID, 10)+".git"), err
}
