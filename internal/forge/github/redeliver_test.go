package github

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestOnlyWhatNeverArrivedIsAskedForAgainOldestFirst(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	f := newFake(t)
	delivery := func(id int, guid, status string, age time.Duration) string {
		return fmt.Sprintf(`{"id": %d, "guid": %q, "status": %q, "delivered_at": %q}`, id, guid, status, now.Add(-age).Format(time.RFC3339))
	}
	f.handle("GET /app/hook/deliveries", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("cursor") == "" {
			w.Header().Set("Link", `<`+f.server.URL+root+`/app/hook/deliveries?cursor=next>; rel="next"`)
			answer(w, 200, "["+delivery(9, "lost twice", "timed out", time.Minute)+","+delivery(8, "arrived at last", "OK", 2*time.Minute)+"]")
			return
		}
		answer(w, 200, "["+delivery(7, "lost twice", "failed to connect to host", 3*time.Minute)+","+delivery(6, "arrived at last", "Service Unavailable", 4*time.Minute)+
			","+delivery(5, "lost", "Bad Gateway", 5*time.Minute)+","+delivery(4, "long ago", "Bad Gateway", time.Hour)+"]")
	})
	var mu sync.Mutex
	var asked []string
	f.handle("POST /app/hook/deliveries/{id}/attempts", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.PathValue("id"))
		answer(w, 202, `{}`)
	})
	n, err := f.forge.Redeliver(t.Context(), now.Add(-30*time.Minute))
	if err != nil || n != 2 {
		t.Fatalf("Redeliver = %d, %v; want 2, no error: a 202 is a success", n, err)
	}
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(asked, []string{"5", "9"}) {
		t.Errorf("asked for %v, want the older lost one first, and the newest attempt of the other", asked)
	}
}
