package dashboard

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/store"
)

// Status is what the bot is at.
type Status struct {
	Version    string     `json:"version"`
	Since      time.Time  `json:"since"`
	Endpoints  []Endpoint `json:"endpoints"`
	Registries []Registry `json:"registries"`   // that can be asked for tags
	Repos      []Repo     `json:"repositories"` // by name
	Tables     []Table    `json:"tables"`       // the same as apps by environments
	Work       []Work     `json:"work"`         // what waits for a turn, is in one, or failed
	Lines      []Line     `json:"lines"`        // of pull requests that wait, so that the limits of writes are kept to
}

// Endpoint is where webhooks come in, and the last one that came.
type Endpoint struct {
	Path   string        `json:"path"`
	LastAt time.Time     `json:"lastAt,omitzero"` // zero: none came in the time for which deliveries are kept
	Last   store.Outcome `json:"last,omitempty"`
	Reason string        `json:"reason,omitempty"` // why the last one was ignored or refused
}

// Repo is one infra repo.
type Repo struct {
	Name         string        `json:"name"`
	URL          string        `json:"url,omitempty"`
	State        string        `json:"state"` // active, parked, or idle: there is nothing for the bot to do in it
	Reason       string        `json:"reason,omitempty"`
	ConfigError  string        `json:"configError,omitempty"` // why the newest .boatlift.yaml is not in force; may have several lines
	Base         string        `json:"base,omitempty"`
	Environments []Environment `json:"environments"` // in the order of the file
}

// Environment is one environment of a repo.
type Environment struct {
	Name       string         `json:"name"`
	Mode       promotion.Mode `json:"mode"`
	After      []string       `json:"after,omitempty"`
	Images     []Image        `json:"images"`
	Rollout    string         `json:"rollout"` // state of the newest one: running, succeeded, failed, unknown
	RolloutURL string         `json:"rolloutURL,omitempty"`
	// RolloutSays tells why the rollout is unknown, as far as that is known.
	RolloutSays string                `json:"rolloutSays,omitempty"`
	Verify      []Verify              `json:"verify,omitempty"` // what is asked for under verify, of all that runs
	Promotions  []promotion.Promotion `json:"promotions"`       // not ended, newest last; failed and disproved ones until a later one is merged
	Notes       []promotion.Note      `json:"notes"`
	Holds       []promotion.Hold      `json:"holds"`
}

// Verify is a name under verify, and how far it is green for what runs.
type Verify struct {
	Name  string `json:"name"`
	State string `json:"state"` // success, failure, pending, neutral, skipped, not reported, or unknown: the worst of all images
	URL   string `json:"url,omitempty"`
}

// Image is an image of an environment: what its kustomizations say, and what demonstrably runs.
type Image struct {
	Name    image.Name              `json:"name"`
	Tag     string                  `json:"tag,omitempty"`
	Digest  image.Digest            `json:"digest,omitempty"`
	Refusal string                  `json:"refusal,omitempty"` // why it is never edited
	Running *promotion.RunningImage `json:"running,omitempty"`
}

// Work is one line of work.
type Work struct {
	Repo      string    `json:"repository"` // its name; for the search for repositories, which forge's
	Pending   bool      `json:"pending"`
	Owner     string    `json:"owner,omitempty"`
	Attempts  int       `json:"attempts,omitempty"`
	LastError string    `json:"lastError,omitempty"`
	Due       time.Time `json:"due,omitzero"`
	Stuck     bool      `json:"stuck,omitempty"`
}

// Status reads it all.
func (a *API) Status(ctx context.Context) (Status, error) {
	s := Status{Version: a.Version, Since: a.Started, Endpoints: []Endpoint{}, Registries: []Registry{}, Repos: []Repo{}, Tables: []Table{}, Work: []Work{}, Lines: []Line{}}
	for _, path := range a.Senders {
		e, err := a.endpoint(ctx, path)
		if err != nil {
			return s, err
		}
		s.Endpoints = append(s.Endpoints, e)
	}
	repos, err := a.Store.Repos(ctx)
	if err != nil {
		return s, err
	}
	slices.SortStableFunc(repos, func(x, y store.Repo) int {
		return cmp.Or(strings.Compare(x.FullName, y.FullName), strings.Compare(string(x.Key), string(y.Key)))
	})
	called := map[promotion.RepoKey]string{}
	for _, r := range repos {
		called[r.Key] = r.FullName
		memory, err := a.Store.Memory(ctx, r.Key)
		if err != nil {
			return s, err
		}
		s.Repos = append(s.Repos, repoStatus(r, memory))
	}
	if s.Registries, err = a.registries(ctx); err != nil {
		return s, err
	}
	if s.Lines, err = a.lines(ctx, called); err != nil {
		return s, err
	}
	s.Tables = tables(s.Repos)
	rows, err := a.Store.Work(ctx)
	if err != nil {
		return s, err
	}
	for _, w := range rows {
		if !w.Pending && w.Owner == "" && w.LastError == "" {
			continue
		}
		s.Work = append(s.Work, Work{
			Repo: workName(w.Repo, called), Pending: w.Pending, Owner: w.Owner, Attempts: w.Attempts, LastError: w.LastError, Due: w.DueAt, Stuck: w.Stuck,
		})
	}
	return s, nil
}

