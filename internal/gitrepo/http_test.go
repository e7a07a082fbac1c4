package gitrepo

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

const secret = "s3cret-token"

// operations are all ways in which a caller meets the server.
func operations(r *Remote, main Hash) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"refs": func(ctx context.Context) error { _, err := r.Refs(ctx); return err },
		"commit": func(ctx context.Context) error {
			_, err := r.Commit(ctx, main)
			return err
		},
		"read": func(ctx context.Context) error {
			tree, err := r.Tree(ctx, main)
			if err == nil {
				_, err = tree.ReadFile(ctx, overlay(0, "prod"))
			}
			return err
		},
		"find": func(ctx context.Context) error {
			tree, err := r.Tree(ctx, main)
			if err == nil {
				_, err = tree.Find(ctx, "apps", func(string) bool { return true })
			}
			return err
		},
		"push": func(ctx context.Context) error {
			_, err := r.Push(ctx, []BranchUpdate{update("x", "", main, map[string]string{overlay(0, "prod"): kustomization(0, "2")})})
			return err
		},
	}
}

func assertNoSecret(t *testing.T, err error) {
	t.Helper()
	for _, form := range []string{fmt.Sprint(err), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err)} {
		for _, s := range (Auth{"x-access-token", secret}).secrets() {
			if strings.Contains(form, s) {
				t.Errorf("the error has the token in it: %s", form)
			}
		}
	}
}

func TestAuthIsHidden(t *testing.T) {
	a := Auth{"me", secret}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "auth", a)
	j, _ := json.Marshal(map[string]Auth{"a": a})
	for _, s := range []string{fmt.Sprint(a), fmt.Sprintf("%+v %#v %s", a, a, &a), log.String(), string(j)} {
		if strings.Contains(s, secret) || !strings.Contains(s, redacted) {
			t.Errorf("printed as %s", s)
		}
	}
}

