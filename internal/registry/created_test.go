package registry

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

func TestCreated(t *testing.T) {
	r := newRig(t)
	at := time.Date(2026, 3, 2, 9, 15, 4, 0, time.UTC)
	built := func(at time.Time) v1.Image {
		what, err := mutate.CreatedAt(anImage(t), v1.Time{Time: at})
		if err != nil {
			t.Fatal(err)
		}
		return what
	}
	r.push(t, "shop/web", "one", built(at))
	r.push(t, "shop/web", "epoch", built(time.Unix(0, 0)))
	r.push(t, "shop/web", "never", built(time.Time{}))
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: built(at), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}})
	for tag, what := range map[string]v1.ImageIndex{"many": index, "nothing": empty.Index} {
		ref, err := name.NewTag(r.host + "/shop/web:" + tag)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.WriteIndex(ref, what); err != nil {
			t.Fatal(err)
		}
	}
	client := newTestClient(t, Options{})
	for tag, want := range map[string]time.Time{"one": at, "many": at, "epoch": {}, "never": {}, "nothing": {}} {
		if got, err := client.Created(t.Context(), r.name("shop/web"), tag); err != nil || !got.Equal(want) {
			t.Errorf("Created of %s = %s, %v; want %s", tag, got, err, want)
		}
	}
	var missing *NotFoundError
	if got, err := client.Created(t.Context(), r.name("shop/web"), "none"); !errors.As(err, &missing) {
		t.Errorf("Created of a tag that is not there = %s, %v", got, err)
	}
	if _, err := client.Created(t.Context(), r.name("shop/web"), "../x"); err == nil {
		t.Error("Created of an impossible tag is asked for")
	}
}
