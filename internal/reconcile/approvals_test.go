package reconcile

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/forgetest"
	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/promotion"
)

func approvals(parameters map[string]any) func(*promotion.Environment) {
	return func(e *promotion.Environment) {
		e.Policies = append(e.Policies, gate.Use{Policy: "approvals", Parameters: parameters})
	}
}

// single is one environment whose gate asks for approvals, with an open pull request for web 1.1.0. People are carol, dave and erin beside
// alice, all of whom may write.
func (w *world) single(files map[string]string, change ...func(*promotion.Environment)) *infra {
	w.t.Helper()
	all := map[string]string{ConfigFile: w.config(environment("production", change...)), "apps/web/kustomization.yaml": kustomization(string(web) + ":1.0.0")}
	for path, text := range files {
		all[path] = text
	}
	r := w.repo("infra", all)
	for _, login := range []string{"carol", "dave", "erin"} {
		w.mem.Permit(r.ID, login, forge.WritePermission)
	}
	w.discover()
	w.push(web, "1.1.0")
	w.work()
	w.hear()
	return r
}

func (r *infra) review(login string, state forge.ReviewState) {
	r.world.t.Helper()
	r.world.later(time.Second)
	if err := r.mem.Person(login).Review(r.ID, 1, state); err != nil {
		r.world.t.Fatal(err)
	}
	r.world.hear()
}

func (r *infra) approve(login string) { r.world.t.Helper(); r.review(login, forge.Approved) }

// said is the sentence and the detail of a policy's ruling on the first promotion.
func (r *infra) said(policy string) (gate.State, string) {
	r.world.t.Helper()
	g := r.promotion(1).Gate
	if g == nil {
		return "", ""
	}
	for _, ruling := range g.Rulings {
		if ruling.Policy == policy {
			return ruling.State, ruling.Say + " / " + ruling.Detail
		}
	}
	return "", ""
}

func (r *infra) wantGate(state gate.State, words string) {
	r.world.t.Helper()
	got, say := r.said("approvals")
	if got != state || !strings.Contains(say, words) {
		r.world.t.Fatalf("approvals: %s %q; want %s with %q\n%s", got, say, state, words, r.explain())
	}
}

func TestApprovalsOfATeam(t *testing.T) {
	w := newWorld(t)
	w.mem.SetTeam("acme/ops", "Carol", "dave")
	r := w.single(nil, approvals(map[string]any{"count": uint64(2), "from": []any{"@alice", "Acme/Ops"}}))
	r.wantGate(gate.Wait, "0 of 2")
	r.approve("erin")
	r.wantGate(gate.Wait, "erin is not among")
	r.approve("carol")
	r.approve("alice")
	r.wantGate(gate.Allow, "carol and alice")
	if n := len(callsOf(w, "TeamMembers")); n != 1 {
		t.Errorf("the team was asked for %d times within its time; want once", n)
	}
	w.later(teamFor + time.Second)
	w.mem.SetTeam("acme/ops", "dave")
	w.hear()
	r.wantGate(gate.Wait, "1 of 2")
}

func TestATeamThatCannotBeReadDeniesAndSaysWhatIsMissing(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"no permission": {fmt.Errorf("list members: %w", forge.ErrForbidden), "lacks the permission for that (GitHub: organisation permission Members: read)"},
		"no such team":  {nil, "there is no such team, or the bot lacks the permission to see it (GitHub: organisation permission Members: read)"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if test.err != nil {
				w.mem.Inject(forgetest.Fault{Method: "TeamMembers", Err: test.err})
			}
			r := w.single(nil, approvals(map[string]any{"from": []any{"alice", "acme/ops"}}))
			r.wantGate(gate.Deny, test.want)
			r.approve("alice")
			r.wantGate(gate.Allow, "approved by alice")
		})
	}
}

func TestCodeOwnersOfTheBaseBranchApprove(t *testing.T) {
	w := newWorld(t)
	w.mem.SetTeam("acme/ops", "dave")
	r := w.single(map[string]string{
		".github/CODEOWNERS": "* @erin\n/apps/ @acme/ops @Carol someone@acme.io\n",
		"CODEOWNERS":         "* @alice\n", // the first place counts
	}, approvals(map[string]any{"codeOwners": true}))
	r.wantGate(gate.Wait, "a code owner among them")
	r.approve("erin")
	r.wantGate(gate.Wait, "but by no owner of apps/web/kustomization.yaml / it waits for @acme/ops")
	r.approve("carol")
	r.wantGate(gate.Allow, "approved by erin and carol")
}

