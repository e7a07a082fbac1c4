package conform

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
)

const restDoc = `{
  "openapi": "3.0.3", "info": {"title": "small", "version": "1"},
  "paths": {
    "/repos/{owner}/{repo}": {"get": {
      "parameters": [
        {"name": "owner", "in": "path", "required": true, "schema": {"type": "string"}},
        {"name": "repo", "in": "path", "required": true, "schema": {"type": "string"}}
      ],
      "responses": {"200": {"description": "", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/repo"}}}}}
    }},
    "/repos/{owner}/{repo}/git/ref/{ref}": {"get": {"responses": {"204": {"description": ""}}}},
    "/repos/{owner}/{repo}/labels": {
      "get": {
        "parameters": [{"name": "per_page", "in": "query", "schema": {"type": "integer"}}],
        "responses": {"200": {"description": "", "content": {"application/json": {"schema": {"type": "array", "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}}}}}}
      },
      "post": {
        "requestBody": {"content": {"application/json": {"schema": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "color": {"type": "string", "nullable": true}}}}}},
        "responses": {"201": {"description": "", "content": {"application/json": {"schema": {}}}}}
      }
    }
  },
  "components": {"schemas": {
    "repo": {"type": "object", "required": ["id", "url"], "properties": {
      "id": {"type": "integer"},
      "url": {"type": "string", "format": "uri"}, "log_url": {"type": "string", "format": "uri", "default": ""},
      "pulls_url": {"type": "string", "format": "uri-template"},
      "license": {"nullable": true, "allOf": [{"type": "object", "properties": {"key": {"type": "string"}}}]},
      "owner": {"oneOf": [{"type": "object", "required": ["login"], "properties": {"login": {"type": "string"}}}, {"type": "object", "required": ["slug"], "properties": {"slug": {"type": "string"}}}]},
      "permissions": {"type": "object", "additionalProperties": {"type": "boolean"}},
      "properties": {"type": "object", "additionalProperties": true}
    }},
    "basic-error": {"type": "object", "properties": {"message": {"type": "string"}}}
  }}
}`

const hookDoc = `{
  "$schema": "http://json-schema.org/draft-07/schema#",
  "definitions": {
    "push$event": {"type": "object", "required": ["ref", "repository"], "additionalProperties": false, "properties": {
      "ref": {"type": "string"}, "repository": {"$ref": "#/definitions/repository"}
    }},
    "pull_request$closed": {"type": "object", "required": ["action"], "properties": {"action": {"type": "string", "enum": ["closed"]}, "merged": {"type": "boolean"}}},
    "repository": {"type": "object", "required": ["url"], "properties": {"url": {"type": "string", "format": "uri"}, "pulls_url": {"type": "string", "format": "uri-template"}}}
  }
}`

// report judges by the small documents above.
func report(t *testing.T, exceptions []Exception, tell func(*Judge)) Report {
	t.Helper()
	j, err := New([]byte(restDoc), []byte(hookDoc), exceptions)
	if err != nil {
		t.Fatal(err)
	}
	tell(j)
	return j.Report()
}

func exchange(line, request string, status int, answer string) hub.Exchange {
	method, path, _ := strings.Cut(line, " ")
	path, query, _ := strings.Cut(path, "?")
	e := hub.Exchange{Method: method, Path: "/api/v3" + path, Query: query, Status: status, Header: http.Header{}, AnswerHeader: http.Header{}}
	if request != "" {
		e.Body = []byte(request)
		e.Header.Set("Content-Type", "application/json")
	}
	if answer != "" {
		e.Answer = []byte(answer)
		e.AnswerHeader.Set("Content-Type", "application/json; charset=utf-8")
	}
	return e
}

