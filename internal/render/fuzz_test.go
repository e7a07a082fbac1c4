package render

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// seeds adds every file of the example repository.
func seeds(f *testing.F) {
	f.Helper()
	names, err := filepath.Glob("testdata/shop/tree/*/*")
	if err != nil || len(names) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	deeper, err := filepath.Glob("testdata/shop/tree/*/*/*")
	if err != nil || len(deeper) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, name := range append(names, deeper...) {
		if strings.Contains(filepath.Base(name), ".") {
			f.Add([]byte(read(f, name)))
		}
	}
}

// No file of a repository makes a check panic, and what a check lets through names nothing outside of the repository.
func FuzzCheck(f *testing.F) {
	seeds(f)
	f.Add([]byte("resources: ['git@x:y', https://x, ../../.., /x, \"\\0\"]\n"))
	f.Add([]byte("a: &a [*a, *a]\nresources: *a\n"))
	f.Add([]byte("secretGenerator: [{literals: [a], envs: [../x], files: [=, a=b=c]}]\n"))
	l := New(Options{}).limits()
	f.Fuzz(func(t *testing.T, body []byte) {
		src := &tree{known: map[string]node{}, ask: func(p string) (byte, []byte, error) {
			if !fs.ValidPath(p) {
				t.Fatalf("asked for %q", p)
			}
			return answerFile, body, nil
		}}
		fsys := newTreeFS(src, nil, l)
		got, err := fsys.ReadFile(treeRoot + "/a/kustomization.yaml")
		if (err != nil) != (fsys.refused != "") {
			t.Fatalf("ReadFile = %v with refusal %q; want both or none", err, fsys.refused)
		}
		if err == nil && !bytes.Equal(got, body) {
			t.Fatal("ReadFile changed the file")
		}
	})
}

// Whatever stands in a Secret's data is not left in a text that quotes it.
func FuzzScrub(f *testing.F) {
	for _, v := range []string{"hunter2", "q", "a\nb", `"quoted" \ value`, "correct horse", "é漢", "<html>&", "- x: y", "true"} {
		f.Add(v, "before ", " after")
	}
	f.Fuzz(func(t *testing.T, value, before, after string) {
		value = strings.TrimSpace(value)
		if value == "" || strings.Contains(noteValue, value) {
			return
		}
		manifest, err := yaml.Marshal(map[string]any{"kind": "Secret", "stringData": map[string]string{"k": value}})
		if err != nil {
			return
		}
		var back struct {
			StringData map[string]string `yaml:"stringData"`
		}
		if yaml.Unmarshal(manifest, &back) != nil || back.StringData["k"] != value {
			return // not a text that YAML can hold
		}
		s := newSecretValues()
		s.learn(manifest)
		got := s.scrubber()(before + " " + value + " " + after)
		if strings.Contains(got, " "+value+" ") && !strings.Contains(before+after, value) {
			t.Fatalf("scrubbed %q of %q: %q", value, manifest, got)
		}
	})
}

// A frame is read as it was written, and bytes that are no frame are an error and no great allocation.
func FuzzFrames(f *testing.F) {
	f.Add([]byte{framePart, 0, 0, 0, 1, 'x'})
	f.Add([]byte{frameOutcome, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte("HTTP/1.1 200 OK\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		const most = 1 << 10
		kind, body, err := readFrame(bytes.NewReader(in), only(framePart, most))
		if err != nil {
			if !errors.Is(err, errGarbage) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("readFrame = %v; want garbage or an end", err)
			}
			return
		}
		if kind != framePart || len(body) > most || binary.BigEndian.Uint32(in[1:]) != uint32(len(body)) {
			t.Fatalf("readFrame(%q) = %q, %d bytes", in, kind, len(body))
		}
		var again bytes.Buffer
		if err := writeFrame(&again, kind, body); err != nil || !bytes.HasPrefix(in, again.Bytes()) {
			t.Fatalf("written again = %q, %v; want %q", again.Bytes(), err, in)
		}
	})
}

// printable's result is valid and needs no second pass, whatever the text.
func FuzzPrintable(f *testing.F) {
	for _, s := range []string{"plain", "\x1b[31m", "\u202e", "\xff", "a\r\nb"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := printable(s)
		if again := printable(got); again != got {
			t.Fatalf("printable(%q) = %q, then %q", s, got, again)
		}
		if b, err := json.Marshal(reasonText(s)); err != nil || len(b) > maxHeader/2 {
			t.Fatalf("a reason of %d bytes as JSON, %v; want it to fit an outcome", len(b), err)
		}
	})
}
