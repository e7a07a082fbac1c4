package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	uploadPack  = "git-upload-pack"
	receivePack = "git-receive-pack"
	infoRefs    = "/info/refs"
)

// answer is a successful response. Reading stops with a TooLargeError at the client's cap; Close must be called.
type answer struct {
	io.Reader
	body    io.ReadCloser
	cancel  context.CancelFunc
	host    string
	op      string
	secrets []string
	// complete is set by who has read all that was expected: the end of the body is then read too, so that the connection can be
	// used again. Otherwise the connection is given up, which stops a server that has more to say.
	complete bool
}

// Close ends the request.
func (a *answer) Close() {
	if a.complete {
		_, _ = io.CopyN(io.Discard, a.body, 16<<10)
	}
	_ = a.body.Close()
	a.cancel()
}

// Read names the host in errors of the connection.
func (a *answer) Read(p []byte) (int, error) {
	n, err := a.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, ErrTooLarge) {
		err = &TransportError{a.host, a.op, err}
	}
	return n, err
}

func (a *answer) clean(text string) string { return cleanServerText(text, a.secrets) }

func (a *answer) broken(format string, args ...any) error {
	return &ProtocolError{a.host, a.op, fmt.Sprintf(format, args...)}
}

// cappedReader gives an error, not an end, when there is more than limit.
type cappedReader struct {
	r           io.Reader
	limit, left int64
}

func (c *cappedReader) Read(p []byte) (int, error) {
	if c.left <= 0 {
		var one [1]byte
		n, err := c.r.Read(one[:])
		if n > 0 {
			return 0, &TooLargeError{"answer", c.limit, "bytes"}
		}
		return 0, err
	}
	if int64(len(p)) > c.left {
		p = p[:c.left]
	}
	n, err := c.r.Read(p)
	c.left -= int64(n)
	return n, err
}

// get asks for an advertisement, follows redirects within the host and remembers where they led.
func (r *Remote) get(ctx context.Context, op, service string, version int) (*answer, error) {
	base := r.repo.address()
	u := base
	u.Path, u.RawPath = joinPath(base, infoRefs)
	u.RawQuery = "service=" + service
	req := &http.Request{Method: http.MethodGet, URL: &u, Header: http.Header{}}
	if version == 2 {
		req.Header.Set("Git-Protocol", "version=2")
	}
	a, res, err := r.do(ctx, op, req, "application/x-"+service+"-advertisement")
	if err != nil {
		return nil, err
	}
	if final := res.Request.URL; *final != u {
		moved := *final
		if !strings.HasSuffix(moved.Path, infoRefs) {
			a.Close()
			return nil, &RedirectError{base.Host, origin(final), "the target is not a git repository"}
		}
		moved.Path = strings.TrimSuffix(moved.Path, infoRefs)
		moved.RawPath = strings.TrimSuffix(moved.RawPath, infoRefs)
		moved.RawQuery, moved.Fragment, moved.User = "", "", nil
		r.repo.mu.Lock()
		r.repo.base = moved
		r.repo.mu.Unlock()
	}
	return a, nil
}

// post sends a request to a service. A redirect is not followed: the repository is looked for with a GET, then asked again, once.
func (r *Remote) post(ctx context.Context, op, service string, version int, body []byte) (*answer, error) {
	for try := 0; ; try++ {
		base := r.repo.address()
		u := base
		u.Path, u.RawPath = joinPath(base, "/"+service)
		req := &http.Request{Method: http.MethodPost, URL: &u, Header: http.Header{}, ContentLength: int64(len(body))}
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		req.Body, _ = req.GetBody()
		req.Header.Set("Content-Type", "application/x-"+service+"-request")
		if version == 2 {
			req.Header.Set("Git-Protocol", "version=2")
		}
		a, _, err := r.do(ctx, op, req, "application/x-"+service+"-result")
		var moved *RedirectError
		if !errors.As(err, &moved) || try > 0 {
			return a, err
		}
		g, err := r.get(ctx, op, uploadPack, 2)
		if err != nil {
			return nil, err
		}
		g.Close()
		if r.repo.address() == base {
			return nil, moved
		}
	}
}

