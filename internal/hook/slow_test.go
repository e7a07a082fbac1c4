package hook_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/boatlift/boatlift/internal/hook"
	"github.com/boatlift/boatlift/internal/store"
)

// serve listens on a real socket.
func (s *scene) serve() *httptest.Server {
	server := httptest.NewServer(s.hooks)
	s.t.Cleanup(server.Close)
	return server
}

// dial begins a delivery on a connection of its own: head, and as much of the body as is given.
func dial(t *testing.T, server *httptest.Server, head, body string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = io.WriteString(conn, "POST /hooks/distribution HTTP/1.1\r\nHost: boatlift\r\nAuthorization: "+bearer+"\r\n"+head+"\r\n"+body)
	must(t, err)
	return conn
}

func answerOf(t *testing.T, conn net.Conn) *http.Response {
	t.Helper()
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(t, err)
	t.Cleanup(func() { _ = answer.Body.Close() })
	return answer
}

func TestABodyThatStopsComingIsGivenUp(t *testing.T) {
	s := newScene(t, func(o *hook.Options) { o.BodyTimeout = 50 * time.Millisecond })
	server := s.serve()
	for name, head := range map[string]string{
		"announced": "Content-Length: 1000\r\n",
		"streamed":  "Transfer-Encoding: chunked\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			answer := answerOf(t, dial(t, server, head, "5\r\nhello\r\n"))
			if answer.StatusCode != http.StatusRequestTimeout || !answer.Close {
				t.Errorf("answer = %s, closes %v; want 408 and the end of the connection", answer.Status, answer.Close)
			}
		})
	}
	if d := s.only(); d.Outcome != store.Refused || d.Reason != "the body did not come within 50ms" {
		t.Errorf("delivery = %+v; want it refused as slow", d)
	}
	if n := s.outcomes.of("distribution refused"); n != 2 {
		t.Errorf("refusals observed = %d; want 2", n)
	}
}

// Whoever sends a byte now and then does not get more time for it.
func TestABodyThatTricklesIsGivenUp(t *testing.T) {
	s := newScene(t, func(o *hook.Options) { o.BodyTimeout = 50 * time.Millisecond })
	conn := dial(t, s.serve(), "Transfer-Encoding: chunked\r\n", "")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			if _, err := io.WriteString(conn, "1\r\n \r\n"); err != nil {
				return
			}
		}
	}()
	answer := answerOf(t, conn)
	if answer.StatusCode != http.StatusRequestTimeout {
		t.Errorf("answer = %s; want 408", answer.Status)
	}
	must(t, conn.Close())
	<-done
}

// The same by a clock of its own: a byte each second, and the time that is set by default.
func TestABodyHasTenSecondsToCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handler(t, hook.Options{Endpoints: endpoints(t), Inbox: inbox(func(context.Context, store.Delivery, []store.Push, []store.RepoKey) (store.Accepted, error) {
			return store.Accepted{ID: 1}, nil
		})})
		here, there := net.Pipe()
		server := &http.Server{Handler: h, ReadTimeout: time.Minute}
		served := make(chan error, 1)
		go func() { served <- server.Serve(&pipe{conns: make(chan net.Conn), first: there}) }()
		began := time.Now()
		var trickle sync.WaitGroup
		trickle.Go(func() {
			if _, err := fmt.Fprintf(here, "POST /hooks/distribution HTTP/1.1\r\nHost: boatlift\r\nContent-Length: 1000\r\n\r\n"); err != nil {
				return
			}
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for range tick.C {
				if _, err := io.WriteString(here, "x"); err != nil {
					return
				}
			}
		})
		answer, err := http.ReadResponse(bufio.NewReader(here), nil)
		must(t, err)
		must(t, answer.Body.Close())
		if took := time.Since(began); answer.StatusCode != http.StatusRequestTimeout || took != 10*time.Second {
			t.Errorf("answer = %s after %s; want 408 after 10s", answer.Status, took)
		}
		must(t, here.Close())
		trickle.Wait()
		must(t, server.Close())
		<-served
	})
}

// pipe is a listener that has one connection.
type pipe struct {
	conns chan net.Conn
	first net.Conn
}

func (p *pipe) Accept() (net.Conn, error) {
	if c := p.first; c != nil {
		p.first = nil
		return c, nil
	}
	<-p.conns
	return nil, net.ErrClosed
}

