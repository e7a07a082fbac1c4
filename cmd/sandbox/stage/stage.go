package stage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
	"github.com/boatlift/boatlift/cmd/sandbox/images"
)

// The two infra repositories.
const (
	Acceptance = "acme/infra-acceptance"
	Production = "acme/infra-production"
)

// FirstTag is what both environments run in the beginning.
const FirstTag = "1.4.1"

// Images are the repositories of the images that both environments run.
func Images() []string { return []string{"shop/web", "shop/worker"} }

// Options say how a stage is set up.
type Options struct {
	Dir     string    // everything lies here
	BotPath string    // the boatlift program
	Log     io.Writer // the bot's log; nil: only bot.log in Dir
	// Config replaces the .boatlift.yaml of a repository; by full name.
	Config map[string]string
	// Files are added to both repositories.
	Files map[string][]byte
	// More makes further files of both repositories, for the registry's host; nil: none.
	More func(host string) map[string][]byte
	// PathPrefix is a path under which the forge serves everything, as an Enterprise Server behind a proxy may.
	PathPrefix string
	// ByToken lets the bot in by a personal access token of the account Machine instead of as an app, with webhooks of the organisation.
	ByToken bool
	// GitLab makes the forge a GitLab of this tier, which lets the bot in by a token of the service account Machine; empty: a GitHub.
	GitLab hub.Tier
	// BotConfig is added to the end of the bot's boatlift.yaml, for keys that the stage does not set itself.
	BotConfig string
	// ForgeConfig is added to the forge's entry in it: lines of keys, not indented.
	ForgeConfig string
	// Secrets are files beside the bot's boatlift.yaml.
	Secrets map[string][]byte
	// Hub changes how the forge is made; nil: not at all.
	Hub func(*hub.Options)
	// Database is the URL of a PostgreSQL database; empty: each bot has a SQLite database of its own.
	Database string
	// Replicas is how many bots there are, 1 by default; more need a Database. Webhooks go to whichever of them answers.
	Replicas int
	// Mute is a registry that tells nobody of pushes.
	Mute bool
	// RegistryDir is where the registry keeps its images, so that they outlive its restart; empty: in memory. RegistryProgram is run
	// instead of the sandbox's own; see package images.
	RegistryDir, RegistryProgram string
}

// Stage is a running registry, forge and bot.
type Stage struct {
	Hub      *hub.Hub
	Registry *images.Registry
	Bot      *Bot
	Bots     []*Bot // all replicas, of which Bot is the first
	front    *front // where webhooks arrive; nil where there is one bot
	opts     Options

	mu       sync.Mutex
	revision map[string]string // of Source, by the tag that was built from it
}

// Machine is the bot's account where it comes in by a token.
const Machine = "boatlift-acme"

// RegistryToken proves the registry to the bot; webhookSecret proves the forge. Both never leave the machine.
const (
	RegistryToken = "sandbox-registry-token"
	webhookSecret = "sandbox-webhook-secret"
)

// Start sets the stage and waits until the bot knows both repositories.
func Start(ctx context.Context, o Options) (s *Stage, err error) {
	o.ByToken = o.ByToken || o.GitLab != ""
	s = &Stage{opts: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
			s = nil
		}
	}()
	options := hub.Options{Dir: filepath.Join(o.Dir, "forge"), WebhookSecret: webhookSecret, PathPrefix: o.PathPrefix, Organization: o.ByToken, GitLab: o.GitLab}
	if o.Hub != nil {
		o.Hub(&options)
	}
	if s.Hub, err = hub.Start(options); err != nil {
		return s, fmt.Errorf("start the forge: %w", err)
	}
	hooks, err := s.startBots(ctx)
	if err != nil {
		return s, err
	}
	path := "/hooks/github"
	if o.GitLab != "" {
		path = "/hooks/gitlab"
	}
	s.Hub.SetWebhook(hooks+path, webhookSecret)
	notify := images.Options{NotifyURL: hooks + "/hooks/registry", NotifyToken: RegistryToken}
	if o.Mute {
		notify = images.Options{}
	}
	notify.Dir, notify.Program = o.RegistryDir, o.RegistryProgram
	if s.Registry, err = images.Start(notify); err != nil {
		return s, fmt.Errorf("start the registry: %w", err)
	}
	if err = s.fill(ctx); err != nil {
		return s, err
	}
	return s, s.awaitBaseline(ctx)
}

// startBots starts all replicas and tells where webhooks go.
func (s *Stage) startBots(ctx context.Context) (hooks string, err error) {
	for n := range max(1, s.opts.Replicas) {
		name := "bot"
		if n > 0 {
			name = fmt.Sprintf("bot%d", n+1)
		}
		b, err := s.prepareBot(name)
		if err != nil {
			return "", err
		}
		s.Bots = append(s.Bots, b)
		if err := b.Start(ctx); err != nil {
			return "", err
		}
	}
	s.Bot = s.Bots[0]
	if len(s.Bots) == 1 {
		return s.Bot.URL(), nil
	}
	if s.front, err = startFront(s.Bots); err != nil {
		return "", fmt.Errorf("start what stands before the replicas: %w", err)
	}
	return s.front.url(), nil
}

