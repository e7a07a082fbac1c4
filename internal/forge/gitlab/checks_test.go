package gitlab

import (
	"testing"

	"github.com/boatlift/boatlift/internal/forge"
)

const statusesOfHead = "/projects/7/repository/commits/" + head + "/statuses"

func check(conclusion forge.Conclusion, number int) forge.Check {
	return forge.Check{HeadSHA: head, Number: number, Name: "boatlift/gate", Conclusion: conclusion, Title: "waits", DetailsURL: "https://gitlab.acme.io/x"}
}

func TestTheGateIsHeldByADraftWhereNothingElseHolds(t *testing.T) {
	for name, c := range map[string]struct {
		mr         string
		conclusion forge.Conclusion
		title      any // as it is sent; nil: it is not
	}{
		"shut, and open to people":     {mergeRequest(), forge.Pending, "[Draft] web 1.4.2"},
		"denied, and open to people":   {mergeRequest(), forge.Failure, "[Draft] web 1.4.2"},
		"green, and a draft":           {mergeRequest("title", "[Draft] web 1.4.2"), forge.Success, "web 1.4.2"},
		"green, and ready":             {mergeRequest(), forge.Success, nil},
		"shut, and a draft":            {mergeRequest("title", "[Draft] web 1.4.2"), forge.Pending, nil},
		"green, and somebody's draft":  {mergeRequest("title", "Draft: web 1.4.2"), forge.Success, nil},
		"shut, and somebody's draft":   {mergeRequest("title", "Draft: web 1.4.2"), forge.Failure, nil},
		"shut, but another's":          {mergeRequest("author", map[string]any{"id": 3, "username": "alice"}), forge.Failure, nil},
		"green, but of an older head":  {mergeRequest("title", "[Draft] web 1.4.2", "sha", newer), forge.Success, nil},
		"shut, but merged meanwhile":   {mergeRequest("state", "merged"), forge.Failure, nil},
		"green, another's, and a mark": {mergeRequest("title", "[Draft] mine", "author", map[string]any{"id": 3, "username": "alice"}), forge.Success, nil},
	} {
		f := newFake(t)
		f.answer("GET "+mr5, 200, c.mr)
		f.answer("PUT "+mr5, 200, c.mr)
		f.answer("GET "+mr5+"/status_checks", 401, `{"message":"401 Unauthorized"}`) // without the licence
		f.answer("GET "+statusesOfHead, 200, `[]`)
		f.answer("POST /projects/7/statuses/"+head, 201, `{}`)
		if err := f.forge.SetCheck(t.Context(), infra, check(c.conclusion, 5)); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got any
		for _, r := range f.sent("PUT", mr5) {
			got = r.Body["title"]
		}
		if got != c.title {
			t.Errorf("%s: the title was sent as %v; want %v", name, got, c.title)
		}
		writes := f.writes()
		if c.title != nil && c.conclusion == forge.Success && writes[len(writes)-1] != "PUT "+mr5 {
			t.Errorf("%s: %v; want that it is shown before it is let go", name, writes)
		}
		if c.title != nil && c.conclusion != forge.Success && writes[0] != "PUT "+mr5 {
			t.Errorf("%s: %v; want that it is held before it is shown", name, writes)
		}
	}
}

