package serving_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/boatlift/boatlift/cmd/sandbox/serving"
)

// TestCloseCutsOffWhatDoesNotEnd has a request under way that would never end; closing ends it, and closing once more is no harm.
func TestCloseCutsOffWhatDoesNotEnd(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	began := make(chan struct{})
	s := serving.Start(listener, &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
	})})
	failed := make(chan error, 1)
	go func() {
		answer, err := http.Get("http://" + listener.Addr().String())
		if err == nil {
			_, err = io.ReadAll(answer.Body)
			err = errors.Join(err, answer.Body.Close())
		}
		failed <- err
	}()
	<-began
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if <-failed == nil {
		t.Error("the request was answered")
	}
	if conn, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		t.Error("somebody still listens")
		_ = conn.Close()
	}
}

// TestCloseTellsOfAListenerThatFailed: it ended before it was closed, and not in peace.
func TestCloseTellsOfAListenerThatFailed(t *testing.T) {
	broken := &brokenListener{given: make(chan struct{})}
	s := serving.Start(broken, &http.Server{})
	<-broken.given
	for range 2 {
		if err := s.Close(); !errors.Is(err, errBroken) {
			t.Errorf("closed with %v", err)
		}
	}
}

var errBroken = errors.New("the network card is gone")

// brokenListener accepts nothing.
type brokenListener struct {
	given chan struct{} // closed when its server has given it back
	once  sync.Once
}

func (b *brokenListener) Accept() (net.Conn, error) { return nil, errBroken }

func (b *brokenListener) Close() error {
	b.once.Do(func() { close(b.given) })
	return nil
}

func (b *brokenListener) Addr() net.Addr { return &net.TCPAddr{} }
