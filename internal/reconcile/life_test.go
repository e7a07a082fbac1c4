package reconcile

import (
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/promotion"
)

func TestANewerReleaseSupersedesWithALink(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop()
	w.push(web, "1.1.0")
	w.work()
	old := acceptance.only()
	w.push(web, "1.2.0")
	w.work()
	pr := acceptance.only()
	if pr.Title != "acceptance: web 1.0.0 → 1.2.0" {
		t.Errorf("%q is open, want the newest", pr.Title)
	}
	acceptance.comment(old.Number, "Superseded", pr.URL)
	if got := acceptance.pull(old.Number); got.State != forge.Closed {
		t.Errorf("the old pull request is %s, want closed", got.State)
	}
	if _, ok := w.host.head("acme/infra-acceptance", old.HeadBranch); ok {
		t.Error("the branch of the superseded release is still there")
	}
	if p := acceptance.promotion(old.Number); p.State != promotion.Superseded || p.SupersededBy != acceptance.promotion(pr.Number).ID {
		t.Errorf("the old promotion is %s by %q", p.State, p.SupersededBy)
	}
}

func TestTheReleaseFurthestAlongStaysBesideTheNewest(t *testing.T) {
	w := newWorld(t)
	acceptance, production := w.shop()
	w.push(web, "1.1.0")
	w.work()
	if _, err := acceptance.alice().Merge(acceptance.ID, 1); err != nil {
		t.Fatal(err)
	}
	w.hear()
	w.push(web, "1.2.0")
	w.work()
	w.push(web, "1.3.0")
	w.work()
	var titles []string
	for _, pr := range production.open() {
		titles = append(titles, pr.Title)
	}
	if got := strings.Join(titles, "; "); got != "production: web 1.0.0 → 1.1.0; production: web 1.0.0 → 1.3.0" {
		t.Errorf("open in production: %s; want 1.1.0, which acceptance ran, and the newest", got)
	}
}

func TestClosingRejectsAndReopeningLifts(t *testing.T) {
	w := newWorld(t)
	acceptance, production := w.shop()
	w.push(web, "1.1.0")
	w.work()
	pr := acceptance.only()
	if err := acceptance.alice().Close(acceptance.ID, pr.Number); err != nil {
		t.Fatal(err)
	}
	w.hear()
	acceptance.none()
	production.only()
	acceptance.comment(pr.Number, "Rejected", "Reopen")
	acceptance.note(web, "1.1.0 was rejected by alice")
	if p := acceptance.promotion(pr.Number); p.State != promotion.Rejected {
		t.Errorf("the promotion is %s, want rejected", p.State)
	}

	// The same digest under another tag is rejected too.
	w.clock.move(time.Second)
	w.registry.set(web, "1.1.1", digestOf(web, "1.1.0", 0))
	w.accept(web, "1.1.1")
	w.work()
	acceptance.none()

	if err := acceptance.alice().Reopen(acceptance.ID, pr.Number); err != nil {
		t.Fatal(err)
	}
	w.hear()
	if got := acceptance.only(); got.Number != pr.Number {
		t.Errorf("#%d is open after reopening, want #%d", got.Number, pr.Number)
	}
	if p := acceptance.promotion(pr.Number); p.State != promotion.Open {
		t.Errorf("the reopened promotion is %s, want open", p.State)
	}
}

func TestARejectedBranchIsKeptUntilANewerReleaseIsMerged(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop()
	w.push(web, "1.1.0")
	w.work()
	rejected := acceptance.only()
	if err := acceptance.alice().Close(acceptance.ID, rejected.Number); err != nil {
		t.Fatal(err)
	}
	w.hear()
	w.push(web, "1.2.0")
	w.work()
	if _, ok := w.host.head("acme/infra-acceptance", rejected.HeadBranch); !ok {
		t.Error("the rejected branch is gone while its pull request may be reopened")
	}
	if _, err := acceptance.alice().Merge(acceptance.ID, acceptance.only().Number); err != nil {
		t.Fatal(err)
	}
	w.hear()
	w.hear()
	if _, ok := w.host.head("acme/infra-acceptance", rejected.HeadBranch); ok {
		t.Error("the rejected branch is there for ever")
	}
}

