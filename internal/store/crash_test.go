package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/store/postgrestest"
)

// A process that has childEnv runs no test: it does what its value says with the database at urlEnv, until it is killed.
const (
	childEnv = "BOATLIFT_STORE_TEST_CHILD"
	urlEnv   = "BOATLIFT_STORE_TEST_URL"
)

func TestMain(m *testing.M) {
	postgrestest.Main()
	switch role := os.Getenv(childEnv); role {
	case "":
		code := m.Run()
		ownCluster.Stop()
		os.Exit(code)
	default:
		os.Exit(untilKilled(role))
	}
}

// untilKilled accepts deliveries from many senders, or does turns, and prints a line for each one that was acknowledged.
func untilKilled(role string) int {
	ctx := context.Background()
	s, err := Open(ctx, os.Getenv(urlEnv), Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	lines := make(chan string)
	for n := range 16 {
		go func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%02d-%06d", n, i) // of one length, so that none is the beginning of another
				var err error
				if role == "accept" {
					_, err = s.Accept(ctx, hookOf(id), []Push{pushOf(web, id, i), pushOf(worker, id, i)}, []promotion.RepoKey{promotion.RepoKey("github/" + id)})
				} else {
					id, err = oneTurn(ctx, s, fmt.Sprintf("%s-%d", role, n))
				}
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					return
				}
				lines <- id
			}
		}()
	}
	for line := range lines {
		fmt.Println(line)
	}
	return 0
}

// oneTurn does a turn that writes to several tables and wakes its repo again; it returns the digest that all of them have.
func oneTurn(ctx context.Context, s *Store, owner string) (string, error) {
	for {
		c, err := s.Claim(ctx, owner, time.Second)
		if err != nil {
			return "", err
		}
		if c == nil {
			<-s.Notify()
			continue
		}
		sum := fmt.Sprintf("%s@%d", c.Repo, c.Token)
		err = s.Update(ctx, c, func(tx *Tx) error {
			tx.SaveListings(c.Repo, []promotion.Listing{{Environment: "e", Image: web, Tag: sum}, {Environment: "e", Image: worker, Tag: sum}})
			tx.SaveNotes(c.Repo, []promotion.Note{{Say: sum}})
			tx.SaveTag(Tag{Image: web, Tag: fmt.Sprint(c.Token % 3), Digest: digest(int(c.Token))})
			tx.SaveTag(Tag{Image: web, Tag: fmt.Sprint(c.Token % 2), Digest: digest(int(c.Token))})
			tx.Audit(AuditEntry{Action: "turn", Subject: sum})
			return nil
		})
		if err == nil {
			err = s.Finish(ctx, c, Finish{Wake: []promotion.RepoKey{c.Repo}})
		}
		if errors.Is(err, ErrLost) {
			continue // another one took it over
		}
		return sum, err
	}
}

// childOf runs a child process on a database.
func childOf(t *testing.T, role, url string) (child *exec.Cmd, lines *bufio.Scanner) {
	t.Helper()
	child = exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childEnv+"="+role, urlEnv+"="+url)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	return child, bufio.NewScanner(out)
}

// killedAfter runs a child process, kills it in the middle of its work and returns what it had printed.
func killedAfter(t *testing.T, role, url string, n int) (acknowledged []string) {
	t.Helper()
	child, lines := childOf(t, role, url)
	for lines.Scan() {
		acknowledged = append(acknowledged, lines.Text())
		if len(acknowledged) == n {
			must(t, child.Process.Kill())
		}
	}
	_ = child.Wait() // it was killed
	if len(acknowledged) < n {
		t.Fatalf("the child acknowledged %d times only", len(acknowledged))
	}
	return acknowledged
}

func TestKilledInTheMiddleOfAccepts(t *testing.T) {
	t.Parallel()
	for round := range 3 {
		path := filepath.Join(t.TempDir(), "boatlift.db")
		acknowledged := killedAfter(t, "accept", "sqlite:"+path, 150+round*73)
		s := openAt(t, path)
		allAccepted(t, s, acknowledged)
		must(t, s.Close())
	}
}

// allAccepted checks that a crash took nothing that was acknowledged and left nothing half done.
func allAccepted(t *testing.T, s *Store, acknowledged []string) {
	t.Helper()
	work := pending(t, s)
	stored := must1(s.Deliveries(t.Context(), DeliveryFilter{Limit: 1 << 30}))(t)
	there := map[string]bool{}
	for _, d := range stored {
		there[d.DeliveryID] = true
		if !work[promotion.RepoKey("github/"+d.DeliveryID)] {
			t.Errorf("delivery %s is there without its work", d.DeliveryID)
		}
	}
	for _, id := range acknowledged {
		if !there[id] {
			t.Errorf("delivery %s was acknowledged and is gone", id)
		}
	}
	if pushes := must1(s.Pushes(t.Context(), []image.Name{web, worker}, time.Time{}))(t); len(pushes) != 2*len(stored) || len(work) != len(stored) {
		t.Errorf("%d deliveries with %d pushes and %d repos", len(stored), len(pushes), len(work))
	}
	if got := must1(s.Accept(t.Context(), hookOf(acknowledged[0]), nil, nil))(t); !got.Known {
		t.Error("a delivery is not known after the crash")
	}
}

