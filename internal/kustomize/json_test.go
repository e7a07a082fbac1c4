package kustomize

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestJSONProperties changes JSON files, as tools write them, and reads the result with a JSON decoder.
func TestJSONProperties(t *testing.T) {
	type image struct {
		Name    string `json:"name,omitempty"`
		NewName string `json:"newName,omitempty"`
		NewTag  string `json:"newTag,omitempty"`
		Digest  string `json:"digest,omitempty"`
	}
	type root struct {
		Kind      string   `json:"kind,omitempty"`
		Images    []image  `json:"images,omitempty"`
		Resources []string `json:"resources,omitempty"`
	}
	rapid.Check(t, func(t *rapid.T) {
		optional := func(label string, values ...string) string {
			return rapid.SampledFrom(append(values, "")).Draw(t, label)
		}
		want := root{Kind: optional("kind", "Kustomization")}
		for _, name := range []string{"web", "api"}[:rapid.IntRange(0, 2).Draw(t, "images")] {
			want.Images = append(want.Images, image{name, optional("newName", "x/web"), optional("newTag", "v1", "1.10"), optional("digest", otherDigest)})
		}
		if rapid.Bool().Draw(t, "resources") {
			want.Resources = []string{"a.yaml", "https://h/x?ref=v1"}
		}
		src, err := json.MarshalIndent(want, "", rapid.SampledFrom([]string{"  ", "    ", " "}).Draw(t, "indent"))
		if rapid.Bool().Draw(t, "minified") {
			src, err = json.Marshal(want)
		}
		if err != nil {
			t.Fatal(err)
		}
		if rapid.Bool().Draw(t, "newline") {
			src = append(src, '\n')
		}
		var changes []Change
		for _, name := range []string{"web", "api", "db"} {
			if rapid.Bool().Draw(t, "leave "+name) {
				continue
			}
			c := Change{Name: name, Add: true, Other: OtherDrop}
			got := image{Name: name}
			at := -1
			for i, im := range want.Images {
				if im.Name == name {
					at, got = i, im
				}
			}
			if v := optional("set newName", "y/web"); v != "" {
				c.NewName, got.NewName = &v, v
			}
			switch rapid.IntRange(0, 2).Draw(t, "halves") {
			case 0:
				c.Tag, got.NewTag, got.Digest = ptr("2.0"), "2.0", ""
			case 1:
				c.Digest, got.NewTag, got.Digest = ptr(someDigest), "", someDigest
			default:
				c.Tag, c.Digest, got.NewTag, got.Digest = ptr("v2"), ptr(someDigest), "v2", someDigest
			}
			changes = append(changes, c)
			if at < 0 {
				want.Images = append(want.Images, got)
			} else {
				want.Images[at] = got
			}
		}
		out, report, err := Edit("k", src, changes)
		if err != nil {
			t.Fatalf("%v\n%+v\n%s", err, changes, src)
		}
		var got root
		if err := json.Unmarshal(out, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, %v\nwant %+v\nfrom\n%s\nto\n%s", got, err, want, src, out)
		}
		if strings.Contains(string(src), "\n ") && strings.Contains(string(src), `"web"`) {
			again, _ := json.MarshalIndent(want, "", strings.Repeat(" ", strings.IndexByte(string(src[2:]), '"')))
			if len(strings.Split(string(again), "\n")) != len(strings.Split(strings.TrimSpace(string(out)), "\n")) {
				t.Fatalf("the layout was not kept, from\n%s\nto\n%s", src, out)
			}
		}
		reporter := &collected{}
		if checkLines(reporter, src, out, report); reporter.text != "" {
			t.Fatalf("%s\nfrom\n%s\nto\n%s", reporter.text, src, out)
		}
	})
}
