package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
)

// promoted is an open promotion of web to the nth digest.
func promoted(key promotion.RepoKey, environment string, n int) promotion.Promotion {
	release := promotion.NewRelease(environment, "web", []promotion.Change{{
		Image: web, FromTag: "1.0.0", FromDigest: digest(0), Tag: fmt.Sprintf("1.%d.0", n), Digest: digest(n),
	}})
	return promotion.Promotion{
		ID: release.ID + "-1", Repo: key, Release: release, State: promotion.Open, Branch: release.Branch(), PullRequest: n,
		CreatedAt: time.Date(2026, 3, 1, 0, n, 0, 0, time.UTC),
	}
}

var turnTests = []test{
	{"a promotion comes back as it was", func(t *testing.T, s *Store) {
		stop(s)
		discover(t, s, infra(production, "acme/infra"))
		p := promoted(production, "production", 1)
		verdict := gate.Judge(gate.Ruling{Policy: "soak", State: gate.Wait, Say: "12 min to go", Until: p.CreatedAt.Add(time.Hour)})
		p.Gate, p.Files, p.Head, p.URL, p.Attempts = &verdict, []string{"a/kustomization.yaml"}, "abc", "https://forge/1", 2
		turn(t, s, production, func(tx *Tx) { tx.SavePromotion(p) })
		p.State, p.Reason = promotion.Merged, "merged by ada"
		turn(t, s, production, func(tx *Tx) { tx.SavePromotion(p) })
		got := must1(s.Promotions(t.Context(), PromotionFilter{ID: p.ID}))(t)
		if len(got) != 1 || !reflect.DeepEqual(got[0], p) {
			t.Errorf("Promotions() = %+v; want %+v", got, p)
		}
	}},
	{"a promotion cannot be open twice", func(t *testing.T, s *Store) {
		stop(s)
		discover(t, s, infra(production, "acme/infra"), infra(acceptance, "acme/other"))
		first := promoted(production, "production", 1)
		turn(t, s, production, func(tx *Tx) { tx.SavePromotion(first) })
		again := first
		again.ID, again.State = first.Release.ID+"-2", promotion.Opening
		c := claim(t, s, production)
		err := s.Update(t.Context(), c, func(tx *Tx) error {
			tx.SaveNotes(production, []promotion.Note{{Say: "not kept"}})
			tx.SavePromotion(again)
			return nil
		})
		if duplicate, ok := errors.AsType[*DuplicateError](err); !ok || duplicate.Branch != first.Branch {
			t.Errorf("the second promotion on the branch = %v; want *DuplicateError", err)
		}
		if notes := must1(s.Notes(t.Context(), NoteFilter{}))(t); len(notes) != 0 {
			t.Errorf("the transaction left %+v", notes)
		}
		first.State, first.EndedAt = promotion.Rejected, first.CreatedAt.Add(time.Hour)
		must(t, s.Update(t.Context(), c, func(tx *Tx) error {
			tx.SavePromotion(first)
			tx.SavePromotion(again)
			return nil
		}))
		must(t, s.Finish(t.Context(), c, Finish{}))
		other := promoted(acceptance, "production", 1) // the same release, branch and id in another repo
		turn(t, s, acceptance, func(tx *Tx) { tx.SavePromotion(other) })
		if got := must1(s.Promotions(t.Context(), PromotionFilter{Active: true}))(t); len(got) != 2 {
			t.Errorf("active are %d; want one in each repo", len(got))
		}
	}},
	{"an error in the callback writes nothing", func(t *testing.T, s *Store) {
		discover(t, s, infra(production, "acme/infra"))
		c := claim(t, s, production)
		err := s.Update(t.Context(), c, func(tx *Tx) error {
			tx.SaveNotes(production, []promotion.Note{{Say: "no"}})
			return errors.ErrUnsupported
		})
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("Update() = %v", err)
		}
		if notes := must1(s.Notes(t.Context(), NoteFilter{}))(t); len(notes) != 0 {
			t.Errorf("it wrote %+v", notes)
		}
	}},
	{"a turn writes for its own repo only", func(t *testing.T, s *Store) {
		discover(t, s, infra(production, "acme/infra"), infra(acceptance, "acme/other"))
		c := claim(t, s, production)
		for name, fn := range map[string]func(tx *Tx){
			"repo":      func(tx *Tx) { tx.SaveRepo(infra(acceptance, "acme/other")) },
			"listings":  func(tx *Tx) { tx.SaveListings(acceptance, nil) },
			"promotion": func(tx *Tx) { tx.SavePromotion(promoted(acceptance, "acceptance", 1)) },
			"notes":     func(tx *Tx) { tx.SaveNotes(acceptance, nil) },
			"check":     func(tx *Tx) { tx.SaveCheck(acceptance, 1, "a", "b") },
		} {
			if err := s.Update(t.Context(), c, func(tx *Tx) error { fn(tx); return nil }); err == nil {
				t.Errorf("%s of another repo is written", name)
			}
		}
	}},
	{"an image that is new to a repo and was pushed during the turn makes another turn", func(t *testing.T, s *Store) {
		clock := stop(s)
		discover(t, s, infra(production, "acme/infra"))
		must(t, second(s.Accept(t.Context(), hookOf("long ago"), []Push{pushOf(worker, "1", 1)}, nil)))
		clock.move(time.Hour)
		save := func(c *Claim, images ...image.Name) {
			t.Helper()
			var listings []promotion.Listing
			for _, name := range images {
				listings = append(listings, promotion.Listing{Environment: "production", Image: name})
			}
			must(t, s.Update(t.Context(), c, func(tx *Tx) error { tx.SaveListings(production, listings); return nil }))
			must(t, s.Finish(t.Context(), c, Finish{}))
		}
		save(claim(t, s, production), worker)
		if pending(t, s)[production] {
			t.Error("a push of long ago makes a turn")
		}
		c := claim(t, s, production)
		clock.move(time.Second)
		if got := must1(s.Accept(t.Context(), hookOf("meanwhile"), []Push{pushOf(web, "2", 2)}, nil))(t); got.Woken != nil {
			t.Fatalf("Accept() wakes %v; want nobody, as nobody lists the image yet", got.Woken)
		}
		save(c, worker, web)
		if !pending(t, s)[production] {
			t.Error("the push that came meanwhile is forgotten")
		}
		save(must1(s.Claim(t.Context(), "a", time.Minute))(t), worker, web)
		if pending(t, s)[production] {
			t.Error("an image that is not new makes another turn, and so for ever")
		}
	}},
	{"a person writes without a claim, and that makes a turn", func(t *testing.T, s *Store) {
		discover(t, s, infra(production, "acme/infra"))
		c := claim(t, s, production)
		hold := promotion.Hold{Environment: "production", Images: []image.Name{worker, web}, Reason: "incident 12", Actor: "ada", At: time.Unix(1, 0).UTC()}
		must(t, s.Operate(t.Context(), production, func(tx *Tx) error {
			tx.AddHold(hold)
			tx.Audit(AuditEntry{Actor: "ada", Role: "operate", Action: "hold", Subject: "production"})
			return nil
		}))
		must(t, s.Finish(t.Context(), c, Finish{}))
		if !pending(t, s)[production] {
			t.Error("the hold makes no turn")
		}
		if err := s.Operate(t.Context(), "github/404", func(*Tx) error { return nil }); !errors.Is(err, ErrNotFound) {
			t.Errorf("Operate on an unknown repo = %v; want ErrNotFound", err)
		}
	}},
	{"holds are lifted image by image", func(t *testing.T, s *Store) {
		discover(t, s, infra(production, "acme/infra"))
		hold := promotion.Hold{Environment: "production", Images: []image.Name{worker, web}, Reason: "incident 12", Actor: "ada", At: time.Unix(1, 0).UTC()}
		whole := promotion.Hold{Environment: "production", Reason: "freeze", Actor: "bob", At: time.Unix(2, 0).UTC()}
		other := promotion.Hold{Environment: "acceptance", Reason: "freeze", Actor: "bob", At: time.Unix(3, 0).UTC()}
		again := hold
		again.Reason, again.At = "again", time.Unix(9, 0)
		turn(t, s, production, func(tx *Tx) {
			for _, h := range []promotion.Hold{hold, whole, other, again} {
				tx.AddHold(h)
			}
		})
		holds := func() []promotion.Hold { return must1(s.Memory(t.Context(), production))(t).Holds }
		hold.Images = []image.Name{web, worker}
		if got, want := holds(), []promotion.Hold{hold, whole, other}; !reflect.DeepEqual(got, want) {
			t.Errorf("holds are %+v; want %+v", got, want)
		}
		turn(t, s, production, func(tx *Tx) { tx.LiftHolds("production", []image.Name{web, "registry.acme.io/none"}) })
		hold.Images = []image.Name{worker}
		if got, want := holds(), []promotion.Hold{hold, whole, other}; !reflect.DeepEqual(got, want) {
			t.Errorf("after lifting web: %+v; want %+v", got, want)
		}
		turn(t, s, production, func(tx *Tx) { tx.LiftHolds("production", []image.Name{worker}) })
		if got, want := holds(), []promotion.Hold{whole, other}; !reflect.DeepEqual(got, want) {
			t.Errorf("after lifting worker: %+v; want %+v", got, want)
		}
		turn(t, s, production, func(tx *Tx) { tx.LiftHolds("production", nil) })
		if got := must1(s.Holds(t.Context(), HoldFilter{}))(t); len(got) != 1 || got[0].Repo != production || !reflect.DeepEqual(got[0].Hold, other) {
			t.Errorf("after lifting the environment: %+v; want %+v", got, other)
		}
		if got := must1(s.Holds(t.Context(), HoldFilter{Repo: production, Environment: "production"}))(t); len(got) != 0 {
			t.Errorf("Holds(production) = %+v; want none", got)
		}
	}},
	{"rejections are lifted by the promotion that brought them", func(t *testing.T, s *Store) {
		discover(t, s, infra(production, "acme/infra"))
		at := time.Unix(5, 0).UTC()
		a := promotion.Rejection{Environment: "production", Image: web, Digest: digest(1), Promotion: "a", Actor: "ada", At: at}
		b := a
		b.Promotion = "b"
		turn(t, s, production, func(tx *Tx) {
			tx.AddRejections(a, a, b)
			tx.AddRejections(a)
		})
		rejections := func() []promotion.Rejection { return must1(s.Memory(t.Context(), production))(t).Rejections }
		if got := rejections(); !slices.Equal(got, []promotion.Rejection{a, b}) {
			t.Errorf("rejections are %+v", got)
		}
		turn(t, s, production, func(tx *Tx) { tx.LiftRejections("a") })
		if got := rejections(); !slices.Equal(got, []promotion.Rejection{b}) {
			t.Errorf("after lifting a: %+v", got)
		}
	}},
	{"a tag moves and moves back", func(t *testing.T, s *Store) {
		clock := stop(s)
		discover(t, s, infra(production, "acme/infra"))
		begin := clock.now()
		for _, step := range []struct {
			save Tag
			want Tag
		}{
			{Tag{Digest: digest(1)}, Tag{Digest: digest(1), First: begin, ReadAt: begin}},
			{Tag{Digest: digest(1)}, Tag{Digest: digest(1), First: begin, ReadAt: begin.Add(time.Minute)}},
			{Tag{Err: "timeout"}, Tag{Digest: digest(1), First: begin, ReadAt: begin.Add(2 * time.Minute), Err: "timeout"}},
			{Tag{Digest: digest(2)}, Tag{Digest: digest(2), First: begin.Add(3 * time.Minute), ReadAt: begin.Add(3 * time.Minute)}},
			{Tag{}, Tag{ReadAt: begin.Add(4 * time.Minute)}},
			{Tag{Digest: digest(1)}, Tag{Digest: digest(1), First: begin.Add(5 * time.Minute), ReadAt: begin.Add(5 * time.Minute)}},
			// what was read before is not newer for coming later
			{Tag{Digest: digest(9), ReadAt: begin}, Tag{Digest: digest(1), First: begin.Add(5 * time.Minute), ReadAt: begin.Add(5 * time.Minute)}},
		} {
			step.save.Image, step.save.Tag = web, "latest"
			step.want.Image, step.want.Tag = web, "latest"
			turn(t, s, production, func(tx *Tx) { tx.SaveTag(step.save) })
			if got := must1(s.Tags(t.Context(), []image.Name{web, worker}))(t); len(got) != 1 || got[web]["latest"] != step.want {
				t.Errorf("after %+v: Tags() = %+v; want %+v", step.save, got, step.want)
			}
			clock.move(time.Minute)
		}
	}},
}

