package hook_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/hook"
	"github.com/boatlift/boatlift/internal/store"
)

// BenchmarkAccepted measures deliveries from the request to the answer, without the network: proved, decoded, and durable in a
// database on the disk. Two repos list the image.
func BenchmarkAccepted(b *testing.B) {
	for _, kind := range []string{"distribution", "ghcr"} {
		for _, senders := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/senders=%d", kind, senders), func(b *testing.B) { accepted(b, kind, senders) })
		}
	}
}

func accepted(b *testing.B, kind string, senders int) {
	db, err := store.Open(b.Context(), "sqlite:"+filepath.Join(b.TempDir(), "boatlift.db"), store.Options{})
	must(b, err)
	defer func() { must(b, db.Close()) }()
	s := &scene{t: b, store: db}
	s.list(1, web, "ghcr.io/acme/web")
	s.list(2, web, "ghcr.io/acme/web")
	h := handler(b, hook.Options{Endpoints: endpoints(b), Inbox: db})

	took := make([]time.Duration, b.N)
	var next atomic.Int64
	var all sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for range senders {
		all.Go(func() {
			for {
				n := int(next.Add(1)) - 1
				if n >= b.N {
					return
				}
				r := envelope(pushed(fmt.Sprint("event-", n), "shop/web", "1.4.2"))
				if kind == "ghcr" {
					r = hubPush("ghcr", "1.4.2").with("X-GitHub-Delivery", fmt.Sprintf("a1b2c3d4-0000-4000-8000-%012d", n))
				}
				req, w := r.build(), httptest.NewRecorder()
				began := time.Now()
				h.ServeHTTP(w, req)
				took[n] = time.Since(began)
				if w.Code != http.StatusAccepted {
					b.Errorf("answer = %d %s; want 202", w.Code, w.Body)
					return
				}
			}
		})
	}
	all.Wait()
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "deliveries/s")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}
