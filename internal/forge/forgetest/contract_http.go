package forgetest

import (
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
)

func httpPromises() []promise {
	// limit is a promise about one way in which GitHub refuses.
	limit := func(name string, status int, primary bool, after, least, most time.Duration) promise {
		return promise{name, func(t *testing.T, h Harness) {
			limiter := can[HTTPLimiter](t, h, "is not asked over HTTP, and has no status and no Retry-After")
			s := newScene(t, h)
			pr := s.propose(t, bot)
			limiter.LimitHTTP(t, status, primary, after)
			limited(t, s, pr.Number, least, most)
		}}
	}
	const five = 5 * time.Minute
	return []promise{
		limit("403 with Retry-After is a limit for so long", 403, false, five, 4*time.Minute, five),
		limit("403 without Retry-After that speaks of a limit is one for a minute", 403, false, 0, 30*time.Second, time.Minute),
		limit("429 with Retry-After is a limit for so long", 429, false, five, 4*time.Minute, five),
		limit("429 without Retry-After is a limit for a minute", 429, false, 0, 30*time.Second, time.Minute),
		limit("403 with no requests left is a limit until the reset", 403, true, five, 4*time.Minute, five),
		limit("429 with no requests left is a limit until the reset", 429, true, five, 4*time.Minute, five),
	}
}

func tokenPromises() []promise {
	const reason = "has no tokens"
	return []promise{
		{"token rotation: one that was revoked is replaced, and reads and writes go on", func(t *testing.T, h Harness) {
			keeper := can[TokenKeeper](t, h, reason)
			s := newScene(t, h)
			pr := s.propose(t, bot)
			keeper.RevokeTokens(t)
			check(t, "OpenPullRequests", s.openNumbers(t, "main"), []int{pr.Number})
			keeper.RevokeTokens(t)
			s.edit(t, pr.Number, forge.Edit{Title: pointer("written with a new token")})
			keeper.RevokeTokens(t)
			s.set(t, forge.Check{HeadSHA: pr.HeadSHA, Name: "boatlift/gate", Conclusion: forge.Success, Title: "t"})
			keeper.RevokeTokens(t)
			s.reread(t)
			check(t, "Title", s.read(t, pr.Number).Title, "written with a new token")
			check(t, "checks", len(h.Checks(t, s.id, pr.HeadSHA)), 1)
		}},
		{"tokens of 520 characters with dots do whatever short ones do", func(t *testing.T, h Harness) {
			keeper := can[TokenKeeper](t, h, reason)
			s := newScene(t, h)
			keeper.LongTokens(t)
			keeper.RevokeTokens(t)
			pr := s.propose(t, bot)
			s.set(t, forge.Check{HeadSHA: pr.HeadSHA, Name: "boatlift/gate", Conclusion: forge.Success, Title: "t"})
			check(t, "OpenPullRequests", s.openNumbers(t, "main"), []int{pr.Number})
			auth := s.gitAuth(t)
			if n := len(auth.Password); n < 480 || n > 600 || strings.Count(auth.Password, ".") < 2 {
				t.Errorf("git's password has %d characters and %d dots; want the long token whole", n, strings.Count(auth.Password, "."))
			}
			git := can[GitServer](t, h, "does not speak git")
			if err := git.ListRefs(t, s.repo, auth); err != nil {
				t.Errorf("git with a long token: %v", err)
			}
		}},
		{"credentials for git open the repository, and others do not", func(t *testing.T, h Harness) {
			git := can[GitServer](t, h, "does not speak git")
			s := newScene(t, h)
			auth := s.gitAuth(t)
			if err := git.ListRefs(t, s.repo, auth); err != nil {
				t.Errorf("git with the credentials: %v", err)
			}
			auth.Password = strings.ToUpper(auth.Password)
			if err := git.ListRefs(t, s.repo, auth); err == nil {
				t.Error("git with a wrong password works; then the right one proves nothing")
			}
		}},
	}
}

func (s *scene) gitAuth(t *testing.T) forge.GitAuth {
	t.Helper()
	auth, err := s.forge.GitAuth(t.Context(), s.repo)
	if err != nil {
		t.Fatalf("GitAuth: %v", err)
	}
	return auth
}
