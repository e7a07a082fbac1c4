package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/boatlift/boatlift/internal/config"
	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/registry"
)

// onlineReport is what check --online prints as JSON.
type onlineReport struct {
	Bot      string          `json:"bot"`
	Findings []onlineFinding `json:"findings"`
	ToDo     int             `json:"todo"` // findings that want something done
}

type onlineFinding struct {
	Subject string `json:"subject"` // bot, registry NAME or forge NAME
	About   string `json:"about"`
	Say     string `json:"say"`
	Fix     string `json:"fix,omitempty"`
	Text    string `json:"text,omitempty"`
}

// online looks at everything that boatlift.yaml names, and changes nothing.
type online struct {
	bot      config.Bot
	engine   *gate.Engine
	out      io.Writer // nil: nothing is printed as it is found
	client   *http.Client
	findings []onlineFinding
	subject  string
}

func checkOnline(cmd *cobra.Command, dir string, asJSON bool) error {
	file := filepath.Join(dir, "boatlift.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		return &configError{&fileError{file, strings.TrimPrefix(err.Error(), "open "+file+": "), "name the folder of the bot's configuration: --online looks at what that names"}}
	}
	bot, err := config.ParseBot(file, text, environ(file))
	if err == nil {
		err = checkSenders(bot)
	}
	if err != nil {
		return &configError{err}
	}
	engine, wrong, err := loadPolicies(beside(file, bot.PolicyDir))
	if err != nil {
		return &configError{err}
	}
	o := &online{bot: bot, engine: engine, client: &http.Client{
		Timeout: 15 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if !asJSON {
		o.out = cmd.OutOrStdout()
	}
	if err := o.look(cmd.Context(), wrong); err != nil {
		return err
	}
	report := onlineReport{Bot: file, Findings: o.findings}
	for _, f := range o.findings {
		if f.Fix != "" {
			report.ToDo++
		}
	}
	switch {
	case asJSON:
		err = printJSON(cmd, report)
	case report.ToDo == 0:
		_, err = fmt.Fprintln(cmd.OutOrStdout(), "\nNothing has to be done.")
	case report.ToDo == 1:
		_, err = fmt.Fprintln(cmd.OutOrStdout(), "\nOne thing has to be done.")
	default:
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "\n%d things have to be done.\n", report.ToDo)
	}
	if err == nil && report.ToDo > 0 {
		err = silent(exitFailed)
	}
	return err
}

func (o *online) look(ctx context.Context, wrongPolicies []error) error {
	o.begin("bot")
	for _, err := range wrongPolicies {
		o.tell(forge.Finding{About: "policies", Say: err.Error(), Fix: hintOf(err, "correct it")})
	}
	o.secrets()
	o.hooks(ctx)
	if err := o.registries(ctx); err != nil {
		return err
	}
	for _, f := range o.bot.Forges {
		if err := o.forge(ctx, f); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (o *online) begin(subject string) {
	o.subject = subject
	if o.out != nil {
		fmt.Fprintf(o.out, "%s\n", subject)
	}
}

// tell keeps a finding and prints it: what was found, and below it what to do.
func (o *online) tell(found forge.Finding) {
	o.findings = append(o.findings, onlineFinding{Subject: o.subject, About: found.About, Say: found.Say, Fix: found.Fix, Text: found.Text})
	if o.out == nil {
		return
	}
	mark := "+"
	if found.Fix != "" {
		mark = "!"
	}
	fmt.Fprintf(o.out, "  %s %s: %s\n", mark, shown(found.About), shown(found.Say))
	if found.Fix != "" {
		fmt.Fprintf(o.out, "      %s\n", shown(found.Fix))
	}
	for line := range strings.Lines(found.Text) {
		fmt.Fprintf(o.out, "      %s\n", shown(strings.TrimRight(line, "\n")))
	}
}

// leastSecret is how long a secret that proves webhooks should be: sixteen random letters and digits cannot be guessed.
const leastSecret = 16

func (o *online) secrets() {
	short := 0
	judge := func(key string, secrets config.Secrets) {
		for _, s := range secrets {
			if n := len(s.Reveal()); n < leastSecret {
				short++
				o.tell(forge.Finding{
					About: key, Say: fmt.Sprintf("the secret has %d characters: it could be guessed", n),
					Fix: "make one with: head -c 32 /dev/urandom | base64; and change it at the sender too",
				})
			}
		}
	}
	for _, f := range o.bot.Forges {
		judge("webhookSecret of forge "+f.Name, f.WebhookSecrets)
	}
	for _, r := range o.bot.Registries {
		judge("secret of registry "+r.Name, r.Secrets)
	}
	if short == 0 {
		o.tell(forge.Finding{About: "secrets", Say: "all of them can be read, and are long enough"})
	}
}

// hooks knocks at every address that is to be given to a sender, as the sender would reach it.
func (o *online) hooks(ctx context.Context) {
	if o.bot.PublicURL == "" {
		o.tell(forge.Finding{
			About: "publicURL", Say: "it is not set, so nobody knows under which address senders reach the bot",
			Fix: "write publicURL: https://HOST into boatlift.yaml: the address that the proxy before the bot has",
		})
		return
	}
	var names []string
	for _, r := range o.bot.Registries {
		if r.Webhook == "" {
			names = append(names, r.Name)
		}
	}
	for _, f := range o.bot.Forges {
		names = append(names, f.Name)
	}
	for _, name := range names {
		o.tell(o.knock(ctx, o.bot.PublicURL+"/hooks/"+name))
	}
}

// knock sees whether the bot answers at an endpoint. No sender comes with DELETE, so nothing is stored.
func (o *online) knock(ctx context.Context, address string) forge.Finding {
	request, err := http.NewRequestWithContext(ctx, http.MethodDelete, address, http.NoBody)
	if err != nil {
		return forge.Finding{About: address, Say: "that is no address", Fix: "mend publicURL in boatlift.yaml"}
	}
	answer, err := o.client.Do(request)
	if err != nil {
		return forge.Finding{
			About: address, Say: "no answer: " + reasonOf(err),
			Fix: "see whether the bot runs, and whether a proxy passes /hooks on to it; from this machine the way may also differ from that of senders",
		}
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(answer.Body, 4<<10)) // what came is looked at
	switch {
	case answer.StatusCode == http.StatusMethodNotAllowed && strings.Contains(string(body), "webhooks are posted"):
		return forge.Finding{About: address, Say: "the bot hears there"}
	case answer.StatusCode == http.StatusNotFound && strings.Contains(string(body), "no such endpoint"):
		return forge.Finding{About: address, Say: "a bot answers there, and has no such endpoint", Fix: "start it with this boatlift.yaml"}
	}
	return forge.Finding{
		About: address, Say: fmt.Sprintf("something else answers there (HTTP %d)", answer.StatusCode),
		Fix: "let the proxy pass /hooks on to the bot, as it is, without a login before it",
	}
}

// reasonOf is the innermost part of an error of net/http, without the address.
func reasonOf(err error) string {
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		return "not in time"
	}
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err.Error()
}

func (o *online) registries(ctx context.Context) error {
	client, err := makeRegistryClient(o.bot)
	if err != nil {
		return err
	}
	defer client.CloseIdle()
	for _, r := range o.bot.Registries {
		o.begin("registry " + r.Name)
		if r.Host == "" {
			o.tell(forge.Finding{About: r.Name, Say: "which host to ask is learned from its webhooks"})
			continue
		}
		o.registry(ctx, client, r)
	}
	return ctx.Err()
}

func (o *online) registry(ctx context.Context, client *registry.Client, r config.Registry) {
	pong, err := client.Ping(ctx, r.Host)
	var refused *registry.UnauthorizedError
	switch {
	case errors.As(err, &refused):
		o.tell(forge.Finding{
			About: r.Host, Say: fmt.Sprintf("it refuses the credentials (HTTP %d)", refused.Status),
			Fix: "check username and password of this registry in boatlift.yaml, or what docker login left",
		})
		return
	case err != nil:
		o.tell(forge.Finding{About: r.Host, Say: err.Error(), Fix: hintOf(err, "see whether this machine reaches "+r.Host+": its name, a proxy (HTTPS_PROXY), a firewall, its certificate")})
		return
	}
	say := fmt.Sprintf("it answers after %s", pong.Took.Round(time.Millisecond))
	if pong.Login {
		say += ", and takes the credentials"
	}
	o.tell(forge.Finding{About: r.Host, Say: say})
	if skew := time.Since(pong.Clock); !pong.Clock.IsZero() && skew.Abs() > time.Minute {
		o.tell(forge.Finding{
			About: r.Host, Say: fmt.Sprintf("its clock and this machine's are %s apart", skew.Abs().Round(time.Second)), Fix: "set both by NTP: tokens are refused that begin in the future",
		})
	}
}

func hintOf(err error, otherwise string) string {
	var h hinter
	if errors.As(err, &h) && h.Hint() != "" {
		return h.Hint()
	}
	return otherwise
}

func (o *online) forge(ctx context.Context, f config.Forge) error {
	o.begin("forge " + f.Name)
	hub, err := makeForge(f, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	hook := ""
	if o.bot.PublicURL != "" {
		hook = o.bot.PublicURL + "/hooks/" + f.Name
	}
	inspector, able := forge.As[forge.Inspector](hub)
	if !able {
		o.tell(forge.Finding{About: f.Name, Say: "a forge of this type cannot be looked at from outside yet"})
		return nil
	}
	if err := inspector.Inspect(ctx, hook, o.tell); err != nil {
		return err
	}
	repos, err := hub.Repositories(ctx)
	if err != nil {
		if ctx.Err() == nil { // told already
			return nil
		}
		return err
	}
	return o.repositories(ctx, hub, inspector, repos, hook)
}
