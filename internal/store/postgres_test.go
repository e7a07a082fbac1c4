package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/store/postgrestest"
)

func TestPostgres(t *testing.T) {
	t.Parallel()
	suite(t, openPostgres)
}

// openPostgres opens an empty database as a server does.
func openPostgres(t *testing.T) *Store {
	t.Helper()
	return openURL(t, newDatabase(t))
}

func openURL(t *testing.T, url string) *Store {
	t.Helper()
	s, err := Open(t.Context(), url, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// run runs a statement as the tests' own user.
func run(t *testing.T, url, text string) {
	t.Helper()
	db, err := sql.Open("pgx", url)
	must(t, err)
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), text); err != nil {
		t.Fatal(err)
	}
}

// as puts another user, and settings, into a database's URL.
func as(url, user, settings string) string {
	return strings.Replace(url, "user=boatlift", "user="+user, 1) + settings
}

const secret = "s3cr3t:p@ss/w#rd"

func TestPostgresSaysWhyItIsUnavailable(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	if !strings.Contains(url, "user=boatlift") {
		t.Skip("SKIPPED: the users of a PostgreSQL that the tests did not start are not theirs to make")
	}
	user := fmt.Sprintf("limited_%d", os.Getpid())
	for _, text := range []string{
		`CREATE ROLE guarded LOGIN PASSWORD '` + secret + `'`,
		`CREATE ROLE ` + user + ` LOGIN CONNECTION LIMIT 1`,
		`CREATE ROLE reader LOGIN`,
		`ALTER ROLE reader SET default_transaction_read_only = on`,
		`CREATE ROLE stranger LOGIN`,
	} {
		run(t, url, text)
	}
	old := ownCluster.URL("latin")
	run(t, url, `CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0`)
	empty := ownCluster.URL("empty")
	run(t, url, `CREATE DATABASE empty TEMPLATE template0`)
	nowhere, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, nowhere.Close())
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	must(t, err)
	defer silent.Close()
	holder, err := sql.Open("pgx", as(url, user, ""))
	must(t, err)
	defer holder.Close()
	must(t, holder.PingContext(t.Context()))
	for name, c := range map[string]struct {
		url   string
		fault Fault
		want  string
	}{
		"nobody listens":     {"postgres://boatlift:" + urlPassword() + "@" + nowhere.Addr().String() + "/boatlift", Away, "cannot be reached"},
		"no answer":          {"postgres://boatlift:" + urlPassword() + "@" + silent.Addr().String() + "/boatlift?connect_timeout=1", Away, "cannot be reached"},
		"no such host":       {"postgres://boatlift:" + urlPassword() + "@host.invalid/boatlift", Away, "cannot be reached"},
		"no such database":   {ownCluster.URL("nothing"), Access, "no such database"},
		"a wrong password":   {as(url, "guarded", "&password=wrong-"+urlPassword()), Access, "refuses the user or the password"},
		"no such user":       {as(url, "nobody", ""), Access, "refuses the user or the password"},
		"no connection left": {as(url, user, ""), Connections, "no connection left"},
		"a read-only user":   {as(url, "reader", ""), ReadOnly, "read-only"},
		"no right to create": {as(empty, "stranger", ""), Access, "may not do that"},
		"no right to read":   {as(url, "stranger", ""), Access, "may not do that"},
		"another encoding":   {old, "", "LATIN1"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			var log bytes.Buffer
			_, err := Open(t.Context(), c.url, Options{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("Open() = %v; want %q", err, c.want)
			}
			if c.fault != "" {
				unavailable, ok := errors.AsType[*UnavailableError](err)
				if !ok || unavailable.Fault != c.fault || unavailable.Hint() == "" || unavailable.RetryAfter() <= 0 {
					t.Errorf("Open() = %+v; want an *UnavailableError: %s", err, c.fault)
				}
			} else if encoding, ok := errors.AsType[*EncodingError](err); !ok || encoding.Hint() == "" || !encoding.Permanent() {
				t.Errorf("Open() = %+v; want an *EncodingError", err)
			}
			for ; err != nil; err = errors.Unwrap(err) {
				for _, text := range []string{err.Error(), fmt.Sprintf("%+v", err), log.String()} {
					if strings.Contains(text, "s3cr3t") || strings.Contains(text, "w#rd") || strings.Contains(text, "\n\t") {
						t.Errorf("it tells the password, or is long: %s", text)
					}
				}
			}
		})
	}
	s, err := Open(t.Context(), as(url, "guarded", "&password=wrong"), Options{Password: func(context.Context) (string, error) { return secret, nil }})
	if err == nil || !strings.Contains(err.Error(), "may not do that") { // the password is right
		t.Errorf("Open() with the right password = %v, %v", s, err)
	}
	_, err = Open(t.Context(), url, Options{Password: func(context.Context) (string, error) { return "", os.ErrPermission }})
	if unavailable, ok := errors.AsType[*UnavailableError](err); !ok || unavailable.Fault != Access || !errors.Is(err, os.ErrPermission) {
		t.Errorf("Open() without a password = %v", err)
	}
}

