package kustomize

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestParseAssignment(t *testing.T) {
	drop := func(c Change) Change { c.Other, c.Add = OtherDrop, true; return c }
	keep := func(c Change) Change { c.Other, c.Add = OtherKeep, true; return c }
	tests := []struct {
		arg  string
		want Change
	}{
		{"web=:v1", drop(Change{Name: "web", Tag: ptr("v1")})},
		{"web=@" + someDigest, drop(Change{Name: "web", Digest: ptr(someDigest)})},
		{"web=:v1@" + someDigest, drop(Change{Name: "web", Tag: ptr("v1"), Digest: ptr(someDigest)})},
		{"web=x/web", drop(Change{Name: "web", NewName: ptr("x/web")})},
		{"web=x/web:v1", drop(Change{Name: "web", NewName: ptr("x/web"), Tag: ptr("v1")})},
		{"web=x/web@" + someDigest, drop(Change{Name: "web", NewName: ptr("x/web"), Digest: ptr(someDigest)})},
		{"web=x/web:v1@" + someDigest, drop(Change{Name: "web", NewName: ptr("x/web"), Tag: ptr("v1"), Digest: ptr(someDigest)})},
		{"web:v1", drop(Change{Name: "web", Tag: ptr("v1")})},
		{"web@" + someDigest, drop(Change{Name: "web", Digest: ptr(someDigest)})},
		{"web:v1@" + someDigest, drop(Change{Name: "web", Tag: ptr("v1"), Digest: ptr(someDigest)})},
		{"web=*:v1", drop(Change{Name: "web", Tag: ptr("v1")})},
		{"web=*:v1@*", keep(Change{Name: "web", Tag: ptr("v1")})},
		{"web=*:*@" + someDigest, keep(Change{Name: "web", Digest: ptr(someDigest)})},
		{"web=x/web:*@*", keep(Change{Name: "web", NewName: ptr("x/web")})},
		{"host:5000/a/b:v1", drop(Change{Name: "host:5000/a/b", Tag: ptr("v1")})},
		{"host:5000/a/b@" + someDigest, drop(Change{Name: "host:5000/a/b", Digest: ptr(someDigest)})},
		{"host:5000/a/b=host:5001/a/b:v1", drop(Change{Name: "host:5000/a/b", NewName: ptr("host:5001/a/b"), Tag: ptr("v1")})},
		{"host:5000/a/b=host:5001/a/b", drop(Change{Name: "host:5000/a/b", NewName: ptr("host:5001/a/b")})},
		{"PLACEHOLDER=:1", drop(Change{Name: "PLACEHOLDER", Tag: ptr("1")})},
	}
	for _, tt := range tests {
		got, err := ParseAssignment(tt.arg)
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("ParseAssignment(%q) = %+v, %v; want %+v", tt.arg, got, err, tt.want)
		}
	}
}

func TestParseAssignmentRefuses(t *testing.T) {
	for arg, want := range map[string]string{
		"":                                    "sets neither a tag nor a digest",
		"web":                                 "sets neither a tag nor a digest",
		"host:5000/a/b":                       "sets neither a tag nor a digest",
		"web=":                                "sets nothing",
		"web=*":                               "sets nothing",
		"web=*:*@*":                           "sets nothing",
		"=x:v1":                               "the image's name is missing",
		":v1":                                 "the image's name is missing",
		"web=:":                               `the tag "" is not one`,
		"web=:a b":                            `the tag "a b" is not one`,
		"web=:-x":                             `the tag "-x" is not one`,
		"web=:" + strings.Repeat("x", 129):    "is not one: letters, digits",
		"web=@sha256:123":                     `the digest "sha256:123" is not one`,
		"web=@":                               `the digest "" is not one`,
		"web=@" + strings.ToUpper(someDigest): "is not one",
		"web=a=b:v1":                          `the new name "a=b" is not an image name`,
		"web=x y":                             `the new name "x y" is not an image name`,
		"we\nb=:v1":                           "the name holds a character that cannot be printed",
	} {
		_, err := ParseAssignment(arg)
		var wrong *AssignmentError
		if !errors.As(err, &wrong) || !strings.Contains(wrong.Reason, want) || wrong.Hint() == "" || !wrong.Permanent() {
			t.Errorf("ParseAssignment(%q): %v; want %s", arg, err, want)
		}
	}
}

func TestSetImage(t *testing.T) {
	src := "images:\n- name: web\n  newTag: v1\n"
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"one", []string{"web=:v2"}, "images:\n- name: web\n  newTag: v2\n"},
		{"the last counts", []string{"web=:v2", "web=@" + someDigest}, "images:\n- name: web\n  digest: " + someDigest + "\n"},
		{"adds", []string{"api:v1"}, src + "- name: api\n  newTag: v1\n"},
		{"adds what keeps", []string{"api=*:v1@*"}, src + "- name: api\n  newTag: v1\n"},
		{"nothing", nil, src},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, report, err := SetImage("k.yaml", []byte(src), tt.args)
			if err != nil || string(out) != tt.want || report.Changed != (tt.want != src) {
				t.Errorf("SetImage = %q, %+v, %v; want %q", out, report, err, tt.want)
			}
		})
	}
	out, _, err := SetImage("k.yaml", []byte(src), []string{"web", "web=:v2", "=:v"})
	if out != nil || err == nil || strings.Count(err.Error(), "image argument") != 2 {
		t.Errorf("SetImage = %q, %v; want both bad arguments named", out, err)
	}
}

func TestDiff(t *testing.T) {
	before, after := []byte("images:\n- name: web\n  newTag: v1"), []byte("images:\n- name: web\n  newTag: v2")
	want := "--- a/k.yaml\n+++ b/k.yaml\n@@ -1,3 +1,3 @@\n images:\n - name: web\n-  newTag: v1\n\\ No newline at end of file\n+  newTag: v2\n\\ No newline at end of file\n"
	if got := Diff("k.yaml", before, after); got != want {
		t.Errorf("Diff = %s\nwant %s", got, want)
	}
	if got := Diff("k.yaml", before, before); got != "" {
		t.Errorf("Diff of equals = %s", got)
	}
}
