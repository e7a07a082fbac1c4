package reconcile

import (
	"fmt"
	"time"

	"pgregory.net/rapid"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
)

// This file holds what people and pipelines do in the model's histories.

// somePull is one of the bot's pull requests.
func (m *model) somePull(t *rapid.T, states ...forge.PullState) (*infra, forge.PullRequest, bool) {
	r := m.someRepo(t)
	pulls := r.pulls(states...)
	if len(pulls) == 0 {
		return r, forge.PullRequest{}, false
	}
	return r, pulls[len(pulls)-1-rapid.IntRange(0, min(3, len(pulls)-1)).Draw(t, "pull request")], true
}

func (m *model) merges(t *rapid.T) bool {
	r, pr, ok := m.somePull(t, forge.Open)
	if !ok {
		return false
	}
	m.person = true
	_, err := r.alice().Merge(r.ID, pr.Number)
	m.person = false
	m.logf("alice merges %s#%d %q: %v", r.Repository.FullName, pr.Number, pr.Title, err)
	return true
}

func (m *model) actsOnPull(t *rapid.T) bool {
	what := rapid.SampledFrom([]string{"closes", "bob closes", "stale[bot] closes", "reopens", "reopens", "pushes to the branch of", "forges a commit of the bot's on", "deletes the branch of", "edits"}).Draw(t, "what")
	states := []forge.PullState{forge.Open}
	if what == "reopens" {
		states = []forge.PullState{forge.Closed}
	}
	r, pr, ok := m.somePull(t, states...)
	if !ok {
		return false
	}
	var err error
	switch what {
	case "closes":
		m.refused(r, pr)
		err = r.alice().Close(r.ID, pr.Number)
	case "bob closes":
		err = m.mem.Person("bob").Close(r.ID, pr.Number)
	case "stale[bot] closes":
		err = m.mem.Machine("stale[bot]").Close(r.ID, pr.Number)
	case "reopens":
		if err = r.alice().Reopen(r.ID, pr.Number); err == nil {
			m.unrefused(r, pr.Number)
		}
	case "pushes to the branch of":
		m.git.commit(m.urls[r.ID], pr.HeadBranch, "alice@acme.io", map[string]string{"README.md": fmt.Sprint("alice was here ", m.steps)})
	case "forges a commit of the bot's on":
		message := ""
		for _, p := range r.promotions() {
			if p.PullRequest == pr.Number {
				message = commitMessage(p.Release)
			}
		}
		self, _ := m.mem.Self(m.ctx)
		changes := map[string]string{"apps/shop/deployment.yaml": fmt.Sprint("alice was here ", m.steps)}
		m.git.commitSaying(m.urls[r.ID], pr.HeadBranch, self.Email, message, changes)
	case "deletes the branch of":
		m.refused(r, pr)
		err = r.alice().DeleteBranch(r.ID, pr.HeadBranch)
	case "edits":
		err = r.alice().Edit(r.ID, pr.Number, func(pr *forge.PullRequest) { pr.Body += "\nalice was here" })
	}
	m.logf("alice %s %s#%d %q: %v", what, r.FullName, pr.Number, pr.Title, err)
	return true
}

// readies takes away what holds a pull request where that is a draft, which anybody who may write can do.
func (m *model) readies(t *rapid.T) bool {
	r, pr, ok := m.somePull(t, forge.Open)
	if !ok || m.heldBy != "a draft" {
		return false
	}
	m.logf("alice marks %s#%d %q as ready: %v", r.FullName, pr.Number, pr.Title, r.alice().Ready(r.ID, pr.Number))
	return true
}

func (m *model) reviews(t *rapid.T) bool {
	r, pr, ok := m.somePull(t, forge.Open)
	if !ok {
		return false
	}
	who := rapid.SampledFrom([]string{"alice", "alice", "bob"}).Draw(t, "who")
	state := rapid.SampledFrom([]forge.ReviewState{forge.Approved, forge.Approved, forge.ChangesRequested, forge.Commented, forge.Dismissed}).Draw(t, "review")
	m.clock.move(time.Second)
	m.logf("%s reviews %s#%d: %s: %v", who, r.FullName, pr.Number, state, m.mem.Person(who).Review(r.ID, pr.Number, state))
	return true
}

