package github

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
)

// inspection is what was found, each as "about: say / fix".
type inspection []string

func (i *inspection) tell(found forge.Finding) {
	*i = append(*i, found.About+": "+found.Say+" / "+found.Fix)
}

func (i inspection) want(t *testing.T, parts ...string) {
	t.Helper()
	for _, line := range i {
		rest, ok := line, true
		for _, part := range parts {
			var found bool
			if _, rest, found = strings.Cut(rest, part); !found {
				ok = false
				break
			}
		}
		if ok {
			return
		}
	}
	t.Errorf("nothing says %q; there is:\n%s", parts, strings.Join(i, "\n"))
}

func (i inspection) refuse(t *testing.T, part string) {
	t.Helper()
	for _, line := range i {
		if strings.Contains(line, part) {
			t.Errorf("it is said that %s", line)
		}
	}
}

// permitted are an App's permissions as JSON, with some changed; an empty level takes one away.
func permitted(change map[string]string) string {
	all := map[string]string{}
	for _, p := range Permissions() {
		all[p.Name] = p.Level
	}
	for name, level := range change {
		if all[name] = level; level == "" {
			delete(all, name)
		}
	}
	text, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func inspectApp(t *testing.T, f *fake, hook string) inspection {
	t.Helper()
	var found inspection
	if err := f.forge.Inspect(t.Context(), hook, found.tell); err != nil {
		t.Fatal(err)
	}
	return found
}

const hookHere = "https://boatlift.acme.io/hooks/github"

// inspectable answers all that an inspection of an App asks; the routes before it count.
func (f *fake) inspectable(permissions, events string) {
	f.routes = http.NewServeMux()
	f.json("GET /app", 200, fmt.Sprintf(`{"id": 4242, "slug": "boatlift", "html_url": "https://github.example/apps/boatlift", "permissions": %s, "events": %s}`, permissions, events))
	f.json("GET /app/installations", 200, fmt.Sprintf(`[{"id": 7, "account": {"login": "acme"}, "repository_selection": "selected", "permissions": %s}]`, permissions))
	f.handle("POST /app/installations/{id}/access_tokens", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 201, `{"token": "ghs_x", "expires_at": "2099-01-01T00:00:00Z"}`)
	})
	f.json("GET /installation/repositories", 200, `{"repositories": [`+repoJSON+`]}`)
}

func allEvents() string {
	list, err := json.Marshal(slices.Collect(func(yield func(string) bool) {
		for name := range events() {
			if !yield(name) {
				return
			}
		}
	}))
	if err != nil {
		panic(err)
	}
	return string(list)
}

func TestPermissionsThatAreMissingOrTooManyAreTold(t *testing.T) {
	for name, tc := range map[string]struct {
		change map[string]string
		want   []string
	}{
		"right":       {nil, []string{"it has all permissions that it needs, and no others / "}},
		"missing":     {map[string]string{"contents": "read", "checks": ""}, []string{"it lacks permissions: contents: write, checks: write / add them in its settings (https://github.example/apps/boatlift), and accept"}},
		"too many":    {map[string]string{"workflows": "write", "administration": "read"}, []string{"no use for: administration: read, workflows: write / take them away"}},
		"too much":    {map[string]string{"deployments": "write"}, []string{"no use for: deployments: write, where read will do / take"}},
		"not used":    {map[string]string{"packages": "", "members": ""}, []string{"it does without packages: read (for GHCR), members: read (for teams and code owners) / "}},
		"admin level": {map[string]string{"contents": "admin"}, []string{"contents: admin, where write will do / take"}},
	} {
		f := newFake(t)
		f.inspectable(permitted(tc.change), allEvents())
		found := inspectApp(t, f, hookHere)
		for _, want := range tc.want {
			found.want(t, "App boatlift: ", want)
		}
		if name != "right" && name != "not used" {
			found.refuse(t, "all permissions")
		}
	}
}

