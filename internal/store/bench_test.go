package store

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/promotion"
)

// engines runs a benchmark on both engines. PostgreSQL flushes to the disk too, as long as a benchmark is asked for.
func engines(b *testing.B, run func(b *testing.B, s *Store)) {
	b.Helper()
	for _, name := range []string{"sqlite", "postgres"} {
		b.Run(name, func(b *testing.B) {
			url := "sqlite:" + filepath.Join(b.TempDir(), "boatlift.db")
			if name == "postgres" {
				url = newDatabase(b)
			}
			s, err := Open(b.Context(), url, Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			run(b, s)
		})
	}
}

// BenchmarkAccept measures durable deliveries: a push of one image that two repos list, with a body of 4 kB.
func BenchmarkAccept(b *testing.B) {
	for _, senders := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("senders=%d", senders), func(b *testing.B) {
			engines(b, func(b *testing.B, s *Store) {
				for n := range 2 {
					key := promotion.RepoKey(fmt.Sprintf("github/%d", n+1))
					if err := s.write(b.Context(), "list", func(ctx context.Context, q *conn) error {
						if err := saveRepo(ctx, q, infra(key, fmt.Sprint("acme/", n))); err != nil {
							return err
						}
						_, err := saveListings(ctx, q, key, []promotion.Listing{{Environment: "e", Image: web}}, -1, time.Now())
						return err
					}); err != nil {
						b.Fatal(err)
					}
				}
				body := make([]byte, 4<<10)
				took := make([]time.Duration, b.N)
				var next atomic.Int64
				var all sync.WaitGroup
				b.ResetTimer()
				for range senders {
					all.Go(func() {
						for {
							n := int(next.Add(1)) - 1
							if n >= b.N {
								return
							}
							d := hookOf(fmt.Sprint(n))
							d.Body = body
							begin := time.Now()
							if _, err := s.Accept(b.Context(), d, []Push{pushOf(web, "1.0.0", n)}, nil); err != nil {
								b.Error(err)
								return
							}
							took[n] = time.Since(begin)
						}
					})
				}
				all.Wait()
				b.StopTimer()
				slices.Sort(took)
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "deliveries/s")
				b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
			})
		})
	}
}

// BenchmarkClaim measures a claim and a finish among 10,000 rows of which every fourth is due.
func BenchmarkClaim(b *testing.B) {
	engines(b, func(b *testing.B, s *Store) {
		fillWork(b, s, 10_000)
		b.ReportAllocs()
		b.ResetTimer()
		for range b.N {
			c, err := s.Claim(b.Context(), "a", time.Minute)
			if err != nil {
				b.Fatal(err)
			}
			if c == nil {
				b.StopTimer()
				if err := s.write(b.Context(), "fill", func(ctx context.Context, q *conn) error {
					_, err := q.exec(ctx, `UPDATE work SET due_at = 1 WHERE due_at = 0`)
					return err
				}); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				continue
			}
			if err := s.Finish(b.Context(), c, Finish{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkUpdate measures what one turn of a repo with 100 images writes.
func BenchmarkUpdate(b *testing.B) {
	engines(b, func(b *testing.B, s *Store) {
		if _, err := s.UpsertRepos(b.Context(), "github", []Repo{infra(production, "acme/infra")}); err != nil {
			b.Fatal(err)
		}
		c, err := s.Claim(b.Context(), "a", time.Hour)
		if err != nil {
			b.Fatal(err)
		}
		listings := make([]promotion.Listing, 100)
		for i := range listings {
			listings[i] = promotion.Listing{Environment: "production", File: fmt.Sprint(i), Image: web}
		}
		b.ReportAllocs()
		b.ResetTimer()
		for n := range b.N {
			listings[n%100].Tag = fmt.Sprint(n)
			p := promoted(production, "production", n)
			p.State = promotion.Deployed
			if err := s.Update(b.Context(), c, func(tx *Tx) error {
				tx.SaveListings(production, listings)
				tx.SavePromotion(p)
				tx.Audit(AuditEntry{Action: "opened"})
				return nil
			}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
