package reconcile

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/promotion"
)

// forgery is a commit of alice's that looks as if the bot had made it.
type forgery struct {
	parent string
	files  map[string]string // empty content: the file is deleted
	mode   string            // of the files; empty: that of ordinary ones
}

// forge puts a commit on a pull request's branch, with the bot's own name, address and message.
func (r *infra) forge(pr forge.PullRequest, f forgery) string {
	r.t.Helper()
	self, err := r.mem.Self(r.ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	mode := f.mode
	if mode == "" {
		mode = "100644"
	}
	release := strings.TrimSpace(r.host.git("", r.name(r.ID), "log", "-1", "--format=%B", pr.HeadSHA))
	var s strings.Builder
	fmt.Fprintf(&s, "commit refs/heads/%s\nauthor %s <%s> 1772442000 +0000\ncommitter %s <%s> 1772442000 +0000\ndata %d\n%s\nfrom %s\n",
		pr.HeadBranch, self.Name, self.Email, self.Name, self.Email, len(release), release, f.parent)
	for path, text := range f.files {
		if text == "" {
			fmt.Fprintf(&s, "D %s\n", path)
			continue
		}
		fmt.Fprintf(&s, "M %s inline %s\ndata %d\n%s\n", mode, path, len(text), text)
	}
	r.host.git(s.String(), r.name(r.ID), "fast-import", "--quiet", "--force")
	head, _ := r.host.head(r.name(r.ID), pr.HeadBranch)
	if trailer(r.host.git("", r.name(r.ID), "log", "-1", "--format=%B", head)) == "" {
		r.t.Fatal("the forged commit does not name its release")
	}
	return head
}

const theFile = "apps/web/kustomization.yaml"

// forgeries are what somebody who may write can try, under the bot's name.
func forgeries() map[string]func(r *infra, pr forge.PullRequest) forgery {
	evil := map[string]string{"apps/web/deployment.yaml": "kind: Deployment # with a door at the back\n"}
	return map[string]func(r *infra, pr forge.PullRequest) forgery{
		"upon the bot's own commit": func(_ *infra, pr forge.PullRequest) forgery { return forgery{parent: pr.HeadSHA, files: evil} },
		"in its place, with one more file": func(r *infra, pr forge.PullRequest) forgery {
			return forgery{parent: r.before(pr), files: map[string]string{theFile: r.file(pr.HeadSHA, theFile) + "\n", "apps/web/deployment.yaml": evil["apps/web/deployment.yaml"]}}
		},
		"in its place, with another digest": func(r *infra, pr forge.PullRequest) forgery {
			text := strings.Replace(r.file(pr.HeadSHA, theFile), string(digestOf(web, "1.1.0", 0)), string(digestOf(web, "6.6.6", 0)), 1)
			return forgery{parent: r.before(pr), files: map[string]string{theFile: text + "\n"}}
		},
		"in its place, with one more line": func(r *infra, pr forge.PullRequest) forgery {
			return forgery{parent: r.before(pr), files: map[string]string{theFile: r.file(pr.HeadSHA, theFile) + "\nresources: [https://mallory.example/]\n"}}
		},
		"in its place, as a program": func(r *infra, pr forge.PullRequest) forgery {
			return forgery{parent: r.before(pr), files: map[string]string{theFile: r.file(pr.HeadSHA, theFile) + "\n"}, mode: "100755"}
		},
		"in its place, without the configuration": func(r *infra, pr forge.PullRequest) forgery {
			return forgery{parent: r.before(pr), files: map[string]string{theFile: r.file(pr.HeadSHA, theFile) + "\n", ConfigFile: ""}}
		},
		"the very same change, upon a commit of hers that base never had": func(r *infra, pr forge.PullRequest) forgery {
			r.t.Helper()
			hers := r.host.commit(r.name(r.ID), "hers", "alice@acme.io", evil)
			return forgery{parent: hers, files: map[string]string{theFile: r.file(pr.HeadSHA, theFile) + "\n"}}
		},
	}
}

// before is the commit that a pull request's head was made on.
func (r *infra) before(pr forge.PullRequest) string {
	r.t.Helper()
	return r.host.git("", r.name(r.ID), "rev-parse", pr.HeadSHA+"^")
}

// leftAlone checks that the bot neither merged nor took up what alice made.
func (r *infra) leftAlone(number int, theirs string) {
	r.t.Helper()
	if merged(r, number) {
		r.t.Fatalf("the bot merged what alice had forged\n%s", r.explain())
	}
	if p := r.promotion(number); !p.Modified || p.Head == theirs {
		r.t.Fatalf("the promotion of #%d has the head %.8s and says %q; want it to know that %.8s is not the bot's", number, p.Head, p.Reason, theirs)
	}
	if head, _ := r.host.head(r.name(r.ID), r.pull(number).HeadBranch); head != theirs {
		r.t.Fatalf("the branch is at %.8s; want it left at %.8s", head, theirs)
	}
}

// Whoever may write can give a commit the bot's name and message, so these say nothing.
func TestAForgedCommitIsNotTheBots(t *testing.T) {
	for _, mode := range []promotion.MergeMode{promotion.MergeAuto, promotion.MergeApproved} {
		for name, make := range forgeries() {
			t.Run(fmt.Sprintf("%s, %s", mode, name), func(t *testing.T) {
				w := newWorld(t)
				acceptance, _ := w.shop(acceptanceMerges(mode))
				w.push(web, "1.1.0")
				w.work()
				pr := acceptance.only()
				theirs := acceptance.forge(pr, make(acceptance, pr))
				w.later(time.Second)
				if err := acceptance.alice().Review(acceptance.ID, pr.Number, forge.Approved); err != nil {
					t.Fatal(err)
				}
				w.hear()
				w.later(11 * time.Minute)
				acceptance.leftAlone(pr.Number, theirs)
			})
		}
	}
}

// The bot may have made a head that it did not live to write down, so that one it does not know is looked at; also then.
func TestAfterTheDatabaseWasLostAForgedCommitIsNotTheBots(t *testing.T) {
	for name, make := range forgeries() {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			acceptance, _ := w.shop(acceptanceMerges(promotion.MergeApproved))
			w.push(web, "1.1.0")
			w.work()
			pr := acceptance.only()
			theirs := acceptance.forge(pr, make(acceptance, pr))
			w.loseDatabase()
			w.lift(acceptance, "acceptance")
			w.hear()
			if err := acceptance.alice().Review(acceptance.ID, pr.Number, forge.Approved); err != nil {
				t.Fatal(err)
			}
			w.hear()
			w.later(11 * time.Minute)
			acceptance.leftAlone(pr.Number, theirs)
		})
	}
}

