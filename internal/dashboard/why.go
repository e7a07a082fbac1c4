package dashboard

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/store"
)

// Explanation answers why: what happened and what is waited for, one sentence after the other.
type Explanation struct {
	About string     `json:"about"`
	Says  []Sentence `json:"says"`

	lines []store.Line // in which promotions may wait
	now   time.Time
}

// Sentence is one thing that is known.
type Sentence struct {
	At    time.Time `json:"at,omitzero"`     // when it happened
	Until time.Time `json:"until,omitzero"`  // when the clock alone may change it
	Under string    `json:"under,omitempty"` // a heading: the environment it is about
	Say   string    `json:"say"`             // one line, in lower case, no full stop
	Hint  string    `json:"hint,omitempty"`  // what a person can do, or what happens by itself
}

func (e *Explanation) add(s Sentence) {
	s.Under, s.Say, s.Hint = line(s.Under), line(s.Say), line(s.Hint)
	e.Says = append(e.Says, s)
}

func (e *Explanation) say(at time.Time, under, say, hint string) {
	e.add(Sentence{At: at, Under: under, Say: say, Hint: hint})
}

var (
	pullRef    = regexp.MustCompile(`^([^#!\s]+/[^#!\s]+)[#!]([0-9]+)$`)
	pullPath   = regexp.MustCompile(`^(?:-/)?(?:pull|pulls|merge_requests)/([0-9]+)(?:[/?#].*)?$`)
	number     = regexp.MustCompile(`^[0-9]+$`)
	deliveryID = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
)

// Why explains an image (also one that was never seen), a pull request (owner/name#7 or its URL), or a delivery, by its number here or by
// its sender's id. An image that is known goes before a delivery, whose id is for others to choose.
func (a *API) Why(ctx context.Context, about string) (Explanation, error) {
	about = strings.TrimSpace(about)
	e := Explanation{About: line(about), Says: []Sentence{}, now: a.now()}
	var err error
	if e.lines, err = a.Store.Lines(ctx, a.Limits); err != nil {
		return e, err
	}
	switch {
	case about == "":
		return e, &Problem{Message: "about what?", Fix: whatToName, Status: http.StatusBadRequest}
	case strings.HasPrefix(about, "https://") || strings.HasPrefix(about, "http://"):
		return e, a.whyAddress(ctx, &e, about)
	case pullRef.MatchString(about):
		m := pullRef.FindStringSubmatch(about)
		repos, err := a.Store.Repos(ctx)
		if err != nil {
			return e, err
		}
		repo, ok := repoCalled(repos, m[1])
		if !ok {
			return e, &Problem{Message: "no repository is called " + m[1], Fix: "boatlift status lists those that are known", Status: http.StatusNotFound}
		}
		return e, a.whyPull(ctx, &e, repo, about, m[2])
	case number.MatchString(about), deliveryID.MatchString(about):
		return e, a.whyDelivery(ctx, &e, about)
	}
	return e, a.whyImage(ctx, &e, about)
}

const whatToName = "name an image, a pull request (owner/name#7 or its URL) or a delivery"

func (a *API) whyAddress(ctx context.Context, e *Explanation, address string) error {
	repos, err := a.Store.Repos(ctx)
	if err != nil {
		return err
	}
	repo, rest, ok := repoAt(repos, address)
	if !ok {
		return &Problem{Message: "no repository that is known has the address " + address, Fix: "boatlift status --json has the addresses of those that are", Status: http.StatusNotFound}
	}
	m := pullPath.FindStringSubmatch(rest)
	if m == nil {
		return &Problem{Message: address + " is no pull request", Fix: whatToName, Status: http.StatusBadRequest}
	}
	return a.whyPull(ctx, e, repo, address, m[1])
}

