package gitlab

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

// payload is what is read of an event: enough to know where to look, and a sentence for people. The shapes are GitLab's own,
// https://docs.gitlab.com/user/project/integrations/webhook_events/. go-gitlab's parser is not used: it fails on events that it does not know,
// and on fields whose type changed.
type payload struct {
	Kind         string          `json:"object_kind"`
	EventName    string          `json:"event_name"`
	User         person          `json:"user"`
	Username     string          `json:"user_username"` // of pushes and members
	UserID       int64           `json:"user_id"`
	ProjectID    int64           `json:"project_id"`
	Project      project         `json:"project"`
	GroupPath    string          `json:"group_path"`
	FullPath     string          `json:"full_path"`
	PathWithName string          `json:"path_with_namespace"` // of system hooks
	Ref          string          `json:"ref"`
	After        string          `json:"after"`
	Status       string          `json:"status"`       // of deployments
	Environment  any             `json:"environment"`  // a name in deployments, an object in jobs
	BuildName    string          `json:"build_name"`   // of jobs
	BuildStatus  string          `json:"build_status"` // of jobs
	Attributes   attributes      `json:"object_attributes"`
	Changes      json.RawMessage `json:"changes"` // by field, in merge requests
	MergeRequest *struct {
		IID int `json:"iid"`
	} `json:"merge_request"`
}

type person struct {
	ID       int64  `json:"id"`
	Username string `json:"username"`
}

type project struct {
	ID            int64  `json:"id"`
	Path          string `json:"path_with_namespace"`
	DefaultBranch string `json:"default_branch"`
}

type attributes struct {
	IID          int    `json:"iid"`
	Action       string `json:"action"`
	OldRev       string `json:"oldrev"` // of updates: the head before a push
	Ref          string `json:"ref"`
	Source       string `json:"source"`
	Status       string `json:"status"`
	Name         string `json:"name"`
	ExpiresAt    string `json:"expires_at"`
	NoteableType string `json:"noteable_type"`
	Target       int64  `json:"target_project_id"`
	System       bool   `json:"system"`
}

// UnmarshalJSON reads what can be read: fields of the same name have other types in events that are not looked at.
func (a *attributes) UnmarshalJSON(text []byte) error {
	var fields map[string]json.RawMessage
	if json.Unmarshal(text, &fields) != nil {
		return nil
	}
	for name, to := range map[string]any{
		"iid": &a.IID, "action": &a.Action, "oldrev": &a.OldRev, "ref": &a.Ref, "source": &a.Source, "status": &a.Status, "name": &a.Name,
		"expires_at": &a.ExpiresAt, "noteable_type": &a.NoteableType, "target_project_id": &a.Target, "system": &a.System,
	} {
		if raw, ok := fields[name]; ok {
			_ = json.Unmarshal(raw, to)
		}
	}
	return nil
}

// Decode implements forge.Webhook. What is not understood is ignored with a reason, and never an error: a hook whose deliveries fail is
// switched off by GitLab, after some time for good.
func (f *Forge) Decode(header http.Header, body []byte) (forge.Event, error) {
	event := forge.Event{DeliveryID: deliveryID(header, body), Kind: wire.Clean(strings.ToLower(strings.TrimSuffix(header.Get("X-Gitlab-Event"), " Hook")), 64)}
	var p payload
	if err := json.Unmarshal(body, &p); err != nil {
		event.Ignored = "the body is not what GitLab sends: " + wire.Clean(err.Error(), 200)
		return event, nil
	}
	if kind := p.kind(); kind != "" {
		event.Kind = kind
	}
	d := decoder{forge: f, payload: &p, event: &event}
	for _, id := range []int64{p.Project.ID, p.ProjectID, p.Attributes.Target} { // not every event has each
		if event.Repo == 0 {
			event.Repo = forge.RepoID(max(id, 0))
		}
	}
	d.decode()
	event.About = strings.TrimSpace(event.About)
	switch {
	case event.Ignored != "", event.Discover:
	case event.Repo == 0:
		d.ignore("it names no project")
	}
	return event, nil
}

// kind is what GitLab calls an event in its body, with its action.
func (p *payload) kind() string {
	kind := p.Kind
	if kind == "" || p.EventName != "" && kind != "push" && kind != "tag_push" {
		kind = p.EventName
	}
	if p.Attributes.Action != "" {
		kind += "." + p.Attributes.Action
	}
	return wire.Clean(kind, 64)
}

type decoder struct {
	*payload
	forge *Forge
	event *forge.Event
}

