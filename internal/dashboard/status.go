package dashboard

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/store"
)

// Status is what the bot is at.
type Status struct {
	Version string    `json:"version"`
	Since   time.Time `json:"since"`
	Repos   []Repo    `json:"repositories"`
	Work    []Work    `json:"work"` // what waits for a turn, is in one, or failed
}

// Repo is one infra repo.
type Repo struct {
	Name         string        `json:"name"`
	URL          string        `json:"url,omitempty"`
	State        string        `json:"state"` // active, parked, or no .boatlift.yaml
	Reason       string        `json:"reason,omitempty"`
	ConfigError  string        `json:"configError,omitempty"`
	Base         string        `json:"base,omitempty"`
	Environments []Environment `json:"environments"`
}

// Environment is one environment of a repo.
type Environment struct {
	Name       string                `json:"name"`
	Mode       promotion.Mode        `json:"mode"`
	After      []string              `json:"after,omitempty"`
	Images     []Image               `json:"images"`
	Rollout    string                `json:"rollout"`
	Promotions []promotion.Promotion `json:"promotions"` // not ended, newest last
	Notes      []promotion.Note      `json:"notes"`
	Holds      []promotion.Hold      `json:"holds"`
}

// Image is an image of an environment: what its kustomizations say, and what demonstrably runs.
type Image struct {
	Name    image.Name              `json:"name"`
	Tag     string                  `json:"tag,omitempty"`
	Digest  image.Digest            `json:"digest,omitempty"`
	Running *promotion.RunningImage `json:"running,omitempty"`
}

// Work is one line of work.
type Work struct {
	Repo      string    `json:"repository"`
	Pending   bool      `json:"pending"`
	Owner     string    `json:"owner,omitempty"`
	Attempts  int       `json:"attempts,omitempty"`
	LastError string    `json:"lastError,omitempty"`
	Due       time.Time `json:"due,omitzero"`
	Stuck     bool      `json:"stuck,omitempty"`
}

// Status reads it all.
func (a *API) Status(ctx context.Context) (Status, error) {
	s := Status{Version: a.Version, Since: a.Started, Repos: []Repo{}, Work: []Work{}}
	repos, err := a.Store.Repos(ctx)
	if err != nil {
		return s, err
	}
	names := map[promotion.RepoKey]string{}
	for _, r := range repos {
		names[r.Key] = r.FullName
		memory, err := a.Store.Memory(ctx, r.Key)
		if err != nil {
			return s, err
		}
		s.Repos = append(s.Repos, repoStatus(r, memory))
	}
	slices.SortFunc(s.Repos, func(x, y Repo) int { return strings.Compare(x.Name, y.Name) })
	rows, err := a.Store.Work(ctx)
	if err != nil {
		return s, err
	}
	for _, w := range rows {
		if !w.Pending && w.Owner == "" && w.LastError == "" {
			continue
		}
		name := names[w.Repo]
		if name == "" {
			name = string(w.Repo)
		}
		s.Work = append(s.Work, Work{Repo: name, Pending: w.Pending, Owner: w.Owner, Attempts: w.Attempts, LastError: w.LastError, Due: w.DueAt, Stuck: w.Stuck})
	}
	return s, nil
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
	env := Environment{Name: e.Name, Mode: e.Mode, Images: []Image{}, Promotions: []promotion.Promotion{}, Notes: []promotion.Note{}, Holds: []promotion.Hold{}}
	for _, ref := range e.After {
		env.After = append(env.After, ref.String())
	}
	var running promotion.Running
	for _, r := range m.Running {
		if r.Environment == e.Name {
			running = r
		}
	}
	env.Rollout = running.State
	for _, l := range m.Listings {
		if l.Environment != e.Name || slices.ContainsFunc(env.Images, func(i Image) bool { return i.Name == l.Image && i.Tag == l.Tag && i.Digest == l.Digest }) {
			continue
		}
		img := Image{Name: l.Image, Tag: l.Tag, Digest: l.Digest}
		if r, ok := running.Images[l.Image]; ok {
			img.Running = &r
		}
		env.Images = append(env.Images, img)
	}
	for _, p := range m.Promotions {
		if p.Release.Environment == e.Name && (p.State.Active() || p.State.InRollout() || p.State == promotion.Failed) {
			env.Promotions = append(env.Promotions, p)
		}
	}
	for _, n := range m.Notes {
		if n.Environment == e.Name {
			env.Notes = append(env.Notes, n)
		}
	}
	for _, h := range m.Holds {
		if h.Environment == e.Name {
			env.Holds = append(env.Holds, h)
		}
	}
	return env
}

// environment finds owner/name:environment, or an environment whose name alone is clear.
func (a *API) environment(ctx context.Context, ref string) (store.Repo, string, error) {
	repos, err := a.Store.Repos(ctx)
	if err != nil {
		return store.Repo{}, "", err
	}
	repoName, name, hasRepo := strings.Cut(ref, ":")
	if !hasRepo {
		repoName, name = "", ref
	}
	var found []store.Repo
	var known []string
	for _, r := range repos {
		for _, e := range r.Environments {
			known = append(known, r.FullName+":"+e.Name)
			if e.Name == name && (repoName == "" || repoName == r.FullName) {
				found = append(found, r)
			}
		}
	}
	switch len(found) {
	case 1:
		return found[0], name, nil
	case 0:
		slices.Sort(known)
		return store.Repo{}, "", &Problem{Message: "no environment is called " + ref, Fix: "known are " + strings.Join(known, ", "), Status: http.StatusNotFound}
	default:
		return store.Repo{}, "", &Problem{Message: fmt.Sprintf("%d environments are called %s", len(found), ref), Fix: "write it with its repository: owner/name:" + name, Status: http.StatusConflict}
	}
}

func (a *API) listings(ctx context.Context, key promotion.RepoKey) ([]promotion.Listing, error) {
	m, err := a.Store.Memory(ctx, key)
	return m.Listings, err
}

func namesOf(listings []promotion.Listing, environment string) []image.Name {
	var names []image.Name
	for _, l := range listings {
		if (environment == "" || l.Environment == environment) && !slices.Contains(names, l.Image) {
			names = append(names, l.Image)
		}
	}
	return names
}

// matchImages finds images by their full name, or by the end of it: web, shop/web.
func matchImages(text string, names []image.Name) []image.Name {
	if full, err := image.ParseName(text); err == nil && slices.Contains(names, full) {
		return []image.Name{full}
	}
	var matched []image.Name
	for _, n := range names {
		if strings.HasSuffix(string(n), "/"+strings.ToLower(text)) {
			matched = append(matched, n)
		}
	}
	return matched
}
