package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// Options are what a Store needs besides its URL. All may be left out.
type Options struct {
	Logger *slog.Logger
	Clock  func() time.Time // for tests: stands in for the database's clock
	Random func() float64   // for the jitter of back-off: [0, 1)
}

// Store is an open database. It is safe for concurrent use.
type Store struct {
	log     *slog.Logger
	clock   func() time.Time // nil: the database's own clock
	random  func() float64
	dialect dialect
	writer  *pool
	reader  *pool
	inbox   *inbox
	notify  chan struct{}
	cleanup []func() error // run by Close in reverse order

	active sync.RWMutex // held for reading by every transaction, for writing by Close
	closed bool
}

// Open opens the database at a URL, sqlite:path or, for tests, sqlite::memory:, and brings its schema up to date. A file that does
// not exist is created, its directory is not. Another server process on the same file gives *LockedError; a database that a
// later version has changed, *NewerError.
func Open(ctx context.Context, url string, opts Options) (*Store, error) {
	s := &Store{
		log:    opts.Logger,
		clock:  opts.Clock,
		random: opts.Random,
		notify: make(chan struct{}, 1),
		inbox:  newInbox(),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.random == nil {
		s.random = rand.Float64
	}
	scheme, rest, found := strings.Cut(url, ":")
	if !found {
		return nil, &URLError{url, "it has no scheme"}
	}
	var err error
	switch scheme {
	case "sqlite":
		err = s.openSQLite(ctx, rest)
	default:
		return nil, &URLError{scheme + ":…", "its scheme is not known"}
	}
	if err == nil {
		err = s.migrate(ctx)
	}
	if err == nil && scheme == "sqlite" {
		err = s.takeOver(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close waits for the transactions that are under way and closes the database. What comes after it gets *UnavailableError.
func (s *Store) Close() error {
	s.active.Lock()
	defer s.active.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	var errs []error
	for i := len(s.cleanup) - 1; i >= 0; i-- {
		errs = append(errs, s.cleanup[i]())
	}
	return errors.Join(errs...)
}

// Ping tells whether the database takes a write.
func (s *Store) Ping(ctx context.Context) error {
	return s.write(ctx, "ask the database", func(ctx context.Context, q *conn) error {
		_, err := q.exec(ctx, `UPDATE counters SET last = last WHERE name = 'deliveries'`)
		return err
	})
}

// write runs fn in one transaction on the writer, again where the engine asks for that, so fn must be repeatable.
func (s *Store) write(ctx context.Context, doing string, fn func(context.Context, *conn) error) error {
	const tries = 5
	for try := 1; ; try++ {
		err := s.transact(ctx, s.writer, nil, fn)
		if err != nil && try < tries && s.dialect.again(err) && ctx.Err() == nil {
			continue
		}
		return s.explain(ctx, doing, err)
	}
}

// read runs fn on a snapshot of the database: all that it reads is of one moment.
func (s *Store) read(ctx context.Context, doing string, fn func(context.Context, *conn) error) error {
	return s.explain(ctx, doing, s.transact(ctx, s.reader, s.dialect.snapshot, fn))
}

func (s *Store) transact(ctx context.Context, p *pool, opts *sql.TxOptions, fn func(context.Context, *conn) error) error {
	s.active.RLock()
	defer s.active.RUnlock()
	if s.closed {
		return errClosed
	}
	q := &conn{pool: p, now: s.dialect.now, skip: s.dialect.skipLocked}
	if s.clock != nil {
		q.now, q.literal = fmt.Sprint(micros(s.clock())), true
	}
	tx, err := p.db.BeginTx(ctx, opts)
	if err != nil {
		return err
	}
	q.tx = tx
	if err := fn(ctx, q); err != nil {
		if undo := tx.Rollback(); undo != nil && !errors.Is(undo, sql.ErrTxDone) {
			s.log.Warn("roll back", "error", undo)
		}
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	q.prepare(ctx)
	return nil
}

var errClosed = errors.New("the store is closed")

// explain turns a driver's error into one that says what to do.
func (s *Store) explain(ctx context.Context, doing string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil && !errors.Is(err, ErrLost) {
		return fmt.Errorf("%s: %w", doing, context.Cause(ctx))
	}
	if errors.Is(err, errClosed) {
		return &UnavailableError{Doing: doing, Say: "the database is closed", Err: err, After: retryClosed}
	}
	if say, ok := s.dialect.unavailable(err); ok {
		return &UnavailableError{Doing: doing, Say: say, Err: err, After: retryUnavailable}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// How long a sender waits before it tries again: a full disk takes a while, a restart does not.
const (
	retryUnavailable = 30 * time.Second
	retryClosed      = 5 * time.Second
)

// now is the moment by which times from the database are compared with those of this process.
func (s *Store) now() time.Time {
	if s.clock != nil {
		return s.clock()
	}
	return time.Now()
}
