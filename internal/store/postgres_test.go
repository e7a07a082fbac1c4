package store

import "testing"

func TestPostgres(t *testing.T) {
	t.Parallel()
	suite(t, openPostgres)
}

// openPostgres opens an empty database as a server does.
func openPostgres(t *testing.T) *Store {
	t.Helper()
	return openURL(t, newDatabase(t))
}

func openURL(t *testing.T, url string) *Store {
	t.Helper()
	s, err := Open(t.Context(), url, Options{})
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
