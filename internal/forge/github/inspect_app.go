package github

import (
	"context"
	"fmt"
	"strings"
	"time"

	gh "github.com/google/go-github/v60/github"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

// granted is what is read of an App and of an installation.
type granted struct {
	ID          int64             `json:"id"`
	Slug        string            `json:"slug"`
	HTMLURL     string            `json:"html_url"`
	Permissions map[string]string `json:"permissions"`
	Events      []string          `json:"events"`
	Selection   string            `json:"repository_selection"`
	SuspendedAt *gh.Timestamp     `json:"suspended_at"`
	Account     struct {
		Login string `json:"login"`
	} `json:"account"`
}

func (a *app) inspect(ctx context.Context, hook string, tell func(forge.Finding)) {
	var self granted
	if _, err := a.ask(ctx, a.client(), "read the App", "app", &self); err != nil {
		tell(trouble(fmt.Sprintf("App %d", a.id), err))
		return
	}
	about := "App " + wire.Clean(self.Slug, 100)
	tell(forge.Finding{About: about, Say: fmt.Sprintf("its key is right; its number is %d", a.id)})
	settings := "in its settings"
	if page := wire.Link(self.HTMLURL); page != "" {
		settings += " (" + page + ")"
	}
	tellJudged(about, "permissions", settings+", and accept the change where it is installed", judgePermissions(self.Permissions), tell)
	tellJudged(about, "events", settings, judgeEvents(self.Events), tell)
	a.inspectHook(ctx, about, settings, hook, tell)
	a.inspectDeliveries(ctx, about, tell)
	a.inspectInstallations(ctx, self, tell)
}

// tellJudged tells of permissions, or events, that are missing or too many.
func tellJudged(about, what, where string, j judged, tell func(forge.Finding)) {
	if len(j.missing) > 0 {
		tell(forge.Finding{About: about, Say: "it lacks " + what + ": " + words(j.missing), Fix: "add them " + where})
	}
	if len(j.excess) > 0 {
		tell(forge.Finding{About: about, Say: "it has " + what + " that the bot has no use for: " + words(j.excess), Fix: "take them away " + where})
	}
	if len(j.missing)+len(j.excess) == 0 {
		tell(forge.Finding{About: about, Say: "it has all " + what + " that it needs, and no others"})
	}
	if len(j.unused) > 0 {
		tell(forge.Finding{About: about, Say: "it does without " + words(j.unused)})
	}
}

// inspectHook compares the App's webhook with where the bot hears.
func (a *app) inspectHook(ctx context.Context, about, settings, hook string, tell func(forge.Finding)) {
	var config struct {
		URL         string `json:"url"`
		ContentType string `json:"content_type"`
		InsecureSSL any    `json:"insecure_ssl"` // a text, or a number
		Secret      string `json:"secret"`
	}
	if _, err := a.ask(ctx, a.client(), "read the App's webhook", "app/hook/config", &config); err != nil {
		tell(trouble(about, err))
		return
	}
	right := true
	wrong := func(say, do string) {
		right = false
		tell(forge.Finding{About: about, Say: say, Fix: do + " " + settings})
	}
	if config.URL == "" {
		wrong("it has no webhook, so the bot hears of nothing", "make the webhook active, with the address "+orWord(hook, "of the bot"))
		return
	}
	if hook != "" && strings.TrimRight(config.URL, "/") != hook {
		wrong("its webhook goes to "+wire.Clean(config.URL, 200)+", and the bot hears at "+hook, "set the webhook's address")
	}
	if config.ContentType != "json" {
		wrong("its webhook sends "+wire.Clean(orWord(config.ContentType, "forms"), 40)+", and the bot reads JSON", "set the webhook's content type to application/json")
	}
	if config.Secret == "" {
		wrong("its webhook has no secret, so the bot refuses what it sends", "set the webhook's secret to webhookSecret of boatlift.yaml")
	}
	if fmt.Sprint(config.InsecureSSL) == "1" {
		wrong("its webhook does not check the certificate of whom it talks to", "turn SSL verification on")
	}
	if right {
		tell(forge.Finding{About: about, Say: "its webhook goes to " + wire.Clean(config.URL, 200)})
	}
}

func orWord(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// inspectDeliveries looks at how the newest webhooks arrived.
func (a *app) inspectDeliveries(ctx context.Context, about string, tell func(forge.Finding)) {
	list, _, err := a.client().Apps.ListHookDeliveries(ctx, &gh.ListCursorOptions{PerPage: pageSize})
	if err = a.translate("read the App's deliveries", err); err != nil {
		tell(trouble(about, err))
		return
	}
	if len(list) == 0 {
		tell(forge.Finding{About: about, Say: "GitHub has sent no webhook lately"})
		return
	}
	arrived, lost := map[string]bool{}, map[string]bool{}
	for _, d := range list {
		if d.GetStatus() == "OK" {
			arrived[d.GetGUID()] = true
		}
	}
	for _, d := range list {
		if !arrived[d.GetGUID()] {
			lost[d.GetGUID()] = true
		}
	}
	newest := list[0]
	say := fmt.Sprintf("of its last %d webhooks %d did not arrive", len(arrived)+len(lost), len(lost))
	if arrived[newest.GetGUID()] || a.clock().Sub(newest.GetDeliveredAt().Time) > 72*time.Hour {
		tell(forge.Finding{About: about, Say: say})
		return
	}
	tell(forge.Finding{
		About: about, Say: say + "; of the newest GitHub says: " + wire.Clean(newest.GetStatus(), 100),
		Fix: "see whether GitHub reaches the bot; what was lost is asked for again while the bot runs",
	})
}

func (a *app) inspectInstallations(ctx context.Context, self granted, tell func(forge.Finding)) {
	var all []granted
	for page := 1; page > 0 && page <= maxPages; {
		var some []granted
		response, err := a.ask(ctx, a.client(), "list the App's installations", fmt.Sprintf("app/installations?per_page=%d&page=%d", pageSize, page), &some)
		if err != nil {
			tell(trouble("App "+wire.Clean(self.Slug, 100), err))
			return
		}
		all = append(all, some...)
		page = response.NextPage
	}
	if len(all) == 0 {
		tell(forge.Finding{About: "App " + wire.Clean(self.Slug, 100), Say: "it is installed nowhere", Fix: "install it on the infra repositories"})
	}
	for _, i := range all {
		a.inspectInstallation(ctx, self, i, tell)
	}
}

func (a *app) inspectInstallation(ctx context.Context, self, i granted, tell func(forge.Finding)) {
	about := "installation " + wire.Clean(i.Account.Login, 100)
	if i.SuspendedAt != nil {
		tell(forge.Finding{About: about, Say: "it is suspended", Fix: "lift that in the account's settings, Installed GitHub Apps; or uninstall the App there"})
		return
	}
	var waiting []string
	for _, p := range Permissions() {
		if self.Permissions[p.Name] != "" && i.Permissions[p.Name] != self.Permissions[p.Name] {
			waiting = append(waiting, p.Name+": "+self.Permissions[p.Name])
		}
	}
	if len(waiting) > 0 {
		tell(forge.Finding{
			About: about, Say: "it has not accepted permissions that the App asks for: " + words(waiting),
			Fix: "an owner accepts them in the account's settings, Installed GitHub Apps",
		})
	}
	repos, err := a.repositoriesOf(ctx, i.ID)
	if err != nil {
		tell(trouble(about, err))
		return
	}
	say := fmt.Sprintf("it reaches %d repositories", len(repos))
	switch {
	case len(repos) == 0:
		tell(forge.Finding{About: about, Say: "it reaches no repository", Fix: "choose the infra repositories in the account's settings, Installed GitHub Apps"})
		return
	case i.Selection == "all":
		say += ", all of the account and those to come; it could be narrowed to the infra repositories"
	}
	tell(forge.Finding{About: about, Say: say})
}
