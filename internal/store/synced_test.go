package store

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestNoAnswerBeforeItsOwnSync watches the system calls of a process that accepts deliveries from many senders at once: when one of them is
// acknowledged, the pages that hold it were written to the log of the database, and a sync that began after that has ended.
func TestNoAnswerBeforeItsOwnSync(t *testing.T) {
	t.Parallel()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed, so nobody can see the system calls")
	}
	dir := t.TempDir()
	calls := filepath.Join(dir, "calls")
	// -y names the file of each descriptor, -s is longer than a page.
	child := exec.CommandContext(t.Context(), strace, "-f", "-y", "-s", "9000", "-o", calls, "-e", "trace=pwrite64,write,fsync,fdatasync", os.Args[0])
	child.Env = append(os.Environ(), childEnv+"=accept", urlEnv+"=sqlite:"+filepath.Join(dir, "boatlift.db"))
	out, err := child.StdoutPipe()
	must(t, err)
	var stderr strings.Builder
	child.Stderr = &stderr
	must(t, child.Start())
	lines := bufio.NewScanner(out)
	answered := 0
	for answered < 200 && lines.Scan() {
		answered++
	}
	must(t, out.Close()) // the next answer has nowhere to go, of which the child dies, and the tracer with it
	_ = child.Wait()
	if answered < 200 {
		if strings.Contains(stderr.String(), "ptrace") {
			t.Skipf("strace may not watch here: %s", stderr.String())
		}
		t.Fatalf("only %d deliveries were acknowledged: %s", answered, stderr.String())
	}
	text, err := os.ReadFile(calls)
	must(t, err)
	w := newSyncWatch()
	for line := range strings.Lines(string(text)) {
		w.see(t, line)
	}
	if w.answers < 190 || w.syncs < 2 || w.syncs >= w.answers {
		t.Errorf("%d answers and %d syncs were seen; want about 200 answers that share syncs", w.answers, w.syncs)
	}
	t.Logf("%d answers, %d syncs", w.answers, w.syncs)
}

// syncWatch follows system calls: what is written, what is synced, what is answered.
type syncWatch struct {
	written map[string]bool            // deliveries in pages that the log of the database has
	synced  map[string]bool            // of these, those that a sync has brought to the disk
	syncing map[string]map[string]bool // by thread: what was written when its sync began

	answers, syncs int

	call, delivery *regexp.Regexp
}

func newSyncWatch() *syncWatch {
	return &syncWatch{
		written: map[string]bool{}, synced: map[string]bool{}, syncing: map[string]map[string]bool{},
		call:     regexp.MustCompile(`^(\d+) +(?:<\.\.\. )?(pwrite64|write|fsync|fdatasync)(?:\((\d+)<([^>]*)>| resumed>)`),
		delivery: regexp.MustCompile(`\d{2}-\d{6}`),
	}
}

// see takes a line of strace's. A call that others interrupt has two: its beginning, and that it was resumed.
func (w *syncWatch) see(t *testing.T, line string) {
	t.Helper()
	m := w.call.FindStringSubmatch(line)
	if m == nil {
		return
	}
	thread, call, fd, file := m[1], m[2], m[3], m[4]
	begins, ends := fd != "", !strings.Contains(line, "<unfinished ...>")
	switch {
	case call == "pwrite64" && begins && strings.HasSuffix(file, "-wal"):
		// A write that has not ended when a sync begins might not be in it; the engine has one writer, which syncs itself.
		for _, id := range w.delivery.FindAllString(line, -1) {
			w.written[id] = true
		}
	case call == "write" && begins && fd == "1":
		for _, id := range w.delivery.FindAllString(line, -1) {
			w.answers++
			if !w.synced[id] {
				t.Errorf("delivery %s was acknowledged before it was synced (written: %v)", id, w.written[id])
			}
		}
	case call == "fsync" || call == "fdatasync":
		if begins {
			w.syncing[thread] = nil
			if strings.HasSuffix(file, "-wal") {
				w.syncing[thread] = map[string]bool{}
				for id := range w.written {
					w.syncing[thread][id] = true
				}
			}
		}
		if ends && strings.Contains(line, "= 0") && w.syncing[thread] != nil {
			w.syncs++
			for id := range w.syncing[thread] {
				w.synced[id] = true
			}
			delete(w.syncing, thread)
		}
	}
}
