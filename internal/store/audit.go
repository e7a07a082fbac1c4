package store

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// genesis is the hash before the first entry.
const genesis = "0000000000000000000000000000000000000000000000000000000000000000"

// Audit appends an entry that belongs to no repo's turn.
func (s *Store) Audit(ctx context.Context, e AuditEntry) error {
	return s.write(ctx, "append to the audit trail", func(ctx context.Context, q *conn) error {
		return appendAudit(ctx, q, []AuditEntry{e})
	})
}

// appendAudit appends entries. The counter's row is locked until the commit, so there is one appender at a time.
func appendAudit(ctx context.Context, q *conn, entries []AuditEntry) error {
	if len(entries) == 0 {
		return nil
	}
	var last, at int64
	if _, err := q.one(ctx, []any{&last, &at}, `UPDATE counters SET last = last + $1 WHERE name = 'audit' RETURNING last, {now}`, len(entries)); err != nil {
		return err
	}
	previous := genesis
	if _, err := q.one(ctx, []any{&previous}, `SELECT hash FROM audit ORDER BY seq DESC LIMIT 1`); err != nil {
		return err
	}
	var rows []any
	for i, e := range entries {
		e.Seq, e.At, e.Previous = last-int64(len(entries)-1-i), instant(at), previous
		if e.Actor, e.Role, e.Action, e.Subject = plain(e.Actor, 200), plain(e.Role, 50), plain(e.Action, 200), plain(e.Subject, 1000); e.Action == "" {
			return errors.New("an audit entry says no action")
		}
		var err error
		if e.Detail, err = compact(e.Detail); err != nil {
			return fmt.Errorf("audit entry %s: its detail: %w", e.Action, err)
		}
		if e.Hash, err = e.hash(); err != nil {
			return err
		}
		previous = e.Hash
		rows = append(rows, e.Seq, at, e.Actor, e.Role, e.Action, e.Subject, string(e.Detail), e.Previous, e.Hash)
	}
	return q.many(ctx, `INSERT INTO audit (seq, at, actor, role, action, subject, detail, previous, hash) VALUES `,
		`(?, ?, ?, ?, ?, ?, ?, ?, ?)`, ``, rows)
}

// detailMost is how long an entry's detail may be, in bytes.
const detailMost = 256 << 10

func compact(detail json.RawMessage) (json.RawMessage, error) {
	if len(detail) == 0 {
		return nil, nil
	}
	var b bytes.Buffer
	if err := json.Compact(&b, detail); err != nil {
		return nil, err
	}
	if b.Len() > detailMost {
		return nil, fmt.Errorf("it is longer than %d bytes", detailMost)
	}
	return json.RawMessage(strings.ToValidUTF8(b.String(), "\uFFFD")), nil
}

// exported is an entry as it is hashed and exported: one line of JSON. The hash is SHA-256, in hexadecimal, of the line without
// "hash", encoded as Go's encoding/json does without escaping HTML. Times are microseconds since 1970 in UTC.
type exported struct {
	Seq      int64           `json:"seq"`
	At       int64           `json:"at"`
	Actor    string          `json:"actor"`
	Role     string          `json:"role"`
	Action   string          `json:"action"`
	Subject  string          `json:"subject"`
	Detail   json.RawMessage `json:"detail,omitempty"`
	Previous string          `json:"previous"`
	Hash     string          `json:"hash,omitempty"`
}

func (e AuditEntry) line(hash string) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(exported{e.Seq, micros(e.At), e.Actor, e.Role, e.Action, e.Subject, e.Detail, e.Previous, hash}); err != nil {
		return nil, fmt.Errorf("audit entry %d: %w", e.Seq, err)
	}
	return b.Bytes(), nil
}

func (e AuditEntry) hash() (string, error) {
	line, err := e.line("")
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(bytes.TrimSuffix(line, []byte("\n")))
	return hex.EncodeToString(sum[:]), nil
}

// chain verifies entries one after the other.
type chain struct {
	seq  int64
	head string
}

func (c *chain) next(e AuditEntry) error {
	switch hash, err := e.hash(); {
	case e.Seq != c.seq+1:
		return &TamperedError{c.seq + 1, "it is missing"}
	case e.Previous != c.head:
		return &TamperedError{e.Seq, "it does not continue the entry before it"}
	case err != nil || hash != e.Hash:
		return &TamperedError{e.Seq, "it was changed after it was written"}
	}
	c.seq, c.head = e.Seq, e.Hash
	return nil
}

// AuditVerify recomputes the chain; a trail that is not as it was written gives *TamperedError.
func (s *Store) AuditVerify(ctx context.Context) (report AuditReport, err error) {
	var fault *TamperedError
	err = s.read(ctx, "verify the audit trail", func(ctx context.Context, q *conn) (err error) {
		report, fault, err = verify(ctx, q)
		return err
	})
	if err == nil && fault != nil {
		err = fmt.Errorf("verify the audit trail: %w", fault)
	}
	if err != nil {
		return AuditReport{}, err
	}
	return report, nil
}

