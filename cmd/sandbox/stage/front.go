package stage

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/boatlift/boatlift/cmd/sandbox/serving"
)

// front passes webhooks on to replicas, one after the other, as a Service of Kubernetes does. One that does not answer is passed over.
type front struct {
	bots   []*Bot
	next   atomic.Uint32
	client *http.Client
	server *serving.Server
	at     string
}

func startFront(bots []*Bot) (*front, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &front{bots: bots, client: &http.Client{Timeout: 10 * time.Second}, at: listener.Addr().String()}
	f.server = serving.Start(listener, &http.Server{Handler: f, ReadHeaderTimeout: 5 * time.Second})
	return f, nil
}

func (f *front) url() string { return "http://" + f.at }

// ServeHTTP passes a request on.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	first := int(f.next.Add(1))
	for i := range f.bots {
		request, err := http.NewRequestWithContext(r.Context(), r.Method, f.bots[(first+i)%len(f.bots)].URL()+r.URL.RequestURI(), bytes.NewReader(body))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		request.Header = r.Header.Clone()
		answer, err := f.client.Do(request)
		if err != nil {
			continue
		}
		text, err := io.ReadAll(answer.Body)
		if err := errors.Join(err, answer.Body.Close()); err != nil {
			continue
		}
		for name, values := range answer.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.StatusCode)
		_, _ = w.Write(text) // the sender may be gone
		return
	}
	http.Error(w, "no replica answers", http.StatusBadGateway)
}

func (f *front) close() error {
	err := f.server.Close()
	f.client.CloseIdleConnections()
	return err
}
