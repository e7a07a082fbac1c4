package store

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	neturl "net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

const (
	pgConnections = 12 // of one replica, unless the URL says pool_max_conns
	pgConnect     = 5 * time.Second
	pgLock        = 8 * time.Second // for which a statement waits for a lock
	pgStatement   = 15 * time.Second
	pgWrite       = 18 * time.Second // for a transaction; it ends before the batch of an inbox has to
	pgRead        = 2 * time.Minute  // the audit trail is verified in one read
	pgIdle        = 5 * time.Second  // for which a write says nothing: its replica is frozen, and others wait for its rows no longer than this
)

// openPostgres opens two pools, so that people who look at lists never keep work from being written.
func (s *Store) openPostgres(ctx context.Context, url string, password func(context.Context) (string, error)) error {
	config, most, err := postgresConfig(url)
	if err != nil {
		return err
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300)) // tries once a second, for five minutes
	if err != nil {
		return fmt.Errorf("make the lock for schema changes: %w", err)
	}
	open := func(most int, statement, idle time.Duration) *sql.DB {
		return postgresPool(config, most, statement, idle, password)
	}
	s.dialect = dialect{
		goose:  goose.DialectPostgres,
		locker: locker,
		ddl: func() (*sql.DB, func(), error) {
			db := open(1, 0, pgRead)
			return db, func() { _ = db.Close() }, nil
		},
		// Byte by byte, as SQLite compares. The order of the database's own language may also change with the machine's libraries, and
		// then its indexes are wrong.
		schema:      strings.NewReplacer(` TEXT `, ` TEXT COLLATE "C" `),
		now:         `CAST(EXTRACT(EPOCH FROM statement_timestamp()) * 1000000 AS BIGINT)`,
		skipLocked:  `FOR UPDATE SKIP LOCKED`,
		forUpdate:   `FOR NO KEY UPDATE`,
		shared:      true,
		rows:        64,
		writing:     &sql.TxOptions{Isolation: sql.LevelReadCommitted},
		snapshot:    &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true},
		writeLimit:  pgWrite,
		readLimit:   pgRead,
		patient:     `SELECT set_config(name, '0', true) FROM (VALUES ('statement_timeout'), ('idle_in_transaction_session_timeout')) AS settings (name)`,
		again:       postgresAgain,
		unavailable: postgresUnavailable,
		duplicate:   func(err error) bool { return postgresCode(err) == "23505" },
		outward:     postgresOutward,
	}
	readers := max(1, most/3)
	for _, p := range []struct {
		pool      **pool
		most      int
		statement time.Duration
		idle      time.Duration
	}{{&s.writer, most - readers, pgStatement, pgIdle}, {&s.reader, readers, pgRead, pgRead}} {
		*p.pool = newPool(open(p.most, p.statement, p.idle))
		s.cleanup = append(s.cleanup, (*p.pool).close)
	}
	if err := s.writer.db.PingContext(ctx); err != nil {
		return s.explain(ctx, "open the database", err)
	}
	return nil
}

// postgresConfig reads a URL. What is wrong with one is not said in its own words, because those may be a part of the password.
func postgresConfig(url string) (config *pgx.ConnConfig, most int, err error) {
	refuse := func(reason string) (*pgx.ConnConfig, int, error) { return nil, 0, &URLError{"postgres:…", reason} }
	parsed, err := neturl.Parse(url)
	if err != nil || !strings.HasPrefix(strings.TrimPrefix(url, parsed.Scheme), "://") {
		return refuse("it is not of the form postgres://user@host/database")
	}
	if parsed.Fragment != "" || strings.Contains(parsed.Path, "@") { // what then would be host and database may be of the password
		return refuse("it has a # or a late @; in a password those are %23 and %40, and / is %2F")
	}
	for name, values := range parsed.Query() {
		if len(values) > 1 {
			return refuse("it says " + strconv.Quote(name) + " twice")
		}
	}
	config, err = pgx.ParseConfig(url)
	if err != nil {
		return refuse("one of its settings, or of PostgreSQL's variables in the environment, is wrong: port, sslmode and its files, connect_timeout, service")
	}
	most = pgConnections
	if text, set := config.RuntimeParams["pool_max_conns"]; set {
		delete(config.RuntimeParams, "pool_max_conns")
		if most, err = strconv.Atoi(text); err != nil || most < 2 || most > 1000 {
			return refuse("pool_max_conns has to be a number from 2 to 1000")
		}
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "boatlift"
	}
	config.RuntimeParams["client_encoding"] = "UTF8"
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = pgConnect
	}
	dialer := &net.Dialer{
		Timeout:         config.ConnectTimeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 4},
	}
	config.DialFunc = dialer.DialContext
	// A statement whose caller has gone is ended in the database too, and with it its locks.
	config.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: 2 * time.Second}
	}
	wanted := config.ValidateConnect // what target_session_attrs asks for
	config.ValidateConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		if err := usable(conn); err != nil || wanted == nil {
			return err
		}
		return wanted(ctx, conn)
	}
	return config, most, nil
}

// usable looks at what the server says of itself when a connection begins. Of several hosts in the URL the first one that is usable is
// taken. Servers before PostgreSQL 14 do not say that they are read-only; there the first write finds out.
func usable(conn *pgconn.PgConn) error {
	if conn.ParameterStatus("in_hot_standby") == "on" || conn.ParameterStatus("default_transaction_read_only") == "on" {
		return errStandby
	}
	if encoding := conn.ParameterStatus("server_encoding"); encoding != "" && encoding != "UTF8" {
		return &EncodingError{encoding}
	}
	return nil
}

// postgresPool makes a pool whose statements end after a time, 0: never; and whose transactions end when nothing was asked in them for a
// time.
func postgresPool(config *pgx.ConnConfig, most int, statement, idle time.Duration, password func(context.Context) (string, error)) *sql.DB {
	config = config.Copy()
	limits := map[string]time.Duration{"idle_in_transaction_session_timeout": idle}
	if statement > 0 {
		limits["statement_timeout"], limits["lock_timeout"] = statement, min(pgLock, statement)
	}
	for name, limit := range limits {
		if _, set := config.RuntimeParams[name]; !set {
			config.RuntimeParams[name] = strconv.FormatInt(limit.Milliseconds(), 10)
		}
	}
	var options []stdlib.OptionOpenDB
	if password != nil {
		options = append(options, stdlib.OptionBeforeConnect(func(ctx context.Context, c *pgx.ConnConfig) (err error) {
			if c.Password, err = password(ctx); err != nil {
				return &passwordError{err}
			}
			return nil
		}))
	}
	if _, set := config.RuntimeParams["synchronous_commit"]; !set {
		options = append(options, stdlib.OptionAfterConnect(durable))
	}
	db := stdlib.OpenDB(*config, options...)
	db.SetMaxOpenConns(most)
	db.SetMaxIdleConns(most)
	db.SetConnMaxIdleTime(5 * time.Minute)
	db.SetConnMaxLifetime(time.Hour) // so that a database that has moved is followed
	return db
}

// durable makes commits wait for the disk where the server or the user is set not to: what is acknowledged has to be there.
func durable(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, `SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`)
	if err != nil {
		_ = conn.Close(ctx)
	}
	return err
}