func TestExchanges(t *testing.T) {
	const repo, labels = "GET /repos/acme/infra", "/repos/acme/infra/labels"
	for _, tc := range []struct {
		name string
		said hub.Exchange
		want []string // what does not conform
	}{
		{"all is well", exchange(repo, "", 200, `{"id": 1, "url": "https://x.example/", "license": null, "pulls_url": "https://x.example/pulls{/number}"}`), nil},
		{"one of two alternatives", exchange(repo, "", 200, `{"id": 1, "url": "https://x.example/", "owner": {"login": "acme"}}`), nil},
		{"members of any name", exchange(repo, "", 200, `{"id": 1, "url": "https://x.example/", "permissions": {"push": true}, "properties": {"tier": {"any": 1}}}`), nil},
		{"the default of the document itself", exchange(repo, "", 200, `{"id": 1, "url": "https://x.example/", "log_url": ""}`), nil},
		{"a member is missing", exchange(repo, "", 200, `{"url": "https://x.example/"}`), []string{`GET /repos/{owner}/{repo}, answer 200, /id: property "id" is missing`}},
		{"a wrong type", exchange(repo, "", 200, `{"id": "1", "url": "https://x.example/"}`), []string{`answer 200, /id: value must be an integer`}},
		{"no URI", exchange(repo, "", 200, `{"id": 1, "url": "infra"}`), []string{`answer 200, /url: is no uri`}},
		{"no template", exchange(repo, "", 200, `{"id": 1, "url": "https://x.example/", "pulls_url": "https://x.example/{"}`), []string{`/pulls_url: is no uri-template`}},
		{"null where it may not be", exchange(repo, "", 200, `{"id": 1, "url": null}`), []string{`/url: Value is not nullable`}},
		{"neither of two alternatives", exchange(repo, "", 200, `{"id": 1, "url": "https://x.example/", "owner": {}}`), []string{`/owner: value doesn't match any schema from "oneOf"`}},
		{"an invented member", exchange(repo, "", 200, `{"id": 1, "url": "https://x.example/", "colour": "red"}`), []string{`answer 200, /colour: is not documented`}},
		{"an invented member of an alternative", exchange(repo, "", 200, `{"id": 1, "url": "https://x.example/", "owner": {"login": "acme", "size": 1}}`), []string{`/owner/size: is not documented`}},
		{"a status that is not there", exchange(repo, "", 418, `{"message": "x"}`), []string{`answer 418: is not documented`}},
		{"what any refusal looks like", exchange(repo, "", 404, `{"message": 1}`), []string{`answer 404, /message: value must be a string`, `answer 404: is not documented`}},
		{"no JSON", exchange(repo, "", 200, `<html>`), []string{`answer 200: is no JSON`}},
		{"an unknown operation", exchange("GET /nowhere", "", 200, ""), []string{`GET /nowhere: is not in the document`}},
		{"a known path, an unknown method", exchange("DELETE "+labels, "", 204, ""), []string{`DELETE /repos/acme/infra/labels: is not in the document`}},
		{"a ref with slashes", exchange("GET /repos/acme/infra/git/ref/heads/boatlift/web", "", 204, ""), nil},
		{"a body where there is none", exchange("GET /repos/acme/infra/git/ref/heads%2Fmain", "", 204, `{}`), []string{`answer 204: has a body`}},
		{"another content type", func() hub.Exchange {
			e := exchange(repo, "", 200, `{}`)
			e.AnswerHeader.Set("Content-Type", "text/html")
			return e
		}(), []string{`answer 200: has the content type "text/html", the document [application/json]`}},
		{"a repository by its id", exchange("GET /repositories/7", "", 200, `{"id": 1}`), []string{`GET /repositories/{id}: is not in the document`, `GET /repos/{owner}/{repo}, answer 200, /url: property "url" is missing`}},
		{"members of a list", exchange("GET "+labels+"?per_page=100", "", 200, `[{"name": "a"}, {}, {"name": 1, "size": 2}]`), []string{
			`/*/name: property "name" is missing`, `/*/name: value must be a string`, `/*/size: is not documented`,
		}},
		{"a wrong parameter", exchange("GET "+labels+"?per_page=all", "", 200, `[]`), []string{`query per_page: value all: an invalid integer`}},
		{"an unknown parameter", exchange("GET "+labels+"?limit=1", "", 200, `[]`), []string{`query limit: is not documented`}},
		{"a right body", exchange("POST "+labels, `{"name": "a", "color": null}`, 201, `{}`), nil},
		{"a body that lacks something", exchange("POST "+labels, `{}`, 201, `{}`), []string{`POST /repos/{owner}/{repo}/labels, request body, /name: property "name" is missing`}},
		{"a body with something unknown", exchange("POST "+labels, `{"name": "a", "size": 1}`, 201, `{}`), []string{`request body, /size: is not documented`}},
		{"a body nobody asked for", exchange(repo, `{"a": 1}`, 200, `{"id": 1, "url": "https://x.example/"}`), []string{`request body: request body not allowed for this request`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := report(t, nil, func(j *Judge) { j.Exchange("the test", tc.said) })
			if len(r.Wrong) != len(tc.want) {
				t.Errorf("found %q; want %q", r.Wrong, tc.want)
			}
			for _, want := range tc.want {
				if !slices.ContainsFunc(r.Wrong, func(line string) bool { return strings.Contains(line, want) }) {
					t.Errorf("found %q; want %q among it", r.Wrong, want)
				}
			}
		})
	}
}