func TestSomebodyWhoMayNotWriteDoesNotReject(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop()
	w.push(web, "1.1.0")
	w.work()
	pr := acceptance.only()
	if err := w.mem.Person("bob").Close(acceptance.ID, pr.Number); err != nil {
		t.Fatal(err)
	}
	w.hear()
	if got := acceptance.only(); got.Number != pr.Number || got.HeadSHA != pr.HeadSHA {
		t.Errorf("open is #%d at %s, want #%d at %s again", got.Number, got.HeadSHA, pr.Number, pr.HeadSHA)
	}
	acceptance.comment(pr.Number, "Reopened")
}

func TestWhatAMachineClosesIsReopenedOnceThenHeld(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop()
	w.push(web, "1.1.0")
	w.work()
	pr := acceptance.only()
	stale := w.mem.Machine("stale[bot]")
	if err := stale.Close(acceptance.ID, pr.Number); err != nil {
		t.Fatal(err)
	}
	w.hear()
	if got := acceptance.only(); got.Number != pr.Number {
		t.Errorf("#%d is open, want #%d reopened", got.Number, pr.Number)
	}
	if err := stale.Close(acceptance.ID, pr.Number); err != nil {
		t.Fatal(err)
	}
	w.hear()
	acceptance.none()
	if holds := acceptance.holds(); len(holds) != 1 || !strings.Contains(holds[0].Reason, "stale[bot] closed #1 twice") {
		t.Errorf("holds %+v, want one that names the machine", holds)
	}
	w.push(web, "1.2.0")
	w.work()
	acceptance.none()
	acceptance.note(web, "on hold")
}

func TestABranchThatAMachineDeletedIsMadeAgainAtTheSameCommit(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop()
	w.push(web, "1.1.0")
	w.work()
	pr := acceptance.only()
	acceptance.commit("main", map[string]string{"README.md": "base moved meanwhile\n"})
	if err := w.mem.Machine("cleaner[bot]").DeleteBranch(acceptance.ID, pr.HeadBranch); err != nil {
		t.Fatal(err)
	}
	w.hear()
	if got := acceptance.only(); got.Number != pr.Number || got.HeadSHA != pr.HeadSHA {
		t.Errorf("open is #%d at %.8s, want #%d at %.8s again", got.Number, got.HeadSHA, pr.Number, pr.HeadSHA)
	}
}

func TestReopeningThatFailsIsTriedAgainAndIsNoSecondClosing(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop()
	w.push(web, "1.1.0")
	w.work()
	pr := acceptance.only()
	if err := w.mem.Machine("stale[bot]").Close(acceptance.ID, pr.Number); err != nil {
		t.Fatal(err)
	}
	w.mem.Inject(failing("EditPullRequest", 1, false))
	w.hear()
	acceptance.none()
	w.later(10 * time.Minute)
	acceptance.only()
	if holds := acceptance.holds(); len(holds) != 0 {
		t.Errorf("holds %+v after a try that failed", holds)
	}
}

func TestWhatCannotBeReopenedIsHeldWithAReason(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop()
	w.push(web, "1.1.0")
	w.work()
	if err := w.mem.Machine("stale[bot]").Close(acceptance.ID, 1); err != nil {
		t.Fatal(err)
	}
	w.mem.Inject(refusing("EditPullRequest"))
	w.hear()
	w.later(time.Hour)
	acceptance.none()
	if holds := acceptance.holds(); len(holds) != 1 || !strings.Contains(holds[0].Reason, "cannot be reopened") {
		t.Errorf("holds %+v, want one that says that #1 cannot be reopened", holds)
	}
}

func TestARevertByAPersonIsAHold(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop()
	w.push(web, "1.1.0")
	w.work()
	if _, err := acceptance.alice().Merge(acceptance.ID, 1); err != nil {
		t.Fatal(err)
	}
	w.hear()
	acceptance.commit("main", map[string]string{"apps/web/kustomization.yaml": kustomization(string(web) + ":1.0.0")})
	w.hear()
	acceptance.none()
	if holds := acceptance.holds(); len(holds) != 1 || !strings.Contains(holds[0].Reason, "set web back from 1.1.0 to 1.0.0") {
		t.Fatalf("holds %+v, want one for the revert", holds)
	}
	w.push(web, "1.2.0")
	w.work()
	acceptance.none()
	acceptance.note(web, "on hold", "boatlift lift")
}

