package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
)

// listenSocket opens the socket for commands, for this user alone at every moment, whatever the umask: it is made in a folder of its own
// that nobody else may enter, and moved to its place when it is closed to others. Whatever lies there is replaced: whoever holds the
// database's lock may take the place of a socket that a killed bot left, and a link is not followed.
func listenSocket(dir string) (net.Listener, error) {
	path := filepath.Join(dir, socketName)
	const most = 100 // the system's limit is 104 to 108 bytes
	if len(path) > most {
		return nil, &fileError{path, "the path is too long for a socket", "choose a shorter dataDir in boatlift.yaml"}
	}
	if there, err := os.Lstat(path); err == nil && there.IsDir() {
		return nil, &fileError{path, "a folder lies where the socket for commands belongs", "move it away, or choose another dataDir in boatlift.yaml"}
	}
	making := filepath.Join(dir, ".sock") // with what lies in it not longer than the path
	if err := os.RemoveAll(making); err != nil {
		return nil, fmt.Errorf("remove what a killed bot left: %w", err)
	}
	if err := os.Mkdir(making, 0o700); err != nil {
		return nil, fmt.Errorf("make the socket for commands: %w", err)
	}
	listener, err := closedSocket(filepath.Join(making, "s"), path)
	if gone := os.RemoveAll(making); gone != nil {
		err = errors.Join(err, gone)
	}
	if err != nil {
		if listener != nil {
			err = errors.Join(err, listener.Close())
		}
		return nil, fmt.Errorf("make the socket for commands: %w", err)
	}
	return listener, nil
}

// closedSocket makes a socket at a place that only we see, closes it to others and moves it.
func closedSocket(made, path string) (net.Listener, error) {
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: made, Net: "unix"})
	if err != nil {
		return nil, err
	}
	listener.SetUnlinkOnClose(false) // it would look at the first place
	if err := errors.Join(os.Chmod(made, 0o600), os.Rename(made, path)); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return &movedSocket{UnixListener: listener, remove: sync.OnceValue(func() error { return os.Remove(path) })}, nil
}

// movedSocket is a socket that takes its file away when it is closed.
type movedSocket struct {
	*net.UnixListener
	remove func() error
}

// Close implements net.Listener.
func (s *movedSocket) Close() error {
	err := s.UnixListener.Close()
	if gone := s.remove(); !errors.Is(gone, os.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return err
}