func TestBasicAuth(t *testing.T) {
	b := newBackend(t)
	rp := b.repo("r", allFilters, apps(1))
	main := rp.head("main")
	b.set(func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
		if user, pass, _ := r.BasicAuth(); user == "x-access-token" && pass == secret {
			return false
		}
		w.Header().Set("WWW-Authenticate", "Basic")
		http.Error(w, "no: "+r.Header.Get("Authorization"), http.StatusUnauthorized)
		return true
	}, nil)
	ctx := context.Background()
	asked := 0
	good := func(context.Context) (Auth, error) { asked++; return Auth{"x-access-token", secret}, nil }
	for name, op := range operations(newTestClient(t, Options{}).Remote(rp.url, good), main) {
		if err := op(ctx); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(b.taken()); asked != n {
		t.Errorf("credentials were asked for %d times for %d requests", asked, n)
	}
	wrong := func(context.Context) (Auth, error) { return Auth{"x-access-token", secret + "-old"}, nil }
	for name, op := range operations(newTestClient(t, Options{}).Remote(rp.url, wrong), main) {
		err := op(ctx)
		var he *HTTPError
		if !errors.Is(err, ErrUnauthorized) || !errors.As(err, &he) || !he.Permanent() || he.Hint() == "" {
			t.Errorf("%s: %v", name, err)
		}
		assertNoSecret(t, err)
	}
	if err := operations(newTestClient(t, Options{}).Remote(rp.url, nil), main)["push"](ctx); !errors.Is(err, ErrUnauthorized) {
		t.Errorf("without credentials: %v", err)
	}
	broken := errors.New("the token service is down")
	none := newTestClient(t, Options{}).Remote(rp.url, func(context.Context) (Auth, error) { return Auth{}, broken })
	b.taken()
	for name, op := range operations(none, main) {
		if err := op(ctx); !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := b.taken(); len(got) != 0 {
		t.Errorf("requests without credentials: %q", got)
	}
}

// TestRefusals answers every request with a status, and echoes the credentials where a server could.
func TestRefusals(t *testing.T) {
	b := newBackend(t)
	rp := b.repo("r", allFilters, apps(1))
	main := rp.head("main")
	now := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		status    int
		retry     string
		is        error
		permanent bool
		after     time.Duration
	}{
		{status: 401, is: ErrUnauthorized, permanent: true},
		{status: 403, is: ErrForbidden, permanent: true},
		{status: 403, retry: "60", is: ErrForbidden, after: time.Minute},
		{status: 404, is: ErrNotFound, permanent: true},
		{status: 410, is: ErrNotFound, permanent: true},
		{status: 413, permanent: true},
		{status: 408},
		{status: 429, retry: "7", after: 7 * time.Second},
		{status: 429, retry: "-7"},
		{status: 429, retry: "soon"},
		{status: 500},
		{status: 502},
		{status: 503, retry: "Fri, 20 Nov 2026 10:02:00 GMT", after: 2 * time.Minute},
		{status: 503, retry: "Fri, 20 Nov 2026 09:02:00 GMT"},
		{status: 503, retry: "9999999", after: 24 * time.Hour},
	} {
		b.set(func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
			if tt.retry != "" {
				w.Header().Set("Retry-After", tt.retry)
			}
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(tt.status)
			_, _ = fmt.Fprintf(w, "go\x1b[31maway\u202e %s %s\n%s", r.Header.Get("Authorization"), secret, strings.Repeat("blah ", 10000))
			return true
		}, nil)
		remote := newTestClient(t, Options{Now: func() time.Time { return now }}).Remote(rp.url, tokenAuth)
		for name, op := range operations(remote, main) {
			err := op(context.Background())
			var he *HTTPError
			if !errors.As(err, &he) || he.Status != tt.status || he.Permanent() != tt.permanent || he.RetryAfter() != tt.after {
				t.Errorf("%d, %s: %+v (%v); want permanent %v, after %s", tt.status, name, he, err, tt.permanent, tt.after)
				continue
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("%d, %s: %v is not %v", tt.status, name, err, tt.is)
			}
			if text := err.Error(); len(text) > 600 || strings.ContainsAny(text, "\x1b\n\u202e") || !strings.Contains(text, "127.0.0.1") {
				t.Errorf("%d, %s: %q", tt.status, name, text)
			}
			assertNoSecret(t, err)
		}
	}
}

// TestBrokenAnswers changes successful answers in every way that a broken or hostile server may.
func TestBrokenAnswers(t *testing.T) {
	b := newBackend(t)
	rp := b.repo("r", allFilters, apps(20))
	main := rp.head("main")
	junk := bytes.Repeat([]byte("0032\x02still counting, "+secret+" ...............\n"), 100)
	for name, alter := range map[string]func([]byte) []byte{
		"empty":     func([]byte) []byte { return nil },
		"half":      func(b []byte) []byte { return b[:len(b)/2] },
		"cut":       func(b []byte) []byte { return b[:len(b)-3] },
		"html":      func([]byte) []byte { return []byte("<!doctype html><title>log in</title>") },
		"err":       func([]byte) []byte { return appendPkt(nil, "ERR you shall not pass "+secret) },
		"flush":     func([]byte) []byte { return []byte("0000") },
		"delim":     func([]byte) []byte { return []byte("0001") },
		"short pkt": func([]byte) []byte { return []byte("0003") },
		"long pkt":  func([]byte) []byte { return []byte("ffffx") },
		"flipped": func(b []byte) []byte {
			b = bytes.Clone(b)
			b[len(b)-len(b)/4] ^= 0x40
			return b
		},
		"noise":   func([]byte) []byte { return junk },
		"wrapped": func(b []byte) []byte { return append(bytes.Clone(junk), b...) },
		"other objects": func([]byte) []byte {
			pack, _ := NewClient(Options{}).writePack([]newObject{{obj: object{kindBlob, []byte("mine")}}}, false)
			out := append(appendPkt(nil, "packfile\n"), appendPkt(nil, "\x01"+string(pack))...)
			return appendFlush(out)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b.set(nil, func(_ *http.Request, body []byte) []byte { return alter(body) })
			for _, v0 := range []bool{false, true} {
				c := newTestClient(t, Options{DisableV2: v0, CacheDir: t.TempDir()})
				for op, f := range operations(c.Remote(rp.url, tokenAuth), main) {
					err := f(context.Background())
					assertNothingCached(t, c, op)
					if sent := strings.Join(b.taken(), ", "); rp.exists("x") || strings.Contains(sent, "git-receive-pack") && strings.Contains(sent, "POST") {
						t.Errorf("%s (v0 %v) pushed upon what a liar said: %s", op, v0, sent)
					}
					if err != nil && !strings.Contains(err.Error(), "127.0.0.1") {
						t.Errorf("%s (v0 %v): %v does not name the host", op, v0, err)
					}
					if err == nil && !(op == "refs" && (name == "flipped" || name == "cut" || name == "wrapped")) {
						t.Errorf("%s (v0 %v) succeeded", op, v0)
					}
					assertNoSecret(t, err)
					var own interface{ Permanent() bool }
					if err != nil && !errors.As(err, &own) {
						t.Errorf("%s (v0 %v): %T %v is not typed", op, v0, err, err)
					}
				}
			}
		})
	}
	b.set(nil, nil)
	rp.fsck()
}