func TestCommitsOfAPersonOnTheBranchAreRespected(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop()
	w.push(web, "1.1.0")
	w.work()
	pr := acceptance.only()
	theirs := acceptance.commit(pr.HeadBranch, map[string]string{"apps/web/notes.txt": "hello\n"})
	w.hear()
	w.push(web, "1.2.0")
	w.work()
	acceptance.commit("main", map[string]string{"apps/web/kustomization.yaml": kustomization(string(web) + ":1.1.5")})
	w.hear()
	w.hear()
	got := acceptance.pull(pr.Number)
	if head, _ := w.host.head("acme/infra-acceptance", pr.HeadBranch); got.State != forge.Open || head != theirs {
		t.Errorf("the pull request is %s at %.8s, want it left open at %.8s\n%s", got.State, head, theirs, acceptance.explain())
	}
	if p := acceptance.promotion(pr.Number); !p.Modified || !strings.Contains(p.Reason, "commits of a person") {
		t.Errorf("the promotion says %q", p.Reason)
	}
}

// A person who may push to the bot's branch could otherwise get anything past the gate under the bot's own name.
func TestAHeadThatAPersonMadeIsJudgedByWhatItChanges(t *testing.T) {
	w := newWorld(t)
	acceptance, production := w.shop()
	w.push(web, "1.1.0")
	w.work()
	if _, err := acceptance.alice().Merge(acceptance.ID, 1); err != nil {
		t.Fatal(err)
	}
	w.hear()
	pr := production.only()
	production.gate(pr, forge.Success)
	production.commit(pr.HeadBranch, map[string]string{"apps/web/kustomization.yaml": kustomization(string(web) + ":6.6.6")})
	w.hear()
	production.gate(production.only(), forge.Pending, "web does not run in acme/infra-acceptance:acceptance at this digest yet")
	production.commit(pr.HeadBranch, map[string]string{"apps/web/kustomization.yaml": kustomization(string(web) + ":1.1.0"), "README.md": "why\n"})
	w.hear()
	production.gate(production.only(), forge.Success)
	if _, err := production.alice().Merge(production.ID, pr.Number); err != nil {
		t.Fatal(err)
	}
	w.hear()
	if p := production.promotion(pr.Number); p.State != promotion.Deployed || p.AgainstGate {
		t.Errorf("the promotion is %s, against the gate %v; want deployed, with the gate", p.State, p.AgainstGate)
	}
}

func TestAConflictWithBaseIsRebuiltAndSaid(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop()
	w.push(web, "1.1.0")
	w.work()
	pr := acceptance.only()
	base := acceptance.commit("main", map[string]string{"apps/web/kustomization.yaml": kustomization(string(web) + ":1.0.5")})
	w.hear()
	got := acceptance.only()
	if got.Number != pr.Number || got.HeadSHA == pr.HeadSHA {
		t.Fatalf("open is #%d at %.8s, want #%d at another head than %.8s\n%s", got.Number, got.HeadSHA, pr.Number, pr.HeadSHA, acceptance.explain())
	}
	if parent := w.host.git("", "acme/infra-acceptance", "rev-parse", got.HeadSHA+"^"); parent != base {
		t.Errorf("it is made on %.8s, want the present base %.8s", parent, base)
	}
	acceptance.comment(pr.Number, "Made anew", "Approvals given before do not count any more")
	acceptance.gate(got, forge.Success)
	if !strings.Contains(got.Body, "newTag: 1.0.5") {
		t.Errorf("the body does not show the change from the present base:\n%s", got.Body)
	}
	if _, err := acceptance.alice().Merge(acceptance.ID, got.Number); err != nil {
		t.Error(err)
	}
}

func TestBaseThatMovesElsewhereLeavesThePullRequestUntouched(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop()
	w.push(web, "1.1.0")
	w.work()
	pr := acceptance.only()
	acceptance.commit("main", map[string]string{"README.md": "hello\n"})
	w.mem.ForgetCalls()
	w.hear()
	if got := acceptance.only(); got.HeadSHA != pr.HeadSHA || len(w.mem.Comments(acceptance.ID, pr.Number)) != 0 {
		t.Errorf("the head is %.8s, want %.8s as it was, and nothing said", got.HeadSHA, pr.HeadSHA)
	}
	if calls := callsOf(w, "PullRequest"); len(calls) != 0 {
		t.Errorf("the forge was asked for conflicts though base has the same files: %v", calls)
	}
	if got := writesTo(w, acceptance.ID); len(got) != 0 {
		t.Errorf("the bot wrote %v", got)
	}
}

