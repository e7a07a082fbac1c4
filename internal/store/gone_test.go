package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestNothingIsAcknowledgedOnceTheFileIsGone removes, and replaces, the file of an open database: SQLite goes on writing into the one that
// nobody can find any more.
func TestNothingIsAcknowledgedOnceTheFileIsGone(t *testing.T) {
	t.Parallel()
	for name, replace := range map[string]bool{"removed": false, "replaced": true} {
		path := filepath.Join(t.TempDir(), "boatlift.db")
		s := openAt(t, path)
		d := Delivery{Sender: "registry", DeliveryID: "1", Event: "push", Outcome: Stored, ReceivedAt: time.Unix(1, 0)}
		_, err := s.Accept(t.Context(), d, nil, nil)
		must(t, err)
		must(t, s.Ping(t.Context()))
		must(t, os.Rename(path, path+".away"))
		if replace {
			must(t, os.WriteFile(path, nil, 0o600))
		}
		d.DeliveryID = "2"
		_, err = s.Accept(t.Context(), d, nil, nil)
		for what, err := range map[string]error{"a delivery": err, "a ping": s.Ping(t.Context()), "work": s.Wake(t.Context(), acceptance)} {
			if e, ok := errors.AsType[*UnavailableError](err); !ok || e.Fault != Gone || e.RetryAfter() == 0 {
				t.Errorf("the file was %s: %s gives %v; want that the database is gone", name, what, err)
			}
		}
		must(t, os.Rename(path+".away", path))
		if err := s.Ping(t.Context()); err != nil {
			t.Errorf("the file that was %s is back: %v", name, err)
		}
	}
}
