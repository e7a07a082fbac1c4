package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// readers is how many reads run beside each other.
const readers = 4

func (s *Store) openSQLite(ctx context.Context, path string) error {
	s.dialect = dialect{
		goose:       goose.DialectSQLite3,
		ddl:         func() (*sql.DB, func(), error) { return s.writer.db, func() {}, nil },
		now:         `(CAST(ROUND(unixepoch('subsec') * 1000) AS BIGINT) * 1000)`,
		prepares:    true,
		rows:        16, // its driver looks through all values for each value
		snapshot:    &sql.TxOptions{ReadOnly: true},
		again:       func(error, bool) (time.Duration, bool) { return 0, false },
		unavailable: sqliteUnavailable,
		duplicate: func(err error) bool {
			return sqliteCode(err) == sqlite3.SQLITE_CONSTRAINT_UNIQUE || sqliteCode(err) == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
		},
	}
	synchronous := "FULL"
	if path == ":memory:" {
		dir, err := os.MkdirTemp("", "boatlift-")
		if err != nil {
			return fmt.Errorf("make a temporary database: %w", err)
		}
		s.cleanup = append(s.cleanup, func() error { return os.RemoveAll(dir) })
		path, synchronous = filepath.Join(dir, "boatlift.db"), "OFF"
	}
	path, err := databaseFile(path)
	if err != nil {
		return err
	}
	unlock, err := lockFile(path + ".lock")
	if err != nil {
		return err
	}
	s.cleanup = append(s.cleanup, unlock)

	// The file is made here, so that it, and what SQLite makes beside it with the same mode, is for this user only.
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open database %s: %w", path, err)
	}
	opened, err := file.Stat()
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("open database %s: %w", path, err)
	}
	// A file that is removed stays writable for whoever has it open, so that SQLite notices nothing.
	s.dialect.there = func() error {
		now, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(opened, now):
			return errGone
		case err != nil:
			return fmt.Errorf("%w: %w", errGone, err)
		}
		return nil
	}

	pragmas := []string{
		"busy_timeout(5000)", "foreign_keys(1)", "synchronous(" + synchronous + ")", "trusted_schema(0)", "temp_store(2)",
	}
	writer, err := s.openSQLitePool(ctx, path, "immediate", append(pragmas, "journal_mode(WAL)", "journal_size_limit(67108864)"), 1)
	if err != nil {
		return err
	}
	var mode string
	if err := writer.db.QueryRowContext(ctx, `PRAGMA journal_mode`).Scan(&mode); err != nil {
		return s.explain(ctx, "open database "+path, err)
	}
	if mode != "wal" {
		return fmt.Errorf("open database %s: the file system does not allow a write-ahead log (journal mode %s); put it on a local disk", path, mode)
	}
	s.writer = writer
	s.reader, err = s.openSQLitePool(ctx, path, "deferred", append(pragmas, "query_only(1)"), readers)
	if err != nil {
		return err
	}
	s.reader.db.SetConnMaxIdleTime(5 * time.Minute) // each has a page cache of its own
	return nil
}

// databaseFile resolves links, so that every way to name a file leads to the same lock.
func databaseFile(path string) (string, error) {
	if rest, ok := strings.CutPrefix(path, "//"); ok {
		path = rest // sqlite:///var/lib/boatlift.db
	}
	if path == "" {
		return "", &URLError{"sqlite:", "it has no path"}
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("open database %s: %w", path, err)
	}
	real, err := filepath.EvalSymlinks(path)
	switch {
	case err == nil:
		return real, nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("open database %s: %w", path, err)
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return "", fmt.Errorf("open database %s: its directory has to exist: %w", path, err)
	}
	return filepath.Join(dir, filepath.Base(path)), nil
}

func (s *Store) openSQLitePool(ctx context.Context, path, txlock string, pragmas []string, most int) (*pool, error) {
	query := url.Values{"_txlock": {txlock}, "_pragma": pragmas}
	dsn := (&url.URL{Scheme: "file", Path: filepath.ToSlash(path), OmitHost: true, RawQuery: query.Encode()}).String()
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	p := newPool(db)
	s.cleanup = append(s.cleanup, p.close)
	db.SetMaxOpenConns(most)
	db.SetMaxIdleConns(most)
	if err := db.PingContext(ctx); err != nil {
		return nil, s.explain(ctx, "open database "+path, err)
	}
	return p, nil
}

func sqliteCode(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()
	}
	return 0
}

// sqliteUnavailable tells errors of the disk, or of who else holds the file, from those of a statement.
func sqliteUnavailable(err error) (Fault, string) {
	switch sqliteCode(err) & 0xff {
	case sqlite3.SQLITE_FULL:
		return Disk, "the disk is full"
	case sqlite3.SQLITE_IOERR:
		return Disk, "the disk does not read or write"
	case sqlite3.SQLITE_READONLY:
		return Disk, "the database cannot be written to"
	case sqlite3.SQLITE_CANTOPEN:
		return Disk, "the database file cannot be opened"
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return Busy, "the database is busy"
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return Disk, "the database file is damaged"
	case sqlite3.SQLITE_NOMEM:
		return Busy, "there is no memory"
	}
	return "", ""
}
