package promotion

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/boatlift/boatlift/internal/gate"
)

// soakingShop is acceptance, which the bot merges, before production, which lets releases soak for half an hour.
func soakingShop(merge MergeMode) *sim {
	a, p := acceptance(), production()
	a.Merge, p.Merge = MergeAuto, merge
	a.GroupAll, p.GroupAll = true, true
	p.Policies = []gate.Use{{Policy: "soak", Parameters: map[string]any{"for": "30m"}}}
	return newSim(a, p)
}

// TestPushesFasterThanTheSoakNeverStarveProduction pushes again and again for four hours, always before the last release has soaked.
func TestPushesFasterThanTheSoakNeverStarveProduction(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		merge := rapid.SampledFrom([]MergeMode{MergeAuto, MergeManual}).Draw(t, "production merges")
		s := soakingShop(merge)
		begin, pushes := s.now, 0
		next := s.now
		looks := rapid.IntRange(1, 5).Draw(t, "a person looks every so many steps")
		for step := 0; s.now.Before(begin.Add(4 * time.Hour)); step++ {
			if !s.now.Before(next) {
				pushes++
				both(s, fmt.Sprintf("1.%d.0", pushes))
				next = next.Add(time.Duration(rapid.IntRange(1, 25).Draw(t, "minutes to the next push")) * time.Minute)
			}
			rule3(t, s)
			production := s.repos[1]
			for _, pull := range production.open() { // a person looks every now and then, and merges what is green
				if merge == MergeManual && pull.shown == gate.Allow && step%looks == 0 {
					s.merge(production, pull.Number, Person{Login: "alice", CanWrite: true})
				}
			}
			s.now = s.now.Add(3 * time.Minute)
		}
		merges := 0
		for _, pull := range s.repos[1].pulls {
			if pull.State == PullMerged {
				merges++
			}
		}
		if merges < 3 {
			t.Fatalf("production advanced %d times in four hours of %d pushes; a soak is half an hour, and people have as long again", merges, pushes)
		}
	})
}

// rule3: production's gate is green only while acceptance runs exactly its digests.
func rule3(t *rapid.T, s *sim) {
	if s.rest() < 0 {
		t.Fatal("the bot never comes to rest")
	}
	for _, pull := range s.repos[1].open() {
		for _, c := range pull.release.Changes {
			if pull.shown == gate.Allow && s.repos[0].base[c.Image].Digest != c.Digest {
				t.Fatalf("rule 3: production's gate is green for %s, and acceptance runs %s", c.Tag, s.repos[0].base[c.Image].Tag)
			}
		}
	}
}

// soaks is acceptance at rest with 1.1.0 running, which soaks for production, and 1.2.0 open.
func soaks(t *testing.T) (*sim, *simRepo) {
	t.Helper()
	s := soakingShop(MergeManual)
	both(s, "1.1.0")
	s.rest()
	both(s, "1.2.0")
	s.rest()
	r := s.repos[0]
	if r.base[web].Tag != "1.1.0" || len(r.open()) != 1 {
		t.Fatalf("acceptance runs %s with %d open; want 1.1.0, and 1.2.0 open", r.base[web].Tag, len(r.open()))
	}
	return s, r
}

func TestWhatHoldsAcceptanceBackIsSaid(t *testing.T) {
	s, r := soaks(t)
	pr := r.promotions[len(r.promotions)-1]
	for _, want := range []string{"acme/infra-production:production lets 1.1.0 run here undisturbed until 2026-03-02 09:30 UTC", "people merge it there until 2026-03-02 10:00 UTC", "a person may do so before"} {
		if !strings.Contains(pr.Next, want) {
			t.Errorf("it says %q; want %q", pr.Next, want)
		}
	}
	if pr.Gate.State != gate.Allow {
		t.Errorf("its gate is %s; want it green, so that a person may merge it", pr.Gate.State)
	}
	if d := Plan(s.world(r)); d.Wake.IsZero() || d.Wake.After(s.now.Add(2*time.Minute)) {
		t.Errorf("looked at again %v; want soon", d.Wake)
	}
}

