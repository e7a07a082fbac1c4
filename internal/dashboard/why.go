package dashboard

import (
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
}

// Sentence is one thing that is known.
type Sentence struct {
	At    time.Time `json:"at,omitzero"`
	Under string    `json:"under,omitempty"` // a heading: the environment it is about
	Say   string    `json:"say"`
	Hint  string    `json:"hint,omitempty"`
}

func (e *Explanation) say(at time.Time, under, say, hint string) {
	e.Says = append(e.Says, Sentence{At: at, Under: under, Say: say, Hint: hint})
}

var (
	pullRef = regexp.MustCompile(`^([^/\s]+/[^/#\s]+)#([0-9]+)$`)
	pullURL = regexp.MustCompile(`^https?://[^\s]+?/([^/\s]+/[^/\s]+)/(?:-/)?(?:pull|merge_requests)/([0-9]+)(?:[/?#].*)?$`)
)

// Why explains an image (also one that was never seen), a pull request, or a delivery.
func (a *API) Why(ctx context.Context, about string) (Explanation, error) {
	e := Explanation{About: about, Says: []Sentence{}}
	if about == "" {
		return e, &Problem{Message: "about what?", Fix: "name an image, a pull request (owner/name#7 or its URL) or a delivery", Status: http.StatusBadRequest}
	}
	for _, pattern := range []*regexp.Regexp{pullRef, pullURL} {
		if m := pattern.FindStringSubmatch(about); m != nil {
			number, err := strconv.Atoi(m[2])
			if err != nil {
				return e, &Problem{Message: about + " is no pull request", Status: http.StatusBadRequest}
			}
			err = a.whyPull(ctx, &e, m[1], number)
			return e, err
		}
	}
	if d, ok, err := a.Store.Delivery(ctx, about); err != nil {
		return e, err
	} else if ok {
		a.whyDelivery(&e, d)
		return e, nil
	}
	err := a.whyImage(ctx, &e, about)
	return e, err
}

func (a *API) whyDelivery(e *Explanation, d store.Delivery) {
	e.say(d.ReceivedAt, "", fmt.Sprintf("delivery %d of %s (%s) was %s", d.ID, d.Sender, d.Event, d.Outcome), "")
	if d.About != "" {
		e.say(time.Time{}, "", "it was about "+d.About, "")
	}
	if d.Reason != "" {
		e.say(time.Time{}, "", d.Reason, "")
	}
	switch {
	case d.Outcome == store.Refused:
		e.say(time.Time{}, "", "a delivery that is not proved changes nothing", "compare the sender's secret with the one boatlift.yaml names")
	case len(d.Repos) > 0:
		for _, r := range d.Repos {
			e.say(time.Time{}, "", "it made work for "+string(r), "")
		}
	case d.Outcome == store.Stored && len(d.Images) > 0:
		e.say(time.Time{}, "", "no infra repository lists the image, so it made no work", "boatlift why "+d.Images[0])
	}
}

