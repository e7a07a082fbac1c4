package store

import (
	"path/filepath"
	"testing"
)

func TestSQLite(t *testing.T) {
	t.Parallel()
	suite(t, openSQLite)
}

// openSQLite opens an empty database as a server does.
func openSQLite(t *testing.T) *Store {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "boatlift.db"))
}

func openAt(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), "sqlite:"+path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
