package gate

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/boatlift/boatlift/internal/image"
)

// Whatever is required in addition, no verdict becomes looser, and no other policy's ruling changes.
func TestAddingPoliciesNeverLoosens(t *testing.T) {
	t.Parallel()
	e := shipped(t)
	rapid.Check(t, func(t *rapid.T) {
		facts := drawFacts(t)
		uses := rapid.SliceOfN(rapid.SampledFrom(someUses()), 0, 5).Draw(t, "uses")
		extra := rapid.SampledFrom(someUses()).Draw(t, "extra")
		at := rapid.IntRange(0, len(uses)).Draw(t, "at")
		before := e.Judge(context.Background(), facts, uses)
		after := e.Judge(context.Background(), facts, slices.Insert(slices.Clone(uses), at, extra))
		if after.State.rank() < before.State.rank() {
			t.Fatalf("%v loosens %v from %s to %s", extra, uses, before.State, after.State)
		}
		first := len(before.Rulings) - len(uses)
		if rest := slices.Delete(slices.Clone(after.Rulings), first+at, first+at+1); !reflect.DeepEqual(rest, before.Rulings) {
			t.Fatalf("%v changes other rulings: %+v; before %+v", extra, rest, before.Rulings)
		}
		joined := e.Judge(context.Background(), facts, Stricter([]Use{extra}, uses))
		if alone := e.Judge(context.Background(), facts, []Use{extra}); joined.State.rank() < alone.State.rank() || joined.State.rank() < before.State.rank() {
			t.Fatalf("a repository loosens what its organisation requires: %s; required alone %s", joined.State, alone.State)
		}
	})
}

// The announced moment is the first at which the clock changes a ruling, and lies ahead.
func TestUntilIsTrue(t *testing.T) {
	t.Parallel()
	e := shipped(t)
	rapid.Check(t, func(t *rapid.T) {
		facts := drawFacts(t)
		use := rapid.SampledFrom(someUses()).Draw(t, "use")
		judge := func(at time.Time) Ruling {
			later := facts
			later.Now = at
			rulings := e.Judge(context.Background(), later, []Use{use}).Rulings
			return rulings[len(rulings)-1]
		}
		r := judge(facts.Now)
		if r.Until.IsZero() {
			return
		}
		if !r.Until.After(facts.Now) {
			t.Fatalf("%v: until %s, at %s", use, r.Until, facts.Now)
		}
		if before := judge(r.Until.Add(-time.Nanosecond)); before.State != r.State {
			t.Fatalf("%v: %s turns to %s before %s", use, r.State, before.State, r.Until)
		}
		if then := judge(r.Until); then.State == r.State {
			t.Fatalf("%v: still %s at %s: %s", use, r.State, r.Until, then.Say)
		}
	})
}

func someUses() []Use {
	return append(goodUses(), []Use{
		{"soak", map[string]any{"for": "3h"}},
		{"approvals", map[string]any{"count": 2, "codeOwners": true}},
		{"approvals", map[string]any{"from": []any{"acme/ops"}, "afterGreen": true}},
		{"freeze", map[string]any{"from": "10:00", "to": "14:00", "zone": "UTC"}},
		{"checks", map[string]any{"names": []any{"scan", "build"}}},
		{"max-age", map[string]any{"age": "1h"}},
		{"only-tags", map[string]any{"match": []any{"v.*"}}},
		{Policy: "nonsense"},
		{Policy: "soak"},
	}...)
}

func drawFacts(t *rapid.T) Facts {
	f := good()
	instant := rapid.Custom(func(t *rapid.T) time.Time {
		if rapid.IntRange(0, 4).Draw(t, "known") == 0 {
			return time.Time{}
		}
		return noon.Add(time.Duration(rapid.IntRange(-100, 100).Draw(t, "minutes")) * 5 * time.Minute)
	})
	f.Now = noon.Add(time.Duration(rapid.IntRange(-2000, 2000).Draw(t, "now")) * 5 * time.Minute)
	f.Rollback = rapid.Bool().Draw(t, "rollback")
	f.Held = rapid.SampledFrom([]string{"", "", "", "stop"}).Draw(t, "held")
	f.OpenCount = rapid.IntRange(0, 20).Draw(t, "open")
	f.GreenAt = instant.Draw(t, "green")
	f.Changes[0].PushedAt = instant.Draw(t, "pushed")
	f.Changes[0].Downgrade = rapid.Bool().Draw(t, "downgrade")
	f.Changes[0].ToTag = rapid.SampledFrom([]string{"", "1.0.0", "v2"}).Draw(t, "tag")
	if rapid.Bool().Draw(t, "no digest") {
		f.Changes[0].ToDigest = ""
	}
	f.After = nil
	for i := range rapid.IntRange(0, 2).Draw(t, "after") {
		up := Upstream{Environment: fmt.Sprint("e", i), RunsSince: instant.Draw(t, "since"), Verified: rapid.Bool().Draw(t, "verified")}
		up.Rollout = rapid.SampledFrom([]string{"succeeded", "failed", "running", "unknown", "", "odd"}).Draw(t, "rollout")
		up.Problem = rapid.SampledFrom([]string{"", "", "ambiguous"}).Draw(t, "problem")
		if rapid.Bool().Draw(t, "missing") {
			up.Missing = []image.Name{"registry.acme.io/shop/web"}
		}
		f.After = append(f.After, up)
	}
	f.Approvals = nil
	for range rapid.IntRange(0, 3).Draw(t, "approvals") {
		f.Approvals = append(f.Approvals, Approval{
			User:     rapid.SampledFrom([]string{"alice", "bob"}).Draw(t, "user"),
			Approved: rapid.IntRange(0, 3).Draw(t, "approved") > 0, At: instant.Draw(t, "at"),
			OnHead: rapid.Bool().Draw(t, "head"), CanWrite: rapid.Bool().Draw(t, "write"), Author: rapid.Bool().Draw(t, "author"),
			CodeOwner: rapid.Bool().Draw(t, "owner"), Teams: []string{"acme/ops"},
		})
	}
	f.Checks = map[string]string{"build": rapid.SampledFrom([]string{"success", "pending", "failure", ""}).Draw(t, "build")}
	return f
}
