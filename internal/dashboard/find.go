package dashboard

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/store"
)

// place is an environment of a repo.
type place struct {
	repo store.Repo
	name string
}

func (p place) String() string { return p.repo.FullName + ":" + p.name }

// precise also says at which forge.
func (p place) precise() string { return p.repo.Forge + "/" + p.String() }

// environment finds owner/name:environment, or an environment whose name alone is clear. Where a repository was made anew under the name of
// one that is gone, the one that is there counts.
func (a *API) environment(ctx context.Context, ref string) (place, error) {
	repos, err := a.Store.Repos(ctx)
	if err != nil {
		return place{}, err
	}
	repoName, name, hasRepo := strings.Cut(ref, ":")
	if !hasRepo {
		repoName, name = "", ref
	}
	var known []string
	var found, active []place
	for _, r := range repos {
		for _, e := range r.Environments {
			p := place{r, e.Name}
			known = append(known, p.String())
			if e.Name != name || (repoName != "" && !strings.EqualFold(repoName, r.FullName) && !strings.EqualFold(repoName, r.Forge+"/"+r.FullName)) {
				continue
			}
			found = append(found, p)
			if r.State == store.RepoActive {
				active = append(active, p)
			}
		}
	}
	if len(active) > 0 {
		found = active
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		slices.Sort(known)
		p := &Problem{Message: "no environment is called " + quote(ref), Fix: "known are " + strings.Join(slices.Compact(known), ", "), Status: http.StatusNotFound}
		if len(known) == 0 {
			p.Fix = "no environment is known yet: give a repository that the bot was let into a .boatlift.yaml"
		}
		return place{}, p
	}
	texts := make([]string, len(found))
	for i, p := range found {
		texts[i] = p.String()
	}
	if slices.Sort(texts); len(slices.Compact(slices.Clone(texts))) < len(texts) {
		for i, p := range found {
			texts[i] = p.precise()
		}
		slices.Sort(texts)
	}
	return place{}, &Problem{
		Message: count(len(found), "environment is", "environments are") + " called " + quote(ref), Fix: "write one of " + strings.Join(texts, ", "), Status: http.StatusConflict,
	}
}

// quote sets off what was asked for, so that an empty word shows too.
func quote(s string) string {
	if s == "" || strings.ContainsAny(s, " ,") {
		return `"` + s + `"`
	}
	return s
}

// repoCalled finds the repo with a name, the one that is active if there are several.
func repoCalled(repos []store.Repo, name string) (store.Repo, bool) {
	return best(repos, func(r store.Repo) bool {
		return strings.EqualFold(r.FullName, name) || strings.EqualFold(r.Forge+"/"+r.FullName, name)
	})
}

// repoAt finds the repo to whose pages an address belongs, and what follows the repo's own address.
func repoAt(repos []store.Repo, address string) (store.Repo, string, bool) {
	within := func(r store.Repo) bool {
		web := strings.TrimSuffix(r.WebURL, "/") + "/"
		return len(web) > 1 && len(address) >= len(web) && strings.EqualFold(address[:len(web)], web)
	}
	r, ok := best(repos, within)
	if !ok {
		return r, "", false
	}
	return r, address[len(strings.TrimSuffix(r.WebURL, "/"))+1:], true
}

func best(repos []store.Repo, fits func(store.Repo) bool) (found store.Repo, ok bool) {
	for _, r := range repos {
		if fits(r) && (!ok || (found.State != store.RepoActive && r.State == store.RepoActive)) {
			found, ok = r, true
		}
	}
	return found, ok
}

// imagesOf are the images that an environment lists; of all environments where it is empty.
func imagesOf(listings []promotion.Listing, environment string) []image.Name {
	var list []image.Name
	for _, l := range listings {
		if environment == "" || l.Environment == environment {
			list = append(list, l.Image)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// matchImages finds images by their full name, or by the end of it: web, shop/web.
func matchImages(text string, among []image.Name) []image.Name {
	if full, err := image.ParseName(text); err == nil && slices.Contains(among, full) {
		return []image.Name{full}
	}
	var matched []image.Name
	for _, n := range among {
		if text != "" && strings.HasSuffix(string(n), "/"+strings.ToLower(text)) {
			matched = append(matched, n)
		}
	}
	return matched
}
