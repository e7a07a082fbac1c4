package render

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestParentSurvivesItsChild(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	src := files(map[string]string{"a/x": "x"})
	overlay := map[string][]byte{"a/y": make([]byte, 4<<20)} // more than a pipe holds
	for how, want := range map[string]string{
		"silent":            "takes longer than",
		"garbage":           "makes no sense",
		"other-version":     "makes no sense",
		"exits":             "broke down (exit code 3)",
		"hangs":             "takes longer than",
		"ignores-stdin":     "takes longer than",
		"huge-frame":        "makes no sense",
		"endless-questions": "takes longer than",
		"asks-outside":      "makes no sense",
		"endless-part":      "makes no sense",
		"bad-outcome":       "makes no sense",
		"chatty-stderr":     "broke down (exit code 5)",
	} {
		t.Run(how, func(t *testing.T) {
			timeout := time.Minute
			if strings.Contains(want, "longer") {
				timeout = 200 * time.Millisecond
			}
			r := New(Options{
				Command: []string{self, misbehaving, how},
				Timeout: timeout, MaxOutput: 1 << 10, MaxPaths: 1 << 30, MaxInput: 1 << 50,
			})
			got, err := r.Compare(t.Context(), src, []string{"a", "a", "a", "a"}, overlay)
			if err != nil {
				t.Fatalf("Compare = %v; want refusals only", err)
			}
			for i, d := range got.Dirs {
				refused := refusedOf(t, d.Err)
				if i < maxDeaths && !strings.Contains(refused.Reason, want) {
					t.Errorf("reason %d = %q; want %q", i, refused.Reason, want)
				}
				if i >= maxDeaths && !strings.Contains(refused.Reason, "not tried") {
					t.Errorf("reason %d = %q; want it not to be tried", i, refused.Reason)
				}
			}
		})
	}
}

func TestChildKilledFromOutside(t *testing.T) {
	r := New(Options{})
	s, err := r.start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	src := sourceFunc(func(string) ([]byte, error) {
		return nil, errors.Join(s.cmd.Process.Kill(), os.ErrNotExist)
	})
	_, err = s.run(t.Context(), src, job{Dir: "a"})
	refused := refusedOf(t, r.lost(t.Context(), s, "a", err))
	if refused.Permanent() || !strings.Contains(refused.Reason, "stopped from outside (killed)") {
		t.Errorf("refusal = %+v; want a passing one", refused)
	}
	if got, err := r.Build(t.Context(), shop(), "base", nil); err != nil || len(got) == 0 {
		t.Errorf("Build afterwards = %v; want it to work", err)
	}
}

func TestHostileResultIsNeutralised(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := New(Options{Command: []string{self, misbehaving, "hostile-result"}})
	d := compareOne(t, r, files(nil), "a", nil)
	if want := "+ \\x1b[31mred\\u202e\\x00\n"; d.Diff != want || d.Err != nil {
		t.Errorf("diff = %q, %v; want %q", d.Diff, d.Err, want)
	}
}

func TestChildThatCannotBeStarted(t *testing.T) {
	r := New(Options{Command: []string{filepath.Join(t.TempDir(), "none")}})
	var refused *RefusedError
	if _, err := r.Build(t.Context(), files(nil), "a", nil); err == nil || errors.As(err, &refused) {
		t.Errorf("Build = %v; want an error of the call", err)
	}
	if _, err := r.Compare(t.Context(), files(nil), []string{"a"}, nil); err == nil || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Compare = %v; want that the program does not exist", err)
	}
}
