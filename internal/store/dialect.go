package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/pressly/goose/v3"
)

// dialect is all in which the engines differ.
type dialect struct {
	now         string                     // SQL for the microseconds since 1970 by the database's clock, the same within a statement
	skipLocked  string                     // SQL behind a sub-select by which a claim passes over rows that are just being claimed
	snapshot    *sql.TxOptions             // a transaction that reads one moment
	again       func(error) bool           // the transaction should be run again
	unavailable func(error) (string, bool) // the database cannot do its work just now, and why
	duplicate   func(error) bool           // a unique index refused a row
	goose       goose.Dialect
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

// conn runs SQL texts in one transaction. The texts are constants; {now} and {skip locked} in them are the dialect's. A text that
// comes a first time is prepared when the transaction has ended, as the writer has one connection only.
type conn struct {
	pool    *pool
	tx      *sql.Tx
	now     string
	skip    string
	literal bool // now is a moment, not an expression
	unknown []string
}

func (q *conn) text(text string) string {
	if strings.Contains(text, "{") {
		text = strings.ReplaceAll(text, "{now}", q.now)
		text = strings.ReplaceAll(text, "{skip locked}", q.skip)
	}
	return text
}

// stmt gives the prepared statement, or nil where the text is to be run as it is.
func (q *conn) stmt(ctx context.Context, text string) *sql.Stmt {
	if q.literal && strings.Contains(text, "{now}") {
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

// plain makes text that both engines store: valid UTF-8 without NUL, and not longer than most bytes.
func plain(s string, most int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "")
	}
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most-len("…")], "") + "…"
	}
	return s
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
