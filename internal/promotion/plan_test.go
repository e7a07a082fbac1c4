package promotion

import (
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/gate"
)

func acceptance() Environment {
	return Environment{Name: "acceptance", Rollout: Rollout{Merge: true}, Pin: PinTagAndDigest, Merge: MergeManual, Settle: time.Minute, Mode: Propose, MaxOpen: 10}
}

func production() Environment {
	return Environment{
		Name: "production", After: []EnvRef{{"acme/infra-acceptance", "acceptance"}}, Rollout: Rollout{Merge: true}, Pin: PinTagAndDigest,
		Merge: MergeManual, Settle: time.Minute, Mode: Propose, MaxOpen: 10,
	}
}

func both(s *sim, tag string) {
	s.push(web, tag, 1)
	s.push(worker, tag, 1)
}

func TestBothPullRequestsOpenAtOnceAndProductionWaits(t *testing.T) {
	s := newSim(acceptance(), production())
	both(s, "1.1.0")
	s.rest()
	for i, want := range []gate.State{gate.Allow, gate.Wait} {
		open := s.repos[i].open()
		if len(open) != 1 || open[0].shown != want || len(open[0].release.Changes) != 2 {
			t.Fatalf("%s has %d open pull requests, want 1 of 2 images that shows %s", s.repos[i].name, len(open), want)
		}
	}
	s.merge(s.repos[0], 1, Person{Login: "alice", CanWrite: true})
	s.rest()
	if got := s.repos[1].open()[0].shown; got != gate.Allow {
		t.Errorf("production's gate shows %s after acceptance runs the release, want allow", got)
	}
	if got := s.repos[0].promotions[0].State; got != Deployed {
		t.Errorf("acceptance's promotion is %s, want deployed", got)
	}
}

func TestAnAppWaitsForItsOtherImagesUntilSettled(t *testing.T) {
	s := newSim(acceptance(), production())
	s.push(web, "1.1.0", 1)
	d := s.turn(s.repos[0], -1)
	if len(s.repos[0].open()) != 0 || len(d.Notes) == 0 || d.Wake.IsZero() {
		t.Fatalf("opened %d pull requests, notes %v, wake %v; want none, a note and a wake-up", len(s.repos[0].open()), d.Notes, d.Wake)
	}
	s.now = d.Wake
	s.rest()
	if open := s.repos[0].open(); len(open) != 1 || len(open[0].release.Changes) != 1 {
		t.Errorf("after settling %d pull requests are open, want 1 of 1 image", len(open))
	}
}

// TestSettlingBeginsWithTheNews holds a release that is open for long against the next: that it waits for nobody does not mean that the
// news of one image need not wait for those of the others.
func TestSettlingBeginsWithTheNews(t *testing.T) {
	s := newSim(acceptance(), production())
	both(s, "1.1.0")
	s.rest()
	s.now = s.now.Add(time.Hour)
	s.push(worker, "1.2.0", 1)
	if d := s.turn(s.repos[0], -1); !d.Wake.After(s.now) || len(s.repos[0].promotions) != 1 {
		t.Fatalf("%d promotions were begun, next turn at %v; want only 1.1.0's until web's 1.2.0 had a minute to come", len(s.repos[0].promotions), d.Wake)
	}
	s.push(web, "1.2.0", 1)
	s.rest()
	open := s.repos[0].open()
	if len(open) != 1 || open[0].release.Label() != "1.2.0" || len(s.repos[0].promotions) != 2 {
		t.Errorf("%d promotions were begun, the open ones are %v; want 1.1.0, and 1.2.0 in its place", len(s.repos[0].promotions), open)
	}
}

func TestTogetherWaitsForEver(t *testing.T) {
	env := acceptance()
	env.Together = true
	s := newSim(env, production())
	s.push(web, "1.1.0", 1)
	s.now = s.now.Add(24 * time.Hour)
	s.rest()
	if n := len(s.repos[0].open()); n != 0 {
		t.Fatalf("%d pull requests are open, want none before worker has the tag", n)
	}
	s.push(worker, "1.1.0", 1)
	s.rest()
	if n := len(s.repos[0].open()); n != 1 {
		t.Errorf("%d pull requests are open, want 1", n)
	}
}

