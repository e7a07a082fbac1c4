package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"

	"github.com/boatlift/boatlift/internal/config"
	"github.com/boatlift/boatlift/internal/dashboard"
	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/github"
	"github.com/boatlift/boatlift/internal/forge/gitlab"
	"github.com/boatlift/boatlift/internal/forge/governor"
	"github.com/boatlift/boatlift/internal/forge/wire"
	"github.com/boatlift/boatlift/internal/gitrepo"
	"github.com/boatlift/boatlift/internal/hook"
	"github.com/boatlift/boatlift/internal/polling"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/reconcile"
	"github.com/boatlift/boatlift/internal/registry"
	"github.com/boatlift/boatlift/internal/render"
	"github.com/boatlift/boatlift/internal/store"
	"github.com/boatlift/boatlift/internal/trust"
)

// parts are what a running bot is made of.
type parts struct {
	receiver   *hook.Receiver
	reconciler *reconcile.Reconciler
	poller     *polling.Poller
	polls      []dashboard.Polling
	senders    []string
	close      func()
}

// join makes the parts from the configuration, which is that of a file.
func join(bot config.Bot, file string, db *store.Store, count *metrics, log *slog.Logger) (*parts, error) {
	engine, wrong, err := loadPolicies(beside(file, bot.PolicyDir))
	if err != nil {
		return nil, err
	}
	for _, problem := range wrong {
		log.Warn("a policy is wrong, and denies wherever it is used", "error", problem)
	}
	forges, webhooks, keys, err := makeForges(bot, db, count, log)
	if err != nil {
		return nil, err
	}
	registries, err := makeRegistryClient(bot)
	if err != nil {
		return nil, err
	}
	endpoints, err := makeEndpoints(bot, webhooks)
	if err != nil {
		return nil, err
	}
	signers, err := makeSigners(bot)
	if err != nil {
		return nil, err
	}
	verified := map[string]bool{}
	for _, f := range bot.Forges {
		verified[f.Name] = f.Verified
	}
	p := &parts{}
	for _, e := range endpoints {
		p.senders = append(p.senders, "/hooks/"+e.Name)
	}
	if p.receiver, err = hook.New(hook.Options{Endpoints: endpoints, Inbox: db, Now: db.Now, Log: log, Observe: count.delivered}); err != nil {
		return nil, err
	}
	git := gitrepo.NewClient(gitrepo.Options{
		UserAgent: "boatlift/" + versionText(), CacheDir: filepath.Join(bot.DataDir, "git-objects"),
		DiskTrouble: func(err error) { log.Warn("git objects are fetched anew after a restart", "error", err) },
	})
	p.close = func() {
		git.Close()
		registries.CloseIdle()
	}
	parse := func(text []byte) (promotion.Config, error) {
		return config.ParseRepo(reconcile.ConfigFile, text, engine, bot.Require)
	}
	if p.poller, p.polls, err = makePoller(bot, db, registries, parse, count, log); err != nil {
		return nil, err
	}
	p.reconciler, err = reconcile.New(reconcile.Options{
		Store: db, Forges: forges, Git: git, Registry: registries, Renderer: render.New(render.Options{}), Judge: engine, Require: bot.Require.Policies,
		Parse: parse, MarkerKey: func(name string) []byte { return keys[name] }, Signers: signers, Verified: verified, Now: db.Now, Log: log, Workers: bot.Workers, Poll: bot.Poll, Observe: count.turned,
		Opened: count.opened,
	})
	return p, err
}

func makeForges(bot config.Bot, db *store.Store, count *metrics, log *slog.Logger) (map[string]forge.Forge, map[string]forge.Webhook, map[string][]byte, error) {
	forges, webhooks, keys := map[string]forge.Forge{}, map[string]forge.Webhook{}, map[string][]byte{}
	for _, f := range bot.Forges {
		hub, err := makeForge(f, count.requested(f.Name), log)
		if err != nil {
			return nil, nil, nil, err
		}
		forges[f.Name], webhooks[f.Name] = hub, hub
		keys[f.Name] = markerKey(f)
		if limits := limitsOf(bot); limits.On() {
			forges[f.Name] = governor.New(governor.Options{Forge: hub, Name: f.Name, Tokens: db, Limits: limits, Log: log})
		}
	}
	return forges, webhooks, keys, nil
}

// adapter is what speaks to a forge.
type adapter interface {
	forge.Forge
	forge.Webhook
}

// makeForge makes the adapter of a forge. It sends nothing yet. Who observes may be nil.
func makeForge(f config.Forge, observe func(wire.Request), log *slog.Logger) (adapter, error) {
	hub, err := makeAdapter(f, observe, log)
	if err != nil {
		return nil, fmt.Errorf("forge %s: %w", f.Name, err)
	}
	return hub, nil
}

func makeAdapter(f config.Forge, observe func(wire.Request), log *slog.Logger) (adapter, error) {
	if f.Type == config.GitLab {
		return gitlab.New(gitlab.Options{
			Token: f.Token.Reveal, Only: f.Repositories, WebhookSecrets: f.WebhookSecrets.Reveal, SigningTokens: f.SigningTokens.Reveal,
			BaseURL: f.URL, Logger: log, Name: f.Name, Observe: observe,
		})
	}
	options := github.Options{
		AppID: f.AppID, WebhookSecrets: f.WebhookSecrets.Reveal, BaseURL: f.URL, Logger: log, Name: f.Name, Observe: observe, Only: f.Repositories,
	}
	if f.Token.IsZero() {
		options.PrivateKey = f.PrivateKey.Reveal
	} else {
		options.Token = f.Token.Reveal
	}
	return github.New(options)
}