// urlPassword is the secret as it stands in a URL.
func urlPassword() string { return "s3cr3t%3Ap%40ss%2Fw%23rd" }

func TestPostgresURLsThatAreWrong(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"postgres:boatlift":                                  "not of the form",
		"postgres:/boatlift":                                 "not of the form",
		"postgres://u:s3cr3t:p@ss/w#rd@host/db":              "has a #", // not encoded
		"postgres://u:s3cr3t:p@ss/wrd@host/db":               "late @",
		"postgres://u:s3cr3t#rd@host/db":                     "not of the form",
		"postgres://u:s3cr3t@host/db#rd":                     "has a #",
		"postgres://u:s3cr3t@host:s3cr3t/db":                 "not of the form",
		"postgres://u:s3cr3t@host:99999/db":                  "one of its settings",
		"postgres://u:s3cr3t@host/db?sslmode=s3cr3t":         "one of its settings",
		"postgres://u:s3cr3t@host/db?pool_max_conns=1":       "from 2 to 1000",
		"postgres://u@host/db?password=s3cr3t&password=w#rd": "has a #",
		"postgres://u@host/db?password=s3cr3t&password=wrd":  "twice",
		"postgresql://u:s3cr3t%zz@host/db":                   "not of the form",
	} {
		_, err := Open(t.Context(), url, Options{})
		if refused, ok := errors.AsType[*URLError](err); !ok || !strings.Contains(err.Error(), want) || refused.Hint() == "" || !refused.Permanent() {
			t.Errorf("Open(%s) = %v; want %q", url, err, want)
		} else if strings.Contains(err.Error(), "s3cr3t") || strings.Contains(err.Error(), "rd@") {
			t.Errorf("Open(%s) repeats what may be the password: %v", url, err)
		}
	}
}

func TestPostgresSettings(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	run(t, url, `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$`)
	s := openURL(t, url+"&pool_max_conns=6")
	if w, r := s.writer.db.Stats().MaxOpenConnections, s.reader.db.Stats().MaxOpenConnections; w != 4 || r != 2 {
		t.Errorf("%d connections write and %d read; want 4 and 2", w, r)
	}
	for setting, want := range map[string]string{
		"application_name": "boatlift", "synchronous_commit": "on", "statement_timeout": "15s", "lock_timeout": "8s",
		"client_encoding": "UTF8", "idle_in_transaction_session_timeout": "5s",
	} {
		var got string
		must(t, s.writer.db.QueryRowContext(t.Context(), `SHOW `+setting).Scan(&got))
		if got != want {
			t.Errorf("%s = %s; want %s", setting, got, want)
		}
	}
	other := openURL(t, url+"&application_name=mine&synchronous_commit=local&statement_timeout=7000")
	for setting, want := range map[string]string{"application_name": "mine", "synchronous_commit": "local", "statement_timeout": "7s"} {
		var got string
		must(t, other.writer.db.QueryRowContext(t.Context(), `SHOW `+setting).Scan(&got))
		if got != want {
			t.Errorf("%s = %s; want what the URL says, %s", setting, got, want)
		}
	}
	if err := s.read(t.Context(), "write", func(ctx context.Context, q *conn) error { return second(q.exec(ctx, `DELETE FROM work`)) }); err == nil {
		t.Error("a read writes")
	}
}

