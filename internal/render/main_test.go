package render

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

// The test binary is its own render process, and its own misbehaving one.
const misbehaving = "misbehaving-child"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case ChildCommand:
			os.Exit(ChildMain(os.Stdin, os.Stdout))
		case confinedCommand:
			os.Exit(attempts(os.Stdout))
		case uncheckedCommand:
			os.Exit(unchecked(os.Args[2], os.Stdin, os.Stdout))
		case misbehaving:
			os.Exit(misbehave(os.Args[2], os.Stdin, os.Stdout))
		}
	}
	os.Exit(m.Run())
}

// treeSource is a Source over an fs.FS, as strict as gitrepo's would be.
type treeSource struct{ fs.FS }

func (s treeSource) ReadFile(ctx context.Context, p string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return fs.ReadFile(s.FS, p)
}

func (s treeSource) IsDir(ctx context.Context, p string) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	info, err := fs.Stat(s.FS, p)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && info.IsDir(), err
}

// files makes a Source of content by path.
func files(content map[string]string) treeSource {
	m := fstest.MapFS{}
	for p, c := range content {
		m[p] = &fstest.MapFile{Data: []byte(c)}
	}
	return treeSource{m}
}

// shop is the repository of testdata/shop.
func shop() treeSource { return treeSource{os.DirFS("testdata/shop/tree")} }

func read(t testing.TB, p string) string {
	t.Helper()
	b, err := os.ReadFile(p)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// retag is an overlay that replaces text in one file.
func retag(t testing.TB, src Source, file string, oldnew ...string) map[string][]byte {
	t.Helper()
	b, err := src.ReadFile(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	after := strings.NewReplacer(oldnew...).Replace(string(b))
	if after == string(b) {
		t.Fatalf("replacing %q changes nothing in %s", oldnew, file)
	}
	return map[string][]byte{file: []byte(after)}
}

func compareOne(t testing.TB, r *Renderer, src Source, dir string, overlay map[string][]byte) Directory {
	t.Helper()
	got, err := r.Compare(t.Context(), src, []string{dir}, overlay)
	if err != nil {
		t.Fatalf("Compare(%s) = %v", dir, err)
	}
	if len(got.Dirs) != 1 || got.Dirs[0].Dir != dir {
		t.Fatalf("Compare(%s) = %d directories; want that one", dir, len(got.Dirs))
	}
	return got.Dirs[0]
}

func refusedOf(t testing.TB, err error) *RefusedError {
	t.Helper()
	var refused *RefusedError
	if !errors.As(err, &refused) {
		t.Fatalf("error = %v (%T); want a *RefusedError", err, err)
	}
	return refused
}

// changedLines are the lines of a diff that were added or removed.
func changedLines(diff string) (removed, added []string) {
	for line := range strings.Lines(diff) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "--- "), strings.HasPrefix(line, "+++ "):
		case strings.HasPrefix(line, "-"):
			removed = append(removed, strings.TrimSpace(line[1:]))
		case strings.HasPrefix(line, "+"):
			added = append(added, strings.TrimSpace(line[1:]))
		}
	}
	return removed, added
}

// misbehave is a child that breaks its word in the named way.
func misbehave(how string, stdin io.Reader, stdout io.Writer) int {
	greet := func() {
		_ = writeFrame(stdout, frameHello, []byte(hello))
		_, _, _ = readFrame(stdin, only(frameLimits, maxHeader))
		_, _, _ = readFrame(stdin, only(frameJob, maxJob))
	}
	switch how {
	case "silent":
		select {}
	case "garbage":
		_, _ = stdout.Write([]byte("HTTP/1.1 200 OK\r\n\r\nnot a frame at all"))
		select {}
	case "other-version":
		_ = writeFrame(stdout, frameHello, []byte("boatlift-render 9"))
		select {}
	case "exits":
		return 3
	case "hangs":
		greet()
		select {}
	case "ignores-stdin":
		_ = writeFrame(stdout, frameHello, []byte(hello))
		select {}
	case "huge-frame":
		greet()
		_, _ = stdout.Write([]byte{framePart, 0xff, 0xff, 0xff, 0xff})
		select {}
	case "endless-questions":
		greet()
		for {
			_ = writeFrame(stdout, frameAsk, []byte("a"))
			if _, _, err := readFrame(stdin, only(frameAnswer, 1<<20)); err != nil {
				return 0
			}
		}
	case "asks-outside":
		greet()
		_ = writeFrame(stdout, frameAsk, []byte("../../etc/passwd"))
		select {}
	case "endless-part":
		greet()
		_ = writeFrame(stdout, frameOutcome, []byte(`{}`))
		for {
			if err := writeFrame(stdout, framePart, make([]byte, 1<<20)); err != nil {
				return 0
			}
		}
	case "bad-outcome":
		greet()
		_ = writeFrame(stdout, frameOutcome, []byte(`{"Before": 7`))
		select {}
	case "hostile-result":
		greet()
		_ = writeFrame(stdout, frameOutcome, []byte(`{}`))
		for _, part := range []string{"b", "a", "+ \x1b[31mred\u202e\x00\n"} {
			_ = writeFrame(stdout, framePart, []byte(part))
		}
		select {}
	case "chatty-stderr":
		greet()
		for range 1 << 10 {
			_, _ = os.Stderr.Write(make([]byte, 1<<10))
		}
		return 5
	}
	return 99
}
