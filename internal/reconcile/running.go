package reconcile

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/gitrepo"
	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
)

// observeRunning finds out what each environment demonstrably runs: what the kustomizations at its last rolled-out commit carry. What is
// settled is assumed to be so still, so that a pull request that waits to be opened is not kept waiting for the answer.
func (t *turn) observeRunning(ctx context.Context) error {
	t.world.Running = map[string]promotion.Running{}
	for _, env := range t.world.Config.Environments {
		if env.Mode == promotion.Off || t.base == "" {
			continue
		}
		before := t.ranBefore(env.Name)
		if t.settled(env, before) {
			t.world.Running[env.Name] = before
			t.assumed = append(t.assumed, env)
			continue
		}
		now, err := t.runningOf(ctx, env, before)
		if err != nil {
			return fmt.Errorf("find out what %s of %s runs: %w", env.Name, t.repo.FullName, err)
		}
		t.world.Running[env.Name] = now
	}
	return nil
}

func (t *turn) ranBefore(environment string) promotion.Running {
	for _, r := range t.mem.Running {
		if r.Environment == environment {
			return r
		}
	}
	return promotion.Running{}
}

// runningNow is what the environments run, and which of them run something else than they did.
func (t *turn) runningNow() (running []promotion.Running, differ []string) {
	for _, name := range sortedKeys(t.world.Running) {
		running = append(running, t.world.Running[name])
		if changed(t.ranBefore(name), t.world.Running[name]) {
			differ = append(differ, name)
		}
	}
	return running, differ
}

func changed(a, b promotion.Running) bool {
	return a.State != b.State || a.SHA != b.SHA || a.Says != b.Says || !maps.EqualFunc(a.Images, b.Images, func(x, y promotion.RunningImage) bool {
		return x.Tag == y.Tag && x.Digest == y.Digest && slices.Equal(x.Proved, y.Proved)
	}) || !slices.EqualFunc(a.Proofs, b.Proofs, func(x, y promotion.Proof) bool {
		return x.Check == y.Check && x.State == y.State && x.URL == y.URL && maps.Equal(x.Images, y.Images)
	})
}

// runningOf finds out what an environment runs, and how far that is proved to be as it should.
func (t *turn) runningOf(ctx context.Context, env promotion.Environment, before promotion.Running) (promotion.Running, error) {
	now, err := t.rolledOut(ctx, env, before)
	if err != nil || len(env.Verify) == 0 || now.SHA == "" {
		return now, err
	}
	reports, read, err := t.reports(ctx, now.SHA)
	if err != nil {
		return now, err
	}
	if !read { // something red might be hidden, so that nothing else counts either
		for _, c := range env.Verify {
			reports = append(reports, promotion.Report{Name: c.Name, State: string(forge.RolloutUnknown), By: c.App + c.User, Bot: c.App != ""})
		}
	}
	promotion.Prove(env.Verify, &now, reports, t.mem.Verifications)
	return now, nil
}

func (t *turn) rolledOut(ctx context.Context, env promotion.Environment, before promotion.Running) (promotion.Running, error) {
	now := promotion.Running{Environment: env.Name, State: string(forge.RolloutUnknown)}
	switch {
	case env.Rollout.Merge:
		now.SHA, now.State, now.At = string(t.base), string(forge.RolloutSucceeded), t.now
		if before.SHA == now.SHA && !before.At.IsZero() {
			now.At = before.At
		}
		now.Newest, now.Images = now.SHA, runningImages(env.Name, t.world.Listings, before, now.At)
		return now, nil
	case env.Rollout.None():
		return now, nil
	}
	deployments, says, err := t.rollouts(ctx, env.Rollout)
	if err != nil {
		return now, err
	}
	if len(deployments) == 0 {
		now.Says = says
		return now, nil
	}
	newest := deployments[0]
	now.Newest, now.State, now.URL, now.At = newest.SHA, string(newest.State), newest.URL, newest.CreatedAt
	switch {
	case newest.State == forge.RolloutRunning:
		now.State, now.Says = t.patience(newest, env.Rollout.Timeout)
	case newest.State == forge.RolloutUnknown:
		now.Says = "the newest rollout, of " + short(newest.SHA) + ", ended without telling whether it succeeded"
	}
	i := slices.IndexFunc(deployments, func(d forge.Deployment) bool { return d.State == forge.RolloutSucceeded })
	if i < 0 {
		now.SHA, now.Images = before.SHA, before.Images
		return now, nil
	}
	done := deployments[i]
	now.SHA = done.SHA
	switch {
	case done.SHA == before.SHA && before.Images != nil:
		now.Images = before.Images
	case done.SHA == string(t.base):
		now.Images = runningImages(env.Name, t.world.Listings, before, done.UpdatedAt)
	default:
		lists, err := t.listAt(ctx, gitrepo.Hash(done.SHA))
		if err != nil {
			return now, err
		}
		now.Images = runningImages(env.Name, lists, before, done.UpdatedAt)
	}
	return now, nil
}

