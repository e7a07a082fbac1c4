package store

import (
	"context"
	"testing"

	"github.com/boatlift/boatlift/internal/store/postgrestest"
)

// ownCluster begins with the first test that needs it and ends with the process. Its databases have the schema.
var ownCluster = postgrestest.Server{Prepare: func(url string) error {
	s, err := Open(context.Background(), url, Options{})
	if err != nil {
		return err
	}
	return s.Close()
}}

// newDatabase makes a database with the schema and returns its URL.
func newDatabase(tb testing.TB) string {
	tb.Helper()
	return ownCluster.Database(tb)
}
