package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/store"
)

// This file holds the rules of DESIGN.md section 6 against what the model's bot does.

type txn = *store.Tx

func isLost(err error) bool { return errors.Is(err, store.ErrLost) }

func (m *model) operateOn(r *infra, do func(tx txn)) {
	if err := m.store.Operate(m.ctx, r.key(), func(tx *store.Tx) error { do(tx); return nil }); err != nil {
		m.rt.Fatal(err)
	}
}

type setting struct {
	tag    string
	digest image.Digest
}

// sets reads what a commit or branch sets, from the kustomization that the model writes.
func (m *model) sets(r *infra, at string) map[image.Name]setting {
	has := map[image.Name]setting{}
	var name image.Name
	for line := range strings.Lines(m.git.file(m.urls[r.ID], at, "apps/shop/kustomization.yaml")) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		v := has[name]
		switch key {
		case "- name":
			name = image.Name(value)
			continue
		case "newTag":
			v.tag = value
		case "digest":
			v.digest = image.Digest(value)
		default:
			continue
		}
		has[name] = v
	}
	return has
}

func kustomizationOf(has map[image.Name]setting) string {
	var b strings.Builder
	b.WriteString("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nimages:\n")
	for _, n := range images() {
		fmt.Fprintf(&b, "  - name: %s\n    newTag: %s\n    digest: %s\n", n, has[n].tag, has[n].digest)
	}
	return b.String()
}

// moved is what a pull request's head changes against base.
func (m *model) moved(r *infra, head string) (changes []promotion.Change) {
	before, after := m.sets(r, "main"), m.sets(r, head)
	base := m.fork(r, head)
	for _, n := range images() {
		if base[n] != after[n] { // what the head itself changed, and not what base did meanwhile
			changes = append(changes, promotion.Change{Image: n, FromTag: before[n].tag, FromDigest: before[n].digest, Tag: after[n].tag, Digest: after[n].digest})
		}
	}
	return changes
}

// fork is what the commit set that a head was made on.
func (m *model) fork(r *infra, head string) map[image.Name]setting {
	m.git.mu.Lock()
	repo := m.git.repos[m.urls[r.ID]]
	inMain := map[string]bool{}
	for _, h := range repo.ancestors(repo.branches["main"]) {
		inMain[string(h)] = true
	}
	parent := ""
	for _, c := range repo.commits {
		if string(c.info.Hash) != head {
			continue
		}
		for _, h := range repo.ancestors(c.info.Hash) {
			if inMain[string(h)] {
				parent = string(h)
				break
			}
		}
	}
	m.git.mu.Unlock()
	return m.sets(r, parent)
}

// note remembers what acceptance was told to run.
func (m *model) note(sha string) {
	for n, v := range m.sets(m.repos[0], sha) {
		m.ran[string(n)+"@"+string(v.digest)] = true
	}
}

func olderTag(a, b string) bool {
	rule, err := image.Semver(">=0.0.0")
	if err != nil {
		panic(err)
	}
	return rule.Older(image.Seen{Tag: a}, image.Seen{Tag: b})
}

// merging is where the forge merges: what the bot merges is judged here, at the very moment.
func (m *model) merging(id forge.RepoID, pr forge.PullRequest) (string, error) {
	r := m.repos[id-1001]
	changes := m.moved(r, pr.HeadSHA)
	green := r.check(CheckName, pr.HeadSHA).Conclusion == forge.Success
	switch {
	case !m.person:
		m.judgeMerge(r, pr, changes, green)
	case !green && pr.Author.Self:
		m.unseen[fmt.Sprint(r.ID, "#", pr.Number)] = true
	}
	sha, err := m.git.merge(m.urls[id], pr, "merge")
	if err == nil && m.env(r).Rollout.Merge && r == m.repos[0] {
		m.note(sha)
	}
	return sha, err
}

