package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/boatlift/boatlift/internal/config"
	"github.com/boatlift/boatlift/internal/dashboard"
)

// socketName is the socket in the data directory over which commands ask the running bot.
const socketName = "boatlift.sock"

// dataFlag tells commands where the running bot keeps its data.
func dataFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "data", "", "data directory of the running bot (default $BOATLIFT_DATA, else dataDir of ./boatlift.yaml, else boatlift-data)")
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
	socket string
	err    error
}

func (e *noBotError) Error() string { return "the bot cannot be reached at " + e.socket }
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

// ask sends one request to the running bot and decodes its answer into result.
func ask(ctx context.Context, dir, method, path string, body, result any) error {
	socket := filepath.Join(dir, socketName)
	client := &http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		}},
	}
	defer client.CloseIdleConnections()
	var payload bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&payload).Encode(body); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://boatlift/api/v1"+path, &payload)
	if err != nil {
		return err
	}
	answer, err := client.Do(req)
	if err != nil {
		return &noBotError{socket: socket, err: err}
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		var p dashboard.Problem
		if err := json.NewDecoder(answer.Body).Decode(&p); err != nil || p.Message == "" {
			return fmt.Errorf("the bot answered %s", answer.Status)
		}
		return &p
	}
	if err := json.NewDecoder(answer.Body).Decode(result); err != nil {
		return fmt.Errorf("read the bot's answer: %w", err)
	}
	return nil
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
