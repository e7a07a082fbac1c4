package dashboard_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/store"
)

// Each case sets a scene and asks; the answers are in testdata/why.
var whys = []struct {
	name string
	set  func(*scene)
	ask  []string
}{
	{"never-seen", nil, []string{"registry.acme.io/shop/api:1.0.0", "api", "nginx:1.27", "ghcr.io/acme/api@" + string(digest(1))}},
	{"never-seen-but-others-were", func(s *scene) {
		must(s.t, ignored(s, "push of shop/api:1.0.0 does not say at which registry; set host: for this registry"))
	}, []string{"registry.acme.io/shop/api:1.0.0"}},
	{"never-seen-and-nobody-listens", func(s *scene) { s.api.Senders = nil }, []string{"registry.acme.io/shop/api"}},
	{"listed-and-never-pushed", (*scene).two, []string{"shop/worker", "worker:1.4.1"}},
	{"nobody-lists-it", func(s *scene) {
		s.two()
		s.push("registry.acme.io/shop/api", "1.0.0", 7)
	}, []string{"registry.acme.io/shop/api:1.0.0", "api", "1"}},
	{"pushed-and-settling", func(s *scene) {
		s.two()
		s.now = at(5)
		s.push(web, "1.4.3", 43)
		note := promotion.Note{Environment: "acceptance", App: "web+worker", Say: "settling: waits a little for the app's other images (1 of 2 have news)", Since: at(5), Until: at(6)}
		s.turn(acceptance, func(tx *store.Tx) { tx.SaveNotes(acceptance, []promotion.Note{note}) })
	}, []string{"shop/web:1.4.3", "worker"}},
	{"pushed-and-not-wanted", func(s *scene) {
		s.two()
		s.now = at(5)
		s.push(web, "nightly", 43)
		s.turn(acceptance, func(tx *store.Tx) {
			tx.SaveNotes(acceptance, []promotion.Note{
				{Environment: "acceptance", App: "web+worker", Image: web, Tag: "nightly", Say: "nightly was pushed, but the rule semver >=0.0.0 does not take it", Hint: "change tags: for this image in .boatlift.yaml if it should", Since: at(5)},
				{Environment: "acceptance", App: "web+worker", Image: worker, Say: "this is of another image"},
				{Environment: "acceptance", App: "blog", Say: "this may be of another app"},
				{Environment: "elsewhere", Image: web, Say: "this is of another environment"},
			})
		})
	}, []string{"shop/web:nightly"}},
	{"waits-for-its-turn", func(s *scene) {
		s.two()
		s.now = at(5)
		s.push(web, "1.4.3", 43)
	}, []string{"shop/web:1.4.3"}},
	{"in-its-turn", func(s *scene) {
		s.two()
		s.now = at(5)
		s.push(web, "1.4.3", 43)
		_, err := s.store.Claim(s.t.Context(), "host-1/0", time.Minute)
		must(s.t, err)
	}, []string{"shop/web:1.4.3"}},
	{"turns-fail", func(s *scene) {
		s.two()
		s.push(web, "1.4.3", 43)
		for n := range store.StuckAfter + 1 {
			c, err := s.store.Claim(s.t.Context(), "tester", time.Minute)
			must(s.t, err)
			if c.Repo == production {
				must(s.t, s.store.Finish(s.t.Context(), c, store.Finish{Err: "read the branches of acme/infra-production: 502 Bad Gateway", RetryAfter: time.Hour}))
				continue
			}
			must(s.t, s.store.Finish(s.t.Context(), c, store.Finish{Err: "read the branches of acme/infra-acceptance: 502 Bad Gateway"}))
			if n < store.StuckAfter {
				s.now = s.now.Add(11 * time.Minute)
			}
		}
	}, []string{"shop/web:1.4.3"}},
	{"set-already", func(s *scene) {
		s.two()
		s.now = at(5)
		s.push(web, "1.4.2", 42)
		s.rest()
	}, []string{"shop/web:1.4.2", "shop/web", "shop/web:1.4.2@" + string(digest(42)), "shop/web:1.4.2@" + string(digest(9))}},
	{"pushed-before-the-image-was-listed", func(s *scene) {
		s.now = at(-5)
		s.push(web, "1.4.3", 43)
		s.now = start
		s.two()
	}, []string{"shop/web:1.4.3"}},
	{"the-registry-does-not-answer", func(s *scene) {
		s.two()
		s.now = at(5)
		s.push(web, "1.4.3", 43)
		s.turn(acceptance, func(tx *store.Tx) {
			tx.SaveTag(store.Tag{Image: web, Tag: "1.4.3", ReadAt: at(5), Err: "registry refuses access to registry.acme.io/shop/web (HTTP 401)"})
			tx.SaveTag(store.Tag{Image: web, Tag: "1.4.4", ReadAt: at(5)})
		})
	}, []string{"shop/web:1.4.3", "shop/web:1.4.4"}},
	{"found-by-asking", func(s *scene) {
		s.two()
		s.polls()
		s.now = at(5)
		s.found("poll", "found by asking registry.acme.io for its tags: no webhook told of it", "1.4.3", 43)
	}, []string{"shop/web:1.4.3", "1"}},
	{"brought-by-a-person", func(s *scene) {
		s.two()
		s.polls()
		s.now = at(5)
		s.found("sync", "alice asked for it with boatlift sync", "1.4.3", 43)
	}, []string{"shop/web:1.4.3"}},
	{"the-registry-cannot-be-asked-for-tags", func(s *scene) {
		s.two()
		s.polls()
		must(s.t, s.polled(store.Polled{Image: web, DueAt: at(10), Attempts: 2, Err: "registry refuses access to registry.acme.io/shop/web (HTTP 401)"}))
		s.leaveAlone()
	}, []string{"shop/web", "shop/worker"}},
	{"open-and-gated", func(s *scene) {
		s.two()
		s.now = at(5)
		s.push(web, "1.4.3", 43)
		p := opened(moves(production, "production", web, "1.4.1", 41, "1.4.3", 43), "acme/infra-production", 7)
		p.Gate = waits(
			gate.Ruling{Policy: "after", State: gate.Wait, Say: "acme/infra-acceptance:acceptance does not run web 1.4.3 yet", Detail: "merge it there first"},
			gate.Ruling{Policy: "freeze", State: gate.Allow, Say: "no freeze", Until: at(300), Detail: "not shown where it allows"},
			gate.Ruling{Policy: "only-tags", State: gate.Deny, Say: "1.4.3 is blocked"},
		)
		p.LastError, p.Attempts, p.RetryAt = "show the gate: 502 Bad Gateway", 2, at(6)
		s.turn(production, func(tx *store.Tx) { tx.SavePromotion(p) })
	}, []string{"shop/web:1.4.3", "acme/infra-production#7", "ACME/infra-production#7", "https://git.example/acme/infra-production/pull/7", "https://git.example/acme/infra-production/pull/7/files?w=1", "github/acme/infra-production#7"}},
	{"open-and-green", func(s *scene) {
		s.two()
		p := opened(moves(production, "production", web, "1.4.1", 41, "1.4.2", 42), "acme/infra-production", 7)
		p.Gate, p.GreenAt = waits(gate.Ruling{Policy: "after", State: gate.Allow, Say: "acme/infra-acceptance:acceptance runs it"}), at(3)
		p.Modified, p.Reason = true, "a person pushed to the branch, so the bot does not touch it any more"
		s.turn(production, func(tx *store.Tx) { tx.SavePromotion(p) })
	}, []string{"acme/infra-production#7"}},
	{"about-to-open", func(s *scene) {
		s.two()
		p := moves(production, "production", web, "1.4.1", 41, "1.4.2", 42)
		p.State = promotion.Opening
		s.turn(production, func(tx *store.Tx) { tx.SavePromotion(p) })
	}, []string{"shop/web:1.4.2"}},
	{"foreign-pull-requests", func(s *scene) {
		s.two()
		s.turn(production, func(tx *store.Tx) { tx.SaveCheck(production, 8, "abc", "shown") })
	}, []string{"acme/infra-production#8", "acme/infra-production#9", "acme/infra-production!9", "acme/nowhere#1", "acme/infra-production#0", "https://git.example/acme/infra-production/issues/7", "https://github.com/acme/infra-production/pull/7", "https://git.example/acme/infra-production-2/pull/7"}},
	{"superseded", func(s *scene) {
		s.two()
		newer := opened(moves(production, "production", web, "1.4.1", 41, "1.4.3", 43), "acme/infra-production", 8)
		newer.CreatedAt = at(10)
		older := opened(moves(production, "production", web, "1.4.1", 41, "1.4.2", 42), "acme/infra-production", 7)
		older.State, older.Reason, older.SupersededBy, older.EndedAt = promotion.Superseded, "superseded by 1.4.3", newer.ID, at(10)
		s.turn(production, func(tx *store.Tx) { tx.SavePromotion(older); tx.SavePromotion(newer) })
	}, []string{"shop/web:1.4.2", "acme/infra-production#7"}},
	{"rejected", func(s *scene) {
		s.two()
		s.now = at(5)
		s.push(web, "1.4.3", 43)
		s.now = at(25)
		s.push(web, "1.4.5", 43) // the same digest under another tag
		p := opened(moves(production, "production", web, "1.4.1", 41, "1.4.3", 43), "acme/infra-production", 7)
		p.State, p.Reason, p.EndedAt = promotion.Rejected, "alice closed #7 without merging it", at(20)
		s.turn(production, func(tx *store.Tx) {
			tx.SavePromotion(p)
			tx.AddRejections(promotion.Rejection{Environment: "production", Image: web, Digest: digest(43), Promotion: p.ID, Actor: "alice", At: at(20)})
			tx.AddRejections(promotion.Rejection{Environment: "production", Image: web, Digest: digest(99), Promotion: "older", Actor: "bob", At: at(1)})
		})
	}, []string{"shop/web:1.4.3", "shop/web:1.4.5", "shop/web@" + string(digest(43)), "acme/infra-production#7"}},
	{"rejected-and-resolved-at-the-registry", func(s *scene) {
		s.two()
		s.now = at(25)
		s.push(web, "1.4.5", 43)
		s.turn(production, func(tx *store.Tx) {
			tx.SaveTag(store.Tag{Image: web, Tag: "1.4.5", Digest: digest(44), ReadAt: at(25)})
			tx.AddRejections(promotion.Rejection{Environment: "production", Image: web, Digest: digest(44), Promotion: "gone", At: at(20)})
		})
	}, []string{"shop/web:1.4.5"}},
	{"held", func(s *scene) {
		s.two()
		s.now = at(5)
		s.push(web, "1.4.3", 43)
		s.turn(production, func(tx *store.Tx) {
			tx.AddHold(promotion.Hold{Environment: "production", Images: []image.Name{web}, Reason: "load test", Actor: "alice", At: at(1)})
			tx.AddHold(promotion.Hold{Environment: "production", Images: []image.Name{worker}, Reason: "of another image", Actor: "alice", At: at(1)})
			tx.SaveNotes(production, []promotion.Note{{Environment: "production", App: "web", Image: web, Tag: "1.4.3", Say: "on hold: load test", Since: at(5)}})
		})
		s.turn(acceptance, func(tx *store.Tx) {
			tx.AddHold(promotion.Hold{Environment: "acceptance", Reason: promotion.LostReason, Actor: "boatlift", At: at(2)})
		})
	}, []string{"shop/web:1.4.3"}},
	{"parked-broken-and-off", func(s *scene) {
		s.two()
		s.now = at(5)
		s.push(web, "1.4.3", 43)
		s.repo(production, func(tx *store.Tx, r store.Repo) {
			r.ConfigError = ".boatlift.yaml:3:5: unknown key polices\n  did you mean policies?"
			r.Environments = append(r.Environments, store.EnvRow{Name: "drill", Mode: promotion.Off})
			tx.SaveRepo(r)
			tx.SaveListings(production, []promotion.Listing{lists("production", web, "1.4.1", 41), lists("drill", web, "1.4.1", 41)})
		})
		must(s.t, s.store.SetRepoState(s.t.Context(), acceptance, store.RepoParked, "archived at the forge"))
	}, []string{"shop/web:1.4.3", "acme/infra-acceptance#1"}},
	{"never-edited", func(s *scene) {
		s.two()
		l := lists("production", web, "1.4.1", 41)
		l.File, l.Refusal = "shared/kustomization.yaml", "it is read by production and drill"
		s.turn(production, func(tx *store.Tx) { tx.SaveListings(production, []promotion.Listing{l}) })
	}, []string{"shop/web"}},
	{"many-pushes-and-promotions", func(s *scene) {
		s.two()
		for n := range 8 {
			s.now = at(n)
			tag := "1.5." + string(rune('0'+n))
			s.push(web, tag, 50+n)
			p := opened(moves(production, "production", web, "1.4.1", 41, tag, 50+n), "acme/infra-production", 10+n)
			p.CreatedAt, p.State, p.Reason, p.EndedAt = at(n), promotion.Superseded, "superseded", at(n+1)
			if n == 0 {
				p.State, p.Reason, p.MergedAt = promotion.Failed, "its rollout failed", at(1)
			}
			s.turn(production, func(tx *store.Tx) { tx.SavePromotion(p) })
		}
	}, []string{"shop/web"}},
	{"a-name-that-fits-two", func(s *scene) {
		s.two()
		s.turn(production, func(tx *store.Tx) {
			tx.SaveListings(production, []promotion.Listing{lists("production", web, "1.4.1", 41), lists("production", blog, "3", 3)})
		})
	}, []string{"web", "blog/web", "SHOP/Web:1.4.1"}},
	{"deliveries", func(s *scene) {
		s.two()
		s.push(web, "1.4.3", 43)
		accept := func(d store.Delivery, wake ...promotion.RepoKey) {
			d.ReceivedAt, d.Sender, d.Repos = at(2), "github", wake
			_, err := s.store.Accept(s.t.Context(), d, nil, wake)
			must(s.t, err)
		}
		accept(store.Delivery{DeliveryID: "72d3162e-cc78-11e3-81ab-4c9367dc0958", Event: "pull_request.closed", Outcome: store.Stored, About: "pull request 7 closed by alice"}, production)
		accept(store.Delivery{DeliveryID: "72d3162e-cc78-11e3-81ab-000000000001", Event: "ping", Outcome: store.Ignored, Reason: "a ping: the webhook works"})
		accept(store.Delivery{DeliveryID: "72d3162e-cc78-11e3-81ab-000000000002", Outcome: store.Refused, Reason: "the signature does not fit the body and the webhook secret"})
		accept(store.Delivery{DeliveryID: "odd", Event: "push", Outcome: store.Stored}, "github/99")
		accept(store.Delivery{Event: "installation.created", Outcome: store.Stored, About: "the App in acme: created by alice"}, store.DiscoverKey("github"))
		_, err := s.store.Accept(s.t.Context(), store.Delivery{Sender: "registry", Outcome: store.Stored, ReceivedAt: at(3), Reason: "ignored in it: a layer"},
			[]store.Push{{Image: web, Tag: "1"}, {Image: blog, Tag: "1"}}, nil)
		must(s.t, err)
	}, []string{
		"1", "event-1.4.3-43", "2", "72d3162e-cc78-11e3-81ab-4c9367dc0958", "72d3162e-cc78-11e3-81ab-000000000001", "72d3162e-cc78-11e3-81ab-000000000002",
		"odd", "6", "7", "999", "72d3162e-cc78-11e3-81ab-00000000ffff",
	}},
	{"nonsense", (*scene).two, []string{"", "  ", "a b", "shop/web:", "#7", "https://", strings.Repeat("x", 300), "acme/infra-production#99999999999999999999", "nic\x1b[2Je"}},
}