func (p *pipe) Close() error   { close(p.conns); return nil }
func (p *pipe) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func TestSlowBodiesHoldNoPlace(t *testing.T) {
	s := newScene(t, func(o *hook.Options) { o.Most, o.BodyTimeout = 1, time.Minute })
	server := s.serve()
	for range 20 {
		dial(t, server, "Content-Length: 1000\r\n", "{")
	}
	push := envelope(pushed("e1", "shop/web", "1.4.2"))
	if status := post(t, server, push); status != http.StatusAccepted {
		t.Errorf("status beside 20 that are slow = %d; want 202", status)
	}
}

func post(t *testing.T, server *httptest.Server, r request) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+r.path, strings.NewReader(r.body))
	must(t, err)
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	answer, err := server.Client().Do(req)
	must(t, err)
	_, err = io.Copy(io.Discard, answer.Body)
	must(t, err)
	must(t, answer.Body.Close())
	return answer.StatusCode
}

func TestBodiesTogetherAreBounded(t *testing.T) {
	s := newScene(t, func(o *hook.Options) { o.BodyMemory, o.BodyTimeout = 64<<10, time.Minute })
	server := s.serve()
	// One that is on its way holds as much as has come of it, whatever it announced.
	slow := dial(t, server, "Content-Length: 1000000\r\n", strings.Repeat(" ", 10))
	small := envelope(pushed("e1", "shop/web", "1.4.2"))
	large := request{path: small.path, header: small.header, body: strings.Repeat(" ", 60<<10)}
	if status := post(t, server, small); status != http.StatusAccepted {
		t.Errorf("status of a small body = %d; want 202", status)
	}
	if status := post(t, server, large); status != http.StatusServiceUnavailable {
		t.Errorf("status of a body for which there is no room = %d; want 503", status)
	}
	must(t, slow.Close())
	// What was held is given back: bodies of half the memory go through one after the other.
	half := request{path: small.path, header: small.header, body: strings.Repeat(" ", 15<<10)}
	for range 20 {
		if status := post(t, server, half); status != http.StatusOK {
			t.Fatalf("status of a body for which there is room = %d; want 200", status)
		}
	}
}

func TestABodyThatBreaksOffIsNoDelivery(t *testing.T) {
	s := newScene(t)
	r := envelope(pushed("e1", "shop/web", "1.4.2"))
	req := r.build()
	req.Body = io.NopCloser(io.MultiReader(strings.NewReader(r.body[:50]), broken{}))
	w := httptest.NewRecorder()
	s.hooks.ServeHTTP(w, req)
	if w.Code != http.StatusBadRequest || s.only().Outcome != store.Refused {
		t.Errorf("status = %d, delivery = %+v; want 400 and a refusal", w.Code, s.only())
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// A store that takes longer than a body may take does not lose the connection: the deadline was the body's.
func TestAStoreThatIsSlowIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handler(t, hook.Options{Endpoints: endpoints(t), BodyTimeout: time.Second, Inbox: inbox(func(ctx context.Context, _ store.Delivery, _ []store.Push, _ []store.RepoKey) (store.Accepted, error) {
			timer := time.NewTimer(5 * time.Second)
			defer timer.Stop()
			select {
			case <-timer.C:
				return store.Accepted{ID: 1}, nil
			case <-ctx.Done():
				return store.Accepted{}, ctx.Err()
			}
		})})
		here, there := net.Pipe()
		server := &http.Server{Handler: h}
		served := make(chan error, 1)
		go func() { served <- server.Serve(&pipe{conns: make(chan net.Conn), first: there}) }()
		r := envelope(pushed("e1", "shop/web", "1.4.2"))
		in := bufio.NewReader(here)
		for range 2 { // the second one shows that the connection is still good
			_, err := fmt.Fprintf(here, "POST %s HTTP/1.1\r\nHost: boatlift\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n%s", r.path, bearer, len(r.body), r.body)
			must(t, err)
			answer, err := http.ReadResponse(in, nil)
			must(t, err)
			_, err = io.Copy(io.Discard, answer.Body)
			must(t, err)
			must(t, answer.Body.Close())
			if answer.StatusCode != http.StatusAccepted {
				t.Errorf("answer = %s; want 202", answer.Status)
			}
		}
		must(t, here.Close())
		must(t, server.Close())
		<-served
	})
}
