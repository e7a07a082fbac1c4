package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// dialect is all in which the engines differ.
type dialect struct {
	goose  goose.Dialect
	locker lock.SessionLocker                          // lets one of several replicas change the schema; nil: there is one process only
	ddl    func() (db *sql.DB, done func(), err error) // where the schema is changed: without a limit of time
	schema *strings.Replacer                           // the words of the migrations in this dialect; nil: as they are

	now        string // SQL for the microseconds since 1970 by the database's clock, the same within a statement
	skipLocked string // SQL behind a sub-select by which a claim passes over rows that are just being claimed
	forUpdate  string // SQL behind a select whose rows nobody else may change until the commit
	shared     bool   // other processes may have the database open too
	rows       int    // for how many rows a statement is best made
	prepares   bool   // statements are prepared here; else the driver does that

	writing    *sql.TxOptions // a transaction whose every statement sees what was committed before it
	snapshot   *sql.TxOptions // a transaction that reads one moment
	writeLimit time.Duration  // for a transaction; 0: none
	readLimit  time.Duration
	patient    string // SQL after which the statements of a transaction may take any time; empty: they may anyway

	again       func(err error, committing bool) (pause time.Duration, ok bool) // whether the transaction should be run again
	unavailable func(error) (Fault, string)                                     // why the database cannot do its work just now; empty: it can
	duplicate   func(error) bool                                                // a unique index refused a row
	there       func() error                                                    // whether what was committed is where it will be looked for; nil: it is
	outward     func(error) error                                               // what may be shown of a driver's error; nil: all
}

// pool is a set of connections and the statements prepared on them.
type pool struct {
	db *sql.DB

	mu    sync.RWMutex
	stmts map[string]*sql.Stmt
}

func newPool(db *sql.DB) *pool { return &pool{db: db, stmts: map[string]*sql.Stmt{}} }

func (p *pool) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, stmt := range p.stmts {
		errs = append(errs, stmt.Close())
	}
	p.stmts = map[string]*sql.Stmt{}
	return errors.Join(append(errs, p.db.Close())...)
}

// conn runs SQL texts in one transaction. The texts are constants; {now}, {skip locked} and {for update} in them are the dialect's. A
// text that comes a first time is prepared when the transaction has ended, as SQLite's writer has one connection only.
type conn struct {
	pool    *pool
	tx      *sql.Tx
	dialect *dialect
	now     string
	literal bool // now is a moment, not an expression
	unknown []string
}

func (q *conn) text(text string) string {
	if strings.Contains(text, "{") {
		text = strings.ReplaceAll(text, "{now}", q.now)
		text = strings.ReplaceAll(text, "{skip locked}", q.dialect.skipLocked)
		text = strings.ReplaceAll(text, "{for update}", q.dialect.forUpdate)
	}
	return text
}

// stmt gives the prepared statement, or nil where the text is to be run as it is.
func (q *conn) stmt(ctx context.Context, text string) *sql.Stmt {
	if !q.dialect.prepares || q.literal && strings.Contains(text, "{now}") {
		return nil
	}
	q.pool.mu.RLock()
	stmt := q.pool.stmts[text]
	q.pool.mu.RUnlock()
	if stmt == nil {
		q.unknown = append(q.unknown, text)
		return nil
	}
	return q.tx.StmtContext(ctx, stmt)
}

// prepare prepares what was run as it was. A failure costs speed only.
func (q *conn) prepare(ctx context.Context) {
	for _, text := range q.unknown {
		q.pool.mu.RLock()
		_, known := q.pool.stmts[text]
		q.pool.mu.RUnlock()
		if known {
			continue
		}
		stmt, err := q.pool.db.PrepareContext(ctx, q.text(text))
		if err != nil {
			return
		}
		q.pool.mu.Lock()
		if _, known := q.pool.stmts[text]; known {
			defer stmt.Close()
		} else {
			q.pool.stmts[text] = stmt
		}
		q.pool.mu.Unlock()
	}
}

// exec runs a text and returns the number of rows it changed.
func (q *conn) exec(ctx context.Context, text string, args ...any) (int64, error) {
	var result sql.Result
	var err error
	args = clean(args)
	if stmt := q.stmt(ctx, text); stmt != nil {
		result, err = stmt.ExecContext(ctx, args...)
	} else {
		result, err = q.tx.ExecContext(ctx, q.text(text), args...)
	}
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// row is what a row is scanned from.
type row interface{ Scan(dest ...any) error }

// each runs a text and hands every row to scan.
func (q *conn) each(ctx context.Context, scan func(row) error, text string, args ...any) error {
	var rows *sql.Rows
	var err error
	args = clean(args)
	if stmt := q.stmt(ctx, text); stmt != nil {
		rows, err = stmt.QueryContext(ctx, args...)
	} else {
		rows, err = q.tx.QueryContext(ctx, q.text(text), args...)
	}
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// one scans the only row of a text; found is false where there is none.
func (q *conn) one(ctx context.Context, dest []any, text string, args ...any) (found bool, err error) {
	err = q.each(ctx, func(r row) error {
		found = true
		return r.Scan(dest...)
	}, text, args...)
	return found, err
}

// micros is a moment as the database keeps it: microseconds since 1970, 0 for none.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// instant is the reverse of micros.
func instant(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// clean makes texts that both engines store. Names of files in a repo, for one, may be any bytes.
func clean(args []any) []any {
	for i, arg := range args {
		if text, ok := arg.(string); ok {
			args[i] = storable(text)
		}
	}
	return args
}

// storable makes text that both engines store: valid UTF-8 without NUL.
func storable(s string) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "")
	}
	return s
}

// plain makes text that both engines store and that is not longer than most bytes.
func plain(s string, most int) string {
	s = storable(s)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most-len("…")], "") + "…"
	}
	return s
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
