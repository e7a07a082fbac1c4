package store

import (
	"context"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// upgrade brings the schema up to date. Where replicas share the database one of them does it, while the others wait.
func (s *Store) upgrade(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	db, done, err := s.dialect.ddl()
	if err != nil {
		return err
	}
	defer done()
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger())}
	if s.dialect.locker != nil {
		options = append(options, goose.WithSessionLocker(s.dialect.locker))
	}
	provider, err := goose.NewProvider(s.dialect.goose, db, schemaFS{files, s.dialect.schema}, options...)
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

// schemaFS gives the migrations in the words of a dialect.
type schemaFS struct {
	fs.FS
	words *strings.Replacer // nil: as they are
}

// Open opens a file or a folder.
func (f schemaFS) Open(name string) (fs.File, error) {
	file, err := f.FS.Open(name)
	if err != nil || f.words == nil || !strings.HasSuffix(name, ".sql") {
		return file, err
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return nil, fmt.Errorf("read migration %s: %w", name, err)
	}
	return schemaFile{file, strings.NewReader(f.words.Replace(string(text)))}, nil
}

// schemaFile is a file with another content.
type schemaFile struct {
	fs.File
	text *strings.Reader
}

// Read reads the other content.
func (f schemaFile) Read(p []byte) (int, error) { return f.text.Read(p) }