// whyPull explains the pull request that a person called so; its sign and its address differ from forge to forge.
func (a *API) whyPull(ctx context.Context, e *Explanation, repo store.Repo, called, digits string) error {
	n, err := strconv.Atoi(digits)
	if err != nil || n == 0 {
		return &Problem{Message: repo.FullName + " has no pull request " + digits, Fix: whatToName, Status: http.StatusBadRequest}
	}
	found, err := a.Store.Promotions(ctx, store.PromotionFilter{Repo: repo.Key, PullRequest: n})
	if err != nil {
		return err
	}
	memory, err := a.Store.Memory(ctx, repo.Key)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		e.say(time.Time{}, "", called+" is not a pull request of Boatlift's", "its gate is green unless it changes an image of an environment")
		switch {
		case len(memory.Checks[n]) > 0:
			e.say(time.Time{}, "", "the gate was shown on it", "the check on the pull request has the sentence of every policy")
		case repo.State == store.RepoActive:
			e.say(time.Time{}, "", "no gate was shown on it yet", "that happens in the repository's next turn, if it is open and goes to the default branch")
		}
	}
	slices.Reverse(found) // oldest first
	for _, p := range found {
		under := repo.FullName + ":" + p.Release.Environment
		explain(e, under, p, memory.Promotions)
		for _, c := range p.Release.Changes {
			e.say(time.Time{}, under, fmt.Sprintf("it moves %s from %s to %s (%s)", c.Image, orNone(c.FromTag), orNone(c.Tag), c.Digest.Short()), "")
		}
	}
	work, err := a.workOf(ctx)
	if err != nil {
		return err
	}
	sayState(e, repo.FullName, repo, work[repo.Key])
	return nil
}

// explain tells where a promotion stands; among are those in which the one that took its place is looked for.
func explain(e *Explanation, under string, p promotion.Promotion, among []promotion.Promotion) {
	where := ""
	if p.URL != "" {
		where = ": " + p.URL
	}
	state := "is " + string(p.State)
	switch p.State {
	case promotion.Opening:
		state = "is about to be opened"
	case promotion.Failed:
		state = "has failed"
	}
	e.say(p.CreatedAt, under, fmt.Sprintf("%s of %s %s%s", p.Release.Label(), p.Release.App, state, where), "")
	if p.Reason != "" {
		e.say(p.EndedAt, under, p.Reason, afterwards(p))
	}
	if i := slices.IndexFunc(among, func(o promotion.Promotion) bool { return p.SupersededBy != "" && o.ID == p.SupersededBy }); i >= 0 && among[i].URL != "" {
		e.say(time.Time{}, under, fmt.Sprintf("its place was taken by %s: %s", among[i].Release.Label(), among[i].URL), "")
	}
	sayLine(e, under, p)
	if p.LastError != "" {
		e.add(Sentence{
			Until: p.RetryAt, Under: under, Say: fmt.Sprintf("the last of %s did not work: %s", count(p.Attempts, "try", "tries"), p.LastError), Hint: "it is tried again by itself",
		})
	}
	if !p.State.Active() || p.Gate == nil {
		return
	}
	for _, r := range p.Gate.Rulings {
		hint := r.Detail
		if r.State == gate.Allow {
			hint = ""
		}
		verb, ok := map[gate.State]string{gate.Allow: "allows", gate.Wait: "waits"}[r.State]
		if !ok {
			verb = "denies"
		}
		at := r.Since
		if r.State == gate.Allow {
			at = time.Time{}
		}
		e.add(Sentence{At: at, Until: r.Until, Under: under, Say: fmt.Sprintf("gate: %s %s: %s", r.Policy, verb, r.Say), Hint: hint})
	}
	switch {
	case p.Gate.State == gate.Allow && p.Next != "":
		e.say(p.GreenAt, under, "the gate allows it: "+p.Next, "")
	case p.Gate.State == gate.Allow:
		e.say(p.GreenAt, under, "the gate allows it: Boatlift is about to merge it", "")
	case p.Next != "":
		e.say(time.Time{}, under, p.Next, "")
	}
}

// afterwards is what a person can do about a promotion's end.
func afterwards(p promotion.Promotion) string {
	switch p.State {
	case promotion.Rejected:
		return "reopen its pull request to take the rejection back, or push a newer image"
	case promotion.Deployed:
		if p.Disproved {
			return "run the test again, which counts if it passes, or push a newer image"
		}
		return ""
	case promotion.Failed:
		return "look at the rollout's log, then run it again, or push a newer image"
	default:
		return ""
	}
}

// workOf reads the work of each repo.
func (a *API) workOf(ctx context.Context) (map[promotion.RepoKey]store.WorkRow, error) {
	rows, err := a.Store.Work(ctx)
	if err != nil {
		return nil, err
	}
	work := make(map[promotion.RepoKey]store.WorkRow, len(rows))
	for _, w := range rows {
		work[w.Repo] = w
	}
	return work, nil
}

