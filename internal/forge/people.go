package forge

import "context"

// People tells who may approve, and asks them to.
type People interface {
	// TeamMembers lists the logins of a team (GitHub: org/slug; GitLab: a group's full path), with those of teams below it. ErrNotFound:
	// there is no such team, or the bot may not see it. ErrForbidden: the bot lacks the permission to read members.
	TeamMembers(ctx context.Context, team string) ([]string, error)
	// RequestReviewers asks people and teams for a review. Who was asked already, has reviewed, or may not review is left out; it is no error.
	RequestReviewers(ctx context.Context, repo Repository, number int, users, teams []string) error
	// Contributors lists the logins of those who opened a pull request, made one of its commits or pushed to its head branch, sorted; machines
	// too. Nobody of them reviews somebody else's work.
	Contributors(ctx context.Context, repo Repository, number int) ([]string, error)
}

// OwnerFiles is a forge that reads CODEOWNERS elsewhere than GitHub does.
type OwnerFiles interface {
	// OwnerFiles are where CODEOWNERS may stand; the first that is there counts.
	OwnerFiles() []string
}
