package store

import (
	"context"
	"sync"
	"time"
)

// watchEvery is how often a replica looks for work that others made.
const watchEvery = 250 * time.Millisecond

// Notify carries a signal when there may be work. It is one signal for all who listen: a worker that got it claims until nothing
// is due, and every claim passes the signal on. Where replicas share the database, the first call begins to look for the work
// that others make, too.
func (s *Store) Notify() <-chan struct{} {
	if s.dialect.shared {
		s.watch.start(s.lookForWork)
	}
	return s.notify
}

func (s *Store) signal() {
	select {
	case s.notify <- struct{}{}:
	default:
	}
}

// lookForWork signals while there is something that may be claimed. What goes wrong is for the workers to say: they find it too.
func (s *Store) lookForWork(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	text := s.conn(s.reader).text(`SELECT COUNT(*) FROM (SELECT 1 FROM work WHERE ` + due + ` ORDER BY due_at LIMIT 1) AS waiting`)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		ask, cancel := context.WithTimeout(ctx, s.dialect.readLimit)
		var waiting int
		if err := s.reader.db.QueryRowContext(ask, text).Scan(&waiting); err == nil && waiting > 0 {
			s.signal()
		}
		cancel()
	}
}

// watch owns a goroutine that begins once and ends with the store.
type watch struct {
	mu    sync.Mutex
	end   context.CancelFunc // nil: it has not begun
	ended chan struct{}      // closed when it has ended
	over  bool               // it may not begin any more
}

func (w *watch) start(run func(context.Context)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.end != nil || w.over {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.end, w.ended = cancel, make(chan struct{})
	go func() {
		defer close(w.ended)
		run(ctx)
	}()
}

func (w *watch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	if w.end != nil {
		w.end()
		<-w.ended
	}
}
