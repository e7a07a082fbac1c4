package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/store"
)

// act carries a decision out. New pull requests come first, so that what they supersede can link to them. What fails for one promotion is
// written on it; only what ends the turn for all is returned. again asks for another turn at once.
func (t *turn) act(ctx context.Context, d promotion.Decision) (again bool, err error) {
	opened, err := t.open(ctx, d)
	if err != nil {
		return false, err
	}
	var errs []error
	unshown := map[string]bool{} // promotions whose gate could not be shown
	for _, a := range d.Actions {
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		var failed error
		switch a := a.(type) {
		case promotion.OpenPull, promotion.Rebuild, promotion.Reopen, promotion.AddHold:
			continue // done
		case promotion.Close:
			if a.By != nil && opened.failed[a.By.ID] {
				continue // the one that should take its place is not there yet: planned again
			}
			if by, ok := opened.promotions[idOf(a.By)]; ok {
				a.By = &by
			}
			failed = t.close(ctx, a)
		case promotion.Merge:
			if unshown[a.Promotion.ID] {
				continue // nobody could have seen why
			}
			var merged bool
			merged, failed = t.merge(ctx, a)
			again = again || merged
		default:
			failed = t.note(ctx, a)
		}
		if failed == nil {
			continue
		}
		if pace := paceOf(failed); pace != nil { // planned again when its time has come
			t.postpone(pace)
			if pr, ok := promotionOf(a); ok {
				unshown[pr.ID] = true
			}
			continue
		}
		if stop := endsTurn(failed); stop {
			return false, failed
		}
		if pr, ok := promotionOf(a); ok {
			unshown[pr.ID] = true
			if err := t.failed(ctx, pr, failed); err != nil {
				return false, err
			}
			continue
		}
		errs = append(errs, failed)
	}
	if err := t.keepPages(ctx); err != nil {
		errs = append(errs, err)
	}
	return again, errors.Join(errs...)
}

func idOf(pr *promotion.Promotion) string {
	if pr == nil {
		return ""
	}
	return pr.ID
}

// endsTurn tells errors after which nothing else of this repo can work now: the claim is lost, time is up, the forge limits requests, or
// access is gone.
func endsTurn(err error) bool {
	var limit *forge.LimitError
	var database *store.UnavailableError
	return errors.Is(err, store.ErrLost) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, &limit) || errors.Is(err, forge.ErrGone) || errors.As(err, &database)
}

// promotionOf is the promotion that an action is about, as the store knows it when the action begins.
func promotionOf(a promotion.Action) (promotion.Promotion, bool) {
	switch a := a.(type) {
	case promotion.Close:
		return a.Promotion, true
	case promotion.Merge:
		return a.Promotion, true
	case promotion.AskReviewers:
		pr := a.Promotion
		pr.Asked, pr.AskedAt, pr.AskedFor = nil, time.Time{}, "" // asked at the next try
		return pr, true
	case promotion.ShowGate:
		pr := a.Promotion
		pr.GateHead = "" // not shown: it is shown at the next try
		return pr, true
	default:
		return promotion.Promotion{}, false
	}
}

// failed writes on a promotion what went wrong, and when it is tried again.
func (t *turn) failed(ctx context.Context, pr promotion.Promotion, cause error) error {
	pr.Attempts++
	pr.LastError = firstLine(cause.Error())
	wait := max(backOff(pr.Attempts), retryAfter(cause))
	if permanent(cause) {
		wait = max(wait, 10*time.Minute) // a person has to change something first
	}
	pr.RetryAt = t.now.Add(wait)
	t.wakes = append(t.wakes, pr.RetryAt)
	t.log.Warn("promotion not carried on", "promotion", pr.ID, "error", cause, "attempts", pr.Attempts, "retry in", wait)
	return t.save(ctx, pr, "", "", nil)
}

// backOff doubles from two seconds to ten minutes, with jitter.
func backOff(attempts int) time.Duration {
	const most = 10 * time.Minute
	wait := most
	if attempts < 10 {
		wait = min(most, time.Second<<attempts)
	}
	return wait - time.Duration(rand.Int64N(int64(wait/4)+1))
}

