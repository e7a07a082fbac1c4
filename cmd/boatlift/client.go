package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/boatlift/boatlift/internal/config"
	"github.com/boatlift/boatlift/internal/dashboard"
)

// socketName is the socket in the data directory over which commands ask the running bot.
const socketName = "boatlift.sock"

// running is where the bot that is asked can be found.
type running struct {
	data, server string
	token        string // for the server; empty: that in $BOATLIFT_TOKEN
}

// flags tell commands where the running bot is.
func (b *running) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&b.data, "data", "", "data directory of the running bot (default $BOATLIFT_DATA, else dataDir of ./boatlift.yaml, else boatlift-data)")
	cmd.Flags().StringVar(&b.server, "server", "", "address of a bot on another machine, such as https://boatlift.acme.io; its token is in $BOATLIFT_TOKEN")
}

// dataDir is the flag's value, or what the flag's text promises.
func dataDir(flag string) string {
	if flag != "" {
		return flag
	}
	if dir := os.Getenv("BOATLIFT_DATA"); dir != "" {
		return dir
	}
	if text, err := os.ReadFile("boatlift.yaml"); err == nil {
		if dir := config.DataDir(text); dir != "" {
			return dir
		}
	}
	return config.DefaultDataDir
}

// noBotError is a bot that does not answer.
type noBotError struct {
	where string
	err   error
}

func (e *noBotError) Error() string { return "the bot cannot be reached at " + e.where }
func (e *noBotError) Unwrap() error { return e.err }
func (e *noBotError) exitCode() int { return exitNoBot }
func (e *noBotError) Hint() string {
	switch {
	case errors.Is(e.err, os.ErrNotExist):
		return "start it with boatlift serve, or name its data directory with --data"
	case errors.Is(e.err, os.ErrPermission):
		return "the socket belongs to the user the bot runs as; become that user"
	default:
		return "is boatlift serve running? " + e.err.Error()
	}
}

// client is how the bot is asked: over its socket, or with a token over the network.
func (b running) client() (client *http.Client, base, where string, err error) {
	if b.server == "" {
		socket := filepath.Join(dataDir(b.data), socketName)
		dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		}
		return &http.Client{Timeout: askTimeout, Transport: &http.Transport{DialContext: dial}}, "http://boatlift", socket, nil
	}
	at, err := url.Parse(b.server)
	if err != nil || at.Host == "" || at.User != nil || (at.Scheme != "https" && at.Scheme != "http") {
		return nil, "", "", &usageError{fmt.Errorf("--server %s is no address such as https://boatlift.acme.io", b.server)}
	}
	if at.Scheme == "http" && !ownMachine(at) {
		return nil, "", "", &usageError{errors.New("--server must be https: the token would go over the network in clear")}
	}
	if b.bearer() == "" {
		return nil, "", "", &usageError{errors.New("--server needs a token in $" + tokenVariable)}
	}
	return &http.Client{
		Timeout:       askTimeout,
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 10 * time.Second},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the token goes nowhere else
	}, strings.TrimRight(at.String(), "/"), at.Host, nil
}

const (
	askTimeout    = 30 * time.Second
	tokenVariable = "BOATLIFT_TOKEN"
)

// bearer is the token that is shown to a server.
func (b running) bearer() string {
	if b.token != "" {
		return b.token
	}
	return os.Getenv(tokenVariable)
}

// unavailableError is a bot, or somebody before it, that asks to be asked again later.
type unavailableError struct {
	status int
	after  time.Duration // 0 where it does not say
	said   error
}

func (e *unavailableError) Error() string { return e.said.Error() }
func (e *unavailableError) Unwrap() error { return e.said }

// later makes an error of an answer that is worth another try.
func later(answer *http.Response, said error) error {
	switch answer.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		seconds, err := strconv.Atoi(answer.Header.Get("Retry-After"))
		if err != nil || seconds < 0 {
			seconds = 0
		}
		return &unavailableError{answer.StatusCode, time.Duration(seconds) * time.Second, said}
	}
	return said
}

// ask sends one request to the running bot and decodes its answer into result.
func (b running) ask(ctx context.Context, method, path string, body, result any) error {
	return b.read(ctx, method, path, body, askTimeout, func(answer io.Reader) error {
		if err := json.NewDecoder(answer).Decode(result); err != nil {
			return fmt.Errorf("read the bot's answer: %w", err)
		}
		return nil
	})
}

// read sends one request to the running bot and has its answer read, all within a time.
func (b running) read(ctx context.Context, method, path string, body any, within time.Duration, use func(answer io.Reader) error) error {
	client, base, where, err := b.client()
	if err != nil {
		return err
	}
	client.Timeout = within
	defer client.CloseIdleConnections()
	var payload bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&payload).Encode(body); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, base+"/api/v1"+path, &payload)
	if err != nil {
		return err
	}
	if b.server != "" {
		req.Header.Set("Authorization", "Bearer "+b.bearer())
	}
	answer, err := client.Do(req)
	if err != nil {
		return &noBotError{where: where, err: err}
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusAccepted {
		var p dashboard.Problem
		if err := json.NewDecoder(answer.Body).Decode(&p); err != nil || p.Message == "" {
			return later(answer, fmt.Errorf("the bot answered %s", answer.Status))
		}
		return later(answer, &p)
	}
	return use(answer.Body)
}

// whoami is the person at the keyboard, for the audit.
func whoami() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return fmt.Sprintf("uid %d", os.Getuid())
}

// printJSON writes a value as indented JSON.
func printJSON(cmd *cobra.Command, v any) error {
	enc := json.NewEncoder(cmd.OutOrStdout())
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
