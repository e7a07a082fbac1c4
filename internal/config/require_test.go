package config

import (
	"strings"
	"testing"

	"github.com/boatlift/boatlift/internal/promotion"
)

func TestRequire(t *testing.T) {
	const file = `environments:
  - name: production
    rollout: {merge: true}
    merge: auto
    pin: tag
`
	const by = " by the organisation, under require in the bot's boatlift.yaml"
	mergeManual := ".boatlift.yaml:4:12: merge: auto is not allowed" + by + " (write merge: manual)"
	mergeApproved := ".boatlift.yaml:4:12: merge: auto is not allowed" + by + " (write merge: approved, or manual)"
	rollout := ".boatlift.yaml:3:22: a merge does not count as a rollout" + by + " (write rollout: {deployment: production}, with the name of the deployment at the forge)"
	rolloutOrWorkflow := strings.TrimSuffix(rollout, ")") + ", or {workflow: apply.yml})"
	const byWorkflow = "environments: [{name: production, rollout: {workflow: apply.yml}}]"
	workflow := ".boatlift.yaml:1:55: a run of a workflow does not count as a rollout" + by + " (write rollout: {deployment: production}, with the name of the deployment at the forge)"
	pin := ".boatlift.yaml:5:10: pin: tag is not allowed" + by + " (write pin: tag+digest or pin: digest)"
	for _, c := range []struct {
		name, file string
		require    Require
		want       string
	}{
		{"nothing", file, Require{}, ""},
		{"the loosest of all", file, Require{Merge: promotion.MergeAuto, Rollout: "merge", Pin: promotion.PinTag}, ""},
		{"manual", file, Require{Merge: promotion.MergeManual}, mergeManual},
		{"approved", file, Require{Merge: promotion.MergeApproved}, mergeApproved},
		{"deployment", file, Require{Rollout: "deployment"}, rollout},
		{"workflow", file, Require{Rollout: "workflow"}, rolloutOrWorkflow},
		{"deployment, and a workflow", byWorkflow, Require{Rollout: "deployment"}, workflow},
		{"workflow, and one", byWorkflow, Require{Rollout: "workflow"}, ""},
		{"merge, and a workflow", byWorkflow, Require{Rollout: "merge"}, ""},
		{"digest", file, Require{Pin: promotion.PinDigest}, pin},
		{"tag and digest", file, Require{Pin: promotion.PinTagAndDigest}, pin},
		{
			"all", file,
			Require{Merge: promotion.MergeManual, Rollout: "deployment", Pin: promotion.PinTagAndDigest},
			rollout + "\n" + mergeManual + "\n" + pin,
		},
		{"what is left out is strict", "environments: [{name: a}]", Require{Merge: promotion.MergeManual, Rollout: "deployment", Pin: promotion.PinDigest}, ""},
		{"stricter", "environments: [{name: a, merge: manual, pin: digest}]", Require{Merge: promotion.MergeApproved, Pin: promotion.PinTagAndDigest}, ""},
		{"equal", "environments: [{name: a, merge: approved, pin: tag+digest}]", Require{Merge: promotion.MergeApproved, Pin: promotion.PinDigest}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseRepo(".boatlift.yaml", []byte(c.file), nil, c.require)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("ParseRepo =\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}
