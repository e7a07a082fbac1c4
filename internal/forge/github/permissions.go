package github

import (
	"maps"
	"slices"
	"strings"

	"github.com/boatlift/boatlift/internal/forge/wire"
)

// Permission is one that the bot has a use for.
type Permission struct {
	Name  string // GitHub's: pull_requests
	Level string // read or write
	Only  string // what it is needed for, where not everybody uses that; empty: for everything
}

// Permissions are all that an App should have.
func Permissions() []Permission {
	return []Permission{
		{"metadata", "read", ""},
		{"contents", "write", ""},
		{"pull_requests", "write", ""},
		{"checks", "write", ""},
		{"deployments", "read", ""},
		{"actions", "read", "rollout: {workflow: …}"},
		{"statuses", "read", "verify and the policy checks"},
		{"packages", "read", "GHCR"},
		{"merge_queues", "read", "GitHub's merge queue"},
		{"members", "read", "teams and code owners"},
	}
}

// events are those that an App should subscribe to, with what they are needed for where not everybody uses that.
func events() map[string]string {
	return map[string]string{
		"pull_request": "", "pull_request_review": "", "check_run": "", "status": "verify and the policy checks", "deployment_status": "",
		"workflow_run": "rollout: {workflow: …}", "push": "", "repository": "", "registry_package": "GHCR", "merge_group": "GitHub's merge queue",
	}
}

// judged is what is wrong with the permissions that somebody has.
type judged struct {
	missing, unused []string // unused: missing, and needed for something only; with what for
	excess          []string // more than the bot has a use for
}

func judgePermissions(have map[string]string) judged {
	var j judged
	rank := func(level string) int { return slices.Index([]string{"", "read", "write", "admin"}, level) }
	known := map[string]bool{}
	for _, p := range Permissions() {
		known[p.Name] = true
		switch has := rank(have[p.Name]); {
		case has < rank(p.Level) && p.Only == "":
			j.missing = append(j.missing, p.Name+": "+p.Level)
		case has < rank(p.Level):
			j.unused = append(j.unused, p.Name+": "+p.Level+" (for "+p.Only+")")
		case has > rank(p.Level):
			j.excess = append(j.excess, p.Name+": "+have[p.Name]+", where "+p.Level+" will do")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(have)) {
		if !known[name] {
			j.excess = append(j.excess, wire.Clean(name, 50)+": "+wire.Clean(have[name], 10))
		}
	}
	return j
}

func judgeEvents(have []string) judged {
	var j judged
	for _, name := range slices.Sorted(maps.Keys(events())) {
		switch only := events()[name]; {
		case slices.Contains(have, name):
		case only == "":
			j.missing = append(j.missing, name)
		default:
			j.unused = append(j.unused, name+" (for "+only+")")
		}
	}
	return j
}

func words(list []string) string { return strings.Join(list, ", ") }
