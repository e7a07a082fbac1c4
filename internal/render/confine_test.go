package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

const confinedCommand = "confined-attempts"

// attempts is a process that confines itself and reports what it can still do.
func attempts(stdout io.Writer) int {
	var try struct{ Dir, Program, Address string }
	if err := json.NewDecoder(os.Stdin).Decode(&try); err != nil {
		return 1
	}
	l := New(Options{}).limits()
	if err := confine(l); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	can := map[string]bool{}
	done := make(chan struct{})
	go func() { // on whatever thread: the filter is for all of them
		defer close(done)
		_, err := os.ReadFile(try.Program)
		can["read a file"] = err == nil
		can["write a file"] = os.WriteFile(filepath.Join(try.Dir, "written"), []byte("x"), 0o600) == nil
		can["make a directory"] = os.Mkdir(filepath.Join(try.Dir, "made"), 0o700) == nil
		can["remove a file"] = os.Remove(try.Program) == nil
		can["run a program"] = exec.Command(try.Program).Run() == nil
		can["become a program"] = syscall.Exec(try.Program, []string{"x"}, nil) == nil
		conn, err := net.DialTimeout("tcp", try.Address, time.Second)
		can["connect"] = err == nil
		if conn != nil {
			_ = conn.Close()
		}
		_, err = net.LookupHost("localhost.example.com")
		can["look a name up"] = err == nil
		_, err = net.Listen("tcp", "127.0.0.1:0")
		can["listen"] = err == nil
		can["signal its parent"] = syscall.Kill(os.Getppid(), 0) == nil
	}()
	<-done
	if err := json.NewEncoder(stdout).Encode(can); err != nil {
		return 1
	}
	return 0
}

func TestConfinedProcessCanDoNothing(t *testing.T) {
	if !hasFilter() {
		t.Skip("the filter of system calls is for Linux on amd64 and arm64")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	in, err := json.Marshal(map[string]string{"Dir": dir, "Program": program, "Address": listener.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, confinedCommand) // no namespaces here: the filter alone
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("attempts: %v\n%s", err, out)
	}
	can := map[string]bool{}
	if err := json.Unmarshal(out, &can); err != nil {
		t.Fatalf("attempts wrote %q: %v", out, err)
	}
	if len(can) < 10 {
		t.Errorf("%d attempts were made; want all: %v", len(can), can)
	}
	for what, could := range can {
		if could {
			t.Errorf("a confined process can %s", what)
		}
	}
}

func TestChildHasEmptyEnvironmentAndOwnGroup(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	t.Setenv("BOATLIFT_TEST_TOKEN", "must not be inherited")
	r := New(Options{})
	s, err := r.start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	pid := s.cmd.Process.Pid
	looked := false
	src := sourceFunc(func(string) ([]byte, error) { // while the child waits for the answer
		looked = true
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err == nil && len(env) != 0 {
			t.Errorf("environment of the child = %q; want none", env)
		}
		if cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)); err == nil && cwd != "/" {
			t.Errorf("working directory of the child = %s; want /", cwd)
		}
		if group, err := syscall.Getpgid(pid); err != nil || group != pid {
			t.Errorf("process group of the child = %d, %v; want its own, %d", group, err, pid)
		}
		if !r.plain.Load() {
			own, err1 := os.Readlink("/proc/self/ns/net")
			its, err2 := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
			if err1 == nil && err2 == nil && own == its {
				t.Error("the child shares its parent's network")
			}
		}
		return nil, os.ErrNotExist
	})
	if _, err := s.run(t.Context(), src, job{Dir: "a"}); err != nil {
		t.Fatal(err)
	}
	if !looked {
		t.Error("the child asked for nothing")
	}
}

func TestChildEndsWithItsParent(t *testing.T) {
	s, err := New(Options{}).start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	src := sourceFunc(func(string) ([]byte, error) { // while a job is under way
		return nil, errors.Join(s.in.Close(), os.ErrNotExist)
	})
	if _, err := s.run(t.Context(), src, job{Dir: "a"}); err == nil {
		t.Error("the job was done although its pipe was closed")
	}
	_ = s.cmd.Wait()
	if code := s.cmd.ProcessState.ExitCode(); code != exitDone {
		t.Errorf("exit code = %d; want %d, by itself", code, exitDone)
	}
}

func TestChildOfStranger(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, stdin := range map[string]string{
		"nothing":  "",
		"text":     "hello, who is there?\n",
		"no JSON":  "l\x00\x00\x00\x01{",
		"a job":    "j\x00\x00\x00\x02{}",
		"too long": "l\xff\xff\xff\xff",
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), self, ChildCommand)
			cmd.Stdin = strings.NewReader(stdin)
			_ = cmd.Run()
			if code := cmd.ProcessState.ExitCode(); code != exitProtocol {
				t.Errorf("exit code = %d; want %d", code, exitProtocol)
			}
		})
	}
}

func TestWithoutNamespaces(t *testing.T) {
	r := New(Options{})
	r.plain.Store(true)
	got, err := r.Build(t.Context(), shop(), "overlays/production", nil)
	if want := read(t, "testdata/shop/production.yaml"); err != nil || string(got) != want {
		t.Errorf("Build without namespaces = %v; want the same text", err)
	}
}

func TestNoNetworkTransport(t *testing.T) {
	n := &noNetwork{}
	client := http.Client{Transport: n}
	for _, url := range []string{"https://user:word@example.com/a", "https://example.com/b"} {
		resp, err := client.Get(url)
		if err == nil {
			_ = resp.Body.Close()
			t.Errorf("GET %s succeeded", url)
		}
	}
	if n.tried != "https://user:xxxxx@example.com/a" || strings.Contains(n.tried, "word") {
		t.Errorf("tried = %s; want the first, without its password", n.tried)
	}
}
