package store

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the schema up to date.
func (s *Store) migrate(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	provider, err := goose.NewProvider(s.dialect.goose, s.writer.db, files,
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	has, knows, err := provider.GetVersions(ctx)
	if err != nil {
		return s.explain(ctx, "read the schema's version", err)
	}
	if has > knows {
		return &NewerError{Database: has, Known: knows}
	}
	results, err := provider.Up(ctx)
	if err != nil {
		return s.explain(ctx, "bring the schema up to date", err)
	}
	for _, r := range results {
		s.log.Info("schema changed", "version", r.Source.Version, "took", r.Duration)
	}
	return nil
}
