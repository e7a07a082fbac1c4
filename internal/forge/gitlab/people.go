package gitlab

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	gl "github.com/xanzy/go-gitlab"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

// TeamMembers implements forge.People. A team is a group, and its members are its own: neither those of the groups above it, who are often
// everybody, nor those of the groups below it, whom others let in.
func (f *Forge) TeamMembers(ctx context.Context, team string) ([]string, error) {
	doing := "list the members of group " + wire.Clean(team, 200)
	if !isPath(team) {
		return nil, &wire.Error{Doing: doing, Message: "a group is named like acme/ops", Kind: forge.ErrNotFound}
	}
	members, err := pages(func(page int, _ string) ([]*gl.GroupMember, *gl.Response, error) {
		return f.api.Groups.ListGroupMembers(team, &gl.ListGroupMembersOptions{ListOptions: gl.ListOptions{Page: page, PerPage: pageSize}}, with(ctx)...)
	})
	if err != nil {
		return nil, f.translate(doing, err)
	}
	logins := make([]string, 0, len(members))
	for _, m := range members {
		if m.State == "active" || m.State == "" {
			logins = append(logins, m.Username)
		}
	}
	return logins, nil
}

// OwnerFiles implements forge.OwnerFiles.
// https://docs.gitlab.com/user/project/codeowners/
func (f *Forge) OwnerFiles() []string {
	return []string{"CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS"}
}

// maxAsked is how many people one merge request asks at most; GitLab takes 200 reviewers.
const maxAsked = 100

// RequestReviewers implements forge.People. Groups do not review at GitLab, so their members are asked. Without Premium GitLab keeps only one
// reviewer of a merge request.
func (f *Forge) RequestReviewers(ctx context.Context, repo forge.Repository, number int, users, teams []string) error {
	if len(users)+len(teams) == 0 {
		return nil
	}
	doing := fmt.Sprintf("ask for reviews of merge request %d", number)
	logins := slices.Clone(users)
	for _, team := range teams {
		members, err := f.TeamMembers(ctx, team)
		if kind := wire.Status(err); kind == 403 || kind == 404 {
			continue // whom nobody shows to the bot it cannot ask
		}
		if err != nil && isPath(team) {
			return err
		}
		logins = append(logins, members...)
	}
	m, _, err := f.api.MergeRequests.GetMergeRequest(int(repo.ID), number, nil, with(ctx)...)
	if err != nil {
		return f.about(repo, doing, err)
	}
	var ids []int
	for _, r := range m.Reviewers {
		ids = append(ids, r.ID)
	}
	before := len(ids)
	seen := map[string]bool{}
	for _, login := range logins {
		if seen[strings.ToLower(login)] || len(ids) >= maxAsked || m.Author != nil && strings.EqualFold(m.Author.Username, login) {
			continue
		}
		seen[strings.ToLower(login)] = true
		member, err := f.member(ctx, repo, login)
		if err != nil {
			return err
		}
		if member != nil && member.AccessLevel >= gl.ReporterPermissions && !slices.Contains(ids, member.ID) {
			ids = append(ids, member.ID)
		}
	}
	if len(ids) == before {
		return nil
	}
	_, _, err = f.api.MergeRequests.UpdateMergeRequest(int(repo.ID), number, &gl.UpdateMergeRequestOptions{ReviewerIDs: &ids}, with(ctx)...)
	if err = f.about(repo, doing, err); wire.Status(err) == 400 || wire.Status(err) == 422 {
		return nil // one of them may not review any more
	}
	return err
}

// maxPushPages bounds how many pushes to a project are looked at, a hundred on each page.
const maxPushPages = 10

// pushedNote is GitLab's own note of a push to the branch of a merge request.
var pushedNote = regexp.MustCompile(`^added \d+ (new )?commits?\b`)

// Contributors implements forge.People. GitLab does not tell whose a commit is, and anybody may write any name into one. So who pushed is
// asked: from the opening of the merge request by GitLab's own notes, before by the project's events. Addresses of commits that GitLab made up
// for an account name that one too.
func (f *Forge) Contributors(ctx context.Context, repo forge.Repository, number int) ([]string, error) {
	doing := fmt.Sprintf("list who worked on merge request %d", number)
	m, _, err := f.api.MergeRequests.GetMergeRequest(int(repo.ID), number, nil, with(ctx)...)
	if err != nil {
		return nil, f.about(repo, doing, err)
	}
	var logins []string
	add := func(login string) {
		if login != "" && !slices.Contains(logins, login) {
			logins = append(logins, login)
		}
	}
	if m.Author != nil {
		add(m.Author.Username)
	}
	notes, err := f.notes(ctx, repo, number)
	if err != nil {
		return nil, f.about(repo, doing, err)
	}
	for _, n := range notes {
		if n.System && pushedNote.MatchString(n.Body) {
			add(n.Author.Username)
		}
	}
	commits, err := pages(func(page int, _ string) ([]*gl.Commit, *gl.Response, error) {
		return f.api.MergeRequests.GetMergeRequestCommits(int(repo.ID), number, &gl.GetMergeRequestCommitsOptions{Page: page, PerPage: pageSize}, with(ctx)...)
	})
	if err != nil {
		return nil, f.about(repo, doing, err)
	}
	for _, c := range commits {
		add(f.ownerOf(c.AuthorEmail))
		add(f.ownerOf(c.CommitterEmail))
	}
	if m.SourceProjectID == m.TargetProjectID {
		pushers, err := f.pushers(ctx, repo, m.SourceBranch)
		if err != nil {
			return nil, f.about(repo, doing, err)
		}
		for _, login := range pushers {
			add(login)
		}
	}
	slices.Sort(logins)
	return logins, nil
}

// ownerOf is the account for which GitLab made an address up: 12-alice@users.noreply.HOST.
func (f *Forge) ownerOf(mail string) string {
	local, host, _ := strings.Cut(mail, "@")
	_, login, ok := strings.Cut(local, "-")
	if !ok || host != f.at.mail || !loginPattern.MatchString(login) {
		return ""
	}
	return login
}

// pushers are those who pushed to a branch lately.
func (f *Forge) pushers(ctx context.Context, repo forge.Repository, branch string) ([]string, error) {
	var logins []string
	action := gl.PushedEventType
	page := 1
	for range maxPushPages {
		found, response, err := f.api.Events.ListProjectVisibleEvents(int(repo.ID), &gl.ListProjectVisibleEventsOptions{
			ListOptions: gl.ListOptions{Page: page, PerPage: pageSize}, Action: &action, Sort: gl.Ptr("desc"),
		}, with(ctx)...)
		if err != nil {
			return nil, err
		}
		for _, e := range found {
			if e.PushData.Ref == branch && e.PushData.RefType != "tag" {
				logins = append(logins, e.AuthorUsername)
			}
		}
		if response.NextPage <= page {
			break
		}
		page = response.NextPage
	}
	return logins, nil
}