// do sends one request with fresh credentials and turns everything but a success of the right content type into a typed error.
func (r *Remote) do(ctx context.Context, op string, req *http.Request, accept string) (*answer, *http.Response, error) {
	host := req.URL.Host
	var auth Auth
	if r.auth != nil {
		var err error
		if auth, err = r.auth(ctx); err != nil {
			return nil, nil, fmt.Errorf("%s: credentials for %s: %w", op, host, err)
		}
	}
	original := r.repo.origin
	if (auth != Auth{}) && credentialsMayFollow(&original, req.URL) {
		req.SetBasicAuth(auth.Username, auth.Password)
	}
	req.Header.Set("User-Agent", "git/"+r.client.opts.UserAgent)
	req.Header.Set("Accept", accept)

	ctx, cancel := context.WithTimeoutCause(ctx, r.client.opts.Timeout, errRequestTimeout{r.client.opts.Timeout})
	res, err := r.client.http.Do(req.WithContext(ctx))
	if err != nil {
		defer cancel()
		if res != nil {
			_ = res.Body.Close()
		}
		var moved *RedirectError
		if errors.As(err, &moved) {
			return nil, nil, moved
		}
		var wrapped *url.Error // says what we say, and the whole address
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return nil, nil, &TransportError{host, op, withCause(ctx, err)}
	}
	a := &answer{body: res.Body, cancel: cancel, host: host, op: op, secrets: auth.secrets()}
	if res.StatusCode != http.StatusOK {
		err := &HTTPError{
			Host: host, Op: op, Status: res.StatusCode,
			Text:  a.errorText(res),
			After: retryAfter(res.Header.Get("Retry-After"), r.client.opts.Now),
		}
		a.Close()
		return nil, nil, err
	}
	if got, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); got != accept {
		a.Close()
		return nil, nil, &ProtocolError{host, op, fmt.Sprintf("answered with %q, which is not git", a.clean(got))}
	}
	a.Reader = &cappedReader{r: &causeReader{ctx, res.Body}, limit: r.client.opts.MaxBytes, left: r.client.opts.MaxBytes}
	return a, res, nil
}

// errorText is the beginning of a refusal's body, when it is meant for people and not a page.
func (a *answer) errorText(res *http.Response) string {
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if kind != "" && kind != "text/plain" && kind != "application/json" {
		return ""
	}
	const limit = 4096
	text, _ := io.ReadAll(io.LimitReader(res.Body, limit))
	if len(text) == limit {
		text = text[:limit-1024] // a secret cut in two could not be recognised
	}
	return a.clean(string(text))
}

type errRequestTimeout struct{ after time.Duration }

func (e errRequestTimeout) Error() string {
	return fmt.Sprintf("no complete answer within %s", e.after)
}
func (e errRequestTimeout) Timeout() bool { return true }

// withCause replaces "context deadline exceeded" by whose deadline it was.
func withCause(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

type causeReader struct {
	ctx context.Context // of the one request whose body is read
	r   io.Reader
}

func (c *causeReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = withCause(c.ctx, err)
	}
	return n, err
}

// retryAfter reads both forms of the header: seconds and a date. At most a day is believed.
func retryAfter(value string, now func() time.Time) time.Duration {
	var d time.Duration
	if sec, err := strconv.ParseInt(value, 10, 32); err == nil {
		d = time.Duration(sec) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		d = at.Sub(now())
	}
	return min(max(d, 0), 24*time.Hour)
}

// checkRedirect lets a GET move within its host name, never from https to http, and never a POST.
func checkRedirect(req *http.Request, via []*http.Request) error {
	first := via[0]
	refuse := func(reason string) error { return &RedirectError{first.URL.Host, origin(req.URL), reason} }
	switch {
	case first.Method != http.MethodGet:
		return refuse("a request that carries data does not follow redirects")
	case len(via) > 5:
		return refuse("too many redirects")
	case req.URL.Scheme != "https" && req.URL.Scheme != "http":
		return refuse("not an http address")
	case !strings.EqualFold(req.URL.Hostname(), first.URL.Hostname()):
		return refuse("another host")
	case via[len(via)-1].URL.Scheme == "https" && req.URL.Scheme == "http":
		return refuse("https to http")
	}
	for _, hop := range append(via[1:len(via):len(via)], req) {
		if !credentialsMayFollow(first.URL, hop.URL) {
			req.Header.Del("Authorization")
		}
	}
	return nil
}

// credentialsMayFollow is true within one origin, and from http to https when both are on their default ports.
func credentialsMayFollow(from, to *url.URL) bool {
	if !strings.EqualFold(from.Hostname(), to.Hostname()) {
		return false
	}
	port := func(u *url.URL) string {
		if p := u.Port(); p != "" {
			return p
		}
		return map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	if from.Scheme == to.Scheme {
		return port(from) == port(to)
	}
	return from.Scheme == "http" && to.Scheme == "https" && port(from) == "80" && port(to) == "443"
}

func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }

func joinPath(base url.URL, suffix string) (path, raw string) {
	path = base.Path + suffix
	if base.RawPath != "" {
		raw = base.RawPath + suffix
	}
	return path, raw
}
