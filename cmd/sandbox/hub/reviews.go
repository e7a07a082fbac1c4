package hub

import (
	"fmt"
	"slices"
	"time"
)

type reviewState string

const (
	reviewApproved  reviewState = "APPROVED"
	reviewChanges   reviewState = "CHANGES_REQUESTED"
	reviewCommented reviewState = "COMMENTED"
	reviewDismissed reviewState = "DISMISSED"
)

// review is what one person said of one commit.
type review struct {
	id     int64
	author *account
	state  reviewState
	body   string
	commit string
	at     time.Time
}

// ReviewKind is what a review says.
type ReviewKind string

// The kinds of reviews a person can give.
const (
	Approve        ReviewKind = "approve"
	RequestChanges ReviewKind = "request_changes"
	JustComment    ReviewKind = "comment"
)

// Review gives a review on a pull request's head commit as a person. Anybody who can read may; only writers' approvals count.
func (h *Hub) Review(fullName string, number int, person string, kind ReviewKind, body string) error {
	states := map[ReviewKind]reviewState{Approve: reviewApproved, RequestChanges: reviewChanges, JustComment: reviewCommented}
	return h.change(fullName, func(r *repo) error {
		p, err := r.pull(number)
		if err != nil {
			return err
		}
		by, err := h.personLocked(person)
		if err != nil {
			return err
		}
		_, err = h.reviewLocked(p, by, states[kind], body, "")
		return err
	})
}

// reviewLocked records a review; an empty commit is the head.
func (h *Hub) reviewLocked(p *pull, by *account, state reviewState, body, commit string) (*review, error) {
	unprocessable := func(why string) error { return refuse(invalid, "Unprocessable Entity", why) }
	switch {
	case state == reviewApproved && by == p.author:
		return nil, unprocessable("Can not approve your own pull request")
	case state == reviewChanges && by == p.author:
		return nil, unprocessable("Can not request changes on your own pull request")
	case p.merged || p.state == pullClosed && state != reviewCommented:
		return nil, unprocessable("Can not review a closed pull request")
	case state != reviewApproved && body == "" && (!p.repo.gitLab || state == reviewCommented):
		return nil, unprocessable("Body is required")
	case state != reviewApproved && state != reviewChanges && state != reviewCommented:
		return nil, unprocessable("Variable $event of type PullRequestReviewEvent was provided invalid value")
	}
	if h.permissionLocked(p.repo, by).rank() < Read.rank() && p.repo.private {
		return nil, missing()
	}
	if commit == "" {
		commit = p.headSHA
	}
	rv := &review{id: h.idLocked(), author: by, state: state, body: body, commit: commit, at: h.stamp()}
	p.reviews = append(p.reviews, rv)
	p.reviewers = slices.DeleteFunc(p.reviewers, func(a *account) bool { return a == by })
	said := map[reviewState]string{reviewApproved: "approved", reviewChanges: "requested changes on", reviewCommented: "commented on"}[state]
	h.noteLocked(p, by, fmt.Sprintf("%s %s", said, short(commit)))
	h.touchLocked(p)
	h.emitLocked(event{kind: reviewEvent, action: "submitted", repo: p.repo, actor: by, pull: p, review: rv})
	return rv, nil
}

// Dismiss takes back a person's standing approvals and demands for changes, as another person.
func (h *Hub) Dismiss(fullName string, number int, of, person string) error {
	return h.change(fullName, func(r *repo) error {
		p, err := r.pull(number)
		if err != nil {
			return err
		}
		by, err := h.writerLocked(r, person)
		if err != nil {
			return err
		}
		for _, rv := range p.reviews {
			if rv.author.login == of && (rv.state == reviewApproved || rv.state == reviewChanges) {
				h.dismissLocked(p, by, rv)
			}
		}
		return nil
	})
}

func (h *Hub) dismissLocked(p *pull, by *account, rv *review) {
	rv.state = reviewDismissed
	h.noteLocked(p, by, "dismissed the review of "+rv.author.login)
	h.touchLocked(p)
	h.emitLocked(event{kind: reviewEvent, action: "dismissed", repo: p.repo, actor: by, pull: p, review: rv})
}

func (h *Hub) dismissStaleLocked(p *pull, by *account) {
	for _, rv := range p.reviews {
		if rv.state == reviewApproved {
			h.dismissLocked(p, by, rv)
		}
	}
}

// latestReviews is the standing decision of each person, in the order they were given; comments decide nothing.
func latestReviews(p *pull) []*review {
	last := map[*account]*review{}
	for _, rv := range p.reviews {
		if rv.state != reviewCommented {
			last[rv.author] = rv
		}
	}
	var standing []*review
	for _, rv := range p.reviews {
		if last[rv.author] == rv {
			standing = append(standing, rv)
		}
	}
	return standing
}
