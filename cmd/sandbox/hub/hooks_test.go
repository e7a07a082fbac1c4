package hub_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
)

func TestWebhooksAreSigned(t *testing.T) {
	s := start(t, hub.Options{})
	s.pull("boatlift/web", "1.1.0")
	h := s.one("pull_request.opened")
	if !h.genuine {
		t.Error("the signature does not hold")
	}
	for key, want := range map[string]string{
		"X-GitHub-Hook-Installation-Target-ID": fmt.Sprint(s.AppID()), "X-GitHub-Hook-Installation-Target-Type": "integration", "Content-Type": "application/json",
	} {
		if got := h.header.Get(key); got != want {
			t.Errorf("%s = %q; want %q", key, got, want)
		}
	}
	info, err := s.Repo(infra)
	s.must(err)
	if h.guid == "" || h.str("repository.id") != fmt.Sprint(float64(info.ID)) || h.str("installation.id") == "<nil>" || h.str("number") != "1" {
		t.Errorf("the body is %v", h.body)
	}
}

func TestDeliveriesAndRedelivery(t *testing.T) {
	s := start(t, hub.Options{})
	s.of("installation")
	s.hooks.answer(500)
	s.push("alice", "one", "1.1.0")
	lost := s.one("push")
	s.hooks.answer(200)
	s.push("alice", "two", "1.1.0")
	if got := s.of("push"); len(got) != 2 {
		t.Fatalf("%d pushes arrived; want 2, as nothing is sent again by itself", len(got))
	}
	list := s.app("GET", "/app/hook/deliveries?per_page=2", nil).want(200)
	if list.str("0.status") != "OK" || list.str("1.status") != "Invalid HTTP Response: 500" || list.int("1.status_code") != 500 || list.str("1.guid") != lost.guid {
		t.Errorf("deliveries are %s", list.raw)
	}
	next := list.header.Get("Link")
	if want := "cursor=v1_"; !strings.Contains(next, want) || !strings.Contains(next, `rel="next"`) {
		t.Fatalf("Link = %q; want a cursor", next)
	}
	older := s.app("GET", next[1:strings.IndexByte(next, 62)], nil).want(200)
	if older.count() == 0 || older.str("0.id") == list.str("1.id") {
		t.Errorf("the next page is %s", older.raw)
	}
	s.app("POST", "/app/hook/deliveries/"+list.str("1.id")+"/attempts", nil).want(202)
	again := s.of("push")
	if len(again) != 3 || again[2].guid != lost.guid {
		t.Errorf("redelivered: %d pushes; the last is %s, want %s", len(again), again[len(again)-1].guid, lost.guid)
	}
	top := s.app("GET", "/app/hook/deliveries", nil).want(200)
	if top.str("0.redelivery") != "true" || top.str("0.guid") != lost.guid {
		t.Errorf("the redelivery shows as %s", top.raw)
	}
	s.app("GET", "/app/hook/deliveries/"+top.str("0.id"), nil).want(200, `"payload":{`)
	s.app("POST", "/app/hook/deliveries/1/attempts", nil).want(404)
}

func TestWebhookFaults(t *testing.T) {
	for _, c := range []struct {
		name      string
		faults    hub.Faults
		arrive    int
		recorded  int
		reordered bool
	}{
		{"lost", hub.Faults{LoseWebhooks: 2}, 2, 4, false},
		{"forgotten", hub.Faults{ForgetWebhooks: 2}, 2, 2, false},
		{"doubled", hub.Faults{DoubleWebhooks: 2}, 6, 6, false},
		{"late", hub.Faults{DelayWebhooks: 4, WebhookDelay: time.Millisecond}, 4, 4, false},
		{"reordered", hub.Faults{ReorderWebhooks: 1}, 4, 4, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, hub.Options{})
			s.of("installation")
			before := len(s.Deliveries())
			s.SetFaults(c.faults)
			sha := mustHead(s, "main")
			for i := range 4 {
				s.must(s.SetStatus(t.Context(), infra, "alice", hub.Status{SHA: sha, Context: fmt.Sprint(i), State: "success"}))
			}
			got := s.of("status")
			if len(got) != c.arrive || len(s.Deliveries())-before != c.recorded {
				t.Errorf("%d arrived, %d recorded; want %d, %d", len(got), len(s.Deliveries())-before, c.arrive, c.recorded)
			}
			if c.reordered && got[0].str("context") == "0" {
				t.Error("they came in order")
			}
			if c.faults.DoubleWebhooks > 0 && got[1].guid != got[2].guid {
				t.Error("the doubled one has two GUIDs")
			}
		})
	}
}

