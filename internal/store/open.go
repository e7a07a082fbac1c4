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
	"sync/atomic"
	"time"
)

// Options are what a Store needs besides its URL. All may be left out.
type Options struct {
	Logger *slog.Logger
	Clock  func() time.Time // for tests: stands in for the database's clock
	Random func() float64   // for the jitter of back-off: [0, 1)

	// Password gives PostgreSQL's password, before every connection, so that one that changes is followed. nil: the URL's, else
	// what PGPASSWORD or a password file says.
	Password func(ctx context.Context) (string, error)

	local func() time.Time // for tests: stands in for this process's clock
}

// Store is an open database. It is safe for concurrent use.
type Store struct {
	log     *slog.Logger
	clock   func() time.Time // nil: the database's own clock
	local   func() time.Time // this process's clock
	skew    atomic.Int64     // how far the database's clock is ahead of this process's, in microseconds
	random  func() float64
	dialect dialect
	writer  *pool
	reader  *pool
	inbox   *inbox
	notify  chan struct{}
	watch   watch
	cleanup []func() error // run by Close in reverse order

	active sync.RWMutex // held for reading by every transaction, for writing by Close
	closed bool
}

// Open opens the database at a URL and brings its schema up to date. sqlite:path creates a file that does not exist, but not its
// directory; sqlite::memory: is for tests. postgres://user@host/database takes what PostgreSQL's own programs take, and pool_max_conns.
// A SQLite file that another server process has open gives *LockedError; a database that cannot be reached or refuses us,
// *UnavailableError; one that a later version has changed, *NewerError.
func Open(ctx context.Context, url string, opts Options) (*Store, error) {
	s := &Store{
		log:    opts.Logger,
		clock:  opts.Clock,
		local:  opts.local,
		random: opts.Random,
		notify: make(chan struct{}, 1),
		inbox:  newInbox(),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.local == nil {
		s.local = time.Now
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
	case "postgres", "postgresql":
		err = s.openPostgres(ctx, url, opts.Password)
	default:
		return nil, &URLError{scheme + ":…", "its scheme is not known"}
	}
	if err == nil {
		err = s.upgrade(ctx)
	}
	if err == nil && !s.dialect.shared {
		err = s.takeOver(ctx)
	}
	if err == nil {
		err = s.compareClocks(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close waits for the transactions that are under way and closes the database. What comes after it gets *UnavailableError.
func (s *Store) Close() error {
	s.watch.stop()
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

// Ping tells whether the database takes a write, and keeps it.
func (s *Store) Ping(ctx context.Context) error {
	return s.write(ctx, "ask the database", func(ctx context.Context, q *conn) error {
		_, err := q.exec(ctx, `UPDATE counters SET last = last WHERE name = 'deliveries'`)
		return err
	})
}

// write runs fn in one transaction on the writer, again where the engine asks for that, so fn must be repeatable.
func (s *Store) write(ctx context.Context, doing string, fn func(context.Context, *conn) error) error {
	err := s.repeat(ctx, s.writer, s.dialect.writing, s.dialect.writeLimit, fn)
	if err == nil && s.dialect.there != nil {
		err = s.dialect.there() // after the commit: nothing may be acknowledged that nobody will find again
	}
	return s.explain(ctx, doing, err)
}

// read runs fn on a snapshot of the database: all that it reads is of one moment. fn must be repeatable.
func (s *Store) read(ctx context.Context, doing string, fn func(context.Context, *conn) error) error {
	return s.explain(ctx, doing, s.repeat(ctx, s.reader, s.dialect.snapshot, s.dialect.readLimit, fn))
}

// repeat runs a transaction until it has an end that another try would not change.
func (s *Store) repeat(ctx context.Context, p *pool, opts *sql.TxOptions, limit time.Duration, fn func(context.Context, *conn) error) error {
	const tries = 5
	for try := range tries {
		committing, err := s.transact(ctx, p, opts, limit, fn)
		if err == nil || try == tries-1 || ctx.Err() != nil {
			return err
		}
		pause, again := s.dialect.again(err, committing)
		if !again {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Duration((0.5 + s.random()/2) * float64(pause<<try))):
		}
	}
	return nil
}

// transact runs one transaction. committing tells that an error is the commit's own, after which it may stand or not.
func (s *Store) transact(ctx context.Context, p *pool, opts *sql.TxOptions, limit time.Duration, fn func(context.Context, *conn) error) (committing bool, err error) {
	s.active.RLock()
	defer s.active.RUnlock()
	if s.closed {
		return false, errClosed
	}
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, errSlow)
		defer cancel()
	}
	q := s.conn(p)
	tx, err := p.db.BeginTx(ctx, opts)
	if err != nil {
		return false, err
	}
	q.tx = tx
	if err := fn(ctx, q); err != nil {
		if undo := tx.Rollback(); undo != nil && !errors.Is(undo, sql.ErrTxDone) {
			s.log.Debug("roll back", "error", s.outward(undo))
		}
		return false, err
	}
	if err := tx.Commit(); err != nil {
		return true, err
	}
	q.prepare(ctx)
	return false, nil
}

func (s *Store) conn(p *pool) *conn {
	q := &conn{pool: p, dialect: &s.dialect, now: s.dialect.now}
	if s.clock != nil {
		q.now, q.literal = fmt.Sprint(micros(s.clock())), true
	}
	return q
}

var (
	errClosed = errors.New("the store is closed")
	errGone   = errors.New("its file was removed or replaced while it is open")
	errSlow   = errors.New("the database took too long")
)

// explain turns a driver's error into one that says what to do.
func (s *Store) explain(ctx context.Context, doing string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil && !errors.Is(err, ErrLost) {
		return fmt.Errorf("%s: %w", doing, context.Cause(ctx))
	}
	if errors.Is(err, errClosed) {
		return &UnavailableError{Doing: doing, Fault: Closed, Say: "the database is closed", Err: err, After: retrySoon}
	}
	if errors.Is(err, errGone) {
		return &UnavailableError{Doing: doing, Fault: Gone, Say: "the database is gone", Err: err, After: retryLater}
	}
	if fault, say := s.dialect.unavailable(err); fault != "" {
		after := retrySoon
		if fault == Disk || fault == Access || fault == ReadOnly {
			after = retryLater
		}
		return &UnavailableError{Doing: doing, Fault: fault, Say: say, Err: s.outward(err), After: after}
	}
	return fmt.Errorf("%s: %w", doing, s.outward(err))
}

// How long a sender waits before it tries again: a full disk takes a while, a restart does not.
const (
	retrySoon  = 5 * time.Second
	retryLater = 30 * time.Second
)

// outward is what may leave the package of a driver's error.
func (s *Store) outward(err error) error {
	if s.dialect.outward == nil {
		return err
	}
	return s.dialect.outward(err)
}