func TestBaseThatMovesInTheFileWithoutConflictLeavesThePullRequestUntouched(t *testing.T) {
	w := newWorld(t)
	r := w.repo("infra", map[string]string{
		ConfigFile:                    w.config(environment("acceptance")),
		"apps/web/kustomization.yaml": "namePrefix: a-\n\n\n\n\n\n\n" + kustomization(string(web)+":1.0.0"),
	})
	w.discover()
	w.push(web, "1.1.0")
	w.work()
	pr := r.only()
	r.commit("main", map[string]string{"apps/web/kustomization.yaml": "namePrefix: b-\n\n\n\n\n\n\n" + kustomization(string(web)+":1.0.0")})
	w.hear()
	if got := r.only(); got.HeadSHA != pr.HeadSHA {
		t.Error("a pull request without a conflict was made anew")
	}
	w.mem.ForgetCalls()
	w.hear()
	if calls := callsOf(w, "PullRequest"); len(calls) != 0 {
		t.Errorf("the forge is asked again for what it said: %v", calls)
	}
}

func TestAnUnknownMergeabilityIsAskedAgainSoon(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop()
	w.push(web, "1.1.0")
	w.work()
	pr := acceptance.only()
	w.mem.SetMergeability(acceptance.ID, pr.Number, forge.MergeUnknown)
	acceptance.commit("main", map[string]string{"apps/web/kustomization.yaml": kustomization(string(web) + ":1.0.5")})
	w.hear()
	if got := acceptance.only(); got.HeadSHA != pr.HeadSHA {
		t.Error("it was made anew before anybody knew of a conflict")
	}
	if wait := acceptance.row().DueAt.Sub(w.clock.now()); wait <= 0 || wait > 30*time.Second {
		t.Errorf("the next look is in %s, want it within 30 s", wait)
	}
	w.mem.SetMergeability(acceptance.ID, pr.Number, forge.Conflicting)
	w.later(30 * time.Second)
	if got := acceptance.only(); got.HeadSHA == pr.HeadSHA {
		t.Error("the conflict was never seen")
	}
}

func TestBaseThatReachesTheReleaseClosesItAsStale(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop()
	w.push(web, "1.1.0")
	w.work()
	acceptance.commit("main", map[string]string{"apps/web/kustomization.yaml": kustomization(string(web) + ":1.1.0")})
	w.hear()
	acceptance.none()
	acceptance.comment(1, "already has web 1.1.0")
	if p := acceptance.promotion(1); p.State != promotion.Stale {
		t.Errorf("the promotion is %s, want stale", p.State)
	}
}

func TestAMergeAgainstTheGateIsRecordedAsSuch(t *testing.T) {
	w := newWorld(t)
	_, production := w.shop()
	w.push(web, "1.1.0")
	w.work()
	if _, err := production.alice().Merge(production.ID, 1); err != nil {
		t.Fatal(err)
	}
	w.hear()
	if p := production.promotion(1); !p.AgainstGate || p.State != promotion.Deployed || p.MergedBy != "alice" {
		t.Errorf("the promotion is %s, merged by %s, against the gate %v", p.State, p.MergedBy, p.AgainstGate)
	}
}

func TestAnEnvironmentThatIsTakenOutEndsItsPullRequests(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop()
	w.push(web, "1.1.0")
	w.work()
	acceptance.commit("main", map[string]string{ConfigFile: ""})
	w.hear()
	acceptance.none()
	acceptance.comment(1, "not in .boatlift.yaml any more")
}

func TestWhoPushesWhileAReleaseIsSupersededKeepsTheirCommit(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop()
	w.push(web, "1.1.0")
	w.work()
	pr := acceptance.only()
	w.push(web, "1.2.0")
	theirs := ""
	w.watch(func(what string) {
		if what == "before CreatePullRequest" && theirs == "" { // the bot has looked, and is about to close the old one
			theirs = acceptance.commit(pr.HeadBranch, map[string]string{"README.md": "mine\n"})
		}
	})
	w.work()
	w.hear()
	if head, _ := w.host.head("acme/infra-acceptance", pr.HeadBranch); head != theirs || acceptance.pull(pr.Number).State != forge.Open {
		t.Errorf("the pull request is %s at %.8s, want it open at %.8s\n%s", acceptance.pull(pr.Number).State, head, theirs, acceptance.explain())
	}
}

