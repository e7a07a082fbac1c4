package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// What the runner of GitHub Actions gives to a job that has permissions: id-token: write. Source: GitHub's "OpenID Connect reference".
const (
	requestURLVariable   = "ACTIONS_ID_TOKEN_REQUEST_URL"
	requestTokenVariable = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
)

// tokenError is a token that a job could not get.
type tokenError struct{ reason, fix string }

func (e *tokenError) Error() string { return e.reason }
func (e *tokenError) Hint() string  { return e.fix }

// asJob lets a job of continuous integration show its own token to the server: that of $BOATLIFT_TOKEN, which GitLab CI fills in by
// id_tokens:, or one that the runner of GitHub Actions is asked for.
func (b running) asJob(ctx context.Context, audience string) (running, error) {
	address, secret := os.Getenv(requestURLVariable), os.Getenv(requestTokenVariable)
	switch {
	case b.server == "" || os.Getenv(tokenVariable) != "":
		return b, nil
	case address != "" && secret != "":
		if audience == "" {
			audience = strings.TrimRight(b.server, "/")
		}
		var err error
		b.token, err = askRunner(ctx, address, secret, audience)
		return b, err
	case os.Getenv("GITHUB_ACTIONS") == "true":
		return b, &tokenError{"the runner gives this job no token", "write permissions: {id-token: write} at the job, or set " + tokenVariable}
	case os.Getenv("GITLAB_CI") == "true":
		return b, &tokenError{"GitLab gives this job no token", "write at the job: id_tokens: {" + tokenVariable + ": {aud: " + b.server + "}}"}
	}
	return b, nil // client says what lacks
}

// askRunner asks the runner of GitHub Actions for a token for an audience.
func askRunner(ctx context.Context, address, secret, audience string) (string, error) {
	at, err := url.Parse(address)
	if err != nil || at.Host == "" || at.Scheme != "https" && !ownMachine(at) {
		return "", &tokenError{"$" + requestURLVariable + " is no https address", "leave it as the runner sets it"}
	}
	query := at.Query()
	query.Set("audience", audience)
	at.RawQuery = query.Encode()
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	req.Header.Set("Accept", "application/json")
	client := &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 10 * time.Second},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the secret goes nowhere else
	}
	defer client.CloseIdleConnections()
	answer, err := client.Do(req)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // without the address, which tells of the run
		}
		return "", &unavailableError{said: fmt.Errorf("ask the runner for a token: %w", err)}
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return "", later(answer, &tokenError{"the runner gives no token: " + answer.Status, "look at permissions: of the job; it needs id-token: write"})
	}
	const most = 64 << 10
	var got struct {
		Value string `json:"value"`
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, most)).Decode(&got); err != nil || got.Value == "" {
		return "", &tokenError{"the runner's answer has no token", "try again"}
	}
	return got.Value, nil
}

// ownMachine tells a server of this machine, to which a token may go without TLS.
func ownMachine(at *url.URL) bool {
	ip := net.ParseIP(at.Hostname())
	return at.Scheme == "http" && (at.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}
