package github

import (
	"fmt"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/internal/forge"
)

func required(checks string) string {
	return `{"type": "required_status_checks", "ruleset_source_type": "Repository", "ruleset_source": "acme/infra", "ruleset_id": 11,
		"parameters": {"strict_required_status_checks_policy": false, "required_status_checks": [` + checks + `]}}`
}

func TestWhetherTheGateIsRequiredAndFromWhom(t *testing.T) {
	const ours, anybody, others = `{"context": "boatlift/gate", "integration_id": 4242}`, `{"context": "boatlift/gate"}`, `{"context": "boatlift/gate", "integration_id": 9}`
	newer := []string{
		`{"type": "merge_queue", "parameters": {"merge_method": "SQUASH", "x": {"y": [1]}}}`, `{"type": "copilot_code_review", "parameters": {"review_on_push": true}}`,
		`{"type": "code_scanning", "parameters": {"code_scanning_tools": []}}`, `{"type": "a_rule_of_next_year", "parameters": [1, 2]}`, `{"type": "deletion"}`,
	}
	for name, tc := range map[string]struct {
		rules   []string
		classic string
		token   bool
		want    string
	}{
		"from this App":               {[]string{required(ours)}, "", false, "boatlift/gate is required on main, from this App alone / "},
		"among newer rules":           {append(newer, required(`{"context": "build"}, `+ours)), "", false, "from this App alone / "},
		"also from anybody":           {[]string{required(anybody), required(ours)}, "", false, "from this App alone / "},
		"from anybody":                {[]string{required(anybody)}, "", false, "boatlift/gate is required from anybody: whoever may write can report it green / choose this App as the source of the required check (integration_id 4242)"},
		"from anybody, as null":       {[]string{required(`{"context": "boatlift/gate", "integration_id": null}`)}, "", false, "is required from anybody"},
		"from another App":            {[]string{required(others)}, "", false, "is required from the App 9, which is not this bot: it never turns green / change the source"},
		"not at all":                  {newer, "", false, "boatlift/gate is not required on main: whoever may merge can merge against it / add this ruleset"},
		"another check":               {[]string{required(`{"context": "boatlift/gate2", "integration_id": 4242}`)}, "", false, "is not required on main"},
		"by classic protection":       {nil, `{"enabled": true, "required_status_checks": {"enforcement_level": "everyone", "checks": [{"context": "boatlift/gate", "app_id": 4242}]}}`, false, "from this App alone / "},
		"classic, from anybody":       {nil, `{"enabled": true, "required_status_checks": {"enforcement_level": "non_admins", "checks": [{"context": "boatlift/gate", "app_id": -1}]}}`, false, "is required from anybody"},
		"classic, switched off":       {nil, `{"enabled": false, "required_status_checks": {"enforcement_level": "off", "checks": [{"context": "boatlift/gate", "app_id": 4242}]}}`, false, "is not required on main"},
		"by a token":                  {[]string{required(anybody)}, "", true, "boatlift/gate is required on main / "},
		"by a token, from an App":     {[]string{required(others)}, "", true, "is required from the App 9, which is not this bot"},
		"by a token, not at all":      {nil, "", true, "is not required on main"},
		"on a page that comes second": {append(slicesOf(120, `{"type": "deletion"}`), required(ours)), "", false, "from this App alone / "},
	} {
		f := newFake(t)
		repo := infra()
		if tc.token {
			f, repo = newAccount(t), withoutInstallation()
		}
		f.paged("GET /repos/acme/infra/rules/branches/main", tc.rules, nil)
		protection := ""
		if tc.classic != "" {
			protection = `, "protection": ` + tc.classic
		}
		f.json("GET /repos/acme/infra/branches/main", 200, `{"name": "main", "protected": true`+protection+`}`)
		f.json("GET /repos/acme/infra/rulesets/11", 404, `{"message": "Not Found"}`)
		var found inspection
		if err := f.forge.InspectRepository(t.Context(), repo, forge.Wanted{Check: "boatlift/gate"}, found.tell); err != nil {
			t.Fatal(err)
		}
		if len(found) != 1 || !strings.Contains(found[0], tc.want) {
			t.Errorf("%s: %q; want %s", name, found, tc.want)
		}
	}
}

func slicesOf(n int, item string) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = item
	}
	return list
}

func TestABotThatMayBypassTheGateIsTold(t *testing.T) {
	for can, want := range map[string]bool{"never": false, "always": true, "pull_requests_only": true, "": false} {
		f := newFake(t)
		f.json("GET /repos/acme/infra/rules/branches/main", 200, "["+required(`{"context": "boatlift/gate", "integration_id": 4242}`)+"]")
		f.json("GET /repos/acme/infra/rulesets/11", 200, fmt.Sprintf(`{"id": 11, "name": "guard main", "current_user_can_bypass": %q}`, can))
		var found inspection
		if err := f.forge.InspectRepository(t.Context(), infra(), forge.Wanted{Check: "boatlift/gate"}, found.tell); err != nil {
			t.Fatal(err)
		}
		if want {
			found.want(t, "the bot may bypass the ruleset guard main", "take the App out of the ruleset's bypass list")
		} else {
			found.refuse(t, "bypass")
		}
	}
}

func TestBranchesThatMustBeUpToDateAreTold(t *testing.T) {
	const ours = `{"context": "boatlift/gate", "integration_id": 4242}`
	strict := strings.Replace(required(`{"context": "build"}`), `policy": false`, `policy": true`, 1)
	for _, tc := range []struct {
		rules []string
		want  bool
	}{{[]string{required(ours)}, false}, {[]string{required(ours), strict}, true}, {[]string{strict, required(ours)}, true}} {
		f := newFake(t)
		f.json("GET /repos/acme/infra/rules/branches/main", 200, "["+strings.Join(tc.rules, ",")+"]")
		f.json("GET /repos/acme/infra/rulesets/11", 404, `{"message": "Not Found"}`)
		var found inspection
		if err := f.forge.InspectRepository(t.Context(), infra(), forge.Wanted{Check: "boatlift/gate"}, found.tell); err != nil {
			t.Fatal(err)
		}
		if tc.want {
			found.want(t, "acme/infra: a branch has to be up to date before a merge", " / turn that off")
		} else {
			found.refuse(t, "up to date")
		}
	}
}

func TestRulesOfABranchWithASlash(t *testing.T) {
	f := newFake(t)
	repo := infra()
	repo.DefaultBranch = "release/a b"
	var found inspection
	if err := f.forge.InspectRepository(t.Context(), repo, forge.Wanted{Check: "boatlift/gate"}, found.tell); err != nil {
		t.Fatal(err)
	}
	checkEqual(t, "asked", f.count("GET /repos/acme/infra/rules/branches/release/a%20b?"), 1)
	found.want(t, "acme/infra: ", "not found at the forge")
}

func TestAnArchivedRepositoryHasNoRulesToMend(t *testing.T) {
	f := newFake(t)
	repo := infra()
	repo.Archived = true
	var found inspection
	if err := f.forge.InspectRepository(t.Context(), repo, forge.Wanted{Check: "boatlift/gate"}, found.tell); err != nil {
		t.Fatal(err)
	}
	found.want(t, "it is archived: the bot only reads it / ")
	checkEqual(t, "requests", len(f.lines()), 0)
}
