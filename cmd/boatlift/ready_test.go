package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/boatlift/boatlift/cmd/sandbox/stage"
)

// bySocket asks the running bot over its socket.
func bySocket(s *stage.Stage) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(s.Bot.DataDir(), socketName))
		},
	}}
}

// fetched is what a request was answered; 0 and the error where it was not.
func fetched(t *testing.T, client *http.Client, method, address string, header http.Header, body string) (status int, text string, got http.Header) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for key, values := range header {
		request.Header[key] = values
	}
	answer, err := client.Do(request)
	if err != nil {
		return 0, err.Error(), nil
	}
	read, err := io.ReadAll(answer.Body)
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(read), answer.Header
}

// wantReady asks both listeners whether the bot is ready. That it lives, both say always.
func wantReady(t *testing.T, s *stage.Stage, status int, words string) {
	t.Helper()
	for base, client := range map[string]*http.Client{s.Bot.URL(): http.DefaultClient, "http://socket": bySocket(s)} {
		if got, text, _ := fetched(t, client, http.MethodGet, base+"/readyz", nil, ""); got != status || !strings.Contains(text, words) {
			t.Errorf("%s/readyz says %d %q; want %d %q", base, got, text, status, words)
		}
		if got, text, _ := fetched(t, client, http.MethodGet, base+"/healthz", nil, ""); got != http.StatusOK {
			t.Errorf("%s/healthz says %d %q", base, got, text)
		}
	}
}

// tellOfPush sends what a registry sends.
func tellOfPush(t *testing.T, s *stage.Stage) int {
	t.Helper()
	status, _, _ := fetched(t, http.DefaultClient, http.MethodPost, s.Bot.URL()+"/hooks/registry", http.Header{
		"Authorization": {"Bearer " + stage.RegistryToken}, "Content-Type": {"application/vnd.docker.distribution.events.v2+json"},
	}, fmt.Sprintf(`{"events": [{"id": "1", "action": "push", "target": {"mediaType": "application/vnd.oci.image.manifest.v1+json", "repository": "shop/web",
		"tag": "1.4.9", "digest": "sha256:%s"}, "request": {"host": %q}}]}`, strings.Repeat("a", 64), s.Registry.Host()))
	return status
}

func TestReadinessTellsOfADatabaseThatIsLockedOrGone(t *testing.T) {
	t.Parallel()
	s := setJudged(t, stage.Options{}, func(string) error { return nil }) // that nothing can be stored is an error
	wantReady(t, s, http.StatusOK, "ok")

	// Somebody else writes into it, as a backup by hand may, and does not end: the byte that SQLite's writers lock in a WAL database.
	file := filepath.Join(s.Bot.DataDir(), "boatlift.db")
	shared, err := os.OpenFile(file+"-shm", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer shared.Close()
	const writers = 120
	lock := syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart, Start: writers, Len: 1}
	if err := syscall.FcntlFlock(shared.Fd(), syscall.F_SETLKW, &lock); err != nil {
		t.Fatal(err)
	}
	wantReady(t, s, http.StatusServiceUnavailable, "the database takes nothing")
	lock.Type = syscall.F_UNLCK
	if err := syscall.FcntlFlock(shared.Fd(), syscall.F_SETLK, &lock); err != nil {
		t.Fatal(err)
	}
	wantReady(t, s, http.StatusOK, "ok")

	// Its file is taken away. What is sent meanwhile is not acknowledged, as nobody would find it again.
	if err := os.Rename(file, file+".away"); err != nil {
		t.Fatal(err)
	}
	wantReady(t, s, http.StatusServiceUnavailable, "the database takes nothing")
	if got := tellOfPush(t, s); got != http.StatusServiceUnavailable {
		t.Errorf("a push is answered %d while the database is gone; want 503", got)
	}
	if err := os.Rename(file+".away", file); err != nil {
		t.Fatal(err)
	}
	wantReady(t, s, http.StatusOK, "ok")
	if got := tellOfPush(t, s); got != http.StatusAccepted && got != http.StatusOK {
		t.Errorf("a push is answered %d when the database is back", got)
	}
	for _, want := range []string{"the bot is not ready: the database takes nothing", "the database is gone", "the bot is ready again"} {
		if log := botLog(filepath.Dir(s.Bot.Dir())); !strings.Contains(log, want) {
			t.Errorf("the log does not say %q", want)
		}
	}
}

func TestReadinessTellsThatTheBotStops(t *testing.T) {
	t.Parallel()
	s := set(t, stage.Options{})
	// A sender that has begun keeps the bot from ending; that it was let in shows when the bot wants its body.
	sender, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.Bot.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	fmt.Fprintf(sender, "POST /hooks/registry HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 14\r\nExpect: 100-continue\r\n\r\n", stage.RegistryToken)
	if line, err := bufio.NewReader(sender).ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("%q, %v; want to be asked for the body", line, err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- s.Bot.Stop() }() // waited for below
	var said string
	err = stage.Await(t.Context(), patience, "the bot to say that it stops", func() (bool, error) {
		var status int
		status, said, _ = fetched(t, bySocket(s), http.MethodGet, "http://socket/readyz", nil, "")
		return status == http.StatusServiceUnavailable, nil
	})
	if err != nil || !strings.Contains(said, "the bot is stopping") {
		t.Errorf("/readyz says %q, %v; want that the bot is stopping", said, err)
	}
	if status, said, _ := fetched(t, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, http.MethodGet, s.Bot.URL()+"/readyz", nil, ""); status == http.StatusOK {
		t.Errorf("who comes from outside is told %d %q while the bot stops", status, said)
	}
	fmt.Fprint(sender, `{"events": []}`)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(filepath.Join(s.Bot.DataDir(), socketName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket of a bot that ended: %v; want that it is gone", err)
	}
}

// TestMemoryIsShownOnTheSocketAlone looks for profiles, by which whoever asks sees the memory and with it secrets.
func TestMemoryIsShownOnTheSocketAlone(t *testing.T) {
	t.Parallel()
	s := set(t, stage.Options{BotConfig: "tokens:\n  - {name: root, role: override, token: file:override}\n", Secrets: map[string][]byte{"override": []byte(strings.Repeat("o", 32))}})
	still := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, path := range []string{
		"/debug", "/debug/", "/debug/pprof", "/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/goroutine?debug=2", "/debug/pprof/cmdline", "/debug/vars", "//debug/pprof/heap",
		"/hooks/../debug/pprof/heap", "/api/v1/../../debug/pprof/heap", "/api/v1/debug/pprof/heap", "/api/v1//debug/pprof/heap", "/%64ebug/pprof/heap", "/hooks/%2e%2e/debug/pprof/heap",
	} {
		for _, token := range []string{"", "Bearer " + strings.Repeat("o", 32)} {
			if status, text, _ := fetched(t, still, http.MethodGet, s.Bot.URL()+path, http.Header{"Authorization": {token}}, ""); status < 400 || strings.Contains(text, "goroutine") {
				t.Errorf("%s is answered %d over the network: %.100s", path, status, text)
			}
		}
	}
	for path, want := range map[string]string{"/debug/pprof/goroutine?debug=1": "goroutine profile:", "/debug/pprof/heap?debug=1": "heap profile:"} {
		if status, text, _ := fetched(t, bySocket(s), http.MethodGet, "http://socket"+path, nil, ""); status != http.StatusOK || !strings.Contains(text, want) {
			t.Errorf("%s is answered %d on the socket: %.100s", path, status, text)
		}
	}
}
