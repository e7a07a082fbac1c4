package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// manyTags makes tags in the order in which a registry sorts them.
func manyTags(n int) []string {
	tags := make([]string, n)
	for i := range tags {
		tags[i] = fmt.Sprintf("1.%04d.0", i)
	}
	return tags
}

// tagServer answers as the specification says, but for what its fields change.
type tagServer struct {
	all    []string
	links  bool   // says where the next page is
	deaf   bool   // gives everything whatever it is asked for
	mark   string // the ETag of everything
	asked  []url.Values
	status func(page int) (status int, header map[string]string)
}

func (s *tagServer) handle(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/v2/" {
		return
	}
	query := r.URL.Query()
	s.asked = append(s.asked, query)
	if s.mark != "" {
		w.Header().Set("ETag", s.mark)
		if r.Header.Get("If-None-Match") == s.mark {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	if s.status != nil {
		status, header := s.status(len(s.asked))
		for name, value := range header {
			w.Header().Set(name, value)
		}
		if status != http.StatusOK {
			w.WriteHeader(status)
			return
		}
	}
	page := s.all
	if !s.deaf {
		from := 0
		if last := query.Get("last"); last != "" {
			from = slices.Index(s.all, last) + 1
		}
		n, _ := strconv.Atoi(query.Get("n"))
		page = s.all[from:min(from+n, len(s.all))]
		if s.links && from+n < len(s.all) {
			w.Header().Set("Link", fmt.Sprintf(`</v2/shop/web/tags/list?n=%d&last=%s>; rel="next"`, n, page[len(page)-1]))
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"name": "shop/web", "tags": page})
}

func TestTagsOfThousands(t *testing.T) {
	all := manyTags(2500)
	for name, c := range map[string]struct {
		server tagServer
		asked  int
	}{
		"by links":         {tagServer{all: all, links: true}, 3},
		"by n and last":    {tagServer{all: all}, 3},
		"all at once":      {tagServer{all: all, deaf: true}, 2},
		"a page exactly":   {tagServer{all: all[:1000]}, 2},
		"fewer than asked": {tagServer{all: all[:999]}, 1},
		"none":             {tagServer{}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.serve(c.server.handle)
			got, err := newTestClient(t, Options{}).Tags(t.Context(), r.name("shop/web"), "")
			if err != nil || !slices.Equal(got.Tags, c.server.all) || got.Unchanged {
				t.Errorf("Tags gives %d tags, %v; want all %d", len(got.Tags), err, len(c.server.all))
			}
			if len(c.server.asked) != c.asked {
				t.Errorf("it was asked %d times (%v), want %d", len(c.server.asked), c.server.asked, c.asked)
			}
		})
	}
}

func TestTagsByMark(t *testing.T) {
	server := tagServer{all: manyTags(3), mark: `W/"abc"`}
	r := newRig(t)
	r.serve(server.handle)
	client := newTestClient(t, Options{})
	first, err := client.Tags(t.Context(), r.name("shop/web"), "")
	if err != nil || first.Mark != server.mark || first.Unchanged {
		t.Fatalf("Tags = %+v, %v; want the mark", first, err)
	}
	if again, err := client.Tags(t.Context(), r.name("shop/web"), first.Mark); err != nil || !again.Unchanged || again.Mark != first.Mark || again.Tags != nil {
		t.Errorf("Tags with the mark = %+v, %v; want unchanged", again, err)
	}
	server.all, server.mark = append(server.all, "2"), `"def"`
	if again, err := client.Tags(t.Context(), r.name("shop/web"), first.Mark); err != nil || again.Unchanged || len(again.Tags) != 4 || again.Mark != server.mark {
		t.Errorf("Tags with an old mark = %+v, %v; want all four", again, err)
	}
	server.all = manyTags(1500)
	if again, err := client.Tags(t.Context(), r.name("shop/web"), ""); err != nil || again.Mark != "" {
		t.Errorf("Tags of two pages have the mark %q, %v; want none", again.Mark, err)
	}
	server.mark = `"` + strings.Repeat("x", 300) + `"`
	if again, err := client.Tags(t.Context(), r.name("shop/web"), ""); err != nil || again.Mark != "" {
		t.Errorf("Tags have the mark %q, %v; want none", again.Mark, err)
	}
	server.mark = ""
	r.serve(func(w http.ResponseWriter, request *http.Request) { // a proxy that always says so
		if request.URL.Path != "/v2/" {
			w.WriteHeader(http.StatusNotModified)
		}
	})
	if again, err := client.Tags(t.Context(), r.name("shop/web"), ""); err == nil {
		t.Errorf("Tags without a mark = %+v; want an error, as nothing was known", again)
	}
}

