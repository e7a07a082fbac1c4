package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/promotion"
)

func TestSQLite(t *testing.T) {
	t.Parallel()
	suite(t, openSQLite)
}

func TestSQLiteInMemory(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), "sqlite::memory:", Options{})
	must(t, err)
	other, err := Open(t.Context(), "sqlite::memory:", Options{})
	must(t, err)
	must(t, s.Wake(t.Context(), acceptance))
	if len(pending(t, s)) != 1 || len(pending(t, other)) != 0 {
		t.Error("two stores in memory are not apart")
	}
	must(t, s.Close())
	must(t, other.Close())
}

// openSQLite opens an empty database as a server does.
func openSQLite(t *testing.T) *Store {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "boatlift.db"))
}

func openAt(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), "sqlite:"+path, Options{})
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

func TestSecondProcessIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "boatlift.db")
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childEnv+"=accept", urlEnv+"=sqlite:"+path)
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	must(t, os.Symlink(path, filepath.Join(dir, "link.db")))
	for _, name := range []string{path, filepath.Join(dir, "link.db"), filepath.Join(dir, ".", "x", "..", "boatlift.db"), "//" + path} {
		_, err := Open(t.Context(), "sqlite:"+name, Options{})
		locked, ok := errors.AsType[*LockedError](err)
		if !ok || locked.PID != child.Process.Pid || locked.File != path+".lock" || locked.Hint() == "" || !locked.Permanent() {
			t.Errorf("Open(%s) beside process %d = %v", name, child.Process.Pid, err)
		}
	}
	must(t, child.Process.Kill())
	_ = child.Wait() // it was killed
	s := openAt(t, path)
	if _, err := Open(t.Context(), "sqlite:"+path, Options{}); err == nil || !strings.Contains(err.Error(), "process "+strconv.Itoa(os.Getpid())) {
		t.Errorf("Open() a second time in one process = %v; want it refused", err)
	}
	must(t, s.Close())
	again := openAt(t, path)
	must(t, again.Ping(t.Context()))
}

func TestOpenAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a dir? with % and #", "boatlift.db")
	must(t, os.Mkdir(filepath.Dir(path), 0o700))
	s := openAt(t, path)
	must(t, s.Wake(t.Context(), acceptance))
	must(t, s.Close())
	must(t, s.Close()) // twice is once
	if err := s.Wake(t.Context(), acceptance); err == nil {
		t.Error("a closed store takes work")
	} else if unavailable, ok := errors.AsType[*UnavailableError](err); !ok || unavailable.RetryAfter() <= 0 {
		t.Errorf("a closed store says %v; want *UnavailableError", err)
	}
	s = openAt(t, path) // the migrations run a second time
	if !pending(t, s)[acceptance] {
		t.Error("the work is gone")
	}
	info, err := os.Stat(path)
	must(t, err)
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v; want it for its user only", info.Mode())
	}
	if entries, err := os.ReadDir(filepath.Dir(filepath.Dir(path))); err != nil || len(entries) != 1 {
		t.Errorf("the path was cut: %v, %v", entries, err)
	}
	change(t, s, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)`)
	must(t, s.Close())
	_, err = Open(t.Context(), "sqlite:"+path, Options{})
	if newer, ok := errors.AsType[*NewerError](err); !ok || newer.Database != 999 || newer.Hint() == "" {
		t.Errorf("Open() of a later version's database = %v; want *NewerError", err)
	}
}

func TestCloseWaitsForTransactions(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "boatlift.db")
	s := openAt(t, path)
	acknowledged := make(chan string, 1<<16)
	var all sync.WaitGroup
	for sender := range 8 {
		all.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%d-%d", sender, i)
				_, err := s.Accept(context.WithoutCancel(t.Context()), hookOf(id), nil, nil)
				if unavailable, ok := errors.AsType[*UnavailableError](err); ok && unavailable.Say == "the database is closed" {
					return
				}
				if err != nil {
					t.Errorf("Accept() while the store closes = %v", err)
					return
				}
				acknowledged <- id
			}
		})
	}
	for range 50 {
		<-acknowledged
	}
	must(t, s.Close())
	next := openAt(t, path) // at once: the lock is free, and nothing of the old store is under way
	all.Wait()
	close(acknowledged)
	for id := range acknowledged {
		if _, found, err := next.Delivery(t.Context(), id); !found || err != nil {
			t.Errorf("delivery %s was acknowledged and is gone: %v", id, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage.db")
	must(t, os.WriteFile(garbage, []byte(strings.Repeat("this is no database ", 500)), 0o600))
	for url, want := range map[string]string{
		"boatlift.db":                         "no scheme",
		"mysql://host/db":                     "not known",
		"sqlite:":                             "no path",
		"sqlite:" + dir + "/none/boatlift.db": "directory has to exist",
		"sqlite:" + dir:                       "is a directory",
		"sqlite:" + garbage:                   "damaged",
	} {
		s, err := Open(t.Context(), url, Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%s) = %v, %v; want %q", url, s, err, want)
		}
		if strings.Contains(url, "mysql") && strings.Contains(err.Error(), "host") {
			t.Errorf("Open(%s) repeats what may hold a password: %v", url, err)
		}
	}
}

func TestPragmas(t *testing.T) {
	t.Parallel()
	s := openSQLite(t)
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000"} {
		for name, p := range map[string]*pool{"writer": s.writer, "reader": s.reader} {
			var got string
			must(t, p.db.QueryRowContext(t.Context(), `PRAGMA `+pragma).Scan(&got))
			if got != want {
				t.Errorf("%s of the %s = %s; want %s", pragma, name, got, want)
			}
		}
	}
	if _, err := s.reader.db.ExecContext(t.Context(), `DELETE FROM work`); err == nil {
		t.Error("a reader writes")
	}
}

func TestDiskFull(t *testing.T) {
	t.Parallel()
	s := openSQLite(t)
	must(t, second(s.Accept(t.Context(), hookOf("before"), nil, []promotion.RepoKey{acceptance})))
	var pages int
	must(t, s.writer.db.QueryRowContext(t.Context(), `PRAGMA page_count`).Scan(&pages))
	change(t, s, fmt.Sprintf(`PRAGMA max_page_count = %d`, pages+4))
	var all sync.WaitGroup
	var mu sync.Mutex
	acknowledged := map[string]bool{"before": true}
	full := 0
	for sender := range 8 {
		all.Go(func() {
			for i := range 20 {
				d := hookOf(fmt.Sprintf("%d-%d", sender, i))
				d.Body = make([]byte, 3000)
				_, err := s.Accept(t.Context(), d, []Push{pushOf(web, "1", 1)}, []promotion.RepoKey{promotion.RepoKey("github/" + d.DeliveryID)})
				mu.Lock()
				if err == nil {
					acknowledged[d.DeliveryID] = true
				} else if unavailable, ok := errors.AsType[*UnavailableError](err); ok && unavailable.Say == "the disk is full" && unavailable.RetryAfter() > 0 {
					full++
				} else {
					t.Errorf("Accept() = %v; want *UnavailableError", err)
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if full == 0 {
		t.Fatal("the disk was never full")
	}
	list := must1(s.Deliveries(t.Context(), DeliveryFilter{Limit: 1000}))(t)
	if len(list) != len(acknowledged) {
		t.Errorf("%d deliveries are there; %d were acknowledged", len(list), len(acknowledged))
	}
	for _, d := range list {
		if !acknowledged[d.DeliveryID] {
			t.Errorf("%s is there, and its sender was told otherwise", d.DeliveryID)
		}
	}
	change(t, s, `PRAGMA max_page_count = 1000000`)
	must(t, second(s.Accept(t.Context(), hookOf("after"), nil, nil)))
}

func TestClaimReadsTheHeadOfAnIndex(t *testing.T) {
	t.Parallel()
	s := openSQLite(t)
	fillWork(t, s, 10_000)
	for _, text := range []string{
		`SELECT 1 FROM work WHERE ` + due + ` LIMIT 1`,
		`SELECT repo FROM work WHERE ` + due + ` ORDER BY due_at, repo LIMIT 1`,
		`SELECT due_at, {now} FROM work WHERE due_at > 0 ORDER BY due_at LIMIT 1`,
	} {
		q := s.conn(s.reader)
		rows, err := s.reader.db.QueryContext(t.Context(), `EXPLAIN QUERY PLAN `+q.text(text))
		must(t, err)
		var plan []string
		for rows.Next() {
			var id, parent, unused int
			var detail string
			must(t, rows.Scan(&id, &parent, &unused, &detail))
			plan = append(plan, detail)
		}
		must(t, rows.Err())
		if got := strings.Join(plan, "; "); !strings.HasPrefix(got, "SEARCH work USING COVERING INDEX work_due (due_at>?") || strings.Contains(got, "TEMP B-TREE") {
			t.Errorf("%s: %s", text, got)
		}
	}
	seen := map[promotion.RepoKey]bool{}
	for range 100 {
		c := must1(s.Claim(t.Context(), "a", time.Minute))(t)
		if c == nil || seen[c.Repo] {
			t.Fatalf("Claim() = %+v after %d", c, len(seen))
		}
		seen[c.Repo] = true
	}
}

// fillWork makes rows of work of which every fourth is due.
func fillWork(tb testing.TB, s *Store, n int) {
	tb.Helper()
	err := s.write(tb.Context(), "fill", func(ctx context.Context, q *conn) error {
		for i := range n {
			if _, err := q.exec(ctx, `INSERT INTO work (repo, wanted, done, wake_at, owner, lease_until, token, claimed_at, attempts, last_error, not_before, due_at)
				VALUES ($1, $2, 1, 0, '', 0, 0, 0, 0, '', 0, $3)`, fmt.Sprintf("github/%d", i), 1+i%2, []int{0, 1 + i, 1 << 60, 0}[i%4]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
}
