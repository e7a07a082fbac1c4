package promotion

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/image"
)

// TestHistories drives the bot through random histories of pushes, merges, closes, reopenings, reverts, conflicts, crashes between any two
// steps, repeats and reorderings, and checks the rules of a promotion's life after every step and when the bot has come to rest.
func TestHistories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := acceptance(), production()
		a.Merge = rapid.SampledFrom([]MergeMode{MergeManual, MergeAuto}).Draw(t, "acceptance merges")
		b.Merge = rapid.SampledFrom([]MergeMode{MergeManual, MergeAuto}).Draw(t, "production merges")
		a.MaxOpen = rapid.IntRange(0, 2).Draw(t, "maxOpen")
		a.Together = rapid.Bool().Draw(t, "together")
		if rapid.Bool().Draw(t, "apart") {
			a.Groups, b.Groups = [][]string{{"web"}, {"worker"}}, [][]string{{"web"}, {"worker"}}
		}
		s := newSim(a, b)
		h := history{t: t, s: s}
		n := rapid.IntRange(5, 40).Draw(t, "length")
		for i := range n {
			h.step(fmt.Sprintf("step %d", i))
			h.always()
		}
		for range 3 { // let every settling time pass
			s.now = s.now.Add(5 * time.Minute)
			if s.rest() < 0 {
				for _, r := range s.repos {
					for _, a := range s.turn(r, 0).Actions {
						t.Logf("%s still wants %T %s", r.name, a, a.about())
					}
				}
				t.Fatal("the bot never comes to rest")
			}
			h.always()
		}
		h.atRest()
	})
}

type history struct {
	t *rapid.T
	s *sim
	n int // makes pushed versions differ
}

func (h *history) step(name string) {
	t, s := h.t, h.s
	repo := s.repos[rapid.IntRange(0, 1).Draw(t, name+" repo")]
	img := rapid.SampledFrom([]image.Name{web, worker}).Draw(t, name+" image")
	tag := fmt.Sprintf("1.%d.%d", rapid.IntRange(0, 6).Draw(t, name+" minor"), rapid.IntRange(0, 1).Draw(t, name+" patch"))
	what := rapid.SampledFrom([]string{
		"push", "push", "push both", "push both", "push again", "turn", "turn", "turn", "crash", "crash", "merge", "merge", "close", "bot closes", "reopen",
		"revert", "forward", "person's commit on the branch", "clock",
	}).Draw(t, name)
	switch what {
	case "push":
		s.push(img, tag, 1)
	case "push both":
		both(s, tag)
	case "push again": // the same tag with another content: it moves
		h.n++
		s.push(img, tag, 1+h.n)
	case "turn":
		s.turn(repo, -1)
	case "crash":
		s.turn(repo, rapid.IntRange(0, 8).Draw(t, name+" dies after"))
	case "clock":
		s.now = s.now.Add(time.Duration(rapid.IntRange(1, 120).Draw(t, name+" seconds")) * time.Second)
	case "revert", "forward":
		h.commit(name, repo, img, what)
	default:
		h.onPull(name, repo, what)
	}
}

// commit is a person who sets another version on base by hand.
func (h *history) commit(name string, repo *simRepo, img image.Name, what string) {
	has := repo.base[img]
	var choices []Known
	for _, k := range h.s.registry[img] {
		if (k.Tag < has.Tag) == (what == "revert") && k.Tag != has.Tag {
			choices = append(choices, k)
		}
	}
	if len(choices) > 0 {
		k := choices[rapid.IntRange(0, len(choices)-1).Draw(h.t, name+" to")]
		h.s.commit(repo, img, k.Tag, k.Digest)
	}
}

func (h *history) onPull(name string, repo *simRepo, what string) {
	var pulls []*simPull
	for n := 1; n <= len(repo.pulls); n++ {
		p := repo.pulls[n]
		if (what == "reopen") == (p.State == PullClosed) && p.State != PullMerged {
			pulls = append(pulls, p)
		}
	}
	if len(pulls) == 0 {
		return
	}
	p := pulls[rapid.IntRange(0, len(pulls)-1).Draw(h.t, name+" pull request")]
	alice := Person{Login: "alice", CanWrite: true}
	switch what {
	case "merge":
		h.s.merge(repo, p.Number, alice)
	case "close":
		p.State, p.ClosedBy = PullClosed, alice
		// What a person reopens and closes again before the bot looks had ended anyway, and ends as it had.
		ended := slices.ContainsFunc(repo.promotions, func(pr Promotion) bool {
			return pr.PullRequest == p.Number && (pr.State == Superseded || pr.State == Stale)
		})
		if !ended {
			repo.recordRejection(p, true)
		}
	case "bot closes":
		p.State, p.ClosedBy = PullClosed, Person{Login: "stale[bot]", Bot: true}
	case "reopen":
		p.State, p.ClosedBy = PullOpen, Person{}
		repo.recordRejection(p, false)
	case "person's commit on the branch":
		p.Foreign, p.Head = true, p.Head+" and alice's"
	}
}