func (a *API) endpoint(ctx context.Context, path string) (Endpoint, error) {
	e := Endpoint{Path: path}
	last, err := a.Store.Deliveries(ctx, store.DeliveryFilter{Sender: senderOf(path), Limit: 1})
	if err == nil && len(last) > 0 {
		e.LastAt, e.Last, e.Reason = last[0].ReceivedAt, last[0].Outcome, last[0].Reason
	}
	return e, err
}

// senderOf is the name under which the deliveries of an endpoint are recorded.
func senderOf(path string) string { return strings.TrimPrefix(path, "/hooks/") }

// workName says for people what a key of work is about.
func workName(key promotion.RepoKey, called map[promotion.RepoKey]string) string {
	if name := called[key]; name != "" {
		return name
	}
	if forge, ok := strings.CutPrefix(string(key), string(store.DiscoverKey(""))); ok {
		return "the repositories of " + forge
	}
	return string(key)
}

func repoStatus(r store.Repo, m store.Memory) Repo {
	out := Repo{Name: r.FullName, URL: r.WebURL, State: string(r.State), Reason: r.StateReason, ConfigError: r.ConfigError, Base: r.BaseHead, Environments: []Environment{}}
	if r.State == store.RepoActive && r.ConfigText == "" && r.ConfigError == "" {
		out.State, out.Reason = "idle", "it has no .boatlift.yaml on its default branch"
		if r.BaselineAt.IsZero() {
			out.Reason = "it was not looked at yet"
		}
	}
	for _, e := range r.Environments {
		out.Environments = append(out.Environments, environmentStatus(e, m))
	}
	return out
}

func environmentStatus(e store.EnvRow, m store.Memory) Environment {
	env := Environment{
		Name: e.Name, Mode: e.Mode, Images: []Image{}, Rollout: "unknown", Promotions: []promotion.Promotion{}, Notes: []promotion.Note{}, Holds: []promotion.Hold{},
	}
	for _, ref := range e.After {
		env.After = append(env.After, ref.String())
	}
	running := runningIn(m, e.Name)
	env.Rollout, env.RolloutURL = cmp.Or(running.State, env.Rollout), running.URL
	env.RolloutSays = running.Says
	states, urls := running.Unproved(slices.Collect(maps.Keys(running.Images))...)
	for _, p := range running.Proofs {
		env.Verify = append(env.Verify, Verify{Name: p.Check, State: cmp.Or(states[p.Check], promotion.Green), URL: cmp.Or(urls[p.Check], p.URL)})
	}
	for _, l := range m.Listings {
		img := Image{Name: l.Image, Tag: l.Tag, Digest: l.Digest, Refusal: l.Refusal}
		if l.Environment != e.Name || slices.Contains(env.Images, img) {
			continue
		}
		env.Images = append(env.Images, img)
	}
	for i := range env.Images {
		if r, ok := running.Images[env.Images[i].Name]; ok {
			env.Images[i].Running = &r
		}
	}
	for _, p := range m.Promotions {
		if p.Release.Environment != e.Name || !stands(p, m.Promotions) {
			continue
		}
		if p.Gate != nil && p.Gate.Rulings == nil {
			p.Gate.Rulings = []gate.Ruling{}
		}
		env.Promotions = append(env.Promotions, p)
	}
	for _, n := range m.Notes {
		if n.Environment == e.Name {
			env.Notes = append(env.Notes, n)
		}
	}
	for _, h := range m.Holds {
		if h.Environment != e.Name {
			continue
		}
		if h.Images == nil {
			h.Images = []image.Name{}
		}
		env.Holds = append(env.Holds, h)
	}
	return env
}

func runningIn(m store.Memory, environment string) promotion.Running {
	for _, r := range m.Running {
		if r.Environment == environment {
			return r
		}
	}
	return promotion.Running{}
}

// stands tells whether a promotion is still of interest: it is open or on its way, or it or what should verify it failed and nothing has been
// merged over it.
func stands(p promotion.Promotion, all []promotion.Promotion) bool {
	if p.State != promotion.Failed && !p.Disproved {
		return p.State.Active() || p.State.InRollout()
	}
	return !slices.ContainsFunc(all, func(o promotion.Promotion) bool {
		return o.ID != p.ID && o.Release.Overlaps(p.Release) && o.MergedAt.After(p.MergedAt)
	})
}
