package promotion_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
)

const (
	shop = image.Name("registry.acme.io/shop/web")
	jobs = image.Name("registry.acme.io/shop/jobs")
)

func TestProve(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 3, n, 9, 0, 0, 0, time.UTC) }
	report := func(state, by string, bot bool) promotion.Report {
		return promotion.Report{Name: "smoke", State: state, By: by, Bot: bot, URL: "https://ci/" + state}
	}
	certified := func(at int, passed bool, images map[image.Name]image.Digest) promotion.Verification {
		return promotion.Verification{Environment: "acceptance", Name: "smoke", Images: images, Passed: passed, URL: "https://lab", At: day(at)}
	}
	web, both := map[image.Name]image.Digest{shop: "d1"}, map[image.Name]image.Digest{shop: "d1", jobs: "d2"}
	smoke := promotion.Check{Name: "smoke"}
	byApp := promotion.Check{Name: "smoke", App: "Actions"}
	type reports = []promotion.Report
	type verifications = []promotion.Verification
	for name, c := range map[string]struct {
		check         promotion.Check
		proved        []string // on web, before
		reports       reports
		verifications verifications
		web, jobs     string // how far each is proved then; empty: green
	}{
		"nobody reported":                       {check: smoke, web: "not reported", jobs: "not reported"},
		"green":                                 {check: smoke, reports: reports{report("success", "a", false)}},
		"red":                                   {check: smoke, reports: reports{report("failure", "a", false)}, web: "failure", jobs: "failure"},
		"pending":                               {check: smoke, reports: reports{report("pending", "a", false)}, web: "pending", jobs: "pending"},
		"skipped is not green":                  {check: smoke, reports: reports{report("skipped", "a", false)}, web: "skipped", jobs: "skipped"},
		"a state that nobody knows":             {check: smoke, reports: reports{report("splendid", "a", false)}, web: "splendid", jobs: "splendid"},
		"the worst of two counts":               {check: smoke, reports: reports{report("success", "a", false), report("failure", "b", true)}, web: "failure", jobs: "failure"},
		"the App's word":                        {check: byApp, reports: reports{report("success", "actions", true), report("failure", "b", true)}},
		"the App's status":                      {check: byApp, reports: reports{report("success", "actions[bot]", true)}},
		"a person who is called like the App":   {check: byApp, reports: reports{report("success", "actions", false)}, web: "not reported", jobs: "not reported"},
		"of one image":                          {check: smoke, verifications: verifications{certified(1, true, web)}, jobs: "not reported"},
		"of both images":                        {check: smoke, verifications: verifications{certified(1, true, both)}},
		"of both, and one failed later":         {check: smoke, verifications: verifications{certified(1, true, both), certified(2, false, web)}, web: "failure"},
		"of both, and one failed before":        {check: smoke, verifications: verifications{certified(2, true, both), certified(1, false, web)}},
		"of another digest":                     {check: smoke, verifications: verifications{certified(1, true, map[image.Name]image.Digest{shop: "d1", jobs: "d3"})}, web: "not reported", jobs: "not reported"},
		"of no digest":                          {check: smoke, verifications: verifications{certified(1, true, map[image.Name]image.Digest{shop: ""})}, web: "not reported", jobs: "not reported"},
		"a test system does not speak for App":  {check: byApp, verifications: verifications{certified(1, true, both)}, web: "not reported", jobs: "not reported"},
		"red there, green here":                 {check: smoke, reports: reports{report("success", "a", false)}, verifications: verifications{certified(1, false, web)}, web: "failure"},
		"one failed, of the other nobody knows": {check: smoke, verifications: verifications{certified(1, false, web)}, web: "failure", jobs: "not reported"},
		"proved before":                         {check: smoke, proved: []string{"smoke"}, jobs: "not reported"},
		"proved before, and pending":            {check: smoke, proved: []string{"smoke"}, reports: reports{report("pending", "a", false)}, jobs: "pending"},
		"proved before, and red":                {check: smoke, proved: []string{"smoke"}, reports: reports{report("failure", "a", false)}, web: "failure", jobs: "failure"},
		"proved before by somebody else":        {check: byApp, proved: []string{"smoke"}, web: "not reported", jobs: "not reported"},
	} {
		t.Run(name, func(t *testing.T) {
			run := promotion.Running{Environment: "acceptance", Images: map[image.Name]promotion.RunningImage{
				shop: {Digest: "d1", Proved: c.proved}, jobs: {Digest: "d2"},
			}}
			promotion.Prove([]promotion.Check{c.check}, &run, c.reports, c.verifications)
			for name, want := range map[image.Name]string{shop: c.web, jobs: c.jobs} {
				states, urls := run.Unproved(name)
				if got := states[c.check.String()]; got != want || len(states) != len(urls) {
					t.Errorf("%s is %q, %v; want %q", name, got, urls, want)
				}
				if green := want == ""; green != reflect.DeepEqual(run.Images[name].Proved, []string{c.check.String()}) {
					t.Errorf("%s is remembered to be proved by %v", name, run.Images[name].Proved)
				}
			}
			if all, _ := run.Unproved(shop, jobs); all[c.check.String()] != promotion.Worst(c.web, c.jobs) {
				t.Errorf("together they are %v; want %q", all, promotion.Worst(c.web, c.jobs))
			}
		})
	}
}