func ignored(s *scene, reason string) error {
	_, err := s.store.Accept(s.t.Context(), store.Delivery{Sender: "registry", Event: "distribution", Outcome: store.Ignored, Reason: reason, ReceivedAt: at(-1)}, nil, nil)
	return err
}

func TestWhy(t *testing.T) {
	for _, tc := range whys {
		t.Run(tc.name, func(t *testing.T) {
			s := newScene(t)
			if tc.set != nil {
				tc.set(s)
			}
			var b strings.Builder
			for _, about := range tc.ask {
				b.WriteString("$ boatlift why " + strings.ToValidUTF8(strings.ReplaceAll(about, "\x1b", "ESC"), "?") + "\n" + s.why(about) + "\n")
			}
			golden(t, "why/"+tc.name+".golden", b.String())
		})
	}
}

// A delivery's id is for others to choose, so it takes no image's place.
func TestAnImageGoesBeforeADeliveryThatIsCalledLikeIt(t *testing.T) {
	s := newScene(t)
	s.two()
	_, err := s.store.Accept(t.Context(), store.Delivery{Sender: "registry", DeliveryID: "shop/web:1.4.1", Outcome: store.Ignored, Reason: "planted"}, nil, nil)
	must(t, err)
	if text := s.why("shop/web:1.4.1"); strings.Contains(text, "delivery 1 of") || !strings.Contains(text, "apps/web/kustomization.yaml has 1.4.1") {
		t.Errorf("why says\n%s", text)
	}
}

func TestWhatIsGoneFromTheForgeMakesRoomForWhatHasItsName(t *testing.T) {
	s := newScene(t)
	s.discover(infra("github/1", "acme/infra"))
	s.discover(infra("github/2", "acme/infra"))
	s.repo("github/2", func(tx *store.Tx, r store.Repo) {
		tx.SavePromotion(opened(moves("github/2", "production", web, "1", 1, "2", 2), "acme/infra", 7))
	})
	for _, about := range []string{"acme/infra#7", "https://git.example/acme/infra/pull/7"} {
		if text := s.why(about); !strings.Contains(text, "2 of web is open") {
			t.Errorf("why %s says\n%s", about, text)
		}
	}
}

func TestWhyWithoutADatabase(t *testing.T) {
	s := newScene(t)
	must(t, s.store.Close())
	for _, about := range []string{"shop/web", "acme/infra#7", "1", "https://git.example/acme/infra/pull/7"} {
		if text := s.why(about); !strings.HasPrefix(text, "503 ") || !strings.Contains(text, "the database is closed") {
			t.Errorf("why %s says\n%s", about, text)
		}
	}
	if status, _ := s.get("/status"); status != http.StatusServiceUnavailable {
		t.Errorf("status = %d; want 503", status)
	}
}