func TestPostgresComparesAsSQLite(t *testing.T) {
	t.Parallel()
	s := openPostgres(t)
	rows, err := s.reader.db.QueryContext(t.Context(), `SELECT table_name, column_name, collation_name FROM information_schema.columns
		WHERE table_schema = 'public' AND data_type = 'text' AND table_name <> 'goose_db_version' AND collation_name IS DISTINCT FROM 'C'`)
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var table, column string
		var collation sql.NullString
		must(t, rows.Scan(&table, &column, &collation))
		t.Errorf("%s.%s is compared by %q; want byte by byte", table, column, collation.String)
	}
	must(t, rows.Err())
	keys := []promotion.RepoKey{"github/10", "github/9", "GitHub/9", "github/é", "github/_", "github/z"}
	must(t, s.Wake(t.Context(), keys...))
	var got []promotion.RepoKey
	for _, w := range must1(s.Work(t.Context()))(t) {
		got = append(got, w.Repo)
	}
	slices.Sort(keys)
	if !slices.Equal(got, keys) {
		t.Errorf("Work() is in the order %v; want %v", got, keys)
	}
}

func TestPostgresClaimReadsTheHeadOfAnIndex(t *testing.T) {
	t.Parallel()
	s := openPostgres(t)
	fillWork(t, s, 10_000)
	change(t, s, `ANALYZE work`)
	for _, text := range []string{
		`SELECT repo FROM work WHERE ` + due + ` ORDER BY due_at, repo LIMIT 1 {skip locked}`,
		`SELECT 1 FROM work WHERE ` + due + ` ORDER BY due_at LIMIT 1`,
		`SELECT due_at, {now} FROM work WHERE due_at > 0 ORDER BY due_at LIMIT 1`,
	} {
		rows, err := s.reader.db.QueryContext(t.Context(), `EXPLAIN (COSTS OFF) `+s.conn(s.reader).text(text))
		must(t, err)
		var plan []string
		for rows.Next() {
			var line string
			must(t, rows.Scan(&line))
			plan = append(plan, line)
		}
		must(t, rows.Err())
		if got := strings.Join(plan, "\n"); !strings.Contains(got, "work_due") || strings.Contains(got, "Sort") || strings.Contains(got, "Seq Scan") {
			t.Errorf("%s:\n%s", text, got)
		}
	}
}

func TestPostgresStatementsEnd(t *testing.T) {
	t.Parallel()
	s := openURL(t, newDatabase(t)+"&statement_timeout=50&lock_timeout=50")
	err := s.write(t.Context(), "sleep", func(ctx context.Context, q *conn) error { return second(q.exec(ctx, `SELECT pg_sleep(60)`)) })
	if unavailable, ok := errors.AsType[*UnavailableError](err); !ok || unavailable.Fault != Busy {
		t.Errorf("a statement without end = %v; want it ended", err)
	}
	err = s.write(t.Context(), "wait", func(ctx context.Context, q *conn) error {
		if _, err := q.exec(ctx, `UPDATE counters SET last = last`); err != nil {
			return err
		}
		return s.Ping(ctx) // waits for the row that is locked here
	})
	if unavailable, ok := errors.AsType[*UnavailableError](err); !ok || unavailable.Fault != Busy {
		t.Errorf("a wait for a lock without end = %v; want it ended", err)
	}
	slow := openURL(t, newDatabase(t))
	slow.dialect.writeLimit = 50 * time.Millisecond
	err = slow.write(t.Context(), "sleep", func(ctx context.Context, q *conn) error { return second(q.exec(ctx, `SELECT pg_sleep(60)`)) })
	if unavailable, ok := errors.AsType[*UnavailableError](err); !ok || unavailable.Fault != Busy {
		t.Errorf("a transaction without end = %v; want it ended", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	err = s.read(ctx, "read", func(ctx context.Context, q *conn) error {
		cancel(errors.ErrUnsupported)
		return second(q.exec(ctx, `SELECT pg_sleep(60)`))
	})
	if !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a read whose caller has gone = %v; want the caller's reason", err)
	}
	must(t, slow.Close())
	must(t, s.Ping(t.Context()))
}

// TestAReplicaThatFreezesInATransactionKeepsNobodyWaiting holds, as a process that is stopped does, what every audit entry needs.
func TestAReplicaThatFreezesInATransactionKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	frozen, other := openURL(t, url), openURL(t, url)
	tx, err := frozen.writer.db.BeginTx(t.Context(), nil)
	must(t, err)
	must(t, second(tx.ExecContext(t.Context(), `UPDATE counters SET last = last`)))
	must(t, other.Audit(t.Context(), entry(1)))
	if err := tx.Commit(); err == nil {
		t.Error("the transaction that others did not wait for could be committed")
	}
	must(t, frozen.Audit(t.Context(), entry(2)))
	if report := must1(other.AuditVerify(t.Context()))(t); report.Entries != 2 {
		t.Errorf("the trail has %d entries; want 2", report.Entries)
	}
}

