package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/boatlift/boatlift/internal/config"
	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/reconcile"
)

// asked is what was found of one repository.
type asked struct {
	repo     forge.Repository
	findings []forge.Finding
	told     bool             // its file was read, and is one that the bot can use
	config   promotion.Config // zero unless told
	err      error
}

// repositories looks at a few at once, and tells of them in their order; of what they come after it tells when all have been read.
func (o *online) repositories(ctx context.Context, hub forge.Forge, inspector forge.Inspector, repos []forge.Repository, hook string) error {
	slices.SortFunc(repos, func(a, b forge.Repository) int { return strings.Compare(a.FullName, b.FullName) })
	reader := newConfigReader(o.bot, o.engine)
	defer reader.close()
	const atOnce = 8
	results := make([]chan asked, len(repos))
	room := make(chan struct{}, atOnce)
	for i, repo := range repos {
		results[i] = make(chan asked, 1)
		go func() { // waited for below, by its result
			room <- struct{}{}
			defer func() { <-room }()
			results[i] <- inspectRepository(ctx, reader, hub, inspector, repo, hook)
		}()
	}
	var err error
	var all []asked
	idle := 0
	for _, result := range results {
		r := <-result
		all = append(all, r)
		err = errors.Join(err, r.err)
		if len(r.findings) == 0 {
			idle++
		}
		for _, found := range r.findings {
			o.tell(found)
		}
	}
	if err != nil {
		return err
	}
	for _, found := range unreached(all) {
		o.tell(found)
	}
	if idle > 0 {
		o.tell(forge.Finding{About: "repositories", Say: fmt.Sprintf("%d of %d have no %s: nothing happens there", idle, len(repos), reconcile.ConfigFile)})
	}
	return nil
}

// unreached tells of environments that come after one that the bot does not find: their gates wait for ever.
func unreached(all []asked) []forge.Finding {
	byName := map[string]asked{}
	for _, a := range all {
		byName[strings.ToLower(a.repo.FullName)] = a
	}
	var found []forge.Finding
	for _, a := range all {
		for _, env := range a.config.Environments {
			for _, ref := range env.After {
				if ref = ref.In(a.repo.FullName); strings.EqualFold(ref.Repo, a.repo.FullName) {
					continue // the file itself was checked
				}
				up, reached := byName[strings.ToLower(ref.Repo)]
				_, there := up.config.Environment(ref.Environment)
				f := forge.Finding{About: a.repo.FullName, Say: fmt.Sprintf("%s comes after %s", env.Name, ref)}
				switch {
				case !reached:
					f.Say += ", and the bot does not reach that repository: nothing ever passes"
					f.Fix = "let the bot into " + ref.Repo + ", or correct after of " + env.Name
				case !up.told && len(up.findings) == 0:
					f.Say += ", and that repository has no " + reconcile.ConfigFile + ": nothing ever passes"
					f.Fix = "add one that names " + ref.Environment + " there, or correct after of " + env.Name
				case !up.told:
					f.Say += ", whose file cannot be used: nothing passes meanwhile"
					f.Fix = "mend " + reconcile.ConfigFile + " of " + ref.Repo + " first"
				case !there:
					f.Say += ", and that repository has no such environment: nothing ever passes"
					f.Fix = "name " + ref.Environment + " in its " + reconcile.ConfigFile + ", or correct after of " + env.Name
				default:
					continue
				}
				found = append(found, f)
			}
		}
	}
	return found
}

// inspectRepository looks at a repository's configuration, and where there is one at its rules.
func inspectRepository(ctx context.Context, reader *configReader, hub forge.Forge, inspector forge.Inspector, repo forge.Repository, hook string) asked {
	wanted := forge.Wanted{Check: reconcile.CheckName, Hook: hook}
	r := asked{repo: repo}
	tell := func(found forge.Finding) { r.findings = append(r.findings, found) }
	text, there, err := reader.read(ctx, hub, repo)
	switch {
	case ctx.Err() != nil:
		r.err = ctx.Err()
		return r
	case err != nil:
		tell(forge.Finding{About: repo.FullName, Say: err.Error(), Fix: hintOf(err, "run this again; if it stays so, see whether the bot may read the repository")})
		return r
	case !there:
		return r
	}
	cfg, err := reader.parse(text)
	var wrong *config.Errors
	switch {
	case errors.As(err, &wrong):
		for _, p := range wrong.Problems {
			tell(forge.Finding{About: fmt.Sprintf("%s %s:%d:%d", repo.FullName, p.File, p.Line, p.Column), Say: p.What, Fix: p.Right})
		}
	case err != nil:
		tell(forge.Finding{About: repo.FullName, Say: err.Error(), Fix: "run boatlift check in a clone of it"})
	default:
		r.told, r.config = true, cfg
		var names []string
		for _, e := range cfg.Environments {
			names = append(names, e.Name)
			wanted.Merges = wanted.Merges || e.Merge != promotion.MergeManual && e.Mode == promotion.Propose
		}
		tell(forge.Finding{About: repo.FullName, Say: "its " + reconcile.ConfigFile + " is right: " + strings.Join(names, ", ")})
	}
	r.err = inspector.InspectRepository(ctx, repo, wanted, tell)
	return r
}
