package github

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
)

const graphqlAt = "POST /some/prefix/api/graphql"

// graphql answers GraphQL by a word of the query.
func (f *fake) graphql(answers map[string]string) {
	f.routes.HandleFunc(graphqlAt, func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, 1<<16)
		n, _ := r.Body.Read(body)
		for word, text := range answers {
			if strings.Contains(string(body[:n]), word) {
				answer(w, 200, text)
				return
			}
		}
		answer(w, 200, `{"data": null, "errors": [{"message": "Field 'mergeQueue' doesn't exist on type 'Repository'", "extensions": {"code": "undefinedField"}}]}`)
	})
}

func TestThatThereIsNoQueueIsBelievedForAWhile(t *testing.T) {
	now := time.Date(2026, 3, 6, 12, 0, 0, 0, time.UTC)
	f := newFake(t, func(o *Options) { o.Clock = func() time.Time { return now } })
	f.graphql(map[string]string{"mergeQueue": `{"data": {"repository": {"mergeQueue": null}}}`})
	ask := func(want int) {
		t.Helper()
		entries, err := f.forge.Queue(t.Context(), infra(), "main")
		if err != nil || len(entries) != 0 {
			t.Fatalf("Queue = %v, %v", entries, err)
		}
		if got := f.count("POST /some/prefix/api/graphql"); got != want {
			t.Errorf("%d questions; want %d", got, want)
		}
	}
	ask(1)
	ask(1)
	now = now.Add(noQueueFor + time.Second)
	ask(2)
	header := http.Header{"X-Github-Event": {"merge_group"}, "Content-Type": {"application/json"}}
	event, err := f.forge.Decode(header, []byte(`{"action": "checks_requested", "repository": {"id": 1001, "full_name": "acme/infra"}, "sender": {"login": "github-merge-queue[bot]"}}`))
	if err != nil || event.Repo != 1001 || event.Ignored != "" {
		t.Fatalf("Decode = %+v, %v", event, err)
	}
	ask(3)
}

func TestAGitHubThatKnowsNoQueuesHasNone(t *testing.T) {
	f := newFake(t)
	f.graphql(nil)
	if entries, err := f.forge.Queue(t.Context(), infra(), "main"); err != nil || entries != nil {
		t.Errorf("Queue = %v, %v; want none", entries, err)
	}
	if left, err := f.forge.LeftQueue(t.Context(), infra(), 1); err != nil || left != (forge.Departure{}) {
		t.Errorf("LeftQueue = %v, %v; want none", left, err)
	}
}

func TestWhatGraphQLRefusesHasAMeaning(t *testing.T) {
	for kind, want := range map[string]error{"FORBIDDEN": forge.ErrForbidden, "NOT_FOUND": forge.ErrNotFound, "UNPROCESSABLE": forge.ErrRefused} {
		f := newFake(t)
		f.json("GET /repositories/1001", 200, repoJSON)
		f.graphql(map[string]string{"mergeQueue": `{"data": null, "errors": [{"type": "` + kind + `", "message": "No.\u0007 ghs_0123456789abcdef"}]}`})
		_, err := f.forge.Queue(t.Context(), infra(), "main")
		if !errors.Is(err, want) || strings.Contains(err.Error(), "ghs_") || !strings.Contains(err.Error(), "No.") {
			t.Errorf("%s: %v; want %v, with the words and without the token", kind, err, want)
		}
	}
	f := newFake(t)
	f.graphql(map[string]string{"mergeQueue": `{"errors": [{"type": "RATE_LIMITED", "message": "API rate limit exceeded"}]}`})
	var limit *forge.LimitError
	if _, err := f.forge.Queue(t.Context(), infra(), "main"); !errors.As(err, &limit) || limit.After <= 0 {
		t.Errorf("RATE_LIMITED: %v; want a limit", err)
	}
}

func TestARefusedMergeEntersTheQueueWhereThereIsOne(t *testing.T) {
	const before = `{"data": {"repository": {"pullRequest": {"id": "PR_1", "headRefOid": "%head%", "isInMergeQueue": %in%, "mergeQueue": %queue%}}}}`
	const refused = `{"message": "Changes must be made through the merge queue"}`
	for name, tc := range map[string]struct {
		head, in, queue, entered string
		want                     error
		enqueued                 bool
	}{
		"a queue":           {headSHA, "false", `{"id": "Q"}`, `{"data": {"enqueuePullRequest": {"mergeQueueEntry": {"id": "E"}}}}`, forge.ErrQueued, true},
		"in it already":     {headSHA, "true", `{"id": "Q"}`, "", forge.ErrQueued, false},
		"no queue":          {headSHA, "false", "null", "", forge.ErrNotMergeable, false},
		"the head moved":    {baseSHA, "false", `{"id": "Q"}`, "", forge.ErrStale, false},
		"the queue refuses": {headSHA, "false", `{"id": "Q"}`, `{"data": null, "errors": [{"type": "UNPROCESSABLE", "message": "Required status check"}]}`, forge.ErrNotMergeable, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.json("PUT /repos/acme/infra/pulls/4/merge", 405, refused)
			f.graphql(map[string]string{
				"isInMergeQueue":     strings.NewReplacer("%head%", tc.head, "%in%", tc.in, "%queue%", tc.queue).Replace(before),
				"enqueuePullRequest": tc.entered,
			})
			_, err := f.forge.Merge(t.Context(), infra(), 4, headSHA, "merge")
			if !errors.Is(err, tc.want) {
				t.Errorf("Merge: %v; want %v", err, tc.want)
			}
			questions := f.count("POST /some/prefix/api/graphql")
			if (questions == 2) != tc.enqueued {
				t.Errorf("%d requests; enqueued should be %v", questions, tc.enqueued)
			}
			if tc.enqueued {
				if input := f.body("POST /some/prefix/api/graphql")["variables"].(map[string]any)["input"].(map[string]any); input["expectedHeadOid"] != headSHA || input["pullRequestId"] != "PR_1" {
					t.Errorf("input %v; want exactly this head", input)
				}
			}
		})
	}
}
