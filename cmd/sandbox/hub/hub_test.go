package hub_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
	"github.com/boatlift/boatlift/internal/render"
)

// The default pipeline renders in a child process of this very binary.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == render.ChildCommand {
		os.Exit(render.ChildMain(os.Stdin, os.Stdout))
	}
	os.Exit(judged(m))
}

const infra = "acme/infra"

// sandbox is a running hub with a repository, alice and bob who may write, rita who may read, and a receiver of webhooks.
type sandbox struct {
	*hub.Hub
	t     *testing.T
	hooks *receiver
	token string // of the installation in acme
}

// appKey is the app's in all tests: making one takes longer than most of them.
var appKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func start(t *testing.T, opts hub.Options) *sandbox {
	t.Helper()
	s := &sandbox{t: t, hooks: receive(t)}
	opts.Dir = t.TempDir()
	var err error
	opts.Key, err = appKey()
	s.must(err)
	if opts.WebhookURL == "" {
		opts.WebhookURL, opts.WebhookSecret = s.hooks.url, "hook-secret"
	}
	listen(t, &opts, false)
	if s.Hub, err = hub.Start(opts); err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	s.repo(infra, hub.RepoOptions{})
	if s.token, err = s.InstallationToken("acme"); err != nil {
		t.Fatalf("InstallationToken: %v", err)
	}
	return s
}

func (s *sandbox) repo(name string, opts hub.RepoOptions) hub.RepoInfo {
	s.t.Helper()
	if opts.Files == nil {
		opts.Files = map[string][]byte{"shop/kustomization.yaml": []byte(kustomization("1.0.0")), "README.md": []byte("# infra\n")}
	}
	info, err := s.CreateRepo(s.t.Context(), name, opts)
	if err != nil {
		s.t.Fatalf("CreateRepo: %v", err)
	}
	s.AddPerson("bob")
	s.AddPerson("rita")
	s.must(s.SetPermission(name, "bob", hub.Write))
	s.must(s.SetPermission(name, "rita", hub.Read))
	return info
}

func kustomization(tag string) string {
	return "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nimages:\n- name: web\n  newName: registry.acme.io/shop/web\n  newTag: " + tag + "\n"
}

func (s *sandbox) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// push commits one change of the kustomization on a branch as a person.
func (s *sandbox) push(person, branch, tag string) string {
	s.t.Helper()
	sha, err := s.Push(s.t.Context(), infra, hub.Commit{
		Person: person, Branch: branch, Message: "Set web to " + tag, Files: map[string][]byte{"shop/kustomization.yaml": []byte(kustomization(tag))},
	})
	s.must(err)
	return sha
}

// pull pushes a branch and opens a pull request for it as the bot.
func (s *sandbox) pull(branch, tag string) int {
	s.t.Helper()
	s.push("alice", branch, tag)
	answer := s.bot("POST", "/repos/"+infra+"/pulls", map[string]any{"title": "Promote " + tag, "body": "as asked", "head": branch, "base": "main"})
	answer.want(http.StatusCreated)
	return answer.int("number")
}

// answer is what the API said.
type answer struct {
	t      *testing.T
	call   string
	status int
	header http.Header
	raw    []byte
}

func (s *sandbox) call(method, path, authorization string, body any) answer {
	s.t.Helper()
	url := path
	if !strings.HasPrefix(path, "http") {
		url = s.APIURL() + path
	}
	var reader io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		s.must(err)
		reader = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, url, reader)
	s.must(err)
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	client := &http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		return answer{t: s.t, call: method + " " + path, raw: []byte(err.Error())}
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	s.must(err)
	return answer{t: s.t, call: method + " " + path, status: res.StatusCode, header: res.Header, raw: raw}
}

// bot calls as the installation, as calls with a person's token, app with a fresh JWT.
func (s *sandbox) bot(method, path string, body any) answer {
	return s.call(method, path, "Bearer "+s.token, body)
}

func (s *sandbox) as(person, method, path string, body any) answer {
	return s.call(method, path, "token "+s.AddPerson(person).Token, body)
}

func (s *sandbox) app(method, path string, body any) answer {
	return s.call(method, path, "Bearer "+s.jwt(s.AppID(), time.Now(), 2*time.Minute), body)
}

func (s *sandbox) jwt(issuer int64, at time.Time, life time.Duration) string {
	s.t.Helper()
	block, _ := pem.Decode(s.AppKeyPEM())
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	s.must(err)
	claims := fmt.Sprintf(`{"iss":"%d","iat":%d,"exp":%d}`, issuer, at.Unix()-30, at.Add(life).Unix())
	signed := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	s.must(err)
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// want demands a status and, in the body, each of the texts.
func (a answer) want(status int, texts ...string) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s = %d %s; want %d", a.call, a.status, a.raw, status)
	}
	for _, text := range texts {
		if !strings.Contains(string(a.raw), text) {
			a.t.Errorf("%s answers %s; want it to contain %s", a.call, a.raw, text)
		}
	}
	return a
}