func TestPermissionsThatAnAccountHasNotAcceptedAreTold(t *testing.T) {
	f := newFake(t)
	f.inspectable(permitted(nil), `["push"]`)
	f.routes = http.NewServeMux()
	f.json("GET /app", 200, fmt.Sprintf(`{"slug": "boatlift", "permissions": %s, "events": ["push"]}`, permitted(nil)))
	f.json("GET /app/installations", 200, fmt.Sprintf(`[
		{"id": 7, "account": {"login": "acme"}, "repository_selection": "all", "permissions": %s},
		{"id": 8, "account": {"login": "old"}, "suspended_at": "2026-01-01T00:00:00Z", "permissions": {}},
		{"id": 9, "account": {"login": "bare"}, "permissions": %s}]`, permitted(map[string]string{"statuses": ""}), permitted(nil)))
	f.handle("POST /app/installations/{id}/access_tokens", func(w http.ResponseWriter, r *http.Request) {
		answer(w, 201, `{"token": "ghs_`+r.PathValue("id")+`", "expires_at": "2099-01-01T00:00:00Z"}`)
	})
	f.handle("GET /installation/repositories", func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.Header.Get("Authorization"), "ghs_9") {
			answer(w, 200, `{"repositories": []}`)
			return
		}
		answer(w, 200, `{"repositories": [`+repoJSON+`]}`)
	})
	found := inspectApp(t, f, hookHere)
	found.want(t, "installation acme: it has not accepted permissions that the App asks for: statuses: read / an owner accepts")
	found.want(t, "installation acme: it reaches 1 repositories, all of the account")
	found.want(t, "installation old: it is suspended / ")
	found.want(t, "installation bare: it reaches no repository / choose")
	found.want(t, "it lacks events: check_run, deployment_status, pull_request, pull_request_review, repository / add them")
	found.want(t, "it does without merge_group (for GitHub's merge queue), registry_package (for GHCR)")
}

func TestTheAppsWebhookIsComparedWithWhereTheBotHears(t *testing.T) {
	for name, tc := range map[string]struct{ config, hook, want string }{
		"right":            {`{"url": "` + hookHere + `", "content_type": "json", "insecure_ssl": "0", "secret": "********"}`, hookHere, "its webhook goes to " + hookHere + " / "},
		"with a slash":     {`{"url": "` + hookHere + `/", "content_type": "json", "insecure_ssl": 0, "secret": "********"}`, hookHere, "its webhook goes to " + hookHere + "/ / "},
		"not known where":  {`{"url": "https://x.io", "content_type": "json", "secret": "********"}`, "", "its webhook goes to https://x.io / "},
		"none":             {`{}`, hookHere, "it has no webhook, so the bot hears of nothing / make the webhook active, with the address " + hookHere},
		"elsewhere":        {`{"url": "https://x.io", "content_type": "json", "secret": "********"}`, hookHere, "goes to https://x.io, and the bot hears at " + hookHere + " / set the webhook's address"},
		"forms":            {`{"url": "` + hookHere + `", "content_type": "form", "secret": "********"}`, hookHere, "sends form, and the bot reads JSON / set"},
		"no secret":        {`{"url": "` + hookHere + `", "content_type": "json"}`, hookHere, "it has no secret"},
		"unchecked":        {`{"url": "` + hookHere + `", "content_type": "json", "insecure_ssl": "1", "secret": "********"}`, hookHere, "does not check the certificate"},
		"unchecked number": {`{"url": "` + hookHere + `", "content_type": "json", "insecure_ssl": 1, "secret": "********"}`, hookHere, "does not check the certificate"},
	} {
		f := newFake(t)
		f.inspectable(permitted(nil), allEvents())
		f.json("GET /app/hook/config", 200, tc.config)
		found := inspectApp(t, f, tc.hook)
		if name == "no secret" {
			found.want(t, "its webhook has no secret, so the bot refuses what it sends / set")
			continue
		}
		found.want(t, tc.want)
	}
}

func TestLostDeliveriesAreToldOfWhileTheyAreNews(t *testing.T) {
	now := time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC)
	delivery := func(id int, guid, status string, age time.Duration) string {
		return fmt.Sprintf(`{"id": %d, "guid": %q, "status": %q, "delivered_at": %q}`, id, guid, status, now.Add(-age).Format(time.RFC3339))
	}
	for name, tc := range map[string]struct {
		list []string
		want string
	}{
		"none":                {nil, "GitHub has sent no webhook lately / "},
		"all arrived":         {[]string{delivery(2, "b", "OK", time.Minute), delivery(1, "a", "OK", time.Hour)}, "of its last 2 webhooks 0 did not arrive / "},
		"again, and arrived":  {[]string{delivery(2, "a", "OK", time.Minute), delivery(1, "a", "timed out", time.Hour)}, "of its last 1 webhooks 0 did not arrive / "},
		"the newest is lost":  {[]string{delivery(2, "b", "timed out", time.Minute), delivery(1, "a", "OK", time.Hour)}, "of its last 2 webhooks 1 did not arrive; of the newest GitHub says: timed out / see"},
		"an older one is":     {[]string{delivery(2, "b", "OK", time.Minute), delivery(1, "a", "timed out", time.Hour)}, "of its last 2 webhooks 1 did not arrive / "},
		"lost four days back": {[]string{delivery(1, "a", "timed out", 96*time.Hour)}, "of its last 1 webhooks 1 did not arrive / "},
	} {
		f := newFake(t, func(o *Options) { o.Clock = func() time.Time { return now } })
		f.inspectable(permitted(nil), allEvents())
		f.json("GET /app/hook/deliveries", 200, "["+strings.Join(tc.list, ",")+"]")
		found := inspectApp(t, f, "")
		found.want(t, "App boatlift: "+tc.want)
		if strings.HasSuffix(tc.want, "/ ") {
			found.refuse(t, "see whether GitHub reaches")
		}
		_ = name
	}
}

