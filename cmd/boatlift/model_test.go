package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
	"github.com/boatlift/boatlift/cmd/sandbox/stage"
	"github.com/boatlift/boatlift/internal/dashboard"
	"github.com/boatlift/boatlift/internal/promotion"
)

// sandboxSteps is how many random steps are taken against the sandbox; make model takes two thousand, CI 800.
var sandboxSteps = flag.Int("sandbox.steps", sandboxStepsWanted(), "random steps against the sandbox")

func sandboxStepsWanted() int {
	if n, err := strconv.Atoi(os.Getenv("BOATLIFT_SANDBOX_STEPS")); err == nil {
		return n
	}
	return 200
}

// TestModel drives the real program against the sandbox at random: pushes, people at the wrong moment, failed rollouts, holds, lost and
// doubled webhooks, kill -9. Nothing waits for the bot between two steps. After every fifty it comes to rest, and the rules that hold then
// are looked at from outside; in the end what can move has to. The rules are checked step by step, and histories shortened, by the model in
// internal/reconcile: this one is about the parts between which that one has no walls.
func TestModel(t *testing.T) {
	t.Parallel()
	t.Run("GitHub", func(t *testing.T) { playAtRandom(t, "") })
	t.Run("GitLab", func(t *testing.T) { playAtRandom(t, hub.Ultimate) })
	t.Run("GitLab by drafts", func(t *testing.T) { playAtRandom(t, hub.Free) })
}

// playAtRandom plays at a GitLab of this tier; empty: at a GitHub.
func playAtRandom(t *testing.T, tier hub.Tier) {
	t.Parallel()
	steps := *sandboxSteps
	if tier != "" {
		steps /= 4 // the bot is the same, and so is the model; only the adapter is another
	}
	if testing.Short() {
		steps /= 10
	}
	m := &sandboxModel{T: t, random: dice(t), rejected: map[string]int{}, foreign: map[string]bool{}}
	m.s = set(t, stage.Options{GitLab: tier, BotConfig: "poll: 1s\n", Config: map[string]string{
		stage.Acceptance: autoAcceptance, stage.Production: "environments:\n  - name: production\n    after: [\"" + stage.Acceptance + ":acceptance\"]\n    rollout: {deployment: production}\n",
	}})
	for i := range steps {
		if err := m.step(t.Context()); err != nil {
			m.fail("step %d: %v", i, err)
		}
		if i%50 == 49 {
			m.rest(t.Context())
		}
	}
	m.finish(t.Context())
}

type sandboxModel struct {
	*testing.T
	s        *stage.Stage
	random   *rand.Rand
	minor    int
	history  []string        // since the last rest
	rejected map[string]int  // repository and branch: the pull request by closing which a person refused the release
	foreign  map[string]bool // repository and branch: a person pushed to it, so that it may outlive its promotion
}

func (m *sandboxModel) tell(format string, args ...any) {
	m.history = append(m.history, fmt.Sprintf(format, args...))
}

func (m *sandboxModel) fail(format string, args ...any) {
	m.Helper()
	status, err := m.s.Bot.Command(context.WithoutCancel(m.Context()), "status")
	m.Fatalf("%s\nwhat happened since the last rest:\n  %s\nthe bot's status (%v):\n%s", fmt.Sprintf(format, args...), strings.Join(m.history, "\n  "), err, status)
}

func (m *sandboxModel) someRepo() string {
	return []string{stage.Acceptance, stage.Production}[m.random.IntN(2)]
}

// pull is one of the newest pull requests of the bot in a state; its number is 0 if there is none.
func (m *sandboxModel) pull(repo string, is func(hub.Pull) bool) (hub.Pull, error) {
	pulls, err := m.s.Hub.Pulls(repo)
	pulls = slices.DeleteFunc(pulls, func(p hub.Pull) bool { return !is(p) || !strings.HasPrefix(p.Head, "boatlift/") })
	if err != nil || len(pulls) == 0 {
		return hub.Pull{}, err
	}
	return pulls[len(pulls)-1-m.random.IntN(min(3, len(pulls)))], nil
}

func isOpen(p hub.Pull) bool { return p.State == "open" }

func isRefused(p hub.Pull) bool { return p.State == "closed" && !p.Merged }

