package dashboard_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/dashboard"
	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/store"
)

// tell posts to the API as a job that may tell of the shop's images.
func (s *scene) tell(body string) *httptest.ResponseRecorder {
	s.t.Helper()
	shop, err := image.ParsePattern("registry.acme.io/shop/*")
	must(s.t, err)
	guard := dashboard.NewGuard(dashboard.GuardOptions{Tokens: []dashboard.Token{
		{Caller: dashboard.Caller{Name: "jenkins", Role: dashboard.Push, Push: []image.Pattern{shop}}, Secret: func() []byte { return []byte("secret") }},
	}}, s.api.Routes())
	r := httptest.NewRequest(http.MethodPost, "/pushes", strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer secret")
	w := httptest.NewRecorder()
	guard.ServeHTTP(w, r)
	return w
}

func TestAPushThatIsToldOfIsStoredOnce(t *testing.T) {
	s := newScene(t)
	var seen []store.Outcome
	s.api.Observe = func(_ string, o store.Outcome) { seen = append(seen, o) }
	body := fmt.Sprintf(`{"images":["registry.acme.io/shop/web:1.4.2","registry.acme.io/shop/worker:1.4.2@%s","registry.acme.io/shop/web:1.4.2"],"id":"7-1"}`, digest(3))
	for i, want := range []dashboard.PushAnswer{{Outcome: store.Stored, ID: 1}, {Outcome: store.Duplicate, ID: 1}} {
		answer := s.tell(body)
		var got dashboard.PushAnswer
		must(t, json.Unmarshal(answer.Body.Bytes(), &got))
		want.Images = []string{"registry.acme.io/shop/web:1.4.2", "registry.acme.io/shop/worker:1.4.2@" + string(digest(3))}
		want.Unused = want.Images // as nobody lists them here
		if status := []int{http.StatusAccepted, http.StatusOK}[i]; answer.Code != status || !reflect.DeepEqual(got, want) {
			t.Errorf("answered %d %+v; want %d %+v", answer.Code, got, status, want)
		}
	}
	pushes, err := s.store.Pushes(t.Context(), []image.Name{web, worker}, time.Time{})
	must(t, err)
	if len(pushes) != 2 || pushes[0].Image != web || pushes[0].Tag != "1.4.2" || pushes[0].Digest != "" || pushes[1].Digest != digest(3) {
		t.Errorf("stored are %+v", pushes)
	}
	d, found, err := s.store.Delivery(t.Context(), "1")
	if err != nil || !found || d.Sender != "pushes/jenkins" || d.DeliveryID != "7-1" || !strings.Contains(d.About, "shop/web:1.4.2") {
		t.Errorf("the delivery is %+v, %v, %v", d, found, err)
	}
	if !reflect.DeepEqual(seen, []store.Outcome{store.Stored, store.Duplicate}) {
		t.Errorf("counted are %v", seen)
	}
	if answer := s.tell(`{"images":["registry.acme.io/shop/web:1.4.2"]}`); answer.Code != http.StatusAccepted {
		t.Errorf("the same without an id is answered %d", answer.Code)
	}
}

func TestAPushThatIsNotRightChangesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		body   string
		status int
		says   string
	}{
		"nothing":                    {``, 400, "not understood"},
		"no JSON":                    {`registry.acme.io/shop/web:1.4.2`, 400, "not understood"},
		"no images":                  {`{}`, 400, "names no image"},
		"no text":                    {`{"images":[7]}`, 400, "not understood"},
		"no reference":               {`{"images":["registry.acme.io/shop/web:1.4.2","Not An Image"]}`, 400, "no image reference"},
		"no tag":                     {`{"images":["registry.acme.io/shop/web"]}`, 400, "no tag"},
		"only a digest":              {`{"images":["registry.acme.io/shop/web@` + string(digest(1)) + `"]}`, 400, "no tag"},
		"an id with a line in it":    {`{"images":["registry.acme.io/shop/web:1"],"id":"a\nb"}`, 400, "id"},
		"a long id":                  {`{"images":["registry.acme.io/shop/web:1"],"id":"` + strings.Repeat("a", 129) + `"}`, 400, "id"},
		"too many":                   {`{"images":["a:1"` + strings.Repeat(`,"a:1"`, 100) + `]}`, 400, "more than 100"},
		"too large":                  {`{"images":["` + strings.Repeat("a", 70<<10) + `"]}`, 413, "too large"},
		"another's":                  {`{"images":["registry.acme.io/shop/web:1.4.2","registry.acme.io/blog/web:1.4.2"]}`, 403, "may not tell of registry.acme.io/blog/web"},
		"one that looks like theirs": {`{"images":["registry.acme.io/shop/web/evil:1"]}`, 403, "may not tell"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			answer := s.tell(c.body)
			if answer.Code != c.status || !strings.Contains(answer.Body.String(), c.says) || !strings.Contains(answer.Body.String(), "hint") {
				t.Errorf("answered %d %s; want %d, %q", answer.Code, answer.Body, c.status, c.says)
			}
			list, err := s.store.Deliveries(t.Context(), store.DeliveryFilter{})
			if err != nil || len(list) != 0 {
				t.Errorf("stored are %+v, %v", list, err)
			}
		})
	}
}

func TestAPushThatCannotBeStoredIsToBeSentAgain(t *testing.T) {
	s := newScene(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // who asks has hung up; what came whole is stored all the same
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/pushes", strings.NewReader(`{"images":["registry.acme.io/shop/web:1.4.2"]}`))
	w := httptest.NewRecorder()
	s.api.Routes().ServeHTTP(w, r)
	if w.Code != http.StatusAccepted {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
	broken, err := store.Open(t.Context(), "sqlite::memory:", store.Options{})
	must(t, err)
	must(t, broken.Close())
	s.api.Store = broken
	if answer := s.tell(`{"images":["registry.acme.io/shop/web:1.4.3"]}`); answer.Code != http.StatusServiceUnavailable || answer.Header().Get("Retry-After") == "" {
		t.Errorf("answered %d %v %s; want 503 and when to try again", answer.Code, answer.Header(), answer.Body)
	}
}
