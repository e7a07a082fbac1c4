package github

import (
	"context"
	"errors"

	gh "github.com/google/go-github/v60/github"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

// SetCheck implements forge.Checks. There is one check run of this App, or by a token one newest status, per commit and name: it is
// looked for, then changed or made. One that shows all of it already is left alone.
func (f *Forge) SetCheck(ctx context.Context, repo forge.Repository, check forge.Check) error {
	doing := "set check " + wire.Clean(check.Name, 100)
	if check.Title == "" {
		check.Title = check.Name
	}
	check.Title, check.Summary = wire.Title(check.Title, maxTitle), wire.Cut(check.Summary, maxBody)
	if check.Summary == "" {
		check.Summary = check.Title // GitHub refuses an empty one
	}
	check.DetailsURL = wire.Link(check.DetailsURL)
	if _, _, err := runState(check.Conclusion); err != nil {
		return err
	}
	if !wire.IsCommit(check.HeadSHA) {
		return &wire.Error{Doing: doing, Message: "the commit is not named by its full hash", Kind: forge.ErrRefused}
	}
	return f.in(ctx, repo, doing, func(t target) error { return f.entry.setCheck(ctx, t, check) })
}

// setCheck shows a check as a check run.
func (a *app) setCheck(ctx context.Context, t target, check forge.Check) error {
	status, conclusion, err := runState(check.Conclusion)
	if err != nil {
		return err
	}
	if check.New {
		return a.createRun(ctx, t, check, status, conclusion)
	}
	run, err := a.findRun(ctx, t, check)
	if err != nil {
		return err
	}
	if run == nil {
		return a.createRun(ctx, t, check, status, conclusion)
	}
	if shows(run, check, status, conclusion) {
		return nil
	}
	options := gh.UpdateCheckRunOptions{
		Name: check.Name, Status: gh.String(status), Conclusion: conclusion, DetailsURL: optional(check.DetailsURL),
		ExternalID: optional(check.ExternalID), Output: output(check),
	}
	if conclusion != nil {
		options.CompletedAt = &gh.Timestamp{Time: a.clock().UTC()}
	}
	changed, _, err := t.Checks.UpdateCheckRun(ctx, t.owner, t.name, run.GetID(), options)
	if err != nil {
		return err
	}
	if conclusion == nil && changed.GetStatus() == "completed" {
		// It would go on showing its old conclusion, which may be green. A new run of the same name takes its place.
		return a.createRun(ctx, t, check, status, conclusion)
	}
	return nil
}

// runState maps a conclusion to the two words that GitHub has for it. Words that would pass a required check are not among them.
func runState(c forge.Conclusion) (status string, conclusion *string, err error) {
	switch c {
	case forge.Pending:
		return "in_progress", nil, nil
	case forge.Success:
		return "completed", gh.String("success"), nil
	case forge.Failure:
		return "completed", gh.String("failure"), nil
	}
	return "", nil, errors.New("set a check: unknown conclusion " + string(c))
}

// findRun finds the newest check run of this App on the commit. Names and Apps are compared here too, not every server filters.
func (a *app) findRun(ctx context.Context, t target, check forge.Check) (*gh.CheckRun, error) {
	options := &gh.ListCheckRunsOptions{CheckName: gh.String(check.Name), Filter: gh.String("latest"), AppID: gh.Int64(a.id)}
	runs, err := pages(func(page gh.ListOptions) ([]*gh.CheckRun, *gh.Response, error) {
		options.ListOptions = page
		list, response, err := t.Checks.ListCheckRunsForRef(ctx, t.owner, t.name, check.HeadSHA, options)
		if err != nil {
			return nil, response, err
		}
		return list.CheckRuns, response, nil
	})
	if err != nil {
		return nil, err
	}
	var newest *gh.CheckRun
	for _, run := range runs {
		if run.GetName() != check.Name || run.GetApp().GetID() != a.id || run.GetHeadSHA() != check.HeadSHA {
			continue
		}
		if newest == nil || run.GetID() > newest.GetID() {
			newest = run
		}
	}
	return newest, nil
}

func (a *app) createRun(ctx context.Context, t target, check forge.Check, status string, conclusion *string) error {
	now := &gh.Timestamp{Time: a.clock().UTC()}
	options := gh.CreateCheckRunOptions{
		Name: check.Name, HeadSHA: check.HeadSHA, Status: gh.String(status), Conclusion: conclusion, StartedAt: now,
		DetailsURL: optional(check.DetailsURL), ExternalID: optional(check.ExternalID), Output: output(check),
	}
	if conclusion != nil {
		options.CompletedAt = now
	}
	_, _, err := t.Checks.CreateCheckRun(ctx, t.owner, t.name, options)
	return err
}

func shows(run *gh.CheckRun, check forge.Check, status string, conclusion *string) bool {
	wanted := ""
	if conclusion != nil {
		wanted = *conclusion
	}
	return run.GetStatus() == status && run.GetConclusion() == wanted &&
		run.GetOutput().GetTitle() == check.Title && run.GetOutput().GetSummary() == check.Summary &&
		(check.ExternalID == "" || run.GetExternalID() == check.ExternalID) &&
		(check.DetailsURL == "" || run.GetDetailsURL() == check.DetailsURL)
}

func output(check forge.Check) *gh.CheckRunOutput {
	return &gh.CheckRunOutput{Title: gh.String(check.Title), Summary: gh.String(check.Summary)}
}

func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
