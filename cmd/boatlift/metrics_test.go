package main

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/boatlift/boatlift/cmd/sandbox/stage"
)

// scrape is what the bot tells of itself: the value of every series, as name{labels}.
func scrape(t *testing.T, s *stage.Stage) (text string, series map[string]string) {
	t.Helper()
	status, text, _ := fetched(t, http.DefaultClient, http.MethodGet, s.Bot.URL()+"/metrics", nil, "")
	if status != http.StatusOK {
		t.Fatalf("/metrics is answered %d %s", status, text)
	}
	series = map[string]string{}
	for line := range strings.Lines(text) {
		if i := strings.LastIndex(line, " "); i > 0 && strings.HasPrefix(line, "boatlift_") {
			series[line[:i]] = strings.TrimSpace(line[i:])
		}
	}
	return text, series
}

// awaitSeries waits until some series tell what a pattern wants.
func awaitSeries(t *testing.T, s *stage.Stage, pattern string) {
	t.Helper()
	want := regexp.MustCompile(`(?m)^` + pattern + `$`)
	var last string
	err := stage.Await(t.Context(), patience, pattern, func() (bool, error) {
		_, series := scrape(t, s)
		lines := make([]string, 0, len(series))
		for name, value := range series {
			lines = append(lines, name+" "+value)
		}
		slices.Sort(lines)
		last = strings.Join(lines, "\n")
		return want.MatchString(last), nil
	})
	if err != nil {
		t.Errorf("%v; there is\n%s", err, last)
	}
}

func TestMetricsTellWhatTheBotDoes(t *testing.T) {
	t.Parallel()
	s := set(t, stage.Options{})
	if err := s.Push(t.Context(), "1.4.2"); err != nil {
		t.Fatal(err)
	}
	for _, repo := range []string{stage.Acceptance, stage.Production} {
		if _, err := s.AwaitPull(t.Context(), repo, "1.4.2"); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{
		`boatlift_deliveries_total\{endpoint="registry",outcome="stored"\} [2-9].*`,
		`boatlift_deliveries_total\{endpoint="github",outcome="stored"\} \d+`,
		`boatlift_turn_duration_seconds_count\{result="done"\} \d+`,
		`boatlift_forge_requests_total\{forge="github",installation="[1-9]\d*",method="GET",status="200"\} \d+`,
		`boatlift_forge_requests_remaining\{forge="github",installation="[1-9]\d*",resource="core"\} \S+`,
		`boatlift_pull_requests_opened_total\{environment="acme/infra-acceptance:acceptance"\} 1`,
		`boatlift_pull_requests_opened_total\{environment="acme/infra-production:production"\} 1`,
		`boatlift_pull_requests_open\{environment="acme/infra-acceptance:acceptance",gate="allow"\} 1`,
		`boatlift_pull_requests_open\{environment="acme/infra-production:production",gate="wait"\} 1`,
		`boatlift_repositories\{state="active"\} 2`,
		`boatlift_work_pending\{state="stuck"\} 0`,
		`boatlift_work_pending\{state="failed"\} 0`,
		`boatlift_work_oldest_overdue_seconds \S+`,
	} {
		awaitSeries(t, s, want)
	}
	text, _ := scrape(t, s)
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "boatlift_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	for _, secret := range []string{stage.RegistryToken, "sandbox-webhook-secret", "ghs_"} {
		if strings.Contains(text, secret) {
			t.Errorf("the metrics tell %s", secret)
		}
	}
}

// TestNobodyMakesMetricsGrow sends what anybody can send: no label takes a value from it.
func TestNobodyMakesMetricsGrow(t *testing.T) {
	t.Parallel()
	s := set(t, stage.Options{BotConfig: "tokens:\n  - {name: jenkins, role: push, token: file:push, images: ['**']}\n", Secrets: map[string][]byte{"push": []byte(strings.Repeat("p", 32))}})
	proof := http.Header{"Authorization": {"Bearer " + stage.RegistryToken}}
	each := func(i int) {
		for _, r := range []struct {
			method, path string
			header       http.Header
			body         string
		}{
			{http.MethodPost, fmt.Sprintf("/hooks/made-up-%d", i), nil, "{}"},
			{http.MethodPost, "/hooks/registry", http.Header{"Authorization": {fmt.Sprintf("Bearer guess-%d", i)}}, "{}"},
			{fmt.Sprintf("METHOD%d", i), "/hooks/registry", proof, "{}"},
			{http.MethodPost, "/hooks/registry", proof, fmt.Sprintf(`{"events": [{"id": "%d", "action": "push", "target": {"repository": "made/up-%d", "tag": "t%d",
				"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:%064d"}, "request": {"host": "made-up-%d.example"}}]}`, i, i, i, i, i)},
			{http.MethodPost, "/hooks/github", http.Header{"X-GitHub-Event": {fmt.Sprintf("event-%d", i)}, "X-GitHub-Delivery": {fmt.Sprint(i)}}, "{}"},
			{http.MethodPost, "/api/v1/pushes", http.Header{"Authorization": {"Bearer " + strings.Repeat("p", 32)}}, fmt.Sprintf(`{"images": ["made-up-%d.example/a/b:%d"]}`, i, i)},
			{http.MethodGet, fmt.Sprintf("/api/v1/why?about=made-up-%d", i), http.Header{"Authorization": {fmt.Sprintf("Bearer %d", i)}}, ""},
		} {
			if status, text, _ := fetched(t, http.DefaultClient, r.method, s.Bot.URL()+r.path, r.header, r.body); status == 0 {
				t.Fatalf("%s %s: %s", r.method, r.path, text)
			}
		}
	}
	each(0) // whatever there is of outcomes, there is now
	if err := s.Quiet(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, before := scrape(t, s)
	for i := range 20 {
		each(i + 1)
	}
	if err := s.Quiet(t.Context()); err != nil {
		t.Fatal(err)
	}
	after, now := scrape(t, s)
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if _, known := before[name]; !known && !strings.HasPrefix(name, "boatlift_forge_requests") { // of which there are few kinds, whenever they come
			t.Errorf("there is a new series: %s", name)
		}
	}
	for _, t2 := range []string{text, after} {
		if i := strings.Index(t2, "made-up"); i >= 0 {
			t.Errorf("a label has what anybody sent: %.200s", t2[max(0, i-100):])
		}
	}
	for _, want := range []string{`boatlift_deliveries_total{endpoint="registry",outcome="stored"}`, `boatlift_deliveries_total{endpoint="registry",outcome="refused"}`, `boatlift_deliveries_total{endpoint="pushes",outcome="stored"}`} {
		if now[want] == before[want] {
			t.Errorf("%s stays %s, so that nothing is proved", want, now[want])
		}
	}
}