// step does one thing. What people and pipelines are refused is no mistake.
func (m *sandboxModel) step(ctx context.Context) error {
	repo := m.someRepo()
	switch n := m.random.IntN(100); {
	case n < 20:
		if m.random.IntN(3) > 0 || m.minor == 0 {
			m.minor++
		}
		tag := fmt.Sprintf("1.%d.0", 5+m.random.IntN(m.minor)+1)
		m.tell("%s is pushed", tag)
		return m.s.Push(ctx, tag)
	case n < 50:
		return m.onPull(ctx, repo)
	case n < 58:
		m.tell("the next rollout of %s fails", repo)
		return m.s.Hub.FailNextRollout(repo, strings.TrimPrefix(repo, "acme/infra-"))
	case n < 68:
		f := hub.Faults{ErrorEvery: m.random.IntN(20) * m.random.IntN(2), ErrorAfter: m.random.IntN(2) == 0, ForgetWebhooks: m.random.IntN(4), DoubleWebhooks: m.random.IntN(4)}
		f.ReorderWebhooks, f.MergeUnknown, f.Times = m.random.IntN(3), m.random.IntN(2), 10
		m.tell("the forge misbehaves: %+v", f)
		m.s.Hub.SetFaults(f)
	case n < 72:
		m.tell("alice commits something else to %s", repo)
		_, err := m.s.Hub.Push(ctx, repo, hub.Commit{Person: "alice", Message: "tidy up", Files: map[string][]byte{"README.md": fmt.Append(nil, m.random.Int())}})
		return err
	case n < 75:
		where := repo + ":" + strings.TrimPrefix(repo, "acme/infra-")
		m.tell("%s is held", where)
		_, err := m.s.Bot.Command(ctx, "hold", where, "--reason", "a test")
		return err
	case n < 80:
		return m.lift(ctx, repo)
	case n < 84:
		m.tell("the bot is killed")
		if err := m.s.Bot.Kill(); err != nil {
			return err
		}
		return m.s.Bot.Start(ctx)
	default:
		m.tell("nothing, for as long as the forge needs to be done")
		return m.s.Hub.Idle(ctx)
	}
	return nil
}

func (m *sandboxModel) lift(ctx context.Context, repo string) error {
	where := repo + ":" + strings.TrimPrefix(repo, "acme/infra-")
	m.tell("%s is lifted", where)
	_, err := m.s.Bot.Command(ctx, "lift", where)
	if err != nil && strings.Contains(err.Error(), "hold") {
		return nil // nothing was held
	}
	return err
}

func (m *sandboxModel) onPull(ctx context.Context, repo string) error {
	what := []string{"merge", "merge", "merge", "approve", "close", "reopen", "push", "comment"}[m.random.IntN(8)]
	is := isOpen
	if what == "reopen" {
		is = isRefused
	}
	p, err := m.pull(repo, is)
	if err != nil || p.Number == 0 {
		return err
	}
	key := repo + " " + p.Head
	var refused error
	switch what {
	case "merge":
		_, refused = m.s.Hub.MergePull(ctx, repo, p.Number, "alice", "merge", p.HeadSHA)
	case "approve":
		refused = m.s.Hub.Review(repo, p.Number, "bob", hub.Approve, "")
	case "close":
		if refused = m.s.Hub.ClosePull(ctx, repo, p.Number, "alice"); refused == nil {
			m.rejected[key] = p.Number
		}
	case "reopen":
		if refused = m.s.Hub.ReopenPull(ctx, repo, p.Number, "alice"); refused == nil {
			delete(m.rejected, key)
		}
	case "push":
		if m.random.IntN(4) == 0 { // the bot leaves such a pull request alone for ever
			m.foreign[key] = true
			_, refused = m.s.Hub.Push(ctx, repo, hub.Commit{Person: "alice", Branch: p.Head, Message: "by hand", Files: map[string][]byte{"NOTES.md": []byte(what)}})
		}
	case "comment":
		refused = m.s.Hub.Comment(repo, p.Number, "bob", "looks good")
	}
	m.tell("%s %s#%d %q: %v", what, repo, p.Number, p.Title, refused)
	return nil
}

// rest ends all faults, waits until nothing is under way, and looks whether the rules hold.
func (m *sandboxModel) rest(ctx context.Context) {
	m.Helper()
	m.s.Hub.SetFaults(hub.Faults{})
	if err := m.s.Quiet(ctx); err != nil {
		m.fail("the bot never comes to rest: %v", err)
	}
	var wrong string
	err := stage.Await(ctx, patience, "the rules to hold", func() (bool, error) { // what was lost is found by the poll
		status, err := m.s.Bot.Status(ctx)
		if err != nil {
			return false, nil // not up yet
		}
		wrong, err = m.broken(status)
		return wrong == "", err
	})
	if err != nil {
		m.fail("%v: %s", err, wrong)
	}
	m.history = nil
}

