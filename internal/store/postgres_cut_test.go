package store

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
)

// cutter stands between a store and its server and breaks connections after some number of bytes, in the middle of whatever it is.
type cutter struct {
	listener net.Listener
	server   string
	all      sync.WaitGroup

	mu     sync.Mutex
	random *rand.Rand
	calm   bool // no more cuts
}

func newCutter(t *testing.T, url string) (c *cutter, through string) {
	t.Helper()
	_, rest, own := strings.Cut(url, "host=")
	if !own {
		t.Skip("SKIPPED: the way to a PostgreSQL that the tests did not start is not cut")
	}
	server, _, _ := strings.Cut(rest, "&")
	dir, err := os.MkdirTemp("", "cut") // short: the path of a socket may be 107 bytes long
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	c = &cutter{server: filepath.Join(server, ".s.PGSQL.5432"), random: rand.New(rand.NewPCG(1, 2))}
	c.listener, err = net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432"))
	must(t, err)
	c.all.Go(c.accept)
	t.Cleanup(func() {
		must(t, c.listener.Close())
		c.all.Wait()
	})
	return c, strings.Replace(url, "host="+server, "host="+dir, 1)
}

func (c *cutter) accept() {
	for {
		client, err := c.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("unix", c.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		c.mu.Lock()
		after := int64(2_000 + c.random.IntN(60_000))
		down := c.random.IntN(2) == 0 // which way is counted
		if c.calm {
			after = 1 << 60
		}
		c.mu.Unlock()
		end := sync.OnceFunc(func() {
			_ = client.Close()
			_ = server.Close()
		})
		pass := func(to io.Writer, from io.Reader, counted bool) {
			defer end()
			if counted {
				_, _ = io.CopyN(to, from, after)
			} else {
				_, _ = io.Copy(to, from)
			}
		}
		c.all.Go(func() { pass(server, client, !down) })
		c.all.Go(func() { pass(client, server, down) })
	}
}

// TestPostgresConnectionsBreak has senders send again what was not acknowledged, as they do, while connections break.
func TestPostgresConnectionsBreak(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	c, through := newCutter(t, url)
	direct := openURL(t, url)
	s, err := Open(t.Context(), through, Options{})
	for ; err != nil; s, err = Open(t.Context(), through, Options{}) {
		if unavailable, ok := errors.AsType[*UnavailableError](err); !ok || unavailable.Fault != Away {
			t.Fatalf("Open() over a connection that breaks = %v", err)
		}
	}
	defer func() { must(t, s.Close()) }()
	discover(t, direct, infra(production, "acme/infra"))
	const senders, each = 16, 60
	var all sync.WaitGroup
	for n := range senders {
		all.Go(func() {
			for i := range each {
				for {
					_, err := s.Accept(t.Context(), hookOf(fmt.Sprintf("%d-%d", n, i)), []Push{pushOf(web, "1", i)}, []promotion.RepoKey{production})
					if err == nil {
						break
					}
					if unavailable, ok := errors.AsType[*UnavailableError](err); !ok || unavailable.Fault != Away {
						t.Errorf("Accept() over a connection that broke = %v; want it away", err)
						return
					}
				}
			}
		})
	}
	turns := 0
	for range 40 {
		cl, err := s.Claim(t.Context(), "a", time.Millisecond) // a lost answer costs no more than that
		if err == nil && cl != nil {
			turns++
			err = s.Update(t.Context(), cl, func(tx *Tx) error { tx.Audit(AuditEntry{Action: "turn"}); return nil })
		}
		if _, away := errors.AsType[*UnavailableError](err); err != nil && !away && !errors.Is(err, ErrLost) {
			t.Errorf("a turn over connections that break = %v", err)
		}
	}
	all.Wait()
	c.mu.Lock()
	c.calm = true
	c.mu.Unlock()
	stored := must1(direct.Deliveries(t.Context(), DeliveryFilter{Limit: 1 << 20}))(t)
	pushes := must1(direct.Pushes(t.Context(), []image.Name{web}, time.Time{}))(t)
	if len(stored) != senders*each || len(pushes) != senders*each || stored[0].ID != senders*each {
		t.Errorf("%d deliveries up to number %d with %d pushes; want %d, each once", len(stored), stored[0].ID, len(pushes), senders*each)
	}
	if report := must1(direct.AuditVerify(t.Context()))(t); report.Entries > int64(turns) {
		t.Errorf("%d turns left %d audit entries", turns, report.Entries)
	}
}