// assertNothingCached checks that no answer of a server that lies is kept, neither in memory nor on disk.
func assertNothingCached(t *testing.T, c *Client, op string) {
	t.Helper()
	if n, _ := c.cache.usage(); n != 0 {
		t.Errorf("after %s: %d objects are kept in memory", op, n)
	}
	for _, path := range diskFiles(t, c.disk.dir) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if objs, _, damaged := parseDisk(data); len(objs) != 0 || damaged {
			t.Errorf("after %s: %d objects are kept on disk, damaged %v", op, len(objs), damaged)
		}
	}
}

// TestDamagedPackLeavesNothing: after a damaged answer, the right one is still right.
func TestDamagedPackLeavesNothing(t *testing.T) {
	b := newBackend(t)
	rp := b.repo("r", allFilters, apps(3))
	remote := newTestClient(t, Options{}).Remote(rp.url, nil)
	read := operations(remote, rp.head("main"))["read"]
	for i := range 40 {
		b.set(nil, func(_ *http.Request, body []byte) []byte {
			body = bytes.Clone(body)
			body[len(body)*i/40] ^= 1 << (i % 8)
			return body
		})
		_ = read(context.Background())
	}
	b.set(nil, nil)
	fresh, _ := remote.Tree(context.Background(), rp.head("main"))
	if got, err := fresh.ReadFile(context.Background(), overlay(0, "prod")); err != nil || string(got) != kustomization(0, "1.0.0") {
		t.Errorf("%q, %v", got, err)
	}
}

// endless answers with as much as anyone reads.
func endless(t *testing.T, head, again []byte) *httptest.Server {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		kind := "application/x-git-upload-pack-result"
		if r.Method == http.MethodGet {
			kind = "application/x-git-upload-pack-advertisement"
		}
		w.Header().Set("Content-Type", kind)
		_, err := w.Write(head)
		for err == nil {
			_, err = w.Write(again)
		}
	}))
	t.Cleanup(srv.Close)
	return srv
}

func TestEndlessAnswers(t *testing.T) {
	packHead := appendPkt(nil, "packfile\n")
	for name, srv := range map[string]*httptest.Server{
		"references": endless(t, nil, appendPkt(nil, strings.Repeat("1234567890", 4)+" refs/heads/x\n")),
		"progress":   endless(t, packHead, appendPkt(nil, "\x02"+strings.Repeat("counting objects", 200))),
		"keep-alive": endless(t, packHead, []byte("0004")),
		"shallow":    endless(t, nil, appendPkt(nil, "shallow 1234567890123456789012345678901234567890")),
		"a blob": endless(t, append(packHead, appendPkt(nil, "\x01PACK\x00\x00\x00\x02\x00\x00\x00\x01\xbf\xff\xff\xff\x07\x78\x9c")...),
			appendPkt(nil, "\x01\x00\x00\x04\xff\xfb"+strings.Repeat("x", 1024))),
	} {
		t.Run(name, func(t *testing.T) {
			c := newTestClient(t, Options{MaxBytes: 256 << 10, CacheDir: t.TempDir()})
			for op, f := range operations(c.Remote(srv.URL+"/r", nil), "1234567890123456789012345678901234567890") {
				err := f(context.Background())
				assertNothingCached(t, c, op)
				var own interface{ Permanent() bool }
				if err == nil || !errors.As(err, &own) || !strings.Contains(err.Error(), "127.0.0.1") {
					t.Errorf("%s: %v; want an error that names the host", op, err)
				}
			}
		})
	}
}