// save writes a promotion down, with an entry in the audit where there is something to tell.
func (t *turn) save(ctx context.Context, pr promotion.Promotion, actor, action string, more func(tx *store.Tx)) error {
	err := t.r.Store.Update(ctx, t.claim, func(tx *store.Tx) error {
		tx.SavePromotion(pr)
		if more != nil {
			more(tx)
		}
		if action != "" {
			tx.Audit(t.audit(actor, action, t.repo.FullName+":"+pr.Release.Environment, auditOf(pr)))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("write promotion %s down: %w", pr.ID, err)
	}
	t.wrote(pr)
	return nil
}

// wrote remembers what was written down last.
func (t *turn) wrote(pr promotion.Promotion) {
	if t.saved == nil {
		t.saved = map[string]promotion.Promotion{}
	}
	t.saved[pr.ID] = pr
}

func (t *turn) audit(actor, action, subject string, detail any) store.AuditEntry {
	if actor == "" {
		actor = "boatlift"
	}
	text, err := json.Marshal(detail)
	if err != nil {
		text = []byte("null")
	}
	return store.AuditEntry{Actor: actor, Action: action, Subject: subject, Detail: text}
}

// auditOf is what the audit keeps of a promotion.
func auditOf(pr promotion.Promotion) any {
	return struct {
		Promotion   string             `json:"promotion"`
		App         string             `json:"app"`
		State       promotion.State    `json:"state"`
		Reason      string             `json:"reason,omitempty"`
		PullRequest string             `json:"pullRequest,omitempty"`
		Head        string             `json:"head,omitempty"`
		MergeCommit string             `json:"mergeCommit,omitempty"`
		AgainstGate bool               `json:"againstGate,omitempty"`
		Changes     []promotion.Change `json:"changes"`
	}{pr.ID, pr.Release.App, pr.State, pr.Reason, pr.URL, pr.Head, pr.MergeCommit, pr.AgainstGate, pr.Release.Changes}
}

// close ends a promotion: its new state is written down first, so that a close by the bot is never taken for one by a person.
func (t *turn) close(ctx context.Context, a promotion.Close) error {
	pr := a.Promotion
	action := string(pr.State)
	if slices.ContainsFunc(t.mem.Promotions, func(o promotion.Promotion) bool { return o.ID == pr.ID && o.State == pr.State }) {
		action = "" // it is in the audit already
	}
	if err := t.save(ctx, pr, "", action, nil); err != nil {
		return err
	}
	if pr.ToClose && pr.PullRequest != 0 {
		now, err := t.forge.PullRequest(ctx, t.repo, pr.PullRequest)
		if err != nil && !errors.Is(err, forge.ErrNotFound) {
			return fmt.Errorf("read %s before closing it: %w", t.named(pr.PullRequest), err)
		}
		if now.State == forge.Merged {
			t.wakeLater(0) // somebody merged it meanwhile; the next turn follows that
			return nil
		}
		if now.State == forge.Open && now.HeadSHA != pr.Head && pr.Head != "" {
			foreign, err := t.foreign(ctx, &pr, now.HeadSHA)
			if err != nil {
				return fmt.Errorf("look at the head of %s before closing it: %w", t.named(pr.PullRequest), err)
			}
			if foreign { // somebody pushed to it since this turn began
				pr.Modified, pr.ToClose, pr.ToDelete = true, false, false
				pr.Reason += "; its branch carries commits of a person, so the pull request is left open"
				return t.save(ctx, pr, "", "", nil)
			}
		}
		if now.State == forge.Open {
			if err := t.forge.Comment(ctx, t.repo, pr.PullRequest, "end-"+pr.ID, endComment(pr, a.By)); err != nil {
				return fmt.Errorf("comment on %s: %w", t.named(pr.PullRequest), err)
			}
			closed := forge.Closed
			if _, err := t.forge.EditPullRequest(ctx, t.repo, pr.PullRequest, forge.Edit{State: &closed}); err != nil {
				return fmt.Errorf("close %s: %w", t.named(pr.PullRequest), err)
			}
		}
	}
	if pr.ToDelete && t.mayDelete(pr) {
		if err := t.forge.DeleteBranch(ctx, t.repo, pr.Branch); err != nil {
			return fmt.Errorf("delete branch %s: %w", pr.Branch, err)
		}
	}
	pr.ToClose, pr.ToDelete = false, false
	pr.Attempts, pr.LastError, pr.RetryAt = 0, "", time.Time{}
	return t.save(ctx, pr, "", "", nil)
}

// mayDelete tells whether no other promotion needs the branch: the same release may have begun anew.
func (t *turn) mayDelete(pr promotion.Promotion) bool {
	for _, other := range slices.Concat(t.world.Promotions, t.begun) {
		if other.ID != pr.ID && other.Branch == pr.Branch && other.State.Active() {
			return false
		}
	}
	return true
}

// note carries out the actions that mostly write something down.
func (t *turn) note(ctx context.Context, a promotion.Action) error {
	switch a := a.(type) {
	case promotion.Record:
		pr := a.Promotion
		if err := t.tellOutcome(ctx, pr); err != nil {
			return err
		}
		if pr.ToDelete && !pr.State.Active() && pr.State != promotion.Rejected {
			if t.mayDelete(pr) {
				if err := t.forge.DeleteBranch(ctx, t.repo, pr.Branch); err != nil { // tried again by a later turn
					if pace := paceOf(err); pace != nil {
						t.postpone(pace)
					} else {
						t.log.Warn("delete branch", "branch", pr.Branch, "error", err)
					}
					return t.save(ctx, pr, a.Actor, string(pr.State), nil)
				}
			}
			pr.ToDelete = false
		}
		return t.save(ctx, pr, a.Actor, string(pr.State), nil)
	case promotion.Reject:
		// The comment comes first, as it is made once and can be made again: recorded, the rejection would not come this way any more.
		if err := t.tell(ctx, a.Promotion, "rejected-"+a.Promotion.ID, rejectComment(a)); err != nil {
			return err
		}
		return t.save(ctx, a.Promotion, rejecter(a), "rejected", func(tx *store.Tx) { tx.AddRejections(a.Rejections...) })
	case promotion.Lift:
		return t.save(ctx, a.Promotion, a.Actor, "reopened", func(tx *store.Tx) { tx.LiftRejections(a.Promotion.ID) })
	case promotion.LiftHold:
		return t.save(ctx, a.Promotion, a.Actor, "lifted hold", func(tx *store.Tx) {
			tx.LiftHolds(a.Promotion.Release.Environment, imagesOf(a.Promotion.Release))
		})
	case promotion.Advance:
		return t.save(ctx, a.Promotion, "", "", nil)
	case promotion.ShowGate:
		pr := a.Promotion
		if err := t.forgetGreen(ctx, pr, a.Verdict); err != nil {
			return err
		}
		if err := t.showGate(ctx, pr.GateHead, pr, a.Verdict, false); err != nil {
			return err
		}
		pr.Attempts, pr.LastError, pr.RetryAt = 0, "", time.Time{}
		return t.save(ctx, pr, "", "", nil)
	case promotion.ShowOther:
		return t.showOther(ctx, a)
	case promotion.AskReviewers:
		return t.askReviewers(ctx, a)
	case promotion.ShowGroup:
		return t.showGroup(ctx, a)
	default:
		return fmt.Errorf("a fault in the program: nobody carries out %T", a)
	}
}

// tell comments on a promotion's pull request, once for each key. Where that cannot be done, what it would tell is recorded without it.
func (t *turn) tell(ctx context.Context, pr promotion.Promotion, key, comment string) error {
	if pr.PullRequest == 0 || comment == "" {
		return nil
	}
	err := t.forge.Comment(ctx, t.repo, pr.PullRequest, key, comment)
	if err != nil && (endsTurn(err) || paceOf(err) != nil || t.claim.Attempts < commentTries && !permanent(err)) {
		return fmt.Errorf("comment on %s: %w", t.named(pr.PullRequest), err)
	}
	if err != nil {
		t.log.Warn("comment on a pull request", "pull request", pr.PullRequest, "error", err)
	}
	return nil
}

// tellOutcome tells on a merged pull request what went wrong after the merge, and that it went well after all. It comes before the record,
// as rejections do.
func (t *turn) tellOutcome(ctx context.Context, pr promotion.Promotion) error {
	run := t.world.Running[pr.Release.Environment]
	i := slices.IndexFunc(t.mem.Promotions, func(o promotion.Promotion) bool { return o.ID == pr.ID })
	if i < 0 || pr.MergedAt.IsZero() {
		return nil
	}
	key, comment := outcomeComment(t.mem.Promotions[i], pr, run)
	return t.tell(ctx, pr, key, comment)
}

// commentTries is how many turns may fail for a comment that cannot be made, before what it would tell is recorded without it.
const commentTries = 3

func rejecter(a promotion.Reject) string {
	if len(a.Rejections) > 0 {
		return a.Rejections[0].Actor
	}
	return ""
}

// forgetGreen writes down that a gate is not green any more before that is shown: whoever merges from then on does so against the gate,
// even if the bot does not live to write down what it showed.
func (t *turn) forgetGreen(ctx context.Context, pr promotion.Promotion, v verdict) error {
	i := slices.IndexFunc(t.mem.Promotions, func(o promotion.Promotion) bool { return o.ID == pr.ID })
	if v.State == gate.Allow || i < 0 || t.mem.Promotions[i].Gate == nil || t.mem.Promotions[i].Gate.State != gate.Allow {
		return nil
	}
	pr.GateHead = ""
	return t.save(ctx, pr, "", "", nil)
}

// showGate shows a verdict on a promotion's head commit; for the first time, where its pull request is new.
func (t *turn) showGate(ctx context.Context, head string, pr promotion.Promotion, v verdict, isNew bool) error {
	check := promotionCheck(head, v, pr)
	check.New = isNew
	check.DetailsURL = pr.URL // where the check has room for one line only, the rest stands there
	if err := t.forge.SetCheck(ctx, t.repo, check); err != nil {
		return fmt.Errorf("show the gate on %s: %w", t.named(pr.PullRequest), err)
	}
	return nil
}