func TestATeamOwnsWhatItsMembersOwn(t *testing.T) {
	w := newWorld(t)
	w.mem.SetTeam("acme/ops", "dave")
	r := w.single(map[string]string{"docs/CODEOWNERS": "/apps/ @acme/ops\n"}, approvals(map[string]any{"codeOwners": true}))
	r.approve("dave")
	r.wantGate(gate.Allow, "approved by dave")
}

func TestWhatIsWrongWithCodeOwnersDenies(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"no owner":     {"/other/ @alice\n", "CODEOWNERS names no owner of apps/web/kustomization.yaml"},
		"owners taken": {"* @alice\n/apps/\n", "CODEOWNERS names no owner of apps/web/kustomization.yaml"},
		"not parsed":   {"* nobody\n", "CODEOWNERS cannot be read: line 1: invalid owner format 'nobody'"},
		"too large":    {"# " + strings.Repeat("x", maxCodeOwners), "CODEOWNERS cannot be read: it is larger than 512 kB"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			r := w.single(map[string]string{"CODEOWNERS": test.text}, approvals(map[string]any{"codeOwners": true}))
			r.approve("alice")
			r.wantGate(gate.Deny, test.want)
		})
	}
}

// What a pull request itself writes into CODEOWNERS makes nobody an owner; and who pushed to it does not approve it.
func TestAPullRequestMakesNobodyAnOwner(t *testing.T) {
	w := newWorld(t)
	r := w.single(map[string]string{"CODEOWNERS": "/apps/ @carol\n"}, approvals(map[string]any{"codeOwners": true}))
	w.host.commit(r.FullName, "topic", "erin@acme.io", map[string]string{
		"CODEOWNERS": "/apps/ @dave\n", "apps/web/kustomization.yaml": kustomization(string(web) + ":1.1.0"),
	})
	number, err := w.mem.Person("erin").Open(r.ID, forge.NewPullRequest{Head: "topic", Base: "main", Title: "mine"})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		who  string
		want forge.Conclusion
		say  string
	}{
		{"dave", forge.Pending, "but by no owner of apps/web/kustomization.yaml"},
		{"carol", forge.Success, "approved by dave and carol"},
	} {
		if err := w.mem.Person(step.who).Review(r.ID, number, forge.Approved); err != nil {
			t.Fatal(err)
		}
		w.hear()
		check := w.mem.Checks(r.ID, r.pull(number).HeadSHA)[0]
		if check.Conclusion != step.want || !strings.Contains(check.Summary, step.say) {
			t.Errorf("after %s approved: %s\n%s\nwant %s with %q", step.who, check.Conclusion, check.Summary, step.want, step.say)
		}
	}
}

func TestNobodyApprovesTheirOwnWork(t *testing.T) {
	w := newWorld(t)
	r := w.single(nil, approvals(nil))
	w.host.commit(r.FullName, "topic", "erin@acme.io", map[string]string{"apps/web/kustomization.yaml": kustomization(string(web) + ":1.2.0")})
	r.mem.Person("dave").Push(r.ID, "topic", nil) // pushed what erin had made
	number, err := r.mem.Person("erin").Open(r.ID, forge.NewPullRequest{Head: "topic", Base: "main", Title: "mine"})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		who  string
		want forge.Conclusion
		say  string
	}{
		{"erin", forge.Pending, "erin worked on it"},
		{"dave", forge.Pending, "dave worked on it"},
		{"alice", forge.Success, "approved by alice"},
	} {
		if err := r.mem.Person(step.who).Review(r.ID, number, forge.Approved); err != nil {
			t.Fatal(err)
		}
		w.hear()
		check := w.mem.Checks(r.ID, r.pull(number).HeadSHA)[0]
		if check.Conclusion != step.want || !strings.Contains(check.Summary, step.say) {
			t.Errorf("after %s approved: %s\n%s\nwant %s with %q", step.who, check.Conclusion, check.Summary, step.want, step.say)
		}
	}
}

func TestAnOwnPolicyGetsTheFactsThatItLooksAt(t *testing.T) {
	w := newWorld(t)
	e, err := gate.New(ownPolicies())
	if err != nil {
		t.Fatal(err)
	}
	w.options.Judge = e
	w.start()
	r := w.single(map[string]string{"CODEOWNERS": "* @carol\n"}, func(e *promotion.Environment) {
		e.Policies = []gate.Use{{Policy: "signed-off"}}
	})
	if state, _ := r.said("signed-off"); state != gate.Wait {
		t.Fatalf("signed-off is %s; want wait", state)
	}
	r.approve("carol")
	if state, say := r.said("signed-off"); state != gate.Allow || !strings.Contains(say, "carol") {
		t.Errorf("signed-off is %s: %s; want allow by carol", state, say)
	}
}

