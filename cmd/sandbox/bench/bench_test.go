package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// served is a generated repository of so many files on a git server.
func served(t *testing.T, files int) (*gitServer, infra) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("this test needs the program git: ", err)
	}
	server, err := startGitServer(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.close() })
	repo, err := generate(context.Background(), server, files)
	if err != nil {
		t.Fatal(err)
	}
	return server, repo
}

// TestTheEnginesPromote has both engines that stay make every kind of promotion, and the server judge what they pushed.
func TestTheEnginesPromote(t *testing.T) {
	ctx := context.Background()
	server, repo := served(t, 200)
	n := 0
	for kind, ops := range map[string][]string{"boatlift": {opCold, opWarm, opMoved, opProven}, "go-git": {opCold, opWarm, opMoved}} {
		in, orders := io.Pipe()
		answers, out := io.Pipe()
		ended := make(chan int, 1)
		go func() { ended <- EngineMain(kind, in, out) }()
		lines := bufio.NewReader(answers)
		for _, op := range ops {
			if op == opMoved {
				if err := repo.move(ctx, n); err != nil {
					t.Fatal(err)
				}
			}
			n++
			o, err := repo.order(ctx, op, n)
			if err != nil {
				t.Fatal(err)
			}
			server.taken()
			if err := json.NewEncoder(orders).Encode(o); err != nil {
				t.Fatal(err)
			}
			line, err := lines.ReadBytes('\n')
			if err != nil {
				t.Fatal(err)
			}
			var d done
			if err := json.Unmarshal(line, &d); err != nil || d.Err != "" || d.MS <= 0 {
				t.Fatalf("%s, %s: %s, %v", kind, op, line, err)
			}
			if err := repo.promoted(ctx, o); err != nil {
				t.Errorf("%s, %s: %v", kind, op, err)
			}
			crossed := server.taken()
			if crossed.requests == 0 || crossed.toClient == 0 || crossed.toServer == 0 {
				t.Errorf("%s, %s: counted %+v", kind, op, crossed)
			}
			if want := map[string]int64{opCold: 4, opWarm: 2, opMoved: 3, opProven: 1}[op]; kind == "boatlift" && crossed.requests > want {
				t.Errorf("%s, %s: %d requests; want at most %d", kind, op, crossed.requests, want)
			}
		}
		_ = orders.Close()
		if code := <-ended; code != 0 {
			t.Errorf("%s ended with %d", kind, code)
		}
	}
}

func TestWhatIsNoPromotionDoesNotCount(t *testing.T) {
	ctx := context.Background()
	_, repo := served(t, 20)
	o, err := repo.order(ctx, opCold, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.promoted(ctx, o); err == nil {
		t.Error("a branch that is not there counts")
	}
	if err := git(ctx, repo.dir, nil, "branch", o.Branch, "main"); err != nil {
		t.Fatal(err)
	}
	if err := repo.promoted(ctx, o); err == nil {
		t.Error("a branch that changes nothing counts")
	}
}

func TestResults(t *testing.T) {
	r := results{figures: map[string]float64{"ingest_sqlite_64": 3456.7}}
	for _, files := range []int{1000, 20_000} {
		for _, c := range []cell{
			{Engine: shallowClone, Op: opCold, Median: done{MS: 1000}, Ratio: 1},
			{Engine: shallowClone, Op: opWarm, Median: done{MS: 500}, Ratio: 1},
			{Engine: ours, Op: opCold, Median: done{MS: 50, AddMB: 2}, Ratio: 20, ToClient: 52_345, Requests: 4},
			{Engine: ours, Op: opProven, Median: done{MS: 20, AddMB: 3}, Ratio: 25, ToServer: 1_050, Requests: 1},
		} {
			c.Files = files
			r.cells = append(r.cells, c)
		}
	}
	r.addGit()
	dir := t.TempDir()
	if err := r.write(filepath.Join(dir, "bench.json")); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "bench.json"))
	if err != nil {
		t.Fatal(err)
	}
	var flat map[string]float64
	if err := json.Unmarshal(text, &flat); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	for name, want := range map[string]float64{
		"cold_ratio_20k": 20, "warm_ratio_20k": 25, "cold_received_kb_20k": 52.34, "warm_sent_kb_20k": 1.05, "warm_requests": 1, "promotion_rss_mb_20k": 3, "ingest_sqlite_64": 3457,
	} {
		if got := flat[name]; got < want*0.99 || got > want*1.01 {
			t.Errorf("%s = %v; want %v", name, got, want)
		}
	}
	if _, has := flat["cold_ratio_100k"]; has {
		t.Error("there is a figure of what was not measured")
	}
	var table bytes.Buffer
	r.print(&table)
	if !strings.Contains(table.String(), "git clone --depth 1") || !strings.Contains(table.String(), "warm_requests") {
		t.Errorf("the table is\n%s", &table)
	}
	for _, row := range []string{
		"| a promotion, cold, in 20,000 files | at least 12 times faster than a shallow clone | 20 | yes |", "| what it receives | at most 80 kB | 52.3 | yes |",
		"| events stored and answered, SQLite, 64 senders | at least 3,000 a second | 3,457 | yes |", "One promotion in 20,000 files, 0 ms per request:",
	} {
		if !strings.Contains(r.markdown(), row+"\n") {
			t.Errorf("the page has no row %q:\n%s", row, r.markdown())
		}
	}
	if strings.Contains(r.markdown(), "100,000") {
		t.Error("the page tells of what was not measured")
	}
	picture := filepath.Join(dir, "cost.svg")
	if err := drawCost(picture, r.cells); err != nil {
		t.Fatal(err)
	}
	if svg, err := os.ReadFile(picture); err != nil || !bytes.Contains(svg, []byte("<svg")) {
		t.Errorf("no picture: %v", err)
	}
}
