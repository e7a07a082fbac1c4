package github

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"regexp"
	"strings"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

// payload is what is read of an event: enough to know where to look, and a sentence for people. The shapes are GitHub's own,
// https://docs.github.com/en/webhooks/webhook-events-and-payloads. go-github's parser is not used: it fails on events that it does
// not know, and it drops fields.
type payload struct {
	Action     string `json:"action"`
	Repository *struct {
		ID            int64  `json:"id"`
		FullName      string `json:"full_name"`
		DefaultBranch string `json:"default_branch"`
	} `json:"repository"`
	Sender struct {
		Login string `json:"login"`
		Type  string `json:"type"`
	} `json:"sender"`
	Installation *struct {
		ID      int64 `json:"id"`
		Account struct {
			Login string `json:"login"`
		} `json:"account"`
	} `json:"installation"`
	PullRequest struct {
		Number int  `json:"number"`
		Merged bool `json:"merged"`
	} `json:"pull_request"`
	Review struct {
		State string `json:"state"`
	} `json:"review"`
	Reason     json.RawMessage `json:"reason"` // a text in pull_request.dequeued
	Ref        string          `json:"ref"`
	Deleted    bool            `json:"deleted"`
	CheckRun   appItem         `json:"check_run"`
	CheckSet   appItem         `json:"check_suite"`
	Workflow   appItem         `json:"workflow_run"`
	Deployment struct {
		Environment string `json:"environment"`
	} `json:"deployment"`
	DeploymentStatus struct {
		State string `json:"state"`
	} `json:"deployment_status"`
	Context json.RawMessage `json:"context"` // a text in status events
	State   json.RawMessage `json:"state"`   // a text in status events
	Changes struct {
		DefaultBranch *struct {
			From string `json:"from"`
		} `json:"default_branch"`
	} `json:"changes"`
}

// appItem is what check runs, check suites and workflow runs share.
type appItem struct {
	Name       string `json:"name"`
	Conclusion string `json:"conclusion"`
	App        struct {
		ID int64 `json:"id"`
	} `json:"app"`
}

var eventPattern = regexp.MustCompile(`^[a-z_]{1,64}$`)

// Decode implements forge.Webhook.
func (f *Forge) Decode(header http.Header, body []byte) (forge.Event, error) {
	name := header.Get("X-Github-Event")
	if name == "" {
		return forge.Event{}, errors.New("the event has no X-GitHub-Event")
	}
	event := forge.Event{DeliveryID: wire.Clean(header.Get("X-Github-Delivery"), 100), Kind: wire.Clean(name, 64)}
	if !eventPattern.MatchString(name) || !known(name) {
		event.Ignored = "events of this kind tell Boatlift nothing"
		return event, nil
	}
	if media, _, err := mime.ParseMediaType(header.Get("Content-Type")); err == nil && media == "application/x-www-form-urlencoded" {
		return forge.Event{}, errors.New("the event is a form; set the webhook's content type to application/json")
	}
	var p payload
	if err := json.Unmarshal(body, &p); err != nil {
		return forge.Event{}, fmt.Errorf("the body of %s is not what GitHub sends: %s", name, wire.Clean(err.Error(), 200))
	}
	if p.Action != "" {
		event.Kind += "." + wire.Clean(p.Action, 64)
	}
	d := decoder{forge: f, payload: &p, event: &event}
	if err := d.decode(name); err != nil {
		return forge.Event{}, fmt.Errorf("the body of %s is not what GitHub sends: %w", event.Kind, err)
	}
	return event, nil
}

func known(name string) bool {
	switch name {
	case "ping", "push", "pull_request", "pull_request_review", "deployment", "deployment_status", "check_run", "check_suite",
		"workflow_run", "status", "merge_group", "installation", "installation_repositories", "installation_target", "repository",
		"registry_package", "package", "member":
		return true
	}
	return false
}

type decoder struct {
	*payload
	forge *Forge
	event *forge.Event
}