func TestAClockThatIsOffIsToldAlsoWhereTheKeyIsRefusedForIt(t *testing.T) {
	for off, want := range map[time.Duration]string{
		-5 * time.Minute: "this machine's clock: it is 5m0s behind that of 127.0.0.1 / set it by NTP",
		90 * time.Second: "this machine's clock: it is 1m30s ahead of that of 127.0.0.1 / set it by NTP",
		10 * time.Second: "",
	} {
		server := time.Now().Truncate(time.Second)
		f := newFake(t, func(o *Options) { o.Clock = func() time.Time { return server.Add(off + 500*time.Millisecond) } })
		f.routes = http.NewServeMux()
		f.handle("GET /meta", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", server.UTC().Format(http.TimeFormat))
			answer(w, 401, `{"message": "Requires authentication"}`)
		})
		f.json("GET /app", 401, `{"message": "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"}`)
		found := inspectApp(t, f, "")
		found.want(t, "127.0.0.1: it answers after 0s / ")
		found.want(t, "App 4242: ", "'Issued at' claim", "clock is right")
		if want == "" {
			found.refuse(t, "this machine's clock: it is")
		} else {
			found.want(t, want)
		}
	}
}

func TestAForgeThatDoesNotAnswerIsOneFinding(t *testing.T) {
	f := newFake(t)
	f.server.Close()
	found := inspectApp(t, f, hookHere)
	if len(found) != 1 {
		t.Errorf("%d findings: %q", len(found), found)
	}
	found.want(t, "127.0.0.1: no answer: ", "connection refused / see whether this machine reaches 127.0.0.1")
}

func TestATokensScopesAndItsEndAreTold(t *testing.T) {
	now := time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		header http.Header
		want   []string
	}{
		"classic":      {http.Header{"X-Oauth-Scopes": {"repo, read:org"}}, []string{"the token of boatlift-acme: it is right"}},
		"no scope":     {http.Header{"X-Oauth-Scopes": {""}}, []string{"it lacks the scope repo / make"}},
		"too little":   {http.Header{"X-Oauth-Scopes": {"public_repo"}}, []string{"it lacks the scope repo / make"}},
		"too many":     {http.Header{"X-Oauth-Scopes": {"admin:org, delete_repo, repo"}}, []string{"no use for: admin:org, delete_repo / make"}},
		"fine-grained": {http.Header{"Github-Authentication-Token-Expiration": {"2026-12-01 00:00:00 UTC"}}, []string{"it is a fine-grained one", "it ends on 1 December 2026 / "}},
		"ending":       {http.Header{"Github-Authentication-Token-Expiration": {"2026-03-12 08:00:00 +0100"}}, []string{"it ends on 12 March 2026 / make a new one"}},
		"odd":          {http.Header{"Github-Authentication-Token-Expiration": {"some day"}}, []string{"it is right"}},
	} {
		f := newAccount(t, func(o *Options) { o.Clock = func() time.Time { return now } })
		f.routes = http.NewServeMux()
		f.handle("GET /user", func(w http.ResponseWriter, _ *http.Request) {
			for key, values := range tc.header {
				w.Header()[key] = values
			}
			answer(w, 200, `{"id": 77, "login": "boatlift-acme", "type": "User"}`)
		})
		f.json("GET /user/repos", 200, `[]`)
		found := inspectApp(t, f, hookHere)
		for _, want := range tc.want {
			found.want(t, want)
		}
		if name == "classic" || name == "odd" {
			found.refuse(t, "scope")
			if name == "classic" {
				found.refuse(t, "it ends")
			}
		}
		found.want(t, "it may write to no repository / let the account write")
	}
}
