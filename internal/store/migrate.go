package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// MigrateOptions are how a Migrate is done. The zero value copies and says nothing meanwhile.
type MigrateOptions struct {
	DryRun   bool                                  // do and verify all of it, and then take it back
	Progress func(table string, done, total int64) // called with every few hundred rows, and at the end of each table
}

// MigrateReport is what a Migrate copied.
type MigrateReport struct {
	Tables   []TableRows // in the order in which they were copied
	Rows     int64       // of all tables
	Repaired int64       // texts of which bytes were left out that PostgreSQL does not store: NUL, and what is no UTF-8
	DryRun   bool        // nothing was kept

	// Audit is the trail, which is the same in both. AuditFault is what was wrong with it before; such a trail is copied as it is.
	Audit      AuditReport
	AuditFault *TamperedError
}

// TableRows is a table and how many rows it has.
type TableRows struct {
	Table string
	Rows  int64
}

// MigrateError reports that a database cannot be copied into another one. Nothing was written.
type MigrateError struct{ Reason, fix string }

func (e *MigrateError) Error() string { return "copy the database: " + e.Reason }

// Hint says what to do.
func (e *MigrateError) Hint() string { return e.fix }

// Permanent tells that trying again cannot help.
func (e *MigrateError) Permanent() bool { return true }

var errDryRun = errors.New("this was a dry run")

// Migrate copies a SQLite database into an empty one, which may be PostgreSQL's: everything, with all numbers, tokens and the audit
// trail, in one transaction. Before that ends every row is read back and compared; whatever fails, the target stays empty, and the
// source is never written to. No bot may run on the source, which having opened it proves, or on the target.
func Migrate(ctx context.Context, from, to *Store, o MigrateOptions) (MigrateReport, error) {
	const doing = "copy the database"
	if from.dialect.shared {
		return MigrateReport{}, &MigrateError{"the source is not SQLite", "copy a PostgreSQL database with pg_dump and pg_restore"}
	}
	if from == to {
		return MigrateReport{}, &MigrateError{"the source is the target", "name another database as the target"}
	}
	if o.Progress == nil {
		o.Progress = func(string, int64, int64) {}
	}
	m := migration{options: o, report: MigrateReport{DryRun: o.DryRun}}
	var writing error
	_, err := from.transact(ctx, from.reader, from.dialect.snapshot, 0, func(ctx context.Context, source *conn) error {
		_, writing = to.transact(ctx, to.writer, to.dialect.writing, 0, func(ctx context.Context, target *conn) error {
			m.source, m.target = source, target
			return m.run(ctx)
		})
		return nil
	})
	switch {
	case err != nil:
		return MigrateReport{}, from.explain(ctx, doing, err)
	case errors.Is(writing, errDryRun):
	case writing != nil:
		return MigrateReport{}, to.explain(ctx, doing, writing)
	case to.dialect.shared:
		// Else the first plans would be made for empty tables.
		if _, err := to.writer.db.ExecContext(ctx, `ANALYZE`); err != nil {
			to.log.Warn("analyze the tables", "error", to.outward(err))
		}
	}
	return m.report, nil
}

// migration is a Migrate under way.
type migration struct {
	options        MigrateOptions
	source, target *conn
	report         MigrateReport
}

// migrated are all tables, each after those that it refers to.
func migrated() []string {
	return []string{
		"repos", "environments", "environment_after", "listings", "listed_since", "promotions", "promotion_images", "rejections", "holds",
		"rollouts", "verifications", "notes", "checks", "deliveries", "delivery_subjects", "pushes", "tags", "facts", "polls", "polled", "work", "limits", "audit", "counters",
	}
}

func (m *migration) run(ctx context.Context) error {
	if text := m.target.dialect.patient; text != "" {
		if _, err := m.target.exec(ctx, text); err != nil {
			return err
		}
	}
	// From here on nobody else stores a delivery, records a repo or appends to the trail of the target.
	if _, err := m.target.exec(ctx, `UPDATE counters SET last = last`); err != nil {
		return err
	}
	for _, table := range migrated() {
		var one int
		text := `SELECT 1 FROM ` + table + ` LIMIT 1`
		if table == "counters" {
			text = `SELECT 1 FROM counters WHERE last > 0 LIMIT 1`
		}
		if found, err := m.target.one(ctx, []any{&one}, text); err != nil {
			return err
		} else if found {
			return &MigrateError{"the target is not empty: there is something in " + table, "make a new database for it, and do not start a bot on it before"}
		}
	}
	if _, err := m.target.exec(ctx, `DELETE FROM counters`); err != nil {
		return err
	}
	for _, table := range migrated() {
		if err := m.table(ctx, table); err != nil {
			return fmt.Errorf("table %s: %w", table, err)
		}
	}
	if err := m.audit(ctx); err != nil {
		return err
	}
	if m.options.DryRun {
		return errDryRun
	}
	return nil
}

