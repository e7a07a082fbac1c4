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
	"github.com/boatlift/boatlift/internal/promotion"
)

// says checks that the body of a pull request holds words, or does not.
func (r *infra) says(number int, want bool, words ...string) {
	r.t.Helper()
	body := r.pull(number).Body
	for _, word := range words {
		if strings.Contains(body, word) != want {
			r.t.Fatalf("that #%d of %s says %q is %v, want %v:\n%s", number, r.FullName, word, !want, want, body)
		}
	}
}

// edits are the bodies that were written since the last look, by pull request.
func (w *world) edits() []string {
	var list []string
	for _, c := range callsOf(w, "EditPullRequest") {
		list = append(list, fmt.Sprintf("%d#%d", c.Repo, c.Number))
	}
	w.mem.ForgetCalls()
	return list
}

func TestABodySaysWhatMovesWhetherItMayAndWhereItRuns(t *testing.T) {
	w := newWorld(t)
	_, production := w.shop()
	w.push(web, "1.1.0")
	w.work()
	production.says(1, true,
		"Moves **web** to `1.1.0` in **production**",
		fmt.Sprintf("| `%s` | `1.0.0`<br>`%s` | `1.1.0`<br>`%s` | `apps/web` |", web, digestOf(web, "1.0.0", 0).Short(), digestOf(web, "1.1.0", 0).Short()),
		"⏳ **It waits:**", "| ⏳ waits | `after` |", "| `acme/infra-acceptance:acceptance` | others: `web` `1.0.0`", "[its pull request](", "**Closing it rejects it**",
		"-    newTag: 1.0.0", "+    newTag: 1.1.0")
}

func TestABodyFollowsTheGateWithOneEditForEachChange(t *testing.T) {
	w := newWorld(t)
	acceptance, production := w.shop()
	w.push(web, "1.1.0")
	w.work()
	w.hear()
	w.mem.ForgetCalls()
	w.hear()
	if edits := w.edits(); len(edits) != 0 {
		t.Errorf("edits of bodies when nothing happened: %v", edits)
	}
	if _, err := acceptance.alice().Merge(acceptance.ID, 1); err != nil {
		t.Fatal(err)
	}
	w.hear()
	production.says(1, true, "✅ **It may be merged.**", "| ✅ allows | `after` |", "| `acme/infra-acceptance:acceptance` | ✅ exactly these | 2026-03-02 09:0")
	production.says(1, false, "⏳")
	acceptance.says(1, true, "**Merged by alice.** ✅ Rolled out at ")
	w.hear()
	w.later(time.Minute)
	if edits := w.edits(); len(edits) != 2 {
		t.Errorf("edits of bodies for one merge: %v, want one of each pull request", edits)
	}
	production.says(1, true, "+    newTag: 1.1.0") // which was shown before
}

func TestABodySaysThatARolloutFailed(t *testing.T) {
	w, acceptance, production, merged := deployedShop(t)
	acceptance.says(1, true, "**Merged by alice.**")
	id := w.mem.Deploy(acceptance.ID, "acceptance", merged)
	w.hear()
	acceptance.says(1, true, "It is being rolled out")
	w.mem.SetDeployment(acceptance.ID, id, forge.RolloutFailed)
	w.mem.ForgetCalls()
	w.hear()
	acceptance.says(1, true, "⛔ Its rollout failed", "[its log](")
	production.says(1, true, "⛔ **It must not be merged:**", "[its last rollout](", "failed")
	w.hear()
	if edits := w.edits(); len(edits) != 2 {
		t.Errorf("edits of bodies for one failure: %v, want one of each pull request", edits)
	}
}

func TestABodyIsMadeAnewFromItsHeadAfterARestart(t *testing.T) {
	w := newWorld(t)
	acceptance, production := w.shop()
	w.push(web, "1.1.0")
	w.work()
	w.close()
	w.open()
	w.start()
	// Base moves in another file meanwhile, so that the head's own base has to be read.
	production.commit("main", map[string]string{"README.md": "hello\n"})
	if _, err := acceptance.alice().Merge(acceptance.ID, 1); err != nil {
		t.Fatal(err)
	}
	w.hear()
	production.says(1, true, "✅ **It may be merged.**", "-    newTag: 1.0.0", "+    newTag: 1.1.0", "`apps/web`")
}