func TestTimeout(t *testing.T) {
	release := make(chan struct{})
	for name, before := range map[string]string{"silent": "", "stalled": "0032"} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if before != "" {
					w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
					_, _ = io.WriteString(w, before)
					_ = http.NewResponseController(w).Flush()
				}
				select {
				case <-r.Context().Done():
				case <-release:
				}
			}))
			defer srv.Close()
			remote := newTestClient(t, Options{Timeout: 50 * time.Millisecond}).Remote(srv.URL+"/r", tokenAuth)
			for op, f := range operations(remote, "1234567890123456789012345678901234567890") {
				err := f(context.Background())
				var te *TransportError
				if !errors.As(err, &te) || !te.Timeout() || te.Permanent() {
					t.Errorf("%s: %v", op, err)
				}
				assertNoSecret(t, err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			if _, err := remote.Refs(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled: %v", err)
			}
		})
	}
	close(release)
}

func TestUnreachable(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	for op, f := range operations(newTestClient(t, Options{}).Remote(srv.URL+"/r", tokenAuth), "1234567890123456789012345678901234567890") {
		err := f(context.Background())
		var te *TransportError
		if !errors.As(err, &te) || te.Permanent() {
			t.Errorf("%s: %v", op, err)
		}
		assertNoSecret(t, err)
	}
}

func TestAddresses(t *testing.T) {
	c := newTestClient(t, Options{})
	for _, address := range []string{
		"", "git@github.com:acme/infra.git", "ssh://git@github.com/acme/infra", "file:///etc", "/etc", "https://", "https:///x",
		"https://me:" + secret + "@github.com/acme/infra", "https://github.com/acme/infra?x=" + secret, "https://h/%zz" + secret, "\x7f" + secret,
	} {
		for op, f := range operations(c.Remote(address, nil), "1234567890123456789012345678901234567890") {
			if err := f(context.Background()); !errors.Is(err, ErrUnsupported) {
				t.Errorf("%q, %s: %v", address, op, err)
			} else {
				assertNoSecret(t, err)
			}
		}
	}
}