func (d *decoder) decode(name string) error {
	who := wire.Clean(d.Sender.Login, 100)
	switch name {
	case "ping":
		d.event.About = "GitHub tries the webhook"
		d.ignore("a ping: the webhook works")
		return nil
	case "registry_package", "package":
		d.event.Push, d.event.PushType = true, "ghcr"
		d.event.About = "a package was " + d.verb("published") + " by " + who
		return nil
	case "installation", "installation_repositories", "installation_target":
		return d.installations(name, who)
	}
	if d.Repository == nil || d.Repository.ID <= 0 {
		return errors.New("it names no repository")
	}
	d.event.Repo = forge.RepoID(d.Repository.ID)
	switch name {
	case "push":
		d.push(who)
	case "pull_request":
		return d.pull(who)
	case "pull_request_review":
		return d.review(who)
	case "deployment", "deployment_status":
		d.deployments(name)
	case "check_run", "check_suite":
		d.checks(name, who)
	case "workflow_run":
		d.event.About = fmt.Sprintf("workflow %q %s %s", wire.Clean(d.Workflow.Name, 100), d.verb("ran"), wire.Clean(d.Workflow.Conclusion, 40))
		if d.Action == "requested" {
			d.ignore("the workflow has not begun")
		}
	case "status":
		d.status()
	case "merge_group":
		d.forge.hearQueue(d.event.Repo)
		d.event.About = "the merge queue: " + d.verb("changed")
	case "repository":
		d.repository(who)
	case "member": // of webhooks that are not an App's: by a token, the bot is let in like a person
		d.event.About = fmt.Sprintf("collaborators of %s: %s by %s", wire.Clean(d.Repository.FullName, 201), d.verb("changed"), who)
		d.event.Discover = true
	}
	d.event.About = strings.TrimSpace(d.event.About)
	return nil
}

// ignore says why nothing needs to be looked at.
func (d *decoder) ignore(why string) {
	d.event.Ignored = why
	d.event.Repo, d.event.Discover = 0, false
}

// verb is the action in words.
func (d *decoder) verb(without string) string {
	switch d.Action {
	case "":
		return without
	case "synchronize":
		return "pushed to"
	case "suspend", "unsuspend":
		return d.Action + "ed"
	}
	return strings.ReplaceAll(wire.Clean(d.Action, 40), "_", " ")
}

// own tells whether the bot itself did it. Until somebody asked who the bot is, nothing is its own.
func (d *decoder) own() bool {
	return isSelf(d.Sender.Login, d.Sender.Type, d.forge.knownLogin())
}

func (d *decoder) installations(name, who string) error {
	if d.Installation == nil || d.Installation.ID <= 0 {
		return errors.New("it names no installation")
	}
	d.event.Discover = true
	what := "the App in " + wire.Clean(d.Installation.Account.Login, 100)
	switch name {
	case "installation_repositories":
		what = "repositories of " + what
	case "installation_target":
		what = "the account of an installation"
	}
	d.event.About = fmt.Sprintf("%s: %s by %s", what, d.verb("changed"), who)
	return nil
}

func (d *decoder) push(who string) {
	branch, isBranch := strings.CutPrefix(d.Ref, "refs/heads/")
	verb := "pushed to"
	if d.Deleted {
		verb = "deleted"
	}
	d.event.About = fmt.Sprintf("%s %s %s", who, verb, wire.Clean(strings.TrimPrefix(branch, "refs/"), 200))
	switch {
	case !isBranch:
		d.ignore("a tag, not a branch")
	case d.own() && d.Repository.DefaultBranch != "" && branch != d.Repository.DefaultBranch:
		d.ignore("the bot's own push")
	}
}

