package hub

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

type pullState string

const (
	pullOpen   pullState = "open"
	pullClosed pullState = "closed"
)

// pull is one pull request; guarded by Hub.mu.
type pull struct {
	id          int64
	repo        *repo
	number      int
	title, body string
	state       pullState
	draft       bool
	merged      bool
	merging     bool // its merge commit is on its way onto base
	author      *account
	head, base  string
	headSHA     string
	baseSHA     string // base's head when the pull request was opened or last pushed to
	labels      []string
	reviewers   []*account
	teams       []string // the slugs of the owner's teams that are asked for a review
	left        departure
	createdAt   time.Time
	updatedAt   time.Time
	closedAt    time.Time
	closedBy    *account
	mergedAt    time.Time
	mergedBy    *account
	mergeCommit string
	comments    []*comment
	reviews     []*review
	timeline    []note
	versions    []pullVersion
	squashed    string     // the commit that its own were squashed into
	past        []pastPull // for list reads that lag
	forked      string     // where head left base; empty: not looked up since the last push
	stats       *pullStats // nil: not counted since the last push
}

// pastPull is what a lagging list still shows.
type pastPull struct {
	at   time.Time
	pull pull
}

// pullVersion is a state of a pull request's branch that could be reviewed.
type pullVersion struct {
	id         int64
	head, base string // base is where the base branch was
	at         time.Time
}

type pullStats struct{ commits, additions, deletions, files int }

// comment is what somebody said on a pull request.
type comment struct {
	id        int64
	author    *account
	body      string
	createdAt time.Time
	updatedAt time.Time
}

// note is a line of a pull request's timeline, for the pages.
type note struct {
	At   time.Time
	Who  string
	Text string
	id   int64
	by   *account
}

func (p *pull) headRef() string {
	if p.repo.gitLab {
		return fmt.Sprintf("refs/merge-requests/%d/head", p.number)
	}
	return fmt.Sprintf("refs/pull/%d/head", p.number)
}

// Pull is a pull request as it is now.
type Pull struct {
	Number                     int
	Title, Body                string
	State                      string // open or closed
	Merged, Draft              bool
	Author                     string
	Head, Base                 string
	HeadSHA, BaseSHA           string
	MergeCommit                string
	Labels                     []string
	CreatedAt, UpdatedAt       time.Time
	ClosedBy, MergedBy         string
	Approvals, ChangesDemanded []string // people whose latest decision on the head commit says so
}

func (h *Hub) viewLocked(p *pull) Pull {
	view := Pull{
		Number: p.number, Title: p.title, Body: p.body, State: string(p.state), Merged: p.merged, Draft: p.draft, Author: p.author.login,
		Head: p.head, Base: p.base, HeadSHA: p.headSHA, BaseSHA: p.baseSHA, MergeCommit: p.mergeCommit, Labels: slices.Clone(p.labels),
		CreatedAt: p.createdAt, UpdatedAt: p.updatedAt, ClosedBy: loginOf(p.closedBy), MergedBy: loginOf(p.mergedBy),
	}
	for _, rv := range latestReviews(p) {
		if rv.commit != p.headSHA {
			continue
		}
		switch rv.state {
		case reviewApproved:
			view.Approvals = append(view.Approvals, rv.author.login)
		case reviewChanges:
			view.ChangesDemanded = append(view.ChangesDemanded, rv.author.login)
		}
	}
	return view
}

func loginOf(a *account) string {
	if a == nil {
		return ""
	}
	return a.login
}

// Pulls returns a repository's pull requests by number, closed ones too.
func (h *Hub) Pulls(fullName string) ([]Pull, error) {
	var views []Pull
	err := h.change(fullName, func(r *repo) error {
		for _, p := range r.pulls {
			views = append(views, h.viewLocked(p))
		}
		return nil
	})
	return views, err
}

// Pull returns one pull request.
func (h *Hub) Pull(fullName string, number int) (Pull, error) {
	var view Pull
	err := h.change(fullName, func(r *repo) error {
		p, err := r.pull(number)
		if err != nil {
			return err
		}
		view = h.viewLocked(p)
		return nil
	})
	return view, err
}

func (r *repo) pull(number int) (*pull, error) {
	if number < 1 || number > len(r.pulls) {
		return nil, missing()
	}
	return r.pulls[number-1], nil
}

