package registry

import (
	"io"
	"net/http"
	"time"
)

// guard stands between go-containerregistry and the network. It lets nothing go in clear text but where allowed, bounds
// answers, and makes errors of the answers that mean "later", which keep how much later.
type guard struct {
	inner        http.RoundTripper
	plainAllowed func(host string) bool
	now          func() time.Time
	note         func(host string, header http.Header, now time.Time) // is told the headers of every answer; may be nil
}

// maxAnswer is far above a manifest (4 MiB by the specification) and a page of tags.
const maxAnswer = 16 << 20

func (g *guard) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.URL.Scheme != "https" && !g.plainAllowed(request.URL.Host) {
		if request.Body != nil {
			_ = request.Body.Close()
		}
		return nil, &plainHTTPError{request.URL.Host}
	}
	response, err := g.inner.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	if g.note != nil {
		g.note(request.URL.Host, response.Header, g.now())
	}
	if status := response.StatusCode; status == http.StatusTooManyRequests || status >= 500 && status != http.StatusNotImplemented {
		_, _ = io.CopyN(io.Discard, response.Body, 64<<10) // so that the connection can be used again
		_ = response.Body.Close()
		return nil, &UnavailableError{Host: request.URL.Host, Status: status, after: comeBack(response.Header, status, g.now())}
	}
	response.Body = &capped{ReadCloser: response.Body, left: maxAnswer}
	return response, nil
}

// capped is a body that fails where it grows too large.
type capped struct {
	io.ReadCloser
	left int64
}

func (c *capped) Read(p []byte) (int, error) {
	if c.left < 0 {
		return 0, errTooLarge
	}
	n, err := c.ReadCloser.Read(p[:min(int64(len(p)), c.left+1)])
	c.left -= int64(n)
	if c.left < 0 {
		return n, errTooLarge
	}
	return n, err
}
