package gitlab

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

// webhook is one of a project or of a group.
type webhook struct {
	URL         string    `json:"url"`
	Push        bool      `json:"push_events"`
	Filter      string    `json:"push_events_branch_filter"`
	Merges      bool      `json:"merge_requests_events"`
	Notes       bool      `json:"note_events"`
	Jobs        bool      `json:"job_events"`
	Pipelines   bool      `json:"pipeline_events"`
	Deployments bool      `json:"deployment_events"`
	SSL         bool      `json:"enable_ssl_verification"`
	Alert       string    `json:"alert_status"`
	Until       time.Time `json:"disabled_until"`
}

// inspectHooks tells whether the project's webhooks, or those of the groups above it, reach the bot.
func (p *inspected) inspectHooks(ctx context.Context) {
	if p.wanted.Hook == "" {
		return // where the bot hears is told to be unknown already
	}
	own, err := askAll[webhook](ctx, p.Forge, "list the webhooks of "+p.repo.FullName, p.path("/hooks"))
	if hidden(err) {
		p.tell("its webhooks are shown to Maintainers only; see there that one goes to "+p.wanted.Hook, "")
		return
	}
	if err != nil {
		found := trouble(p.repo.FullName, err)
		p.tell(found.Say, found.Fix)
		return
	}
	if p.judgeHooks("", own) {
		return
	}
	known := true
	if p.set.Namespace.Kind == "group" && p.set.Approvals != nil { // without Premium groups have none
		for group := p.set.Namespace.Path; isPath(group) && group != "."; group = path.Dir(group) {
			hooks, err := askAll[webhook](ctx, p.Forge, "list the webhooks of "+group, "groups/"+url.PathEscape(group)+"/hooks")
			if err != nil {
				known = false // it is shown to Owners only
				continue
			}
			if p.judgeHooks(" of the group "+group, hooks) {
				return
			}
		}
	}
	for _, h := range own {
		if at, err := url.Parse(h.URL); err == nil && strings.HasSuffix(strings.TrimRight(at.Path, "/"), hookPath(p.wanted.Hook)) {
			p.tell("a webhook goes to "+hostOf(h.URL)+", and the bot hears at "+p.wanted.Hook, "set its address in the project's settings (Webhooks)")
			return
		}
	}
	if !known {
		p.tell("no webhook of its own goes to "+p.wanted.Hook+": a group above it has to have one, which is shown to its Owners only", "")
		return
	}
	p.tell("no webhook goes to "+p.wanted.Hook+", so the bot hears of nothing until its next poll",
		"add one in the project's settings (Webhooks), with the secret token webhookSecret of boatlift.yaml and the triggers "+strings.Join(triggers(), ", "))
}

// hookPath is the end of an address by which a bot is known: /hooks/gitlab.
func hookPath(hook string) string {
	if i := strings.LastIndex(hook, "/hooks/"); i >= 0 {
		return hook[i:]
	}
	return hook
}

func hidden(err error) bool {
	return errors.Is(err, forge.ErrForbidden) || errors.Is(err, forge.ErrNotFound) || wire.Status(err) == http.StatusUnauthorized
}

func triggers() []string {
	return []string{"push", "merge request", "comment", "job", "pipeline", "deployment"}
}

// judgeHooks tells of what goes to the bot, and whether anything does.
func (p *inspected) judgeHooks(where string, hooks []webhook) bool {
	i := slices.IndexFunc(hooks, func(h webhook) bool { return strings.TrimRight(h.URL, "/") == p.wanted.Hook })
	if i < 0 {
		return false
	}
	h := hooks[i]
	what, fix := "the webhook"+where, "in the webhook's settings"
	right := true
	wrong := func(say, do string) {
		right = false
		p.tell(what+" "+say, do)
	}
	var missing []string
	for i, on := range []bool{h.Push, h.Merges, h.Notes, h.Jobs, h.Pipelines, h.Deployments} {
		if !on {
			missing = append(missing, triggers()[i])
		}
	}
	if len(missing) > 0 {
		wrong("lacks triggers: "+strings.Join(missing, ", "), "turn them on "+fix)
	}
	if h.Filter != "" && h.Push && !covers(h.Filter, p.repo.DefaultBranch) {
		wrong("tells of pushes to "+wire.Clean(h.Filter, 100)+" only", "let it tell of all branches "+fix)
	}
	if !h.SSL && strings.HasPrefix(h.URL, "https:") {
		wrong("does not check the certificate of whom it talks to", "turn SSL verification on "+fix)
	}
	switch {
	case h.Alert == "disabled":
		wrong("is switched off, as too many deliveries in a row failed", "see whether GitLab reaches the bot, and press Test "+fix+": one that arrives switches it on again")
	case h.Alert == "temporarily_disabled" || h.Until.After(p.clock()):
		say := "is switched off for a while, as deliveries failed"
		if !h.Until.IsZero() {
			say = "is switched off until " + h.Until.UTC().Format("2 January 15:04 MST") + ", as deliveries failed"
		}
		wrong(say, "see whether GitLab reaches the bot; press Test "+fix+" to switch it on again")
	}
	if right {
		p.tell(what+" goes to "+p.wanted.Hook+", with all triggers that the bot needs", "")
	}
	return true
}