func (d *decoder) pull(who string) error {
	if d.PullRequest.Number <= 0 {
		return errors.New("it names no pull request")
	}
	verb := d.verb("changed")
	if d.Action == "closed" && d.PullRequest.Merged {
		verb = "merged"
	}
	d.event.About = fmt.Sprintf("pull request %d %s by %s", d.PullRequest.Number, verb, who)
	switch d.Action {
	case "enqueued":
		d.forge.hearQueue(d.event.Repo)
	case "dequeued":
		var why string
		_ = json.Unmarshal(d.Reason, &why) // another type is as good as none
		if why = wire.Clean(strings.ReplaceAll(strings.ToLower(why), "_", " "), 100); why != "" {
			d.event.About += ": " + why
		}
	case "assigned", "unassigned", "review_requested", "review_request_removed", "locked", "unlocked", "milestoned", "demilestoned":
		d.ignore("it changes nothing that Boatlift looks at")
	case "opened", "edited", "labeled", "unlabeled", "synchronize":
		if d.own() {
			d.ignore("the bot's own doing")
		}
	}
	return nil
}

func (d *decoder) review(who string) error {
	if d.PullRequest.Number <= 0 {
		return errors.New("it names no pull request")
	}
	d.event.About = fmt.Sprintf("review of pull request %d %s by %s", d.PullRequest.Number, d.verb("changed"), who)
	if d.Action == "submitted" {
		said := strings.ReplaceAll(wire.Clean(strings.ToLower(d.Review.State), 40), "_", " ")
		d.event.About = fmt.Sprintf("pull request %d reviewed by %s: %s", d.PullRequest.Number, who, said)
	}
	return nil
}

func (d *decoder) deployments(name string) {
	d.event.About = fmt.Sprintf("deployment to %s %s", wire.Clean(d.Deployment.Environment, 100), d.verb("began"))
	if name == "deployment_status" {
		said := strings.ReplaceAll(wire.Clean(d.DeploymentStatus.State, 40), "_", " ")
		d.event.About = fmt.Sprintf("deployment to %s: %s", wire.Clean(d.Deployment.Environment, 100), said)
	}
}

// checks keeps what people ask of the bot's own check, and what other Apps' checks came to.
func (d *decoder) checks(name, who string) {
	item, what := d.CheckRun, "check "+wire.Clean(d.CheckRun.Name, 100)
	if name == "check_suite" {
		item, what = d.CheckSet, "checks"
	}
	own := item.App.ID == d.forge.appID && item.App.ID != 0
	d.event.About = fmt.Sprintf("%s %s %s", what, d.verb("changed"), wire.Clean(item.Conclusion, 40))
	switch d.Action {
	case "rerequested", "requested_action":
		d.event.About = fmt.Sprintf("%s of %s by %s", d.verb(""), what, who)
		if !own {
			d.ignore("asked of another App")
		}
	case "completed":
		if own {
			d.ignore("the bot's own check")
		}
	default:
		d.ignore("the check has not come to an end")
	}
}

func (d *decoder) status() {
	var context, state string
	_ = json.Unmarshal(d.Context, &context) // another type is as good as none
	_ = json.Unmarshal(d.State, &state)
	d.event.About = fmt.Sprintf("status %s: %s", wire.Clean(context, 100), wire.Clean(state, 40))
	switch {
	case state == "pending":
		d.ignore("the status is pending")
	case d.own():
		d.ignore("the bot's own status")
	}
}

func (d *decoder) repository(who string) {
	d.event.About = fmt.Sprintf("repository %s %s by %s", wire.Clean(d.Repository.FullName, 201), d.verb("changed"), who)
	switch d.Action {
	case "edited":
		if d.Changes.DefaultBranch == nil {
			d.ignore("it changes nothing that Boatlift looks at")
			return
		}
		d.event.About = fmt.Sprintf("default branch of %s is %s now", wire.Clean(d.Repository.FullName, 201), wire.Clean(d.Repository.DefaultBranch, 200))
	case "publicized", "privatized":
		d.ignore("it changes nothing that Boatlift looks at")
		return
	}
	d.event.Discover = true
}
