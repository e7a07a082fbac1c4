package gitlab

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	gl "github.com/xanzy/go-gitlab"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

// soonOver is when a token that ends is worth a word.
const soonOver = 30 * 24 * time.Hour

// Inspect implements forge.Inspector.
func (f *Forge) Inspect(ctx context.Context, _ string, tell func(forge.Finding)) error {
	way := wire.Way{
		Transport: f.base, Address: f.at.api.String() + "version", Timeout: requestTimeout, Clock: f.clock,
		Why:   func(err error) string { return wire.Clean(wire.Innermost(err).Error(), wire.MaxMessage) },
		Wrong: "soak and freeze go by it, and signed webhooks are refused that seem older than five minutes",
	}
	if wire.Look(ctx, way, tell) {
		f.inspectAccount(ctx, tell)
	}
	return ctx.Err()
}

func trouble(about string, err error) forge.Finding {
	return wire.Trouble(about, err, "run this again; if it stays so, look at the state of the GitLab")
}

// ask reads into a struct of our own, as go-gitlab's drop what they do not know, and do not tell what was left out from what is false.
func (f *Forge) ask(ctx context.Context, doing, path string, options, into any) (*gl.Response, error) {
	request, err := f.api.NewRequest(http.MethodGet, path, options, with(ctx))
	if err != nil {
		return nil, f.translate(doing, err)
	}
	response, err := f.api.Do(request, into)
	return response, f.translate(doing, err)
}

// askAll reads a list as a whole.
func askAll[T any](ctx context.Context, f *Forge, doing, path string) ([]T, error) {
	return pages(func(page int, _ string) ([]T, *gl.Response, error) {
		var some []T
		response, err := f.ask(ctx, doing, path, &gl.ListOptions{Page: page, PerPage: pageSize}, &some)
		return some, response, err
	})
}

func (f *Forge) inspectAccount(ctx context.Context, tell func(forge.Finding)) {
	var user struct {
		Username string `json:"username"`
		Admin    bool   `json:"is_admin"`
		Bot      bool   `json:"bot"`
	}
	if _, err := f.ask(ctx, "ask whose token it is", "user", nil, &user); err != nil {
		tell(trouble("the token", err))
		return
	}
	about := "the token of " + wire.Clean(user.Username, 100)
	kind := "a person's account: what that person does under it counts as the bot's doing"
	switch name := user.Username; {
	case strings.HasPrefix(name, "service_account_"):
		kind = "a service account"
	case strings.HasPrefix(name, "project_") && machineName.MatchString(name):
		kind = "a project access token, which reaches that project alone"
	case machineName.MatchString(name):
		kind = "a group access token, which reaches the projects of that group"
	case user.Bot:
		kind = "a machine's account"
	}
	tell(forge.Finding{About: about, Say: "it is right, and " + kind})
	if user.Admin {
		tell(forge.Finding{
			About: about, Say: "its account administers the whole GitLab: nothing would stop it where it errs",
			Fix: "make an ordinary account for the bot, and put a token of that in the place of this one",
		})
	}
	f.inspectToken(ctx, about, tell)
	f.inspectReach(ctx, about, tell)
}

// inspectToken looks at what the token may do, and when it ends.
func (f *Forge) inspectToken(ctx context.Context, about string, tell func(forge.Finding)) {
	var token struct {
		Scopes  []string `json:"scopes"`
		Expires string   `json:"expires_at"`
	}
	if _, err := f.ask(ctx, "ask what the token may do", "personal_access_tokens/self", nil, &token); err != nil {
		tell(trouble(about, err))
		return
	}
	var missing, excess []string
	for _, scope := range []string{"api", "write_repository"} {
		if !slices.Contains(token.Scopes, scope) {
			missing = append(missing, scope)
		}
	}
	for _, scope := range token.Scopes {
		if !slices.Contains([]string{"api", "write_repository", "read_api", "read_user", "read_repository", "self_rotate"}, scope) {
			excess = append(excess, wire.Clean(scope, 50))
		}
	}
	if len(missing) > 0 {
		tell(forge.Finding{About: about, Say: "it lacks scopes: " + strings.Join(missing, ", "), Fix: "make a token with the scopes api and write_repository, and put it in the place of this one"})
	}
	if len(excess) > 0 {
		tell(forge.Finding{
			About: about, Say: "it has scopes that the bot has no use for: " + strings.Join(excess, ", "),
			Fix: "make a token with the scopes api and write_repository alone, and put it in the place of this one",
		})
	}
	if len(missing)+len(excess) == 0 {
		tell(forge.Finding{About: about, Say: "it has the scopes that it needs, and no others"})
	}
	if token.Expires == "" {
		tell(forge.Finding{About: about, Say: "it never ends"})
		return
	}
	at, err := time.Parse(time.DateOnly, token.Expires)
	if err != nil {
		return
	}
	found := forge.Finding{About: about, Say: "it ends on " + at.Format("2 January 2006")}
	if at.Sub(f.clock()) < soonOver {
		found.Fix = "make a new one, and put it into the file of token: it is used without a restart"
	}
	tell(found)
}

// inspectReach tells which projects the account is let into, and which not although they are meant.
func (f *Forge) inspectReach(ctx context.Context, about string, tell func(forge.Finding)) {
	reached, err := f.Repositories(ctx)
	if err != nil {
		tell(trouble(about, err))
		return
	}
	member, err := pages(func(page int, _ string) ([]*gl.Project, *gl.Response, error) {
		return f.api.Projects.ListProjects(&gl.ListProjectsOptions{
			ListOptions: gl.ListOptions{Page: page, PerPage: pageSize}, Membership: gl.Ptr(true), Simple: gl.Ptr(true),
		}, with(ctx)...)
	})
	if err != nil {
		tell(trouble(about, f.translate("list the projects of the account", err)))
		return
	}
	works := map[string]bool{}
	for _, r := range reached {
		works[strings.ToLower(r.FullName)] = true
	}
	var below []string
	reads := map[string]bool{}
	for _, p := range member {
		if path := p.PathWithNamespace; f.meant(path) && !works[strings.ToLower(path)] && isPath(path) {
			below = append(below, path)
			reads[strings.ToLower(path)] = true
		}
	}
	for _, path := range f.only {
		switch name := strings.ToLower(path); {
		case strings.HasSuffix(path, "/*") || works[name]:
		case reads[name]:
			tell(forge.Finding{About: wire.Clean(path, 255), Say: "the bot's role there is less than Developer, so nothing happens", Fix: "give the token's account the role Developer"})
		default:
			tell(forge.Finding{About: wire.Clean(path, 255), Say: "repositories: names it, and the bot is not let into it", Fix: "give the token's account the role Developer there, or take it out of repositories: in boatlift.yaml"})
		}
	}
	if len(reached) == 0 {
		tell(forge.Finding{About: about, Say: "it may write to no project", Fix: "give its account the role Developer in the infra projects, and look at repositories: of the forge in boatlift.yaml"})
		return
	}
	say := fmt.Sprintf("it may write to %d projects", len(reached))
	if len(below) > 0 {
		slices.Sort(below)
		say += fmt.Sprintf("; in %d others its role is less than Developer, and nothing happens there: %s", len(below), wire.Clean(strings.Join(below[:min(len(below), 5)], ", "), 400))
	}
	tell(forge.Finding{About: about, Say: say})
}
