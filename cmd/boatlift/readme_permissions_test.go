package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/internal/forge/github"
)

// What an App needs for the requests that the adapter makes, from GitHub's "Permissions required for GitHub Apps". Where several levels of one
// permission are needed, it is the highest. Empty: the App asks as itself, or it is needed for something that README.md says beside it.

// calls are those of go-github's.
func calls() map[string]string {
	return map[string]string{
		"Apps.Get": "", "Apps.GetInstallation": "", "Apps.FindRepositoryInstallation": "", "Apps.ListInstallations": "",
		"Apps.FindOrganizationInstallation": "", "Teams.ListTeamMembersBySlug": "", // only for team rules; the README's row says so
		"PullRequests.RequestReviewers": "Pull requests write", "PullRequests.ListCommits": "Pull requests write",
		"Apps.ListHookDeliveries": "", "Apps.RedeliverHookDelivery": "",
		"Repositories.ListByAuthenticatedUser": "", "Repositories.CreateStatus": "", // by a token only; what that needs is told beside it
		"Apps.ListRepos": "Metadata read", "Repositories.GetByID": "Metadata read", "Repositories.GetPermissionLevel": "Metadata read", "Users.Get": "Metadata read",
		"Checks.ListCheckRunsForRef": "Checks write", "Checks.CreateCheckRun": "Checks write", "Checks.UpdateCheckRun": "Checks write",
		"Repositories.ListDeployments": "Deployments read", "Repositories.ListDeploymentStatuses": "Deployments read",
		"Actions.ListWorkflowRunsByFileName": "Actions read", "Repositories.ListStatuses": "Commit statuses read",
		"PullRequests.List": "Pull requests write", "PullRequests.Get": "Pull requests write", "PullRequests.Create": "Pull requests write",
		"PullRequests.Edit": "Pull requests write", "PullRequests.ListReviews": "Pull requests write", "PullRequests.ListFiles": "Pull requests write",
		"Issues.Get": "Pull requests write", "Issues.ListComments": "Pull requests write",
		"Issues.CreateComment":        "Pull requests write", // a pull request is an issue, and its permission serves too
		"Repositories.CompareCommits": "Contents write",
		"PullRequests.Merge":          "Contents write", "Git.GetRef": "Contents write", "Git.CreateRef": "Contents write", "Git.DeleteRef": "Contents write",
	}
}

// ownRequests are those that are written without go-github's methods, REST and GraphQL, by the function that makes them and in its order.
func ownRequests() map[string][]string {
	return map[string][]string{
		"Forge.ask": {""}, "Forge.graphql": {""}, // their callers are here
		"Forge.AddLabels":    {"Pull requests write"},
		"target.pushers":     {"Contents write"},
		"Forge.CreateCommit": {"Contents write"},
		"Forge.Queue":        {""}, "Forge.LeftQueue": {""}, // Merge queues: only for a merge queue
		"Forge.enqueue":   {"Pull requests write", "Contents write"},
		"account.inspect": {""}, "app.inspect": {""}, "app.inspectHook": {""}, "app.inspectInstallations": {""},
		"Forge.demands": {"Metadata read", "Contents write"}, "Forge.bypassed": {"Metadata read"},
	}
}

// clientParts are the fields of go-github's client by which calls are made.
func clientParts() []string {
	return strings.Fields(`Actions Activity Admin Apps Authorizations Billing Checks CodeScanning CodesOfConduct Codespaces Copilot Dependabot DependencyGraph
		Emojis Enterprise Gists Git Gitignores Interactions IssueImport Issues Licenses Markdown Marketplace Meta Migrations Organizations Projects
		PullRequests RateLimit Reactions Repositories SCIM Search SecretScanning SecurityAdvisories Teams Users`)
}

// askedOfGitHub is every request that the adapter makes: calls of go-github's, and its own by the function that makes them.
func askedOfGitHub(t *testing.T) (called []string, own map[string]int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(readmeRoot, "internal", "forge", "github", "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files of the adapter: %v", err)
	}
	own = map[string]int{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range parsed.Decls {
			ast.Inspect(decl, func(n ast.Node) bool {
				method, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				if part, ok := method.X.(*ast.SelectorExpr); ok && slices.Contains(clientParts(), part.Sel.Name) {
					called = append(called, part.Sel.Name+"."+method.Sel.Name)
				}
				if name := method.Sel.Name; name == "NewRequest" || name == "ask" || name == "graphql" && !isField(method) {
					own[functionOf(decl)]++
				}
				return true
			})
		}
	}
	return called, own
}

// isField tells the address of GraphQL from the method that asks it: f.at.graphql.
func isField(e *ast.SelectorExpr) bool {
	at, ok := e.X.(*ast.SelectorExpr)
	return ok && at.Sel.Name == "at"
}

func functionOf(decl ast.Decl) string {
	f, ok := decl.(*ast.FuncDecl)
	if !ok {
		return "no function"
	}
	if f.Recv == nil {
		return f.Name.Name
	}
	of := f.Recv.List[0].Type
	if pointer, ok := of.(*ast.StarExpr); ok {
		of = pointer.X
	}
	return fmt.Sprint(of, ".", f.Name.Name)
}

// TestReadmePermissions finds every request that the adapter makes of GitHub, and what the App needs for it.
func TestReadmePermissions(t *testing.T) {
	known, ownKnown, needed := calls(), ownRequests(), map[string]bool{}
	called, own := askedOfGitHub(t)
	for _, name := range called {
		permission, ok := known[name]
		if !ok {
			t.Errorf("GitHub is asked for %s: say in this test, and in README.md, which permission that needs", name)
		}
		needed[permission] = true
	}
	for name := range known {
		if !slices.Contains(called, name) {
			t.Errorf("GitHub is not asked for %s any more: take it out of this test", name)
		}
	}
	for name, n := range own {
		if len(ownKnown[name]) != n {
			t.Errorf("%s makes %d requests of its own, and this test knows what %d of them need: say it here, and in README.md", name, n, len(ownKnown[name]))
		}
	}
	for name, permissions := range ownKnown {
		if own[name] == 0 {
			t.Errorf("%s makes no request of its own any more: take it out of this test", name)
		}
		for _, permission := range permissions {
			needed[permission] = true
		}
	}
	delete(needed, "")
	prose, _ := readme(t)
	said := map[string][]string{}
	for name, cells := range readmeTable(t, prose, "permission |") {
		if !strings.HasPrefix(cells[1], "only for ") {
			said[name+" "+cells[0]] = cells
		}
	}
	readmeSame(t, "permissions", said, slices.Collect(maps.Keys(needed)))
}

// TestReadmeKnowsThePermissionsThatAreInspected holds the table to what check --online judges by.
func TestReadmeKnowsThePermissionsThatAreInspected(t *testing.T) {
	prose, _ := readme(t)
	said := map[string]string{}
	for name, cells := range readmeTable(t, prose, "permission |") {
		name, _, _ = strings.Cut(name, ", ")
		said[strings.ReplaceAll(strings.ToLower(name), " ", "_")] = cells[0]
	}
	want := map[string]string{}
	for _, p := range github.Permissions() {
		name := strings.NewReplacer("statuses", "commit_statuses").Replace(p.Name) // as GitHub's pages call it
		want[name] = p.Level
	}
	if !maps.Equal(said, want) {
		t.Errorf("README.md tells the permissions %v; check --online judges by %v", said, want)
	}
}