func TestAnExternalStatusCheckHoldsTheGateInstead(t *testing.T) {
	for name, c := range map[string]struct {
		mr, was    string
		conclusion forge.Conclusion
		sent       any
		title      any
	}{
		"waits":                  {mergeRequest(), "pending", forge.Pending, "failed", nil},
		"denied":                 {mergeRequest(), "passed", forge.Failure, "failed", nil},
		"waits, and has failed":  {mergeRequest(), "failed", forge.Pending, nil, nil},
		"green":                  {mergeRequest(), "failed", forge.Success, "passed", nil},
		"green, opened as draft": {mergeRequest("title", "[Draft] web"), "pending", forge.Success, "passed", "web"},
		"waits, opened as draft": {mergeRequest("title", "[Draft] web"), "failed", forge.Pending, nil, "web"},
		"green, another's":       {mergeRequest("author", map[string]any{"id": 3, "username": "alice"}), "pending", forge.Success, "passed", nil},
	} {
		f := newFake(t)
		f.answer("GET "+mr5, 200, c.mr)
		f.answer("PUT "+mr5, 200, c.mr)
		f.answer("GET "+mr5+"/status_checks", 200, `[{"id": 8, "name": "other", "status": "pending"}, {"id": 9, "name": "boatlift/gate", "status": "`+c.was+`"}]`)
		f.answer("POST "+mr5+"/status_check_responses", 201, `{}`)
		f.answer("GET "+statusesOfHead, 200, `[]`)
		f.answer("POST /projects/7/statuses/"+head, 201, `{}`)
		if err := f.forge.SetCheck(t.Context(), infra, check(c.conclusion, 5)); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var sent, title any
		for _, r := range f.sent("POST", "/status_check_responses") {
			sent = r.Body["status"]
			equal(t, name+": of", []any{r.Body["sha"], r.Body["external_status_check_id"]}, []any{head, 9})
		}
		for _, r := range f.sent("PUT", mr5) {
			title = r.Body["title"]
		}
		if sent != c.sent || title != c.title {
			t.Errorf("%s: sent %v and the title %v; want %v and %v", name, sent, title, c.sent, c.title)
		}
	}
}

func TestAStatusThatSaysItAlreadyIsLeftAlone(t *testing.T) {
	f := newFake(t)
	f.answer("GET "+statusesOfHead, 200, `[{"id": 1, "name": "boatlift/gate", "status": "success", "author": {"id": 42}},
		{"id": 2, "name": "boatlift/gate", "status": "pending", "description": "waits", "target_url": "https://gitlab.acme.io/x", "author": {"id": 42}}]`)
	if err := f.forge.SetCheck(t.Context(), infra, check(forge.Pending, 0)); err != nil {
		t.Fatal(err)
	}
	equal(t, "writes", f.writes(), []string{})
}

func TestAStatusOfSomebodyElseIsNotBelieved(t *testing.T) {
	f := newFake(t)
	f.answer("GET "+statusesOfHead, 200, `[{"id": 2, "name": "boatlift/gate", "status": "pending", "description": "waits", "target_url": "https://gitlab.acme.io/x", "author": {"id": 3}}]`)
	f.answer("POST /projects/7/statuses/"+head, 201, `{}`)
	if err := f.forge.SetCheck(t.Context(), infra, check(forge.Pending, 0)); err != nil {
		t.Fatal(err)
	}
	equal(t, "writes", f.writes(), []string{"POST /projects/7/statuses/" + head})
}

func TestAStatusThatCannotBecomeWhatItIsIsBegunAnew(t *testing.T) {
	const refused = `{"message":"Cannot transition status via :enqueue from :pending (Reason(s): Status cannot transition via \"enqueue\")"}`
	pending := func(said string) string {
		return `[{"id": 2, "name": "boatlift/gate", "status": "pending", "description": "` + said + `", "target_url": "https://gitlab.acme.io/x", "author": {"id": 42}}]`
	}
	states := func(f *fake) []any {
		var list []any
		for _, r := range f.sent("POST", "/statuses/"+head) {
			list = append(list, r.Body["state"])
		}
		return list
	}
	f := newFake(t)
	f.answer("GET "+statusesOfHead, 200, pending("something else"))
	f.answer("POST /projects/7/statuses/"+head, 400, refused)
	f.answer("POST /projects/7/statuses/"+head, 201, `{}`)
	if err := f.forge.SetCheck(t.Context(), infra, check(forge.Pending, 0)); err != nil {
		t.Fatal(err)
	}
	equal(t, "states", states(f), []string{"pending", "canceled", "pending"})

	f = newFake(t) // a GitLab that takes the text with its refusal
	f.answer("GET "+statusesOfHead, 200, pending("something else"))
	f.answer("GET "+statusesOfHead, 200, pending("waits"))
	f.answer("POST /projects/7/statuses/"+head, 400, refused)
	if err := f.forge.SetCheck(t.Context(), infra, check(forge.Pending, 0)); err != nil {
		t.Fatal(err)
	}
	equal(t, "states", states(f), []string{"pending"})
}