func TestGraphQLIsNoPartOfTheDocument(t *testing.T) {
	r := report(t, nil, func(j *Judge) {
		j.Exchange("the test", hub.Exchange{Method: "POST", Path: "/api/graphql", Status: 200})
	})
	if want := "POST /api/graphql: is no operation of the REST API (1 times, first in the test)"; !slices.Equal(r.Wrong, []string{want}) {
		t.Errorf("found %q; want %q", r.Wrong, want)
	}
}

func TestWebhooks(t *testing.T) {
	for _, tc := range []struct{ name, event, body, want string }{
		{"all is well", "push", `{"ref": "refs/heads/main", "repository": {"url": "https://x.example/", "pulls_url": "https://x.example/pulls{/number}"}}`, ""},
		{"by its action", "pull_request", `{"action": "closed"}`, ""},
		{"an action without a schema", "pull_request", `{"action": "eaten"}`, "webhook pull_request.eaten: has no schema"},
		{"missing", "push", `{"ref": "a"}`, "webhook push, /repository: is missing"},
		{"missing below", "push", `{"ref": "a", "repository": {}}`, "webhook push, /repository/url: is missing"},
		{"unknown", "push", `{"ref": "a", "repository": {"url": "https://x.example/"}, "zen": 1}`, "webhook push, /zen: is not documented"},
		{"wrong", "pull_request", `{"action": "closed", "merged": "yes"}`, "webhook pull_request.closed, /merged: got string, want boolean"},
		{"no URI", "push", `{"ref": "a", "repository": {"url": "x"}}`, "webhook push, /repository/url: is no uri"},
		{"no template", "push", `{"ref": "a", "repository": {"url": "https://x.example/", "pulls_url": "https://x.example/}"}}`, "webhook push, /repository/pulls_url: is no uri-template"},
		{"no JSON", "push", `{`, "webhook push: is no JSON"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := report(t, nil, func(j *Judge) { j.Webhook("the test", hub.Webhook{Event: tc.event, Body: []byte(tc.body)}) })
			if tc.want == "" && len(r.Wrong) > 0 || tc.want != "" && (len(r.Wrong) != 1 || !strings.HasPrefix(r.Wrong[0], tc.want)) {
				t.Errorf("found %q; want %q", r.Wrong, tc.want)
			}
		})
	}
}

func TestWhatIsWrongIsSaidOncePerObject(t *testing.T) {
	r := report(t, nil, func(j *Judge) {
		for _, where := range []string{"first", "second"} {
			j.Exchange(where, exchange("GET /repos/acme/infra", "", 200, `{"id": 1, "url": "https://x.example/", "a": 1, "b": 2}`))
		}
	})
	if len(r.Wrong) != 1 || !strings.Contains(r.Wrong[0], "answer 200, /a b: is not documented (2 times, first in ") {
		t.Errorf("found %q; want one line with both members", r.Wrong)
	}
}

func TestAnExceptionCoversWhatItNamesAndIsNeeded(t *testing.T) {
	exceptions := []Exception{
		{Name: "teapots", Covers: regexp.MustCompile(`answer 418: is not documented$`), Reason: "a joke"},
		{Name: "old", Covers: regexp.MustCompile(`answer 419: `), Reason: "gone"},
	}
	r := report(t, exceptions, func(j *Judge) {
		j.Exchange("the test", exchange("GET /repos/acme/infra", "", 418, `{"message": 1}`))
	})
	if len(r.Wrong) != 1 || !strings.Contains(r.Wrong[0], "/message: ") {
		t.Errorf("found %q; want only what the exception does not name", r.Wrong)
	}
	if !slices.Equal(r.Needless, []string{"old"}) {
		t.Errorf("needless exceptions %q; want old", r.Needless)
	}
	for _, want := range []string{"1 exchanges, 1 of the document's 4 operations:\n", "       1  GET /repos/{owner}/{repo}\n", "       1  teapots: a joke\n", "       0  old: gone\n"} {
		if !strings.Contains(r.Summary, want) {
			t.Errorf("the summary lacks %q:\n%s", want, r.Summary)
		}
	}
}

func TestExceptionsSayWhy(t *testing.T) {
	for _, e := range Exceptions() {
		if e.Name == "" || e.Covers == nil || len(e.Reason) < 40 {
			t.Errorf("exception %q: %v, %q; want a name, what it covers, and a reason", e.Name, e.Covers, e.Reason)
		}
	}
}

func TestDocumentsThatAreNotThereAreNamed(t *testing.T) {
	_, err := Open(t.TempDir(), nil)
	if err == nil || !strings.Contains(err.Error(), "api.github.com.json") || !strings.Contains(err.Error(), "make contract") {
		t.Errorf("Open: %v; want the file and what installs it", err)
	}
}
