package github

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
)

// limiting answers with a status, headers and a body.
func limiting(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		answer(w, status, body)
	}
}

func inAnHour() string { return fmt.Sprint(time.Now().Add(50 * time.Minute).Unix()) }

func TestLimitsOfEveryShapeAreLimits(t *testing.T) {
	past := fmt.Sprint(time.Now().Add(-time.Minute).Unix())
	secondary := `{"message": "You have exceeded a secondary rate limit. Please wait.", "documentation_url": "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"}`
	for _, tc := range []struct {
		name    string
		answer  http.HandlerFunc
		seconds int // to wait, more or less
	}{
		{"429 with Retry-After", limiting(429, `{}`, "Retry-After", "120"), 120},
		{"429 with nothing", limiting(429, `{"message": "Too many"}`), 60},
		{"429 without a body", limiting(429, ``), 60},
		{"429 of the primary limit", limiting(429, `{}`, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", inAnHour(), "X-RateLimit-Resource", "core"), 3000},
		{"403 of the primary limit", limiting(403, `{"message": "API rate limit exceeded"}`, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", inAnHour(), "X-RateLimit-Resource", "core"), 3000},
		{"403 of a primary limit of an unknown kind", limiting(403, `{}`, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", inAnHour(), "X-RateLimit-Resource", "news"), 3000},
		{"403 of a primary limit without a reset", limiting(403, `{}`, "X-RateLimit-Remaining", "0"), 60},
		{"403 of a primary limit whose reset has passed", limiting(403, `{}`, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", past, "X-RateLimit-Resource", "core"), 60},
		{"403 of a secondary limit with Retry-After", limiting(403, secondary, "Retry-After", "30"), 30},
		{"403 of a secondary limit without Retry-After", limiting(403, secondary), 60},
		{"403 of a secondary limit with what remains of the primary one", limiting(403, secondary, "X-RateLimit-Remaining", "4000", "X-RateLimit-Reset", inAnHour()), 60},
		{"403 of a secondary limit with a reset that has passed", limiting(403, secondary, "X-RateLimit-Remaining", "4000", "X-RateLimit-Reset", past), 60},
		{"403 that only its link tells", limiting(403, `{"message": "Slow down", "documentation_url": "https://docs.github.com/x#secondary-rate-limits-new"}`), 60},
		{"403 in the old words", limiting(403, `{"message": "You have triggered an abuse detection mechanism."}`), 60},
		{"403 with Retry-After and no words", limiting(403, ``, "Retry-After", "45"), 45},
		{"Retry-After of nothing", limiting(429, `{}`, "Retry-After", "0"), 60},
		{"Retry-After of nonsense", limiting(429, `{}`, "Retry-After", "soon"), 60},
		{"Retry-After beyond all measure", limiting(429, `{}`, "Retry-After", "99999999999999"), 3600},
		{"Retry-After as a date", limiting(429, `{}`, "Retry-After", time.Now().Add(200*time.Second).UTC().Format(http.TimeFormat)), 200},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, where := range []string{"GET /repos/acme/infra/collaborators/alice/permission", "POST /repos/acme/infra/issues/1/labels", "POST /app/installations/7/access_tokens"} {
				f := newFakeWithout(t, where)
				f.handle(where, tc.answer)
				call := func() error {
					if strings.Contains(where, "labels") {
						return f.forge.AddLabels(t.Context(), infra(), 1, []string{"x"})
					}
					_, err := f.forge.Permission(t.Context(), infra(), "alice")
					return err
				}
				for range 3 {
					err := call()
					var limit *forge.LimitError
					if !errors.As(err, &limit) {
						t.Fatalf("%s: error %v; want a limit", where, err)
					}
					if s := limit.RetryAfter().Seconds(); s > float64(tc.seconds)+1 || s < float64(tc.seconds)-10 {
						t.Errorf("%s: wait for %.0f s; want about %d", where, s, tc.seconds)
					}
					if strings.Contains(err.Error(), "ghs_") || strings.Contains(err.Error(), "eyJ") {
						t.Errorf("%s: %v holds a token", where, err)
					}
				}
				if n := f.count(where); n != 1 {
					t.Errorf("%s was sent %d times; want once, as going on may get the App banned", where, n)
				}
			}
		})
	}
}

// newFakeWithout leaves out the route that mints tokens where the test brings its own.
func newFakeWithout(t *testing.T, pattern string) *fake {
	f := newFake(t)
	if strings.Contains(pattern, "access_tokens") {
		f.routes = http.NewServeMux()
		f.json("GET /app", 200, `{"slug": "boatlift"}`)
	}
	return f
}

func TestAMissingPermissionIsNotALimit(t *testing.T) {
	f := newFake(t)
	f.json("GET /app/installations/7", 200, `{"id": 7}`)
	f.handle("POST /repos/acme/infra/issues/1/labels", limiting(403, `{"message": "Resource not accessible by integration"}`,
		"X-Accepted-GitHub-Permissions", "issues=write; pull_requests=write", "X-RateLimit-Remaining", "4999", "X-RateLimit-Reset", inAnHour()))
	err := f.forge.AddLabels(t.Context(), infra(), 1, []string{"x"})
	var hinted interface{ Hint() string }
	if !errors.Is(err, forge.ErrForbidden) || !errors.As(err, &hinted) || !strings.Contains(hinted.Hint(), "pull_requests=write") {
		t.Errorf("AddLabels: error %v; want ErrForbidden that names the permission", err)
	}
}

func TestGoGithubsOwnRefusalIsALimit(t *testing.T) {
	// After an answer with nothing remaining, go-github sends nothing and answers itself.
	f := newFake(t)
	f.handle("GET /repos/acme/infra/pulls/1", limiting(200, pullJSON(1, ""), "X-RateLimit-Remaining", "0", "X-RateLimit-Limit", "5000", "X-RateLimit-Reset", inAnHour()))
	if _, err := f.forge.PullRequest(t.Context(), infra(), 1); err != nil {
		t.Fatal(err)
	}
	_, err := f.forge.PullRequest(t.Context(), infra(), 1)
	var limit *forge.LimitError
	if !errors.As(err, &limit) || limit.After < 40*time.Minute {
		t.Errorf("PullRequest: error %v; want a limit until the reset", err)
	}
	checkEqual(t, "requests", f.count("GET /repos/acme/infra/pulls/1"), 1)
}

func TestALimitEndsWithItsTimeAndIsOneInstallationsOnly(t *testing.T) {
	var mu sync.Mutex
	now := time.Now()
	f := newFake(t, func(o *Options) {
		o.Clock = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	})
	f.each("GET /repos/acme/infra/pulls/1", limiting(429, `{}`, "Retry-After", "30"), says(200, pullJSON(1, "")))
	f.json("GET /repos/other/infra/pulls/1", 200, strings.ReplaceAll(pullJSON(1, ""), `"id": 1001`, `"id": 2002`))
	other := forge.Repository{ID: 2002, FullName: "other/infra", Installation: 8}

	var limit *forge.LimitError
	if _, err := f.forge.PullRequest(t.Context(), infra(), 1); !errors.As(err, &limit) {
		t.Fatalf("PullRequest: error %v; want a limit", err)
	}
	if _, err := f.forge.GitAuth(t.Context(), infra()); !errors.As(err, &limit) {
		t.Errorf("GitAuth: error %v; want a limit", err)
	}
	if _, err := f.forge.PullRequest(t.Context(), other, 1); err != nil {
		t.Errorf("PullRequest of another installation: %v", err)
	}
	mu.Lock()
	now = now.Add(31 * time.Second)
	mu.Unlock()
	if _, err := f.forge.PullRequest(t.Context(), infra(), 1); err != nil {
		t.Errorf("PullRequest after the wait: %v", err)
	}
}