func TestRedirects(t *testing.T) {
	ctx := context.Background()
	for _, status := range []int{301, 302, 307, 308} {
		b := newBackend(t)
		rp := b.repo("new", allFilters, apps(1))
		main := rp.head("main")
		var strangers []string
		stranger := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			strangers = append(strangers, r.Header.Get("Authorization"))
		}))
		defer stranger.Close()
		b.set(func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
			switch {
			case strings.HasPrefix(r.URL.Path, "/old/"):
				http.Redirect(w, r, "/new.git/"+strings.TrimPrefix(r.URL.RequestURI(), "/old/"), status)
			case strings.HasPrefix(r.URL.Path, "/away/"):
				http.Redirect(w, r, strings.Replace(stranger.URL, "127.0.0.1", "localhost", 1)+"/new.git/"+r.URL.RequestURI()[6:], status)
			case strings.HasPrefix(r.URL.Path, "/port/"):
				http.Redirect(w, r, stranger.URL+"/new.git/"+r.URL.RequestURI()[6:], status)
			case strings.HasPrefix(r.URL.Path, "/loop/"):
				http.Redirect(w, r, r.URL.RequestURI(), status)
			case strings.HasPrefix(r.URL.Path, "/login/"):
				http.Redirect(w, r, "/sign-in", status)
			default:
				return false
			}
			return true
		}, nil)
		for name, op := range operations(newTestClient(t, Options{}).Remote(b.srv.URL+"/old", tokenAuth), main) {
			if err := op(ctx); err != nil {
				t.Errorf("%d %s: %v", status, name, err)
			}
		}
		// A push as the first request finds the new place, and the next one knows it.
		remote := newTestClient(t, Options{}).Remote(b.srv.URL+"/old", tokenAuth)
		head := rp.head("x")
		rp.mustPush(remote, BranchUpdate{Branch: "x", Old: head, Delete: true})
		b.taken()
		rp.mustPush(remote, update("x", "", main, map[string]string{overlay(0, "prod"): kustomization(0, "2")}))
		for _, req := range b.taken() {
			if strings.HasPrefix(req, "GET") {
				t.Errorf("%d: asked again: %s", status, req)
			}
		}
		for _, from := range []string{"away", "loop", "port", "login"} {
			for name, op := range operations(newTestClient(t, Options{}).Remote(b.srv.URL+"/"+from, tokenAuth), main) {
				err := op(ctx)
				var own interface{ Permanent() bool }
				if err == nil || !errors.As(err, &own) {
					t.Errorf("%d %s, %s: %v", status, from, name, err)
				}
				var moved *RedirectError
				if from == "away" && !errors.As(err, &moved) {
					t.Errorf("%d %s, %s: %v", status, from, name, err)
				}
				assertNoSecret(t, err)
			}
		}
		for _, a := range strangers {
			if a != "" {
				t.Errorf("%d: another origin was sent %s", status, base64.StdEncoding.EncodeToString([]byte(a)))
			}
		}
	}
}

func TestCheckRedirect(t *testing.T) {
	for _, tt := range []struct {
		method, chain string // the last address is the one to go to
		follow, auth  bool
	}{
		{"GET", "https://h/a https://h/b", true, true},
		{"GET", "http://h/a https://h/b", true, true},
		{"GET", "https://h/a https://h:8443/b", true, false},
		{"GET", "https://h/a https://h:8443/b https://h/c", true, false}, // once away, always away
		{"GET", "https://h/a http://h/b", false, false},
		{"GET", "https://h/a https://g/b", false, false},
		{"GET", "https://h/a https://sub.h/b", false, false},
		{"GET", "https://h/a ftp://h/b", false, false},
		{"GET", "https://h/1 https://h/2 https://h/3 https://h/4 https://h/5 https://h/6 https://h/7", false, false},
		{"POST", "https://h/a https://h/b", false, false},
	} {
		var hops []*http.Request
		for _, u := range strings.Fields(tt.chain) {
			hops = append(hops, &http.Request{Method: tt.method, URL: mustURL(t, u), Header: http.Header{"Authorization": {"x"}}})
		}
		last := hops[len(hops)-1]
		err := checkRedirect(last, hops[:len(hops)-1])
		if (err == nil) != tt.follow || tt.follow && (last.Header.Get("Authorization") != "") != tt.auth {
			t.Errorf("%s %s: %v, credentials %q", tt.method, tt.chain, err, last.Header.Get("Authorization"))
		}
	}
}

func TestCredentialsMayFollow(t *testing.T) {
	for _, tt := range []struct {
		from, to string
		want     bool
	}{
		{"https://h/a", "https://h/b", true},
		{"https://h/a", "https://H:443/b", true},
		{"http://h/a", "https://h/b", true},
		{"http://h:8080/a", "https://h/b", false},
		{"https://h/a", "http://h/b", false},
		{"https://h/a", "https://h:8443/b", false},
		{"https://h/a", "https://sub.h/b", false},
		{"https://sub.h/a", "https://h/b", false},
	} {
		if got := credentialsMayFollow(mustURL(t, tt.from), mustURL(t, tt.to)); got != tt.want {
			t.Errorf("credentialsMayFollow(%s, %s) = %v", tt.from, tt.to, got)
		}
	}
}
