package github

import (
	"context"

	gh "github.com/google/go-github/v60/github"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

// maxDescription is how much a commit status says at most, in characters.
const maxDescription = 140

// setCheck shows a check as a commit status, as only Apps make check runs. Its summary has no room there. A status is left alone if the newest
// one of its name is of this account and says the same: GitHub keeps a thousand for a commit and name, and then takes no more.
func (a *account) setCheck(ctx context.Context, t target, check forge.Check) error {
	self, err := a.Forge.whoami(ctx, t.doing)
	if err != nil {
		return err
	}
	wanted := &gh.RepoStatus{
		State: gh.String(string(check.Conclusion)), Context: gh.String(check.Name), Description: gh.String(wire.Short(check.Title, maxDescription)),
		TargetURL: optional(check.DetailsURL),
	}
	if check.New {
		_, _, err = t.Repositories.CreateStatus(ctx, t.owner, t.name, check.HeadSHA, wanted)
		return err
	}
	list, err := pages(func(page gh.ListOptions) ([]*gh.RepoStatus, *gh.Response, error) {
		return t.Repositories.ListStatuses(ctx, t.owner, t.name, check.HeadSHA, &page)
	})
	if err != nil {
		return err
	}
	var newest *gh.RepoStatus
	for _, s := range list {
		if s.GetContext() == check.Name && (newest == nil || s.GetID() > newest.GetID()) {
			newest = s
		}
	}
	if newest != nil && actor(newest.Creator, self.Login).Self && newest.GetState() == wanted.GetState() &&
		newest.GetDescription() == wanted.GetDescription() && newest.GetTargetURL() == wanted.GetTargetURL() {
		return nil
	}
	_, _, err = t.Repositories.CreateStatus(ctx, t.owner, t.name, check.HeadSHA, wanted)
	return err
}
