package registry

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite testdata/decoded from what the decoders say now")

const webhooks = "../../testdata/webhooks"

// body is one file of testdata/webhooks, as its sender would post it.
type body struct {
	sender  string // the folder, which is the type's name but for captures
	file    string
	secret  string
	request Request
}

// bodies reads every body of a folder, with its headers from headers.json.
func bodies(t testing.TB, folder string) []body {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(webhooks, folder, "headers.json"))
	if err != nil {
		t.Fatal(err)
	}
	var headers struct {
		Secret string `json:"_secret"`
		Files  map[string]map[string]string
	}
	if err := json.Unmarshal(text, &headers); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(webhooks, folder, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all []body
	for _, path := range files {
		file := filepath.Base(path)
		if file == "headers.json" {
			continue
		}
		one := body{sender: folder, file: file, secret: headers.Secret, request: Request{Method: http.MethodPost, Header: http.Header{}}}
		if len(headers.Files[file]) == 0 {
			t.Fatalf("%s has no entry in headers.json", path)
		}
		for name, value := range headers.Files[file] {
			one.request.Header.Set(name, value)
		}
		if one.request.Body, err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	if len(all) == 0 {
		t.Fatalf("%s has no bodies", folder)
	}
	return all
}

// captures reads the requests that a real registry sent.
func captures(t testing.TB) []body {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(webhooks, "distribution-captured", "*.http"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	var all []body
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		head, rest, ok := strings.Cut(string(text), "\n\n")
		if !ok {
			t.Fatalf("%s has no blank line", path)
		}
		lines := strings.Split(head, "\n")[1:] // after the comment
		one := body{
			sender: "distribution", file: filepath.Base(path), secret: "rig-secret",
			request: Request{Method: strings.Fields(lines[0])[0], Header: http.Header{}, Body: []byte(rest)},
		}
		for _, line := range lines[1:] {
			name, value, _ := strings.Cut(line, ": ")
			one.request.Header.Add(name, value)
		}
		all = append(all, one)
	}
	return all
}

// folders are the senders of which there are bodies: all of them.
func folders(t testing.TB) []string {
	t.Helper()
	var names []string
	for _, kind := range Types() {
		names = append(names, kind.Name)
	}
	return names
}

// everything reads every body there is.
func everything(t testing.TB) []body {
	t.Helper()
	all := captures(t)
	for _, folder := range folders(t) {
		all = append(all, bodies(t, folder)...)
	}
	return all
}

func TestBodies(t *testing.T) {
	for _, one := range everything(t) {
		t.Run(one.sender+"/"+one.file, func(t *testing.T) {
			s, request := prove(t, one)
			decoded, err := s.Receive(request)
			if err != nil {
				t.Fatal(err)
			}
			if decoded.DeliveryID == "" && hasID(s.kind, one.file) {
				t.Error("DeliveryID is empty; want the sender's id")
			}
			got, err := json.MarshalIndent(decoded, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			path := filepath.Join("../../testdata/decoded", one.sender, strings.TrimSuffix(one.file, filepath.Ext(one.file))+".json")
			if *update {
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("decoded:\n%swant:\n%s", got, want)
			}
			for _, push := range decoded.Pushes {
				if name := push.Name(); name.Host() != push.Registry || name.Repository() != push.Repository {
					t.Errorf("Name() = %s of %+v", name, push)
				}
			}
		})
	}
}

// hasID tells whether the sender gives its deliveries an id.
func hasID(kind Type, file string) bool {
	return !slices.ContainsFunc(kind.Lacks, func(lack string) bool {
		return strings.HasPrefix(lack, "an id of the delivery") && (kind.Name != "harbor" || !strings.Contains(file, "cloudevents"))
	})
}
