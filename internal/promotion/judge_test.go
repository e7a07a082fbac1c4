package promotion

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/image"
)

// opened is a world in which acceptance's pull request of web and worker 1.1.0 is open and shown green.
func opened() (*sim, *simRepo) {
	s := newSim(acceptance(), production())
	both(s, "1.1.0")
	s.rest()
	return s, s.repos[0]
}

func actions[A Action](d Decision) []A {
	var found []A
	for _, a := range d.Actions {
		if a, ok := a.(A); ok {
			found = append(found, a)
		}
	}
	return found
}

func TestAGateThatTurnsIsShownWhileSomethingElseWaitsToBeTriedAgain(t *testing.T) {
	s, r := opened()
	r.promotions[0].RetryAt, r.promotions[0].Attempts = s.now.Add(time.Hour), 3
	if d := Plan(s.world(r)); len(actions[ShowGate](d)) != 0 {
		t.Errorf("actions %v while nothing changed", d.Actions)
	}
	r.holds = append(r.holds, Hold{Environment: "acceptance", Reason: "the fair is on"})
	d := Plan(s.world(r))
	if shown := actions[ShowGate](d); len(shown) != 1 || shown[0].Verdict.State != gate.Deny {
		t.Errorf("actions %v; want the gate to be shown denying", d.Actions)
	}
}

func TestAGateThatHoldsNothingIsShownAnewWhileItIsNotGreen(t *testing.T) {
	s, r := opened()
	pull := r.open()[0]
	pull.Ungated = true
	if d := Plan(s.world(r)); len(actions[ShowGate](d)) != 0 {
		t.Errorf("actions %v; want a gate that is green left alone", d.Actions)
	}
	r.holds = append(r.holds, Hold{Environment: "acceptance", Reason: "the fair is on"})
	s.turn(r, -1) // shown denying
	if shown := actions[ShowGate](Plan(s.world(r))); len(shown) != 1 || shown[0].Verdict.State != gate.Deny {
		t.Errorf("ShowGate %v; want it shown again, as somebody took the draft away", shown)
	}
	pull.Ungated = false
	if d := Plan(s.world(r)); len(actions[ShowGate](d)) != 0 {
		t.Errorf("actions %v while nothing changed", d.Actions)
	}
}

func TestAForeignHeadIsNotJudgedByTheRelease(t *testing.T) {
	s, r := opened()
	pull := r.open()[0]
	pull.Foreign, pull.Head = true, "alice's"
	if d := Plan(s.world(r)); len(actions[ShowGate](d))+len(actions[Merge](d)) != 0 {
		t.Errorf("actions %v on a head that may change anything", d.Actions)
	}
	w := s.world(r)
	w.Others = []Other{{Number: pull.Number, Head: "alice's", Changes: map[string][]gate.Change{"acceptance": {{Image: web, ToTag: "6.6.6"}}}}}
	if shown := actions[ShowOther](Plan(w)); len(shown) != 1 || shown[0].Head != "alice's" {
		t.Errorf("ShowOther %v; want it judged by what it changes", shown)
	}
}

func TestAMergeIsWithTheGateIfTheHeadWasShownGreen(t *testing.T) {
	for shown, against := range map[string]bool{"": true, NoImageChanges: false, "allow\nafter|allow": false, "wait\nafter|wait": true} {
		s, r := opened()
		pull := r.open()[0]
		pull.Foreign, pull.Head, pull.Shown = true, "alice's", shown
		s.merge(r, pull.Number, Person{Login: "alice", CanWrite: true})
		s.turn(r, -1)
		if got := r.promotions[0].AgainstGate; got != against {
			t.Errorf("after %q was shown the merge is against the gate = %v; want %v", shown, got, against)
		}
	}
}

func TestNothingIsConcludedFromAConfigurationThatIsNotUnderstood(t *testing.T) {
	s, r := opened()
	w := s.world(r)
	w.Config, w.Paused = Config{}, "it is wrong"
	if d := Plan(w); len(d.Actions) != 0 {
		t.Errorf("actions %v; want none while nobody knows which environments there are", d.Actions)
	}
	w.Paused = ""
	if closed := actions[Close](Plan(w)); len(closed) != 1 {
		t.Errorf("%d closed where the environment was taken out, want 1", len(closed))
	}
}