// commits are people's commits on the default branch: another version set by hand, or something else.
func (m *model) commits(t *rapid.T) bool {
	r, n, tag := m.someRepo(t), rapid.SampledFrom([]image.Name{web, worker}).Draw(t, "image"), drawTag(t)
	if rapid.IntRange(0, 3).Draw(t, "of something else") == 0 {
		m.git.commit(m.urls[r.ID], "main", "alice@acme.io", map[string]string{"README.md": fmt.Sprint(m.steps)})
		m.logf("alice commits something else to %s", r.FullName)
		return true
	}
	digest := m.registry.tags[n][tag]
	if tag == "1.0.0" {
		digest = digestOf(n, tag, 0)
	}
	if digest == "" {
		return false
	}
	has := m.sets(r, "main")
	has[n] = setting{tag, digest}
	m.logf("alice sets %s to %s in %s by a commit", n.Base(), tag, r.FullName)
	sha := m.git.commit(m.urls[r.ID], "main", "alice@acme.io", map[string]string{"apps/shop/kustomization.yaml": kustomizationOf(has)})
	if r == m.repos[0] && m.env(r).Rollout.Merge {
		m.note(sha)
	}
	return true
}

// foreignPull is a person's own pull request, which sets a version, and is merged a little later or never.
func (m *model) foreignPull(t *rapid.T) bool {
	r := m.someRepo(t)
	for _, pr := range m.mem.All(r.ID) {
		if pr.State == forge.Open && !pr.Author.Self {
			m.person = true
			_, err := r.alice().Merge(r.ID, pr.Number)
			m.person = false
			m.logf("alice merges her own %s#%d: %v", r.FullName, pr.Number, err)
			return true
		}
	}
	n, tag := rapid.SampledFrom([]image.Name{web, worker}).Draw(t, "image"), drawTag(t)
	digest := m.registry.tags[n][tag]
	if digest == "" {
		return false
	}
	has := m.sets(r, "main")
	has[n] = setting{tag, digest}
	branch := fmt.Sprint("alice/", m.steps)
	m.git.commit(m.urls[r.ID], branch, "alice@acme.io", map[string]string{"apps/shop/kustomization.yaml": kustomizationOf(has)})
	number, err := r.alice().Open(r.ID, forge.NewPullRequest{Head: branch, Base: "main", Title: "by hand"})
	m.logf("alice opens her own %s#%d, which sets %s to %s: %v", r.FullName, number, n.Base(), tag, err)
	return true
}

// deploys lets a pipeline begin or end a rollout: of base as it is, or of an older commit.
func (m *model) deploys(t *rapid.T) bool {
	r := m.someRepo(t)
	env := m.env(r)
	if env.Rollout.Deployment == "" {
		return false
	}
	for i := range m.deployments {
		if d := &m.deployments[i]; d.repo == r && !d.done && rapid.Bool().Draw(t, "ends") {
			m.finish(d, rapid.SampledFrom([]forge.RolloutState{forge.RolloutSucceeded, forge.RolloutSucceeded, forge.RolloutFailed}).Draw(t, "how"))
			return true
		}
	}
	sha, _ := m.git.head(m.urls[r.ID], "main")
	if old := m.deployments; len(old) > 0 && rapid.IntRange(0, 4).Draw(t, "an older one") == 0 {
		if last := old[rapid.IntRange(0, len(old)-1).Draw(t, "which")]; last.repo == r {
			sha = last.sha
		}
	}
	m.deploy(r, sha)
	return true
}

func (m *model) deploy(r *infra, sha string) *deployment {
	m.clock.move(time.Second)
	m.deployments = append(m.deployments, deployment{repo: r, sha: sha, id: m.mem.Deploy(r.ID, m.env(r).Rollout.Deployment, sha)})
	m.logf("the pipeline of %s begins to roll %.7s out", r.FullName, sha)
	return &m.deployments[len(m.deployments)-1]
}

func (m *model) finish(d *deployment, state forge.RolloutState) {
	d.done = true
	m.clock.move(time.Second)
	m.mem.SetDeployment(d.repo.ID, d.id, state)
	m.logf("the rollout of %.7s in %s has %s", d.sha, d.repo.FullName, state)
	if state == forge.RolloutSucceeded && d.repo == m.repos[0] {
		m.note(d.sha)
	}
}

func (m *model) holds(t *rapid.T) bool {
	r := m.someRepo(t)
	h := promotion.Hold{Environment: m.env(r).Name, Reason: "a person says so", Actor: "alice", At: m.clock.now()}
	if rapid.Bool().Draw(t, "one image") {
		h.Images = []image.Name{rapid.SampledFrom([]image.Name{web, worker}).Draw(t, "image")}
	}
	m.logf("alice holds %v of %s", h.Images, r.FullName)
	m.operateOn(r, func(tx txn) { tx.AddHold(h) })
	return true
}

func (m *model) lifts(t *rapid.T) bool {
	r := m.someRepo(t)
	m.logf("alice lifts all holds of %s", r.FullName)
	m.operateOn(r, func(tx txn) { tx.LiftHolds(m.env(r).Name, nil) })
	return true
}