// markerKey is the key that signs markers. It follows from the forge's own secret that is changed least often, so that it outlives the data
// directory. While a process runs it stays: a marker of an old key is only not believed where the database was lost, and then the bot only
// observes.
func markerKey(f config.Forge) []byte {
	secret := f.PrivateKey.Reveal()
	if !f.Token.IsZero() {
		secret = f.WebhookSecrets.First().Reveal()
	}
	sum := sha256.Sum256(append([]byte("boatlift marker key\n"), secret...))
	return sum[:]
}

// makeSigners reads the keys with which commits are signed, by the name of the forge.
func makeSigners(bot config.Bot) (map[string]*gitrepo.Signer, error) {
	signers := map[string]*gitrepo.Signer{}
	for _, f := range bot.Forges {
		if f.SigningKey.IsZero() {
			continue
		}
		signer, err := gitrepo.NewSigner(f.SigningKey.Reveal(), f.Passphrase.Reveal())
		if err != nil {
			return nil, fmt.Errorf("forge %s: %w", f.Name, err)
		}
		signers[f.Name] = signer
	}
	return signers, nil
}

func limitsOf(bot config.Bot) store.Limits {
	return store.Limits{PerMinute: bot.Limits.WritesPerMinute, PerHour: bot.Limits.WritesPerHour}
}

func makeRegistryClient(bot config.Bot) (*registry.Client, error) {
	opts := registry.Options{Credentials: map[string]registry.Credential{}, Helpers: map[string]string{}, UserAgent: "boatlift/" + versionText()}
	for _, r := range bot.Registries {
		if r.Host == "" {
			continue
		}
		if r.Username != "" {
			opts.Credentials[r.Host] = registry.Credential{Username: r.Username, Renewed: r.Password.Reveal}
		}
		if r.Helper != "" {
			opts.Helpers[r.Host] = r.Helper
		}
		if r.Insecure {
			opts.PlainHTTP = append(opts.PlainHTTP, r.Host)
		}
	}
	return registry.NewClient(opts)
}

// makeEndpoints makes an endpoint for each registry and forge. A registry whose pushes come through a forge's own webhook has none of its
// own, and one that is only polled has none at all.
func makeEndpoints(bot config.Bot, webhooks map[string]forge.Webhook) ([]hook.Endpoint, error) {
	var endpoints []hook.Endpoint
	through := map[string]*registry.Sender{}
	for _, r := range bot.Registries {
		if r.OnlyPolled {
			continue
		}
		secrets := r.Secrets
		for _, f := range bot.Forges {
			if r.Webhook != "" && f.Name == r.Webhook {
				secrets = f.WebhookSecrets
			}
		}
		sender, err := makeSender(r, secrets)
		if err != nil {
			return nil, err
		}
		if r.Webhook != "" {
			through[r.Webhook] = &sender
			continue
		}
		endpoints = append(endpoints, hook.Endpoint{Name: r.Name, Registry: &sender})
	}
	for _, f := range bot.Forges {
		endpoints = append(endpoints, hook.Endpoint{Name: f.Name, Forge: webhooks[f.Name], Registry: through[f.Name]})
	}
	return endpoints, nil
}

// makeSender makes the endpoint of a registry as boatlift.yaml describes it.
func makeSender(r config.Registry, secrets config.Secrets) (registry.Sender, error) {
	kind, err := registry.Lookup(r.Type)
	if err != nil {
		return registry.Sender{}, fmt.Errorf("registry %s: %w", r.Name, err)
	}
	sender, err := registry.NewSender(kind, registry.Endpoint{Host: r.Host, Secrets: secrets.Reveal, Settings: r.Settings})
	if err != nil {
		return registry.Sender{}, fmt.Errorf("registry %s: %w", r.Name, err)
	}
	return sender, nil
}

// guarded is the API for those who have a token; nil where nobody has one.
func guarded(bot config.Bot, api *dashboard.API, log *slog.Logger) (http.Handler, error) {
	if len(bot.Tokens) == 0 && len(bot.Pipelines) == 0 {
		return nil, nil
	}
	jobs, err := believeJobs(bot.Pipelines)
	if err != nil {
		return nil, err
	}
	tokens := make([]dashboard.Token, len(bot.Tokens))
	for i, t := range bot.Tokens {
		tokens[i] = dashboard.Token{Caller: dashboard.Caller{Name: t.Name, Role: dashboard.Role(t.Role), Push: t.Push, Certify: t.Certify}, Secret: t.Token.Reveal}
	}
	return dashboard.NewGuard(dashboard.GuardOptions{Tokens: tokens, Jobs: jobs, Log: log}, api.Routes()), nil
}

// believeJobs lets the jobs of pipelines in, each for what the lists of all pipelines that it fits allow.
func believeJobs(pipelines []config.Pipeline) (dashboard.Prove, error) {
	if len(pipelines) == 0 {
		return nil, nil
	}
	list := make([]trust.Pipeline, len(pipelines))
	for i, p := range pipelines {
		list[i] = trust.Pipeline{Name: p.Name, Type: p.Type, Issuer: p.Issuer, Audience: p.Audience, Repositories: p.Repositories, Refs: p.Refs}
	}
	known, err := trust.NewPipelines(list, nil, nil)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, token string) (dashboard.Caller, error) {
		job, err := known.Prove(ctx, token)
		if err != nil {
			return dashboard.Caller{}, err
		}
		caller := dashboard.Caller{Name: job.Repository + " (" + strings.Join(job.Pipelines, ", ") + ")", Role: dashboard.Pipeline}
		for _, p := range pipelines {
			if slices.Contains(job.Pipelines, p.Name) {
				caller.Push, caller.Certify = append(caller.Push, p.Push...), append(caller.Certify, p.Certify...)
			}
		}
		return caller, nil
	}, nil
}
