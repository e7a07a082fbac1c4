package forge

import "context"

// People tells who may approve, and asks them to.
type People interface {
	// TeamMembers lists the logins of a team (GitHub: org/slug; GitLab: a group's full path), with those of teams below it. ErrNotFound:
	// there is no such team, or the bot may not see it.
	TeamMembers(ctx context.Context, team string) ([]string, error)
	// RequestReviewers asks people and teams for a review. Who was asked already, has reviewed, or may not review is left out; it is no error.
	RequestReviewers(ctx context.Context, repo Repository, number int, users, teams []string) error
}
