package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/cmd/sandbox/stage"
)

// carefree is the program, started by somebody whose files everybody may write.
func carefree(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "boatlift")
	script := "#!/bin/sh\numask 0\nexec '" + program(t) + "' \"$@\"\n"
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// guards sees with which rights a file is first seen, until ctx ends.
func guards(ctx context.Context, path string) <-chan os.FileMode {
	seen := make(chan os.FileMode, 1)
	go func() {
		defer close(seen)
		for ctx.Err() == nil {
			if info, err := os.Lstat(path); err == nil {
				seen <- info.Mode()
				return
			}
		}
	}()
	return seen
}

const privateSocket = os.ModeSocket | 0o600

// TestTheSocketIsForItsUserAloneWhateverLiesThere starts the bot without any umask, on what earlier bots and other people may have left.
func TestTheSocketIsForItsUserAloneWhateverLiesThere(t *testing.T) {
	t.Parallel()
	s := set(t, stage.Options{BotPath: carefree(t)})
	socket := filepath.Join(s.Bot.DataDir(), socketName)
	victim := filepath.Join(t.TempDir(), "victim")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(victim, []byte("not to be touched"), 0o644))
	look := func(when string) {
		t.Helper()
		if info, err := os.Lstat(socket); err != nil || info.Mode() != privateSocket {
			t.Errorf("%s the socket is %v, %v; want %v", when, info, err, privateSocket)
		}
		if _, err := s.Bot.Command(t.Context(), "status"); err != nil {
			t.Errorf("%s: %v", when, err)
		}
		if left, err := os.Lstat(filepath.Join(s.Bot.DataDir(), ".sock")); err == nil {
			t.Errorf("%s %v is left", when, left)
		}
	}
	look("at first")
	for when, leave := range map[string]func() error{
		"on the socket of a killed bot":       func() error { return nil },
		"on a socket that everybody may open": func() error { return os.Chmod(socket, 0o777) },
		"on a link to a file": func() error {
			return errors.Join(os.Remove(socket), os.Symlink(victim, socket))
		},
		"on a link to nothing":       func() error { return errors.Join(os.Remove(socket), os.Symlink(victim+"-absent", socket)) },
		"on a file":                  func() error { return errors.Join(os.Remove(socket), os.WriteFile(socket, nil, 0o666)) },
		"on what a killed bot began": func() error { return os.MkdirAll(filepath.Join(s.Bot.DataDir(), ".sock", "s"), 0o777) },
		"where others laid a link to the folder": func() error {
			return os.Symlink(filepath.Dir(victim), filepath.Join(s.Bot.DataDir(), ".sock"))
		},
	} {
		must(s.Bot.Kill())
		must(leave())
		must(s.Bot.Start(t.Context()))
		look(when)
	}
	if text, err := os.ReadFile(victim); err != nil || string(text) != "not to be touched" {
		t.Errorf("what a link led to is %q, %v", text, err)
	}
	if info, err := os.Stat(victim); err != nil || info.Mode() != 0o644 {
		t.Errorf("what a link led to is %v, %v", info, err)
	}

	// From the first moment: there is no time at which somebody else could open it.
	for range 5 {
		must(s.Bot.Stop())
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		seen := guards(ctx, socket)
		must(s.Bot.Start(t.Context()))
		if mode := <-seen; mode != privateSocket {
			t.Errorf("at first the socket is %v; want %v", mode, privateSocket)
		}
		cancel()
	}

	// What is no socket and cannot be replaced by one is not removed: it may be somebody's.
	must(s.Bot.Kill())
	must(errors.Join(os.Remove(socket), os.Mkdir(socket, 0o700)))
	if err := s.Bot.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "a folder lies where the socket for commands belongs") {
		t.Errorf("on a folder the bot says: %v", err)
	}
	must(os.Remove(socket))
	must(s.Bot.Start(t.Context()))
	look("when the folder is away")
}
