package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/cmd/sandbox/stage"
	"github.com/boatlift/boatlift/internal/store"
	"github.com/boatlift/boatlift/internal/store/postgrestest"
)

// TestABotMovesToPostgreSQLAndGoesOn copies the database of a bot that is in the middle of its work with the program, and lets the bot go on
// with the copy: what was open stays open, what is held stays held, and nothing is opened twice.
func TestABotMovesToPostgreSQLAndGoesOn(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.NewCluster(t)
	target := cluster.URL("postgres")
	s := set(t, stage.Options{})
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.Push(ctx, "1.4.2"))
	for _, repo := range []string{stage.Acceptance, stage.Production} {
		_, err := s.AwaitPull(ctx, repo, "1.4.2")
		must(err)
	}
	_, err := s.Bot.Command(ctx, "hold", stage.Production+":production", "--reason", "until we have moved")
	must(err)
	must(s.Quiet(ctx))

	migrate := func(args ...string) (out string, code int) {
		t.Helper()
		var said bytes.Buffer
		cmd := exec.CommandContext(ctx, program(t), append([]string{"migrate", "--config", filepath.Join(s.Bot.Dir(), "boatlift.yaml")}, args...)...)
		cmd.Stdout, cmd.Stderr = &said, &said
		cmd.Env = append(os.Environ(), "TARGET="+target)
		err := cmd.Run()
		var ended *exec.ExitError
		if err != nil && !errors.As(err, &ended) {
			t.Fatal(err)
		}
		return said.String(), cmd.ProcessState.ExitCode()
	}
	if out, code := migrate("--to", "env:TARGET"); code == 0 || !regexp.MustCompile(`process \d+ holds`).MatchString(out) {
		t.Errorf("beside the running bot: %d %s; want that it is refused", code, out)
	}
	must(s.Bot.Stop())
	if out, code := migrate("--to", "postgres://somebody:hunter2@127.0.0.1/x"); code != exitUsage || strings.Contains(out, "hunter2") {
		t.Errorf("with a password on the command line: %d %s; want that it is refused, and not repeated", code, out)
	}
	if out, code := migrate("--to", "env:TARGET", "--dry-run"); code != 0 || !regexp.MustCompile(`would copy \d+ rows, verified`).MatchString(out) {
		t.Errorf("a dry run: %d %s", code, out)
	}
	before := trailOf(t, "sqlite:"+filepath.Join(s.Bot.DataDir(), "boatlift.db"))
	out, code := migrate("--to", "env:TARGET")
	if told := regexp.MustCompile(`copied \d+ rows, verified; the audit trail has (\d+) entries`).FindStringSubmatch(out); code != 0 || told == nil {
		t.Fatalf("%d %s", code, out)
	}
	if after := trailOf(t, target); len(before) == 0 || len(after) != len(before) || after[len(after)-1].Hash != before[len(before)-1].Hash {
		t.Errorf("the audit trail has %d entries, and had %d", len(after), len(before))
	}
	if out, code := migrate("--to", "env:TARGET"); code == 0 {
		t.Errorf("a second time, into what is not empty any more: %s", out)
	}

	must(s.Bot.UseDatabase(target))
	must(s.Bot.Start(ctx))
	status, err := s.Bot.Command(ctx, "status")
	must(err)
	if !strings.Contains(status, "until we have moved") {
		t.Errorf("the hold is lost: %s", status)
	}
	_, err = s.Bot.Command(ctx, "lift", stage.Production+":production")
	must(err)
	must(s.Merge(ctx, stage.Acceptance, "1.4.2"))
	must(s.AwaitRuns(ctx, stage.Acceptance, "1.4.2"))
	must(s.Push(ctx, "1.4.3"))
	for _, repo := range []string{stage.Acceptance, stage.Production} {
		_, err := s.AwaitPull(ctx, repo, "1.4.3")
		must(err)
		for _, tag := range []string{"1.4.2", "1.4.3"} {
			if pulls, err := s.Pulls(repo, tag); err != nil || len(pulls) != 1 {
				t.Errorf("%s has %d pull requests for %s: %v", repo, len(pulls), tag, err)
			}
		}
	}
	noFailedWork(t, s)
	must(s.Bot.Stop())
	after := trailOf(t, target)
	if len(after) <= len(before) || after[len(before)-1].Hash != before[len(before)-1].Hash {
		t.Errorf("the trail does not go on where it was: %d entries, then %d", len(before), len(after))
	}
}

// trailOf is the audit trail of a database that nobody else has open, oldest first. That it is whole is proved on the way.
func trailOf(t *testing.T, url string) []store.AuditEntry {
	t.Helper()
	db, err := store.Open(t.Context(), url, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := db.AuditVerify(t.Context()); err != nil {
		t.Error(err)
	}
	list, err := db.AuditTail(t.Context(), store.AuditFilter{})
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(list)
	return list
}