// NewPull is what a person gives to open a pull request.
type NewPull struct {
	Person, Title, Body, Head, Base string // Base is the default branch when empty
	Draft                           bool
}

// OpenPull opens a pull request as a person and returns its number.
func (h *Hub) OpenPull(ctx context.Context, fullName string, in NewPull) (int, error) {
	r, by, err := h.writer(fullName, in.Person)
	if err != nil {
		return 0, err
	}
	if in.Base == "" {
		h.mu.Lock()
		in.Base = r.defaultBranch
		h.mu.Unlock()
	}
	p, err := h.openPull(ctx, r, by, in)
	if err != nil {
		return 0, err
	}
	return p.number, nil
}

// openPull opens a pull request between two branches of the repository.
func (h *Hub) openPull(ctx context.Context, r *repo, by *account, in NewPull) (*pull, error) {
	ctx = context.WithoutCancel(ctx)
	r.turn.Lock()
	defer r.turn.Unlock()
	h.mu.Lock()
	headSHA, baseSHA := r.head(in.Head), r.head(in.Base)
	err := r.checkNewPull(in, headSHA, baseSHA)
	h.mu.Unlock()
	if err != nil {
		return nil, err
	}
	ahead, behind, err := r.bare.count(ctx, baseSHA, headSHA)
	if err != nil {
		return nil, err
	}
	if ahead == 0 && !r.gitLab { // GitLab opens it all the same
		return nil, validation(fieldProblem{Resource: "PullRequest", Code: "custom", Message: fmt.Sprintf("No commits between %s and %s", in.Base, in.Head)})
	}
	if r.gitLab && in.Draft && !isDraft(in.Title) {
		in.Title = "Draft: " + in.Title
	}
	in.Draft = in.Draft || r.gitLab && isDraft(in.Title)
	h.mu.Lock()
	now := h.stamp()
	p := &pull{
		id: h.idLocked(), repo: r, number: len(r.pulls) + 1, title: in.Title, body: in.Body, draft: in.Draft, state: pullOpen, author: by,
		head: in.Head, base: in.Base, headSHA: headSHA, baseSHA: baseSHA, createdAt: now, updatedAt: now,
	}
	if behind == 0 {
		p.forked = baseSHA
	}
	r.pulls = append(r.pulls, p)
	h.versionLocked(p)
	h.noteLocked(p, by, "opened this")
	h.touchLocked(p)
	h.emitLocked(event{kind: pullEvent, action: "opened", repo: r, actor: by, pull: p})
	h.mu.Unlock()
	// Keeps the commits and the diff alive when the branch is deleted, and can be fetched, as on GitHub.
	return p, r.bare.point(ctx, p.headRef(), headSHA)
}

func (r *repo) checkNewPull(in NewPull, headSHA, baseSHA string) error {
	switch {
	case strings.TrimSpace(in.Title) == "":
		return validation(fieldProblem{Resource: "PullRequest", Code: "missing_field", Field: "title"})
	case headSHA == "":
		return validation(fieldProblem{Resource: "PullRequest", Code: "invalid", Field: "head"})
	case baseSHA == "":
		return validation(fieldProblem{Resource: "PullRequest", Code: "invalid", Field: "base"})
	}
	for _, p := range r.pulls {
		if p.state == pullOpen && p.head == in.Head && p.base == in.Base {
			return asTaken(validation(fieldProblem{
				Resource: "PullRequest", Code: "custom",
				Message: fmt.Sprintf("A pull request already exists for %s:%s.", r.owner.login, in.Head),
			}))
		}
	}
	return nil
}

// pullEdit changes parts of a pull request; nil leaves a part alone.
type pullEdit struct {
	title, body, base *string
	state             *pullState
}

// editPull changes title, body, base or state.
func (h *Hub) editPull(ctx context.Context, r *repo, by *account, number int, edit pullEdit) (*pull, error) {
	ctx = context.WithoutCancel(ctx)
	r.turn.Lock()
	defer r.turn.Unlock()
	h.mu.Lock()
	p, before, err := h.editLocked(ctx, r, by, number, edit)
	moved := err == nil && p.headSHA != before
	h.mu.Unlock()
	if moved {
		err = r.bare.point(ctx, p.headRef(), p.headSHA)
	}
	return p, err
}