func (m *model) judgeMerge(r *infra, pr forge.PullRequest, changes []promotion.Change, green bool) {
	env := m.env(r)
	what := fmt.Sprintf("the bot merges %s#%d %q", r.FullName, pr.Number, pr.Title)
	if !green {
		m.violate("rule 8: %s, and its gate is not green", what)
	}
	if env.Merge == promotion.MergeManual {
		m.violate("%s, which is left to people", what)
	}
	base, _ := m.git.head(m.urls[r.ID], "main")
	if files := m.git.compare(m.urls[r.ID], base, pr.HeadSHA).Files; !slices.Equal(files, []string{"apps/shop/kustomization.yaml"}) {
		m.violate("rule 8: %s, which changes %v", what, files)
	}
	holds, err := m.store.Holds(context.Background(), store.HoldFilter{Repo: r.key()})
	if err != nil {
		m.violate("read holds: %v", err)
	}
	for _, c := range changes {
		if olderTag(c.Tag, c.FromTag) {
			m.violate("rule 2: %s, which puts %s over %s", what, c.Tag, c.FromTag)
		}
		if r == m.repos[1] && !m.ran[string(c.Image)+"@"+string(c.Digest)] {
			m.violate("rule 3: %s, and acceptance never ran %s %s", what, c.Image.Base(), c.Tag)
		}
		for _, h := range holds {
			if h.Covers(env.Name, c.Image) {
				m.violate("rule 5: %s, and %s is on hold", what, c.Image.Base())
			}
		}
	}
	if env.Merge == promotion.MergeApproved && !m.approved(r, pr) {
		m.violate("rule 7: %s, and nobody who may write has approved its head", what)
	}
}

// approved tells whether alice's standing decision is an approval of exactly the head. Bob may not write.
func (m *model) approved(r *infra, pr forge.PullRequest) bool {
	reviews, err := m.mem.Reviews(context.Background(), r.Repository, pr.Number)
	if err != nil {
		return true // a fault that was meant for the bot: nothing can be said
	}
	standing := forge.Review{}
	for _, review := range reviews {
		if review.User.Login == "alice" && review.State != forge.Commented {
			standing = review
		}
	}
	return standing.State == forge.Approved && standing.CommitSHA == pr.HeadSHA
}

// refused remembers that a person means to reject what a pull request changes. What had ended already ends as it had.
func (m *model) refused(r *infra, pr forge.PullRequest) {
	for _, p := range r.promotions() {
		if p.PullRequest == pr.Number && !p.State.Active() {
			return
		}
	}
	for _, c := range m.moved(r, pr.HeadSHA) {
		m.rejected[m.key(r, c.Image, c.Digest)] = pr.Number
	}
}

func (m *model) unrefused(r *infra, number int) {
	for key, by := range m.rejected {
		if by == number && strings.HasPrefix(key, m.env(r).Name+" ") {
			delete(m.rejected, key)
		}
	}
}

func (m *model) key(r *infra, n image.Name, digest image.Digest) string {
	return fmt.Sprintf("%s %s@%s", m.env(r).Name, n, digest)
}

// rest lets the bot work until nothing is left to do: no fault, no person, only the clock, and every webhook that was lost. What is never
// done is told.
func (m *model) rest() {
	m.mem.ClearFaults()
	m.mem.Lag(false)
	writes, quiet := "", 0
	for range 40 {
		m.mem.ForgetCalls()
		for _, r := range m.repos {
			if err := m.store.Wake(m.ctx, r.key()); err != nil {
				m.rt.Fatal(err)
			}
		}
		for i := 0; m.turnOf(m.ctx, i%2); i++ {
			if i > 60 {
				m.rt.Fatalf("liveness: turns never end\n%s%s", m.repos[0].explain(), m.repos[1].explain())
			}
		}
		if len(m.violations) > 0 {
			m.always(m.rt)
		}
		writes = ""
		for _, c := range m.mem.Calls() {
			if c.Write {
				writes += "\n  " + c.String()
			}
		}
		if writes == "" {
			if quiet++; quiet == 2 {
				return
			}
		} else {
			quiet = 0
		}
		m.clock.move(11 * time.Minute)
	}
	m.rt.Fatalf("liveness: the bot never comes to rest; it still does%s\n%s%s", writes, m.repos[0].explain(), m.repos[1].explain())
}

// calm lets everything come to rest, checks the rules that hold then, and sees that what can move does.
func (m *model) calm() {
	m.rest()
	m.atRest()
	if !m.goesOn {
		return
	}
	for _, r := range m.repos {
		m.operateOn(r, func(tx txn) { tx.LiftHolds(m.env(r).Name, nil) })
	}
	for range 4 {
		for _, r := range m.repos {
			m.rollOut(r)
		}
		m.rest()
	}
	m.atRest()
	m.advanced()
}