func TestTagsWantALogin(t *testing.T) {
	server := tagServer{all: manyTags(1)}
	r := newRig(t)
	r.serve(func(w http.ResponseWriter, request *http.Request) {
		if user, password, _ := request.BasicAuth(); user != "bot" || password != "pw" {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		server.handle(w, request)
	})
	client := newTestClient(t, Options{Credentials: map[string]Credential{r.host: {Username: "bot", Password: "pw"}}})
	for range 2 {
		if got, err := client.Tags(t.Context(), r.name("shop/web"), ""); err != nil || len(got.Tags) != 1 {
			t.Fatalf("Tags = %+v, %v", got, err)
		}
	}
	if pings := strings.Count(strings.Join(r.requests(), "\n"), "/v2/\n"); pings != 1 {
		t.Errorf("it logged in %d times, want once", pings)
	}
	var unauthorized *UnauthorizedError
	if got, err := newTestClient(t, Options{}).Tags(t.Context(), r.name("shop/web"), ""); !errors.As(err, &unauthorized) {
		t.Errorf("Tags without credentials = %+v, %v; want an UnauthorizedError", got, err)
	}
}

func TestTagsTellWhenToComeBack(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	inAnHour := strconv.FormatInt(now.Add(time.Hour).Unix(), 10)
	for name, c := range map[string]struct {
		status int
		header map[string]string
		want   time.Duration
	}{
		"Retry-After":             {429, map[string]string{"Retry-After": "90"}, 90 * time.Second},
		"Docker Hub":              {429, map[string]string{"X-Retry-After": inAnHour}, time.Hour},
		"used up, Docker Hub":     {429, map[string]string{"RateLimit-Limit": "100;w=21600", "RateLimit-Remaining": "0;w=21600"}, 36 * time.Minute},
		"used up, GitLab":         {429, map[string]string{"RateLimit-Limit": "60", "RateLimit-Remaining": "0", "RateLimit-Reset": inAnHour}, time.Hour},
		"used up, as the draft":   {429, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "30"}, 30 * time.Second},
		"used up, nothing else":   {429, map[string]string{"RateLimit-Remaining": "0"}, 5 * time.Minute},
		"out of order":            {503, map[string]string{"RateLimit-Remaining": "0"}, 0},
		"nothing said":            {429, nil, 0},
		"not to be believed":      {429, map[string]string{"Retry-After": "99999999"}, 24 * time.Hour},
		"a moment that is over":   {429, map[string]string{"X-Retry-After": strconv.FormatInt(now.Unix()-5, 10)}, 0},
		"what cannot be read":     {429, map[string]string{"Retry-After": "soon", "RateLimit-Remaining": "few"}, 0},
		"a window without bounds": {429, map[string]string{"RateLimit-Remaining": "0;w=2000000000"}, 144 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			server := tagServer{status: func(int) (int, map[string]string) { return c.status, c.header }}
			r := newRig(t)
			r.serve(server.handle)
			_, err := newTestClient(t, Options{Now: func() time.Time { return now }}).Tags(t.Context(), r.name("shop/web"), "")
			var unavailable *UnavailableError
			if !errors.As(err, &unavailable) || unavailable.Status != c.status || unavailable.RetryAfter() != c.want {
				t.Errorf("Tags: %v, again after %s; want %s", err, unavailable.RetryAfter(), c.want)
			}
		})
	}
}

func TestQuota(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	server := tagServer{all: manyTags(1)}
	r := newRig(t)
	r.serve(server.handle)
	client := newTestClient(t, Options{Now: func() time.Time { return now }})
	if q, ok := client.Quota(r.host); ok {
		t.Errorf("Quota of a registry that was not asked = %v", q)
	}
	for _, c := range []struct {
		remaining string
		rest      time.Duration
		says      string
	}{
		{"76;w=21600", 0, "76 of 100 questions in 6h0m0s are left"},
		{"11", 0, "11 of 100 questions in 6h0m0s are left"},
		{"10;w=21600", 36 * time.Minute, "10 of 100 questions in 6h0m0s are left"},
		{"0;w=21600", 36 * time.Minute, "0 of 100 questions in 6h0m0s are left"},
	} {
		server.status = func(int) (int, map[string]string) {
			return http.StatusOK, map[string]string{"RateLimit-Limit": "100;w=21600", "RateLimit-Remaining": c.remaining}
		}
		if _, err := client.Tags(t.Context(), r.name("shop/web"), ""); err != nil {
			t.Fatal(err)
		}
		q, ok := client.Quota(r.host)
		if !ok || q.Rest(now) != c.rest || q.String() != c.says {
			t.Errorf("%s: Quota = %s (%v), rest %s; want %s, %s", c.remaining, q, ok, q.Rest(now), c.says, c.rest)
		}
		if q.Rest(now.Add(time.Hour)) != 0 {
			t.Errorf("%s: after an hour the registry still wants to rest for %s", c.remaining, q.Rest(now.Add(time.Hour)))
		}
	}
	if (Quota{}).Rest(now) != 0 {
		t.Error("a registry that says nothing wants to rest")
	}
}