// editLocked also returns the head from before: opening a pull request again may find that its branch grew.
func (h *Hub) editLocked(ctx context.Context, r *repo, by *account, number int, edit pullEdit) (p *pull, before string, err error) {
	if p, err = r.pull(number); err != nil {
		return nil, "", err
	}
	before = p.headSHA
	changes, err := h.reword(p, edit)
	if err != nil {
		return nil, "", err
	}
	if len(changes) > 0 {
		h.touchLocked(p)
		h.emitLocked(event{kind: pullEvent, action: "edited", repo: r, actor: by, pull: p, changes: changes})
	}
	switch {
	case edit.state == nil || *edit.state == p.state:
	case *edit.state == pullClosed:
		h.closeLocked(p, by, "closed this")
	default:
		err = h.reopenLocked(ctx, p, by)
	}
	return p, before, err
}

// reword changes title, body and base, and returns what a webhook tells of it.
func (h *Hub) reword(p *pull, edit pullEdit) (map[string]any, error) {
	if edit.title != nil && strings.TrimSpace(*edit.title) == "" {
		return nil, validation(fieldProblem{Resource: "PullRequest", Code: "missing_field", Field: "title"})
	}
	if edit.base != nil && p.repo.head(*edit.base) == "" {
		return nil, validation(fieldProblem{Resource: "PullRequest", Code: "invalid", Field: "base"})
	}
	if edit.state != nil && *edit.state != pullOpen && *edit.state != pullClosed {
		return nil, validation(fieldProblem{Resource: "PullRequest", Code: "invalid", Field: "state"})
	}
	changes := map[string]any{}
	if edit.title != nil && *edit.title != p.title {
		changes["title"] = map[string]any{"from": p.title}
		p.title = *edit.title
		if draft := isDraft(p.title); p.repo.gitLab && draft != p.draft {
			changes["draft"] = map[string]any{"from": p.draft}
			p.draft = draft
		}
	}
	if edit.body != nil && *edit.body != p.body {
		changes["body"] = map[string]any{"from": p.body}
		p.body = *edit.body
	}
	if edit.base != nil && *edit.base != p.base {
		changes["base"] = map[string]any{"ref": map[string]any{"from": p.base}, "sha": map[string]any{"from": p.baseSHA}}
		p.base, p.baseSHA, p.forked, p.stats = *edit.base, p.repo.head(*edit.base), "", nil
	}
	return changes, nil
}

func (h *Hub) closeLocked(p *pull, by *account, text string) {
	h.leaveQueueLocked(p, by, "MANUAL")
	p.state, p.closedAt, p.closedBy = pullClosed, h.stamp(), by
	h.noteLocked(p, by, text)
	h.touchLocked(p)
	h.emitLocked(event{kind: pullEvent, action: "closed", repo: p.repo, actor: by, pull: p})
}

// reopenLocked opens a closed pull request again. The caller holds the repository's turn too; mu is let go while git looks whether
// the branch only grew meanwhile.
func (h *Hub) reopenLocked(ctx context.Context, p *pull, by *account) error {
	r := p.repo
	refused := func(why string) error {
		return validation(fieldProblem{Resource: "PullRequest", Code: "invalid", Field: "state", Message: "state cannot be changed. " + why})
	}
	head := r.head(p.head)
	switch {
	case p.merged:
		return refused("The pull request is merged.")
	case head == "":
		return refused(fmt.Sprintf("The %s branch has been deleted.", p.head))
	case r.head(p.base) == "":
		return refused(fmt.Sprintf("The %s branch has been deleted.", p.base))
	}
	for _, other := range r.pulls {
		if other != p && other.state == pullOpen && other.head == p.head && other.base == p.base {
			return asTaken(refused(fmt.Sprintf("There is already an open pull request from %s:%s to %s:%s.", r.owner.login, p.head, r.owner.login, p.base)))
		}
	}
	if head != p.headSHA {
		h.mu.Unlock()
		_, behind, err := r.bare.count(ctx, p.headSHA, head)
		h.mu.Lock()
		if err != nil {
			return err
		}
		if behind > 0 && !r.gitLab {
			return refused(fmt.Sprintf("The %s branch was force-pushed or recreated.", p.head))
		}
		p.headSHA, p.forked, p.stats = head, "", nil
		h.versionLocked(p)
	}
	p.state, p.closedAt, p.closedBy = pullOpen, time.Time{}, nil
	h.noteLocked(p, by, "reopened this")
	h.touchLocked(p)
	h.emitLocked(event{kind: pullEvent, action: "reopened", repo: r, actor: by, pull: p})
	return nil
}