func TestWhatNeedsNotSoakHoldsNothingBack(t *testing.T) {
	for name, change := range map[string]func(*sim, *simRepo){
		"production rejected it": func(s *sim, _ *simRepo) {
			p := s.repos[1].open()[0]
			p.State, p.ClosedBy = PullClosed, Person{Login: "alice", CanWrite: true}
			s.turn(s.repos[1], -1)
		},
		"production is on hold": func(s *sim, _ *simRepo) {
			s.repos[1].holds = []Hold{{Environment: "production", Reason: "the fair is on"}}
			s.turn(s.repos[1], -1)
		},
		"nobody merged it in time": func(s *sim, _ *simRepo) { s.now = s.now.Add(61 * time.Minute) },
		"its rollout failed": func(_ *sim, r *simRepo) {
			r.cfg.Environments[0].Rollout = Rollout{Deployment: "acceptance"}
			run := r.running["acceptance"]
			run.State = "failed"
			r.running["acceptance"] = run
		},
		"acceptance is merged by people": func(s *sim, r *simRepo) {
			s.merge(r, r.open()[0].Number, Person{Login: "alice", CanWrite: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, r := soaks(t)
			change(s, r)
			s.rest()
			if got := r.base[web].Tag; got != "1.2.0" {
				t.Errorf("acceptance has %s; want 1.2.0\n%+v", got, r.promotions[len(r.promotions)-1].Next)
			}
		})
	}
}

// Another app of the environment is rolled out while this one soaks.
func TestASoakGoesOnWhileSomethingElseIsRolledOut(t *testing.T) {
	s, r := soaks(t)
	r.cfg.Environments[0].Rollout = Rollout{Deployment: "acceptance", Timeout: time.Hour}
	run := r.running["acceptance"]
	run.State = "running"
	r.running["acceptance"] = run
	s.rest()
	if got := r.base[web].Tag; got != "1.1.0" {
		t.Errorf("acceptance has %s; want 1.1.0, which soaks", got)
	}
}

// rollingOut is acceptance with 1.1.0 merged by the bot and not rolled out yet, and 1.2.0 pushed meanwhile.
func rollingOut(t *testing.T) (*sim, *simRepo) {
	t.Helper()
	s := soakingShop(MergeAuto)
	r := s.repos[0]
	s.rest()
	r.cfg.Environments[0].Rollout = Rollout{Deployment: "acceptance", Timeout: time.Hour}
	both(s, "1.1.0")
	s.rest()
	both(s, "1.2.0")
	s.rest()
	if len(r.open()) != 1 || r.open()[0].release.Label() != "1.2.0" {
		t.Fatalf("acceptance has %d open pull requests; want 1.2.0", len(r.open()))
	}
	return s, r
}

// Otherwise releases that come faster than rollouts end would never let one soak.
func TestWhatIsToSoakIsRolledOutBeforeTheNextIsMerged(t *testing.T) {
	s, r := rollingOut(t)
	if got := r.base[web].Tag; got != "1.1.0" {
		t.Fatalf("acceptance has %s; want 1.1.0, which has yet to be rolled out and to soak", got)
	}
	if got, want := r.promotions[len(r.promotions)-1].Next, "1.1.0, which was merged before, is rolled out here until 2026-03-02 10:00 UTC at most"; !strings.Contains(got, want) {
		t.Errorf("it says %q; want %q", got, want)
	}
	open := s.repos[1].open()
	if len(open) != 2 || open[0].release.Label() != "1.1.0" || open[1].release.Label() != "1.2.0" {
		t.Fatalf("production has %d open pull requests; want 1.1.0, which is about to run in acceptance, and 1.2.0", len(open))
	}
	r.observeRunning(s.now)
	s.rest()
	s.now = s.now.Add(30 * time.Minute)
	s.rest()
	if got := s.repos[1].base[web].Tag; got != "1.1.0" {
		t.Errorf("after the soak production has %s; want 1.1.0", got)
	}
	s.now = s.now.Add(3 * time.Minute)
	s.rest()
	if got := r.base[web].Tag; got != "1.2.0" {
		t.Errorf("then acceptance has %s; want 1.2.0", got)
	}
}

func TestARolloutThatNeverEndsIsNotWaitedForForEver(t *testing.T) {
	s, r := rollingOut(t)
	s.now = s.now.Add(time.Hour)
	s.rest()
	if got := r.base[web].Tag; got != "1.2.0" {
		t.Errorf("acceptance has %s; want 1.2.0, as its rollout timed out", got)
	}
}

func TestWhatWasTakenBackIsNotWaitedFor(t *testing.T) {
	s, r := rollingOut(t)
	s.commit(r, web, "1.0.0", digestOf(web, "1.0.0"))
	s.commit(r, worker, "1.0.0", digestOf(worker, "1.0.0"))
	s.rest()
	r.holds = nil // a person lifts the hold that the revert made
	s.rest()
	if got := r.base[web].Tag; got != "1.2.0" {
		t.Errorf("acceptance has %s; want 1.2.0, as 1.1.0 will not run any more", got)
	}
}