// recordRejection keeps, apart from the bot, what people mean to be rejected.
func (r *simRepo) recordRejection(p *simPull, on bool) {
	for _, c := range p.release.Changes {
		key := string(c.Image) + "@" + string(c.Digest)
		if on {
			r.rejectedBy[key] = p.branch
		} else if r.rejectedBy[key] == p.branch {
			delete(r.rejectedBy, key)
		}
	}
}

// always checks what must hold at every moment, whatever happened.
func (h *history) always() {
	for _, r := range h.s.repos {
		branches := map[string]int{}
		for _, p := range r.open() {
			branches[p.branch]++
			if branches[p.branch] > 1 {
				h.t.Fatalf("rule 1: two open pull requests of one release %s in %s", p.release.Label(), r.name)
			}
		}
		for _, m := range r.merges {
			if m.byBot && olderTag(m.change.Tag, m.was.Tag) {
				h.t.Fatalf("rule 2: the bot merged %s over %s in %s", m.change.Tag, m.was.Tag, r.name)
			}
		}
	}
}

func olderTag(a, b string) bool {
	rule := must(image.Semver(">=0.0.0"))
	return rule.Older(image.Seen{Tag: a}, image.Seen{Tag: b})
}

// atRest checks what must hold once the bot has nothing left to do.
func (h *history) atRest() {
	for _, r := range h.s.repos {
		env := r.env()
		if env.MaxOpen > 0 {
			n := 0
			for _, pr := range r.promotions {
				if pr.State.Active() && !pr.Kept && !pr.Modified {
					n++
				}
			}
			if n > env.MaxOpen {
				h.t.Fatalf("rule 1: %d open pull requests in %s, maxOpen is %d", n, r.name, env.MaxOpen)
			}
		}
		for _, p := range r.open() {
			h.checkOpen(r, p)
		}
		for _, img := range []image.Name{web, worker} {
			h.checkExplained(r, img)
			open := 0
			for _, pr := range r.promotions {
				if pr.State.Active() && pr.Release.Moves(img) && !pr.Kept && !pr.Modified {
					open++
				}
			}
			if open > 2 {
				h.t.Fatalf("rule 6: %d open releases of %s in %s, want at most the furthest and the newest", open, img, r.name)
			}
		}
		for _, p := range r.promotions {
			if p.ToClose && !p.State.Active() {
				h.t.Fatalf("%s of %s has ended as %s, but its pull request was never closed", p.ID, r.name, p.State)
			}
		}
	}
}

// checkOpen checks an open pull request of a bot at rest.
func (h *history) checkOpen(r *simRepo, p *simPull) {
	i := slices.IndexFunc(r.promotions, func(pr Promotion) bool { return pr.PullRequest == p.Number })
	if i < 0 {
		h.t.Fatalf("pull request %d of %s belongs to no promotion", p.Number, r.name)
	}
	pr := r.promotions[i]
	if pr.Modified || pr.Kept {
		return
	}
	if p.Conflicting {
		h.t.Fatalf("rule 9: pull request %d of %s conflicts and was neither rebuilt nor closed", p.Number, r.name)
	}
	changed := false
	for _, c := range p.release.Changes {
		has := r.base[c.Image]
		if olderTag(c.Tag, has.Tag) {
			h.t.Fatalf("rule 2: pull request %d of %s would put %s over %s", p.Number, r.name, c.Tag, has.Tag)
		}
		changed = changed || c.Digest != has.Digest
		if by := r.rejectedBy[string(c.Image)+"@"+string(c.Digest)]; by != "" {
			h.t.Fatalf("rule 4: %s of %s is open again after it was rejected by closing %s", c.Tag, c.Image, by)
		}
	}
	if !changed {
		h.t.Fatalf("rule 1: pull request %d of %s changes nothing", p.Number, r.name)
	}
	if r == h.s.repos[1] && p.shown == gate.Allow {
		for _, c := range p.release.Changes {
			if h.s.repos[0].base[c.Image].Digest != c.Digest {
				h.t.Fatalf("rule 3: production's gate is green for %s %s, and acceptance runs %s", c.Image.Base(), c.Tag, h.s.repos[0].base[c.Image].Tag)
			}
		}
	}
}

// checkExplained checks rule 11: an image that has news runs the newest, is in an open pull request, or has a note that says why not.
func (h *history) checkExplained(r *simRepo, img image.Name) {
	rule := must(image.Semver(">=1.0.0"))
	var seen []image.Seen
	for _, k := range h.s.registry[img] {
		seen = append(seen, k.Seen)
	}
	best, ok := rule.Best(seen)
	if !ok || !rule.Newer(best, image.Seen{Tag: r.base[img].Tag, Digest: r.base[img].Digest}) {
		return
	}
	for _, pr := range r.promotions {
		if pr.State.Active() && slices.ContainsFunc(pr.Release.Changes, func(c Change) bool { return c.Image == img && c.Digest == best.Digest }) {
			return
		}
	}
	for _, n := range r.notes {
		if n.Say != "" && (n.Image == img || n.Image == "" || slices.ContainsFunc(Apps(r.env(), r.listings()), func(a App) bool {
			return a.Name == n.App && slices.Contains(a.Images, img)
		})) {
			return
		}
	}
	h.t.Fatalf("rule 11: %s %s is newer than %s in %s, and nothing says why it does not move", img, best.Tag, r.base[img].Tag, r.name)
}
