package main

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
	"github.com/boatlift/boatlift/cmd/sandbox/stage"
)

// TestFaults lets a forge misbehave in every way it can, through a whole story. The end must be what it would have been, and nothing may be
// there twice. Where webhooks are lost the bot's poll finds out, so that is short here.
func TestFaults(t *testing.T) {
	t.Parallel()
	for name, faults := range everyFault() {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			s := set(t, stage.Options{BotConfig: "poll: 1s\n"})
			s.Hub.SetFaults(faults)
			story(t, s, func() {})
		})
	}
}

// TestFaultsOfAGitLab is the same at a GitLab, by turns one whose gate holds by drafts and one that has external status checks.
func TestFaultsOfAGitLab(t *testing.T) {
	t.Parallel()
	faults := everyFault()
	delete(faults, "limited with 403") // it says 429, and nothing else
	for i, name := range slices.Sorted(maps.Keys(faults)) {
		tier := []hub.Tier{hub.Free, hub.Ultimate}[i%2]
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			s := set(t, stage.Options{GitLab: tier, BotConfig: "poll: 1s\n"})
			f := faults[name]
			f.Match = strings.NewReplacer("PATCH /repos/", "PUT /projects/", " /repos/", " /projects/").Replace(f.Match)
			f.LimitStatus = 0 // its own
			s.Hub.SetFaults(f)
			story(t, s, func() {})
		})
	}
}

// everyFault is every way in which a forge misbehaves, by name, in GitHub's paths.
func everyFault() map[string]hub.Faults {
	return map[string]hub.Faults{
		"every webhook lost":        {LoseWebhooks: 1},
		"every webhook forgotten":   {ForgetWebhooks: 1}, // nobody sends one again
		"every second webhook lost": {ForgetWebhooks: 2},
		"webhooks doubled":          {DoubleWebhooks: 1},
		"webhooks out of order":     {ReorderWebhooks: 2},
		"webhooks late":             {DelayWebhooks: 1, WebhookDelay: 300 * time.Millisecond},
		"webhooks in every way":     {ForgetWebhooks: 5, LoseWebhooks: 7, DoubleWebhooks: 3, DelayWebhooks: 2, WebhookDelay: 200 * time.Millisecond, ReorderWebhooks: 4},

		"every third write fails":                         {Match: "POST /repos/", ErrorEvery: 3},
		"every third write fails after it took effect":    {Match: "POST /repos/", ErrorEvery: 3, ErrorAfter: true},
		"every third change fails after it took effect":   {Match: "PATCH /repos/", ErrorEvery: 3, ErrorAfter: true},
		"every second write breaks after it took effect":  {Match: "POST /repos/", ErrorEvery: 2, ErrorStatus: -1, ErrorAfter: true},
		"every ninth connection breaks":                   {ErrorEvery: 9, ErrorStatus: -1},
		"every fifth connection breaks after it was used": {ErrorEvery: 5, ErrorStatus: -1, ErrorAfter: true},
		"one call in thirty fails":                        {ErrorEvery: 31, ErrorStatus: http.StatusServiceUnavailable},

		"limited with 403":   {Match: " /repos/", LimitEvery: 20, LimitStatus: http.StatusForbidden, RetryAfter: time.Second},
		"limited with 429":   {Match: " /repos/", LimitEvery: 20, LimitStatus: http.StatusTooManyRequests, RetryAfter: time.Second},
		"writes are limited": {Match: "POST /repos/", LimitEvery: 4, LimitStatus: http.StatusForbidden, RetryAfter: time.Second},
		"git is limited too": {LimitEvery: 30, LimitStatus: http.StatusTooManyRequests, RetryAfter: time.Second},
		"lists lag behind":   {ListLag: 2 * time.Second},
		"merges not known":   {MergeUnknown: 3},
		"calls take longer":  {Latency: 60 * time.Millisecond},
	}
}

// TestOutages lets some calls in a row fail after everything that people do, in one way or another.
func TestOutages(t *testing.T) {
	t.Parallel()
	for name, tier := range map[string]hub.Tier{"GitHub": "", "GitLab by drafts": hub.Free, "GitLab": hub.Ultimate} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			random := dice(t)
			s := set(t, stage.Options{GitLab: tier, BotConfig: "poll: 1s\n"})
			story(t, s, func() {
				f := hub.Faults{ErrorEvery: 1, Times: 1 + random.IntN(3), ErrorAfter: random.IntN(2) == 0, ForgetWebhooks: random.IntN(3)}
				f.ErrorStatus = []int{http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusInternalServerError, -1}[random.IntN(4)]
				t.Logf("%+v", f)
				s.Hub.SetFaults(f)
			})
		})
	}
}

