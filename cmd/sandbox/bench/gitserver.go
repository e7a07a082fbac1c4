package bench

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"sync/atomic"
	"time"
)

// gitServer is git's own server, git http-backend, behind a listener that counts what crosses the sockets. All engines talk to it.
type gitServer struct {
	root string
	url  string
	http *http.Server

	latency  atomic.Int64 // added to every request, in nanoseconds
	requests atomic.Int64
	toClient atomic.Int64 // bytes, HTTP headers included
	toServer atomic.Int64
}

func startGitServer(root string) (*gitServer, error) {
	program, err := exec.LookPath("git")
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &gitServer{root: root, url: "http://" + listener.Addr().String()}
	backend := &cgi.Handler{
		Path: program, Args: []string{"http-backend"}, Dir: root, Stderr: os.Stderr,
		Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=bench", "GIT_CONFIG_NOSYSTEM=1", "HOME=" + root, "PATH=" + os.Getenv("PATH")},
	}
	s.http = &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		if pause := time.Duration(s.latency.Load()); pause > 0 {
			select {
			case <-time.After(pause):
			case <-r.Context().Done():
			}
		}
		backend.ServeHTTP(w, r)
	})}
	go func() { _ = s.http.Serve(countingListener{listener, s}) }()
	return s, nil
}

func (s *gitServer) close() error {
	err := s.http.Shutdown(context.Background())
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// traffic is what crossed the sockets between two moments.
type traffic struct{ requests, toClient, toServer int64 }

func (s *gitServer) taken() traffic {
	return traffic{s.requests.Swap(0), s.toClient.Swap(0), s.toServer.Swap(0)}
}

type countingListener struct {
	net.Listener
	server *gitServer
}

func (l countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return countingConn{c, l.server}, nil
}

type countingConn struct {
	net.Conn
	server *gitServer
}

func (c countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.server.toServer.Add(int64(n))
	return n, err
}

func (c countingConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.server.toClient.Add(int64(n))
	return n, err
}
