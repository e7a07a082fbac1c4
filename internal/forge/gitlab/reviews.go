package gitlab

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	gl "github.com/xanzy/go-gitlab"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

// GitLab's own notes of decisions, which are in English whatever the language of who decides.
const (
	noteApproved   = "approved this merge request"
	noteUnapproved = "unapproved this merge request"
	noteRequested  = "requested changes"
)

// Reviews implements forge.PullRequests. What stands is read from the approvals and the reviewers. When it was decided is told by the notes
// that GitLab itself writes; and what was looked at then is the newest version of the merge request at that moment, as GitLab keeps no commit
// with an approval. A decision whose moment or version is not found has no commit, and so counts for none.
func (f *Forge) Reviews(ctx context.Context, repo forge.Repository, number int) ([]forge.Review, error) {
	doing := fmt.Sprintf("list the reviews of merge request %d", number)
	self, err := f.whoami(ctx, doing)
	if err != nil {
		return nil, err
	}
	approvals, err := f.approvals(ctx, repo, number)
	if err != nil {
		return nil, f.about(repo, doing, err)
	}
	notes, err := f.notes(ctx, repo, number)
	if err != nil {
		return nil, f.about(repo, doing, err)
	}
	h := history{self: self, approvals: approvals}
	h.read(notes)
	if len(h.said) == 0 {
		return nil, nil
	}
	if h.requested {
		reviewers, _, err := f.api.MergeRequests.GetMergeRequestReviewers(int(repo.ID), number, with(ctx)...)
		if err != nil {
			return nil, f.about(repo, doing, err)
		}
		for _, r := range reviewers {
			if r.User != nil && r.State == "requested_changes" {
				h.demanding = append(h.demanding, r.User.ID)
			}
		}
	}
	versions, err := pages(func(page int, _ string) ([]*gl.MergeRequestDiffVersion, *gl.Response, error) {
		return f.api.MergeRequests.GetMergeRequestDiffVersions(int(repo.ID), number, &gl.GetMergeRequestDiffVersionsOptions{Page: page, PerPage: pageSize}, with(ctx)...)
	})
	if err != nil {
		return nil, f.about(repo, doing, err)
	}
	list := make([]forge.Review, 0, len(h.said))
	for _, s := range h.standing() {
		who, err := f.decided(ctx, s.id, s.login, self)
		if err != nil {
			return nil, err
		}
		list = append(list, forge.Review{User: who, State: s.state, CommitSHA: versionAt(versions, s.at), At: s.at})
	}
	return list, nil
}

// approval is somebody whose approval stands.
type approval struct {
	id    int
	login string
	at    time.Time // zero before GitLab 17
}

// approvals reads whose approvals stand, by API before anything is done because of them: they may be taken back without a note or an event.
func (f *Forge) approvals(ctx context.Context, repo forge.Repository, number int) ([]approval, error) {
	request, err := f.api.NewRequest(http.MethodGet, fmt.Sprintf("projects/%d/merge_requests/%d/approvals", repo.ID, number), nil, with(ctx))
	if err != nil {
		return nil, err
	}
	var found struct {
		ApprovedBy []struct {
			User       *gl.BasicUser `json:"user"`
			ApprovedAt *time.Time    `json:"approved_at"`
		} `json:"approved_by"`
	}
	if _, err := f.api.Do(request, &found); err != nil {
		return nil, err
	}
	var list []approval
	for _, a := range found.ApprovedBy {
		if a.User != nil {
			list = append(list, approval{a.User.ID, a.User.Username, moment(a.ApprovedAt)})
		}
	}
	return list, nil
}

// notes lists all notes of a merge request, oldest first.
func (f *Forge) notes(ctx context.Context, repo forge.Repository, number int) ([]*gl.Note, error) {
	return pages(func(page int, _ string) ([]*gl.Note, *gl.Response, error) {
		return f.api.Notes.ListMergeRequestNotes(int(repo.ID), number, &gl.ListMergeRequestNotesOptions{
			ListOptions: gl.ListOptions{Page: page, PerPage: pageSize}, OrderBy: gl.Ptr("created_at"), Sort: gl.Ptr("asc"),
		}, with(ctx)...)
	})
}

// said is one thing that somebody decided or said.
type said struct {
	id    int
	login string
	state forge.ReviewState
	at    time.Time
}

// history is who decided what, oldest first.
type history struct {
	self      identity
	approvals []approval
	demanding []int // who demands changes now
	requested bool  // somebody once demanded changes
	said      []said
}

