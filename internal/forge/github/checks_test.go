package github

import (
	"fmt"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/internal/forge"
)

func runJSON(id int, status, conclusion, more string) string {
	if conclusion != "null" {
		conclusion = `"` + conclusion + `"`
	}
	return fmt.Sprintf(`{"id": %d, "name": "boatlift/gate", "head_sha": %q, "status": %q, "conclusion": %s, "app": {"id": 4242},
		"external_id": "r1", "details_url": "https://boat.example/r1", "output": {"title": "waits", "summary": "for acceptance"}%s}`, id, headSHA, status, conclusion, more)
}

func gate(c forge.Conclusion) forge.Check {
	return forge.Check{
		HeadSHA: headSHA, Name: "boatlift/gate", ExternalID: "r1", Conclusion: c, Title: "waits", Summary: "for acceptance",
		DetailsURL: "https://boat.example/r1",
	}
}

const (
	runsOfHead = "GET /repos/acme/infra/commits/{sha}/check-runs"
	makeRun    = "POST /repos/acme/infra/check-runs"
	changeRun  = "PATCH /repos/acme/infra/check-runs/"
)

func TestACheckIsMadeWhereThereIsNone(t *testing.T) {
	for c, want := range map[forge.Conclusion]string{forge.Pending: "in_progress <nil>", forge.Success: "completed success", forge.Failure: "completed failure"} {
		f := newFake(t)
		// Runs of another App, another name and another commit are not ours, even where the server does not filter.
		f.json(runsOfHead, 200, `{"check_runs": [`+strings.Join([]string{
			strings.Replace(runJSON(1, "completed", "success", ""), `"id": 4242`, `"id": 15368`, 1),
			strings.Replace(runJSON(2, "completed", "success", ""), "boatlift/gate", "build", 1),
			strings.Replace(runJSON(3, "completed", "success", ""), headSHA, baseSHA, 1),
		}, ",")+`]}`)
		f.json(makeRun, 201, runJSON(9, "in_progress", "null", ""))
		if err := f.forge.SetCheck(t.Context(), infra(), gate(c)); err != nil {
			t.Fatal(err)
		}
		sent := f.body(makeRun)
		checkEqual(t, "state", fmt.Sprint(sent["status"], " ", sent["conclusion"]), want)
		checkEqual(t, "name and commit", fmt.Sprint(sent["name"], " ", sent["head_sha"], " ", sent["external_id"], " ", sent["details_url"]), "boatlift/gate "+headSHA+" r1 https://boat.example/r1")
		checkEqual(t, "output", sent["output"], map[string]any{"title": "waits", "summary": "for acceptance"})
		line := f.lines()[0]
		for _, part := range []string{"app_id=4242", "check_name=boatlift%2Fgate", "filter=latest", "per_page=100", "/commits/" + headSHA + "/"} {
			if !strings.Contains(line, part) {
				t.Errorf("%s lacks %s", line, part)
			}
		}
	}
}

func TestACheckIsChangedInPlace(t *testing.T) {
	f := newFake(t)
	f.json(runsOfHead, 200, `{"check_runs": [`+runJSON(5, "completed", "failure", "")+`,`+runJSON(8, "in_progress", "null", "")+`,`+runJSON(6, "completed", "failure", "")+`]}`)
	f.json(changeRun+"8", 200, runJSON(8, "completed", "success", ""))
	if err := f.forge.SetCheck(t.Context(), infra(), gate(forge.Success)); err != nil {
		t.Fatal(err)
	}
	sent := f.body(changeRun + "8")
	checkEqual(t, "state", fmt.Sprint(sent["status"], " ", sent["conclusion"]), "completed success")
	checkEqual(t, "checks made", f.count(makeRun), 0)
}

func TestACheckThatShowsItAlreadyIsLeftAlone(t *testing.T) {
	for c, run := range map[forge.Conclusion]string{forge.Pending: runJSON(5, "in_progress", "null", ""), forge.Success: runJSON(5, "completed", "success", "")} {
		f := newFake(t)
		f.json(runsOfHead, 200, `{"check_runs": [`+run+`]}`)
		if err := f.forge.SetCheck(t.Context(), infra(), gate(c)); err != nil {
			t.Fatal(err)
		}
		checkEqual(t, "requests", len(f.lines()), 1)
	}
}

func TestACheckThatStaysGreenInsteadOfWaitingIsReplaced(t *testing.T) {
	f := newFake(t)
	f.json(runsOfHead, 200, `{"check_runs": [`+runJSON(5, "completed", "success", "")+`]}`)
	f.json(changeRun+"5", 200, runJSON(5, "completed", "success", ""))
	f.json(makeRun, 201, runJSON(9, "in_progress", "null", ""))
	if err := f.forge.SetCheck(t.Context(), infra(), gate(forge.Pending)); err != nil {
		t.Fatal(err)
	}
	checkEqual(t, "state of the new one", f.body(makeRun)["status"], "in_progress")
}

func TestACheckIsFittedIntoGitHubsBounds(t *testing.T) {
	f := newFake(t)
	f.json(runsOfHead, 200, `{"check_runs": []}`)
	f.json(makeRun, 201, runJSON(9, "completed", "success", ""))
	if err := f.forge.SetCheck(t.Context(), infra(), forge.Check{HeadSHA: headSHA, Name: "n", Conclusion: forge.Success, Summary: strings.Repeat("ö", 40000), DetailsURL: "javascript:alert(1)"}); err != nil {
		t.Fatal(err)
	}
	sent := f.body(makeRun)
	out := sent["output"].(map[string]any)
	if summary := out["summary"].(string); len(summary) > 65535 || len(summary) < 65000 || !strings.Contains(summary, "cut here") || strings.ContainsRune(summary, '\uFFFD') {
		t.Errorf("summary of %d bytes; want it cut between two characters, with a notice", len(summary))
	}
	checkEqual(t, "title", out["title"], "n")
	checkEqual(t, "link", sent["details_url"], nil)
	if err := f.forge.SetCheck(t.Context(), infra(), forge.Check{HeadSHA: headSHA, Name: "n", Conclusion: "neutral"}); err == nil {
		t.Error("SetCheck to neutral, which passes a required check: no error")
	}
}