// sayState tells what keeps a whole repo from moving; it returns whether anything does.
func sayState(e *Explanation, under string, r store.Repo, w store.WorkRow) bool {
	before := len(e.Says)
	if r.State != store.RepoActive {
		e.say(time.Time{}, under, "the repository is parked: "+cmp.Or(r.StateReason, "nobody said why"), "let the bot into it again, or unarchive it; then it goes on by itself")
		return true
	}
	if r.ConfigError != "" {
		e.say(time.Time{}, under, "nothing new is opened or merged, because the newest .boatlift.yaml is wrong: "+first(r.ConfigError), "boatlift check shows all that is wrong with it")
	}
	switch {
	case w.Stuck:
		e.add(Sentence{Until: w.DueAt, Under: under, Say: fmt.Sprintf("the repository is stuck: its last %d turns failed: %s", w.Attempts, w.LastError), Hint: "it is still tried; what the error names has to be mended"})
	case w.LastError != "":
		e.add(Sentence{Until: w.DueAt, Under: under, Say: "the repository's last turn failed: " + w.LastError, Hint: "it is tried again by itself"})
	case w.Owner != "":
		e.say(w.StartedAt, under, "the repository has its turn just now", "ask again in a moment")
	case w.Pending:
		e.say(time.Time{}, under, "the repository waits for its turn", "ask again in a moment")
	}
	return len(e.Says) > before
}

// whyDelivery explains one delivery.
func (a *API) whyDelivery(ctx context.Context, e *Explanation, ref string) error {
	d, found, err := a.Store.Delivery(ctx, ref)
	if err != nil {
		return err
	}
	if !found {
		return &Problem{
			Message: "no delivery is known as " + ref,
			Fix:     "deliveries are kept for 30 days, and of those that were refused one in ten seconds at each endpoint", Status: http.StatusNotFound,
		}
	}
	repos, err := a.Store.Repos(ctx)
	if err != nil {
		return err
	}
	what := ""
	if d.Event != "" {
		what = " (" + d.Event + ")"
	}
	e.say(d.ReceivedAt, "", fmt.Sprintf("delivery %d of %s%s was %s", d.ID, d.Sender, what, d.Outcome), "")
	if d.About != "" {
		e.say(time.Time{}, "", "it was about "+d.About, "")
	}
	switch {
	case d.Outcome == store.Refused:
		e.say(time.Time{}, "", cmp.Or(d.Reason, "it was not proved"), "a delivery that is not proved changes nothing; compare the sender's secret with the one that boatlift.yaml names")
		return nil
	case d.Reason != "":
		e.say(time.Time{}, "", d.Reason, "")
	}
	if d.Outcome != store.Stored {
		return nil
	}
	called := map[promotion.RepoKey]string{}
	for _, r := range repos {
		called[r.Key] = r.FullName
	}
	for _, key := range d.Repos {
		if forge, ok := strings.CutPrefix(string(key), string(store.DiscoverKey(""))); ok {
			e.say(time.Time{}, "", "it made Boatlift look for the repositories of "+forge+" anew", "")
		} else if name, ok := called[key]; ok {
			e.say(time.Time{}, "", "it made work for "+name, "")
		} else {
			e.say(time.Time{}, "", "it was about a repository that is not known: "+string(key), "let the bot into it if it is an infra repository")
		}
	}
	return a.whoLists(ctx, e, d, called)
}

// whoLists tells which repos a delivery's images concern, as far as they list them now.
func (a *API) whoLists(ctx context.Context, e *Explanation, d store.Delivery, called map[promotion.RepoKey]string) error {
	const most = 20
	for i, name := range d.Images {
		if i == most {
			e.say(time.Time{}, "", count(len(d.Images)-most, "more image is", "more images are")+" not shown", "ask for an image by its name")
			break
		}
		keys, err := a.Store.ReposListing(ctx, image.Name(name))
		if err != nil {
			return err
		}
		var listed []string
		for _, key := range keys {
			listed = append(listed, cmp.Or(called[key], string(key)))
		}
		slices.Sort(listed)
		if len(listed) == 0 {
			e.say(time.Time{}, "", "no infra repository lists "+name+" now, so there is nothing to do", "boatlift why "+name)
			continue
		}
		e.say(time.Time{}, "", name+" is listed by "+strings.Join(listed, ", "), "boatlift why "+name)
	}
	return nil
}
