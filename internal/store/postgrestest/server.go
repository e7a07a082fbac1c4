package postgrestest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	neturl "net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
)

// Server is a PostgreSQL that all tests of a process share. It begins with the first test that needs it. Its zero value is ready; it is
// safe for concurrent use.
type Server struct {
	// Prepare fills the database of which all others are copies, as by making the schema once; nil: it is empty.
	Prepare func(url string) error

	once  sync.Once
	own   *Cluster
	admin *sql.DB
	url   func(database string) string
	err   error
	last  atomic.Int64 // number of the newest database
}

func (s *Server) begin() {
	s.once.Do(func() {
		where := os.Getenv(postgresEnv)
		if strings.HasPrefix(where, "postgres") {
			server, err := neturl.Parse(where)
			if s.err = err; err != nil {
				return
			}
			s.url = func(database string) string {
				u := *server
				u.Path = "/" + database
				return u.String()
			}
		} else if s.own, s.err = startCluster(); s.err != nil {
			if errors.Is(s.err, errNoPostgres) && where != "required" {
				fmt.Fprintln(os.Stderr, s.err)
			}
			return
		} else {
			s.url = s.own.URL
		}
		if s.admin, s.err = sql.Open("pgx", s.url("postgres")); s.err != nil {
			return
		}
		_, s.err = s.admin.Exec(`CREATE DATABASE ` + template() + ` ENCODING 'UTF8' TEMPLATE template0`)
		if s.err == nil && s.Prepare != nil {
			s.err = s.Prepare(s.url(template()))
		}
	})
}

// template is the name of the database that all others are copies of.
func template() string { return fmt.Sprintf("boatlift_template_%d", os.Getpid()) }

// Stop ends what was started here. It comes last, as TestMain does.
func (s *Server) Stop() {
	if s.admin != nil {
		_, _ = s.admin.Exec(`DROP DATABASE IF EXISTS ` + template())
		_ = s.admin.Close()
	}
	if s.own != nil {
		s.own.stop()
	}
}

// URL leads to a database, also to one that does not exist. The server must have begun.
func (s *Server) URL(database string) string { return s.url(database) }

// Database makes a database for one test and returns its URL. The test is skipped where there is no PostgreSQL.
func (s *Server) Database(tb testing.TB) string {
	tb.Helper()
	s.begin()
	orSkip(tb, s.err)
	name := fmt.Sprintf("boatlift_%d_%d", os.Getpid(), s.last.Add(1))
	if _, err := s.admin.ExecContext(tb.Context(), `CREATE DATABASE `+name+` TEMPLATE `+template()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if _, err := s.admin.ExecContext(context.Background(), `DROP DATABASE `+name+` WITH (FORCE)`); err != nil {
			tb.Error(err)
		}
	})
	return s.url(name)
}

// NewCluster starts a cluster for one test, which may stop it.
func NewCluster(tb testing.TB) *Cluster {
	tb.Helper()
	c, err := startCluster()
	orSkip(tb, err)
	tb.Cleanup(func() {
		c.stop()
		if _, err := os.Stat(c.dir); !errors.Is(err, fs.ErrNotExist) {
			tb.Errorf("the cluster left %s: %v", c.dir, err)
		}
	})
	return c
}

func orSkip(tb testing.TB, err error) {
	tb.Helper()
	if errors.Is(err, errNoPostgres) && os.Getenv(postgresEnv) != "required" {
		tb.Skip(err)
	}
	if err != nil {
		tb.Fatal(err)
	}
}
