package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// TestResult is how one test of a policy went.
type TestResult struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Policy  string `json:"policy"`
	Name    string `json:"name"`
	Passed  bool   `json:"passed"`
	Message string `json:"message,omitempty"` // what differs, if it failed
	Got     Ruling `json:"got,omitzero"`      // what the policy said; empty if its parameters were refused
}

func (t TestResult) String() string {
	if t.Passed {
		return fmt.Sprintf("ok    %s: %s", t.Policy, t.Name)
	}
	where := FileError{File: t.File, Line: t.Line, Reason: t.Message}
	return fmt.Sprintf("FAIL  %s: %s\n      %s", t.Policy, t.Name, where.Error())
}

// Test runs the tests in the root of fsys, every *_test.yaml, against the policies there and those that ship with the bot. The
// error tells of files that cannot be read or compiled; that a test fails is no error. A policy of fsys without any test gives
// a failed result that says so.
//
// A test file names its policy and gives facts, parameters and what is wanted; `facts` of the file stand for all its tests, each of
// which can replace keys of them:
//
//	policy: soak
//	facts: {now: "2026-03-06T15:00:00Z", environment: production}
//	tests:
//	  - name: waits until the time is over
//	    parameters: {for: 30m}
//	    facts: {after: [{environment: acceptance, runsSince: "2026-03-06T14:45:00Z"}]}
//	    want: {state: wait, say: "must run for …", until: "2026-03-06T15:15:00Z"}
//
// Of `want`, state is needed and say, detail and until are compared where they are given; `until: none` wants none. Parameters
// that shall be refused have `want: {refused: "…"}`, with words of the refusal.
func Test(fsys fs.FS) ([]TestResult, error) {
	e, err := New(fsys)
	if err != nil {
		return nil, err
	}
	return e.test(fsys)
}

type testFile struct {
	Policy string         `json:"policy"`
	Facts  map[string]any `json:"facts"`
	Tests  []trial        `json:"tests"`
}

type trial struct {
	Name       string         `json:"name"`
	Parameters map[string]any `json:"parameters"`
	Facts      map[string]any `json:"facts"`
	Want       wanted         `json:"want"`
}

type wanted struct {
	State   State   `json:"state"`
	Say     *string `json:"say"`
	Detail  *string `json:"detail"`
	Until   string  `json:"until"`
	Refused string  `json:"refused"`
}

func (e *Engine) test(fsys fs.FS) ([]TestResult, error) {
	files, err := fs.Glob(fsys, "*"+testSuffix)
	if err != nil {
		return nil, fmt.Errorf("list tests of policies: %w", err)
	}
	var results []TestResult
	var errs []error
	tested := map[string]bool{}
	for _, name := range files {
		body, err := readBody(fsys, name)
		if err != nil {
			errs = append(errs, fmt.Errorf("read tests of a policy: %w", err))
			continue
		}
		r := &reader{file: name}
		file, lines := r.tests(body)
		if errs = append(errs, r.errs...); len(r.errs) > 0 {
			continue
		}
		if e.policies[file.Policy] == nil {
			errs = append(errs, &FileError{File: name, Reason: fmt.Sprintf("there is no policy %q", file.Policy)})
			continue
		}
		tested[file.Policy] = true
		for i, t := range file.Tests {
			result := TestResult{File: name, Line: lines[i], Policy: file.Policy, Name: t.Name}
			result.Got, err = e.try(file, t)
			if err != nil {
				result.Message = err.Error()
			}
			result.Passed = err == nil
			results = append(results, result)
		}
	}
	untested, err := policyFiles(fsys)
	if err != nil {
		return nil, fmt.Errorf("list policies: %w", err)
	}
	for _, name := range e.names {
		if p := e.policies[name]; !tested[name] && p.Shipped == isShipped(fsys) && slices.Contains(untested, p.File) {
			results = append(results, TestResult{File: p.File, Policy: name, Name: "has tests", Message: "there is no test of this policy"})
		}
	}
	return results, errors.Join(errs...)
}

// tests reads a test file strictly. It goes by way of JSON, so that facts are written with exactly the names that policies use.
func (r *reader) tests(body []byte) (testFile, []int) {
	var file testFile
	root := r.parseYAML(body)
	if root == nil {
		return file, nil
	}
	var raw any
	if err := yaml.NodeToValue(root, &raw); err != nil {
		r.fail(root, "%s", err)
		return file, nil
	}
	if err := strictly(raw, &file); err != nil {
		r.fail(root, "%s", err)
		return file, nil
	}
	var lines []int
	r.entries(root, func(key string, _, value ast.Node) {
		if list, ok := value.(*ast.SequenceNode); ok && key == "tests" {
			for _, item := range list.Values {
				lines = append(lines, item.GetToken().Position.Line)
			}
		}
	})
	if file.Policy == "" || len(file.Tests) == 0 || len(lines) != len(file.Tests) {
		r.fail(root, "policy and tests are needed")
	}
	for i, t := range file.Tests {
		if t.Name == "" || (t.Want.State == "") == (t.Want.Refused == "") {
			r.errs = append(r.errs, &FileError{File: r.file, Line: lines[min(i, len(lines)-1)], Reason: "a test needs a name, and under want: either state or refused"})
		}
	}
	return file, lines
}

// strictly fills a Go value from what YAML gave, and refuses unknown keys.
func strictly(raw, into any) error {
	body, err := json.Marshal(raw)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// try runs one test; the error says what differs.
func (e *Engine) try(file testFile, t trial) (Ruling, error) {
	given := map[string]any{}
	for _, part := range []map[string]any{file.Facts, t.Facts} {
		for key, value := range part {
			given[key] = value
		}
	}
	var facts Facts
	if err := strictly(given, &facts); err != nil {
		return Ruling{}, fmt.Errorf("facts: %w", err)
	}
	var got Ruling
	ctx, cancel := context.WithTimeout(context.Background(), e.deadline)
	defer cancel()
	if p := e.policies[file.Policy]; p.Builtin {
		got = e.judge(ctx, facts, e.schema.value(reflect.ValueOf(facts)), p, nil)
	} else {
		use := Use{file.Policy, t.Parameters}
		errs := e.Check([]Use{use})
		if t.Want.Refused != "" || len(errs) > 0 {
			return got, differs(t.Want.Refused, errs)
		}
		got = e.judgeUse(ctx, facts, e.schema.value(reflect.ValueOf(facts)), use)
	}
	return got, t.Want.differs(got)
}

func differs(refused string, errs []error) error {
	switch err := errors.Join(errs...); {
	case err == nil:
		return fmt.Errorf("the parameters are fine; a refusal with %q is wanted", refused)
	case refused == "" || !strings.Contains(err.Error(), refused):
		return fmt.Errorf("the parameters are refused: %w", err)
	}
	return nil
}

func (w wanted) differs(got Ruling) error {
	var problems []string
	compare := func(what, got, want string) {
		if got != want {
			problems = append(problems, fmt.Sprintf("%s = %q; want %q", what, got, want))
		}
	}
	compare("state", string(got.State), string(w.State))
	if w.Say != nil {
		compare("say", got.Say, *w.Say)
	}
	if w.Detail != nil {
		compare("detail", got.Detail, *w.Detail)
	}
	if w.Until != "" {
		until := "none"
		if !got.Until.IsZero() {
			until = got.Until.UTC().Format(time.RFC3339)
		}
		compare("until", until, w.Until)
	}
	if len(problems) == 0 {
		return nil
	}
	if w.Say == nil {
		problems = append(problems, fmt.Sprintf("it says %q", got.Say))
	}
	return errors.New(strings.Join(problems, "; "))
}