func TestNewerReleaseSupersedesInTheFirstEnvironmentAndJoinsInTheNext(t *testing.T) {
	s := newSim(acceptance(), production())
	both(s, "1.1.0")
	s.rest()
	s.merge(s.repos[0], 1, Person{Login: "alice", CanWrite: true})
	s.rest()
	both(s, "1.2.0")
	s.rest()
	open := s.repos[1].open()
	if len(open) != 2 {
		t.Fatalf("production has %d open pull requests, want the one furthest along and the newest", len(open))
	}
	both(s, "1.3.0")
	s.rest()
	if open := s.repos[0].open(); len(open) != 1 || open[0].release.Label() != "1.3.0" {
		t.Errorf("acceptance has %d open pull requests, want only 1.3.0", len(open))
	}
	open = s.repos[1].open()
	if len(open) != 2 || open[0].release.Label() != "1.1.0" || open[1].release.Label() != "1.3.0" {
		t.Errorf("production has %d open pull requests, want 1.1.0 and 1.3.0", len(open))
	}
}

func TestClosingRejectsUnderWhateverTag(t *testing.T) {
	s := newSim(acceptance(), production())
	both(s, "1.1.0")
	s.rest()
	alice := Person{Login: "alice", CanWrite: true}
	p := s.repos[1].pulls[1]
	p.State, p.ClosedBy = PullClosed, alice
	s.rest()
	for _, n := range []string{"web", "worker"} {
		name := web
		if n == "worker" {
			name = worker
		}
		s.now = s.now.Add(time.Second)
		s.registry[name] = append(s.registry[name], Known{Seen: seen("1.1.1", s.registry[name][0].Digest, s.now)})
	}
	s.rest()
	if n := len(s.repos[1].open()); n != 0 {
		t.Fatalf("production has %d open pull requests, want none: the same digests were rejected", n)
	}
	if !strings.Contains(notesText(s.repos[1].notes), "rejected by alice") {
		t.Errorf("notes %q do not tell that alice rejected it", notesText(s.repos[1].notes))
	}
	p.State, p.ClosedBy = PullOpen, Person{}
	s.rest()
	if len(s.repos[1].rejections) != 0 {
		t.Errorf("%d rejections stand after the pull request was reopened", len(s.repos[1].rejections))
	}
}

func TestABotsCloseIsUndoneOnceThenHeld(t *testing.T) {
	s := newSim(acceptance(), production())
	both(s, "1.1.0")
	s.rest()
	p := s.repos[0].pulls[1]
	p.State, p.ClosedBy = PullClosed, Person{Login: "stale[bot]", Bot: true, CanWrite: true}
	s.rest()
	if p.State != PullOpen {
		t.Fatalf("the pull request is %s, want it reopened", p.State)
	}
	p.State, p.ClosedBy = PullClosed, Person{Login: "stale[bot]", Bot: true, CanWrite: true}
	s.rest()
	if p.State != PullClosed || len(s.repos[0].holds) != 1 {
		t.Errorf("the pull request is %s with %d holds, want closed and one hold", p.State, len(s.repos[0].holds))
	}
}

func TestARevertHoldsTheAppUntilAPersonMerges(t *testing.T) {
	s := newSim(acceptance(), production())
	both(s, "1.1.0")
	s.rest()
	s.merge(s.repos[0], 1, Person{Login: "alice", CanWrite: true})
	s.rest()
	s.commit(s.repos[0], web, "1.0.0", digestOf(web, "1.0.0"))
	s.rest()
	if len(s.repos[0].holds) != 1 {
		t.Fatalf("%d holds, want 1", len(s.repos[0].holds))
	}
	both(s, "1.2.0")
	s.rest()
	if n := len(s.repos[0].open()); n != 0 {
		t.Errorf("%d pull requests are open on a held app, want none", n)
	}
	if got := notesText(s.repos[0].notes); !strings.Contains(got, "on hold") {
		t.Errorf("notes %q do not tell of the hold", got)
	}
}