func TestPostgresSchemaOfALaterVersion(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	s := openURL(t, url)
	must(t, s.Wake(t.Context(), acceptance))
	must(t, s.Close())
	must(t, s.Close()) // twice is once
	if err := s.Wake(t.Context(), acceptance); err == nil {
		t.Error("a closed store takes work")
	} else if unavailable, ok := errors.AsType[*UnavailableError](err); !ok || unavailable.Fault != Closed {
		t.Errorf("a closed store says %v; want *UnavailableError", err)
	}
	s = openURL(t, url)
	if !pending(t, s)[acceptance] {
		t.Error("the work is gone")
	}
	change(t, s, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, true)`)
	_, err := Open(t.Context(), url, Options{})
	if newer, ok := errors.AsType[*NewerError](err); !ok || newer.Database != 999 {
		t.Errorf("Open() of a later version's database = %v; want *NewerError", err)
	}
}

func TestPostgresTakesWhatAFileSystemTakes(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(t *testing.T) *Store{"SQLite": openSQLite, "PostgreSQL": openPostgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			discover(t, s, infra(production, "acme/infra"))
			var names []image.Name
			for n := range 200 {
				names = append(names, image.Name(fmt.Sprintf("registry-%d.acme.io/%x/web", n*7919, digest(n))))
			}
			turn(t, s, production, func(tx *Tx) {
				tx.SaveListings(production, []promotion.Listing{{Environment: "production", File: "a\xff\x00b/kustomization.yaml", Image: web}})
				tx.AddHold(promotion.Hold{Environment: "production", Images: names, Actor: "ada"})
				tx.AddHold(promotion.Hold{Environment: "production", Images: names, Actor: "bob"})
				tx.SaveNotes(production, []promotion.Note{{Say: "\xff\x00"}})
				tx.SaveRunning([]promotion.Running{{Environment: "production", SHA: "\x00", URL: "\xfe"}})
				tx.Audit(AuditEntry{Action: "a\xff", Subject: "\x00"})
			})
			m := must1(s.Memory(t.Context(), production))(t)
			if len(m.Holds) != 1 || len(m.Holds[0].Images) != 200 || m.Holds[0].Actor != "ada" {
				t.Errorf("%d holds; want the first one on 200 images", len(m.Holds))
			}
			if m.Listings[0].File != "a\uFFFDb/kustomization.yaml" {
				t.Errorf("the file is %q", m.Listings[0].File)
			}
			turn(t, s, production, func(tx *Tx) { tx.LiftHolds("production", names[:1]) })
			if left := must1(s.Holds(t.Context(), HoldFilter{}))(t); len(left) != 1 || len(left[0].Images) != 199 {
				t.Errorf("%d holds are left; want one on 199 images", len(left))
			}
			must(t, second(s.AuditVerify(t.Context())))
			if _, err := s.Deliveries(t.Context(), DeliveryFilter{Sender: "\xff\x00"}); err != nil {
				t.Errorf("a filter that fits nothing = %v", err)
			}
		})
	}
}

func TestPostgresStandby(t *testing.T) {
	t.Parallel()
	c := postgrestest.NewCluster(t)
	s := openURL(t, c.URL("postgres"))
	must(t, s.Wake(t.Context(), acceptance))
	must(t, c.Do("fast"))
	must(t, os.WriteFile(filepath.Join(c.Dir(), "data", "standby.signal"), nil, 0o644))
	err := s.Wake(t.Context(), acceptance)
	if unavailable, ok := errors.AsType[*UnavailableError](err); !ok || unavailable.Fault != Away {
		t.Errorf("Wake() without a server = %v; want it away", err)
	}
	must(t, c.Do("start"))
	err = s.Wake(t.Context(), acceptance)
	if unavailable, ok := errors.AsType[*UnavailableError](err); !ok || unavailable.Fault != ReadOnly {
		t.Errorf("Wake() on a standby = %v; want it read-only", err)
	}
	if _, err := Open(t.Context(), c.URL("postgres"), Options{}); err == nil || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("Open() of a standby = %v; want it refused", err)
	}
	primary := postgrestest.NewCluster(t)
	both := strings.Replace(c.URL("postgres"), "host="+c.Dir(), "host="+c.Dir()+","+primary.Dir(), 1)
	must(t, openURL(t, both).Wake(t.Context(), acceptance)) // finds the one that takes writes
	run(t, c.URL("postgres"), `SELECT pg_promote()`)
	must(t, s.Wake(t.Context(), acceptance))
}