// verify recomputes the chain. fault is what is wrong with it; report is then as far as it is sound.
func verify(ctx context.Context, q *conn) (report AuditReport, fault *TamperedError, err error) {
	c := chain{head: genesis}
	err = selectAudit(ctx, q, c.next, ` ORDER BY seq`)
	var last int64
	if err == nil {
		_, err = q.one(ctx, []any{&last}, `SELECT last FROM counters WHERE name = 'audit'`)
	}
	if err == nil && last != c.seq {
		err = &TamperedError{c.seq + 1, "it is missing"}
	}
	if fault, ok := errors.AsType[*TamperedError](err); ok {
		return AuditReport{c.seq, c.head}, fault, nil
	}
	return AuditReport{c.seq, c.head}, nil, err
}

// VerifyExport recomputes the chain of an export that begins with the first entry. A trail that is not as it was written gives
// *TamperedError; whether its end was cut off shows only against the Head of another report.
func VerifyExport(r io.Reader) (AuditReport, error) {
	c := chain{head: genesis}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var e exported
		decoder := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&e); err != nil {
			return AuditReport{}, &TamperedError{c.seq + 1, "its line is no entry"}
		}
		entry := AuditEntry{e.Seq, instant(e.At), e.Actor, e.Role, e.Action, e.Subject, e.Detail, e.Previous, e.Hash}
		if line, err := entry.line(e.Hash); err != nil || !bytes.Equal(bytes.TrimSpace(line), bytes.TrimSpace(lines.Bytes())) {
			return AuditReport{}, &TamperedError{c.seq + 1, "its line was changed after it was written"}
		}
		if err := c.next(entry); err != nil {
			return AuditReport{}, err
		}
	}
	if err := lines.Err(); err != nil {
		return AuditReport{}, fmt.Errorf("read the export: %w", err)
	}
	return AuditReport{Entries: c.seq, Head: c.head}, nil
}

// AuditTail lists entries, newest first.
func (s *Store) AuditTail(ctx context.Context, f AuditFilter) (list []AuditEntry, err error) {
	var w where
	if f.Actor != "" {
		w.and(`actor = ?`, f.Actor)
	}
	if f.Action != "" {
		w.and(`action = ?`, f.Action)
	}
	if f.Subject != "" {
		w.and(`subject = ?`, f.Subject)
	}
	if !f.Since.IsZero() {
		w.and(`at >= ?`, micros(f.Since))
	}
	if f.Before > 0 {
		w.and(`seq < ?`, f.Before)
	}
	rest := w.text("seq DESC", f.Limit)
	err = s.read(ctx, "list the audit trail", func(ctx context.Context, q *conn) error {
		list = nil
		return selectAudit(ctx, q, func(e AuditEntry) error {
			list = append(list, e)
			return nil
		}, rest, w.args...)
	})
	return list, err
}

// exportPage is how many entries an export reads at a time, so that a slow reader of it holds no transaction open.
const exportPage = 500

// AuditExport writes every entry after the given number as a line of JSON and returns the number of the last one, from which the
// next export goes on.
func (s *Store) AuditExport(ctx context.Context, w io.Writer, after int64) (last int64, err error) {
	last = after
	for {
		var page []AuditEntry
		if err := s.read(ctx, "export the audit trail", func(ctx context.Context, q *conn) error {
			page = nil
			return selectAudit(ctx, q, func(e AuditEntry) error {
				page = append(page, e)
				return nil
			}, ` WHERE seq > $1 ORDER BY seq LIMIT $2`, last, exportPage)
		}); err != nil {
			return last, err
		}
		for _, e := range page {
			line, err := e.line(e.Hash)
			if err == nil {
				_, err = w.Write(line)
			}
			if err != nil {
				return last, fmt.Errorf("export audit entry %d: %w", e.Seq, err)
			}
			last = e.Seq
		}
		if len(page) < exportPage {
			return last, nil
		}
	}
}

func selectAudit(ctx context.Context, q *conn, each func(AuditEntry) error, rest string, args ...any) error {
	return q.each(ctx, func(r row) error {
		var e AuditEntry
		var at int64
		var detail string
		if err := r.Scan(&e.Seq, &at, &e.Actor, &e.Role, &e.Action, &e.Subject, &detail, &e.Previous, &e.Hash); err != nil {
			return err
		}
		e.At = instant(at)
		if detail != "" {
			e.Detail = json.RawMessage(detail)
		}
		return each(e)
	}, `SELECT seq, at, actor, role, action, subject, detail, previous, hash FROM audit`+rest, args...)
}