// story is a release that goes all the way, one that is superseded in acceptance and rejected in production, and one that is open.
// Something may happen after each act.
func story(t *testing.T, s *stage.Stage, then func()) {
	t.Helper()
	ctx := t.Context()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	both := []string{stage.Acceptance, stage.Production}
	for _, tag := range []string{"1.4.2", "1.4.3", "1.4.4"} {
		check(s.Push(ctx, tag))
		then()
		for _, repo := range both {
			_, err := s.AwaitPull(ctx, repo, tag)
			check(err)
		}
		switch tag {
		case "1.4.2":
			for _, repo := range both {
				check(s.Merge(ctx, repo, tag))
				then()
				check(s.AwaitRuns(ctx, repo, tag))
			}
		case "1.4.3":
			pull, _, err := s.Open(stage.Production, tag)
			check(err)
			check(s.Hub.ClosePull(ctx, stage.Production, pull.Number, "alice"))
			then()
			awaitComment(t, s, stage.Production, pull.Number, "Rejected.")
		}
	}
	superseded, err := s.Pulls(stage.Acceptance, "1.4.3")
	check(err)
	awaitComment(t, s, stage.Acceptance, superseded[0].Number, "Superseded by")
	for _, repo := range both {
		awaitOpenPulls(t, s, repo, 1)
	}
	_, _, err = s.AwaitGate(ctx, stage.Acceptance, "1.4.4", "success")
	check(err)
	_, _, err = s.AwaitGate(ctx, stage.Production, "1.4.4", "")
	check(err)

	s.Hub.SetFaults(hub.Faults{}) // what is still under way comes to an end
	check(s.Quiet(ctx))
	for _, repo := range both {
		onePullEach(t, s, repo, []string{"1.4.2", "1.4.3", "1.4.4"})
		awaitOpenPulls(t, s, repo, 1)
		fsck(t, s, repo)
		oneDeployment(t, s, repo)
	}
	noFailedWork(t, s)
}

func awaitComment(t *testing.T, s *stage.Stage, repo string, number int, words string) {
	t.Helper()
	err := stage.Await(t.Context(), patience, fmt.Sprintf("%s#%d to say %s", repo, number, words), func() (bool, error) {
		said, err := s.Hub.Comments(repo, number)
		for _, c := range said {
			if strings.Contains(c.Body, words) {
				return true, nil
			}
		}
		return false, err
	})
	if err != nil {
		t.Error(err)
	}
}

// oneDeployment holds a repository to what was merged: once.
func oneDeployment(t *testing.T, s *stage.Stage, repo string) {
	t.Helper()
	deployments, err := s.Hub.Deployments(repo)
	if err != nil {
		t.Fatal(err)
	}
	if len(deployments) != 1 {
		t.Errorf("%s was rolled out %d times, want once", repo, len(deployments))
	}
}

// TestLimitWithoutAnEnd is a forge that limits the bot and does not say for how long: the bot says that it waits, asks nothing meanwhile,
// and nothing is there twice.
func TestLimitWithoutAnEnd(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string]hub.Faults{
		"403":           {Match: "POST /repos/", LimitEvery: 1, LimitStatus: http.StatusForbidden},
		"429":           {Match: "POST /repos/", LimitEvery: 1, LimitStatus: http.StatusTooManyRequests},
		"429 of GitLab": {Match: "POST /projects/", LimitEvery: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := stage.Options{}
			if strings.HasSuffix(name, "GitLab") {
				o.GitLab = hub.Free
			}
			s := set(t, o)
			s.Hub.SetFaults(faults)
			if err := s.Push(t.Context(), "1.4.2"); err != nil {
				t.Fatal(err)
			}
			err := stage.Await(t.Context(), patience, "the bot to say that it is limited", func() (bool, error) {
				told, err := s.Bot.Command(t.Context(), "status")
				return strings.Contains(told, "limit") && strings.Contains(told, "tried again in"), err
			})
			if err != nil {
				t.Error(err)
			}
			for _, repo := range []string{stage.Acceptance, stage.Production} {
				awaitOpenPulls(t, s, repo, 0)
			}
		})
	}
}
