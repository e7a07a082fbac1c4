package gitlab

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
)

// instance is a GitLab that answers what it is told to, by path, and 404 else.
type instance map[string]string

const hookHere = "https://boatlift.acme.io/hooks/gitlab"

// noon is the time in these tests.
func noon() time.Time { return time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC) }

// ordinary is a project in a Free GitLab with nothing wrong: the bot is one of its Maintainers, and nobody else merges.
func ordinary() instance {
	return instance{
		"version":                             `{"version": "17.11.0"}`,
		"user":                                `{"id": 7, "username": "project_1_bot_0a"}`,
		"personal_access_tokens/self":         `{"scopes": ["api", "write_repository"], "expires_at": "2026-12-01"}`,
		"projects":                            `[{"id": 1, "path_with_namespace": "acme/infra", "default_branch": "main"}]`,
		"projects/1":                          `{"id": 1, "path_with_namespace": "acme/infra", "namespace": {"kind": "group", "full_path": "acme"}}`,
		"projects/1/members/all/7":            `{"id": 7, "access_level": 40}`,
		"projects/1/repository/branches/main": `{"name": "main", "protected": true, "developers_can_push": false, "developers_can_merge": false}`,
		"projects/1/protected_branches":       protectedBy(`{"access_level": 0}`, `{"access_level": 40}`),
		"projects/1/hooks":                    hooked(``),
	}
}

func protectedBy(push, merge string) string {
	return fmt.Sprintf(`[{"name": "main", "push_access_levels": [%s], "merge_access_levels": [%s]}]`, push, merge)
}

// hooked is a webhook to the bot with some members replaced.
func hooked(change string) string {
	all := `"url": "` + hookHere + `", "push_events": true, "merge_requests_events": true, "note_events": true, "job_events": true, "pipeline_events": true,
		"deployment_events": true, "enable_ssl_verification": true, "alert_status": "executable"`
	if change != "" {
		all += ", " + change // of two with a name, the last counts
	}
	return "[{" + all + "}]"
}

// with changes answers; of an answer that is a number there is only the status.
func (i instance) with(changes ...string) instance {
	for n := 0; n < len(changes); n += 2 {
		i[changes[n]] = changes[n+1]
	}
	return i
}

