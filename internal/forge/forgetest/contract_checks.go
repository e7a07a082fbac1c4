package forgetest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
)

func (s *scene) set(t *testing.T, c forge.Check) {
	t.Helper()
	if err := s.forge.SetCheck(t.Context(), s.repo, c); err != nil {
		t.Fatalf("SetCheck(%s %s): %v", c.Name, c.Conclusion, err)
	}
}

// can tells whether the forge says that it can, or says nothing of what it cannot.
func (s *scene) can(c forge.Capability) bool {
	capable, says := forge.As[forge.Capable](s.forge)
	return !says || capable.Can(c)
}

// needs leaves a promise out where the forge says that it cannot do what it is about; why follows "the forge".
func (s *scene) needs(t *testing.T, c forge.Capability, why string) {
	t.Helper()
	if !s.can(c) {
		leaveOut(t, s.Harness, why)
	}
}

func (s *scene) deployments(t *testing.T, environment string, limit int) []forge.Deployment {
	t.Helper()
	list, err := s.forge.Deployments(t.Context(), s.repo, environment, limit)
	if err != nil {
		t.Fatalf("Deployments(%s): %v", environment, err)
	}
	return list
}

func checkPromises() []promise {
	return []promise{
		{"a check that is set twice is one check", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			pr := s.propose(t, bot)
			gate := forge.Check{HeadSHA: pr.HeadSHA, Name: "boatlift/gate", ExternalID: "release-1", Title: "waiting", Summary: "| a | b |"}
			for _, conclusion := range []forge.Conclusion{forge.Pending, forge.Pending, forge.Success, forge.Pending, forge.Failure} {
				gate.Conclusion, gate.Title = conclusion, "now "+string(conclusion)
				s.set(t, gate)
				shown := h.Checks(t, s.id, pr.HeadSHA)
				if len(shown) != 1 {
					t.Fatalf("checks after %s = %+v; want one", conclusion, shown)
				}
				check(t, "name", shown[0].Name, "boatlift/gate")
				check(t, "conclusion", shown[0].Conclusion, conclusion)
				check(t, "title", shown[0].Title, "now "+string(conclusion))
			}
		}},
		{"checks of other names and other commits are their own", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			pr := s.propose(t, bot)
			base, _ := h.BranchHead(t, s.id, "main")
			s.set(t, forge.Check{HeadSHA: pr.HeadSHA, Name: "boatlift/gate", Conclusion: forge.Success, Title: "g"})
			s.set(t, forge.Check{HeadSHA: pr.HeadSHA, Name: "boatlift/config", Conclusion: forge.Failure, Title: "c"})
			s.set(t, forge.Check{HeadSHA: base, Name: "boatlift/gate", Conclusion: forge.Pending, Title: "b"})
			check(t, "checks of the head", len(h.Checks(t, s.id, pr.HeadSHA)), 2)
			onBase := h.Checks(t, s.id, base)
			if len(onBase) != 1 || onBase[0].Conclusion != forge.Pending {
				t.Errorf("checks of base = %+v; want one that is pending", onBase)
			}
		}},
		{"a check shows a text of its own", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			s.needs(t, forge.CheckText, "has checks of one line only: the rest stands in the pull request")
			pr := s.propose(t, bot)
			for _, text := range []string{"| a | b |", "| c | d |"} {
				s.set(t, forge.Check{HeadSHA: pr.HeadSHA, Name: "boatlift/gate", Conclusion: forge.Pending, Title: "t", Summary: text})
				if shown := h.Checks(t, s.id, pr.HeadSHA); len(shown) != 1 || shown[0].Summary != text {
					t.Errorf("checks = %+v; want one with the text %s", shown, text)
				}
			}
		}},
		{"a summary that is too long is cut, not refused", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			pr := s.propose(t, bot)
			s.set(t, forge.Check{HeadSHA: pr.HeadSHA, Name: "boatlift/gate", Conclusion: forge.Success, Title: "t", Summary: strings.Repeat("ö", 40000)})
			shown := h.Checks(t, s.id, pr.HeadSHA)
			if len(shown) != 1 {
				t.Fatalf("%d checks; want one", len(shown))
			}
			if said := shown[0].Summary; s.can(forge.CheckText) && (len(said) > 65535 || !strings.HasPrefix(said, strings.Repeat("ö", 30000))) {
				t.Errorf("the summary has %d bytes; want its beginning, at most 65,535 bytes", len(said))
			}
		}},
		{"deployments of an environment are listed newest first with their state", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			base, _ := h.BranchHead(t, s.id, "main")
			first := h.Deploy(t, s.id, "production", base)
			h.FinishDeployment(t, s.id, first, forge.RolloutSucceeded)
			second := h.Deploy(t, s.id, "production", base)
			h.FinishDeployment(t, s.id, second, forge.RolloutFailed)
			h.Deploy(t, s.id, "acceptance", base)
			third := h.Deploy(t, s.id, "production", base)
			list := s.deployments(t, "production", 10)
			if len(list) != 3 {
				t.Fatalf("Deployments = %+v; want three", list)
			}
			for i, want := range []struct {
				id    int64
				state forge.RolloutState
			}{{third, forge.RolloutRunning}, {second, forge.RolloutFailed}, {first, forge.RolloutSucceeded}} {
				check(t, "id", list[i].ID, want.id)
				check(t, "state", list[i].State, want.state)
				check(t, "commit", list[i].SHA, base)
				check(t, "environment", list[i].Environment, "production")
				check(t, "times are told", list[i].CreatedAt.IsZero() || list[i].UpdatedAt.IsZero(), false)
			}
			check(t, "at most the limit", len(s.deployments(t, "production", 2)), 2)
			check(t, "of an unknown environment", len(s.deployments(t, "nowhere", 10)), 0)
		}},
		{"a deployment that succeeded stays so when the next one succeeds", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			base, _ := h.BranchHead(t, s.id, "main")
			for range 2 {
				h.FinishDeployment(t, s.id, h.Deploy(t, s.id, "production", base), forge.RolloutSucceeded)
			}
			for _, d := range s.deployments(t, "production", 10) {
				check(t, "state", d.State, forge.RolloutSucceeded)
			}
		}},
	}
}

