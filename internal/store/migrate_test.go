package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
)

// lived is a database in which there is something in every table.
func lived(t *testing.T, path string) *Store {
	t.Helper()
	s := openAt(t, path)
	discover(t, s, infra(production, "acme/infra"), infra(acceptance, "acme/infra-acceptance"), infra("github/3", "acme/gone"))
	must(t, s.SetRepoState(t.Context(), "github/3", RepoParked, "archived"))
	r := infra(production, "acme/infra")
	r.BaselineAt, r.Environments = time.Unix(5, 0).UTC(), []EnvRow{{Name: "production", Path: "p", Mode: promotion.Propose, After: []promotion.EnvRef{{Repo: "acme/infra-acceptance", Environment: "acceptance"}}}}
	turn(t, s, production, func(tx *Tx) {
		tx.SaveRepo(r)
		tx.SaveListings(production, []promotion.Listing{{Environment: "production", File: "a/kustomization.yaml", Entry: "web", Image: web, Tag: "1"}})
		tx.SaveRunning([]promotion.Running{{Environment: "production", SHA: "s", State: "succeeded"}})
		tx.SaveNotes(production, []promotion.Note{{Environment: "production", Image: worker, Say: "no rule — “yet”"}})
		tx.SavePromotion(promoted(production, "production", 1))
		tx.AddRejections(promotion.Rejection{Environment: "production", Image: web, Digest: digest(3), Promotion: "p", Actor: "ada", At: time.Unix(9, 0)})
		tx.AddHold(promotion.Hold{Environment: "production", Images: []image.Name{web}, Reason: "incident", Actor: "ada", At: time.Unix(9, 0)})
		tx.AddVerification(promotion.Verification{
			Environment: "production", Name: "smoke", Images: map[image.Name]image.Digest{web: digest(1)}, Passed: true, Actor: "ada", At: s.Now(),
		})
		tx.SaveCheck(production, 1, "h", "d")
		tx.SaveTag(Tag{Image: web, Tag: "1", Digest: digest(1)})
	})
	must(t, s.SaveFacts(t.Context(), map[image.Digest]image.Facts{digest(1): {Source: "https://github.com/acme/web", Version: "1"}}))
	must(t, second(s.SavePolled(t.Context(), Polled{Image: web, At: time.Unix(5, 0), Tags: []string{"1"}, Digests: map[string]image.Digest{"1": digest(1)}}, Found{})))
	c, _, err := s.ClaimPoll(t.Context(), "acme", "bot", time.Minute)
	must(t, err)
	must(t, s.FinishPoll(t.Context(), c, PollEnd{Failed: true, Rest: time.Hour, Reason: "HTTP 429"}))
	for n := range 450 { // more than one statement's worth
		d := hookOf(fmt.Sprint(n))
		d.Repos = []promotion.RepoKey{production}
		switch n % 3 {
		case 1:
			d.Body = nil
		case 2:
			d.Body = []byte{0, 0xff, byte(n)}
		}
		must(t, second(s.Accept(t.Context(), d, []Push{pushOf(web, fmt.Sprint(n), n)}, nil)))
		must(t, s.Audit(t.Context(), entry(n)))
	}
	must(t, second(s.TakeWrites(t.Context(), WriteRequest{Forge: "github", Installation: 7, Writes: 1, Limits: Limits{PerMinute: 80}, Within: time.Minute})))
	must(t, second(s.Accept(t.Context(), Delivery{Sender: "big", DeliveryID: "big", Outcome: Stored, Body: bytes.Repeat([]byte("x"), 5<<20)}, nil, nil)))
	return s
}

// everything is all that a store's readers give.
func everything(t *testing.T, s *Store) []any {
	t.Helper()
	var export bytes.Buffer
	must(t, second(s.AuditExport(t.Context(), &export, 0)))
	all := []any{
		must1(s.Deliveries(t.Context(), DeliveryFilter{Limit: 1000, Bodies: true}))(t),
		must1(s.Deliveries(t.Context(), DeliveryFilter{Repo: production, Limit: 1000}))(t),
		must1(s.Pushes(t.Context(), []image.Name{web}, time.Time{}))(t),
		must1(s.Tags(t.Context(), []image.Name{web}))(t),
		must1(s.Facts(t.Context(), []image.Digest{digest(1)}))(t),
		must1(s.Polls(t.Context()))(t),
		must1(s.PollsDue(t.Context()))(t),
		polledOf(t, s, web),
		must1(s.Repos(t.Context()))(t),
		must1(s.Work(t.Context()))(t),
		must1(s.Promotions(t.Context(), PromotionFilter{Image: web}))(t),
		must1(s.Downstream(t.Context(), "github", "acme/infra-acceptance", []string{"acceptance"}))(t),
		must1(s.AuditVerify(t.Context()))(t),
		export.String(),
	}
	for _, r := range must1(s.Repos(t.Context()))(t) {
		all = append(all, must1(s.Memory(t.Context(), r.Key))(t))
	}
	return all
}