// broken says which rule does not hold; empty if all do.
func (m *sandboxModel) broken(status dashboard.Status) (string, error) {
	runs := map[string]bool{} // image@digest in acceptance
	for _, r := range status.Repos {
		for _, e := range r.Environments {
			for _, i := range e.Images {
				if r.Name == stage.Acceptance && i.Running != nil {
					runs[string(i.Name)+"@"+string(i.Running.Digest)] = true
				}
			}
		}
	}
	for _, r := range status.Repos {
		pulls, err := m.s.Hub.Pulls(r.Name)
		if err != nil {
			return "", err
		}
		branches := map[string]int{}
		for _, p := range pulls {
			if !isOpen(p) || !strings.HasPrefix(p.Head, "boatlift/") {
				continue
			}
			if other := branches[p.Head]; other != 0 {
				return fmt.Sprintf("rule 1: #%d and #%d of %s are of one release", other, p.Number, r.Name), nil
			}
			branches[p.Head] = p.Number
			if by := m.rejected[r.Name+" "+p.Head]; by != 0 && by != p.Number {
				return fmt.Sprintf("rule 4: #%d of %s is there after its release was rejected by closing #%d", p.Number, r.Name, by), nil
			}
			check, err := m.s.Check(r.Name, p.HeadSHA, stage.GateCheck)
			if err != nil || check.Name == "" {
				return fmt.Sprintf("#%d of %s shows no gate", p.Number, r.Name), err
			}
			if wrong := m.brokenPull(r, p, check, runs); wrong != "" {
				return wrong, nil
			}
		}
	}
	return "", nil
}

func (m *sandboxModel) brokenPull(r dashboard.Repo, p hub.Pull, check hub.Check, runs map[string]bool) string {
	for _, e := range r.Environments {
		i := slices.IndexFunc(e.Promotions, func(o promotion.Promotion) bool { return o.PullRequest == p.Number })
		if i < 0 {
			continue
		}
		pr := e.Promotions[i]
		if pr.Modified {
			return ""
		}
		for _, c := range pr.Release.Changes {
			if r.Name == stage.Production && check.Conclusion == "success" && !runs[string(c.Image)+"@"+string(c.Digest)] {
				return fmt.Sprintf("rule 3: the gate of %s#%d is green, and acceptance does not run %s", r.Name, p.Number, c.Image.Base()+":"+c.Tag)
			}
		}
		words := map[string]string{"success": "**It may be merged.**", "failure": "**It must not be merged:**", "": "**It waits:**"}
		if !strings.Contains(p.Body, words[check.Conclusion]) {
			return fmt.Sprintf("the body of %s#%d does not say that its gate shows %q", r.Name, p.Number, check.Conclusion)
		}
		return ""
	}
	if m.foreign[r.Name+" "+p.Head] {
		return ""
	}
	return fmt.Sprintf("%s#%d is open, and belongs to no promotion", r.Name, p.Number)
}

// rollOut rolls a repository out again until that succeeds: rollouts that are still to fail do so now.
func (m *sandboxModel) rollOut(ctx context.Context, repo string) {
	m.Helper()
	for i := 0; ; i++ {
		_, err := m.s.Hub.Push(ctx, repo, hub.Commit{Person: "alice", Message: "roll out again", Files: map[string][]byte{"apps/shop/NOTES.md": fmt.Append(nil, i)}})
		if err != nil {
			m.fail("%v", err)
		}
		if err := m.s.Hub.Idle(ctx); err != nil {
			m.fail("%v", err)
		}
		deployments, err := m.s.Hub.Deployments(repo)
		if err != nil || len(deployments) == 0 {
			m.fail("%s has no deployments: %v", repo, err)
		}
		newest := slices.MaxFunc(deployments, func(a, b hub.Deployment) int { return cmp.Compare(a.ID, b.ID) })
		if newest.State == "success" {
			return
		}
		if i > 1000 {
			m.fail("the rollouts of %s never succeed", repo)
		}
	}
}

// finish pushes what nobody has refused, lets it go, and sees it arrive.
func (m *sandboxModel) finish(ctx context.Context) {
	m.Helper()
	m.rest(ctx)
	for _, repo := range []string{stage.Acceptance, stage.Production} {
		if err := m.lift(ctx, repo); err != nil {
			m.fail("%v", err)
		}
		m.rollOut(ctx, repo)
	}
	const last = "2.0.0"
	m.tell("%s is pushed", last)
	if err := m.s.Push(ctx, last); err != nil {
		m.fail("%v", err)
	}
	if err := m.s.AwaitRuns(ctx, stage.Acceptance, last); err != nil {
		m.fail("liveness: %v", err)
	}
	if err := m.s.Merge(ctx, stage.Production, last); err != nil {
		m.fail("liveness: %v", err)
	}
	if err := m.s.AwaitRuns(ctx, stage.Production, last); err != nil {
		m.fail("liveness: %v", err)
	}
	m.rest(ctx)
	for _, repo := range []string{stage.Acceptance, stage.Production} {
		fsck(m.T, m.s, repo)
	}
}
