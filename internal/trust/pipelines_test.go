package trust

import (
	"encoding/base64"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/trust/trusttest"
)

const (
	hub      = "https://token.actions.githubusercontent.com"
	lab      = "https://gitlab.acme.io"
	audience = "https://boatlift.acme.io"
)

// believed are a bot's pipelines; keys are asked of one issuer.
func believed(t *testing.T, of *trusttest.Issuer, clock *trusttest.Clock, list ...Pipeline) *Pipelines {
	t.Helper()
	p, err := NewPipelines(list, of, clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var builds = Pipeline{Name: "builds", Type: GitHubActions, Audience: audience, Repositories: []string{"Acme/*"}, Refs: []string{"refs/heads/main", "refs/tags/*"}}

func TestAJobIsProvedByItsToken(t *testing.T) {
	clock, github, gitlab := trusttest.NewClock(noon), trusttest.New(t, hub), trusttest.New(t, lab)
	const commit = "9c5b1e2f0a7d4c3b8e6f1a2d3c4b5a6978877665"
	at := believed(t, github, clock, builds, Pipeline{Name: "shop", Type: GitHubActions, Audience: audience, Repositories: []string{"acme/shop"}},
		Pipeline{Name: "elsewhere", Type: GitHubActions, Audience: "https://other.io", Repositories: []string{"acme/*"}})
	want := Job{Pipelines: []string{"builds", "shop"}, Repository: "acme/Shop", Ref: "refs/heads/main", Commit: commit, Run: "4711/1"}
	if got, err := at.Prove(t.Context(), github.Sign(t, github.GitHub(audience, "acme/Shop", "refs/heads/main", noon))); err != nil || !same(got, want) {
		t.Errorf("Prove() = %+v, %v; want %+v", got, err, want)
	}
	at = believed(t, gitlab, clock, Pipeline{Name: "lab", Type: GitLabCI, Issuer: lab, Audience: audience, Repositories: []string{"acme/**"}, Refs: []string{"refs/heads/*"}})
	want = Job{Pipelines: []string{"lab"}, Repository: "acme/shop/web", Ref: "refs/heads/main", Commit: commit, Run: "815/4711"}
	if got, err := at.Prove(t.Context(), gitlab.Sign(t, gitlab.GitLab(audience, "acme/shop/web", "main", noon))); err != nil || !same(got, want) {
		t.Errorf("Prove() = %+v, %v; want %+v", got, err, want)
	}
	tag := gitlab.Sign(t, gitlab.GitLab(audience, "acme/shop/web", "main", noon), map[string]any{"ref_type": "tag"})
	if _, err := at.Prove(t.Context(), tag); err == nil {
		t.Error("a tag called main is taken for the branch")
	}
	if asked := gitlab.Asked(); !slices.Equal(asked, []string{lab + "/oauth/discovery/keys"}) {
		t.Errorf("the issuer was asked at %v; want its keys, once", asked)
	}
	if asked := github.Asked(); !slices.Equal(asked, []string{hub + "/.well-known/jwks"}) {
		t.Errorf("the issuer was asked at %v; want its keys, once", asked)
	}
}

func same(a, b Job) bool {
	pa, pb := a.Pipelines, b.Pipelines
	a.Pipelines, b.Pipelines = nil, nil
	return slices.Equal(pa, pb) && a.Repository == b.Repository && a.Ref == b.Ref && a.Commit == b.Commit && a.Run == b.Run
}

func TestWhatIsNotProvedIsRefused(t *testing.T) {
	clock, github, stranger := trusttest.NewClock(noon), trusttest.New(t, hub), trusttest.New(t, hub)
	at := believed(t, github, clock, builds)
	right := github.GitHub(audience, "acme/shop", "refs/heads/main", noon)
	other := func(name string, value any) string { return github.Sign(t, right, map[string]any{name: value}) }
	genuine := github.Sign(t, right)
	head, rest, _ := strings.Cut(genuine, ".")
	body, signature, _ := strings.Cut(rest, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))
	changed := maps.Clone(right)
	changed["repository"] = "acme/other"
	_, rest, _ = strings.Cut(github.Sign(t, changed), ".")
	forged, _, _ := strings.Cut(rest, ".")
	for name, c := range map[string]struct {
		token     string
		forbidden bool
		says      string
	}{
		"no token":                       {"s3cret", false, "no token"},
		"nothing":                        {"", false, "no token"},
		"far too long":                   {genuine + strings.Repeat("A", maxToken), false, "no token"},
		"without a signature":            {head + "." + body + ".", false, "not signed by"},
		"alg none":                       {none + "." + body + ".", false, "not signed by"},
		"alg none with a signature":      {none + "." + body + "." + signature, false, "not signed by"},
		"another algorithm":              {github.SignAs(t, map[string]any{"alg": "HS256", "kid": "k1"}, right), false, "not signed by"},
		"an unknown key":                 {github.SignAs(t, map[string]any{"alg": "RS256", "kid": "k9"}, right), false, "not signed by"},
		"a stranger's key":               {stranger.Sign(t, right), false, "not signed by"},
		"other claims under a signature": {head + "." + forged + "." + signature, false, "not signed by"},
		"another issuer":                 {other("iss", "https://evil.io"), false, "issuer"},
		"no issuer":                      {other("iss", nil), false, "issuer"},
		"another audience":               {other("aud", "https://other.io"), false, "audience"},
		"no audience":                    {other("aud", nil), false, "no token"},
		"expired":                        {other("exp", noon.Add(-clockSkew-time.Second).Unix()), false, "expired"},
		"never expires":                  {other("exp", nil), false, "expired"},
		"not yet valid":                  {other("nbf", noon.Add(time.Hour).Unix()), false, "not valid now"},
		"another repository":             {other("repository", "evil/shop"), true, "repository"},
		"a repository that begins alike": {other("repository", "acme-evil/shop"), true, "repository"},
		"no repository":                  {other("repository", nil), false, "names no repository"},
		"another ref":                    {other("ref", "refs/heads/feature"), true, "ref"},
		"a pull request's ref":           {other("ref", "refs/pull/7/merge"), true, "ref"},
		"claims of other types":          {other("repository", []string{"acme/shop"}), false, "not understood"},
	} {
		t.Run(name, func(t *testing.T) {
			job, err := at.Prove(t.Context(), c.token)
			var refused *RefusedError
			if !errors.As(err, &refused) {
				t.Fatalf("Prove() = %+v, %v; want it refused", job, err)
			}
			if refused.Forbidden() != c.forbidden || !strings.Contains(refused.Reason, c.says) || refused.Tell == "" {
				t.Errorf("refused as %+v; want %q, forbidden %v", refused, c.says, c.forbidden)
			}
			for _, part := range strings.Split(c.token, ".") {
				if len(part) > 8 && strings.Contains(refused.Reason+refused.Tell, part) {
					t.Errorf("%q has a part of the token", refused)
				}
			}
		})
	}
}

func TestClocksMayDiffer(t *testing.T) {
	clock, github := trusttest.NewClock(noon), trusttest.New(t, hub)
	at := believed(t, github, clock, builds)
	token := github.Sign(t, github.GitHub(audience, "acme/shop", "refs/tags/v1", noon))
	for after, want := range map[time.Duration]bool{
		-4 * time.Minute: true, 5*time.Minute + clockSkew: true, 5*time.Minute + clockSkew + time.Second: false, -20 * time.Minute: false,
	} {
		clock.Pass(after)
		if _, err := at.Prove(t.Context(), token); (err == nil) != want {
			t.Errorf("%v after it was issued: %v", after, err)
		}
		clock.Pass(-after)
	}
}

func TestAnIssuerThatDoesNotAnswerProvesNothingYet(t *testing.T) {
	clock, github := trusttest.NewClock(noon), trusttest.New(t, hub)
	at := believed(t, github, clock, builds)
	token := github.Sign(t, github.GitHub(audience, "acme/shop", "refs/heads/main", noon))
	github.SetDown(true)
	_, err := at.Prove(t.Context(), token)
	var unreached *UnreachedError
	if !errors.As(err, &unreached) || unreached.RetryAfter() <= 0 || !strings.Contains(err.Error(), "HTTP 503") {
		t.Fatalf("Prove() = %v; want that it cannot be told now", err)
	}
	github.SetDown(false)
	if _, err := at.Prove(t.Context(), token); err == nil || len(github.Asked()) != 1 {
		t.Errorf("it was asked again at once: %v, %v", err, github.Asked())
	}
	clock.Pass(PauseAfterFailure)
	if _, err := at.Prove(t.Context(), token); err != nil {
		t.Errorf("when it answers again: %v", err)
	}
	for range 50 {
		_, _ = at.Prove(t.Context(), github.SignAs(t, map[string]any{"alg": "RS256", "kid": "guess"}, github.GitHub(audience, "acme/shop", "refs/heads/main", noon)))
	}
	if n := len(github.Asked()); n != 2 {
		t.Errorf("unknown keys made the bot ask %d times", n)
	}
}

func TestPipelinesThatProveNothingAreRefused(t *testing.T) {
	for name, p := range map[string]Pipeline{
		"no type":         {Audience: audience, Repositories: []string{"a/b"}},
		"no audience":     {Type: GitHubActions, Repositories: []string{"a/b"}},
		"no repositories": {Type: GitHubActions, Audience: audience},
		"a wrong pattern": {Type: GitHubActions, Audience: audience, Repositories: []string{"a/**/b"}},
		"a wrong ref":     {Type: GitHubActions, Audience: audience, Repositories: []string{"a/b"}, Refs: []string{""}},
	} {
		if _, err := NewPipelines([]Pipeline{p}, nil, nil); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
}

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"acme/shop", "acme/shop", true},
		{"acme/shop", "acme/shop2", false},
		{"acme/*", "acme/shop", true},
		{"acme/*", "acme/shop/web", false},
		{"acme/*", "acme/", true},
		{"acme/**", "acme/shop/web", true},
		{"acme/**", "acme/shop", true},
		{"acme/**", "acme", false},
		{"acme/shop/**", "acme/other/web", false},
		{"**", "acme/shop", true},
		{"*/shop", "acme/shop", true},
		{"acme/web-*", "acme/web-2", true},
		{"refs/tags/v*", "refs/tags/v1.2.3", true},
		{"refs/heads/release/**", "refs/heads/release/1/2", true},
	} {
		if err := CheckPattern(c.pattern); err != nil {
			t.Errorf("%s: %v", c.pattern, err)
		}
		if got := matches(c.pattern, c.text); got != c.want {
			t.Errorf("%s matches %s: %v", c.pattern, c.text, got)
		}
	}
	for _, wrong := range []string{"", "/", "acme//shop", "**/shop", "acme/a**", "acme/[a]", "acme/?", `acme\shop`, "acme shop", "acme/"} {
		if CheckPattern(wrong) == nil {
			t.Errorf("%q is taken for a pattern", wrong)
		}
	}
}
