package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"
)

// MaxAnswer bounds an answer, in bytes.
const MaxAnswer = 32 << 20

// NewTransport is a transport with a time-out for every step.
func NewTransport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 25 * time.Second,
		ExpectContinueTimeout: time.Second,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConnsPerHost:   16,
		MaxConnsPerHost:       64,
		ForceAttemptHTTP2:     true,
	}
}

// Answers reads every answer whole and within bounds, before anything above sees it. So a connection that breaks in the middle is found
// here, and a read is made once more. Writes never are.
type Answers struct {
	Next http.RoundTripper
	// Seen is told of every answer, whose body it may read again; may be nil.
	Seen func(response *http.Response, body []byte)
}

// RoundTrip implements http.RoundTripper.
func (a *Answers) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := a.exchange(request)
	if err != nil && request.Body == nil && (request.Method == http.MethodGet || request.Method == http.MethodHead) &&
		broken(err) && request.Context().Err() == nil {
		response, err = a.exchange(request)
	}
	return response, err
}

func (a *Answers) exchange(request *http.Request) (*http.Response, error) {
	response, err := a.Next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, MaxAnswer+1))
	_ = response.Body.Close()
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if len(body) > MaxAnswer {
		return nil, fmt.Errorf("the answer is longer than %d bytes", MaxAnswer)
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	if a.Seen != nil {
		a.Seen(response, body)
	}
	return response, nil
}

// broken tells whether the connection, and not the other side's judgement, made a request fail.
func broken(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
