package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// entry is one of n entries that the tests write.
func entry(n int) AuditEntry {
	return AuditEntry{
		Actor: "ada", Role: "operate", Action: "hold", Subject: fmt.Sprintf("production/%d", n),
		Detail: json.RawMessage(fmt.Sprintf(`{"n": %d, "why": "<incident> & é \u0000"}`, n)),
	}
}

// change changes the database behind the store's back.
func change(t *testing.T, s *Store, text string, args ...any) {
	t.Helper()
	if _, err := s.writer.db.ExecContext(t.Context(), text, args...); err != nil {
		t.Fatal(err)
	}
}

var auditTests = []test{
	{"entries come back and make a chain", func(t *testing.T, s *Store) {
		clock := stop(s)
		for n := range 3 {
			must(t, s.Audit(t.Context(), entry(n)))
		}
		tail := must1(s.AuditTail(t.Context(), AuditFilter{}))(t)
		if len(tail) != 3 || tail[0].Seq != 3 || tail[0].Previous != tail[1].Hash || tail[2].Previous != genesis || !tail[0].At.Equal(clock.now()) ||
			tail[0].Subject != "production/2" || string(tail[0].Detail) != `{"n":2,"why":"<incident> & é \u0000"}` {
			t.Errorf("AuditTail() = %+v", tail)
		}
		if got := must1(s.AuditVerify(t.Context()))(t); got != (AuditReport{3, tail[0].Hash}) {
			t.Errorf("AuditVerify() = %+v", got)
		}
		for want, filter := range map[int64]AuditFilter{
			3: {Actor: "ada", Action: "hold", Limit: 1},
			2: {Before: 3, Limit: 1},
			1: {Subject: "production/0", Since: clock.now()},
		} {
			if got := must1(s.AuditTail(t.Context(), filter))(t); len(got) != 1 || got[0].Seq != want {
				t.Errorf("AuditTail(%+v) = %+v; want %d", filter, got, want)
			}
		}
	}},
	{"an empty trail is sound", func(t *testing.T, s *Store) {
		if got := must1(s.AuditVerify(t.Context()))(t); got != (AuditReport{0, genesis}) {
			t.Errorf("AuditVerify() = %+v", got)
		}
	}},
	{"what is no entry is refused", func(t *testing.T, s *Store) {
		for _, e := range []AuditEntry{{}, {Action: "a", Detail: json.RawMessage("{")}, {Action: "a", Detail: json.RawMessage(`"` + strings.Repeat("x", detailMost) + `"`)}} {
			if err := s.Audit(t.Context(), e); err == nil {
				t.Errorf("Audit(%.80v) succeeds", e)
			}
		}
		must(t, s.Audit(t.Context(), entry(1)))
		if got := must1(s.AuditVerify(t.Context()))(t); got.Entries != 1 {
			t.Errorf("AuditVerify() = %+v", got)
		}
	}},
	{"many appenders make one chain", func(t *testing.T, s *Store) {
		var all sync.WaitGroup
		for w := range 8 {
			all.Go(func() {
				for n := range 20 {
					if err := s.Audit(t.Context(), entry(w*100+n)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		if got := must1(s.AuditVerify(t.Context()))(t); got.Entries != 160 {
			t.Errorf("AuditVerify() = %+v; want 160 entries", got)
		}
	}},
	{"two entries cannot follow the same one", func(t *testing.T, s *Store) {
		must(t, s.Audit(t.Context(), entry(1)))
		_, err := s.writer.db.ExecContext(t.Context(), `INSERT INTO audit (seq, at, actor, role, action, subject, detail, previous, hash)
			SELECT 2, at, actor, role, action, subject, detail, previous, hash FROM audit`)
		if err == nil || !s.dialect.duplicate(err) {
			t.Errorf("a fork of the chain = %v; want a refusal", err)
		}
	}},
	{"every change shows", func(t *testing.T, s *Store) {
		for n := range 5 {
			must(t, s.Audit(t.Context(), entry(n)))
		}
		change(t, s, `CREATE TABLE audit_copy AS SELECT * FROM audit`)
		for text, seq := range map[string]int64{
			`UPDATE audit SET actor = 'eve' WHERE seq = 3`:                   3,
			`UPDATE audit SET at = at + 1 WHERE seq = 1`:                     1,
			`UPDATE audit SET detail = '' WHERE seq = 5`:                     5,
			`UPDATE audit SET previous = 'x' WHERE seq = 4`:                  4,
			`UPDATE audit SET hash = 'x' WHERE seq = 2`:                      2,
			`UPDATE audit SET seq = 9 WHERE seq = 5`:                         5,
			`DELETE FROM audit WHERE seq = 5`:                                5,
			`DELETE FROM audit WHERE seq = 1`:                                1,
			`DELETE FROM audit`:                                              1,
			`DELETE FROM audit WHERE seq = 2 OR seq = 4`:                     2,
			`UPDATE audit SET actor = 'a', role = 'daoperate' WHERE seq = 3`: 3,
		} {
			change(t, s, text)
			_, err := s.AuditVerify(t.Context())
			if tampered, ok := errors.AsType[*TamperedError](err); !ok || tampered.Seq != seq {
				t.Errorf("after %s: AuditVerify() = %v; want entry %d", text, err, seq)
			}
			change(t, s, `DELETE FROM audit`)
			change(t, s, `INSERT INTO audit SELECT * FROM audit_copy`)
			must(t, second(s.AuditVerify(t.Context())))
		}
		change(t, s, `DELETE FROM audit WHERE seq = 1`)
		must(t, s.Audit(t.Context(), entry(9))) // a broken trail does not stop the bot
		_, err := s.AuditVerify(t.Context())
		if tampered, ok := errors.AsType[*TamperedError](err); !ok || tampered.Seq != 1 {
			t.Errorf("AuditVerify() = %v; want still the first entry", err)
		}
	}},
	{"an export goes on where the last one ended and can be verified alone", func(t *testing.T, s *Store) {
		for n := range exportPage + 10 {
			must(t, s.Audit(t.Context(), entry(n)))
		}
		var file bytes.Buffer
		last := must1(s.AuditExport(t.Context(), &file, 0))(t)
		for n := range 3 {
			must(t, s.Audit(t.Context(), entry(n)))
		}
		last = must1(s.AuditExport(t.Context(), &file, last))(t)
		if again := must1(s.AuditExport(t.Context(), &file, last))(t); again != exportPage+13 {
			t.Errorf("AuditExport() = %d; want %d", again, exportPage+13)
		}
		want := must1(s.AuditVerify(t.Context()))(t)
		if got := must1(VerifyExport(bytes.NewReader(file.Bytes())))(t); got != want {
			t.Errorf("VerifyExport() = %+v; want %+v", got, want)
		}
		lines := strings.SplitAfter(file.String(), "\n")
		for name, c := range map[string]struct {
			text string
			seq  int64
		}{
			"a word changed":    {strings.Replace(file.String(), "production/4", "production/x", 1), 5},
			"a line taken out":  {strings.Join(append(append([]string{}, lines[:7]...), lines[8:]...), ""), 8},
			"a line twice":      {lines[0] + file.String(), 2},
			"a field added":     {strings.Replace(file.String(), `{"seq":1,`, `{"extra":1,"seq":1,`, 1), 1},
			"no JSON":           {lines[0] + "nonsense\n", 2},
			"a time shifted":    {strings.Replace(file.String(), `"at":1`, `"at":2`, 1), 1},
			"spaces in a value": {strings.Replace(file.String(), `"actor":"ada"`, `"actor": "ada"`, 1), 1},
		} {
			_, err := VerifyExport(strings.NewReader(c.text))
			if tampered, ok := errors.AsType[*TamperedError](err); !ok || tampered.Seq != c.seq {
				t.Errorf("%s: VerifyExport() = %v; want entry %d", name, err, c.seq)
			}
		}
	}},
}