// rollOut ends what the pipeline of a repository had begun, and rolls base out.
func (m *model) rollOut(r *infra) {
	if m.env(r).Rollout.Deployment == "" {
		return
	}
	for i := range m.deployments {
		if d := &m.deployments[i]; d.repo == r && !d.done {
			m.finish(d, forge.RolloutSucceeded)
		}
	}
	sha, _ := m.git.head(m.urls[r.ID], "main")
	m.finish(m.deploy(r, sha), forge.RolloutSucceeded)
}

// atRest checks what must hold once the bot has nothing left to do.
func (m *model) atRest() {
	for _, r := range m.repos {
		env := m.env(r)
		promotions := r.promotions()
		own := 0
		for _, p := range promotions {
			if p.ToClose && !p.State.Active() {
				m.fail(r, "%s has ended as %s, but its pull request was never closed", p.ID, p.State)
			}
			if p.State.Active() && !p.Kept && !p.Modified {
				own++
			}
			if m.unseen[fmt.Sprint(r.ID, "#", p.PullRequest)] && !p.MergedAt.IsZero() && !p.AgainstGate {
				m.fail(r, "rule 10: #%d was merged by a person while its gate was not green, and is not shown as such", p.PullRequest)
			}
		}
		if env.MaxOpen > 0 && own > env.MaxOpen {
			m.fail(r, "rule 1: %d open pull requests, maxOpen is %d", own, env.MaxOpen)
		}
		for _, pr := range r.open() {
			m.checkOpen(r, pr, promotions)
		}
		for _, n := range images() {
			open := 0
			for _, p := range promotions {
				if p.State.Active() && p.Release.Moves(n) && !p.Kept && !p.Modified {
					open++
				}
			}
			if open > 2 {
				m.fail(r, "rule 6: %d open releases of %s, want at most the furthest and the newest", open, n)
			}
			m.checkExplained(r, n, promotions)
		}
	}
	if _, err := m.store.AuditVerify(m.ctx); err != nil {
		m.rt.Fatalf("the audit trail: %v", err)
	}
}

func (m *model) fail(r *infra, format string, args ...any) {
	m.rt.Fatalf("%s: %s\n%s%s", r.FullName, fmt.Sprintf(format, args...), m.repos[0].explain(), m.repos[1].explain())
}

// checkOpen checks an open pull request of a bot at rest.
func (m *model) checkOpen(r *infra, pr forge.PullRequest, promotions []promotion.Promotion) {
	i := slices.IndexFunc(promotions, func(p promotion.Promotion) bool { return p.PullRequest == pr.Number })
	if i < 0 {
		m.fail(r, "#%d belongs to no promotion", pr.Number)
	}
	p := promotions[i]
	check := r.check(CheckName, pr.HeadSHA)
	if check.Name == "" {
		m.fail(r, "#%d shows no gate on its head", pr.Number)
	}
	if r == m.repos[1] && check.Conclusion == forge.Success {
		m.checkGreen(r, pr)
	}
	if pr.Ungated != (m.heldBy == "a draft" && check.Conclusion == forge.Success) {
		m.fail(r, "#%d, whose gate is %s, is ungated: %v", pr.Number, check.Conclusion, pr.Ungated)
	}
	if p.Modified || p.Kept {
		return
	}
	if pr.Mergeability == forge.Conflicting {
		m.fail(r, "rule 9: #%d conflicts and was neither rebuilt nor closed", pr.Number)
	}
	words := map[forge.Conclusion]string{forge.Success: "**It may be merged.**", forge.Pending: "**It waits:**", forge.Failure: "**It must not be merged:**"}
	if !strings.Contains(pr.Body, words[check.Conclusion]) {
		m.fail(r, "the body of #%d does not say that its gate is %s:\n%s", pr.Number, check.Conclusion, pr.Body)
	}
	changes := m.moved(r, pr.HeadSHA)
	changed := false
	for _, c := range changes {
		if olderTag(c.Tag, c.FromTag) {
			m.fail(r, "rule 2: #%d would put %s over %s", pr.Number, c.Tag, c.FromTag)
		}
		changed = changed || c.Digest != c.FromDigest || c.Tag != c.FromTag
		if by := m.rejected[m.key(r, c.Image, c.Digest)]; by != 0 {
			m.fail(r, "rule 4: #%d moves %s to %s, which was rejected by closing #%d", pr.Number, c.Image.Base(), c.Tag, by)
		}
	}
	if !changed {
		m.fail(r, "rule 1: #%d changes nothing", pr.Number)
	}
}

