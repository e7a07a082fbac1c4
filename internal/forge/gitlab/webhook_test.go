package gitlab

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
)

func TestThePlainSecretProvesAWebhook(t *testing.T) {
	f := newFake(t, func(o *Options) {
		o.WebhookSecrets = func() [][]byte { return [][]byte{[]byte("old"), []byte("new")} } // while it is rotated
	})
	for _, c := range []struct {
		said []string
		ok   bool
	}{
		{[]string{"old"}, true},
		{[]string{"new"}, true},
		{[]string{"ne"}, false},
		{[]string{"New"}, false},
		{[]string{""}, false},
		{nil, false},
		{[]string{"new", "new"}, false},
	} {
		err := f.forge.Verify(http.Header{"X-Gitlab-Token": c.said}, []byte("{}"))
		if (err == nil) != c.ok {
			t.Errorf("Verify with X-Gitlab-Token %q: %v; want proved %t", c.said, err, c.ok)
		}
		if err != nil && strings.Contains(err.Error(), "old") {
			t.Errorf("the error %q quotes a secret", err)
		}
	}
	if err := f.forge.Verify(http.Header{"X-Gitlab-Token": {"new"}}, make([]byte, maxWebhook+1)); err == nil {
		t.Error("an event that is too long is proved")
	}
}

func token(fill byte) []byte {
	return []byte("whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(fill), 32))))
}

// signature signs as the specification of Standard Webhooks says.
func signature(fill byte, id, stamp, body string) string {
	mac := hmac.New(sha256.New, []byte(strings.Repeat(string(fill), 32)))
	mac.Write([]byte(id + "." + stamp + "." + body))
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func TestASigningTokenIsDemandedOnceItIsThere(t *testing.T) {
	f := newFake(t, func(o *Options) { o.SigningTokens = func() [][]byte { return [][]byte{token('a'), token('b')} } })
	const id, body = "d6b1c1f0", `{"object_kind":"push"}`
	at := func(d time.Duration) string { return strconv.FormatInt(f.clock().Add(d).Unix(), 10) }
	signed := func(stamp, said string) http.Header {
		return http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {stamp}, "Webhook-Signature": {said}}
	}
	for name, c := range map[string]struct {
		header http.Header
		ok     bool
	}{
		"by the first token":              {signed(at(0), signature('a', id, at(0), body)), true},
		"by the second":                   {signed(at(0), signature('b', id, at(0), body)), true},
		"by one of several":               {signed(at(0), signature('z', id, at(0), body)+" "+signature('b', id, at(0), body)), true},
		"four minutes late":               {signed(at(-4*time.Minute), signature('a', id, at(-4*time.Minute), body)), true},
		"by another token":                {signed(at(0), signature('z', id, at(0), body)), false},
		"six minutes old":                 {signed(at(-6*time.Minute), signature('a', id, at(-6*time.Minute), body)), false},
		"six minutes ahead":               {signed(at(6*time.Minute), signature('a', id, at(6*time.Minute), body)), false},
		"of another moment":               {signed(at(0), signature('a', id, at(-time.Minute), body)), false},
		"of another id":                   {signed(at(0), signature('a', "other", at(0), body)), false},
		"of another body":                 {signed(at(0), signature('a', id, at(0), body+" ")), false},
		"of another version":              {signed(at(0), strings.Replace(signature('a', id, at(0), body), "v1,", "v2,", 1)), false},
		"not a moment":                    {signed("now", signature('a', id, "now", body)), false},
		"unsigned, with the plain secret": {http.Header{"X-Gitlab-Token": {"hook-secret"}}, false},
	} {
		if err := f.forge.Verify(c.header, []byte(body)); (err == nil) != c.ok {
			t.Errorf("%s: %v; want proved %t", name, err, c.ok)
		}
	}
}

func TestWithoutAProofNothingStarts(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"no secret":       func(o *Options) { o.WebhookSecrets = nil },
		"an empty secret": func(o *Options) { o.WebhookSecrets = func() [][]byte { return [][]byte{{}} } },
		"no token":        func(o *Options) { o.Token = nil },
		"an empty token":  func(o *Options) { o.Token = Fixed(nil) },
		"a bad signing token": func(o *Options) {
			o.SigningTokens = func() [][]byte { return [][]byte{[]byte("whsec_not base64")} }
		},
		"clear text": func(o *Options) { o.BaseURL = "http://gitlab.acme.io" },
	} {
		o := Options{Token: Fixed([]byte(testToken)), WebhookSecrets: func() [][]byte { return [][]byte{[]byte("s")} }}
		change(&o)
		if _, err := New(o); err == nil {
			t.Errorf("New with %s works", name)
		} else if strings.Contains(err.Error(), testToken) || strings.Contains(err.Error(), "not base64") {
			t.Errorf("New with %s: the error %q quotes a secret", name, err)
		}
	}
}