// Every webhook may be lost: a look now and then leads to the same state.
func TestNothingDependsOnAnEventOfTheForge(t *testing.T) {
	w := newWorld(t)
	acceptance, production := w.shop()
	w.push(web, "1.1.0")
	w.work()
	if _, err := acceptance.alice().Merge(acceptance.ID, 1); err != nil {
		t.Fatal(err)
	}
	w.later(10 * time.Minute)
	production.gate(production.only(), forge.Success)
	if _, err := production.alice().Merge(production.ID, 1); err != nil {
		t.Fatal(err)
	}
	w.later(10 * time.Minute)
	if p := production.promotion(1); p.State != promotion.Deployed || p.AgainstGate {
		t.Errorf("production's promotion is %s, against the gate %v", p.State, p.AgainstGate)
	}
}

// A person merges a release and sets an older one by hand before the bot has looked: the same release begins anew, but not before the bot
// has written down that it was merged.
func TestAReleaseThatWasMergedAndUndoneUnseenBeginsAnew(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop()
	w.push(web, "1.1.0")
	w.work()
	if _, err := acceptance.alice().Merge(acceptance.ID, 1); err != nil {
		t.Fatal(err)
	}
	acceptance.commit("main", map[string]string{"apps/web/kustomization.yaml": kustomization(string(web) + ":1.0.5")})
	w.hear()
	if row := acceptance.row(); row.Attempts != 0 {
		t.Fatalf("the turn failed: %s", row.LastError)
	}
	if pr := acceptance.only(); pr.Number != 2 || pr.Title != "acceptance: web 1.0.5 → 1.1.0" {
		t.Errorf("open is #%d %q", pr.Number, pr.Title)
	}
	if got := acceptance.promotion(1).State; got.Active() {
		t.Errorf("the merged promotion is %s", got)
	}
}

// What the gate shows when a pull request is reopened is what a merge is measured by.
func TestAMergeAfterAReopeningIsMeasuredByTheGateThatWasShownThen(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop()
	w.push(web, "1.1.0")
	w.work()
	if err := w.mem.Machine("stale[bot]").Close(acceptance.ID, 1); err != nil {
		t.Fatal(err)
	}
	w.operate(acceptance, promotion.Hold{Environment: "acceptance", Reason: "the fair is on", Actor: "alice", At: w.clock.now()})
	acceptance.gate(acceptance.only(), forge.Failure, "the fair is on")
	if _, err := acceptance.alice().Merge(acceptance.ID, 1); err != nil {
		t.Fatal(err)
	}
	w.hear()
	if p := acceptance.promotion(1); !p.AgainstGate {
		t.Errorf("merged by %s, against the gate %v; want it to be shown as such", p.MergedBy, p.AgainstGate)
	}
}

// A person who merges one app although the whole environment is on hold has decided about that app, and about no other.
func TestAMergeByAPersonLiftsNoHoldOfOtherImages(t *testing.T) {
	w := newWorld(t)
	r := w.repo("infra", map[string]string{
		ConfigFile:                       w.config(environment("acceptance", merging(promotion.MergeAuto))),
		"apps/web/kustomization.yaml":    kustomization(string(web) + ":1.0.0"),
		"apps/worker/kustomization.yaml": kustomization(string(worker) + ":1.0.0"),
	})
	w.discover()
	w.push(web, "1.1.0")
	w.push(worker, "1.1.0")
	w.turn() // opens both; the next one would merge them
	w.hold(r, promotion.Hold{Environment: "acceptance", Reason: "the fair is on", Actor: "alice", At: w.clock.now()})
	if _, err := r.alice().Merge(r.ID, 1); err != nil {
		t.Fatal(err)
	}
	w.hear()
	w.later(time.Minute)
	if merged(r, 2) || len(r.holds()) != 1 {
		t.Errorf("#2 merged %v, holds %+v; want the environment to stay on hold\n%s", merged(r, 2), r.holds(), r.explain())
	}
}
