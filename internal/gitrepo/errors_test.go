package gitrepo

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"
)

// TestErrorsForPeople: every error says where and what, whether to try again, and is found by what it is compared with.
func TestErrorsForPeople(t *testing.T) {
	for _, tt := range []struct {
		err       error
		text      string
		is        error
		permanent bool
		hint      string
	}{
		{&HTTPError{Host: "h", Op: "push", Status: 403}, "push: h answered 403 Forbidden", ErrForbidden, true, "access"},
		{&HTTPError{Host: "h", Op: "push", Status: 404, Text: "no"}, "push: h answered 404 Not Found: no", ErrNotFound, true, "address"},
		{&HTTPError{Host: "h", Op: "push", Status: 502}, "push: h answered 502 Bad Gateway", nil, false, ""},
		{&TransportError{"h", "push", errors.New("refused")}, "push: h: refused", nil, false, ""},
		{&RedirectError{"h", "https://g", "another host"}, "h redirects to https://g: another host", nil, true, "address"},
		{&ProtocolError{"h", "push", "not git"}, "push: h: not git", nil, false, ""},
		{&MissingObjectError{"h", "ab"}, "h has no object ab", ErrNoSuchObject, true, ""},
		{&MalformedError{Reason: "cut"}, "malformed pack: cut", nil, false, ""},
		{&MalformedError{Hash(strings.Repeat("ab", 20)), "cut"}, "malformed object abababababab: cut", nil, true, ""},
		{&TooLargeError{"pack", 5, "objects"}, "pack has more than 5 objects", ErrTooLarge, true, "allowFilter"},
		{&UnsupportedError{"h", "SHA-256"}, "h: SHA-256", ErrUnsupported, true, ""},
		{refusePath("a b", "no"), `"a b": no`, ErrUnsupported, true, ""},
		{notExist("a"), `"a": no such file in this commit`, fs.ErrNotExist, true, ""},
		{&StaleError{"b", "", Hash(strings.Repeat("ab", 20))}, `branch "b" was expected absent and is at abababababab`, ErrStale, false, ""},
		{&RejectedError{Host: "h", Branch: "b", Reason: "hook"}, `h refused branch "b": hook`, ErrRejected, true, ""},
		{&UpdateError{"b", "no message"}, `update of branch "b": no message`, nil, true, ""},
		{&emptyRepositoryError{"h"}, "h: the repository has no commits yet", ErrEmptyRepository, true, ""},
	} {
		if got := tt.err.Error(); got != tt.text {
			t.Errorf("%T says %q; want %q", tt.err, got, tt.text)
		}
		if tt.is != nil && !errors.Is(tt.err, tt.is) {
			t.Errorf("%v is not %v", tt.err, tt.is)
		}
		if p, ok := tt.err.(interface{ Permanent() bool }); ok && p.Permanent() != tt.permanent {
			t.Errorf("%v: Permanent() = %v", tt.err, !tt.permanent)
		} else if !ok {
			t.Errorf("%T does not say whether it is permanent", tt.err)
		}
		h, _ := tt.err.(interface{ Hint() string })
		if tt.hint != "" && (h == nil || !strings.Contains(h.Hint(), tt.hint)) || tt.hint == "" && h != nil && h.Hint() != "" {
			t.Errorf("%v: the hint is not about %q", tt.err, tt.hint)
		}
	}
}

// TestUpdatesThatCannotBe are refused one by one, without a request.
func TestUpdatesThatCannotBe(t *testing.T) {
	b := newBackend(t)
	rp := b.repo("r", allFilters, apps(1))
	main := rp.head("main")
	for want, change := range map[string]func(*BranchUpdate){
		"old value":          func(u *BranchUpdate) { u.Old = "main" },
		"its parent":         func(u *BranchUpdate) { u.Parent = "main" },
		"has no parent":      func(u *BranchUpdate) { u.Parent = "" },
		"no time":            func(u *BranchUpdate) { u.When = time.Time{} },
		"git cannot write":   func(u *BranchUpdate) { u.When = time.Unix(-5, 0) },
		"no author":          func(u *BranchUpdate) { u.Author = Identity{"<>", "x@y"} },
		"its committer":      func(u *BranchUpdate) { u.Committer = Identity{Name: "x"} },
		"no message":         func(u *BranchUpdate) { u.Message = " \n" },
		"at a known commit":  func(u *BranchUpdate) { u.Delete = true },
		"name is empty":      func(u *BranchUpdate) { u.Branch = "" },
		"does not allow":     func(u *BranchUpdate) { u.Branch = "a b" },
		"git's own director": func(u *BranchUpdate) { u.Files = map[string][]byte{"a/.git/x": nil} },
	} {
		u := update("x", "", main, map[string]string{"n": "1"})
		change(&u)
		b.taken()
		results, err := newTestClient(t, Options{}).Remote(rp.url, nil).Push(context.Background(), []BranchUpdate{u})
		if err != nil || results[0].Err == nil || !strings.Contains(results[0].Err.Error(), want) {
			t.Errorf("%s: %+v, %v", want, results, err)
		}
		if got := b.taken(); len(got) != 0 {
			t.Errorf("%s: requests %q", want, got)
		}
	}
	committer := update("x", "", main, map[string]string{"n": "1"})
	committer.Committer = Identity{"Else", "else@example.com"}
	res := rp.mustPush(newTestClient(t, Options{}).Remote(rp.url, nil), committer)
	if got := rp.git("", "log", "-1", "--format=%an %cn", string(res[0].New)); got != "Boatlift Else" {
		t.Errorf("people are %s", got)
	}
}

func TestCacheKeepsItsBound(t *testing.T) {
	c := newObjectCache(10 * (objectOverhead + 100))
	key := func(i int) cacheKey { return cacheKey{1, oid{byte(i)}} }
	for i := range 30 {
		c.put(key(i), object{kindBlob, make([]byte, 100)})
		c.put(key(i), object{kindBlob, make([]byte, 100)}) // counted once
		c.get(key(0))                                      // in use all the time
	}
	if n, size := c.usage(); n != 10 || size != c.limit {
		t.Errorf("%d objects, %d bytes", n, size)
	}
	for i, want := range map[int]bool{0: true, 1: false, 20: false, 21: true, 29: true} {
		if _, got := c.get(key(i)); got != want {
			t.Errorf("object %d kept: %v", i, got)
		}
	}
	c.put(key(99), object{kindBlob, make([]byte, 3000)})
	if _, kept := c.get(key(99)); kept {
		t.Error("an object that pushes out everything else was kept")
	}
	if _, other := c.get(cacheKey{2, oid{29}}); other {
		t.Error("another repository was given the object")
	}
}

func TestMemosAreBounded(t *testing.T) {
	m := make(map[string]int)
	for i := range maxMemos + 100 {
		evictOne(m)
		m[string(rune(i))] = i
	}
	if len(m) > maxMemos {
		t.Errorf("%d kept", len(m))
	}
}