// migrationTargets run a test with every engine as the target of a copy.
func migrationTargets(t *testing.T, run func(t *testing.T, open func(t *testing.T) *Store)) {
	t.Helper()
	for name, open := range map[string]func(t *testing.T) *Store{"SQLite": openSQLite, "PostgreSQL": openPostgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, open)
		})
	}
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	migrationTargets(t, func(t *testing.T, open func(t *testing.T) *Store) {
		from, to := lived(t, filepath.Join(t.TempDir(), "boatlift.db")), open(t)
		before := everything(t, from)
		seen := map[string]int64{}
		progress := func(table string, done, total int64) {
			if done < seen[table] || done > total {
				t.Errorf("progress of %s is %d of %d after %d", table, done, total, seen[table])
			}
			seen[table] = done
		}
		rehearsal := must1(Migrate(t.Context(), from, to, MigrateOptions{DryRun: true, Progress: progress}))(t)
		if empty := must1(to.Repos(t.Context()))(t); len(empty) != 0 {
			t.Fatalf("the dry run left %+v", empty)
		}
		clear(seen)
		report := must1(Migrate(t.Context(), from, to, MigrateOptions{Progress: progress}))(t)
		if rehearsal.DryRun = false; !reflect.DeepEqual(rehearsal, report) {
			t.Errorf("the dry run said %+v; then it was %+v", rehearsal, report)
		}
		for i, table := range report.Tables {
			if table.Table != migrated()[i] || table.Rows == 0 || seen[table.Table] != table.Rows {
				t.Errorf("table %d: %+v, progress %d; want %s with some", i, table, seen[table.Table], migrated()[i])
			}
		}
		if report.Audit.Entries != 450 || report.AuditFault != nil || report.Repaired != 0 || report.Rows < 2000 {
			t.Errorf("Migrate() = %+v", report)
		}
		after := everything(t, to)
		for i := range before {
			if !reflect.DeepEqual(after[i], before[i]) {
				t.Errorf("part %d is %.2000v\nwant %.2000v", i, after[i], before[i])
			}
		}
		if !reflect.DeepEqual(everything(t, from), before) {
			t.Error("the source was changed")
		}
		// and it goes on where the old one ended
		if got := must1(to.Accept(t.Context(), hookOf("17"), nil, nil))(t); !got.Known {
			t.Errorf("a delivery from before = %+v; want known", got)
		}
		if got := must1(to.Accept(t.Context(), hookOf("next"), []Push{pushOf(web, "2", 2)}, nil))(t); got.ID != 452 || !slices.Equal(got.Woken, []promotion.RepoKey{production}) {
			t.Errorf("Accept() = %+v; want number 452, and production woken", got)
		}
		must(t, to.Audit(t.Context(), entry(1)))
		must(t, second(to.AuditVerify(t.Context())))
		if c := must1(to.Claim(t.Context(), "a", time.Minute))(t); c == nil || c.Repo != production || c.Token != 3 {
			t.Errorf("Claim() = %+v; want production with its third token", c)
		}
		_, err := Migrate(t.Context(), from, to, MigrateOptions{})
		if refused, ok := errors.AsType[*MigrateError](err); !ok || !strings.Contains(err.Error(), "not empty") || refused.Hint() == "" || !refused.Permanent() {
			t.Errorf("Migrate() into what is there = %v; want it refused", err)
		}
	})
}

func TestMigrateRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	from := openAt(t, filepath.Join(dir, "boatlift.db"))
	if _, err := Open(t.Context(), "sqlite:"+filepath.Join(dir, "boatlift.db"), Options{}); err == nil {
		t.Error("a source that a bot runs on can be opened")
	}
	if _, err := Migrate(t.Context(), from, from, MigrateOptions{}); err == nil || !strings.Contains(err.Error(), "is the target") {
		t.Errorf("Migrate() into itself = %v", err)
	}
	to := openPostgres(t)
	if _, err := Migrate(t.Context(), to, from, MigrateOptions{}); err == nil || !strings.Contains(err.Error(), "not SQLite") {
		t.Errorf("Migrate() from PostgreSQL = %v", err)
	}
	must(t, to.Wake(t.Context(), "discover/github"))
	if _, err := Migrate(t.Context(), from, to, MigrateOptions{}); err == nil || !strings.Contains(err.Error(), "in work") {
		t.Errorf("Migrate() into a database on which a bot has started = %v", err)
	}
}

func TestMigrateIsAllOrNothing(t *testing.T) {
	t.Parallel()
	migrationTargets(t, func(t *testing.T, open func(t *testing.T) *Store) {
		from, to := lived(t, filepath.Join(t.TempDir(), "boatlift.db")), open(t)
		for _, table := range []string{"repos", "deliveries", "audit"} {
			ctx, cancel := context.WithCancelCause(t.Context())
			_, err := Migrate(ctx, from, to, MigrateOptions{Progress: func(name string, _, _ int64) {
				if name == table {
					cancel(errors.ErrUnsupported)
				}
			}})
			if !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("Migrate() ended during %s = %v", table, err)
			}
			for _, name := range migrated() {
				var n int
				text := `SELECT COUNT(*) FROM ` + name
				if name == "counters" {
					text += ` WHERE last > 0`
				}
				must(t, to.reader.db.QueryRowContext(t.Context(), text).Scan(&n))
				if n != 0 {
					t.Errorf("ended during %s, %d rows are in %s", table, n, name)
				}
			}
		}
		must(t, second(Migrate(t.Context(), from, to, MigrateOptions{})))
	})
}

func TestMigrateKeepsABrokenTrailAsItIs(t *testing.T) {
	t.Parallel()
	migrationTargets(t, func(t *testing.T, open func(t *testing.T) *Store) {
		from, to := openSQLite(t), open(t)
		for n := range 5 {
			must(t, from.Audit(t.Context(), entry(n)))
		}
		change(t, from, `UPDATE audit SET actor = 'eve' WHERE seq = 3`)
		report := must1(Migrate(t.Context(), from, to, MigrateOptions{}))(t)
		if report.AuditFault == nil || report.AuditFault.Seq != 3 || report.Audit.Entries != 2 {
			t.Errorf("Migrate() = %+v; want entry 3 named", report)
		}
		_, err := to.AuditVerify(t.Context())
		if fault, ok := errors.AsType[*TamperedError](err); !ok || *fault != *report.AuditFault {
			t.Errorf("AuditVerify() = %v; want what it was", err)
		}
	})
}

func TestMigrateRepairsWhatPostgresDoesNotStore(t *testing.T) {
	t.Parallel()
	migrationTargets(t, func(t *testing.T, open func(t *testing.T) *Store) {
		from, to := openSQLite(t), open(t)
		discover(t, from, infra(production, "acme/infra"))
		change(t, from, `UPDATE repos SET config_error = ?, state_reason = ?`, "a\x00b", "\xff")
		report := must1(Migrate(t.Context(), from, to, MigrateOptions{}))(t)
		r, _, err := to.Repo(t.Context(), production)
		must(t, err)
		if report.Repaired != 2 || r.ConfigError != "ab" || r.StateReason != "\uFFFD" {
			t.Errorf("Migrate() = %+v, and %q, %q", report, r.ConfigError, r.StateReason)
		}
	})
}

func TestEveryTableIsMigrated(t *testing.T) {
	t.Parallel()
	s := openSQLite(t)
	rows, err := s.reader.db.QueryContext(t.Context(), `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'goose_db_version'`)
	must(t, err)
	defer rows.Close()
	var tables []string
	for rows.Next() {
		var name string
		must(t, rows.Scan(&name))
		tables = append(tables, name)
	}
	must(t, rows.Err())
	slices.Sort(tables)
	if want := slices.Sorted(slices.Values(migrated())); !slices.Equal(tables, want) {
		t.Errorf("the tables are %v; Migrate copies %v", tables, want)
	}
}