// table copies a table and compares the copy with it.
func (m *migration) table(ctx context.Context, table string) error {
	columns, total, err := columnsOf(ctx, m.source, table)
	if err != nil {
		return err
	}
	var done int64
	var sent sum
	const mostRows, mostBytes = 200, 4 << 20 // of one statement
	values, size := make([]any, 0, mostRows*len(columns)), 0
	flush := func() error {
		if len(values) == 0 {
			return nil
		}
		if _, err := m.target.exec(ctx, insertInto(table, columns, len(values)/len(columns)), values...); err != nil {
			return err
		}
		values, size = values[:0], 0
		m.options.Progress(table, done, total)
		return nil
	}
	if err := eachRow(ctx, m.source, table, columns, func(row []any) error {
		for i, v := range row {
			switch v := v.(type) {
			case string:
				text := storable(v)
				if text != v {
					m.report.Repaired++
				}
				row[i] = text
				size += len(text)
			case []byte:
				size += len(v)
			}
		}
		sent.add(row)
		values = append(values, row...)
		if done++; len(values) == mostRows*len(columns) || size > mostBytes {
			return flush()
		}
		return nil
	}); err != nil {
		return err
	}
	if err := flush(); err != nil {
		return err
	}
	var stored sum
	if err := eachRow(ctx, m.target, table, columns, func(row []any) error {
		stored.add(row)
		return nil
	}); err != nil {
		return err
	}
	if done != total || stored != sent {
		return fmt.Errorf("the copy is not what was copied: %d of %d rows were sent and %d are there", done, total, stored.rows)
	}
	if total == 0 {
		m.options.Progress(table, 0, 0)
	}
	m.report.Tables = append(m.report.Tables, TableRows{table, done})
	m.report.Rows += done
	return nil
}

// audit verifies both trails. One that was broken before stays as it is, so that what broke it can still be seen.
func (m *migration) audit(ctx context.Context) error {
	before, fault, err := verify(ctx, m.source)
	if err != nil {
		return err
	}
	after, faultAfter, err := verify(ctx, m.target)
	if err != nil {
		return err
	}
	if before != after || (fault == nil) != (faultAfter == nil) || fault != nil && *fault != *faultAfter {
		return fmt.Errorf("the audit trail is another one: %d entries up to %s became %d up to %s", before.Entries, before.Head, after.Entries, after.Head)
	}
	m.report.Audit, m.report.AuditFault = after, fault
	return nil
}

// columnsOf gives the names of a table's columns, and how many rows it has.
func columnsOf(ctx context.Context, q *conn, table string) (columns []string, rows int64, err error) {
	if _, err := q.one(ctx, []any{&rows}, `SELECT COUNT(*) FROM `+table); err != nil {
		return nil, 0, err
	}
	empty, err := q.tx.QueryContext(ctx, `SELECT * FROM `+table+` LIMIT 0`)
	if err != nil {
		return nil, 0, err
	}
	columns, err = empty.Columns()
	return columns, rows, errors.Join(err, empty.Close())
}

// eachRow hands over every row of a table. The slice is used again for the next one.
func eachRow(ctx context.Context, q *conn, table string, columns []string, fn func([]any) error) error {
	values, dest := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		dest[i] = &values[i]
	}
	return q.each(ctx, func(r row) error {
		if err := r.Scan(dest...); err != nil {
			return err
		}
		return fn(values)
	}, `SELECT `+strings.Join(columns, ", ")+` FROM `+table)
}

// insertInto is a statement that inserts some rows.
func insertInto(table string, columns []string, rows int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "INSERT INTO %s (%s) VALUES ", table, strings.Join(columns, ", "))
	for i := range rows * len(columns) {
		switch {
		case i == 0:
			b.WriteByte('(')
		case i%len(columns) == 0:
			b.WriteString("), (")
		default:
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "$%d", i+1)
	}
	b.WriteByte(')')
	return b.String()
}

// sum is a digest of rows that does not depend on their order.
type sum struct {
	rows int64
	a, b uint64
}

func (s *sum) add(row []any) {
	h := sha256.New()
	for _, v := range row {
		text := fmt.Appendf(nil, "%T %v", v, v)
		if raw, ok := v.([]byte); ok {
			text = append([]byte("bytes "), raw...)
		}
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(text)))
		h.Write(length[:])
		h.Write(text)
	}
	digest := h.Sum(nil)
	s.rows++
	s.a += binary.BigEndian.Uint64(digest)
	s.b += binary.BigEndian.Uint64(digest[8:])
}
