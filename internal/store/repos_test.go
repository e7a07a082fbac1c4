package store

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/promotion"
)

var reposTests = []test{
	{"new and changed repos are woken, missing ones parked", func(t *testing.T, s *Store) {
		discovery := func(repos ...Repo) []promotion.RepoKey {
			return must1(s.UpsertRepos(t.Context(), "github", repos))(t)
		}
		one, two := infra("github/1", "acme/one"), infra("github/2", "acme/two")
		if got := discovery(two, one); !slices.Equal(got, []promotion.RepoKey{"github/1", "github/2"}) {
			t.Errorf("new repos: woken %v", got)
		}
		if got := len(pending(t, s)); got != 2 {
			t.Errorf("%d repos are pending; want 2", got)
		}
		if got := discovery(one, two); got != nil {
			t.Errorf("nothing new: woken %v", got)
		}
		one.FullName = "acme/uno"
		if got := discovery(one, two); !slices.Equal(got, []promotion.RepoKey{"github/1"}) {
			t.Errorf("a rename: woken %v", got)
		}
		if got := discovery(one); got != nil {
			t.Errorf("one fewer: woken %v", got)
		}
		r, found, err := s.Repo(t.Context(), "github/2")
		must(t, err)
		if !found || r.State != RepoParked || r.StateReason != ReasonNotListed || pending(t, s)["github/2"] {
			t.Errorf("the missing repo is %+v, pending %v; want it parked without work", r, pending(t, s))
		}
		two.State, two.StateReason = RepoParked, "archived"
		if got := discovery(one, two); got != nil {
			t.Errorf("an archived one: woken %v", got)
		}
		two.State, two.StateReason = "", ""
		if got := discovery(one, two); !slices.Equal(got, []promotion.RepoKey{"github/2"}) {
			t.Errorf("one that is back: woken %v", got)
		}
		if other := must1(s.UpsertRepos(t.Context(), "gitlab", nil))(t); other != nil {
			t.Errorf("another forge: woken %v", other)
		}
		for _, r := range must1(s.Repos(t.Context()))(t) {
			if r.State != RepoActive {
				t.Errorf("%s is %s after the list of another forge", r.Key, r.State)
			}
		}
		if _, err := s.UpsertRepos(t.Context(), "gitlab", []Repo{one}); err == nil {
			t.Error("a repo of another forge is recorded")
		}
	}},
	{"a discovery keeps what the bot found out", func(t *testing.T, s *Store) {
		stop(s)
		discover(t, s, infra(production, "acme/infra"))
		r := infra(production, "acme/infra")
		r.BaseHead, r.ConfigText, r.BaselineAt, r.Environments = "b1", "text", time.Unix(1, 0).UTC(), []EnvRow{{Name: "production", Path: "p", Mode: promotion.Propose}}
		turn(t, s, production, func(tx *Tx) { tx.SaveRepo(r) })
		discover(t, s, infra(production, "acme/renamed"))
		got, _, err := s.Repo(t.Context(), production)
		must(t, err)
		if got.FullName != "acme/renamed" || got.BaseHead != "b1" || got.ConfigText != "text" || !got.BaselineAt.Equal(r.BaselineAt) ||
			len(got.Environments) != 1 || got.Environments[0].Path != "p" {
			t.Errorf("Repo() = %+v", got)
		}
	}},
	{"a turn does not take up a parked repo by saving it", func(t *testing.T, s *Store) {
		discover(t, s, infra(production, "acme/infra"))
		c := claim(t, s, production)
		must(t, s.SetRepoState(t.Context(), production, RepoParked, "suspended"))
		must(t, s.Update(t.Context(), c, func(tx *Tx) error { tx.SaveRepo(infra(production, "acme/infra")); return nil }))
		must(t, s.Finish(t.Context(), c, Finish{}))
		r, _, err := s.Repo(t.Context(), production)
		must(t, err)
		if r.State != RepoParked || r.StateReason != "suspended" {
			t.Errorf("Repo() = %+v; want it parked", r)
		}
	}},
	{"parking ends the work, taking up makes some", func(t *testing.T, s *Store) {
		discover(t, s, infra(production, "acme/infra"))
		c := claim(t, s, production)
		must(t, s.Finish(t.Context(), c, Finish{Err: "gone", RetryAfter: time.Hour}))
		must(t, s.SetRepoState(t.Context(), production, RepoParked, "suspended"))
		if w := must1(s.Work(t.Context()))(t)[0]; w.Pending || !w.DueAt.IsZero() || w.Attempts != 0 {
			t.Errorf("work of a parked repo: %+v", w)
		}
		must(t, s.SetRepoState(t.Context(), production, RepoActive, ""))
		if c := must1(s.Claim(t.Context(), "a", time.Minute))(t); c == nil {
			t.Error("no turn after it was taken up")
		}
		if err := s.SetRepoState(t.Context(), "github/404", RepoParked, ""); !errors.Is(err, ErrNotFound) {
			t.Errorf("SetRepoState(unknown) = %v; want ErrNotFound", err)
		}
	}},
	{"a name leads to the active repo", func(t *testing.T, s *Store) {
		discover(t, s, infra("github/1", "acme/infra"))
		discover(t, s, infra("github/2", "acme/infra")) // deleted and made again
		r, found, err := s.RepoByName(t.Context(), "github", "Acme/Infra")
		if err != nil || !found || r.Key != "github/2" {
			t.Errorf("RepoByName() = %+v, %v, %v; want github/2", r.Key, found, err)
		}
		if _, found, err := s.RepoByName(t.Context(), "gitlab", "acme/infra"); found || err != nil {
			t.Errorf("RepoByName(another forge) = %v, %v", found, err)
		}
	}},
	{"a removed repo leaves only its audit, and its token never falls", func(t *testing.T, s *Store) {
		discover(t, s, infra(production, "acme/infra"), infra(acceptance, "acme/other"))
		turn(t, s, production, func(tx *Tx) {
			tx.SavePromotion(promoted(production, "production", 1))
			tx.SaveListings(production, []promotion.Listing{{Environment: "production", Image: web}})
			tx.AddHold(promotion.Hold{Environment: "production"})
			tx.Audit(AuditEntry{Action: "opened", Subject: string(production)})
		})
		c := claim(t, s, production)
		must(t, s.RemoveRepos(t.Context(), production, "github/404"))
		if err := s.Finish(t.Context(), c, Finish{}); !errors.Is(err, ErrLost) {
			t.Errorf("Finish() = %v; want ErrLost", err)
		}
		if m := must1(s.Memory(t.Context(), production))(t); m.Found {
			t.Errorf("Memory() = %+v", m)
		}
		if got := must1(s.Promotions(t.Context(), PromotionFilter{Image: web}))(t); len(got) != 0 {
			t.Errorf("Promotions() = %+v", got)
		}
		if got := must1(s.AuditTail(t.Context(), AuditFilter{}))(t); len(got) != 1 {
			t.Errorf("AuditTail() = %+v", got)
		}
		must(t, second(s.UpsertRepos(t.Context(), "github", []Repo{infra(production, "acme/infra"), infra(acceptance, "acme/other")})))
		again := must1(s.Claim(t.Context(), "a", time.Minute))(t)
		if again == nil || again.Token <= c.Token {
			t.Errorf("Claim() = %+v; want a token above %d", again, c.Token)
		}
		if err := s.Update(t.Context(), c, func(*Tx) error { return nil }); !errors.Is(err, ErrLost) {
			t.Errorf("Update() with the old claim = %v; want ErrLost", err)
		}
	}},
	{"repos that list an image are found", func(t *testing.T, s *Store) {
		discover(t, s, infra(production, "acme/infra"), infra(acceptance, "acme/other"))
		list(t, s, production, "production", web)
		list(t, s, acceptance, "acceptance", web, worker)
		if got := must1(s.ReposListing(t.Context(), web))(t); !slices.Equal(got, []promotion.RepoKey{acceptance, production}) {
			t.Errorf("ReposListing(web) = %v", got)
		}
		list(t, s, acceptance, "acceptance", worker)
		if got := must1(s.ReposListing(t.Context(), web))(t); !slices.Equal(got, []promotion.RepoKey{production}) {
			t.Errorf("ReposListing(web) = %v", got)
		}
	}},
}
