package login

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// Credential is how to log in to a registry for a while. It never prints what it holds.
type Credential struct {
	Username, Password string
	Expires            time.Time
}

func (Credential) String() string       { return "[redacted]" }
func (Credential) GoString() string     { return "[redacted]" }
func (Credential) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// MarshalText keeps a credential out of JSON and the like.
func (Credential) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// Error reports that no credential could be had. Another try may help.
type Error struct {
	Helper, Host string
	Reason       string
	hint         string
}

func (e *Error) Error() string { return "log in to " + e.Host + " by " + e.Helper + ": " + e.Reason }

// Hint says what to look at.
func (e *Error) Hint() string { return e.hint }

// source is a cloud.
type source struct {
	fits func(host string) bool
	get  func(ctx context.Context, host string) (Credential, error)
	hint string
}

// Names are the helpers that there are.
func Names() []string { return []string{ECR, GAR, ACR} }

// The helpers.
const (
	ECR = "ecr" // Amazon Elastic Container Registry
	GAR = "gar" // Google Artifact Registry and gcr.io
	ACR = "acr" // Azure Container Registry
)

// Fits tells whether a helper is for a host.
func Fits(name, host string) bool {
	switch name {
	case ECR:
		return isECR(host)
	case GAR:
		return isGAR(host)
	case ACR:
		return isACR(host)
	}
	return false
}

// Options configure a Helper; the zero value is for a running bot.
type Options struct {
	Transport http.RoundTripper        // nil: one with time-outs
	Getenv    func(name string) string // nil: os.Getenv
	Now       func() time.Time         // nil: time.Now
}

// Helper gets credentials for the registries of one cloud.
type Helper struct {
	name string
	source
	now func() time.Time

	mu    sync.Mutex
	kept  map[string]Credential  // by host
	under map[string]*attempt    // under way, by host
	until map[string]time.Time   // when a kept credential is renewed
	asked map[string]*failedOnce // the last failure, for a moment
}

// attempt is a try that others wait for.
type attempt struct {
	done       chan struct{}
	credential Credential
	err        error
}

type failedOnce struct {
	at  time.Time
	err error
}

const (
	getTimeout   = 10 * time.Second // of all requests for one credential
	renewBefore  = 5 * time.Minute  // its end
	longest      = time.Hour        // that one is kept: rights are taken away, too
	failurePause = 5 * time.Second  // before another try
	garFor       = time.Minute      // that a token of Google's is kept here; its own library keeps it for longer
)

// New makes a helper by its name.
func New(name string, o Options) (*Helper, error) {
	own := o.Transport == nil
	if own {
		o.Transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext, TLSHandshakeTimeout: 5 * time.Second,
			ResponseHeaderTimeout: getTimeout, IdleConnTimeout: time.Minute, MaxIdleConnsPerHost: 2,
		}
	}
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	h := &Helper{
		name: name, now: o.Now, kept: map[string]Credential{}, under: map[string]*attempt{}, until: map[string]time.Time{}, asked: map[string]*failedOnce{},
	}
	switch name {
	case ECR:
		var client aws.HTTPClient = &http.Client{Transport: o.Transport, Timeout: getTimeout}
		if own { // the SDK puts the certificates of AWS_CA_BUNDLE into one of its own making, and fails with any other
			client = awshttp.NewBuildableClient().WithTimeout(getTimeout)
		}
		h.source = newECR(client)
	case GAR:
		h.source = newGAR(o)
	case ACR:
		h.source = newACR(o)
	default:
		return nil, fmt.Errorf("there is no helper %q: they are %s", name, strings.Join(Names(), ", "))
	}
	return h, nil
}

// Credential is a credential for a host, that lasts for some minutes at least. The error is an *Error or the context's.
func (h *Helper) Credential(ctx context.Context, host string) (Credential, error) {
	if !h.fits(host) {
		return Credential{}, &Error{Helper: h.name, Host: host, Reason: "it is no registry of that cloud", hint: "take helper: out of this registry's credentials, or mend its host"}
	}
	h.mu.Lock()
	now := h.now()
	if c, ok := h.kept[host]; ok && now.Before(h.until[host]) {
		h.mu.Unlock()
		return c, nil
	}
	if f := h.asked[host]; f != nil && now.Sub(f.at) < failurePause && !now.Before(f.at) {
		h.mu.Unlock()
		return Credential{}, f.err
	}
	a := h.under[host]
	if a == nil {
		a = &attempt{done: make(chan struct{})}
		h.under[host] = a
		h.mu.Unlock()
		// Not cancelled with who happened to come first: others wait for it too. It ends by its own time.
		h.try(context.WithoutCancel(ctx), host, a)
		return a.credential, a.err
	}
	h.mu.Unlock()
	select {
	case <-a.done:
		return a.credential, a.err
	case <-ctx.Done():
		return Credential{}, context.Cause(ctx)
	}
}

// try asks for a credential and tells those who wait.
func (h *Helper) try(ctx context.Context, host string, a *attempt) {
	ctx, cancel := context.WithTimeout(ctx, getTimeout)
	defer cancel()
	c, err := h.ask(ctx, host)
	if err == nil && c.Password == "" {
		err = errors.New("the answer has no credential")
	}
	if err != nil {
		reason := err.Error()
		if ctx.Err() != nil {
			reason = fmt.Sprintf("no credential within %s", getTimeout)
		}
		err = &Error{Helper: h.name, Host: host, Reason: reason, hint: h.hint}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	if a.credential, a.err = c, err; err == nil {
		h.kept[host], h.until[host] = c, now.Add(longest)
		if end := c.Expires.Add(-renewBefore); !c.Expires.IsZero() && end.Before(h.until[host]) {
			h.until[host] = end
		}
		delete(h.asked, host)
	} else {
		h.asked[host] = &failedOnce{now, err}
	}
	delete(h.under, host)
	close(a.done)
}

// ask is the cloud's own way; a fault of a library is a failure.
func (h *Helper) ask(ctx context.Context, host string) (c Credential, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a fault in the program: %v", p)
		}
	}()
	return h.get(ctx, host)
}

// bare is a host without its port, in lower case.
func bare(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.ToLower(host)
}

func endsWith(host string, suffixes ...string) bool {
	return slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(host, s) && len(host) > len(s) })
}