// get reads a member by its path: "head.sha", "0.id".
func (a answer) get(path string) any {
	a.t.Helper()
	var at any
	decoder := json.NewDecoder(bytes.NewReader(a.raw))
	decoder.UseNumber()
	if err := decoder.Decode(&at); err != nil {
		a.t.Fatalf("%s answers no JSON: %s", a.call, a.raw)
	}
	return dig(at, path)
}

func dig(at any, path string) any {
	for step := range strings.SplitSeq(path, ".") {
		switch v := at.(type) {
		case map[string]any:
			at = v[step]
		case []any:
			i := 0
			if _, err := fmt.Sscan(step, &i); err != nil || i >= len(v) {
				return nil
			}
			at = v[i]
		default:
			return nil
		}
	}
	return at
}

func (a answer) str(path string) string { return fmt.Sprint(a.get(path)) }

func (a answer) int(path string) int {
	n := 0
	_, _ = fmt.Sscan(a.str(path), &n)
	return n
}

func (a answer) len(path string) int {
	list, _ := a.get(path).([]any)
	return len(list)
}

func (a answer) count() int {
	a.t.Helper()
	var list []any
	if err := json.Unmarshal(a.raw, &list); err != nil {
		a.t.Fatalf("%s answers no list: %s", a.call, a.raw)
	}
	return len(list)
}

// receiver is the bot's end of the webhooks: it proves them as the bot would, and keeps them.
type receiver struct {
	url string
	t   *testing.T

	mu     sync.Mutex
	got    []hook
	status int
}

type hook struct {
	event, action, guid string
	header              http.Header
	body                map[string]any
	genuine             bool
}

func (h hook) str(path string) string { return fmt.Sprint(dig(h.body, path)) }

func receive(t *testing.T) *receiver {
	rec := &receiver{t: t, status: http.StatusAccepted}
	server := httptest.NewServer(rec)
	t.Cleanup(server.Close)
	rec.url = server.URL
	return rec
}

func (rec *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the hub was closed while it sent
	}
	mac := hmac.New(sha256.New, []byte("hook-secret"))
	mac.Write(body)
	h := hook{event: r.Header.Get("X-GitHub-Event"), guid: r.Header.Get("X-GitHub-Delivery"), header: r.Header}
	h.genuine = r.Header.Get("X-Hub-Signature-256") == "sha256="+hex.EncodeToString(mac.Sum(nil))
	if err := json.Unmarshal(body, &h.body); err != nil {
		rec.t.Errorf("a webhook is no JSON: %v", err)
	}
	h.action, _ = h.body["action"].(string)
	rec.mu.Lock()
	rec.got = append(rec.got, h)
	status := rec.status
	rec.mu.Unlock()
	w.WriteHeader(status)
}

func (rec *receiver) answer(status int) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.status = status
}

// of waits until the hub is idle and returns the webhooks of one kind ("push", "pull_request.opened").
func (s *sandbox) of(kind string) []hook {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	s.must(s.Idle(ctx))
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	var found []hook
	for _, h := range s.hooks.got {
		if h.event == kind || h.event+"."+h.action == kind {
			found = append(found, h)
		}
	}
	return found
}

// one demands exactly one webhook of a kind.
func (s *sandbox) one(kind string) hook {
	s.t.Helper()
	found := s.of(kind)
	if len(found) != 1 {
		s.t.Fatalf("%d webhooks %s; want 1", len(found), kind)
	}
	return found[0]
}

// git runs the git program as a user would.
func (s *sandbox) git(dir string, args ...string) (string, error) {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@example.com", "GIT_COMMITTER_NAME=t", "GIT_COMMITTER_EMAIL=t@example.com")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (s *sandbox) mustGit(dir string, args ...string) string {
	s.t.Helper()
	out, err := s.git(dir, args...)
	if err != nil {
		s.t.Fatalf("git %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(out)
}

// clone clones with credentials in the URL and returns the folder.
func (s *sandbox) clone(name, login, password string) string {
	s.t.Helper()
	dir := s.t.TempDir()
	s.mustGit(dir, "clone", "--quiet", s.cloneURL(name, login, password), "repo")
	return dir + "/repo"
}

func (s *sandbox) cloneURL(name, login, password string) string {
	return strings.Replace(s.URL(), "http://", "http://"+login+":"+password+"@", 1) + "/" + name + ".git"
}