// A commit that holds nothing but the promotion is as good as the bot's, whoever made it: a person may bring the branch up to date.
func TestACommitOfTheSameContentIsAsGoodAsTheBots(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop(acceptanceMerges(promotion.MergeApproved))
	w.push(web, "1.1.0")
	w.work()
	pr := acceptance.only()
	text := acceptance.file(pr.HeadSHA, theFile) + "\n"
	base := acceptance.commit("main", map[string]string{"README.md": "base moved\n"})
	acceptance.host.git("", acceptance.name(acceptance.ID), "update-ref", "refs/heads/"+pr.HeadBranch, base)
	theirs := acceptance.commit(pr.HeadBranch, map[string]string{theFile: text})
	w.hear()
	if p := acceptance.promotion(pr.Number); p.Modified || p.Head != theirs || p.Base != base {
		t.Errorf("the promotion is at %.8s on %.8s (%s), want it at %.8s on %.8s", p.Head, p.Base, p.Reason, theirs, base)
	}
	acceptance.gate(acceptance.only(), forge.Success)
	if err := acceptance.alice().Review(acceptance.ID, pr.Number, forge.Approved); err != nil {
		t.Fatal(err)
	}
	w.hear()
	if !merged(acceptance, pr.Number) {
		t.Errorf("it was not merged\n%s", acceptance.explain())
	}
}

// Base goes on while the bot remembers nothing: its own commits are still its own.
func TestAfterTheDatabaseWasLostTheBotKnowsItsCommitsUponAnOlderBase(t *testing.T) {
	w := newWorld(t)
	r := w.both()
	w.push(web, "1.1.0")
	w.work()
	before := r.promotions()
	for i := range 3 {
		r.commit("main", map[string]string{"README.md": fmt.Sprintf("line %d\n", i)})
	}
	w.loseDatabase()
	for _, old := range before {
		got := r.promotion(old.PullRequest)
		if got.Modified || got.Head != old.Head || got.Base != old.Base {
			t.Errorf("#%d is at %.8s on %.8s (%s), want it at %.8s on %.8s", got.PullRequest, got.Head, got.Base, got.Reason, old.Head, old.Base)
		}
	}
	if len(callsOf(w, "Compare")) == 0 {
		t.Error("nobody asked whether the old base is one")
	}
}

// trailer is the release that a commit message names.
func trailer(message string) string {
	_, id, _ := strings.Cut(message, "\n"+trailerKey)
	id, _, _ = strings.Cut(id, "\n")
	return strings.TrimSpace(id)
}
