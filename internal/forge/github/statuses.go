package github

import (
	"context"
	"fmt"
	"strings"

	gh "github.com/google/go-github/v60/github"

	"github.com/boatlift/boatlift/internal/forge"
)

// maxDescription is how much a commit status says at most, in characters.
const maxDescription = 140

// setCheck shows a check as a commit status, as only Apps make check runs. What a status has no room for stands in the pull request.
func (a *account) setCheck(ctx context.Context, t target, check forge.Check) error {
	if err := a.setStatus(ctx, t, check); err != nil || check.PullRequest == 0 {
		return err
	}
	pr, _, err := t.PullRequests.Get(ctx, t.owner, t.name, check.PullRequest)
	if err != nil {
		return err
	}
	if err := t.is(pr.GetBase().GetRepo()); err != nil {
		return err
	}
	body := withSection(pr.GetBody(), check)
	if pr.GetHead().GetSHA() != check.HeadSHA || body == pr.GetBody() {
		return nil
	}
	_, _, err = t.PullRequests.Edit(ctx, t.owner, t.name, check.PullRequest, &gh.PullRequest{Body: gh.String(body)})
	return err
}

// setStatus sets the status of the check's name, unless the newest one of this account says the same: GitHub keeps a thousand for a commit
// and name, and then takes no more.
func (a *account) setStatus(ctx context.Context, t target, check forge.Check) error {
	self, err := a.Forge.whoami(ctx, t.doing)
	if err != nil {
		return err
	}
	wanted := &gh.RepoStatus{
		State: gh.String(string(check.Conclusion)), Context: gh.String(check.Name), Description: gh.String(short(check.Title, maxDescription)),
		TargetURL: optional(check.DetailsURL),
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

func short(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}

// withSection puts what a check says at the top of a pull request's description, in place of what it said before.
func withSection(body string, check forge.Check) string {
	// Others may stand beside it, and none is the mark by which the bot knows its own.
	begin, end := fmt.Sprintf("<!-- boatlift-check %s -->", markKey(check.Name)), fmt.Sprintf("<!-- /boatlift-check %s -->", markKey(check.Name))
	section := begin + "\n**" + check.Name + ": " + escaped(check.Title) + "**\n\n" + cut(check.Summary, maxBody/3) + "\n" + end + "\n\n"
	if from := strings.Index(body, begin); from >= 0 {
		if to := strings.Index(body[from:], end); to >= 0 {
			body = body[:from] + strings.TrimLeft(body[from+to+len(end):], "\n")
		}
	}
	return cut(section+body, maxBody)
}

// escaped is a title, which is plain text, in markdown. It calls nobody and refers to nothing.
func escaped(text string) string {
	var b strings.Builder
	for _, r := range text {
		if strings.ContainsRune("\\`*_[]<>|~!&$", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
		if r == '@' || r == '#' {
			b.WriteRune('\u200b') // has no width
		}
	}
	return b.String()
}
