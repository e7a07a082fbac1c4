package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/boatlift/boatlift/internal/config"
	"github.com/boatlift/boatlift/internal/dashboard"
	"github.com/boatlift/boatlift/internal/store"
)

func newServe() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "serve", Short: "Run the bot", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return serve(cmd.Context(), file, cmd.ErrOrStderr()) },
	}
	cmd.Flags().StringVar(&file, "config", "boatlift.yaml", "the bot's configuration file")
	return cmd
}

// serve starts the parts in one order and stops them in the reverse.
func serve(ctx context.Context, file string, stderr io.Writer) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return &configError{&fileError{file, strings.TrimPrefix(err.Error(), "open "+file+": "), "write one, or name it with --config; boatlift schema bot describes it"}}
	}
	log := slog.New(slog.DiscardHandler)
	env := environ(file)
	env.Renewed = func(key string, err error) { tellRenewed(log, key, err) }
	bot, err := config.ParseBot(file, text, env)
	if err != nil {
		return &configError{err}
	}
	log = newLogger(stderr, bot.Log)
	started := time.Now()
	if err := os.MkdirAll(bot.DataDir, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	db, err := store.Open(ctx, databaseURL(bot), store.Options{Logger: log, Password: databasePassword(bot)})
	if err != nil {
		return err
	}
	defer closeWith(log, "database", db)
	count := newMetrics(db, limitsOf(bot))
	parts, err := join(bot, file, db, count, log)
	if err != nil {
		return err
	}
	defer parts.close()

	socket, err := listenSocket(bot.DataDir)
	if err != nil {
		return err
	}
	public, err := net.Listen("tcp", bot.Listen)
	if err != nil {
		return errors.Join(&listenError{bot.Listen, err}, socket.Close())
	}
	api := &dashboard.API{
		Store: db, Version: versionText(), Started: started, Senders: parts.senders, Now: db.Now, Log: log, Observe: count.delivered,
		Limits: limitsOf(bot), Polls: parts.polls, Sync: syncUntil(ctx, parts.poller),
	}
	network, err := guarded(bot, api, log)
	if err != nil {
		return errors.Join(err, public.Close(), socket.Close())
	}
	ready := &readiness{db: db, log: log}
	servers := []*server{
		newServer("hooks", public, publicRoutes(parts.receiver, network, count, ready), log),
		newServer("commands", socket, adminRoutes(api.Routes(), count, ready), log),
	}
	work, stopWork := context.WithCancel(ctx)
	defer stopWork()
	var running sync.WaitGroup
	failed := make(chan error, len(servers)+1)
	for _, s := range servers {
		running.Go(func() { failed <- s.serve() })
	}
	host, _ := os.Hostname()
	owner := fmt.Sprintf("%s-%d", host, os.Getpid())
	running.Go(func() {
		if err := parts.reconciler.Run(work, owner); err != nil {
			failed <- err
		}
	})
	running.Go(func() { parts.poller.Run(work, owner) })
	running.Go(func() { purge(work, db, log) })
	running.Go(func() { givesBack(work, log) })
	log.Info("boatlift is listening", "version", versionText(), "address", public.Addr().String(), "hooks", parts.senders, "data", bot.DataDir)

	err = nil
	select {
	case <-ctx.Done():
		log.Info("stopping")
	case err = <-failed:
	}
	ready.stopping.Store(true)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	for _, s := range servers { // no new deliveries; those under way are stored
		s.stop(stop)
	}
	stopWork()
	running.Wait()
	log.Info("stopped")
	return err
}

func closeWith(log *slog.Logger, what string, c io.Closer) {
	if err := c.Close(); err != nil {
		log.Error("close the "+what, "error", err)
	}
}

// tellRenewed logs that a secret was replaced in its file, or was meant to be.
func tellRenewed(log *slog.Logger, key string, err error) {
	if err != nil {
		log.Warn("a secret was changed to what cannot be used; the last one is used on", "key", key, "reason", err)
		return
	}
	log.Info("a secret was changed, and the new one is used", "key", key)
}

func databaseURL(bot config.Bot) string {
	if bot.Postgres.IsZero() {
		return bot.Database
	}
	return string(bot.Postgres.Reveal())
}

// databasePassword gives the password of the database's URL as it is now, for every new connection; nil where the URL is not a secret.
func databasePassword(bot config.Bot) func(context.Context) (string, error) {
	if bot.Postgres.IsZero() {
		return nil
	}
	if u, err := url.Parse(databaseURL(bot)); err != nil || u.User == nil {
		return nil
	} else if _, has := u.User.Password(); !has {
		return nil
	}
	return func(context.Context) (string, error) {
		u, err := url.Parse(databaseURL(bot))
		if err != nil {
			return "", errors.New("what database names is no URL any more") // the parser's error would quote it
		}
		password, _ := u.User.Password()
		return password, nil
	}
}

// purge drops what has become too old, once a day.
func purge(ctx context.Context, db *store.Store, log *slog.Logger) {
	tick := time.NewTicker(24 * time.Hour)
	defer tick.Stop()
	for {
		if n, err := db.Purge(ctx, store.DefaultRetention()); err != nil && ctx.Err() == nil {
			log.Error("drop what is too old", "error", err)
		} else if n > 0 {
			log.Info("dropped what is too old", "rows", n)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func newLogger(w io.Writer, c config.Log) *slog.Logger {
	level := slog.LevelInfo
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo
	}
	opts := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(redactingHandler{slog.NewJSONHandler(w, opts)})
	}
	return slog.New(redactingHandler{slog.NewTextHandler(w, opts)})
}
