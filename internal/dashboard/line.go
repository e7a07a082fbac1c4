package dashboard

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/store"
)

// Line is where an installation's new pull requests wait.
type Line struct {
	Forge        string    `json:"forge"`
	Installation int64     `json:"installation"`
	Waiting      int       `json:"waiting"`
	Ends         time.Time `json:"ends"` // when the last of them will be open, if nothing else is written meanwhile
	LastMinute   int       `json:"writesLastMinute"`
	LastHour     int       `json:"writesLastHour"`
	PerMinute    int       `json:"writesPerMinute"` // limits; 0 is none
	PerHour      int       `json:"writesPerHour"`
	Order        []LineRow `json:"order"`
}

// LineRow is one that waits.
type LineRow struct {
	Repo        string            `json:"repository"`
	Key         promotion.RepoKey `json:"key"` // as promotions name it
	Environment string            `json:"environment"`
	Promotion   string            `json:"promotion"`
	At          time.Time         `json:"at"` // when it will be open
}

// lines reads them all.
func (a *API) lines(ctx context.Context, called map[promotion.RepoKey]string) ([]Line, error) {
	all := []Line{}
	lines, err := a.Store.Lines(ctx, a.Limits)
	for _, l := range lines {
		out := Line{
			Forge: l.Forge, Installation: l.Installation, Waiting: len(l.Waiting), Ends: l.Ends(), LastMinute: l.Minute, LastHour: l.Hour,
			PerMinute: a.Limits.PerMinute, PerHour: a.Limits.PerHour, Order: []LineRow{},
		}
		for _, w := range l.Waiting {
			out.Order = append(out.Order, LineRow{Repo: called[w.Repo], Key: w.Repo, Environment: w.Environment, Promotion: w.Promotion, At: w.At})
		}
		all = append(all, out)
	}
	return all, err
}

// sayLine tells of a promotion that waits, so that the limits of writes are kept to, how many go before it and when its turn comes.
func sayLine(e *Explanation, under string, p promotion.Promotion) {
	for _, l := range e.lines {
		ahead := slices.IndexFunc(l.Waiting, func(w store.Waiting) bool { return w.Repo == p.Repo && w.Promotion == p.ID })
		if ahead < 0 {
			continue
		}
		say := "its pull request waits, so that the limits of writes at the forge are kept to: it is the next"
		if ahead > 0 {
			say = fmt.Sprintf("its pull request waits, so that the limits of writes at the forge are kept to: %s first", count(ahead, "other goes", "others go"))
		}
		if d := l.Waiting[ahead].At.Sub(e.now).Round(time.Second); d > 0 {
			say += fmt.Sprintf(", and it opens in about %s", d)
		}
		e.say(time.Time{}, under, say, "it opens by itself; limits: in boatlift.yaml says how many writes there may be")
	}
}