func (a *API) whyPull(ctx context.Context, e *Explanation, repo string, number int) error {
	repos, err := a.Store.Repos(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(repos, func(r store.Repo) bool { return r.FullName == repo })
	if i < 0 {
		return &Problem{Message: "no repository is called " + repo, Fix: "boatlift status lists those that are known", Status: http.StatusNotFound}
	}
	found, err := a.Store.Promotions(ctx, store.PromotionFilter{Repo: repos[i].Key, PullRequest: number})
	if err != nil {
		return err
	}
	if len(found) == 0 {
		e.say(time.Time{}, "", fmt.Sprintf("%s#%d is not a pull request of Boatlift's", repo, number), "its gate is green unless it changes an image of an environment")
		return nil
	}
	for _, p := range found {
		explain(e, repo+":"+p.Release.Environment, p)
		for _, c := range p.Release.Changes {
			e.say(time.Time{}, "", fmt.Sprintf("it moves %s from %s to %s (%s)", c.Image, orNone(c.FromTag), orNone(c.Tag), c.Digest.Short()), "")
		}
	}
	return nil
}

func orNone(s string) string {
	if s == "" {
		return "no tag"
	}
	return s
}

// explain tells where a promotion stands.
func explain(e *Explanation, under string, p promotion.Promotion) {
	where := ""
	if p.URL != "" {
		where = ": " + p.URL
	}
	e.say(p.CreatedAt, under, fmt.Sprintf("%s of %s is %s%s", p.Release.Label(), p.Release.App, p.State, where), "")
	if p.Reason != "" {
		e.say(p.EndedAt, under, p.Reason, "")
	}
	if p.LastError != "" {
		e.say(p.RetryAt, under, fmt.Sprintf("the last of %d tries did not work: %s", p.Attempts, p.LastError), "it is tried again by itself")
	}
	if !p.State.Active() || p.Gate == nil {
		return
	}
	for _, r := range p.Gate.Rulings {
		hint := r.Detail
		if r.State == gate.Allow {
			hint = ""
		}
		e.say(r.Until, under, fmt.Sprintf("gate: %s %s: %s", r.Policy, map[gate.State]string{gate.Allow: "allows", gate.Wait: "waits", gate.Deny: "denies"}[r.State], r.Say), hint)
	}
	if p.Gate.State == gate.Allow {
		e.say(time.Time{}, under, "the gate allows it: it waits for somebody to merge it, or for Boatlift to do so", "")
	}
}

func (a *API) whyImage(ctx context.Context, e *Explanation, about string) error {
	text, tag := about, ""
	if ref, err := image.Parse(about); err == nil {
		tag = ref.Tag
		text = strings.TrimSuffix(strings.SplitN(about, "@", 2)[0], ":"+ref.Tag)
	}
	repos, err := a.Store.Repos(ctx)
	if err != nil {
		return err
	}
	memories := map[promotion.RepoKey]store.Memory{}
	var known []image.Name
	for _, r := range repos {
		m, err := a.Store.Memory(ctx, r.Key)
		if err != nil {
			return err
		}
		memories[r.Key] = m
		known = append(known, namesOf(m.Listings, "")...)
	}
	slices.Sort(known)
	names := matchImages(text, slices.Compact(known))
	if len(names) == 0 {
		name, err := image.ParseName(text)
		if err != nil {
			return &Problem{Message: about + " is no image, pull request or delivery that is known", Fix: "write an image as registry/repository:tag, a pull request as owner/name#7", Status: http.StatusNotFound}
		}
		names = []image.Name{name}
	}
	for _, name := range names {
		if err := a.whyPushes(ctx, e, name, tag); err != nil {
			return err
		}
		listed := false
		for _, r := range repos {
			listed = whyInRepo(e, r, memories[r.Key], name, tag) || listed
		}
		if !listed {
			e.say(time.Time{}, "", "no kustomization of any environment lists "+string(name), "add it under images: of a kustomization, or check the name: it is matched against newName, else name")
		}
	}
	return nil
}

// whyPushes tells what registries said of an image.
func (a *API) whyPushes(ctx context.Context, e *Explanation, name image.Name, tag string) error {
	pushes, err := a.Store.Pushes(ctx, []image.Name{name}, time.Time{})
	if err != nil {
		return err
	}
	if tag != "" {
		pushes = slices.DeleteFunc(pushes, func(p store.Push) bool { return p.Tag != tag })
	}
	const most = 5
	if len(pushes) > most {
		e.say(time.Time{}, "", fmt.Sprintf("%d earlier pushes are not shown", len(pushes)-most), "")
		pushes = pushes[len(pushes)-most:]
	}
	for _, p := range pushes {
		e.say(p.ReceivedAt, "", fmt.Sprintf("%s:%s was pushed (delivery %d)", name, p.Tag, p.Delivery), "")
	}
	if len(pushes) > 0 {
		return nil
	}
	what := string(name)
	if tag != "" {
		what += ":" + tag
	}
	hint := "check that its registry posts to one of the endpoints: " + strings.Join(a.Senders, ", ")
	if last, err := a.Store.Deliveries(ctx, store.DeliveryFilter{Limit: 1}); err == nil && len(last) > 0 {
		hint += fmt.Sprintf("; the last delivery of all came at %s", last[0].ReceivedAt.UTC().Format(time.RFC3339))
	}
	e.say(time.Time{}, "", "no delivery ever told of a push of "+what, hint)
	return nil
}

// whyInRepo tells where an image stands in the environments of one repo.
func whyInRepo(e *Explanation, r store.Repo, m store.Memory, name image.Name, tag string) (listed bool) {
	for _, env := range r.Environments {
		under := r.FullName + ":" + env.Name
		here := false
		for _, l := range m.Listings {
			if l.Environment == env.Name && l.Image == name {
				here = true
				e.say(time.Time{}, under, fmt.Sprintf("%s has %s", l.File, orNone(l.Tag)), "")
			}
		}
		if !here {
			continue
		}
		listed = true
		if r.State != store.RepoActive {
			e.say(time.Time{}, under, "the repository is parked: "+r.StateReason, "")
		}
		if r.ConfigError != "" {
			e.say(time.Time{}, under, "nothing new is opened: "+r.ConfigError, "")
		}
		if env.Mode == promotion.Off {
			e.say(time.Time{}, under, "mode: off, so nothing happens", "")
		}
		for _, p := range m.Promotions {
			if p.Release.Environment == env.Name && p.Release.Moves(name) && (tag == "" || carriesTag(p, name, tag)) {
				explain(e, under, p)
			}
		}
		for _, n := range m.Notes {
			if n.Environment == env.Name && (n.Image == name || (n.Image == "" && n.App != "")) {
				e.say(n.Until, under, n.Say, n.Hint)
			}
		}
	}
	return listed
}

func carriesTag(p promotion.Promotion, name image.Name, tag string) bool {
	return slices.ContainsFunc(p.Release.Changes, func(c promotion.Change) bool { return c.Image == name && c.Tag == tag })
}