func TestAPullRequestOntoAnotherBranchMakesRoomFirst(t *testing.T) {
	s, r := opened()
	w := s.world(r)
	pull := w.Pulls[1]
	pull.Elsewhere = "main"
	w.Pulls[1] = pull
	d := Plan(w)
	if len(actions[Close](d)) != 1 || len(actions[OpenPull](d)) != 0 || !d.Wake.Equal(w.Now) {
		t.Errorf("actions %v, wake %v; want it closed, and the new one opened by the next turn", d.Actions, d.Wake)
	}
}

func TestAllTagsOfAnAppAreAskedForAtOnce(t *testing.T) {
	s := newSim(acceptance(), production())
	both(s, "1.1.0")
	w := s.world(s.repos[0])
	w.Tags = map[image.Name][]Known{}
	for _, name := range []image.Name{web, worker} {
		w.Tags[name] = []Known{{Seen: image.Seen{Tag: "1.1.0", First: s.now}}}
	}
	d := Plan(w)
	if len(d.Asks) != 2 || len(d.Actions) != 0 {
		t.Errorf("asks %v, actions %v; want both tags asked for, and nothing done yet", d.Asks, d.Actions)
	}
}

func TestReopeningWaitsForItsNextTry(t *testing.T) {
	s, r := opened()
	r.pulls[1].State, r.pulls[1].ClosedBy = PullClosed, Person{Login: "stale[bot]", Bot: true}
	r.promotions[0].RetryAt = s.now.Add(time.Hour)
	d := Plan(s.world(r))
	if slices.ContainsFunc(d.Actions, func(a Action) bool { _, is := a.(Reopen); return is }) || d.Wake.IsZero() {
		t.Errorf("actions %v, wake %v; want a later try", d.Actions, d.Wake)
	}
	s.now = s.now.Add(2 * time.Hour)
	if d := Plan(s.world(r)); len(actions[Reopen](d)) != 1 {
		t.Errorf("actions %v; want it reopened", d.Actions)
	}
}

func TestWhatAPersonPutsBackIsSaidToPolicies(t *testing.T) {
	s, r := opened()
	w := s.world(r)
	var seen []gate.Change
	w.Judge = func(f gate.Facts, uses []gate.Use) gate.Verdict {
		if f.Head == "alice's" {
			seen = f.Changes
		}
		return judge(f, uses)
	}
	w.Others = []Other{{Number: 9, Head: "alice's", Changes: map[string][]gate.Change{"acceptance": {{Image: web, FromTag: "1.0.0", ToTag: "0.9.0"}, {Image: worker, ToTag: "1.1.0"}}}}}
	Plan(w)
	if len(seen) != 2 || !seen[0].Downgrade || seen[1].Downgrade || seen[1].PushedAt.IsZero() {
		t.Errorf("policies see %+v; want the first as a downgrade, the second with when it was pushed", seen)
	}
}

func TestAHoldOnOneImageHoldsItsAppsNews(t *testing.T) {
	s := newSim(acceptance(), production())
	r := s.repos[0]
	both(s, "1.1.0")
	s.rest()
	r.holds = append(r.holds, Hold{Environment: "acceptance", Images: []image.Name{worker}, Reason: "leaks memory"})
	s.now = s.now.Add(time.Hour)
	s.rest()
	if len(r.promotions) != 1 || r.open()[0].shown != gate.Deny {
		t.Fatalf("%d promotions were begun, the open one shows %s; want the one that the hold denies, and none of only the other image", len(r.promotions), r.open()[0].shown)
	}
	s.push(web, "1.2.0", 1)
	s.now = s.now.Add(time.Hour)
	s.rest()
	if n := len(r.promotions); n != 1 {
		t.Errorf("%d promotions were begun, want none of web's news alone while worker is on hold", n)
	}
	told := slices.ContainsFunc(s.turn(r, -1).Notes, func(n Note) bool {
		return n.Image == web && n.Tag == "1.2.0" && strings.Contains(n.Say, "waits for worker, which moves with it and is on hold")
	})
	if !told {
		t.Error("no note says what web's 1.2.0 waits for")
	}
	r.holds = nil
	s.rest()
	if open := r.open(); len(open) != 1 || len(open[0].release.Changes) != 2 || !strings.Contains(open[0].release.Label(), "1.2.0") {
		t.Errorf("%v are open without the hold, want one with the news of both", open)
	}
}
