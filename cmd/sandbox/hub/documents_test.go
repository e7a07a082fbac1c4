package hub_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/cmd/sandbox/conform"
	"github.com/boatlift/boatlift/cmd/sandbox/hub"
)

// documents names the folder with GitHub's own documents; make contract installs them and sets it.
const documents = "BOATLIFT_CONTRACT"

// judge judges by the documents whatever the hubs of these tests hear and say; nil without the documents.
var judge *conform.Judge

// judged runs the tests and, where the documents are at hand, fails if anything that was said meanwhile does not conform to them.
func judged(m *testing.M) int {
	folder := os.Getenv(documents)
	if folder == "" {
		return m.Run()
	}
	var err error
	if judge, err = conform.Open(folder, conform.Exceptions()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	report := judge.Report()
	fmt.Print(report.Summary)
	if run := flag.Lookup("test.run"); run == nil || run.Value.String() == "" { // some tests alone need not meet every exception
		for _, name := range report.Needless {
			report.Wrong = append(report.Wrong, fmt.Sprintf("the exception %q covers nothing any more: remove it from conform.Exceptions", name))
		}
	}
	for _, wrong := range report.Wrong {
		fmt.Println("does not conform:", wrong)
	}
	if len(report.Wrong) > 0 {
		return 1
	}
	fmt.Println("all of it conforms")
	return code
}

// listen lets the judge hear a hub. The requests are the bot's, or only those of a test that tries what a forge says to wrong ones.
func listen(t testing.TB, opts *hub.Options, bot bool) {
	if judge != nil {
		judge.Listen(opts, t.Name(), bot)
	}
}

// TestTheWholeStoryConforms lets the bot's own program do the job that the sandbox shows, and judges what was said meanwhile.
func TestTheWholeStoryConforms(t *testing.T) {
	if judge == nil {
		t.Skip("left out: it needs GitHub's own documents, which make contract lets npm fetch")
	}
	dir := t.TempDir()
	run := func(name string, args ...string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, out)
		}
	}
	run("go", "build", "-o", dir, "../../boatlift", "..")
	record := filepath.Join(dir, "record.jsonl")
	run(filepath.Join(dir, "sandbox"), "-once", "-record", record)
	file, err := os.Open(record)
	must(t, err)
	defer file.Close()
	exchanges, webhooks := 0, 0
	must(t, hub.ReadTranscript(file, func(e hub.Exchange) {
		exchanges++
		judge.Exchange(t.Name(), e)
	}, func(w hub.Webhook) {
		webhooks++
		judge.Webhook(t.Name(), w)
	}))
	if exchanges < 50 || webhooks < 30 {
		t.Errorf("%d exchanges and %d webhooks; want those of five steps in two repositories", exchanges, webhooks)
	}
}