// listAt lists the images of another commit, by the present configuration. A commit that is gone carries nothing.
func (t *turn) listAt(ctx context.Context, sha gitrepo.Hash) ([]promotion.Listing, error) {
	tree, err := t.remote.Tree(ctx, sha)
	if err != nil {
		return nil, err
	}
	lists, err := t.list(ctx, tree)
	if permanent(err) {
		t.log.Warn("a rolled-out commit cannot be read", "commit", string(sha), "error", err)
		return nil, nil
	}
	return lists, err
}

// runningImages is what listings amount to. Where kustomizations of one environment disagree about an image, no digest is known of it.
func runningImages(environment string, lists []promotion.Listing, before promotion.Running, at time.Time) map[image.Name]promotion.RunningImage {
	images := map[image.Name]promotion.RunningImage{}
	for _, l := range lists {
		if l.Environment != environment {
			continue
		}
		now := promotion.RunningImage{Tag: l.Tag, Digest: l.Digest, Since: at}
		if other, twice := images[l.Image]; twice && (other.Tag != now.Tag || other.Digest != now.Digest) {
			now.Tag, now.Digest = "", ""
		}
		images[l.Image] = now
	}
	for name, now := range images {
		if was, ok := before.Images[name]; ok && was.Tag == now.Tag && was.Digest == now.Digest {
			now.Since, now.Proved = was.Since, was.Proved
			images[name] = now
		}
	}
	return images
}

// observeFollowers looks for releases that soak in an environment which the bot itself would move on.
func (t *turn) observeFollowers(ctx context.Context) error {
	t.world.Followers = map[string][]promotion.Follower{}
	for _, env := range t.world.Config.Environments {
		if env.Merge != promotion.MergeAuto || env.Mode != promotion.Propose {
			continue
		}
		found, err := t.r.Store.Followers(ctx, t.forgeName, t.repo.FullName, env.Name)
		if err != nil {
			return fmt.Errorf("look for what comes after %s of %s: %w", env.Name, t.repo.FullName, err)
		}
		for _, f := range found {
			cfg, err := t.r.Parse([]byte(f.ConfigText))
			if err != nil {
				continue // nothing of that repository moves until it is mended
			}
			after, ok := cfg.Environment(f.Promotion.Release.Environment)
			soak := gate.Soak(t.uses(after))
			if !ok || soak == 0 {
				continue
			}
			t.world.Followers[env.Name] = append(t.world.Followers[env.Name], promotion.Follower{
				Environment: f.FullName + ":" + after.Name, Promotion: f.Promotion, Soak: soak,
				ByPeople: after.Merge != promotion.MergeAuto || t.asks(after),
			})
		}
	}
	return nil
}

// asks tells whether a policy of an environment waits for people.
func (t *turn) asks(env promotion.Environment) bool { return t.r.Judge.Reads(t.uses(env), "approvals") }

// observeUpstream looks up the environments that those of this repo come after.
func (t *turn) observeUpstream(ctx context.Context) error {
	t.world.Upstream = map[promotion.EnvRef]promotion.Upstream{}
	for _, env := range t.world.Config.Environments {
		for _, ref := range env.After {
			if _, done := t.world.Upstream[ref]; done {
				continue
			}
			up, err := t.upstream(ctx, ref.In(t.repo.FullName))
			if err != nil {
				return fmt.Errorf("look up %s: %w", ref, err)
			}
			t.world.Upstream[ref] = up
		}
	}
	return nil
}

func (t *turn) upstream(ctx context.Context, ref promotion.EnvRef) (promotion.Upstream, error) {
	if strings.EqualFold(ref.Repo, t.repo.FullName) {
		if _, ok := t.world.Config.Environment(ref.Environment); !ok {
			return promotion.Upstream{Problem: fmt.Sprintf("%s has no environment %s", ref.Repo, ref.Environment)}, nil
		}
		up := promotion.Upstream{Running: t.world.Running[ref.Environment], Listed: listed(ref.Environment, t.world.Listings)}
		for _, pr := range t.world.Promotions {
			if pr.Release.Environment == ref.Environment && (pr.State.Active() || pr.State.InRollout()) {
				up.Promotions = append(up.Promotions, pr)
			}
		}
		return up, nil
	}
	found, err := t.r.Store.Upstream(ctx, t.forgeName, ref)
	switch {
	case err != nil:
		return promotion.Upstream{}, err
	case found.Found == 0:
		return promotion.Upstream{Problem: fmt.Sprintf("no environment %s is known: is the bot installed on %s, and does its %s name the environment?", ref, ref.Repo, ConfigFile)}, nil
	case found.Found > 1:
		return promotion.Upstream{Problem: fmt.Sprintf("%d environments are called %s", found.Found, ref)}, nil
	}
	return promotion.Upstream{Running: found.Running, Listed: listed(ref.Environment, found.Listings), Promotions: found.Promotions}, nil
}

func listed(environment string, lists []promotion.Listing) []image.Name {
	var names []image.Name
	for _, l := range lists {
		if l.Environment == environment && !slices.Contains(names, l.Image) {
			names = append(names, l.Image)
		}
	}
	return names
}