func TestPostgresClientKilledInTheMiddleOfAccepts(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	acknowledged := killedAfter(t, "accept", url, 223)
	s := openURL(t, url)
	must(t, s.Ping(t.Context())) // waits for what the dead one had locked, if the server has not noticed yet
	allAccepted(t, s, acknowledged)
}

// TestKilledInTheMiddleOfTurns kills one of two processes that share the work, and then the other one.
func TestKilledInTheMiddleOfTurns(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]func(t *testing.T) string{
		"SQLite":     func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "boatlift.db") },
		"PostgreSQL": func(t *testing.T) string { return newDatabase(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := url(t)
			s := openURL(t, url)
			shared := s.dialect.shared
			var repos []Repo
			for i := range 6 {
				repos = append(repos, infra(promotion.RepoKey(fmt.Sprintf("github/%d", i)), fmt.Sprint("acme/", i)))
			}
			must(t, second(s.UpsertRepos(t.Context(), "github", repos)))
			must(t, s.Close())
			acknowledged := map[string]bool{}
			var first *exec.Cmd
			var firstLines *bufio.Scanner
			if shared {
				first, firstLines = childOf(t, "one", url)
			}
			for _, sum := range killedAfter(t, "two", url, 60) {
				acknowledged[sum] = true
			}
			if shared {
				for n := 0; firstLines.Scan(); n++ { // goes on, and takes over what the other one had
					acknowledged[firstLines.Text()] = true
					if n == 150 {
						must(t, first.Process.Kill())
					}
				}
				_ = first.Wait() // it was killed
			}
			s = openURL(t, url)
			taken := map[promotion.RepoKey]bool{}
			for len(taken) < len(repos) { // when the leases of the dead have ended, by the database's clock
				if c := must1(s.Claim(t.Context(), "after", time.Hour))(t); c != nil {
					taken[c.Repo] = true
				} else {
					<-s.Notify()
				}
			}
			must(t, second(s.AuditVerify(t.Context())))
			last := map[string]string{}
			for _, e := range must1(s.AuditTail(t.Context(), AuditFilter{Limit: 100_000}))(t) {
				delete(acknowledged, e.Subject)
				var repo string
				var token int64
				if _, err := fmt.Sscanf(e.Subject, "github/%1s@%d", &repo, &token); err != nil {
					t.Fatal(err)
				}
				if key := "github/" + repo; last[key] == "" {
					last[key] = e.Subject
				}
			}
			if len(acknowledged) > 0 {
				t.Errorf("turns %v were acknowledged and are gone", acknowledged)
			}
			for key := range taken {
				m := must1(s.Memory(t.Context(), key))(t)
				if want := last[string(key)]; len(m.Listings) != 2 || len(m.Notes) != 1 || m.Listings[0].Tag != want || m.Listings[1].Tag != want || m.Notes[0].Say != want {
					t.Errorf("%s has %+v and %+v; want one turn's, %s", key, m.Listings, m.Notes, want)
				}
			}
		})
	}
}

// TestPostgresServerCrashes crashes the server again and again while replicas work: what was acknowledged stays, and they go on alone.
func TestPostgresServerCrashes(t *testing.T) {
	t.Parallel()
	c := postgrestest.NewCluster(t)
	stores := []*Store{openURL(t, c.URL("postgres")), openURL(t, c.URL("postgres"))}
	type accepted struct {
		id  string
		err error
	}
	answers := make(chan accepted)
	stop := make(chan struct{})
	var senders sync.WaitGroup
	for n := range 8 {
		senders.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%02d-%06d", n, i) // of one length, so that none is the beginning of another
				_, err := stores[n%2].Accept(t.Context(), hookOf(id), nil, []promotion.RepoKey{promotion.RepoKey("github/" + fmt.Sprint(i%50))})
				select {
				case answers <- accepted{id, err}:
				case <-stop:
					return
				}
			}
		})
	}
	acknowledged := map[string]bool{}
	for range 2 {
		for before := len(acknowledged); len(acknowledged) < before+60; { // it goes on by itself
			a := <-answers
			if a.err == nil {
				acknowledged[a.id] = true
			} else if unavailable, ok := errors.AsType[*UnavailableError](a.err); !ok || unavailable.Fault != Away {
				t.Errorf("Accept() around a crash = %v; want it away", a.err)
			}
		}
		crashed := make(chan error, 1)
		go func() { crashed <- errors.Join(c.Do("immediate"), c.Do("start")) }()
		for up := false; !up; {
			select {
			case a := <-answers:
				if a.err == nil {
					acknowledged[a.id] = true
				}
			case err := <-crashed:
				must(t, err)
				up = true
			}
		}
	}
	close(stop)
	senders.Wait()
	there := map[string]bool{}
	for _, d := range must1(stores[0].Deliveries(t.Context(), DeliveryFilter{Limit: 1 << 30}))(t) {
		there[d.DeliveryID] = true
	}
	for id := range acknowledged {
		if !there[id] {
			t.Errorf("delivery %s was acknowledged and is gone", id)
		}
	}
}