// limited proves that every call is refused with the time to wait between the two.
func limited(t *testing.T, s scene, number int, least, most time.Duration) {
	t.Helper()
	calls := map[string]func() error{
		"OpenPullRequests": func() error { _, err := s.forge.OpenPullRequests(t.Context(), s.repo, "main"); return err },
		"EditPullRequest": func() error {
			_, err := s.forge.EditPullRequest(t.Context(), s.repo, number, forge.Edit{Title: pointer("x")})
			return err
		},
		"SetCheck": func() error {
			return s.forge.SetCheck(t.Context(), s.repo, forge.Check{HeadSHA: strings.Repeat("a", 40), Name: "boatlift/gate", Conclusion: forge.Success})
		},
	}
	for name, call := range calls {
		var limit *forge.LimitError
		if err := call(); !errors.As(err, &limit) {
			t.Errorf("%s: error %v; want a limit", name, err)
		} else if limit.After < least || limit.After > most {
			t.Errorf("%s: wait for %v; want between %v and %v", name, limit.After, least, most)
		}
	}
}

func limitPromises() []promise {
	return []promise{
		{"a limit says how long to wait", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			pr := s.propose(t, bot)
			h.Limit(t, 300*time.Second)
			limited(t, s, pr.Number, 240*time.Second, 300*time.Second)
		}},
		{"a limit that does not say for how long is a minute", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			pr := s.propose(t, bot)
			h.Limit(t, 0)
			limited(t, s, pr.Number, 30*time.Second, 60*time.Second)
		}},
	}
}
