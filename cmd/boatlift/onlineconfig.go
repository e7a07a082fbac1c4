package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/boatlift/boatlift/internal/config"
	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/gitrepo"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/reconcile"
)

// configReader reads the .boatlift.yaml of repositories as the bot does: from the default branch, by git.
type configReader struct {
	git    *gitrepo.Client
	engine *gate.Engine
	bot    config.Bot
}

func newConfigReader(bot config.Bot, engine *gate.Engine) *configReader {
	return &configReader{git: gitrepo.NewClient(gitrepo.Options{UserAgent: "boatlift/" + versionText()}), engine: engine, bot: bot}
}

func (r *configReader) close() { r.git.Close() }

func (r *configReader) parse(text []byte) (promotion.Config, error) {
	return config.ParseRepo(reconcile.ConfigFile, text, r.engine, r.bot.Require)
}

// read is the configuration of a repository, if there is one.
func (r *configReader) read(ctx context.Context, hub forge.Forge, repo forge.Repository) (text []byte, there bool, err error) {
	remote := r.git.Remote(repo.CloneURL, func(ctx context.Context) (gitrepo.Auth, error) {
		auth, err := hub.GitAuth(ctx, repo)
		return gitrepo.Auth{Username: auth.Username, Password: auth.Password}, err
	})
	refs, err := remote.Refs(ctx, "refs/heads/"+repo.DefaultBranch)
	if errors.Is(err, gitrepo.ErrEmptyRepository) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read %s: %w", repo.FullName, err)
	}
	head := refs.Branch(repo.DefaultBranch)
	if head == "" {
		return nil, false, nil
	}
	tree, err := remote.Tree(ctx, head)
	if err != nil {
		return nil, false, fmt.Errorf("read %s: %w", repo.FullName, err)
	}
	text, err = tree.ReadFile(ctx, reconcile.ConfigFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read %s of %s: %w", reconcile.ConfigFile, repo.FullName, err)
	}
	return text, true, nil
}
