package hub_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

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
