package github

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

// rule is one of the rules that hold for a branch. https://docs.github.com/rest/repos/rules. go-github's own parser fails on each type of rule
// that is newer than it.
type rule struct {
	Type       string          `json:"type"`
	Ruleset    int64           `json:"ruleset_id"`
	Source     string          `json:"ruleset_source"`
	Parameters json.RawMessage `json:"parameters"`
}

// demand is a check that has to be green before a merge. A source of 0 is anybody.
type demand struct {
	Check   string `json:"context"`
	Source  *int64 `json:"integration_id,omitempty"`
	App     *int64 `json:"app_id,omitempty"` // in classic protection, where -1 is anybody
	ruleset int64  // 0: classic protection
	strict  bool   // branches have to be up to date with the base too
}

func (d demand) source() int64 {
	switch {
	case d.Source != nil:
		return *d.Source
	case d.App != nil && *d.App > 0:
		return *d.App
	}
	return 0
}

// InspectRepository implements forge.Inspector. It needs no permission but to read: organisations' rulesets show, and of classic protection
// what GitHub shows to readers.
func (f *Forge) InspectRepository(ctx context.Context, repo forge.Repository, wanted forge.Wanted, tell func(forge.Finding)) error {
	if repo.Archived {
		tell(forge.Finding{About: repo.FullName, Say: "it is archived: the bot only reads it"})
		return ctx.Err()
	}
	branch := repo.DefaultBranch
	var demands []demand
	bypassed := ""
	err := f.in(ctx, repo, "read the rules of "+wire.Clean(branch, 100), func(t target) error {
		var err error
		if demands, err = f.demands(ctx, t, branch, wanted.Check); err != nil {
			return err
		}
		for _, d := range demands {
			if d.ruleset > 0 && bypassed == "" {
				bypassed = f.bypassed(ctx, t, d.ruleset)
			}
		}
		return nil
	})
	if err != nil {
		tell(trouble(repo.FullName, err))
		return ctx.Err()
	}
	tell(f.judgeDemands(repo, wanted.Check, demands))
	if slices.ContainsFunc(demands, func(d demand) bool { return d.strict }) {
		tell(forge.Finding{
			About: repo.FullName, Say: "a branch has to be up to date before a merge: each merge leaves every other open pull request behind, and the bot rebuilds only what conflicts",
			Fix: "turn that off in the ruleset: strict_required_status_checks_policy: false",
		})
	}
	if bypassed != "" {
		tell(forge.Finding{
			About: repo.FullName, Say: "the bot may bypass the ruleset " + bypassed + ", so nothing would stop it where it errs",
			Fix: "take " + f.entry.bearer() + " out of the ruleset's bypass list",
		})
	}
	return ctx.Err()
}

// demands lists where a check is demanded on a branch.
func (f *Forge) demands(ctx context.Context, t target, branch, check string) ([]demand, error) {
	var found []demand
	strict := false
	path := "repos/" + t.owner + "/" + t.name
	for page := 1; page > 0 && page <= maxPages; {
		var rules []rule
		response, err := f.ask(ctx, t.Client, t.doing, fmt.Sprintf("%s/rules/branches/%s?per_page=%d&page=%d", path, escapedPath(branch), pageSize, page), &rules)
		if err != nil {
			return nil, err
		}
		for _, r := range rules {
			if r.Type != "required_status_checks" {
				continue
			}
			var parameters struct {
				Strict bool     `json:"strict_required_status_checks_policy"`
				Checks []demand `json:"required_status_checks"`
			}
			if err := json.Unmarshal(r.Parameters, &parameters); err != nil {
				return nil, &wire.Error{Doing: t.doing, Message: "a rule for required checks is not what GitHub describes"}
			}
			strict = strict || parameters.Strict
			for _, d := range parameters.Checks {
				if d.Check == check {
					d.ruleset = r.Ruleset
					found = append(found, d)
				}
			}
		}
		page = response.NextPage
	}
	for i := range found {
		found[i].strict = strict // whichever ruleset says so
	}
	if len(found) > 0 {
		return found, nil
	}
	var classic struct {
		Protection struct {
			Required struct {
				Level  string   `json:"enforcement_level"`
				Checks []demand `json:"checks"`
			} `json:"required_status_checks"`
		} `json:"protection"`
	}
	if _, err := f.ask(ctx, t.Client, t.doing, path+"/branches/"+escapedPath(branch), &classic); err != nil {
		return nil, err
	}
	if classic.Protection.Required.Level == "off" {
		return nil, nil
	}
	for _, d := range classic.Protection.Required.Checks {
		if d.Check == check {
			found = append(found, d)
		}
	}
	return found, nil
}

func escapedPath(branch string) string {
	parts := strings.Split(branch, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return strings.Join(parts, "/")
}

// bypassed is the name of a ruleset that the bot itself may bypass; empty: it may not, or GitHub does not tell.
func (f *Forge) bypassed(ctx context.Context, t target, ruleset int64) string {
	var rules struct {
		Name string `json:"name"`
		Can  string `json:"current_user_can_bypass"`
	}
	if _, err := f.ask(ctx, t.Client, t.doing, fmt.Sprintf("repos/%s/%s/rulesets/%d", t.owner, t.name, ruleset), &rules); err != nil {
		return ""
	}
	if rules.Can == "" || rules.Can == "never" {
		return ""
	}
	return wire.Clean(rules.Name, 100)
}

func (f *Forge) judgeDemands(repo forge.Repository, check string, demands []demand) forge.Finding {
	about := repo.FullName
	if len(demands) == 0 {
		return forge.Finding{
			About: about, Say: check + " is not required on " + wire.Clean(repo.DefaultBranch, 100) + ": whoever may merge can merge against it",
			Fix:  "add this ruleset: save it as ruleset.json, and import it in the repository's settings (Rules, Rulesets)",
			Text: f.ruleset(check),
		}
	}
	for _, d := range demands {
		if d.source() == f.appID {
			say := check + " is required on " + wire.Clean(repo.DefaultBranch, 100)
			if f.appID != 0 {
				say += ", from this App alone"
			}
			return forge.Finding{About: about, Say: say}
		}
	}
	if source := demands[0].source(); source != 0 {
		return forge.Finding{
			About: about, Say: fmt.Sprintf("%s is required from the App %d, which is not this bot: it never turns green", check, source),
			Fix: "change the source of the required check as in this ruleset", Text: f.ruleset(check),
		}
	}
	return forge.Finding{
		About: about, Say: check + " is required from anybody: whoever may write can report it green",
		Fix: fmt.Sprintf("choose this App as the source of the required check (integration_id %d), as in this ruleset", f.appID), Text: f.ruleset(check),
	}
}

// ruleset is what demands the check, to be imported. By a token it cannot name whose check it has to be.
func (f *Forge) ruleset(check string) string {
	source := ""
	if f.appID != 0 {
		source = fmt.Sprintf(`, "integration_id": %d`, f.appID)
	}
	return fmt.Sprintf(`{
  "name": "boatlift",
  "target": "branch",
  "enforcement": "active",
  "conditions": {"ref_name": {"include": ["~DEFAULT_BRANCH"], "exclude": []}},
  "rules": [
    {"type": "required_status_checks", "parameters": {
      "strict_required_status_checks_policy": false,
      "required_status_checks": [{"context": %q%s}]
    }}
  ]
}`, check, source)
}
