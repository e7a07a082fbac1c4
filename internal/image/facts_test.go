package image

import (
	"slices"
	"testing"
	"time"
)

func TestLacks(t *testing.T) {
	for _, c := range []struct{ has, want, missing []string }{
		{[]string{"linux/amd64", "linux/arm64"}, nil, nil},
		{[]string{"linux/amd64", "linux/arm64"}, []string{"linux/arm64", "linux/amd64"}, nil},
		{[]string{"linux/amd64"}, []string{"linux/arm64", "linux/amd64", "linux/s390x"}, []string{"linux/arm64", "linux/s390x"}},
		{[]string{"linux/arm64/v8"}, []string{"linux/arm64"}, nil},
		{[]string{"linux/arm64"}, []string{"linux/arm64/v8"}, []string{"linux/arm64/v8"}},
		{[]string{"linux/arm/v6"}, []string{"linux/arm/v7"}, []string{"linux/arm/v7"}},
		{[]string{"linux/arm64"}, []string{"linux/arm"}, []string{"linux/arm"}},
		{[]string{"linux/amd64"}, []string{"linux"}, []string{"linux"}},
		{nil, []string{"linux/amd64"}, []string{"linux/amd64"}},
	} {
		if got := (Facts{Platforms: c.has}).Lacks(c.want); !slices.Equal(got, c.missing) {
			t.Errorf("an image for %v lacks %v of %v; want %v", c.has, got, c.want, c.missing)
		}
	}
}

func TestSaysNothing(t *testing.T) {
	if !(Facts{Platforms: []string{"linux/amd64"}}).SaysNothing() {
		t.Error("platforms alone are no origin")
	}
	for _, f := range []Facts{{Source: "https://a"}, {Revision: "a"}, {Version: "1"}, {URL: "https://a"}, {Created: time.Unix(1, 0)}} {
		if f.SaysNothing() {
			t.Errorf("%+v says nothing", f)
		}
	}
}