func TestAPIFaults(t *testing.T) {
	s := start(t, hub.Options{})
	path := "/repos/" + infra
	statuses := func(n int) []int {
		var got []int
		for range n {
			got = append(got, s.bot("GET", path, nil).status)
		}
		return got
	}
	check := func(name string, f hub.Faults, want ...int) {
		t.Helper()
		s.SetFaults(f)
		if got := statuses(len(want)); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v; want %v", name, got, want)
		}
	}
	check("every third", hub.Faults{ErrorEvery: 3}, 200, 200, 502, 200, 200, 502)
	check("twice only", hub.Faults{ErrorEvery: 1, ErrorStatus: 503, Times: 2}, 503, 503, 200)
	check("others only", hub.Faults{ErrorEvery: 1, Match: "POST /repos"}, 200, 200)
	check("no answer", hub.Faults{ErrorEvery: 1, ErrorStatus: -1}, 0, 0)
	check("secondary limit", hub.Faults{LimitEvery: 2}, 200, 403, 200, 403)
	check("as 429", hub.Faults{LimitEvery: 1, LimitStatus: 429}, 429)
	check("enforced", hub.Faults{HourlyLimit: 2}, 200, 200, 403)

	s.SetFaults(hub.Faults{LimitEvery: 1, RetryAfter: 7 * time.Second})
	if got := s.bot("GET", path, nil).want(403, "about-secondary-rate-limits"); got.header.Get("Retry-After") != "7" {
		t.Errorf("Retry-After = %q", got.header.Get("Retry-After"))
	}
	s.SetFaults(hub.Faults{LimitEvery: 1, LimitKind: "primary"})
	if got := s.bot("GET", path, nil).want(403, "API rate limit exceeded"); got.header.Get("X-RateLimit-Remaining") != "0" || got.header.Get("X-RateLimit-Reset") == "" {
		t.Errorf("headers = %v", got.header)
	}
	s.SetFaults(hub.Faults{ContentPerMinute: 1})
	label := func(name string) answer { return s.bot("POST", path+"/labels", map[string]any{"name": name}) }
	label("a").want(201)
	if got := label("b").want(403, "secondary rate limit"); got.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	s.bot("GET", path, nil).want(200)

	s.SetFaults(hub.Faults{ErrorEvery: 1, ErrorAfter: true, Times: 1})
	label("c").want(502)
	label("c").want(422, "already_exists") // it took effect all the same
	s.SetFaults(hub.Faults{})
	number := s.pull("boatlift/web", "1.1.0")
	s.SetFaults(hub.Faults{MergeUnknown: 1})
	one := fmt.Sprintf("%s/%d", pulls, number)
	if got := s.bot("GET", one, nil).want(200).str("mergeable"); got != "<nil>" {
		t.Errorf("mergeable = %s; want null at first", got)
	}
	if got := s.bot("GET", one, nil).want(200).str("mergeable"); got != "true" {
		t.Errorf("mergeable = %s; want true at the second look", got)
	}
}

func TestRateHeaders(t *testing.T) {
	s := start(t, hub.Options{})
	got := s.bot("GET", "/repos/"+infra, nil).want(200)
	for _, key := range []string{"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "X-RateLimit-Used", "X-RateLimit-Resource"} {
		if got.header.Get(key) == "" {
			t.Errorf("no %s", key)
		}
	}
}