// ServeHTTP implements http.Handler.
func (i instance) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/api/v4/")
	if r.URL.Query().Get("min_access_level") != "" && i[path+"?min"] != "" {
		path += "?min"
	}
	text, known := i[path]
	status := http.StatusOK
	if _, err := fmt.Sscanf(text, "%d", &status); !known || err == nil && len(text) == 3 {
		if !known {
			status = http.StatusNotFound
		}
		text = `{"message": "no"}`
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

// inspect gives all that is found, each as "about: say / fix".
func (i instance) inspect(t *testing.T, merges bool, only ...string) (lines []string) {
	t.Helper()
	server := httptest.NewServer(i)
	t.Cleanup(server.Close)
	f, err := New(Options{
		Token: Fixed([]byte("glpat-token-of-the-bot")), WebhookSecrets: func() [][]byte { return [][]byte{[]byte("secret")} }, BaseURL: server.URL,
		Clock: noon, Only: only,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	tell := func(found forge.Finding) { lines = append(lines, found.About+": "+found.Say+" / "+found.Fix) }
	if err := f.Inspect(t.Context(), hookHere, tell); err != nil {
		t.Fatal(err)
	}
	repos, err := f.Repositories(t.Context())
	if err != nil && i["projects"] != "401" {
		t.Fatal(err)
	}
	for _, repo := range repos {
		if err := f.InspectRepository(t.Context(), repo, forge.Wanted{Check: "boatlift/gate", Hook: hookHere, Merges: merges}, tell); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range lines {
		if strings.Contains(line, "glpat-") {
			t.Errorf("the token is told: %s", line)
		}
	}
	return lines
}

// told wants a line that has all parts of a text, which are separated by an ellipsis; with "not " before it, none.
func told(t *testing.T, name string, lines []string, want string) {
	t.Helper()
	parts, refused := strings.CutPrefix(want, "not ")
	for _, line := range lines {
		found, rest := true, line
		for part := range strings.SplitSeq(parts, "…") {
			var ok bool
			if _, rest, ok = strings.Cut(rest, part); !ok {
				found = false
			}
		}
		if found != refused && found {
			return
		}
		if found && refused {
			t.Errorf("%s: it is said that %s", name, line)
			return
		}
	}
	if !refused {
		t.Errorf("%s: nothing says %s; there is\n%s", name, want, strings.Join(lines, "\n"))
	}
}

func TestNothingIsToDoWhereAllIsRight(t *testing.T) {
	lines := ordinary().inspect(t, true)
	for _, want := range []string{
		"the token of project_1_bot_0a: it is right, and a project access token", "it has the scopes that it needs", "it ends on 1 December 2026 / ", "it may write to 1 projects / ",
		"acme/infra: the bot is a Maintainer / ", "acme/infra: boatlift/gate holds all but Maintainers…without a licence",
		"acme/infra: the webhook goes to " + hookHere + ", with all triggers",
	} {
		told(t, "right", lines, want)
	}
	for _, line := range lines {
		if !strings.HasSuffix(line, " / ") && !strings.Contains(line, "this machine's clock") { // the test's own stands still
			t.Errorf("there is something to do: %s", line)
		}
	}
}

func TestTheTokenIsLookedAt(t *testing.T) {
	for name, tc := range map[string]struct {
		change []string
		only   []string
		want   []string
	}{
		"a person's":      {[]string{"user", `{"id": 7, "username": "alice"}`}, nil, []string{"the token of alice: it is right, and a person's account"}},
		"a group's":       {[]string{"user", `{"id": 7, "username": "group_9_bot_0a1b"}`}, nil, []string{"a group access token"}},
		"a service's":     {[]string{"user", `{"id": 7, "username": "service_account_abc"}`}, nil, []string{"a service account / "}},
		"a root's":        {[]string{"user", `{"id": 7, "username": "root", "is_admin": true}`}, nil, []string{"administers the whole GitLab… / make an ordinary account"}},
		"revoked":         {[]string{"user", "401", "projects", "401"}, nil, []string{"the token: …neither expired nor been revoked"}},
		"too little":      {[]string{"personal_access_tokens/self", `{"scopes": ["read_api"]}`}, nil, []string{"it lacks scopes: api, write_repository / make a token", "it never ends / "}},
		"too much":        {[]string{"personal_access_tokens/self", `{"scopes": ["api", "write_repository", "sudo", "admin_mode"]}`}, nil, []string{"no use for: sudo, admin_mode / make a token", "not lacks"}},
		"ends soon":       {[]string{"personal_access_tokens/self", `{"scopes": ["api", "write_repository"], "expires_at": "2026-04-03"}`}, nil, []string{"it ends on 3 April 2026 / make a new one"}},
		"ends in 31 days": {[]string{"personal_access_tokens/self", `{"scopes": ["api", "write_repository"], "expires_at": "2026-04-05"}`}, nil, []string{"it ends on 5 April 2026 / ", "not make a new one"}},
		"not told":        {[]string{"personal_access_tokens/self", "404"}, nil, []string{"ask what the token may do: …404"}},
		"reads only": {
			[]string{"projects?min", "[]"},
			nil,
			[]string{"it may write to no project / give its account the role Developer"},
		},
		"reads some": {
			[]string{"projects", `[{"id": 1, "path_with_namespace": "acme/infra", "default_branch": "main"}, {"id": 2, "path_with_namespace": "acme/docs"}]`, "projects?min", ordinary()["projects"]},
			nil,
			[]string{"it may write to 1 projects; in 1 others its role is less than Developer, and nothing happens there: acme/docs / "},
		},
		"meant, and reads": {
			[]string{"projects", `[{"id": 1, "path_with_namespace": "acme/infra", "default_branch": "main"}, {"id": 2, "path_with_namespace": "Acme/docs"}]`, "projects?min", ordinary()["projects"]},
			[]string{"acme/infra", "acme/docs"},
			[]string{"acme/docs: the bot's role there is less than Developer… / give", "not acme/infra: repositories"},
		},
		"meant, and shut": {nil, []string{"acme/*", "acme/other"}, []string{"acme/other: repositories: names it, and the bot is not let into it / give", "not acme/*"}},
	} {
		lines := ordinary().with(tc.change...).inspect(t, true, tc.only...)
		for _, want := range tc.want {
			told(t, name, lines, want)
		}
	}
}

func TestRolesThatAreTooMuchAreTold(t *testing.T) {
	for name, tc := range map[string]struct {
		level  int
		merges bool
		rule   string
		want   string
	}{
		"developer, people merge":           {30, false, `{"access_level": 40}`, "the bot is a Developer / "},
		"maintainer, merges among them":     {40, true, `{"access_level": 40}`, "the bot is a Maintainer / "},
		"maintainer, people merge":          {40, false, `{"access_level": 40}`, "the bot is a Maintainer, and may change what holds it / give its account the role Developer"},
		"maintainer, merges by its name":    {40, true, `{"access_level": 40, "user_id": 7}`, "the bot is a Maintainer, and may change what holds it / "},
		"owner":                             {50, true, `{"access_level": 40}`, "the bot is an Owner, and may delete the project / give its account the role Maintainer"},
		"developer, who is to merge":        {30, true, `{"access_level": 40}`, "the bot is to merge here (merge: auto or approved), and may not merge into main / let it"},
		"developer, who merges by its name": {30, true, `{"access_level": 40, "user_id": 7}`, "not may not merge"},
		"nobody merges":                     {40, true, `{"access_level": 0}`, "may not merge into main / let it"},
		"administrators merge":              {40, true, `{"access_level": 60}`, "may not merge into main / let it"},
		"only the bot, and people are to":   {40, false, `{"access_level": 40, "user_id": 7}`, "only the bot may merge into main, and is to leave that to people (merge: manual): nobody merges / write"},
	} {
		lines := ordinary().with("projects/1/members/all/7", fmt.Sprintf(`{"id": 7, "access_level": %d}`, tc.level),
			"projects/1/protected_branches", protectedBy(`{"access_level": 0}`, tc.rule)).inspect(t, tc.merges)
		told(t, name, lines, tc.want)
	}
}

func TestWhatHoldsTheGateIsToldByTier(t *testing.T) {
	const (
		free     = `{"id": 1, "namespace": {"kind": "group", "full_path": "acme"}}`
		premium  = `{"id": 1, "approvals_before_merge": 0, "namespace": {"kind": "group", "full_path": "acme"}}`
		ultimate = `{"id": 1, "approvals_before_merge": 0, "only_allow_merge_if_all_status_checks_passed": %t, "namespace": {"kind": "user", "full_path": "acme"}}`
		bot      = `{"access_level": 40, "user_id": 7}`
	)
	must, need := fmt.Sprintf(ultimate, true), fmt.Sprintf(ultimate, false)
	for name, tc := range map[string]struct {
		project, push, merge, checks string
		want                         []string
	}{
		"free, developers merge":        {free, `{"access_level": 0}`, `{"access_level": 30}`, "404", []string{"boatlift/gate is not enforced: only the mark [Draft]… / protect the branch…Maintainers merge, of whom the bot is one"}},
		"free, maintainers merge":       {free, `{"access_level": 0}`, `{"access_level": 40}`, "404", []string{"boatlift/gate holds all but Maintainers… / "}},
		"premium, maintainers merge":    {premium, `{"access_level": 0}`, `{"access_level": 40}`, "404", []string{"holds all but those who may merge into main beside the bot… / let the bot's account alone merge"}},
		"premium, developers merge":     {premium, `{"access_level": 0}`, `{"access_level": 30}`, "404", []string{"boatlift/gate is not enforced… / protect the branch…the bot's account alone merges"}},
		"premium, the bot alone":        {premium, `{"access_level": 0}`, bot, "404", []string{"boatlift/gate holds every merge: nobody but the bot merges… / "}},
		"premium, the bot and a person": {premium, `{"access_level": 0}`, bot + `, {"access_level": 40, "user_id": 8}`, "404", []string{"holds all but those who may merge"}},
		"premium, the bot and a group":  {premium, `{"access_level": 0}`, bot + `, {"access_level": 40, "group_id": 8}`, "404", []string{"holds all but those who may merge"}},
		"ultimate, right":               {must, `{"access_level": 0}`, `{"access_level": 30}`, `[{"name": "boatlift/gate"}]`, []string{"boatlift/gate holds every merge, as an external status check… / "}},
		"ultimate, need not":            {need, `{"access_level": 0}`, `{"access_level": 30}`, `[{"name": "boatlift/gate"}]`, []string{"is there, and need not succeed: it holds nothing / demand"}},
		"ultimate, none":                {must, `{"access_level": 0}`, `{"access_level": 30}`, `[{"name": "other"}]`, []string{"there is no external status check boatlift/gate… / add one named boatlift/gate"}},
		"ultimate, elsewhere":           {must, `{"access_level": 0}`, `{"access_level": 30}`, `[{"name": "boatlift/gate", "protected_branches": [{"name": "release/*"}]}]`, []string{"is not asked for on main / let it apply"}},
		"ultimate, on main too":         {must, `{"access_level": 0}`, `{"access_level": 30}`, `[{"name": "boatlift/gate", "protected_branches": [{"name": "ma*n"}]}]`, []string{"boatlift/gate holds every merge, as an external"}},
		"ultimate, hidden":              {must, `{"access_level": 0}`, `{"access_level": 30}`, "401", []string{"whether one is boatlift/gate is shown to Maintainers only / "}},
		"ultimate, hidden, need not":    {need, `{"access_level": 0}`, `{"access_level": 30}`, "401", []string{"external status checks need not succeed… / add one"}},
		"ultimate, by the bot alone":    {need, `{"access_level": 0}`, bot, `[]`, []string{"boatlift/gate holds every merge: nobody but the bot merges… / "}},
		"pushes of developers":          {free, `{"access_level": 30}`, `{"access_level": 40}`, "404", []string{"any Developer may push to main, past the gate / let nobody push"}},
	} {
		lines := ordinary().with("projects/1", tc.project, "projects/1/protected_branches", protectedBy(tc.push, tc.merge), "projects/1/external_status_checks", tc.checks).inspect(t, true)
		for _, want := range tc.want {
			told(t, name, lines, want)
		}
	}
	pipelines := ordinary().with("projects/1", `{"id": 1, "only_allow_merge_if_pipeline_succeeds": true, "merge_trains_enabled": true}`).inspect(t, true)
	told(t, "pipelines", pipelines, "“Pipelines must succeed” is on, which holds nobody who wants past the gate… / ")
	told(t, "trains", pipelines, "the project has merge trains, which it does not drive / write merge: manual")
	told(t, "trains, people merge", ordinary().with("projects/1", `{"id": 1, "merge_trains_enabled": true}`).inspect(t, false), "not merge trains")
}

func TestBranchesAreProtectedByTheRuleThatCoversThem(t *testing.T) {
	for name, tc := range map[string]struct {
		branch, rules string
		want          string
	}{
		"not at all":            {`{"name": "main", "protected": false, "developers_can_push": true, "developers_can_merge": true}`, `[]`, "main is not protected: any Developer may push to it, past the gate / protect it"},
		"by a pattern":          {`{"name": "main", "protected": true}`, `[{"name": "m*", "push_access_levels": [{"access_level": 0}], "merge_access_levels": [{"access_level": 40}]}]`, "boatlift/gate holds all but Maintainers"},
		"the looser of two":     {`{"name": "main", "protected": true}`, `[{"name": "main", "merge_access_levels": [{"access_level": 40}]}, {"name": "*", "push_access_levels": [{"access_level": 30}], "merge_access_levels": [{"access_level": 30}]}]`, "boatlift/gate is not enforced"},
		"the bot's own too":     {`{"name": "main", "protected": true}`, `[{"name": "*", "push_access_levels": [{"access_level": 0}], "merge_access_levels": [{"access_level": 40}]}]`, "the protected branch * covers the bot's own branches (boatlift/…), and the bot may not push to it / name only"},
		"hidden, no merge":      {`{"name": "main", "protected": true, "developers_can_push": false, "developers_can_merge": false}`, "403", "not may not merge"},
		"hidden, maintainers":   {`{"name": "main", "protected": true, "developers_can_push": false, "developers_can_merge": false}`, "403", "boatlift/gate holds all but Maintainers"},
		"hidden, developers":    {`{"name": "main", "protected": true, "developers_can_push": true, "developers_can_merge": true}`, "403", "any Developer may push to main, past the gate / "},
		"hidden, gate is loose": {`{"name": "main", "protected": true, "developers_can_push": false, "developers_can_merge": true}`, "403", "boatlift/gate is not enforced"},
	} {
		lines := ordinary().with("projects/1/repository/branches/main", tc.branch, "projects/1/protected_branches", tc.rules).inspect(t, true)
		told(t, name, lines, tc.want)
	}
	for _, tc := range []struct {
		pattern, branch string
		want            bool
	}{{"main", "main", true}, {"main", "mainx", false}, {"*", "a/b", true}, {"*-stable", "x-stable", true}, {"*-stable", "x-stable-1", false}, {"a*b*c", "aXbYbc", true}, {"a*b*c", "ac", false}} {
		if covers(tc.pattern, tc.branch) != tc.want {
			t.Errorf("%s covers %s: want %t", tc.pattern, tc.branch, tc.want)
		}
	}
}

func TestWebhooksThatDoNotTellAllAreTold(t *testing.T) {
	const premium = `{"id": 1, "approvals_before_merge": 0, "namespace": {"kind": "group", "full_path": "acme/platform"}}`
	for name, tc := range map[string]struct {
		hooks, group string
		project      string
		want         string
	}{
		"triggers":         {hooked(`"merge_requests_events": false, "deployment_events": false`), "", "", "the webhook lacks triggers: merge request, deployment / turn them on"},
		"a filter":         {hooked(`"push_events_branch_filter": "release/*"`), "", "", "tells of pushes to release/* only / let it tell of all"},
		"a filter that is": {hooked(`"push_events_branch_filter": "main"`), "", "", "with all triggers"},
		"no certificates":  {hooked(`"enable_ssl_verification": false`), "", "", "does not check the certificate of whom it talks to / turn SSL"},
		"switched off":     {hooked(`"alert_status": "disabled"`), "", "", "is switched off, as too many deliveries in a row failed / see…press Test"},
		"for a while":      {hooked(`"alert_status": "temporarily_disabled", "disabled_until": "2026-03-05T13:30:00Z"`), "", "", "is switched off until 5 March 13:30 UTC, as deliveries failed / see"},
		"a while ago":      {hooked(`"disabled_until": "2026-03-05T11:30:00Z"`), "", "", "with all triggers"},
		"none":             {`[]`, "", "", "no webhook goes to " + hookHere + "… / add one…push, merge request, comment, job, pipeline, deployment"},
		"elsewhere":        {`[{"url": "https://old.acme.io/hooks/gitlab?secret=guess-me"}]`, "", "", "a webhook goes to https://old.acme.io/hooks/gitlab, and the bot hears at " + hookHere + " / set"},
		"hidden":           {"403", "", "", "its webhooks are shown to Maintainers only; see there that one goes to " + hookHere + " / "},
		"the group's":      {`[]`, hooked(``), premium, "the webhook of the group acme goes to " + hookHere},
		"the group's, off": {`[]`, hooked(`"alert_status": "disabled"`), premium, "the webhook of the group acme is switched off… / see"},
		"the group's hide": {`[]`, "403", premium, "a group above it has to have one, which is shown to its Owners only / "},
	} {
		i := ordinary().with("projects/1/hooks", tc.hooks)
		if tc.project != "" {
			i.with("projects/1", tc.project, "groups/acme/hooks", tc.group, "groups/acme%2Fplatform/hooks", "[]")
		}
		lines := i.inspect(t, true)
		told(t, name, lines, "acme/infra: …"+tc.want)
		told(t, name, lines, "not guess-me")
	}
}