func TestReviewersAreAskedWhenNothingElseIsMissing(t *testing.T) {
	w := newWorld(t)
	acceptance, production := w.shop(func(_, p *promotion.Environment) {
		approvals(map[string]any{"from": []any{"alice", "acme/ops"}})(p)
	})
	w.mem.SetTeam("acme/ops", "carol")
	w.push(web, "1.1.0")
	w.work()
	w.hear()
	if asked := w.mem.Requested(production.ID, 1); len(asked) != 0 {
		t.Fatalf("asked %v while acceptance does not run it", asked)
	}
	if _, err := acceptance.alice().Merge(acceptance.ID, 1); err != nil {
		t.Fatal(err)
	}
	w.hear()
	w.later(time.Second)
	if asked := w.mem.Requested(production.ID, 1); !slices.Equal(asked, []string{"acme/ops", "alice"}) {
		t.Errorf("asked %v; want alice and acme/ops once nothing but their approval is missing", asked)
	}
	if p := production.promotion(1); !slices.Equal(p.Asked, []string{"alice", "acme/ops"}) || p.AskedAt.IsZero() {
		t.Errorf("recorded %v at %v", p.Asked, p.AskedAt)
	}
	w.hear()
	w.hear()
	if n := len(callsOf(w, "RequestReviewers")); n != 1 {
		t.Errorf("asked %d times; want once for one head", n)
	}
}

func TestReviewersOfTheEnvironmentAreAskedInstead(t *testing.T) {
	w := newWorld(t)
	r := w.single(nil, approvals(map[string]any{"from": []any{"alice"}}), func(e *promotion.Environment) { e.Reviewers.Users = []string{"dave"} })
	if asked := w.mem.Requested(r.ID, 1); !slices.Equal(asked, []string{"dave"}) {
		t.Errorf("asked %v; want dave", asked)
	}
}

func TestThatReviewersCannotBeAskedKeepsNothingFromGoingOn(t *testing.T) {
	w := newWorld(t)
	w.mem.Inject(forgetest.Fault{Method: "RequestReviewers", Err: fmt.Errorf("no: %w", forge.ErrForbidden)})
	r := w.single(nil, approvals(map[string]any{"from": []any{"alice"}}), merging(promotion.MergeApproved))
	r.approve("alice")
	w.later(time.Second)
	if !merged(r, 1) {
		t.Errorf("#1 is not merged\n%s", r.explain())
	}
}

func TestReviewersAreAskedAgainAfterAFault(t *testing.T) {
	w := newWorld(t)
	w.mem.Inject(forgetest.Fault{Method: "RequestReviewers", Err: errors.New("no answer"), Times: 1})
	r := w.single(nil, approvals(map[string]any{"from": []any{"alice"}}))
	w.later(time.Minute)
	if asked := w.mem.Requested(r.ID, 1); !slices.Equal(asked, []string{"alice"}) {
		t.Errorf("asked %v after a fault; want it tried again", asked)
	}
}

func TestApprovedWantsAsManyAsThePolicySince(t *testing.T) {
	w := newWorld(t)
	acceptance, production := w.shop(func(_, p *promotion.Environment) {
		p.Merge = promotion.MergeApproved
		approvals(map[string]any{"count": uint64(2)})(p)
	})
	for _, login := range []string{"carol", "dave"} {
		w.mem.Permit(production.ID, login, forge.WritePermission)
	}
	w.push(web, "1.1.0")
	w.work()
	production.approve("alice")
	production.approve("carol")
	if _, err := acceptance.alice().Merge(acceptance.ID, 1); err != nil {
		t.Fatal(err)
	}
	w.hear()
	w.later(2 * time.Second)
	if merged(production, 1) {
		t.Fatal("merged by approvals that were given before the gate turned green")
	}
	production.approve("alice")
	if merged(production, 1) {
		t.Fatal("merged by one approval since, where two are wanted")
	}
	production.approve("dave")
	w.later(time.Second)
	if !merged(production, 1) {
		t.Errorf("#1 is not merged by two approvals since\n%s", production.explain())
	}
}

func TestEarlierApprovalsCountWhereTheFileSaysSo(t *testing.T) {
	w := newWorld(t)
	acceptance, production := w.shop(func(_, p *promotion.Environment) {
		p.Merge, p.EarlierApprovals, p.MergeMethod = promotion.MergeApproved, true, "squash"
	})
	w.push(web, "1.1.0")
	w.work()
	production.approve("alice")
	if merged(production, 1) {
		t.Fatal("merged before acceptance ran it")
	}
	if _, err := acceptance.alice().Merge(acceptance.ID, 1); err != nil {
		t.Fatal(err)
	}
	w.hear()
	w.later(2 * time.Second)
	if !merged(production, 1) {
		t.Errorf("#1 is not merged by the approval of before\n%s", production.explain())
	}
}