func TestMaxOpenLimitsAndSaysSo(t *testing.T) {
	env := acceptance()
	env.MaxOpen, env.Groups = 1, [][]string{{"web"}, {"worker"}}
	s := newSim(env, production())
	both(s, "1.1.0")
	s.rest()
	if n := len(s.repos[0].open()); n != 1 {
		t.Fatalf("%d pull requests are open, want 1", n)
	}
	if got := notesText(s.repos[0].notes); !strings.Contains(got, "maxOpen") {
		t.Errorf("notes %q do not name maxOpen", got)
	}
	s.push(web, "1.2.0", 1)
	s.rest()
	if open := s.repos[0].open(); len(open) != 1 || open[0].release.Label() != "1.2.0" {
		t.Errorf("a newer release of the open app must take its place within the limit")
	}
}

func TestObserveOnlyTells(t *testing.T) {
	env := acceptance()
	env.Mode = Observe
	s := newSim(env, production())
	both(s, "1.1.0")
	d := s.turn(s.repos[0], -1)
	if len(d.Actions) != 0 || !strings.Contains(notesText(d.Notes), "would propose 1.1.0") {
		t.Errorf("actions %v, notes %q; want no action and what would be proposed", d.Actions, notesText(d.Notes))
	}
}

func TestAPersonsCommitOnTheBranchIsRespected(t *testing.T) {
	s := newSim(acceptance(), production())
	both(s, "1.1.0")
	s.rest()
	p := s.repos[0].pulls[1]
	p.Foreign, p.Head, p.Conflicting = true, "alice's commit", true
	both(s, "1.2.0")
	s.rest()
	if p.State != PullOpen || p.Head != "alice's commit" {
		t.Errorf("the pull request is %s at %q, want it untouched", p.State, p.Head)
	}
	if !s.repos[0].promotions[0].Modified {
		t.Error("the promotion does not say that a person changed it")
	}
}

func TestAutoMergeMergesOnlyWhatTheGateAllows(t *testing.T) {
	a, b := acceptance(), production()
	a.Merge, b.Merge = MergeAuto, MergeAuto
	s := newSim(a, b)
	both(s, "1.1.0")
	if s.rest() < 0 {
		t.Fatal("the bot never comes to rest")
	}
	for _, r := range s.repos {
		if r.base[web].Tag != "1.1.0" || r.base[worker].Tag != "1.1.0" {
			t.Errorf("%s has %s, want 1.1.0", r.name, r.base[web].Tag)
		}
	}
	if s.repos[1].pulls[1].MergedAt.Before(s.repos[0].pulls[1].MergedAt) {
		t.Error("production went first")
	}
}

func TestAMergeAgainstTheGateIsRecorded(t *testing.T) {
	s := newSim(acceptance(), production())
	both(s, "1.1.0")
	s.rest()
	s.merge(s.repos[1], 1, Person{Login: "bob", CanWrite: true})
	s.rest()
	pr := s.repos[1].promotions[0]
	if !pr.AgainstGate || pr.MergedBy != "bob" {
		t.Errorf("against gate %v by %q, want true by bob", pr.AgainstGate, pr.MergedBy)
	}
}

func notesText(notes []Note) string {
	var all []string
	for _, n := range notes {
		all = append(all, n.Say)
	}
	return strings.Join(all, "; ")
}

// People ask by image, so a sentence about a release stands with each of its images.
func TestWhatWaitsIsSaidOfEveryImageOfTheRelease(t *testing.T) {
	a := acceptance()
	a.MaxOpen = 1
	s := newSim(a, production())
	r := s.repos[0]
	both(s, "1.1.0")
	s.turn(r, -1)
	r.promotions[0].Modified = true // a person's: it makes no room for a newer one
	both(s, "1.2.0")
	d := s.turn(r, -1)
	said := map[string]bool{}
	for _, n := range d.Notes {
		said[n.Image.Base()] = strings.Contains(n.Say, "maxOpen is 1")
	}
	if !said["web"] || !said["worker"] {
		t.Errorf("notes %+v; want one for each image", d.Notes)
	}
}
