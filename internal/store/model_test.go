package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/boatlift/boatlift/internal/promotion"
)

// row of work as DESIGN.md says it, in words that have nothing to do with due_at.
type modelRow struct {
	wanted, done      int
	wakeAt, notBefore time.Time
	leased            time.Time
	claim             *Claim
	retried           bool // due whatever else, as a person or a stopping server said
	tokens            int64
	attempts          int
	claimedGeneration int
}

// claimable is (wanted > done or wake_at ≤ now) and due and unleased.
func (r *modelRow) claimable(now time.Time) bool {
	has := r.wanted > r.done || (!r.wakeAt.IsZero() && !r.wakeAt.After(now)) || r.retried || r.claim != nil
	return has && !r.notBefore.After(now) && !r.leased.After(now)
}

// TestWorkIsWhatTheDesignSays runs random histories of workers, events and clocks against the model.
func TestWorkIsWhatTheDesignSays(t *testing.T) {
	t.Parallel()
	s := openSQLite(t)
	s.random = func() float64 { return 0 }
	keys := []promotion.RepoKey{"github/1", "github/2", "discover/github"}
	rapid.Check(t, func(t *rapid.T) {
		ctx := context.Background()
		clock := stop(s)
		if err := s.write(ctx, "start again", func(ctx context.Context, q *conn) error {
			_, err := q.exec(ctx, `DELETE FROM work`)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		model := map[promotion.RepoKey]*modelRow{}
		var stale []*Claim
		at := func(key promotion.RepoKey) *modelRow {
			if model[key] == nil {
				model[key] = &modelRow{}
			}
			return model[key]
		}
		wake := func(keys []promotion.RepoKey) {
			for _, key := range sortedSet(keys) {
				at(key).wanted++
			}
		}
		held := func(t *rapid.T) *modelRow {
			var rows []*modelRow
			for _, key := range slices.Sorted(maps.Keys(model)) {
				if model[key].claim != nil {
					rows = append(rows, model[key])
				}
			}
			if len(rows) == 0 {
				t.Skip("nobody holds a claim")
			}
			return rapid.SampledFrom(rows).Draw(t, "row")
		}
		some := rapid.SliceOfN(rapid.SampledFrom(keys), 1, 3)
		const lease = 30 * time.Second
		t.Repeat(map[string]func(*rapid.T){
			"wake": func(t *rapid.T) {
				which := some.Draw(t, "keys")
				wake(which)
				check(t, s.Wake(ctx, which...))
			},
			"accept": func(t *rapid.T) {
				which := some.Draw(t, "keys")
				wake(which)
				_, err := s.Accept(ctx, hookOf(""), nil, which)
				check(t, err)
			},
			"retry": func(t *rapid.T) {
				key := rapid.SampledFrom(keys).Draw(t, "key")
				at(key).wanted++
				at(key).notBefore = time.Time{}
				check(t, s.Retry(ctx, key))
			},
			"wait": func(t *rapid.T) {
				clock.move(time.Duration(rapid.IntRange(1, 45).Draw(t, "seconds")) * time.Second)
			},
			"claim": func(t *rapid.T) {
				c, err := s.Claim(ctx, "w", lease)
				check(t, err)
				var can []promotion.RepoKey
				for key, r := range model {
					if r.claimable(clock.now()) {
						can = append(can, key)
					}
				}
				if c == nil {
					if len(can) > 0 {
						t.Fatalf("Claim() finds nothing; %v could be claimed", can)
					}
					return
				}
				if !slices.Contains(can, c.Repo) {
					t.Fatalf("Claim() = %+v; only %v may be claimed", c, can)
				}
				r := model[c.Repo]
				if r.claim != nil {
					stale = append(stale, r.claim)
					r.attempts++
				}
				r.tokens++
				if c.Token != r.tokens || c.Attempts != r.attempts || c.Wanted != int64(r.wanted) {
					t.Fatalf("Claim() = %+v; want token %d, attempts %d, wanted %d", c, r.tokens, r.attempts, r.wanted)
				}
				r.claim, r.leased, r.claimedGeneration, r.retried = c, clock.now().Add(lease), r.wanted, false
			},
			"finish": func(t *rapid.T) {
				r := held(t)
				var f Finish
				f.Wake = rapid.SliceOfN(rapid.SampledFrom(keys), 0, 2).Draw(t, "wake")
				if seconds := rapid.IntRange(-60, 60).Draw(t, "wake in"); seconds > 0 {
					f.WakeAt = clock.now().Add(time.Duration(seconds) * time.Second)
				}
				c := r.claim
				wake(f.Wake)
				r.done, r.wakeAt, r.notBefore, r.leased, r.claim, r.attempts = r.claimedGeneration, f.WakeAt, time.Time{}, time.Time{}, nil, 0
				check(t, s.Finish(ctx, c, f))
				stale = append(stale, c)
			},
			"fail": func(t *rapid.T) {
				r := held(t)
				c := r.claim
				after := time.Duration(rapid.IntRange(0, 90).Draw(t, "retry after")) * time.Second
				wait := max(after, backoff(c.Attempts, 0))
				r.wakeAt, r.notBefore, r.leased, r.claim = clock.now().Add(wait), clock.now().Add(wait), time.Time{}, nil
				r.attempts++
				check(t, s.Finish(ctx, c, Finish{Err: "failed", RetryAfter: after}))
				stale = append(stale, c)
			},
			"renew": func(t *rapid.T) {
				r := held(t)
				r.leased = clock.now().Add(lease)
				check(t, s.Renew(ctx, r.claim, lease))
			},
			"release": func(t *rapid.T) {
				r := held(t)
				c := r.claim
				r.leased, r.claim, r.retried = time.Time{}, nil, true
				check(t, s.Release(ctx, c))
				stale = append(stale, c)
			},
			"come back late": func(t *rapid.T) {
				if len(stale) == 0 {
					t.Skip("nobody is late")
				}
				c := rapid.SampledFrom(stale).Draw(t, "claim")
				for what, err := range map[string]error{
					"Finish": s.Finish(ctx, c, Finish{Wake: keys}),
					"Renew":  s.Renew(ctx, c, time.Hour),
					"Update": s.Update(ctx, c, func(tx *Tx) error { tx.Wake(keys...); return nil }),
				} {
					if !errors.Is(err, ErrLost) {
						t.Fatalf("%s with the stale claim %+v = %v; want ErrLost", what, c, err)
					}
				}
			},
			"": func(t *rapid.T) {
				due, found, err := s.NextDue(ctx)
				check(t, err)
				for key, r := range model {
					if r.claimable(clock.now()) && (!found || due.After(clock.now())) {
						t.Fatalf("%s can be claimed; NextDue() = %v, %v", key, due, found)
					}
				}
				if found && !due.After(clock.now()) && !slices.ContainsFunc(slices.Collect(maps.Values(model)), func(r *modelRow) bool { return r.claimable(clock.now()) }) {
					t.Fatalf("nothing can be claimed; NextDue() = %v at %v", due, clock.now())
				}
			},
		})
	})
}

func check(t *rapid.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(fmt.Errorf("unexpected: %w", err))
	}
}