// prepareBot writes a bot's configuration and its secrets.
func (s *Stage) prepareBot(name string) (*Bot, error) {
	dir := filepath.Join(s.opts.Dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	files := map[string][]byte{"app.pem": s.Hub.AppKeyPEM(), "webhook-secret": []byte(webhookSecret), "registry-token": []byte(RegistryToken)}
	if s.opts.GitLab != "" {
		s.Hub.AddMachine(Machine)
	}
	if s.opts.ByToken {
		token, err := s.Hub.AddToken(Machine, hub.NewToken{})
		if err != nil {
			return nil, err
		}
		files["token"] = []byte(token)
	}
	maps.Copy(files, s.opts.Secrets)
	more := s.opts.BotConfig
	if s.opts.Database != "" {
		files["database-url"] = []byte(s.opts.Database)
		more = "database: file:database-url\n" + more
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return nil, err
		}
	}
	address, leave, err := reserve()
	if err != nil {
		return nil, err
	}
	b := &Bot{dir: dir, path: s.opts.BotPath, log: s.opts.Log, appID: s.Hub.AppID(), byToken: s.opts.ByToken, gitLab: s.opts.GitLab != "", apiURL: s.Hub.APIURL(), listen: address, leave: leave, more: more, registry: heard}
	for line := range strings.Lines(s.opts.ForgeConfig) {
		b.forge += "    " + line
	}
	return b, nil
}

// heard is how the bot knows the registry in the beginning: by its webhooks.
const heard = "    secret: file:registry-token\n"

// Poll has the bot ask the registry for its tags. It is stopped and started for that. Unless it is to hear
// webhooks too it has none any more, and answers the registry's with 404.
func (s *Stage) Poll(ctx context.Context, every string, hear bool) error {
	if err := s.Bot.Stop(); err != nil {
		return err
	}
	s.Bot.registry = fmt.Sprintf("    host: %s\n    poll: %s\n", s.Registry.Host(), every)
	if hear {
		s.Bot.registry += heard
	}
	return s.Bot.Start(ctx)
}

// fill makes people, images and repositories.
func (s *Stage) fill(ctx context.Context) error {
	digests := map[string]string{}
	if err := s.createSource(ctx); err != nil {
		return err
	}
	for _, repo := range Images() {
		digest, err := s.push(ctx, repo, FirstTag)
		if err != nil {
			return err
		}
		digests[repo] = digest
	}
	required, people := hub.RequiredCheck{Context: GateCheck, AppID: s.Hub.AppID()}, []string{"alice", "bob"}
	if s.opts.ByToken {
		required.AppID, people = 0, append(people, Machine)
	}
	protection := &hub.Protection{Checks: []hub.RequiredCheck{required}}
	if s.opts.GitLab != "" && s.opts.GitLab != hub.Ultimate {
		protection.Checks = nil // nothing can be required there but that pipelines succeed, which anybody's status may decide
	}
	for _, name := range []string{Acceptance, Production} {
		env := strings.TrimPrefix(name, "acme/infra-")
		files := s.infraFiles(env, digests)
		files[".boatlift.yaml"] = []byte(repoConfig(name))
		if text, ok := s.opts.Config[name]; ok {
			files[".boatlift.yaml"] = []byte(text)
		}
		maps.Copy(files, s.opts.Files)
		if s.opts.More != nil {
			maps.Copy(files, s.opts.More(s.Registry.Host()))
		}
		_, err := s.Hub.CreateRepo(ctx, name, hub.RepoOptions{
			Files: files, Environments: []hub.Environment{{Name: env, Path: "apps/shop"}},
			Protection: protection, NotInstalled: s.opts.ByToken,
		})
		if err != nil {
			return fmt.Errorf("make %s: %w", name, err)
		}
		if s.opts.GitLab == hub.Ultimate {
			if err := s.Hub.AddStatusCheck(name, GateCheck, s.Hub.URL()); err != nil {
				return fmt.Errorf("give %s the check %s: %w", name, GateCheck, err)
			}
		}
		for _, login := range people {
			s.Hub.AddPerson(login)
			if err := s.Hub.SetPermission(name, login, hub.Write); err != nil {
				return fmt.Errorf("let %s into %s: %w", login, name, err)
			}
		}
		if s.opts.GitLab == "" {
			continue
		}
		if err := s.Hub.TestWebhook(name); err != nil { // nobody tells a bot of projects that it is let into
			return fmt.Errorf("test the webhook of %s: %w", name, err)
		}
	}
	return nil
}

// awaitBaseline waits until the bot has seen both repositories: from then on, what is pushed is proposed.
func (s *Stage) awaitBaseline(ctx context.Context) error {
	return Await(ctx, patience, "the bot to know both repositories", func() (bool, error) {
		status, err := s.Status(ctx)
		if err != nil {
			return false, nil // not up yet
		}
		known := 0
		for _, r := range status.Repos {
			for _, e := range r.Environments {
				if len(e.Images) > 0 {
					known++
				}
			}
		}
		return known >= 2 || len(s.opts.Config) > 0 && len(status.Repos) == 2 && status.Repos[0].Base != "" && status.Repos[1].Base != "", nil
	})
}

// Close ends the bot, the registry and the forge.
func (s *Stage) Close() error {
	var errs []error
	for _, b := range s.Bots {
		errs = append(errs, b.Stop(), b.leave())
	}
	if s.front != nil {
		errs = append(errs, s.front.close())
	}
	if s.Registry != nil {
		errs = append(errs, s.Registry.Close())
	}
	if s.Hub != nil {
		errs = append(errs, s.Hub.Close())
	}
	return errors.Join(errs...)
}

// Push pushes both images with a tag.
func (s *Stage) Push(ctx context.Context, tag string) error {
	for _, repo := range Images() {
		if _, err := s.push(ctx, repo, tag); err != nil {
			return err
		}
	}
	return nil
}

// Await asks again and again until something is so; an error ends it, as does the time.
func Await(ctx context.Context, most time.Duration, what string, so func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		done, err := so()
		if err != nil {
			return fmt.Errorf("wait for %s: %w", what, err)
		}
		if done {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited %s in vain for %s", most, what)
		case <-tick.C:
		}
	}
}
