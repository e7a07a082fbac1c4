package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/boatlift/boatlift/internal/config"
	"github.com/boatlift/boatlift/internal/store"
)

type migrateFlags struct {
	config, to string
	dryRun     bool
}

func newMigrate() *cobra.Command {
	var f migrateFlags
	cmd := &cobra.Command{
		Use:   "migrate --to env:NAME|postgres://HOST/DATABASE",
		Short: "Copy a stopped bot's SQLite database into an empty PostgreSQL database",
		Long: `Copy the SQLite database of a stopped bot into an empty PostgreSQL database: everything, with
the audit trail, in one transaction that is verified row by row before it ends. Whatever
goes wrong, the target stays empty and the source is as it was. Name the new database in
boatlift.yaml afterwards, and start the bot.`,
		Example: `  boatlift migrate --to env:DATABASE_URL --dry-run
  boatlift migrate --to env:DATABASE_URL`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return migrate(cmd, f) },
	}
	cmd.Flags().StringVar(&f.config, "config", "boatlift.yaml", "the bot's configuration file, which names the SQLite database")
	cmd.Flags().StringVar(&f.to, "to", "", "the PostgreSQL database: env:NAME of a variable with its URL, or a URL without a password (required)")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "do and verify all of it, then take it back")
	_ = cmd.MarkFlagRequired("to") // the flag is there
	return cmd
}

func migrate(cmd *cobra.Command, f migrateFlags) (err error) {
	text, err := os.ReadFile(f.config)
	if err != nil {
		return &configError{err}
	}
	bot, err := config.ParseBot(f.config, text, environ(f.config))
	if err != nil {
		return &configError{err}
	}
	if !bot.Postgres.IsZero() {
		return &usageError{errors.New(f.config + " names PostgreSQL already, so there is nothing to copy from")}
	}
	url, err := targetURL(f.to)
	if err != nil {
		return err
	}
	file := strings.TrimPrefix(bot.Database, "sqlite:")
	if _, err := os.Stat(file); err != nil {
		return &fileError{file, "there is no database", "name the configuration file of the bot with --config"}
	}
	from, err := store.Open(cmd.Context(), bot.Database, store.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := store.Open(cmd.Context(), url, store.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	return copyDatabase(cmd.Context(), cmd, from, to, f.dryRun)
}

func copyDatabase(ctx context.Context, cmd *cobra.Command, from, to *store.Store, dryRun bool) error {
	report, err := store.Migrate(ctx, from, to, store.MigrateOptions{
		DryRun: dryRun,
		Progress: func(table string, done, total int64) {
			if done == total {
				fmt.Fprintf(cmd.ErrOrStderr(), "%s: %d rows\n", table, total)
			}
		},
	})
	if err != nil {
		return err
	}
	done := "copied"
	if dryRun {
		done = "would copy"
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s %d rows, verified; the audit trail has %d entries\n", done, report.Rows, report.Audit.Entries)
	if report.AuditFault != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "the audit trail was not whole before: %v; it is copied as it is\n", report.AuditFault)
	}
	if !dryRun {
		fmt.Fprintln(cmd.OutOrStdout(), "now name the new database in boatlift.yaml, and start the bot")
	}
	return nil
}

// targetURL reads where to copy to. A password on the command line would be seen by everybody on the machine.
func targetURL(to string) (string, error) {
	if name, ok := strings.CutPrefix(to, "env:"); ok {
		url := os.Getenv(name)
		if url == "" {
			return "", &usageError{fmt.Errorf("the environment variable %s is not set", name)}
		}
		return url, nil
	}
	if !strings.HasPrefix(to, "postgres://") && !strings.HasPrefix(to, "postgresql://") {
		return "", &usageError{errors.New("--to must be env:NAME or postgres://HOST/DATABASE")}
	}
	if user, _, ok := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(to, "postgres://"), "postgresql://"), "@"); ok && strings.Contains(user, ":") {
		return "", &usageError{errors.New("a password on the command line can be seen by everybody on this machine; put the URL into a variable, and write --to env:NAME")}
	}
	return to, nil
}
