package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/promotion"
)

// recentRollouts is how many rollouts are looked at: among them is the last that succeeded, unless many failed in a row.
const recentRollouts = 10

// rollouts lists the newest rollouts by the evidence that an environment names. Where there are none, says tells why.
func (t *turn) rollouts(ctx context.Context, by promotion.Rollout) (list []forge.Deployment, says string, err error) {
	if by.Workflow != "" {
		list, err = t.forge.Runs(ctx, t.repo, by.Workflow, t.repo.DefaultBranch, recentRollouts)
		says = "no push to " + t.repo.DefaultBranch + " has made the workflow " + by.Workflow + " run yet"
	} else {
		list, err = t.forge.Deployments(ctx, t.repo, by.Deployment, recentRollouts)
		says = "the forge knows of no deployment to " + by.Deployment + " yet"
	}
	switch {
	case errors.Is(err, forge.ErrForbidden):
		t.log.Warn("nothing is known of the rollouts", "error", err) // and unknown is never success
		return nil, "the bot may not read the rollouts: " + hintOr(err, firstLine(err.Error())), nil
	case by.Workflow != "" && errors.Is(err, forge.ErrNotFound):
		return nil, "the repository has no workflow " + by.Workflow, nil
	}
	return list, says, err
}

// patience is the state of a rollout that runs: unknown once it has been silent for too long.
func (t *turn) patience(d forge.Deployment, timeout time.Duration) (state, says string) {
	if timeout > 0 {
		late := d.UpdatedAt.Add(timeout)
		if !t.now.Before(late) {
			return string(forge.RolloutUnknown), fmt.Sprintf("the rollout of %s has told nothing since %s, for longer than rollout.timeout (%s)",
				short(d.SHA), d.UpdatedAt.UTC().Format("2006-01-02 15:04 UTC"), timeout)
		}
		t.wakes = append(t.wakes, late)
	}
	return string(forge.RolloutRunning), ""
}

// reports is what others than the bot say of a commit; read tells whether the bot may see it at all.
func (t *turn) reports(ctx context.Context, sha string) (reports []promotion.Report, read bool, err error) {
	statuses, err := t.forge.Statuses(ctx, t.repo, sha)
	if errors.Is(err, forge.ErrForbidden) || errors.Is(err, forge.ErrNotFound) || errors.Is(err, forge.ErrRefused) {
		t.log.Warn("the checks and statuses of a commit cannot be read", "commit", sha, "error", err)
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read the checks and statuses of %s: %w", short(sha), err)
	}
	for _, s := range statuses {
		if !s.By.Self {
			reports = append(reports, promotion.Report{Name: s.Name, State: string(s.State), By: s.By.Login, Bot: s.By.Bot, URL: s.URL, At: s.At})
		}
	}
	return reports, true, nil
}

// checksOf is the state of each check and status of others on a commit; the worst where several report under one name. What
// cannot be read is not there, and so waited for.
func (t *turn) checksOf(ctx context.Context, sha string) (map[string]string, error) {
	reports, _, err := t.reports(ctx, sha)
	checks := make(map[string]string, len(reports))
	for _, r := range reports {
		checks[r.Name] = promotion.Worst(checks[r.Name], r.State)
	}
	return checks, err
}

func hintOr(err error, otherwise string) string {
	var hint interface{ Hint() string }
	if errors.As(err, &hint) && hint.Hint() != "" {
		return hint.Hint()
	}
	return otherwise
}

func short(sha string) string { return sha[:min(7, len(sha))] }