var memoryTests = []test{
	{"all that a turn wrote is remembered", func(t *testing.T, s *Store) {
		clock := stop(s)
		discover(t, s, infra(production, "acme/infra"), infra(acceptance, "acme/infra-acceptance"))
		r := infra(production, "acme/Infra")
		r.BaseHead, r.ConfigText, r.ConfigError, r.ConfigSHA, r.BaselineAt = "b1", "environments: []", "line 3: no", "c1", clock.now()
		r.Environments = []EnvRow{
			{Name: "production", Path: "prod", Mode: promotion.Propose, After: []promotion.EnvRef{{Repo: "acme/infra-acceptance", Environment: "acceptance"}}},
			{Name: "canary", Path: "canary", Mode: promotion.Observe},
		}
		listings := []promotion.Listing{
			{Environment: "production", File: "prod/web/kustomization.yaml", Entry: "web", Image: web, Tag: "1.0.0", Digest: digest(1)},
			{Environment: "production", File: "prod/web2/kustomization.yaml", Entry: "web", Image: web, Tag: "1.0.0", Refusal: "shared"},
		}
		running := promotion.Running{
			Environment: "production", SHA: "s1", Newest: "s2", State: "succeeded", URL: "https://log", At: clock.now(), Says: "odd \x01",
			Images: map[image.Name]promotion.RunningImage{web: {Tag: "1.0.0", Digest: digest(1), Since: clock.now(), Proved: []string{"smoke"}}},
			Proofs: []promotion.Proof{{Check: "smoke", State: "success", Images: map[image.Name]string{web: "failure"}}},
		}
		notes := []promotion.Note{{Environment: "production", Image: worker, Say: "no tag rule", Hint: "add one"}, {Environment: "canary", Say: "settling"}}
		rejection := promotion.Rejection{Environment: "production", Image: web, Digest: digest(3), Promotion: "p", Actor: "ada", At: clock.now()}
		p := promoted(production, "production", 2)
		turn(t, s, production, func(tx *Tx) {
			tx.SaveRepo(r)
			tx.SaveListings(production, listings)
			tx.SaveRunning([]promotion.Running{running, {Environment: "canary", State: "unknown"}})
			tx.SaveNotes(production, notes)
			tx.SavePromotion(p)
			tx.AddRejections(rejection)
			tx.SaveCheck(production, 2, "h1", "d1")
			tx.SaveCheck(production, 2, "h2", "d2")
			tx.SaveCheck(production, 0, "c1", "bad file")
		})
		m := must1(s.Memory(t.Context(), production))(t)
		r.State, r.UpdatedAt = RepoActive, clock.now()
		want := Memory{
			Repo: r, Found: true, Listings: listings, FirstSeen: map[EnvImage]time.Time{{"production", web}: clock.now()},
			Promotions: []promotion.Promotion{p}, Rejections: []promotion.Rejection{rejection},
			Running: []promotion.Running{{Environment: "canary", State: "unknown"}, running}, Notes: notes,
			Checks: map[int]map[string]string{2: {"h1": "d1", "h2": "d2"}, 0: {"c1": "bad file"}},
		}
		if !reflect.DeepEqual(m, want) {
			t.Errorf("Memory() = %+v\nwant %+v", m, want)
		}
		other := must1(s.Memory(t.Context(), acceptance))(t)
		if !other.Found || len(other.Listings)+len(other.Promotions)+len(other.Checks) != 0 {
			t.Errorf("Memory(another repo) = %+v", other)
		}
		if none := must1(s.Memory(t.Context(), "github/404"))(t); none.Found {
			t.Errorf("Memory(unknown) = %+v", none)
		}
		clock.move(time.Hour)
		turn(t, s, production, func(tx *Tx) {
			tx.SaveListings(production, nil)
			tx.SaveNotes(production, nil)
			tx.SaveRunning(nil)
			tx.SaveCheck(production, 2, "h2", "d3")
		})
		turn(t, s, production, func(tx *Tx) { tx.SaveListings(production, listings[:1]) })
		m = must1(s.Memory(t.Context(), production))(t)
		want.Listings, want.Notes, want.Checks[2]["h2"] = listings[:1], nil, "d3"
		if !reflect.DeepEqual(m, want) {
			t.Errorf("later Memory() = %+v\nwant %+v", m, want)
		}
	}},
	{"promotions are remembered while they matter", func(t *testing.T, s *Store) {
		clock := stop(s)
		discover(t, s, infra(production, "acme/infra"))
		save := func(n int, environment string, state promotion.State, ended time.Duration, change func(*promotion.Promotion)) {
			p := promoted(production, environment, n)
			p.State, p.EndedAt, p.CreatedAt = state, clock.now().Add(-ended), clock.now().Add(-ended-time.Hour)
			if change != nil {
				change(&p)
			}
			turn(t, s, production, func(tx *Tx) { tx.SavePromotion(p) })
		}
		const day = 24 * time.Hour
		for n := range rememberMost + 5 {
			save(100+n, "production", promotion.Deployed, time.Duration(60-n)*time.Minute, nil)
		}
		save(1, "acceptance", promotion.Rejected, 91*day, nil)
		save(2, "acceptance", promotion.Rejected, 89*day, nil)
		save(3, "acceptance", promotion.RollingOut, 91*day, nil)
		save(4, "acceptance", promotion.Open, 200*day, nil)
		save(5, "acceptance", promotion.Superseded, 91*day, func(p *promotion.Promotion) { p.ToClose = true })
		save(6, "acceptance", promotion.Superseded, 91*day, func(p *promotion.Promotion) { p.ToDelete = true })
		save(7, "acceptance", promotion.Verified, 0, func(p *promotion.Promotion) { p.EndedAt, p.MergedAt = time.Time{}, clock.now() })
		var got []int
		for _, p := range must1(s.Memory(t.Context(), production))(t).Promotions {
			got = append(got, p.PullRequest)
		}
		want := []int{4, 3, 5, 6, 2}
		for n := 5; n < rememberMost+5; n++ {
			want = append(want, 100+n)
		}
		want = append(want, 7)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("remembered are %v; want %v", got, want)
		}
		must(t, second(s.Purge(t.Context(), Retention{Promotions: 90 * day})))
		left := must1(s.Promotions(t.Context(), PromotionFilter{Environment: "acceptance"}))(t)
		if len(left) != 6 {
			t.Errorf("%d promotions are left; want all but the one that ended long ago", len(left))
		}
	}},
	{"promotions are found by what they are", func(t *testing.T, s *Store) {
		discover(t, s, infra(production, "acme/infra"), infra(acceptance, "acme/other"))
		one, two, three := promoted(production, "production", 1), promoted(production, "production", 2), promoted(acceptance, "acceptance", 3)
		two.State = promotion.Deployed
		both := promotion.NewRelease("acceptance", "web", append(slices.Clone(three.Release.Changes), promotion.Change{Image: worker, Digest: digest(3)}))
		three.Release = both
		turn(t, s, production, func(tx *Tx) { tx.SavePromotion(one); tx.SavePromotion(two) })
		turn(t, s, acceptance, func(tx *Tx) { tx.SavePromotion(three) })
		for _, c := range []struct {
			filter PromotionFilter
			want   []int
		}{
			{PromotionFilter{}, []int{3, 2, 1}},
			{PromotionFilter{Limit: 1}, []int{3}},
			{PromotionFilter{Repo: production}, []int{2, 1}},
			{PromotionFilter{Environment: "acceptance"}, []int{3}},
			{PromotionFilter{Image: web}, []int{3, 2, 1}},
			{PromotionFilter{Image: worker}, []int{3}},
			{PromotionFilter{PullRequest: 2}, []int{2}},
			{PromotionFilter{Branch: one.Branch}, []int{1}},
			{PromotionFilter{Active: true, Image: web}, []int{3, 1}},
			{PromotionFilter{States: []promotion.State{promotion.Deployed, promotion.Failed}}, []int{2}},
			{PromotionFilter{Since: two.CreatedAt}, []int{3, 2}},
			{PromotionFilter{ID: one.ID, Repo: acceptance}, nil},
		} {
			var got []int
			for _, p := range must1(s.Promotions(t.Context(), c.filter))(t) {
				got = append(got, p.PullRequest)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("Promotions(%+v) = %v; want %v", c.filter, got, c.want)
			}
		}
	}},
	{"notes are found by image and environment", func(t *testing.T, s *Store) {
		discover(t, s, infra(production, "acme/infra"), infra(acceptance, "acme/other"))
		turn(t, s, production, func(tx *Tx) {
			tx.SaveNotes(production, []promotion.Note{{Environment: "production", Image: web, Say: "a"}, {Environment: "canary", Image: web, Say: "b"}})
		})
		turn(t, s, acceptance, func(tx *Tx) {
			tx.SaveNotes(acceptance, []promotion.Note{{Environment: "acceptance", Image: worker, Say: "c"}})
		})
		for _, c := range []struct {
			filter NoteFilter
			want   string
		}{
			{NoteFilter{}, "cab"},
			{NoteFilter{Image: web}, "ab"},
			{NoteFilter{Repo: acceptance}, "c"},
			{NoteFilter{Environment: "canary"}, "b"},
		} {
			got := ""
			for _, n := range must1(s.Notes(t.Context(), c.filter))(t) {
				got += n.Say
			}
			if got != c.want {
				t.Errorf("Notes(%+v) = %s; want %s", c.filter, got, c.want)
			}
		}
	}},
	{"an upstream environment is found by name, if only one has it", func(t *testing.T, s *Store) {
		discover(t, s, infra(production, "acme/infra"), infra(acceptance, "acme/infra-acceptance"))
		r := infra(acceptance, "acme/infra-acceptance")
		r.Environments = []EnvRow{{Name: "acceptance", Path: "a"}, {Name: "test", Path: "t"}}
		p := promoted(acceptance, "acceptance", 1)
		merged, ended := promoted(acceptance, "acceptance", 2), promoted(acceptance, "acceptance", 3)
		merged.State, ended.State, ended.ToClose = promotion.Merged, promotion.Superseded, true
		elsewhere := promoted(acceptance, "test", 4)
		running := promotion.Running{Environment: "acceptance", SHA: "s1", State: "running"}
		turn(t, s, acceptance, func(tx *Tx) {
			tx.SaveRepo(r)
			tx.SaveListings(acceptance, []promotion.Listing{{Environment: "acceptance", Image: web}, {Environment: "test", Image: web}})
			tx.SaveRunning([]promotion.Running{running, {Environment: "test", SHA: "s2"}})
			for _, p := range []promotion.Promotion{p, merged, ended, elsewhere} {
				tx.SavePromotion(p)
			}
		})
		u := must1(s.Upstream(t.Context(), "github", promotion.EnvRef{Repo: "Acme/Infra-Acceptance", Environment: "acceptance"}))(t)
		if u.Found != 1 || u.Repo.Key != acceptance || u.Env.Path != "a" || !reflect.DeepEqual(u.Running, running) ||
			!slices.Equal(u.Listings, []promotion.Listing{{Environment: "acceptance", Image: web}}) ||
			!reflect.DeepEqual(u.Promotions, []promotion.Promotion{p, merged}) {
			t.Errorf("Upstream() = %+v", u)
		}
		for _, c := range []struct {
			forge string
			ref   promotion.EnvRef
		}{
			{"gitlab", promotion.EnvRef{Repo: "acme/infra-acceptance", Environment: "acceptance"}},
			{"github", promotion.EnvRef{Repo: "acme/infra-acceptance", Environment: "staging"}},
			{"github", promotion.EnvRef{Repo: "acme/none", Environment: "acceptance"}},
		} {
			if u := must1(s.Upstream(t.Context(), c.forge, c.ref))(t); u.Found != 0 {
				t.Errorf("Upstream(%s, %s) = %+v; want none", c.forge, c.ref, u)
			}
		}
		twin := infra(production, "acme/infra-acceptance") // a second repo of the name: the forge let it be taken over
		twin.Environments = []EnvRow{{Name: "acceptance"}}
		turn(t, s, production, func(tx *Tx) { tx.SaveRepo(twin) })
		if u := must1(s.Upstream(t.Context(), "github", promotion.EnvRef{Repo: "acme/infra-acceptance", Environment: "acceptance"}))(t); u.Found != 2 || u.Repo.Key != "" {
			t.Errorf("Upstream() of two = %+v; want only their number", u)
		}
		must(t, s.SetRepoState(t.Context(), production, RepoParked, "taken over"))
		if u := must1(s.Upstream(t.Context(), "github", promotion.EnvRef{Repo: "acme/infra-acceptance", Environment: "acceptance"}))(t); u.Found != 1 {
			t.Errorf("Upstream() beside a parked one = %+v; want one", u)
		}
	}},
	{"downstream repos are found by name, also after a rename", func(t *testing.T, s *Store) {
		discover(t, s, infra(production, "acme/infra-production"), infra(acceptance, "acme/infra-acceptance"), infra("github/3", "acme/all"))
		r := infra(production, "acme/infra-production")
		r.Environments = []EnvRow{{Name: "production", After: []promotion.EnvRef{{Repo: "Acme/infra-acceptance", Environment: "acceptance"}, {Repo: "acme/all", Environment: "test"}}}}
		turn(t, s, production, func(tx *Tx) { tx.SaveRepo(r) })
		all := infra("github/3", "acme/all")
		all.Environments = []EnvRow{{Name: "test"}, {Name: "live", After: []promotion.EnvRef{{Environment: "test"}}}}
		turn(t, s, "github/3", func(tx *Tx) { tx.SaveRepo(all) })
		for _, c := range []struct {
			forge, name  string
			environments []string
			want         []promotion.RepoKey
		}{
			{"github", "acme/INFRA-acceptance", []string{"acceptance"}, []promotion.RepoKey{production}},
			{"github", "acme/infra-acceptance", []string{"other"}, nil},
			{"gitlab", "acme/infra-acceptance", []string{"acceptance"}, nil},
			{"github", "acme/all", []string{"live", "test"}, []promotion.RepoKey{production, "github/3"}},
			{"github", "acme/infra-production", []string{"test"}, nil},
		} {
			if got := must1(s.Downstream(t.Context(), c.forge, c.name, c.environments))(t); !slices.Equal(got, c.want) {
				t.Errorf("Downstream(%s, %v) = %v; want %v", c.name, c.environments, got, c.want)
			}
		}
		all.FullName = "acme/everything"
		turn(t, s, "github/3", func(tx *Tx) { tx.SaveRepo(all) })
		if got := must1(s.Downstream(t.Context(), "github", "acme/everything", []string{"test"}))(t); !slices.Equal(got, []promotion.RepoKey{"github/3"}) {
			t.Errorf("Downstream() after the rename = %v; want itself", got)
		}
	}},
	{"what follows an environment are the open promotions of those that come after it", func(t *testing.T, s *Store) {
		discover(t, s, infra(production, "acme/infra-production"), infra(acceptance, "acme/infra-acceptance"))
		r := infra(production, "acme/infra-production")
		r.ConfigText = "the file"
		r.Environments = []EnvRow{{Name: "demo"}, {Name: "production", After: []promotion.EnvRef{{Repo: "Acme/infra-acceptance", Environment: "acceptance"}}}}
		of := func(environment, id string, state promotion.State) promotion.Promotion {
			release := promotion.NewRelease(environment, "web", []promotion.Change{{Image: web, Tag: id, Digest: image.Digest("sha256:" + id)}})
			return promotion.Promotion{ID: id, Repo: production, Release: release, State: state, Branch: "boatlift/" + environment + id, CreatedAt: time.Unix(7, 0)}
		}
		turn(t, s, production, func(tx *Tx) {
			tx.SaveRepo(r)
			for _, pr := range []promotion.Promotion{of("production", "1", promotion.Open), of("production", "2", promotion.Rejected), of("demo", "3", promotion.Open)} {
				tx.SavePromotion(pr)
			}
		})
		for _, c := range []struct {
			forge, repo, environment string
			want                     int
		}{
			{"github", "acme/INFRA-acceptance", "acceptance", 1},
			{"github", "acme/infra-acceptance", "other", 0},
			{"gitlab", "acme/infra-acceptance", "acceptance", 0},
			{"github", "acme/infra-production", "production", 0},
		} {
			got := must1(s.Followers(t.Context(), c.forge, c.repo, c.environment))(t)
			if len(got) != c.want || c.want == 1 && (got[0].Promotion.ID != "1" || got[0].FullName != "acme/infra-production" || got[0].ConfigText != "the file") {
				t.Errorf("Followers(%s, %s, %s) = %+v; want %d", c.forge, c.repo, c.environment, got, c.want)
			}
		}
	}},
}

func TestDetailIsJSON(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"": "", `{ "a" : "<b>" }`: `{"a":"<b>"}`, `{`: "error", "nonsense": "error"} {
		got, err := compact(json.RawMessage(in))
		if err != nil {
			got = json.RawMessage("error")
		}
		if string(got) != want {
			t.Errorf("compact(%q) = %s; want %s", in, got, want)
		}
	}
}