func TestADeliveryIsKnownAgain(t *testing.T) {
	f := newFake(t)
	id := func(header http.Header, body string) string {
		event, err := f.forge.Decode(header, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		return event.DeliveryID
	}
	equal(t, "by webhook-id", id(http.Header{"Webhook-Id": {"one"}, "Idempotency-Key": {"two"}}, "{}"), "one")
	equal(t, "by Idempotency-Key", id(http.Header{"Idempotency-Key": {"two"}}, "{}"), "two")
	chain := func(hook string) http.Header {
		return http.Header{"X-Gitlab-Event-Uuid": {"e"}, "X-Gitlab-Webhook-Uuid": {hook}}
	}
	first := id(chain("a"), "{}")
	equal(t, "again", id(chain("a"), "{}"), first)
	if id(chain("b"), "{}") == first || id(chain("a"), "{} ") == first {
		t.Error("another hook's delivery of the same event, or another body, is taken for the first")
	}
	equal(t, "without any id", id(http.Header{}, "{}"), "")
}

// TestEverySampleIsDecoded reads the bodies that go-gitlab's own tests read. None is an error, and what is not ignored says where to look.
func TestEverySampleIsDecoded(t *testing.T) {
	f := newFake(t)
	if _, err := f.forge.Self(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{ // kind, repository, and whether it is ignored or makes the bot look for repositories
		"webhooks/build.json":                         "build 0 ignored",
		"webhooks/deployment.json":                    "deployment 30 looked at",
		"webhooks/feature_flag.json":                  "feature_flag 0 ignored",
		"webhooks/group_merge_request.json":           "merge_request.merge 0 ignored",
		"webhooks/issue.json":                         "issue.open 0 ignored",
		"webhooks/job.json":                           "build 31537070 looked at",
		"webhooks/member.json":                        "user_add_to_group 0 discover",
		"webhooks/merge_request.json":                 "merge_request.open 1 looked at",
		"webhooks/note_commit.json":                   "note.create 0 ignored",
		"webhooks/note_issue.json":                    "note.create 0 ignored",
		"webhooks/note_merge_request.json":            "note.create 5 looked at",
		"webhooks/note_snippet.json":                  "note.create 0 ignored",
		"webhooks/pipeline.json":                      "pipeline 1 looked at",
		"webhooks/push.json":                          "push 15 looked at",
		"webhooks/release.json":                       "release 0 ignored",
		"webhooks/resource_access_token_group.json":   "expiring_access_token 0 ignored",
		"webhooks/resource_access_token_project.json": "expiring_access_token 0 ignored",
		"webhooks/service_merge_request.json":         "merge_request.update 2 looked at",
		"webhooks/subgroup.json":                      "subgroup_create 0 discover",
		"webhooks/tag_push.json":                      "tag_push 0 ignored",
		"webhooks/wiki_page.json":                     "wiki_page.create 0 ignored",
		"systemhooks/group_create.json":               "group_create 0 discover",
		"systemhooks/group_destroy.json":              "group_destroy 0 discover",
		"systemhooks/group_rename.json":               "group_rename 0 discover",
		"systemhooks/key_create.json":                 "key_create 0 ignored",
		"systemhooks/key_destroy.json":                "key_destroy 0 ignored",
		"systemhooks/merge_request.json":              "merge_request 14 looked at",
		"systemhooks/project_create.json":             "project_create 74 discover",
		"systemhooks/project_destroy.json":            "project_destroy 73 discover",
		"systemhooks/project_rename.json":             "project_rename 73 discover",
		"systemhooks/project_transfer.json":           "project_transfer 73 discover",
		"systemhooks/project_update.json":             "project_update 74 discover",
		"systemhooks/push.json":                       "push 15 looked at",
		"systemhooks/repository_update.json":          "repository_update 0 ignored",
		"systemhooks/tag_push.json":                   "tag_push 0 ignored",
		"systemhooks/user_add_to_group.json":          "user_add_to_group 0 discover",
		"systemhooks/user_add_to_team.json":           "user_add_to_team 74 discover",
		"systemhooks/user_create.json":                "user_create 0 ignored",
		"systemhooks/user_destroy.json":               "user_destroy 0 ignored",
		"systemhooks/user_failed_login.json":          "user_failed_login 0 ignored",
		"systemhooks/user_remove_from_group.json":     "user_remove_from_group 0 discover",
		"systemhooks/user_remove_from_team.json":      "user_remove_from_team 74 discover",
		"systemhooks/user_rename.json":                "user_rename 0 ignored",
		"systemhooks/user_update_for_group.json":      "user_update_for_group 0 discover",
		"systemhooks/user_update_for_team.json":       "user_update_for_team 74 discover",
	}
	files, err := filepath.Glob("testdata/*hooks/*.json")
	if err != nil || len(files) < len(want) {
		t.Fatalf("%d samples, %v; want %d", len(files), err, len(want))
	}
	for _, file := range files {
		name := strings.TrimPrefix(filepath.ToSlash(file), "testdata/")
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		event, err := f.forge.Decode(http.Header{"X-Gitlab-Event": {"Some Hook"}}, body)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := event.Kind + " " + strconv.FormatInt(int64(event.Repo), 10) + " "
		switch {
		case event.Ignored != "":
			got += "ignored"
		case event.Discover:
			got += "discover"
		default:
			got += "looked at"
		}
		if got != want[name] {
			t.Errorf("%s = %s (%s; %s); want %s", name, got, event.About, event.Ignored, want[name])
		}
		if event.Ignored == "" && event.About == "" {
			t.Errorf("%s says nothing to people", name)
		}
	}
}

func TestWhatTheBotDidItselfIsIgnored(t *testing.T) {
	f := newFake(t)
	const byBot = `"user": {"id": 42, "username": "boatlift"}, "project": {"id": 7, "default_branch": "main"}`
	bodies := map[string]struct {
		body    string
		ignored bool
	}{
		"its own opening":                    {`{"object_kind": "merge_request", ` + byBot + `, "object_attributes": {"iid": 5, "action": "open"}}`, true},
		"its own draft":                      {`{"object_kind": "merge_request", ` + byBot + `, "object_attributes": {"iid": 5, "action": "update"}, "changes": {"draft": {}}}`, true},
		"its own merge":                      {`{"object_kind": "merge_request", ` + byBot + `, "object_attributes": {"iid": 5, "action": "merge"}}`, false},
		"its own push":                       {`{"object_kind": "push", "user_id": 42, "ref": "refs/heads/boatlift/web", "after": "` + head + `", "project": {"id": 7, "default_branch": "main"}}`, true},
		"its own push to base":               {`{"object_kind": "push", "user_id": 42, "ref": "refs/heads/main", "after": "` + head + `", "project": {"id": 7, "default_branch": "main"}}`, false},
		"its own comment":                    {`{"object_kind": "note", ` + byBot + `, "object_attributes": {"noteable_type": "MergeRequest"}, "merge_request": {"iid": 5}}`, true},
		"somebody's label":                   {`{"object_kind": "merge_request", "user": {"id": 3}, "project": {"id": 7}, "object_attributes": {"iid": 5, "action": "update"}, "changes": {"labels": {}}}`, false},
		"an assignee":                        {`{"object_kind": "merge_request", "user": {"id": 3}, "project": {"id": 7}, "object_attributes": {"iid": 5, "action": "update"}, "changes": {"assignees": {}, "updated_at": {}}}`, true},
		"a push to its branch":               {`{"object_kind": "merge_request", "user": {"id": 3}, "project": {"id": 7}, "object_attributes": {"iid": 5, "action": "update", "oldrev": "` + head + `"}, "changes": {"updated_at": {}}}`, false},
		"an approval":                        {`{"object_kind": "merge_request", "user": {"id": 3}, "project": {"id": 7}, "object_attributes": {"iid": 5, "action": "approval"}}`, false},
		"a pipeline that is queued":          {`{"object_kind": "pipeline", "project": {"id": 7}, "object_attributes": {"status": "pending"}}`, true},
		"no JSON at all":                     {`<html>`, true},
		"a list":                             {`[1]`, true},
		"fields of other types":              {`{"object_kind": "merge_request", "project": {"id": 7}, "object_attributes": {"iid": "5", "action": 3}}`, false},
		"an event that is not known":         {`{"object_kind": "vulnerability", "project": {"id": 7}}`, true},
		"an event about no project":          {`{"object_kind": "merge_request", "object_attributes": {"iid": 5, "action": "merge"}}`, true},
		"a comment on something else":        {`{"object_kind": "note", "project": {"id": 7}, "object_attributes": {"noteable_type": "Issue"}}`, true},
		"a project with an id that is no id": {`{"object_kind": "push", "ref": "refs/heads/main", "project": {"id": -7}}`, true},
	}
	if _, err := f.forge.Self(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, c := range bodies {
		event, err := f.forge.Decode(http.Header{}, []byte(c.body))
		if err != nil {
			t.Errorf("%s: %v; want it never to be an error, as GitLab would switch the hook off", name, err)
		}
		if (event.Ignored != "") != c.ignored {
			t.Errorf("%s: ignored %q; want ignored %t", name, event.Ignored, c.ignored)
		}
		if event.Ignored != "" && (event.Repo != 0 || event.Discover) {
			t.Errorf("%s is ignored and makes work: %+v", name, event)
		}
	}
}

func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/*hooks/*.json")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	adapter, err := New(Options{Token: Fixed([]byte(testToken)), WebhookSecrets: func() [][]byte { return [][]byte{[]byte("s")} }})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		event, err := adapter.Decode(http.Header{}, body)
		if err != nil {
			t.Errorf("Decode: %v; want no error ever", err)
		}
		if event.Ignored == "" && event.Repo <= 0 && !event.Discover {
			t.Errorf("Decode = %+v; want a place to look at, or a reason", event)
		}
		_ = forge.Event(event)
	})
}
