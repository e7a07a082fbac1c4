package store

import (
	"context"
	"time"
)

// Now is the database's clock, as far as it is known here: this process's clock, put right by how much the two were found to differ.
// All replicas of a bot go by it, so that one whose own clock is wrong does what the others would do.
func (s *Store) Now() time.Time {
	if s.clock != nil {
		return s.clock()
	}
	return s.local().Add(time.Duration(s.skew.Load()) * time.Microsecond)
}

// compareClocks finds out how far the database's clock is from this process's. SQLite's is this process's.
func (s *Store) compareClocks(ctx context.Context) error {
	if !s.dialect.shared {
		return nil
	}
	return s.read(ctx, "read the database's clock", func(ctx context.Context, q *conn) error {
		var now int64
		asked := s.local()
		_, err := q.one(ctx, []any{&now}, `SELECT {now}`)
		s.heard(asked, now)
		return err
	})
}

// heard takes in what the database's clock said when it was asked at a moment of this process's. The answer is as good as it was
// quick: what a longer way could explain changes nothing.
func (s *Store) heard(asked time.Time, now int64) {
	if !s.dialect.shared || s.clock != nil || now == 0 {
		return
	}
	took := s.local().Sub(asked).Microseconds()
	skew := now - asked.UnixMicro() - took/2
	if off := skew - s.skew.Load(); off > took || off < -took {
		s.skew.Store(skew)
	}
}