func (d *decoder) decode() {
	who := wire.Clean(d.User.Username, 100)
	if who == "" {
		who = wire.Clean(d.Username, 100)
	}
	switch name := d.name(); name {
	case "push":
		d.push(who)
	case "tag_push":
		d.event.About = fmt.Sprintf("%s pushed %s", who, wire.Clean(strings.TrimPrefix(d.Ref, "refs/tags/"), 200))
		d.ignore("a tag, not a branch")
	case "merge_request":
		d.mergeRequest(who)
	case "note":
		d.note(who)
	case "pipeline":
		d.event.About = fmt.Sprintf("pipeline of %s: %s", wire.Clean(d.Attributes.Ref, 200), inWords(d.Attributes.Status))
		if !ended(d.Attributes.Status) && d.Attributes.Status != "running" && d.Attributes.Status != "manual" {
			d.ignore("the pipeline has not begun")
		}
	case "build":
		d.event.About = fmt.Sprintf("job %s: %s", wire.Clean(d.BuildName, 100), inWords(d.BuildStatus))
		if !ended(d.BuildStatus) {
			d.ignore("the job has not come to an end")
		}
	case "deployment":
		environment, _ := d.Environment.(string)
		d.event.About = fmt.Sprintf("deployment to %s: %s", wire.Clean(environment, 100), inWords(d.Status))
	case "expiring_access_token", "access_token":
		d.event.About = fmt.Sprintf("the token %s expires on %s", wire.Clean(d.Attributes.Name, 100), wire.Clean(d.Attributes.ExpiresAt, 40))
		d.ignore("nothing changes before it does; make a new one and put it into the bot's file")
	default:
		if membership.MatchString(name) {
			d.letIn(name, who)
			return
		}
		d.ignore("events of this kind tell Boatlift nothing")
	}
}

// name is the kind of event without its action.
func (d *decoder) name() string {
	name, _, _ := strings.Cut(d.kind(), ".")
	return name
}

// ignore says why nothing needs to be looked at.
func (d *decoder) ignore(why string) {
	d.event.Ignored = why
	d.event.Repo, d.event.Discover = 0, false
}

// inWords is a state in words.
func inWords(state string) string { return strings.ReplaceAll(wire.Clean(state, 40), "_", " ") }

func ended(status string) bool {
	return slices.Contains([]string{"success", "failed", "canceled", "skipped"}, status)
}

// own tells whether the bot itself did it. Until somebody asked who the bot is, nothing is its own.
func (d *decoder) own() bool {
	self := d.forge.knownSelf()
	return self.id != 0 && (d.User.ID == self.id || d.UserID == self.id)
}

func (d *decoder) push(who string) {
	branch, isBranch := strings.CutPrefix(d.Ref, "refs/heads/")
	verb := "pushed to"
	if strings.Trim(d.After, "0") == "" {
		verb = "deleted"
	}
	d.event.About = fmt.Sprintf("%s %s %s", who, verb, wire.Clean(branch, 200))
	switch {
	case !isBranch:
		d.ignore("not a branch")
	case d.own() && d.Project.DefaultBranch != "" && branch != d.Project.DefaultBranch:
		d.ignore("the bot's own push")
	}
}

// verbs say what was done to a merge request. Of the two pairs about approvals one is about a person, the other about all that are required.
var verbs = map[string]string{
	"open": "opened", "close": "closed", "reopen": "reopened", "update": "changed", "merge": "merged",
	"approval": "approved", "approved": "approved", "unapproval": "no longer approved", "unapproved": "no longer approved",
}

// unread are the changes of a merge request that tell nothing.
var unread = []string{
	"updated_at", "updated_by_id", "last_edited_at", "last_edited_by_id", "assignees", "assignee_id", "assignee_ids", "milestone_id", "time_estimate",
	"total_time_spent", "time_change", "merge_status", "detailed_merge_status", "prepared_at", "discussion_locked", "human_total_time_spent",
}

func (d *decoder) mergeRequest(who string) {
	verb, ok := verbs[d.Attributes.Action]
	if !ok {
		verb = "changed"
	}
	if d.Attributes.OldRev != "" {
		verb = "pushed to"
	}
	d.event.About = fmt.Sprintf("merge request %d %s by %s", d.Attributes.IID, verb, who)
	if d.Attributes.Action != "update" && d.Attributes.Action != "open" || d.event.Repo == 0 {
		return
	}
	if d.own() {
		d.ignore("the bot's own doing")
		return
	}
	var changes map[string]json.RawMessage
	_ = json.Unmarshal(d.Changes, &changes) // another type is as good as none
	if d.Attributes.Action != "update" || d.Attributes.OldRev != "" || len(changes) == 0 {
		return
	}
	for name := range changes {
		if !slices.Contains(unread, name) {
			return
		}
	}
	d.ignore("it changes nothing that Boatlift looks at")
}

func (d *decoder) note(who string) {
	d.event.About = fmt.Sprintf("%s wrote a comment", who)
	switch {
	case d.Attributes.NoteableType != "MergeRequest" || d.MergeRequest == nil:
		d.ignore("a comment on something else than a merge request")
	case d.own():
		d.ignore("the bot's own doing")
	default:
		d.event.About = fmt.Sprintf("comment on merge request %d by %s", d.MergeRequest.IID, who)
	}
}

// membership is the kinds of events after which the bot may reach other projects than before.
var membership = regexp.MustCompile(`^(user_(add_to|remove_from|update_for)_(group|team)|(project|subgroup|group)_[a-z]+)$`)

// letIn is that somebody was let in or taken out, or that a project came, went or got another name.
func (d *decoder) letIn(name, who string) {
	at := wire.Clean(d.Project.Path, 255)
	for _, path := range []string{d.PathWithName, d.FullPath, d.GroupPath} {
		if at == "" {
			at = wire.Clean(path, 255)
		}
	}
	d.event.About = fmt.Sprintf("%s: %s %s", strings.ReplaceAll(wire.Clean(name, 60), "_", " "), at, who)
	d.event.Discover = true
}