// read makes the history out of notes. The bot's own are none.
func (h *history) read(notes []*gl.Note) {
	for _, n := range notes {
		one := said{id: n.Author.ID, login: n.Author.Username, state: forge.Commented, at: moment(n.CreatedAt)}
		switch {
		case int64(n.Author.ID) == h.self.id:
			continue
		case !n.System:
		case n.Body == noteApproved:
			one.state = forge.Approved
		case n.Body == noteUnapproved:
			one.state = forge.Dismissed
		case strings.HasPrefix(n.Body, noteRequested):
			one.state, h.requested = forge.ChangesRequested, true
		default:
			continue
		}
		h.said = append(h.said, one)
	}
	for _, a := range h.approvals { // without a note there may still be a moment
		known := slices.ContainsFunc(h.said, func(s said) bool { return s.id == a.id && s.state == forge.Approved })
		if int64(a.id) != h.self.id && !known {
			h.said = append(h.said, said{a.id, a.login, forge.Approved, a.at})
		}
	}
	slices.SortStableFunc(h.said, func(a, b said) int { return cmp.Compare(a.at.UnixNano(), b.at.UnixNano()) })
}

// standing is the history with what was taken back marked as dismissed: an approval that is not among the approvals now, or that a newer one
// took the place of; and a demand of somebody who demands nothing now.
func (h *history) standing() []said {
	list := slices.Clone(h.said)
	approved, demanded := map[int]bool{}, map[int]bool{}
	for i := len(list) - 1; i >= 0; i-- {
		s := &list[i]
		switch s.state {
		case forge.Approved:
			stands := slices.ContainsFunc(h.approvals, func(a approval) bool { return a.id == s.id })
			if !stands || approved[s.id] {
				s.state = forge.Dismissed
			}
			approved[s.id] = true
		case forge.ChangesRequested:
			// One that the same person's approval followed is history, and stays what it was.
			if !slices.Contains(h.demanding, s.id) && !approved[s.id] && !demanded[s.id] {
				s.state = forge.Dismissed
			}
			demanded[s.id] = true
		}
	}
	return list
}

// versionAt is the head commit that a merge request had at a moment; empty if that is not known.
func versionAt(versions []*gl.MergeRequestDiffVersion, at time.Time) string {
	var newest *gl.MergeRequestDiffVersion
	if at.IsZero() {
		return ""
	}
	for _, v := range versions {
		if v.CreatedAt == nil || v.CreatedAt.After(at) {
			continue
		}
		if newest == nil || v.CreatedAt.After(*newest.CreatedAt) || v.CreatedAt.Equal(*newest.CreatedAt) && v.ID > newest.ID {
			newest = v
		}
	}
	if newest == nil {
		return ""
	}
	return newest.HeadCommitSHA
}

// ChangedFiles implements forge.PullRequests. GitLab ends the list where a difference is too large, and says so by a plus behind the number.
func (f *Forge) ChangedFiles(ctx context.Context, repo forge.Repository, number, limit int) (paths []string, more bool, err error) {
	doing := fmt.Sprintf("list the files of merge request %d", number)
	files, page := 0, 1
	for range maxPages {
		found, response, err := f.api.MergeRequests.ListMergeRequestDiffs(int(repo.ID), number, &gl.ListMergeRequestDiffsOptions{
			ListOptions: gl.ListOptions{Page: page, PerPage: pageSize},
		}, with(ctx)...)
		if err != nil {
			return nil, false, f.about(repo, doing, err)
		}
		for _, file := range found {
			paths = append(paths, file.NewPath)
			if file.OldPath != file.NewPath && file.OldPath != "" {
				paths = append(paths, file.OldPath)
			}
		}
		files += len(found)
		if len(paths) > max(limit, 0) {
			return paths[:max(limit, 0)], true, nil
		}
		if response.NextPage <= page {
			break
		}
		page = response.NextPage
	}
	m, _, err := f.api.MergeRequests.GetMergeRequest(int(repo.ID), number, nil, with(ctx)...)
	if err != nil {
		return nil, false, f.about(repo, doing, err)
	}
	return paths, cutShort(m.ChangesCount, files), nil
}

// cutShort tells whether a list of so many files is less than what GitLab counts: "1000+" is more than it counts.
func cutShort(count string, files int) bool {
	var n int
	if _, err := fmt.Sscanf(count, "%d", &n); err != nil {
		return false // nothing is counted where there is no difference
	}
	return strings.HasSuffix(count, "+") || n > files
}

// Comment implements forge.PullRequests. The key is hidden at the beginning of the comment. Only the bot's own comments are looked at, so that
// nobody silences it with a copy.
func (f *Forge) Comment(ctx context.Context, repo forge.Repository, number int, key, body string) error {
	doing := fmt.Sprintf("comment on merge request %d", number)
	self, err := f.whoami(ctx, doing)
	if err != nil {
		return err
	}
	notes, err := f.notes(ctx, repo, number)
	if err != nil {
		return f.about(repo, doing, err)
	}
	mark := wire.Mark(key)
	for _, n := range notes {
		if int64(n.Author.ID) == self.id && strings.HasPrefix(n.Body, mark) {
			return nil
		}
	}
	_, _, err = f.api.Notes.CreateMergeRequestNote(int(repo.ID), number, &gl.CreateMergeRequestNoteOptions{
		Body: gl.Ptr(escape(wire.Cut(mark+"\n"+body, maxText))),
	}, with(ctx)...)
	return f.about(repo, doing, err)
}