// checkGreen checks rule 3: no gate is green unless acceptance demonstrably runs exactly these digests.
func (m *model) checkGreen(r *infra, pr forge.PullRequest) {
	before, after, made := m.sets(r, "main"), m.sets(r, pr.HeadSHA), m.fork(r, pr.HeadSHA)
	var moved []image.Name
	for _, n := range images() {
		if before[n] != after[n] && made[n] != after[n] {
			moved = append(moved, n)
		}
	}
	if len(moved) == 0 {
		return // what a person has on the branch by now concerns nobody
	}
	runs := m.sets(m.repos[0], "main")
	if name := m.env(m.repos[0]).Rollout.Deployment; name != "" {
		list, err := m.mem.Deployments(context.Background(), m.repos[0].Repository, name, 100)
		if err != nil {
			m.rt.Fatal(err)
		}
		if len(list) == 0 || list[0].State != forge.RolloutSucceeded {
			m.fail(r, "rule 3: the gate of #%d is green although the newest rollout of acceptance has not succeeded", pr.Number)
		}
		runs = m.sets(m.repos[0], list[0].SHA)
	}
	for _, n := range moved {
		if runs[n].digest != after[n].digest {
			m.fail(r, "rule 3: the gate of #%d is green for %s %s, and acceptance runs %s", pr.Number, n.Base(), after[n].tag, runs[n].tag)
		}
	}
}

// best is the newest version of an image that the registry has and the bot has heard of.
func (m *model) best(r *infra, n image.Name) (best image.Seen, ok bool) {
	tags, err := m.store.Tags(m.ctx, []image.Name{n})
	if err != nil {
		m.rt.Fatal(err)
	}
	rule, err := image.Semver(">=1.0.0")
	if err != nil {
		m.rt.Fatal(err)
	}
	var seen []image.Seen
	for tag, known := range tags[n] {
		if digest := m.registry.tags[n][tag]; digest != "" && known.Digest == digest {
			seen = append(seen, image.Seen{Tag: tag, Digest: digest, First: known.First})
		}
	}
	best, ok = rule.Best(seen)
	has := m.sets(r, "main")[n]
	return best, ok && rule.Newer(best, image.Seen{Tag: has.tag, Digest: has.digest})
}

// checkExplained checks rule 11: an image that has news runs the newest, is in an open pull request, or has a note that says why not.
func (m *model) checkExplained(r *infra, n image.Name, promotions []promotion.Promotion) {
	best, news := m.best(r, n)
	if !news {
		return
	}
	for _, p := range promotions {
		if p.State.Active() && slices.ContainsFunc(p.Release.Changes, func(c promotion.Change) bool { return c.Image == n && !olderTag(c.Tag, best.Tag) }) {
			return
		}
	}
	for _, note := range r.notes() {
		if note.Say != "" && (note.Image == n || note.Image == "" && strings.Contains("+"+note.App+"+", n.Base())) {
			return
		}
	}
	m.fail(r, "rule 11: %s %s is newer than %s, and nothing says why it does not move", n, best.Tag, m.sets(r, "main")[n].tag)
}

// advanced checks liveness: with nobody in the way an environment that merges by itself ends up at the newest version.
func (m *model) advanced() {
	for _, r := range m.repos {
		env := m.env(r)
		inTheWay := len(m.rejected) > 0 || slices.ContainsFunc(r.promotions(), func(p promotion.Promotion) bool {
			return p.State.Active() && (p.Modified || p.Kept || p.LastError != "") || p.State == promotion.Rejected // what failed says why
		})
		if env.Merge != promotion.MergeAuto || env.Together || inTheWay || r == m.repos[1] && m.env(m.repos[0]).Merge != promotion.MergeAuto {
			if r == m.repos[0] {
				return
			}
			continue
		}
		for _, n := range images() {
			if best, news := m.best(r, n); news {
				m.fail(r, "liveness: %s stays at %s although %s could move", n, m.sets(r, "main")[n].tag, best.Tag)
			}
		}
	}
}