// A rebuilt pull request whose presentation failed is presented by the next turn.
func TestABodyThatCouldNotBeRefreshedAfterARebuildIsRefreshedLater(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop()
	w.push(web, "1.1.0")
	w.work()
	acceptance.commit("main", map[string]string{"apps/web/kustomization.yaml": kustomization(string(web) + ":1.0.5")})
	w.mem.Inject(failing("EditPullRequest", 1, false))
	w.hear()
	acceptance.says(1, true, "-    newTag: 1.0.0")
	w.later(10 * time.Minute)
	acceptance.says(1, true, "-    newTag: 1.0.5", "`1.0.5`<br>")
	acceptance.says(1, false, "-    newTag: 1.0.0")
	acceptance.comment(1, "Made anew")
}

func TestABodyThatCannotBeEditedStandsInNobodysWay(t *testing.T) {
	for name, fault := range map[string]forgetest.Fault{
		"for now":  failing("EditPullRequest", 3, false),
		"for good": {Method: "EditPullRequest", Err: fmt.Errorf("edit: %w", &refusedError{"no"})},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			acceptance, production := w.shop(func(a, p *promotion.Environment) { a.Merge, p.Merge = promotion.MergeManual, promotion.MergeAuto })
			w.push(web, "1.1.0")
			w.work()
			w.mem.Inject(fault)
			if _, err := acceptance.alice().Merge(acceptance.ID, 1); err != nil {
				t.Fatal(err)
			}
			w.hear()
			w.later(time.Minute)
			w.later(time.Minute)
			if !merged(production, 1) {
				t.Errorf("production was not merged\n%s", production.explain())
			}
			w.mem.ForgetCalls()
			w.later(2 * time.Minute)
			w.hear()
			w.hear()
			if edits := w.edits(); len(edits) > 2 {
				t.Errorf("%d more edits: it is tried over and over again", len(edits))
			}
		})
	}
}

func TestWhatAPersonTookOverIsNotEdited(t *testing.T) {
	w := newWorld(t)
	acceptance, production := w.shop()
	w.push(web, "1.1.0")
	w.work()
	production.commit(production.only().HeadBranch, map[string]string{"README.md": "alice was here\n"})
	w.hear()
	w.mem.ForgetCalls()
	if _, err := acceptance.alice().Merge(acceptance.ID, 1); err != nil {
		t.Fatal(err)
	}
	w.hear()
	if edits := w.edits(); slices.Contains(edits, fmt.Sprintf("%d#1", production.ID)) {
		t.Error("the body of a pull request that a person pushed to was edited")
	}
	// And what a person wrote into a body stays until something else changes.
	err := acceptance.alice().Edit(acceptance.ID, 1, func(pr *forge.PullRequest) { pr.Body += "\nalice: looks good" })
	if err != nil {
		t.Fatal(err)
	}
	w.hear()
	acceptance.says(1, true, "alice: looks good")
}

// sources makes acme/shop, from which web's 1.0.0 and 1.1.0 are built, with so many commits between.
func (w *world) sources(commits int) forge.Repository {
	w.t.Helper()
	source := w.mem.AddRepository(forge.Repository{ID: 4000, FullName: "acme/shop"})
	first := w.mem.SourceCommit(source.ID, "ada", "begin", map[string]string{"main.go": "0"})
	last := first
	for i := range commits {
		last = w.mem.SourceCommit(source.ID, "ada", fmt.Sprintf("fixes #%d of @alice, see https://evil.example", i+1), map[string]string{"main.go": fmt.Sprint(i + 1)})
	}
	w.registry.built(web, "1.0.0", source.WebURL, first)
	w.registry.built(web, "1.1.0", source.WebURL, last)
	return source
}