// ClosePull closes a pull request as a person.
func (h *Hub) ClosePull(ctx context.Context, fullName string, number int, person string) error {
	return h.setState(ctx, fullName, number, person, pullClosed)
}

// ReopenPull opens a closed pull request again, as a person.
func (h *Hub) ReopenPull(ctx context.Context, fullName string, number int, person string) error {
	return h.setState(ctx, fullName, number, person, pullOpen)
}

func (h *Hub) setState(ctx context.Context, fullName string, number int, person string, state pullState) error {
	r, by, err := h.writer(fullName, person)
	if err != nil {
		return err
	}
	_, err = h.editPull(ctx, r, by, number, pullEdit{state: &state})
	return err
}

// Said is one comment on a pull request.
type Said struct {
	Author, Body string
	At           time.Time
}

// Comments returns what was said on a pull request, oldest first.
func (h *Hub) Comments(fullName string, number int) ([]Said, error) {
	var said []Said
	err := h.change(fullName, func(r *repo) error {
		p, err := r.pull(number)
		if err != nil {
			return err
		}
		for _, c := range p.comments {
			said = append(said, Said{Author: c.author.login, Body: c.body, At: c.createdAt})
		}
		return nil
	})
	return said, err
}

// Comment says something on a pull request as a person.
func (h *Hub) Comment(fullName string, number int, person, body string) error {
	return h.change(fullName, func(r *repo) error {
		p, err := r.pull(number)
		if err != nil {
			return err
		}
		by, err := h.personLocked(person)
		if err != nil {
			return err
		}
		_, err = h.commentLocked(p, by, body)
		return err
	})
}

func (h *Hub) commentLocked(p *pull, by *account, body string) (*comment, error) {
	if strings.TrimSpace(body) == "" {
		return nil, validation(fieldProblem{Resource: "IssueComment", Code: "missing_field", Field: "body"})
	}
	now := h.stamp()
	c := &comment{id: h.idLocked(), author: by, body: body, createdAt: now, updatedAt: now}
	p.comments = append(p.comments, c)
	h.touchLocked(p)
	h.emitLocked(event{kind: commentEvent, action: "created", repo: p.repo, actor: by, pull: p, comment: c})
	return c, nil
}

// labelLocked adds labels that the pull request does not have, making those that the repository does not have.
func (h *Hub) labelLocked(p *pull, by *account, labels []string) {
	for _, label := range labels {
		if slices.Contains(p.labels, label) {
			continue
		}
		p.repo.labels[label] = true
		p.labels = append(p.labels, label)
		h.touchLocked(p)
		h.emitLocked(event{kind: pullEvent, action: "labeled", repo: p.repo, actor: by, pull: p, label: label})
	}
}

// maxPast bounds how many former faces of a pull request are kept.
const maxPast = 50

// touchLocked marks a pull request as changed now and keeps this face of it for list reads that lag.
func (h *Hub) touchLocked(p *pull) {
	p.updatedAt = h.stamp()
	snapshot := *p
	snapshot.past = nil
	snapshot.labels = slices.Clone(p.labels)
	p.past = append(p.past, pastPull{at: h.now(), pull: snapshot})
	if len(p.past) > maxPast {
		p.past = slices.Delete(p.past, 0, len(p.past)-maxPast)
	}
}

// asOfLocked is what a list that lags shows of a pull request; nil: not there yet.
func (h *Hub) asOfLocked(p *pull) *pull {
	lag := h.faults.set.ListLag
	if lag <= 0 {
		return p
	}
	then := h.now().Add(-lag)
	for i := len(p.past) - 1; i >= 0; i-- {
		if !p.past[i].at.After(then) {
			return &p.past[i].pull
		}
	}
	if p.createdAt.Before(then.Truncate(time.Second)) {
		return &p.past[0].pull // older faces were forgotten
	}
	return nil
}

func (h *Hub) noteLocked(p *pull, by *account, text string) {
	p.timeline = append(p.timeline, note{At: h.stamp(), Who: loginOf(by), Text: text, id: h.idLocked(), by: by})
}

// versionLocked remembers what a pull request's head and base are now.
func (h *Hub) versionLocked(p *pull) {
	p.versions = append(p.versions, pullVersion{id: h.idLocked(), head: p.headSHA, base: p.repo.head(p.base), at: h.stamp()})
}