func TestABodyListsTheCommitsThatTheReleaseBrings(t *testing.T) {
	w := newWorld(t)
	source := w.sources(60)
	acceptance, production := w.shop()
	w.push(web, "1.1.0")
	w.mem.ForgetCalls()
	w.work()
	for _, r := range []*infra{acceptance, production} {
		r.says(1, true, "### Commits", "`web`: [60 commits]("+source.WebURL+"/compare/", "](https://forge.example/acme/shop/commit/", "…and [10 more](")
		harmless(t, "the body", strings.NewReplacer("<br>", " ", "<details open><summary>", "", "</summary>", "", "</details>", "").Replace(beforeMarker(r.pull(1).Body)))
		closesNothing(t, "the body", r.pull(1).Body)
	}
	if n := strings.Count(acceptance.pull(1).Body, "\n- ["); n != maxCommits {
		t.Errorf("%d commits are listed, want %d", n, maxCommits)
	}
	if n := len(callsOf(w, "Compare")); n != 1 {
		t.Errorf("%d comparisons for one release in two repositories, want 1", n)
	}
	if edits := len(callsOf(w, "EditPullRequest")); edits > 3 {
		t.Errorf("%d edits, want one for the commits, and one where production learns of acceptance's pull request", edits)
	}
	// They stay when something else changes, also after a restart.
	w.close()
	w.open()
	w.start()
	if _, err := acceptance.alice().Merge(acceptance.ID, 1); err != nil {
		t.Fatal(err)
	}
	w.hear()
	production.says(1, true, "✅ **It may be merged.**", "`web`: [60 commits](")
}

func beforeMarker(body string) string {
	text, _, _ := strings.Cut(body, markerStart)
	return text
}

func TestCommitsThatCannotBeToldYetAreToldLater(t *testing.T) {
	for _, test := range []struct {
		name       string
		fail, mend func(w *world)
	}{
		{
			"the registry does not answer", func(w *world) { w.registry.silent(errors.New("no answer")) },
			func(w *world) { w.registry.silent(nil) },
		},
		{
			"the forge does not answer", func(w *world) { w.mem.Inject(failing("Compare", 1, false)) },
			func(*world) {},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.sources(2)
			acceptance, _ := w.shop()
			test.fail(w)
			w.push(web, "1.1.0")
			w.work()
			acceptance.says(1, false, "### Commits")
			acceptance.gate(acceptance.only(), forge.Success)
			test.mend(w)
			w.hear()
			acceptance.says(1, false, "### Commits") // nobody is asked again at once
			w.later(askAgain + time.Minute)
			acceptance.says(1, true, "### Commits", "[2 commits](")
		})
	}
}

func TestCommitsOfSourcesThatTheForgeDoesNotShowAreLeftOut(t *testing.T) {
	w := newWorld(t)
	source := w.sources(2)
	w.mem.Remove(source.ID, true)
	acceptance, _ := w.shop()
	w.push(web, "1.1.0")
	w.work()
	acceptance.says(1, false, "### Commits")
	if p := acceptance.promotion(1); !finished(p) {
		t.Errorf("the promotion remembers %q of its history, want that there is no more to tell", p.History)
	}
	w.mem.ForgetCalls()
	w.hear()
	w.later(time.Hour)
	if n := len(callsOf(w, "Compare")); n != 0 {
		t.Errorf("%d more comparisons of sources that are not there", n)
	}
}

// With many pull requests the sources of some are looked up in each turn, and each is looked up once.
func TestManyHistoriesAreLookedUpInSeveralTurns(t *testing.T) {
	w := newWorld(t)
	source := w.mem.AddRepository(forge.Repository{ID: 4000, FullName: "acme/shop"})
	from := w.mem.SourceCommit(source.ID, "ada", "begin", map[string]string{"main.go": "0"})
	to := w.mem.SourceCommit(source.ID, "ada", "go on", map[string]string{"main.go": "1"})
	const apps = maxLookups + 5
	files := map[string]string{ConfigFile: w.config(environment("acceptance", func(e *promotion.Environment) { e.MaxOpen = 0 }))}
	for i := range apps {
		files[fmt.Sprintf("apps/%d/kustomization.yaml", i)] = kustomization(string(names(i)) + ":1.0.0")
		w.registry.built(names(i), "1.0.0", source.WebURL, from)
		w.registry.built(names(i), "1.1.0", source.WebURL, to)
	}
	r := w.repo("infra", files)
	w.discover()
	for i := range apps {
		w.push(names(i), "1.1.0")
	}
	w.mem.ForgetCalls()
	w.work()
	w.later(2 * time.Second)
	for i := range apps {
		r.says(i+1, true, "[1 commit](")
	}
	if n := len(callsOf(w, "Compare")); n != apps {
		t.Errorf("%d comparisons for %d releases", n, apps)
	}
	if edits := w.edits(); len(edits) != apps {
		t.Errorf("%d edits for %d pull requests", len(edits), apps)
	}
}
